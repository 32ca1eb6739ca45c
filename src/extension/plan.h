/*
 * plan.h: prepared statements of SPI that are kept; for txn.h and call.h.
 */
#ifndef JOBSCHED_PLAN_H
#define JOBSCHED_PLAN_H

#include "jobsched.h"

#include "executor/spi.h"

/* A generic plan, kept until SPI_freeplan(). */
extern SPIPlanPtr plan_keep(const char *sql, int nargs, Oid *types);

/* All rows; returns their number.  sql is for the message of an error. */
extern uint64 plan_execute(SPIPlanPtr plan, const char *sql, Datum *values, const char *nulls);

#endif
