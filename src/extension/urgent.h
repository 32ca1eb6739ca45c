/*
 * urgent.h: a word to a worker that it should ask for orders now: a cancel has committed and one of its tasks is to stop.
 *
 * Only a hint, sent to the worker's own queue jobsched.worker.<id>; when it is lost the next heartbeat tells the same.
 */
#ifndef JOBSCHED_URGENT_H
#define JOBSCHED_URGENT_H

#include "publisher.h"
#include "shmem.h"

/* For the scheduler: sends what commits have left at its slot; forgets it when the broker takes nothing now. */
extern void urgent_send(JsSlot *slot, Publisher *publisher);

#endif
