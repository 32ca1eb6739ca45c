/*
 * keeper_private.h: what keeper.c and keeper_thread.c share.
 */
#ifndef JOBSCHED_WORKER_ISOLATION_KEEPER_PRIVATE_H
#define JOBSCHED_WORKER_ISOLATION_KEEPER_PRIVATE_H

#include <pthread.h>

#include "keeper.h"

#define KEEPER_SPARES_MAX 16 /* more than a server makes */

enum keeper_state {
	KEEPER_STARTING,
	KEEPER_UP,
	KEEPER_DOWN,
	KEEPER_FAILED
};

struct spare {
	pid_t pid;
	int fd;
};

struct keeper {
	const struct settings *settings;
	char **environment; /* of the server */
	struct notes *notes; /* of the tasks */
	pthread_t thread;
	int stop_fd; /* eventfd: the worker ends */

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t started;
	enum keeper_state state;
	bool stopping;
	pid_t server; /* 0: none.  Only the keeper reaps it */
	int64_t heard_us;
	bool trouble; /* it cannot fork; logged */
	struct error failure; /* why it cannot be started */
	struct spare *spares; /* room for so many */
	int nspares, room;
	struct keeper_child *busy; /* taken */
	struct keeper_child *waiting, **waiting_end; /* for a child, the first one first */

	pthread_mutex_t talk; /* held while sending, and while the socket changes */
	int control; /* -1: none */
};

/* The thread. */
void *keeper_main(void *keeper);

/* A child waits for a run, its first or, when used, another: somebody who waits for one gets it. */
void keeper_spare_locked(struct keeper *k, pid_t pid, int fd, bool used);

/* Something has happened to the child. */
void keeper_ring(const struct keeper_child *child);

#endif
