/*
 * metrics.c: GET /metrics: the numbers of this process, and those of the database when it answers.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "clock.h"
#include "prometheus.h"
#include "version.h"

#define P "jobsched_api_"

#define STATUSES 24 /* of one route that are told apart */
#define BUCKETS 12

/* Seconds; the last bucket has no limit. */
static const double limits[BUCKETS - 1] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5};

struct status_count {
	int status; /* 0: unused; what finds no place counts in the last, as 0 */
	uint64_t n;
};

struct route_count {
	struct status_count statuses[STATUSES];
	uint64_t buckets[BUCKETS];
	double seconds;
};

struct metrics {
	struct route_count *routes; /* as api_routes, and one for what has none */
	int n_routes;
	struct status_count refused[STATUSES];
};

struct metrics *
metrics_new(void)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	while (api_routes[m->n_routes].path)
		m->n_routes++;
	m->routes = calloc((size_t) m->n_routes + 1, sizeof(*m->routes));
	if (!m->routes) {
		free(m);
		return NULL;
	}
	return m;
}

void
metrics_free(struct metrics *m)
{
	if (m)
		free(m->routes);
	free(m);
}

static void
count(struct status_count *statuses, int status)
{
	int i = 0;

	while (i < STATUSES - 1 && statuses[i].status != status && statuses[i].status != 0)
		i++;
	statuses[i].status = i < STATUSES - 1 ? status : 0;
	statuses[i].n++;
}

void
metrics_answered(struct metrics *m, const struct exchange *x, int status)
{
	struct route_count *route = &m->routes[x->route ? x->route - api_routes : m->n_routes];
	double seconds = (double) (clock_boottime_us() - x->started_us) / CLOCK_US_PER_SECOND;

	count(route->statuses, status);
	if (!x->waited)
		prometheus_observe(route->buckets, limits, BUCKETS, &route->seconds, seconds);
}

void
metrics_refused(struct metrics *m, int status)
{
	count(m->refused, status);
}

/*
 * Text
 */

/* method="...",route="..."; neither needs escapes. */
static void
route_labels(int route, const struct metrics *m, char *out, size_t size)
{
	if (route == m->n_routes)
		snprintf(out, size, "method=\"\",route=\"(none)\"");
	else
		snprintf(out, size, "method=\"%s\",route=\"%s\"", http_method_name(api_routes[route].method),
		        api_routes[route].path);
}

static void
requests(FILE *out, const struct metrics *m)
{
	char labels[160];

	prometheus_head(out, P "requests_total", "counter", "Requests that were answered.");
	for (int r = 0; r <= m->n_routes; r++) {
		route_labels(r, m, labels, sizeof(labels));
		for (int i = 0; i < STATUSES; i++) {
			const struct status_count *status = &m->routes[r].statuses[i];

			if (status->n)
				fprintf(out, P "requests_total{%s,status=\"%d\"} %" PRIu64 "\n", labels, status->status,
				        status->n);
		}
	}
	prometheus_head(out, P "request_seconds", "histogram",
	        "From a whole request to its answer; without those that wait for a job to end.");
	for (int r = 0; r <= m->n_routes; r++) {
		route_labels(r, m, labels, sizeof(labels));
		prometheus_histogram(out, P "request_seconds", labels, m->routes[r].buckets, limits, BUCKETS,
		        m->routes[r].seconds);
	}
	prometheus_head(out, P "refused_total", "counter",
	        "Requests that never came to a route: no HTTP, too large, too slow.");
	for (int i = 0; i < STATUSES; i++) {
		if (m->refused[i].n)
			fprintf(out, P "refused_total{status=\"%d\"} %" PRIu64 "\n", m->refused[i].status,
			        m->refused[i].n);
	}
}

static void
statements(FILE *out, const struct db_counts *counts)
{
	prometheus_head(out, P "statements_total", "counter", "Statements that the database was asked to execute.");
	for (int i = 0; i < DB_STATEMENTS; i++) {
		if (counts->statements[i])
			fprintf(out, P "statements_total{statement=\"%s\"} %" PRIu64 "\n",
			        db_statement_name((enum db_statement) i), counts->statements[i]);
	}
	prometheus_head(out, P "statement_calls_total", "counter", "Calls that these carried: requests share them.");
	for (int i = 0; i < DB_STATEMENTS; i++) {
		if (counts->statements[i])
			fprintf(out, P "statement_calls_total{statement=\"%s\"} %" PRIu64 "\n",
			        db_statement_name((enum db_statement) i), counts->calls[i]);
	}
}

/* Of this process; then the database's, when there are any. */
static char *
text(const struct api *api, const char *database)
{
	struct db_counts counts;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	db_count(api->db, &counts);
	prometheus_head(out, P "info", "gauge", "Always 1.");
	fputs(P "info{version=\"" JOBSCHED_VERSION "\"} 1\n", out);
	requests(out, api->metrics);
	prometheus_gauge(out, P "connections", "Clients that are connected.",
	        (double) http_server_connections(api->server));
	prometheus_gauge(out, P "database_up", "1 when the database has answered this scrape.", database != NULL);
	prometheus_gauge(out, P "database_connections", "Connections to the database that are up.", counts.up);
	prometheus_gauge(out, P "calls_waiting", "Calls of the database that wait for a connection.", counts.waiting);
	statements(out, &counts);
	prometheus_process(out);
	if (database)
		fputs(database, out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void
on_metrics(struct db_call *call, const struct db_answer *answer)
{
	struct exchange *x = (struct exchange *) call;
	struct http_response response = {.status = 200,
	        .content_type = "text/plain; version=0.0.4; charset=utf-8",
	        .headers = {{"Cache-Control", "no-store"}}};
	char *body = text(x->api, answer->outcome == DB_OK ? answer->columns[0] : NULL);
	struct problem problem;

	if (!body) {
		problem_set(&problem, 503, "unavailable", NULL, "out of memory");
		answer_problem(x, &problem, NULL);
		return;
	}
	response.body = body;
	response.body_len = strlen(body);
	answer_response(x, &response);
	free(body);
}

void
metrics_get(struct exchange *x)
{
	x->call.statement = DB_METRICS;
	x->call.done = on_metrics;
	db_call_send(x->api->db, &x->call);
}
