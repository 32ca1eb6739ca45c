/*
 * waiter.h: how a scheduler sleeps: until a time, to the microsecond, its latch is set, or the broker has something to say.
 */
#ifndef JOBSCHED_WAITER_H
#define JOBSCHED_WAITER_H

#include "jobsched.h"

#include "publisher.h"
#include "shmem.h"

typedef struct Waiter Waiter;

/* Lives as long as the process.  Throws. */
extern Waiter *waiter_create(MemoryContext context);

/* Returns at once when `until` is past.  The latch is left as it is.  Ends the process when the postmaster has gone. */
extern JsWake waiter_wait(Waiter *waiter, Publisher *publisher, TimestampTz until);

#endif
