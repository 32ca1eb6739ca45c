/*
 * call.h: calls of the script's functions from functions in C that are SECURITY DEFINER.
 *
 * An error in them is raised as the caller's own: without a CONTEXT of functions that nobody called.
 */
#ifndef JOBSCHED_CALL_H
#define JOBSCHED_CALL_H

#include "jobsched.h"

#include "executor/spi.h"

#define CALL_MAX_ARGS 16

/* Static in its module; prepared when first run. */
typedef struct CallPlan
{
	const char *sql;
	int			nargs;
	Oid			types[CALL_MAX_ARGS];
	SPIPlanPtr	plan;
} CallPlan;

/*
 * Runs what(arg) connected to SPI, as the function's owner and with a safe search_path.
 */
extern void call_inside(void (*what) (void *arg), void *arg);

/* Only inside: runs it, all rows; returns their number, and SPI_tuptable has them. */
extern uint64 call_query(CallPlan *plan, Datum *values, const char *nulls);

/* Only inside: a value of the last result. */
extern Datum call_value(uint64 row, int column, bool *isnull);

/* Only inside: the elements of an array without nulls, of a type of fixed length; not copied. */
extern const void *call_array(uint64 row, int column, int *count);

/* The columns of the one row, copied into the current memory context. */
extern void call_row(CallPlan *plan, Datum *values, const char *nulls, int columns, Datum *results, bool *result_nulls);

/* The one value, which must not be null and is passed by value, or is nothing. */
extern Datum call_run(CallPlan *plan, Datum *values);

#endif
