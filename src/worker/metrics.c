/*
 * metrics.c: what a worker counts about itself, as text for Prometheus.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "hub.h"
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
	int bucket = 0;

	task->ended[run->out.end]++;
	if (run->started_us == 0)
		return;
	while (bucket < METRICS_BUCKETS - 1 && seconds > limits[bucket])
		bucket++;
	task->buckets[bucket]++;
	task->seconds += seconds;
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

static void
head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
counter(FILE *out, const char *name, const char *help, uint64_t n)
{
	head(out, name, "counter", help);
	fprintf(out, "%s %" PRIu64 "\n", name, n);
}

static void
gauge(FILE *out, const char *name, const char *help, double value)
{
	head(out, name, "gauge", help);
	fprintf(out, "%s %.15g\n", name, value);
}

/* label="value", escaped as the format wants it. */
static void
label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', out);
		if (*value == '\n')
			fputs("\\n", out);
		else
			fputc(*value, out);
	}
	fputc('"', out);
}

static const char *
task_label(const struct metrics *m, int task)
{
	return task < m->ntasks - 1 ? registry_get(task)->name : "(unknown)";
}

static uint64_t
observed(const struct metrics_task *task)
{
	uint64_t n = 0;

	for (int i = 0; i < METRICS_BUCKETS; i++)
		n += task->buckets[i];
	return n;
}

static void
tasks(FILE *out, const struct metrics *m)
{
	head(out, P "runs_total", "counter", "Attempts whose end was recorded.");
	for (int t = 0; t < m->ntasks; t++) {
		for (int end = 0; end < METRICS_ENDS; end++) {
			if (t == m->ntasks - 1 && m->tasks[t].ended[end] == 0)
				continue;
			fputs(P "runs_total{", out);
			label(out, "task", task_label(m, t));
			fprintf(out, ",status=\"%s\"} %" PRIu64 "\n", ends[end], m->tasks[t].ended[end]);
		}
	}
	head(out, P "run_seconds", "histogram", "How long tasks ran, of attempts whose end was recorded.");
	for (int t = 0; t < m->ntasks; t++) {
		const struct metrics_task *task = &m->tasks[t];
		uint64_t all = observed(task), n = 0;

		if (all == 0)
			continue;
		for (int i = 0; i < METRICS_BUCKETS; i++) {
			fputs(P "run_seconds_bucket{", out);
			label(out, "task", task_label(m, t));
			n += task->buckets[i];
			if (i < METRICS_BUCKETS - 1)
				fprintf(out, ",le=\"%g\"} %" PRIu64 "\n", limits[i], n);
			else
				fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n", n);
		}
		fputs(P "run_seconds_sum{", out);
		label(out, "task", task_label(m, t));
		fprintf(out, "} %.9g\n" P "run_seconds_count{", task->seconds);
		label(out, "task", task_label(m, t));
		fprintf(out, "} %" PRIu64 "\n", all);
	}
}

static void
process(FILE *out)
{
	struct rusage used;
	long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "re");

	if (statm) {
		if (fscanf(statm, "%*s %ld", &pages) != 1)
			pages = 0;
		fclose(statm);
	}
	gauge(out, "process_resident_memory_bytes", "Resident memory.", (double) pages * (double) sysconf(_SC_PAGESIZE));
	if (getrusage(RUSAGE_SELF, &used) == 0) {
		head(out, "process_cpu_seconds_total", "counter", "Processor time, user and system.");
		fprintf(out, "process_cpu_seconds_total %.6f\n",
				(double) (used.ru_utime.tv_sec + used.ru_stime.tv_sec)
					+ (double) (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
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
	head(out, P "info", "gauge", "Always 1.");
	fputs(P "info{version=\"" JOBSCHED_VERSION "\",", out);
	label(out, "worker_id", worker_id);
	fputs("} 1\n", out);
	tasks(out, m);

	gauge(out, P "threads", "Tasks that can run at the same time.", s.threads);
	gauge(out, P "runs_in_flight", "Runs in a task now.", s.running);
	gauge(out, P "runs_waiting", "Runs claimed and not started.", s.ready);
	gauge(out, P "results_waiting", "Ended runs that are not recorded yet.", s.unrecorded);
	gauge(out, P "results_waiting_bytes", "Size of their results.", (double) s.unrecorded_bytes);
	gauge(out, P "dispatches_held", "Dispatches claimed and not done.", s.held);
	gauge(out, P "messages_waiting", "Messages that are not claimed yet.", s.waiting);
	gauge(out, P "draining", "1 after it was told to stop.", s.draining);

	counter(out, P "claims_total", "Calls of claim that were answered.", m->claims);
	counter(out, P "dispatches_asked_total", "Dispatches asked for in them.", m->dispatches_asked);
	counter(out, P "dispatches_claimed_total", "Dispatches that they brought.", m->dispatches_claimed);
	counter(out, P "runs_claimed_total", "Runs that they brought.", m->runs_claimed);
	counter(out, P "runs_released_total", "Runs given back without being started.", m->runs_released);
	counter(out, P "runs_cancelled_total", "Runs that were told to stop because their job was cancelled.", m->cancels);
	counter(out, P "orders_total", "Words from the scheduler to ask for orders.", m->orders);
	counter(out, P "runs_crashed_total", "Runs whose process ended without a result, or was killed.", m->crashes);
	counter(out, P "stale_results_total", "Results thrown away because the run had been taken over.", m->stale_results);

	gauge(out, P "registered", "1 while the database knows this worker.", s.registered);
	gauge(out, P "lease_fresh", "1 while tasks may start.", s.fresh);
	gauge(out, P "lease_seconds", "Length of the lease.", s.lease);
	gauge(out, P "lease_age_seconds", "Since the last heartbeat that succeeded was sent.", s.lease_age);
	counter(out, P "lease_lapses_total", "How often the lease ran out.", m->lapses);
	counter(out, P "heartbeats_total", "Heartbeats that succeeded.", m->heartbeats);

	head(out, P "connected", "gauge", "1 while the connection is there.");
	for (int i = 0; i < METRICS_LINKS; i++)
		fprintf(out, P "connected{to=\"%s\"} %d\n", metrics_link_name((enum metrics_link) i), m->links[i].up);
	head(out, P "connection_losses_total", "counter", "How often the connection was lost.");
	for (int i = 0; i < METRICS_LINKS; i++)
		fprintf(out, P "connection_losses_total{to=\"%s\"} %" PRIu64 "\n", metrics_link_name((enum metrics_link) i),
				m->links[i].losses);
	process(out);
	metrics_free(&s.metrics);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
