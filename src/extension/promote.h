/*
 * promote.h: due timers become dispatches.
 */
#ifndef JOBSCHED_PROMOTE_H
#define JOBSCHED_PROMOTE_H

#include "scheduler.h"

/*
 * One transaction that promotes up to jobsched.batch_size due runs and hands the dispatches to the outbox.  Returns the
 * number of runs, -1 when the extension is not there.  Throws.
 */
extern int	promote_run(Scheduler *s, TimestampTz now);

/* When the next run is due in a queue that has room; *due_left: buckets whose due runs wait for room. */
extern TimestampTz promote_next(const Scheduler *s, TimestampTz now, uint64 *due_left);

#endif
