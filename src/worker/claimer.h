/*
 * claimer.h: the thread that registers this worker, claims dispatches and gives back what it cannot start.
 */
#ifndef JOBSCHED_WORKER_CLAIMER_H
#define JOBSCHED_WORKER_CLAIMER_H

#include "session.h"
#include "settings.h"

#define CLAIMER_RELEASE_MAX	256		/* runs in one call of release */

struct claimer {
	struct session session;
	const struct settings *settings;
	pthread_t thread;
	char claim_worker[UUID_TEXT_SIZE];		/* in whose name the unanswered claim was sent */
	struct run *stale[CLAIMER_RELEASE_MAX];	/* being released */
	int nstale;
	char stale_worker[UUID_TEXT_SIZE];
	struct machine_process self;
	bool newcomer;							/* just registered: has not looked at its neighbours yet */
	bool farewell;							/* set at the end: the database knows that this worker has ended */
};

int claimer_start(struct claimer *c, struct hub *h, const struct settings *settings, struct error *err);

/* After the thread has ended. */
void claimer_free(struct claimer *c);

#endif
