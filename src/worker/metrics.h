/*
 * metrics.h: what a worker counts about itself, and the text that Prometheus reads.
 *
 * Everything is under the hub's lock.  docs/operations.md lists the names.
 */
#ifndef JOBSCHED_WORKER_METRICS_H
#define JOBSCHED_WORKER_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "runs.h"

enum metrics_link { METRICS_BROKER, METRICS_CLAIMS, METRICS_RESULTS };
#define METRICS_LINKS	3

#define METRICS_ENDS	4		/* of enum run_end */
#define METRICS_BUCKETS	13		/* of a histogram, the last without limit */

struct metrics_task {
	uint64_t ended[METRICS_ENDS];	/* recorded */
	uint64_t buckets[METRICS_BUCKETS];
	double seconds;				/* all together */
};

struct metrics_connection {
	bool up;
	uint64_t losses;
};

struct metrics {
	struct metrics_task *tasks;	/* one a task of the registry, and one for those that are not known */
	int ntasks;
	struct metrics_connection links[METRICS_LINKS];
	uint64_t claims;			/* calls that were answered */
	uint64_t dispatches_asked;	/* in them */
	uint64_t dispatches_claimed;
	uint64_t runs_claimed;
	uint64_t runs_released;
	uint64_t heartbeats;
	uint64_t orders;			/* words that there are orders */
	uint64_t cancels;			/* runs told to stop because their job was cancelled */
	uint64_t crashes;			/* runs whose process ended without a result, or was killed */
	uint64_t stale_results;		/* ends of runs that had been taken over */
	uint64_t lapses;			/* of the lease */
};

struct hub;

int metrics_init(struct metrics *m, struct error *err);
void metrics_free(struct metrics *m);

/* The end of this run is in the database. */
void metrics_recorded_locked(struct metrics *m, const struct run *run);

void metrics_link_locked(struct metrics *m, enum metrics_link link, bool up);
const char *metrics_link_name(enum metrics_link link);

/* The text; malloc'ed, NULL when out of memory. */
char *metrics_text(struct hub *h, const char *worker_id);

#endif
