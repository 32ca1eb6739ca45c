/*
 * promote_cron.h: the part of promote that concerns cron jobs.
 */
#ifndef JOBSCHED_PROMOTE_CRON_H
#define JOBSCHED_PROMOTE_CRON_H

#include "scheduler.h"

#include "storage/itemptr.h"
#include "utils/uuid.h"

/* Wait before a run whose schedule is locked by somebody is looked at again. */
#define PROMOTE_CRON_HELD (100 * JS_USEC_PER_MS)

/* A due row of timers, locked. */
typedef struct DueRun
{
	ItemPointerData tid;
	TimestampTz due_at;
	TimestampTz run_at;
	pg_uuid_t	job_id;
	int16		attempt;
	int16		failures;
	int16		losses;
	int16		segment;
	int32		task;
	bool		cron;
	bool		held;			/* cron, and its schedules row is locked by another session */
} DueRun;

/*
 * Locks the schedules rows of the cron runs.  Runs whose row is locked by another session are moved behind the others;
 * returns the number of those that remain, and in *held_due the earliest due_at of the held (DT_NOEND: none).
 */
extern int	promote_cron_hold(DueRun *runs, int count, TimestampTz *held_due);

/* Plans the next time of each cron run among them, once for each nominal time. */
extern void promote_cron_plan(const Queue *queue, int priority, const DueRun *runs, int count, TimestampTz now);

#endif
