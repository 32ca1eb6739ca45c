/*
 * hub.c: what the worker's threads share: phase, identity, lease.
 */
#include "hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

static void
ring(int fd)
{
	uint64_t one = 1;

	/* EAGAIN: the counter is full, so the other side has been told. */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int
hub_init(struct hub *h, int threads, double task_timeout, struct error *err)
{
	pthread_condattr_t attr;

	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->work, &attr);
	pthread_cond_init(&h->claims, &attr);
	pthread_cond_init(&h->results, &attr);
	pthread_condattr_destroy(&attr);
	inbox_init(&h->inbox);
	h->consumer_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	h->main_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	h->guard_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (h->consumer_fd < 0 || h->main_fd < 0 || h->guard_fd < 0)
		return error_set(err, "eventfd: %s", strerror(errno));
	if (metrics_init(&h->metrics, err) < 0)
		return -1;
	return runs_init(&h->runs, threads, task_timeout, err);
}

void
hub_free(struct hub *h)
{
	runs_free(&h->runs);
	metrics_free(&h->metrics);
	inbox_free(&h->inbox);
	if (h->consumer_fd >= 0)
		close(h->consumer_fd);
	if (h->main_fd >= 0)
		close(h->main_fd);
	if (h->guard_fd >= 0)
		close(h->guard_fd);
	pthread_cond_destroy(&h->work);
	pthread_cond_destroy(&h->claims);
	pthread_cond_destroy(&h->results);
	pthread_mutex_destroy(&h->lock);
}

void
hub_lock(struct hub *h)
{
	pthread_mutex_lock(&h->lock);
}

void
hub_unlock(struct hub *h)
{
	pthread_mutex_unlock(&h->lock);
}

void
hub_wait_locked(struct hub *h, pthread_cond_t *cond, int64_t until_us)
{
	int64_t wait_us;
	struct timespec until;

	if (until_us == INT64_MAX) {
		pthread_cond_wait(cond, &h->lock);
		return;
	}
	wait_us = until_us - clock_boottime_us();
	if (wait_us <= 0)
		return;
	/* Conditions know no CLOCK_BOOTTIME: the rest of the wait is counted on the clock they know. */
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t) (wait_us / CLOCK_US_PER_SECOND);
	until.tv_nsec += (long) (wait_us % CLOCK_US_PER_SECOND) * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(cond, &h->lock, &until);
}

static void
wake_all_locked(struct hub *h)
{
	pthread_cond_broadcast(&h->work);
	pthread_cond_broadcast(&h->claims);
	pthread_cond_broadcast(&h->results);
}

void
hub_enter(struct hub *h, enum hub_phase phase)
{
	hub_lock(h);
	if (phase > h->phase)
		h->phase = phase;
	wake_all_locked(h);
	hub_check_drained_locked(h);
	hub_unlock(h);
	hub_wake_consumer(h);
	ring(h->guard_fd);
}

enum hub_phase
hub_phase(struct hub *h)
{
	enum hub_phase phase;

	hub_lock(h);
	phase = h->phase;
	hub_unlock(h);
	return phase;
}

bool
hub_lease_fresh_locked(const struct hub *h, int64_t now_us)
{
	return h->worker[0] && h->beat_us > h->lost_us && now_us < h->beat_us + h->lease_us;
}

void
hub_registered(struct hub *h, const char *worker, int64_t sent_us, int64_t lease_us)
{
	hub_lock(h);
	memcpy(h->worker, worker, sizeof(h->worker));
	h->lapsed = false;
	h->beat_us = sent_us;
	h->lease_us = lease_us;
	wake_all_locked(h);
	hub_resume_locked(h, clock_boottime_us());
	hub_unlock(h);
	hub_wake_consumer(h);		/* it has a queue of this name */
	ring(h->guard_fd);			/* it passes the lease on */
}

