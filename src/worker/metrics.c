/*
 * metrics.c: what a worker counts about itself, as text for Prometheus.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hub.h"
#include "prometheus.h"
#include "registry.h"
#include "version.h"

#define P	"jobsched_worker_"

/* Seconds; the last bucket has no limit. */
static const double limits[METRICS_BUCKETS - 1] = { 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 3600 };

static const char *const ends[METRICS_ENDS] = {
	[RUN_SUCCEEDED] = "succeeded",
	[RUN_FAILED] = "failed",
	[RUN_PERMANENT] = "failed_for_good",
	[RUN_CANCELLED] = "cancelled",
};

int
metrics_init(struct metrics *m, struct error *err)
{
	memset(m, 0, sizeof(*m));
	m->ntasks = registry_count() + 1;
	m->tasks = calloc((size_t) m->ntasks, sizeof(*m->tasks));
	return m->tasks ? 0 : error_set(err, "out of memory");
}

void
metrics_free(struct metrics *m)
{
	free(m->tasks);
	m->tasks = NULL;
}

void
metrics_recorded_locked(struct metrics *m, const struct run *run)
{
	struct metrics_task *task = &m->tasks[run->task >= 0 ? run->task : m->ntasks - 1];
	double seconds = (double) (run->ended_us - run->started_us) / 1e6;

	task->ended[run->out.end]++;
	if (run->started_us != 0)
		prometheus_observe(task->buckets, limits, METRICS_BUCKETS, &task->seconds, seconds);
}

void
metrics_link_locked(struct metrics *m, enum metrics_link link, bool up)
{
	if (m->links[link].up && !up)
		m->links[link].losses++;
	m->links[link].up = up;
}

const char *
metrics_link_name(enum metrics_link link)
{
	static const char *const names[METRICS_LINKS] = {
		[METRICS_BROKER] = "rabbitmq",
		[METRICS_CLAIMS] = "postgres_claims",
		[METRICS_RESULTS] = "postgres_results",
	};

	return names[link];
}

/* ---- text ---- */

static const char *
task_label(const struct metrics *m, int task)
{
	return task < m->ntasks - 1 ? registry_get(task)->name : "(unknown)";
}

/* task="...", to be freed; NULL when out of memory. */
static char *
task_labels(const struct metrics *m, int task)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	prometheus_label(out, "task", task_label(m, task));
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void
tasks(FILE *out, const struct metrics *m)
{
	prometheus_head(out, P "runs_total", "counter", "Attempts whose end was recorded.");
	for (int t = 0; t < m->ntasks; t++) {
		for (int end = 0; end < METRICS_ENDS; end++) {
			if (t == m->ntasks - 1 && m->tasks[t].ended[end] == 0)
				continue;
			fputs(P "runs_total{", out);
			prometheus_label(out, "task", task_label(m, t));
			fprintf(out, ",status=\"%s\"} %" PRIu64 "\n", ends[end], m->tasks[t].ended[end]);
		}
	}
	prometheus_head(out, P "run_seconds", "histogram", "How long tasks ran, of attempts whose end was recorded.");
	for (int t = 0; t < m->ntasks; t++) {
		const struct metrics_task *task = &m->tasks[t];
		char *labels = task_labels(m, t);

		if (labels)
			prometheus_histogram(out, P "run_seconds", labels, task->buckets, limits, METRICS_BUCKETS, task->seconds);
		free(labels);
	}
}

/* What is taken from the hub in one moment. */
struct snapshot {
	struct metrics metrics;
	int threads, running, ready, unrecorded, waiting, held;
	size_t unrecorded_bytes;
	bool registered, fresh, draining;
	double lease, lease_age;
};

static bool
take(struct hub *h, struct snapshot *s)
{
	int64_t now_us;
	size_t size;

	hub_lock(h);
	now_us = clock_boottime_us();
	s->metrics = h->metrics;
	size = (size_t) s->metrics.ntasks * sizeof(*s->metrics.tasks);
	s->metrics.tasks = malloc(size);
	if (s->metrics.tasks)
		memcpy(s->metrics.tasks, h->metrics.tasks, size);
	s->threads = h->runs.threads;
	s->running = h->runs.running;
	s->ready = h->runs.ready.n;
	s->held = h->runs.nheld;
	s->unrecorded = h->runs.unrecorded;
	s->unrecorded_bytes = h->runs.unrecorded_bytes;
	s->waiting = h->inbox.waiting.n + h->inbox.claiming.n;
	s->registered = h->worker[0] != '\0';
	s->fresh = hub_lease_fresh_locked(h, now_us);
	s->draining = h->phase != HUB_RUNNING;
	s->lease = (double) h->lease_us / 1e6;
	s->lease_age = s->registered ? (double) (now_us - h->beat_us) / 1e6 : 0;
	hub_unlock(h);
	return s->metrics.tasks != NULL;
}

