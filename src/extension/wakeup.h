/*
 * wakeup.h: the wake-up at commit.  The committing side is wakeup_note(), wakeup_dequeued() and their SQL functions.
 *
 * The scheduler's turn, in this order, so that no commit is missed:
 *
 *   wakeup_awake(slot)              from now on every commit sets the latch
 *   wakeup_take(slot, hints)        and _expiry, before any snapshot: what was committed before is visible or handed over later
 *   ... work ...
 *   wakeup_sleep(slot, until)       true: nothing has come meanwhile, wait for the latch
 */
#ifndef JOBSCHED_WAKEUP_H
#define JOBSCHED_WAKEUP_H

#include "shmem.h"

typedef TimestampTz WakeupHints[JS_BUCKETS][JS_PRIORITIES];

/* A timer was made or moved: for the schedulers when this transaction has committed; infinity is none. */
extern void wakeup_note(int16 queue, int16 priority, TimestampTz due);

/* n dispatches of the queue are no longer 'queued', the same. */
extern void wakeup_dequeued(int16 queue, int32 n);

/* This process listens at the slot; it stops by itself when the process ends. */
extern void wakeup_attach(JsSlot *slot);

extern void wakeup_awake(JsSlot *slot);

/* The buckets with hints, one bit each; only their rows of hints are set, DT_NOEND where there is none. */
extern uint64 wakeup_take(JsSlot *slot, WakeupHints hints);

/* The earliest expires_at handed over, DT_NOEND if none; with wakeup_take(). */
extern TimestampTz wakeup_take_expiry(JsSlot *slot);

/* Buckets whose due runs wait for room: a commit that makes room there sets the latch. */
extern void wakeup_set_due_left(JsSlot *slot, uint64 buckets);

/* Commits of timers due before `until` set the latch.  False: there are hints to take, do not sleep. */
extern bool wakeup_sleep(JsSlot *slot, TimestampTz until);

#endif
