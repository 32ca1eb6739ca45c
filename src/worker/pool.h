/*
 * pool.h: the threads that run tasks.
 */
#ifndef JOBSCHED_WORKER_POOL_H
#define JOBSCHED_WORKER_POOL_H

#include <pthread.h>

#include "blob/blob.h"
#include "hub.h"

struct keeper;
struct pool;

/* One thread of the pool: what a task of it sleeps on. */
struct pool_slot {
	struct pool *pool;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int wake_fd;				/* eventfd, for runs in processes; -1: there are none */
};

struct pool {
	struct hub *hub;
	struct blob_store *blobs;
	struct keeper *keeper;		/* of the processes that tasks run in; NULL: they run on the threads */
	int n;						/* threads that were started */
	struct pool_slot *slots;
};

/* A slot without a thread yet. */
int pool_slot_init(struct pool_slot *slot, struct pool *p, struct error *err);
void pool_slot_free(struct pool_slot *slot);

/* Starts the threads.  On failure those that were started go on: pool_join after hub_enter(HUB_CLOSING). */
int pool_start(struct pool *p, struct hub *h, struct blob_store *blobs, struct keeper *keeper, int threads,
			   struct error *err);

/* Waits for all threads, which end when the hub is flushing and their tasks have ended. */
void pool_join(struct pool *p);

/* The task of this slot looks at its stop flag. */
void pool_wake(struct pool_slot *slot);

#endif
