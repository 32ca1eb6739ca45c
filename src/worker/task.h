/*
 * task.h: runs one task and turns what it says into the run's outcome.
 */
#ifndef JOBSCHED_WORKER_TASK_H
#define JOBSCHED_WORKER_TASK_H

#include "pool.h"
#include "runs.h"

/* Fills run->out and run->ended_us. */
void task_execute(struct run *run, struct pool_slot *slot);

/*
 * "2026-11-24 21:30:00.5+00", as PostgreSQL prints a timestamptz in UTC, to RFC 3339 "2026-11-24T21:30:00.5Z"; anything
 * else (years beyond 9999, infinity) is copied with blanks as underscores.  Returns out, of size bytes.
 */
char *task_format_run_at(const char *text, char *out, size_t size);

#endif
