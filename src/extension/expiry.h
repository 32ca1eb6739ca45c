/*
 * expiry.h: ends runs that no worker has taken by their job's expires_at.
 */
#ifndef JOBSCHED_EXPIRY_H
#define JOBSCHED_EXPIRY_H

#include "scheduler.h"

typedef struct Expiry
{
	TimestampTz next;			/* when to look; DT_NOBEGIN: now */
	TimestampTz since;			/* nothing that is committed and unlocked is to be looked at before */
	TimestampTz sweep_at;		/* not before: a look from the very beginning, when the queues are swept too */
} Expiry;

/* Nothing is known: look at all. */
extern void expiry_forget(Expiry *expiry);

/* A commit has handed this over (wakeup_take_expiry()). */
extern void expiry_lower(Expiry *expiry, TimestampTz at);

/* Is it time to look?  `sweeping`: the queues are going to be swept. */
extern bool expiry_due(const Expiry *expiry, TimestampTz now, bool sweeping);

/* Looks, in a transaction of its own; false when the extension is not there.  Throws. */
extern bool expiry_run(Scheduler *s, Expiry *expiry, TimestampTz now);

#endif
