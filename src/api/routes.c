/*
 * routes.c: which path and method is whose.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "clock.h"
#include "log.h"
#include "uuid.h"

void
routes_list(struct exchange *x)
{
	char text[8192];
	size_t len = 0;

	len += (size_t) snprintf(text, sizeof(text), "jobsched REST API\n\n");
	for (const struct route *r = api_routes; r->path && len < sizeof(text); r++)
		len += (size_t) snprintf(text + len, sizeof(text) - len, "%-7s %-28s %-10s %s\n",
		        http_method_name(r->method), r->path, api_role_name(r->role), r->help);
	answer_text(x, 200, text);
}

/* A function of this program answers. */
#define HANDLER(how, where, who, function, about, ...)                                                            \
	{                                                                                                         \
		.path = where, .method = HTTP_METHOD_##how, .role = API_##who, .handle = function, .help = about, \
		__VA_ARGS__                                                                                       \
	}

/* A function of the database does. */
#define CALL(how, where, who, what, about, ...)                                                     \
	{                                                                                           \
		.path = where, .method = HTTP_METHOD_##how, .role = API_##who, .handle = rest_call, \
		.statement = DB_##what, .help = about, __VA_ARGS__                                  \
	}

const struct route api_routes[] = {
        HANDLER(GET, "/", ANYBODY, web_root, "the dashboard for browsers, this list for others"),
        CALL(GET, "/jobs", VIEWER, JOBS, "jobs, newest first",
                .query = "status name queue frequency schedule q created_after created_before limit cursor"),
        HANDLER(POST, "/jobs", SUBMITTER, jobs_post, "submit a job"),
        HANDLER(POST, "/jobs/batch", SUBMITTER, batch_post, "submit many jobs"),
        CALL(POST, "/jobs/cancel", ADMIN, CANCEL_MANY, "cancel many jobs", .body = true),
        CALL(POST, "/jobs/retry", ADMIN, RETRY_MANY, "try many ended jobs anew", .body = true),
        HANDLER(GET, "/jobs/{id}", VIEWER, jobs_get, "a job with its status and last execution", .query = "wait"),
        CALL(PATCH, "/jobs/{id}", SUBMITTER, ALTER, "change a once job that has not started", .body = true),
        HANDLER(DELETE, "/jobs/{id}", SUBMITTER, jobs_delete, "cancel a job"),
        CALL(GET, "/jobs/{id}/executions", VIEWER, EXECUTIONS, "its runs and their attempts", .query = "limit cursor"),
        CALL(GET, "/jobs/{id}/explain", VIEWER, EXPLAIN, "why has it not run?"),
        HANDLER(GET, "/jobs/{id}/artifacts/{name}", VIEWER, artifact_get, "the bytes of an artifact",
                .query = "run_at attempt redirect"),
        CALL(POST, "/jobs/{id}/pause", SUBMITTER, PAUSE, "hold it back"),
        CALL(POST, "/jobs/{id}/resume", SUBMITTER, RESUME, "let it go on"),
        CALL(POST, "/jobs/{id}/run", SUBMITTER, RUN, "run it once more, now"),
        CALL(POST, "/jobs/{id}/retry", SUBMITTER, RETRY, "try it anew"),
        CALL(GET, "/schedules", VIEWER, SCHEDULES, "cron jobs, newest first", .query = "q next limit cursor"),
        CALL(GET, "/schedules/{name}", VIEWER, SCHEDULE, "a schedule", .query = "next"),
        CALL(PUT, "/schedules/{name}", SUBMITTER, PUT_SCHEDULE, "make or change a schedule", .body = true),
        CALL(DELETE, "/schedules/{name}", SUBMITTER, DELETE_SCHEDULE, "end a schedule"),
        CALL(POST, "/schedules/{name}/pause", SUBMITTER, PAUSE_SCHEDULE, "let its times pass"),
        CALL(POST, "/schedules/{name}/resume", SUBMITTER, RESUME_SCHEDULE, "go on with its next time"),
        CALL(POST, "/schedules/{name}/run", SUBMITTER, RUN_SCHEDULE, "run it now"),
        CALL(GET, "/queues", VIEWER, QUEUES, "queues and what waits in them", .query = "limit cursor"),
        CALL(GET, "/queues/{name}", VIEWER, QUEUE, "a queue"),
        CALL(POST, "/queues/{name}/pause", ADMIN, PAUSE_QUEUE, "hand out nothing more of it"),
        CALL(POST, "/queues/{name}/resume", ADMIN, RESUME_QUEUE, "hand out its jobs again"),
        CALL(GET, "/workers", VIEWER, WORKERS, "workers, live ones first", .query = "state limit"),
        CALL(GET, "/cron/next", VIEWER, CRON_NEXT, "the next times of a cron expression",
                .query = "expr time_zone n after"),
        CALL(GET, "/stats", VIEWER, STATS, "counts by status, workers, schedulers, tables", .query = "tables"),
        CALL(GET, "/stats/history", VIEWER, HISTORY, "throughput and latency by minute", .query = "minutes"),
        HANDLER(GET, "/healthz", ANYBODY, health_live, "200 while this process serves"),
        HANDLER(GET, "/readyz", ANYBODY, health_ready, "200 when database and scheduler work, else 503"),
        HANDLER(GET, "/metrics", VIEWER, metrics_get, "numbers for Prometheus"),
        HANDLER(GET, "/openapi.json", ANYBODY, openapi_get, "these calls in OpenAPI 3.1"),
        HANDLER(GET, "/whoami", ANYBODY, guard_whoami, "what the caller may do"),
        HANDLER(GET, "/docs", ANYBODY, web_get, "these calls, to read and to try, for browsers"),
        HANDLER(GET, "/docs/*", ANYBODY, web_get, "what that page is made of"),
        HANDLER(GET, "/web/*", ANYBODY, web_get, "what the pages are made of"),
        {.path = NULL},
};