void
hub_beat(struct hub *h, const char *worker, int64_t sent_us, int64_t lease_us)
{
	hub_lock(h);
	if (strcmp(h->worker, worker) == 0) {
		bool was_fresh = hub_lease_fresh_locked(h, clock_boottime_us());

		h->metrics.heartbeats++;
		h->lapsed = false;
		h->beat_us = sent_us;
		h->lease_us = lease_us;
		if (!was_fresh) {
			pthread_cond_broadcast(&h->work);
			pthread_cond_broadcast(&h->claims);
		}
		hub_resume_locked(h, clock_boottime_us());
	}
	hub_unlock(h);
}

void
hub_database_lost(struct hub *h)
{
	hub_lock(h);
	h->lost_us = clock_boottime_us();
	pthread_cond_broadcast(&h->results);	/* the next heartbeat is due at once */
	hub_unlock(h);
}

int64_t
hub_lease_until(struct hub *h)
{
	int64_t until_us;

	hub_lock(h);
	until_us = h->worker[0] ? h->beat_us + h->lease_us : 0;
	hub_unlock(h);
	return until_us;
}

int
hub_lapse(struct hub *h)
{
	int running = -1;

	hub_lock(h);
	if (h->worker[0] && !h->lapsed && clock_boottime_us() >= h->beat_us + h->lease_us) {
		h->lapsed = true;
		h->metrics.lapses++;
		runs_lapse_locked(h);
		running = h->runs.running;
	}
	hub_unlock(h);
	return running;
}

void
hub_link(struct hub *h, enum metrics_link link, bool up)
{
	hub_lock(h);
	metrics_link_locked(&h->metrics, link, up);
	hub_unlock(h);
}

void
hub_busy(struct hub *h, enum hub_thread thread, bool busy)
{
	atomic_store_explicit(&h->busy_us[thread], busy ? clock_boottime_us() : 0, memory_order_relaxed);
}

const char *
hub_thread_name(enum hub_thread thread)
{
	static const char *const names[] = {
		[HUB_CONSUMER] = "consumer", [HUB_CLAIMER] = "claimer", [HUB_FINISHER] = "finisher"
	};

	return names[thread];
}

void
hub_orders(struct hub *h)
{
	hub_lock(h);
	h->orders = true;
	h->metrics.orders++;
	pthread_cond_broadcast(&h->results);
	hub_unlock(h);
}

void
hub_unregistered(struct hub *h, const char *worker)
{
	hub_lock(h);
	if (h->worker[0] && strcmp(h->worker, worker) == 0) {
		log_event(LOG_LEVEL_WARNING, "the database does not know this worker any more", "worker", worker,
				  "dispatches_dropped", LOG_NUM(h->runs.nheld), NULL);
		h->worker[0] = '\0';
		runs_drop_all_locked(h);
		wake_all_locked(h);
	}
	hub_unlock(h);
}

int
hub_admit_locked(struct hub *h, int64_t now_us)
{
	const struct runs *r = &h->runs;
	struct backlog b = {
		.threads = r->threads,
		.idle = r->idle,
		.ready = r->ready.n,
		.ready_seconds = r->ready_seconds,
		.dispatch_seconds = backlog_expected(&r->dispatch_mean),
		.stalled_us = now_us - r->moved_us,
		.results = r->unrecorded,
		.result_bytes = r->unrecorded_bytes,
	};

	if (h->phase != HUB_RUNNING || !hub_lease_fresh_locked(h, now_us))
		return 0;
	return backlog_admit(&b);
}

void
hub_resume_locked(struct hub *h, int64_t now_us)
{
	if (hub_admit_locked(h, now_us) <= 0)
		return;
	if (h->inbox.paused)
		hub_wake_consumer(h);
	if (h->inbox.waiting.n > 0 && h->inbox.claiming.n == 0)
		pthread_cond_signal(&h->claims);
}

void
hub_wake_consumer(const struct hub *h)
{
	ring(h->consumer_fd);
}

void
hub_check_drained_locked(struct hub *h)
{
	if (h->phase >= HUB_DRAINING && h->runs.nheld == 0 && h->inbox.claiming.n == 0)
		ring(h->main_fd);
}
