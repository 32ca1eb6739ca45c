/*
 * scheduler.h: the state of a scheduler process.
 */
#ifndef JOBSCHED_SCHEDULER_H
#define JOBSCHED_SCHEDULER_H

#include "jobsched.h"

#include "outbox.h"
#include "publisher.h"
#include "queues.h"
#include "shmem.h"
#include "workload.h"

typedef struct Scheduler
{
	JsDatabase *db;
	JsSlot	   *slot;
	int			slice;			/* number of this process */
	int			lo,				/* its segments; lo > hi: none */
				hi;
	MemoryContext context;		/* lives as long as the process */
	MemoryContext turn_context; /* emptied before every turn */
	Publisher  *publisher;
	Outbox	   *outbox;
	Queues	   *queues;
	Workload   *workload;
	JsCounters	counters;
	TimestampTz rescue_from;	/* no rescue before */
	bool		in_flight;		/* there were dispatches at the last reading, or some were made since */
} Scheduler;

/* Entry of the process; main_arg: (number of the database in shared memory) * JS_MAX_SCHEDULERS + slice. */
extern PGDLLEXPORT void scheduler_main(Datum main_arg);

#endif
