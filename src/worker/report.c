/*
 * report.c: the worker's state for people.
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"

static const char *
phase_name(enum hub_phase phase)
{
	static const char *const names[] = {
		[HUB_RUNNING] = "running",
		[HUB_DRAINING] = "draining",
		[HUB_FLUSHING] = "flushing",
		[HUB_CLOSING] = "closing",
	};

	return names[phase];
}

void
report_line(struct hub *h, char *out, size_t size)
{
	hub_lock(h);
	snprintf(out, size, "%s: %d of %d threads busy, %d runs waiting, %s, broker %s", phase_name(h->phase), h->runs.running,
			 h->runs.threads, h->runs.ready.n,
			 !h->worker[0]												? "not registered"
			 : hub_lease_fresh_locked(h, clock_boottime_us()) ? "lease fresh"
																		: "lease not fresh",
			 h->metrics.links[METRICS_BROKER].up ? "connected" : "not connected");
	hub_unlock(h);
}

/* A task that runs, copied so that it can be logged without the lock. */
struct running {
	char job[UUID_TEXT_SIZE];
	char name[256];
	int attempt;
	int64_t seconds;
	unsigned stop;
};

static int
copy_running_locked(const struct hub *h, struct running *list, int max, int64_t now_us)
{
	int n = 0;

	for (const struct dispatch *d = h->runs.held; d; d = d->next) {
		for (int i = 0; i < d->n && n < max; i++) {
			const struct run *run = &d->runs[i];

			if (run->state != RUN_RUNNING)
				continue;
			snprintf(list[n].job, sizeof(list[n].job), "%s", run->job_id);
			snprintf(list[n].name, sizeof(list[n].name), "%s", run->name);
			list[n].attempt = run->attempt;
			list[n].seconds = (now_us - run->started_us) / CLOCK_US_PER_SECOND;
			list[n++].stop = atomic_load(&run->stop);
		}
	}
	return n;
}

static const char *
up(const struct hub *h, enum metrics_link link)
{
	return h->metrics.links[link].up ? "yes" : "no";
}

void
report_log(struct hub *h)
{
	int64_t now_us = clock_boottime_us();
	struct running *list;
	struct hub now;
	int n = 0;

	hub_lock(h);
	list = calloc((size_t) h->runs.threads, sizeof(*list));
	if (list)
		n = copy_running_locked(h, list, h->runs.threads, now_us);
	now = *h;	/* for its numbers only */
	hub_unlock(h);

	log_event(LOG_LEVEL_INFO, "state", "phase", phase_name(now.phase), "worker", now.worker, "lease_age_ms",
			  LOG_NUM(now.worker[0] ? (now_us - now.beat_us) / 1000 : -1), "lease_ms", LOG_NUM(now.lease_us / 1000),
			  "lease_fresh", hub_lease_fresh_locked(&now, now_us) ? "yes" : "no", "threads", LOG_NUM(now.runs.threads),
			  "running", LOG_NUM(now.runs.running), "waiting", LOG_NUM(now.runs.ready.n), "unrecorded",
			  LOG_NUM(now.runs.unrecorded), "dispatches", LOG_NUM(now.runs.nheld), "messages", LOG_NUM(now.inbox.waiting.n),
			  "claiming", LOG_NUM(now.inbox.claiming.n), "consuming", now.inbox.paused ? "no" : "yes", "broker",
			  up(&now, METRICS_BROKER), "claims_connection", up(&now, METRICS_CLAIMS), "results_connection",
			  up(&now, METRICS_RESULTS), NULL);
	for (int i = 0; i < n; i++)
		log_event(LOG_LEVEL_INFO, "state of a task", "job", list[i].job, "task", list[i].name, "attempt",
				  LOG_NUM(list[i].attempt), "seconds", LOG_NUM(list[i].seconds), "told_to_stop",
				  list[i].stop ? "yes" : "no", NULL);
	free(list);
}
