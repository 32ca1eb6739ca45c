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
yes(bool what)
{
	return what ? "yes" : "no";
}

void
report_log(struct hub *h)
{
	int64_t now_us = clock_boottime_us();
	char worker[UUID_TEXT_SIZE];
	struct running *list;
	enum hub_phase phase;
	int64_t lease_us, age_us;
	bool fresh, consuming, up[METRICS_LINKS];
	int n = 0, threads, running, ready, unrecorded, held, waiting, claiming;

	hub_lock(h);
	list = calloc((size_t) h->runs.threads, sizeof(*list));
	if (list)
		n = copy_running_locked(h, list, h->runs.threads, now_us);
	memcpy(worker, h->worker, sizeof(worker));
	phase = h->phase;
	lease_us = h->lease_us;
	age_us = now_us - h->beat_us;
	fresh = hub_lease_fresh_locked(h, now_us);
	consuming = !h->inbox.paused;
	for (int i = 0; i < METRICS_LINKS; i++)
		up[i] = h->metrics.links[i].up;
	threads = h->runs.threads;
	running = h->runs.running;
	ready = h->runs.ready.n;
	unrecorded = h->runs.unrecorded;
	held = h->runs.nheld;
	waiting = h->inbox.waiting.n;
	claiming = h->inbox.claiming.n;
	hub_unlock(h);

	log_event(LOG_LEVEL_INFO, "state", "phase", phase_name(phase), "worker", worker, "lease_age_ms",
			  LOG_NUM(worker[0] ? age_us / 1000 : -1), "lease_ms", LOG_NUM(lease_us / 1000), "lease_fresh", yes(fresh),
			  "threads", LOG_NUM(threads), "running", LOG_NUM(running), "waiting", LOG_NUM(ready), "unrecorded",
			  LOG_NUM(unrecorded), "dispatches", LOG_NUM(held), "messages", LOG_NUM(waiting), "claiming",
			  LOG_NUM(claiming), "consuming", yes(consuming), "broker", yes(up[METRICS_BROKER]), "claims_connection",
			  yes(up[METRICS_CLAIMS]), "results_connection", yes(up[METRICS_RESULTS]), NULL);
	for (int i = 0; i < n; i++)
		log_event(LOG_LEVEL_INFO, "state of a task", "job", list[i].job, "task", list[i].name, "attempt",
				  LOG_NUM(list[i].attempt), "seconds", LOG_NUM(list[i].seconds), "told_to_stop",
				  yes(list[i].stop != 0), NULL);
	free(list);
}
