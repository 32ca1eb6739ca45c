/*
 * finisher.h: the thread that records how runs ended, and keeps the lease.
 */
#ifndef JOBSCHED_WORKER_FINISHER_H
#define JOBSCHED_WORKER_FINISHER_H

#include "session.h"
#include "settings.h"

#define FINISHER_RUNS_MAX	512					/* runs in one call of finish */
#define FINISHER_BYTES_MAX	((size_t) 4 * 1024 * 1024)	/* of their results, about */

struct finisher {
	struct session session;
	const struct settings *settings;
	pthread_t thread;
	struct run *pending[FINISHER_RUNS_MAX];		/* sent, or to be sent again */
	int npending;
	char pending_worker[UUID_TEXT_SIZE];		/* in whose name */
	int64_t beat_at_us;							/* when the next heartbeat is due */
	int64_t news_at_us;							/* the earliest for one that tells of a task's first run time */
	int64_t progress_at_us;						/* the earliest for the next report of progress */
	struct progress_report progress[PROGRESS_MAX];	/* to be sent */
	int nprogress;
	struct store_pair *pairs;					/* of the heartbeat at hand */
	int pairs_size;
};

int finisher_start(struct finisher *f, struct hub *h, const struct settings *settings, struct error *err);

/* After the thread has ended. */
void finisher_free(struct finisher *f);

#endif
