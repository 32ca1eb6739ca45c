/*
 * cron_describe.h: what a cron expression says, in plain English.  Plain C as cron.h is.
 */
#ifndef JOBSCHED_CRON_DESCRIBE_H
#define JOBSCHED_CRON_DESCRIBE_H

#include "cron.h"

/* Enough for the longest description and its NUL. */
#define CRON_DESCRIPTION_SIZE 3072

/*
 * Writes the description of a parsed expression: "at 06:30, Monday through Friday".  One line, ASCII, no capital at its
 * beginning and no full stop.  Expressions that mean the same are described alike.
 */
extern void cron_describe(const CronSpec *spec, char description[CRON_DESCRIPTION_SIZE]);

#endif
