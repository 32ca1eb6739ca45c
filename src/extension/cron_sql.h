/*
 * cron_sql.h: cron expressions on Postgres's clock.
 */
#ifndef JOBSCHED_CRON_SQL_H
#define JOBSCHED_CRON_SQL_H

#include "jobsched.h"

#include "cron.h"

typedef enum CronNextResult
{
	CRON_NEXT_OK,
	CRON_NEXT_BAD_EXPRESSION,	/* *error is filled */
	CRON_NEXT_BAD_ZONE,
	CRON_NEXT_NEVER				/* no time before the year 10000 */
} CronNextResult;

/* The first time strictly after `after` (finite), in whole seconds.  Throws nothing. */
extern CronNextResult cron_next_time(const char *expr, TimestampTz after, const char *zone, TimestampTz *next,
									 CronError *error);

#endif
