/*
 * pool.c: the threads that run tasks.
 */
#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "task.h"
#include "thread.h"

static void *
slot_main(void *arg)
{
	struct pool_slot *slot = arg;
	struct run *run = NULL;

	while ((run = runs_next(slot->pool->hub, slot, run)))
		task_execute(run, slot);
	return NULL;
}

int
pool_slot_init(struct pool_slot *slot, struct pool *p, struct error *err)
{
	pthread_condattr_t attr;

	slot->pool = p;
	slot->wake_fd = p->keeper ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	if (p->keeper && slot->wake_fd < 0)
		return error_set(err, "eventfd: %s", strerror(errno));
	pthread_mutex_init(&slot->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&slot->wake, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

void
pool_slot_free(struct pool_slot *slot)
{
	pthread_mutex_destroy(&slot->lock);
	pthread_cond_destroy(&slot->wake);
	if (slot->wake_fd >= 0)
		close(slot->wake_fd);
}

int
pool_start(struct pool *p, struct hub *h, struct blob_store *blobs, struct keeper *keeper, int threads,
		   struct error *err)
{
	memset(p, 0, sizeof(*p));
	p->hub = h;
	p->blobs = blobs;
	p->keeper = keeper;
	p->slots = calloc((size_t) threads, sizeof(*p->slots));
	if (!p->slots)
		return error_set(err, "out of memory");
	for (; p->n < threads; p->n++) {
		struct pool_slot *slot = &p->slots[p->n];

		if (pool_slot_init(slot, p, err) < 0 || thread_start(&slot->thread, "task", slot_main, slot, err) < 0)
			return -1;
	}
	return 0;
}

void
pool_join(struct pool *p)
{
	for (int i = 0; i < p->n; i++) {
		pthread_join(p->slots[i].thread, NULL);
		pool_slot_free(&p->slots[i]);
	}
	free(p->slots);
}

void
pool_wake(struct pool_slot *slot)
{
	pthread_mutex_lock(&slot->lock);
	pthread_cond_broadcast(&slot->wake);
	pthread_mutex_unlock(&slot->lock);
	if (slot->wake_fd >= 0)
		eventfd_write(slot->wake_fd, 1);
}
