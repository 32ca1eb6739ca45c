/*
 * retain.h: what has ended is kept for jobsched.retention, then goes.
 */
#ifndef JOBSCHED_RETAIN_H
#define JOBSCHED_RETAIN_H

#include "scheduler.h"

/*
 * One step (jobsched._retain() in the script), in a transaction of its own; *at becomes the time of the next.  What goes
 * wrong is logged and tried again later: it never holds up work.
 */
extern void retain_run(Scheduler *s, TimestampTz *at);

#endif
