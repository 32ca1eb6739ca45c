/*
 * promote_cron.h: the part of promote that concerns cron jobs.
 *
 *   runs = lock_due(...);
 *   promote_cron_decide(runs, count, now, &parts);      reads, locks, decides; writes nothing
 *   ... dispatches as many of the middle part as have room, and deletes the timers of these and of the first part ...
 *   promote_cron_write(queue, priority, runs, n, now);  of the first part and what was dispatched
 */
#ifndef JOBSCHED_PROMOTE_CRON_H
#define JOBSCHED_PROMOTE_CRON_H

#include "scheduler.h"

#include "storage/itemptr.h"
#include "utils/uuid.h"

/* Wait before a run whose schedule is locked by somebody is looked at again. */
#define PROMOTE_CRON_HELD (100 * JS_USEC_PER_MS)

struct CronPlan;

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
	struct CronPlan *plan;		/* what to write when it is promoted; NULL: nothing */
} DueRun;

/* How the runs are ordered after promote_cron_decide(): */
typedef struct CronParts
{
	int			settled;		/* first those with nothing to dispatch now: skipped, or waiting */
	int			ready;			/* then those to dispatch */
	TimestampTz held_due;		/* earliest due_at of the rest, which is to be left alone; DT_NOEND: no rest */
} CronParts;

/*
 * Locks the schedules rows of the cron runs and decides by their policies.  Left alone are runs whose schedule another
 * session has locked, and those that would make this transaction too large.
 */
extern void promote_cron_decide(DueRun *runs, int count, TimestampTz now, CronParts *parts);

/*
 * Records what was decided and plans the next times, once for each nominal time.  The runs' own timers have been deleted.
 */
extern void promote_cron_write(const Queue *queue, int priority, const DueRun *runs, int count, TimestampTz now);

#endif
