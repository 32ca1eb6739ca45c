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

/* "{id}" stands for a uuid.  GET answers HEAD too, and every path answers OPTIONS. */
static const struct route {
	const char *path;
	enum http_method method;
	enum api_role role; /* the least that may call it */
	void (*handle)(struct exchange *x);
	const char *help;
} routes[];

static void
list_routes(struct exchange *x)
{
	char text[2048];
	size_t len = 0;

	len += (size_t) snprintf(text, sizeof(text), "jobsched REST API\n\n");
	for (const struct route *r = routes; r->path && len < sizeof(text); r++)
		len += (size_t) snprintf(text + len, sizeof(text) - len, "%-7s %-14s %s\n", http_method_name(r->method),
		        r->path, r->help);
	answer_text(x, 200, text);
}

static const struct route routes[] = {{"/", HTTP_METHOD_GET, API_ANYBODY, list_routes, "this list"},
        {"/jobs", HTTP_METHOD_POST, API_SUBMITTER, jobs_post, "submit a job"},
        {"/jobs/batch", HTTP_METHOD_POST, API_SUBMITTER, batch_post, "submit many jobs"},
        {"/jobs/{id}", HTTP_METHOD_GET, API_VIEWER, jobs_get, "a job with its status and last execution"},
        {"/jobs/{id}", HTTP_METHOD_DELETE, API_SUBMITTER, jobs_delete, "cancel a job"},
        {"/healthz", HTTP_METHOD_GET, API_ANYBODY, health_live, "200 while this process serves"},
        {"/readyz", HTTP_METHOD_GET, API_ANYBODY, health_ready, "200 when database and scheduler work, else 503"},
        {NULL, HTTP_METHOD_OTHER, API_ADMIN, NULL, NULL}};

static bool
path_matches(const char *pattern, const char *path, char *id)
{
	const char *brace = strchr(pattern, '{');
	size_t fixed;

	if (!brace)
		return strcmp(pattern, path) == 0;
	fixed = (size_t) (brace - pattern);
	if (strncmp(pattern, path, fixed) != 0 || uuid_from_text(path + fixed, strlen(path + fixed), NULL) < 0)
		return false;
	for (size_t i = 0; i < UUID_TEXT_SIZE; i++)
		id[i] = (char) tolower((unsigned char) path[fixed + i]);
	return true;
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

void
route_request(struct http_request *request, void *arg)
{
	const char *path = http_request_path(request);
	enum http_method method = http_request_method(request);
	struct exchange *x = calloc(1, sizeof(*x));
	unsigned known = 0;

	if (!x) {
		struct http_response response = {.status = 503, .headers = {{"Retry-After", "1"}}};

		http_respond(request, &response);
		return;
	}
	x->api = arg;
	x->request = request;
	x->started_us = clock_boottime_us();

	for (const struct route *r = routes; r->path; r++) {
		if (!path_matches(r->path, path, x->id))
			continue;
		known |= r->method;
		if (r->method == HTTP_METHOD_GET)
			known |= HTTP_METHOD_HEAD;
		if (r->method == method || (r->method == HTTP_METHOD_GET && method == HTTP_METHOD_HEAD)) {
			if (guard_check(x, r->role) == 0)
				r->handle(x);
			return;
		}
	}
	answer_unrouted(x, known);
}