char *
metrics_text(struct hub *h, const char *worker_id)
{
	struct snapshot s = { 0 };
	const struct metrics *m = &s.metrics;
	char *text = NULL;
	size_t size = 0;
	FILE *out;

	if (!take(h, &s))
		return NULL;
	out = open_memstream(&text, &size);
	if (!out) {
		metrics_free(&s.metrics);
		return NULL;
	}
	prometheus_head(out, P "info", "gauge", "Always 1.");
	fputs(P "info{version=\"" JOBSCHED_VERSION "\",", out);
	prometheus_label(out, "worker_id", worker_id);
	fputs("} 1\n", out);
	tasks(out, m);

	prometheus_gauge(out, P "threads", "Tasks that can run at the same time.", s.threads);
	prometheus_gauge(out, P "runs_in_flight", "Runs in a task now.", s.running);
	prometheus_gauge(out, P "runs_waiting", "Runs claimed and not started.", s.ready);
	prometheus_gauge(out, P "results_waiting", "Ended runs that are not recorded yet.", s.unrecorded);
	prometheus_gauge(out, P "results_waiting_bytes", "Size of their results.", (double) s.unrecorded_bytes);
	prometheus_gauge(out, P "dispatches_held", "Dispatches claimed and not done.", s.held);
	prometheus_gauge(out, P "messages_waiting", "Messages that are not claimed yet.", s.waiting);
	prometheus_gauge(out, P "draining", "1 after it was told to stop.", s.draining);

	prometheus_counter(out, P "claims_total", "Calls of claim that were answered.", m->claims);
	prometheus_counter(out, P "dispatches_asked_total", "Dispatches asked for in them.", m->dispatches_asked);
	prometheus_counter(out, P "dispatches_claimed_total", "Dispatches that they brought.", m->dispatches_claimed);
	prometheus_counter(out, P "runs_claimed_total", "Runs that they brought.", m->runs_claimed);
	prometheus_counter(out, P "runs_released_total", "Runs given back without being started.", m->runs_released);
	prometheus_counter(out, P "runs_cancelled_total", "Runs that were told to stop because their job was cancelled.", m->cancels);
	prometheus_counter(out, P "orders_total", "Words from the scheduler to ask for orders.", m->orders);
	prometheus_counter(out, P "runs_crashed_total", "Runs whose process ended without a result, or was killed.", m->crashes);
	prometheus_counter(out, P "stale_results_total", "Results thrown away because the run had been taken over.", m->stale_results);

	prometheus_gauge(out, P "registered", "1 while the database knows this worker.", s.registered);
	prometheus_gauge(out, P "lease_fresh", "1 while tasks may start.", s.fresh);
	prometheus_gauge(out, P "lease_seconds", "Length of the lease.", s.lease);
	prometheus_gauge(out, P "lease_age_seconds", "Since the last heartbeat that succeeded was sent.", s.lease_age);
	prometheus_counter(out, P "lease_lapses_total", "How often the lease ran out.", m->lapses);
	prometheus_counter(out, P "heartbeats_total", "Heartbeats that succeeded.", m->heartbeats);

	prometheus_head(out, P "connected", "gauge", "1 while the connection is there.");
	for (int i = 0; i < METRICS_LINKS; i++)
		fprintf(out, P "connected{to=\"%s\"} %d\n", metrics_link_name((enum metrics_link) i), m->links[i].up);
	prometheus_head(out, P "connection_losses_total", "counter", "How often the connection was lost.");
	for (int i = 0; i < METRICS_LINKS; i++)
		fprintf(out, P "connection_losses_total{to=\"%s\"} %" PRIu64 "\n", metrics_link_name((enum metrics_link) i),
				m->links[i].losses);
	prometheus_process(out);
	metrics_free(&s.metrics);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
