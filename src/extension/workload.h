/*
 * workload.h: how long tasks take and how many slots the live workers have, from what workers report.
 */
#ifndef JOBSCHED_WORKLOAD_H
#define JOBSCHED_WORKLOAD_H

#include "jobsched.h"

#include "queues.h"

typedef struct Workload Workload;

extern Workload *workload_create(MemoryContext parent);

/* Reads jobsched.workers anew, also into the queues' slots; in a transaction. */
extern void workload_read(Workload *workload, Queues *queues);

/*
 * The same when workload_mean() had no answer lately: a burst of a new task goes out run by run until its first run times
 * are known, which a worker tells at once.
 */
extern void workload_read_news(Workload *workload, Queues *queues);

/* Mean run time of a task in seconds, by the hash of its name; negative: unknown. */
extern double workload_mean(Workload *workload, int32 task);

/* A worker has lost its lease within the last minute: messages may be with it that nobody will claim. */
extern bool workload_has_silent(const Workload *workload);

#endif
