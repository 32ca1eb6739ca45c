/*
 * backlog.h: how much work a worker takes ahead of its threads.  Pure arithmetic.
 *
 * Too little and threads wait for a round trip to the database; too much and runs wait here that another worker could
 * have started.  So: one claimed run for each idle thread, and beyond that about 100 ms of work for each thread.
 */
#ifndef JOBSCHED_WORKER_BACKLOG_H
#define JOBSCHED_WORKER_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKLOG_AHEAD_SECONDS	0.1			/* work claimed ahead for each thread */
#define BACKLOG_UNKNOWN_SECONDS	1.0			/* what a run counts as while its task has never run here */
#define BACKLOG_RESULTS_MAX		4096			/* results not recorded yet at which nothing more is claimed */
#define BACKLOG_BYTES_MAX		((size_t) 64 * 1024 * 1024)	/* the same in bytes of results */
#define BACKLOG_CLAIM_MAX		64			/* dispatches in one call of claim */

/* A moving mean; zeroed: nothing known. */
struct backlog_mean {
	double seconds;
	bool known;
};

struct backlog {
	int threads;			/* that run tasks */
	int idle;				/* of them, without a run */
	int ready;				/* runs claimed and not started */
	double ready_seconds;		/* their expected run time, all together */
	double dispatch_seconds;	/* expected run time of what one more dispatch brings */
	int64_t stalled_us;		/* since a thread last became free or took a run */
	int results;			/* ended runs that the database does not have yet */
	size_t result_bytes;
};

/* Mixes in one more run time: the first counts whole, then one tenth. */
void backlog_mean_add(struct backlog_mean *mean, double seconds);

/* Expected run time of one run. */
double backlog_expected(const struct backlog_mean *mean);

/* How many dispatches to claim now, 0..BACKLOG_CLAIM_MAX. */
int backlog_admit(const struct backlog *b);

#endif
