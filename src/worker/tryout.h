/*
 * tryout.h: jobsched-worker --run, for people who write tasks.
 */
#ifndef JOBSCHED_WORKER_TRYOUT_H
#define JOBSCHED_WORKER_TRYOUT_H

#include "blob/blob.h"
#include "settings.h"

struct keeper;

/*
 * Runs one task here and now, or in a process of the keeper (NULL: none), without database and broker: its result, JSON,
 * to standard output, its error to standard error.  payload: JSON, or "-" for standard input.  The first signal (signalfd)
 * tells the task to stop, the second ends the program.
 *
 * Returns the exit code: 0 success; 75 (EX_TEMPFAIL) a failure that a worker would try again; 1 a failure for good, or
 * the task stopped when told to; 2 no such task, or the payload is no JSON.
 */
int tryout_run(const struct settings *settings, struct blob_store *blobs, struct keeper *keeper, int signals,
        const char *name, const char *payload);

#endif
