/*
 * cron_sql.h: cron expressions on Postgres's clock and in its time zones.
 */
#ifndef JOBSCHED_CRON_SQL_H
#define JOBSCHED_CRON_SQL_H

#include "jobsched.h"

#include "cron.h"
#include "cron_zone.h"

typedef enum CronNextResult
{
	CRON_NEXT_OK,
	CRON_NEXT_BAD_EXPRESSION,	/* *error is filled */
	CRON_NEXT_BAD_ZONE,			/* no name of pg_timezone_names */
	CRON_NEXT_NEVER				/* no time before the year 10000 */
} CronNextResult;

/*
 * The first time strictly after `after` (finite), in whole seconds, on the clock of `zone`.  `options` may be NULL.
 * Throws nothing but out of memory.  A zone's rules are those of its file: see zones.h.
 */
extern CronNextResult cron_next_time(const char *expr, TimestampTz after, const char *zone,
									 const CronZoneOptions *options, TimestampTz *next, CronError *error);

#endif
