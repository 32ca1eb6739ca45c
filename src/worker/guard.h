/*
 * guard.h: the thread that watches the others: the lease, systemd's watchdog, and SIGUSR1, which logs the state.
 *
 * It waits for nothing but its clock and takes the hub's lock only shortly, so that it works when database and broker
 * are away, and falls silent when the worker hangs.
 */
#ifndef JOBSCHED_WORKER_GUARD_H
#define JOBSCHED_WORKER_GUARD_H

#include <pthread.h>

#include "hub.h"

struct keeper;

struct guard {
	struct hub *hub;
	struct keeper *keeper;		/* is told of the lease; NULL: there is none */
	pthread_t thread;
	int signals;				/* signalfd of SIGUSR1 */
	int64_t watchdog_us;		/* 0: none */
	int64_t told_at_us;			/* last word to the watchdog */
	char status[128];			/* last told to systemd */
	bool stuck;					/* a thread does not come back; logged */
	bool ready, stopping;		/* systemd knows that it is ready, that it ends */
};

/* Blocks SIGUSR1: before there are other threads. */
int guard_setup(struct guard *g, struct hub *h, struct error *err);

/* All other threads are there: tells systemd that the worker is ready. */
int guard_start(struct guard *g, struct keeper *keeper, struct error *err);

/* Waits for its end; the hub is closing. */
void guard_join(struct guard *g);

#endif