void
routes_print(FILE *out)
{
	for (const struct route *r = api_routes; r->path; r++)
		fprintf(out, "%s\t%s\t%s\t%s\n", http_method_name(r->method), r->path, api_role_name(r->role),
		        r->query ? r->query : "");
}

/* A part of a path that stands in braces. */
struct part {
	const char *text;
	size_t len;
};

static bool
path_matches(const char *pattern, const char *path, struct part parts[ROUTE_MAX_PARTS], int *n)
{
	*n = 0;
	while (*pattern && *pattern != '*') {
		size_t len;

		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		len = strcspn(path, "/");
		if (len == 0 || (strncmp(pattern, "{id}", 4) == 0 && uuid_from_text(path, len, NULL) < 0))
			return false;
		parts[*n].text = path;
		parts[(*n)++].len = len;
		path += len;
		pattern = strchr(pattern, '}') + 1;
	}
	return *pattern == '*' || *path == '\0';
}

/* Decodes the parts of a path that stand in braces; an id in the first goes to x->id too, in lower case. */
static int
take_parts(struct exchange *x, const struct part *parts, int n)
{
	for (int i = 0; i < n; i++) {
		x->parts[i] = malloc(parts[i].len + 1);
		if (!x->parts[i] || http_decode(parts[i].text, parts[i].len, false, x->parts[i]) < 0)
			return -1;
	}
	if (n > 0 && strstr(x->route->path, "{id}")) {
		for (size_t i = 0; i < UUID_TEXT_SIZE; i++)
			x->id[i] = (char) tolower((unsigned char) x->parts[0][i]);
	}
	return 0;
}

static void
allow_text(unsigned known, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned bit = HTTP_METHOD_GET; bit < HTTP_METHOD_OTHER; bit <<= 1) {
		if ((known & bit) && len < size)
			len += (size_t) snprintf(out + len, size - len, "%s%s", len ? ", " : "",
			        http_method_name((enum http_method) bit));
	}
}

/* No route takes it: 204 for OPTIONS, 405 on a known path, 404 elsewhere. */
static void
answer_unrouted(struct exchange *x, unsigned known)
{
	const char *path = http_request_path(x->request);
	enum http_method method = http_request_method(x->request);
	struct problem problem;
	char allow[96];

	if (!known) {
		if (strncmp(path, "/jobs/", 6) == 0)
			problem_set(&problem, 404, "unknown-job", NULL,
			        "no job has the id \"%.100s\"; an id is a uuid of 36 characters", path + 6);
		else
			problem_set(&problem, 404, "unknown-path", NULL,
			        "there is nothing at \"%.100s\"; GET / lists what there is", path);
		answer_problem(x, &problem, NULL);
		return;
	}
	known |= HTTP_METHOD_OPTIONS;
	allow_text(known, allow, sizeof(allow));
	if (method == HTTP_METHOD_OPTIONS) {
		answer_empty(x, 204, allow);
		return;
	}
	problem_set(&problem, 405, "method-not-allowed", NULL, "%s is not for this path; allowed: %s",
	        http_method_name(method), allow);
	answer_problem(x, &problem, allow);
}

static void
handle(struct exchange *x, const struct part *parts, int n)
{
	struct problem problem;

	if (take_parts(x, parts, n) == 0) {
		x->route->handle(x);
		return;
	}
	problem_set(&problem, 503, "unavailable", NULL, "out of memory");
	answer_problem(x, &problem, NULL);
}

static struct exchange *
new_exchange(struct http_request *request, struct api *api)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (!x) {
		struct http_response response = {.status = 503, .headers = {{"Retry-After", "1"}}};

		http_respond(request, &response);
		return NULL;
	}
	x->api = api;
	x->request = request;
	x->started_us = clock_boottime_us();
	return x;
}

/* Sets x->route, or returns the methods that its path knows. */
static unsigned
find_route(struct exchange *x, struct part parts[ROUTE_MAX_PARTS], int *n)
{
	const char *path = http_request_path(x->request);
	enum http_method method = http_request_method(x->request);
	unsigned known = 0;

	for (const struct route *r = api_routes; r->path; r++) {
		if (!path_matches(r->path, path, parts, n))
			continue;
		known |= r->method;
		if (r->method == HTTP_METHOD_GET)
			known |= HTTP_METHOD_HEAD;
		if (r->method == method || (r->method == HTTP_METHOD_GET && method == HTTP_METHOD_HEAD)) {
			x->route = r;
			break;
		}
	}
	return known;
}

void
route_request(struct http_request *request, void *arg)
{
	struct exchange *x = new_exchange(request, arg);
	struct part parts[ROUTE_MAX_PARTS];
	unsigned known;
	int n;

	if (!x)
		return;
	known = find_route(x, parts, &n);
	if (!x->route)
		answer_unrouted(x, known);
	else if (guard_check(x, x->route->role) == 0)
		handle(x, parts, n);
}

void
route_admit(struct http_request *request, void *arg)
{
	struct exchange *x = new_exchange(request, arg);
	struct part parts[ROUTE_MAX_PARTS];
	int n;

	if (!x)
		return;
	find_route(x, parts, &n);
	if (!x->route || guard_check(x, x->route->role) == 0)
		exchange_free(x);
}
