/*
 * ring.h: the ring of slots in which jobs and executions are kept; retain.h turns it.
 */
#ifndef JOBSCHED_RING_H
#define JOBSCHED_RING_H

#include "jobsched.h"

#include "utils/snapshot.h"

#define RING_KEPT 16			/* leaf of cron jobs and of what outlives its slot */

/* The slot that new rows go to, 0..15. */
extern int	ring_open_slot(Snapshot snapshot);

/* "jobs_3", "job_executions_kept"; palloc'ed. */
extern char *ring_leaf(const char *table, int slot);

#endif
