/*
 * jobs.c: POST /jobs, GET and DELETE /jobs/{id}.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api.h"
#include "jobspec.h"

static void
on_submitted(struct db_call *call, const struct db_answer *answer)
{
	struct exchange *x = (struct exchange *) call;
	const char *created = answer->columns[0], *id = answer->columns[1], *job = answer->columns[2];
	char location[64];

	if (answer->outcome != DB_OK || !created || !id || !job) {
		answer_db_problem(x, answer);
		return;
	}
	if (created[0] != 't') {
		answer_json(x, 200, job, NULL);
		return;
	}
	snprintf(location, sizeof(location), "/jobs/%s", id);
	answer_json(x, 201, job, location);
}

/* "application/json", with or without parameters; UTF-8 is the only charset JSON knows (RFC 8259). */
static bool
is_json_type(const char *type)
{
	static const char json[] = "application/json";

	if (strncasecmp(type, json, sizeof(json) - 1) != 0)
		return false;
	type += sizeof(json) - 1;
	return *type == '\0' || *type == ';' || *type == ' ' || *type == '\t';
}

int
request_json(struct exchange *x, const char **body, size_t *len)
{
	const char *type = http_request_header(x->request, "Content-Type");
	struct problem problem;

	*body = http_request_body(x->request, len);
	if (type && !is_json_type(type))
		problem_set(&problem, 415, "unsupported-media-type", NULL,
		        "Content-Type is \"%.100s\"; allowed: application/json", type);
	else if (!*body)
		problem_set(&problem, 503, "unavailable", NULL, "out of memory");
	else if (*len > x->api->max_body)
		problem_set(&problem, 413, "too-large", NULL, "the body has %zu bytes; allowed: up to %zu", *len,
		        x->api->max_body);
	else
		return 0;
	answer_problem(x, &problem, NULL);
	return -1;
}

/*
 * Idempotency-Key is another place for the unique_key.  It is put behind the body's other fields, where it counts also
 * when one of them is "unique_key": null.
 */
static int
take_key(struct exchange *x, const char **body, size_t *len, struct problem *problem)
{
	const char *key = http_request_header(x->request, "Idempotency-Key");
	size_t end = *len;
	json_t *value;
	char *text;
	int n;

	if (!key)
		return 0;
	if (x->key && strcmp(x->key, key) != 0)
		return problem_set(problem, 422, "invalid-field", "unique_key",
		        "unique_key is \"%.60s\", Idempotency-Key \"%.60s\"; allowed: one of them, or the same twice",
		        x->key, key);
	if (x->key)
		return 0;
	value = json_string(key);
	if (!value || !*key) {
		json_decref(value);
		return problem_set(problem, 422, "invalid-field", "Idempotency-Key",
		        "Idempotency-Key is empty or no UTF-8; allowed: a unique_key");
	}
	text = json_dumps(value, JSON_ENCODE_ANY);
	json_decref(value);
	x->key = strdup(key);
	while (end > 0 && (*body)[end - 1] != '}')
		end--;
	n = text && x->key ? asprintf(&x->body, "%.*s,\"unique_key\":%s}", (int) end - 1, *body, text) : -1;
	free(text);
	if (n < 0) {
		x->body = NULL;
		return problem_set(problem, 503, "unavailable", NULL, "out of memory");
	}
	*body = x->body;
	*len = (size_t) n;
	return 0;
}

/* 00-TRACE-PARENT-FLAGS (W3C Trace Context), in lower case; what is not is to be ignored, says that. */
static bool
is_traceparent(const char *text)
{
	static const char shape[] = "00-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh",
	                  digits[] = "0123456789abcdef";

	for (size_t i = 0; i < sizeof(shape) - 1; i++) {
		if (shape[i] == 'h' ? !text[i] || !strchr(digits, text[i]) : text[i] != shape[i])
			return false;
	}
	return !text[sizeof(shape) - 1] && strspn(text + 3, "0") < 32 && strspn(text + 36, "0") < 16;
}

/* The header goes in front of the body's fields: one of that name there counts more. */
static int
take_trace(struct exchange *x, const char **body, size_t *len, struct problem *problem)
{
	const char *trace = http_request_header(x->request, "traceparent"), *fields = strchr(*body, '{');
	char *text;
	int n;

	if (!trace || !fields || !is_traceparent(trace))
		return 0;
	fields++;
	n = asprintf(&text, "{\"traceparent\":\"%s\",%.*s", trace, (int) (*len - (size_t) (fields - *body)), fields);
	if (n < 0)
		return problem_set(problem, 503, "unavailable", NULL, "out of memory");
	free(x->body);
	x->body = text;
	*body = text;
	*len = (size_t) n;
	return 0;
}

void
jobs_post(struct exchange *x)
{
	struct problem problem;
	const char *body;
	size_t len;

	if ((*http_request_query(x->request) && rest_query(x) < 0) || request_json(x, &body, &len) < 0)
		return;
	if (jobspec_check(body, len, &x->key, &problem) < 0 || take_key(x, &body, &len, &problem) < 0 ||
	        take_trace(x, &body, &len, &problem) < 0) {
		answer_problem(x, &problem, NULL);
		return;
	}
	x->call.statement = x->key ? DB_SUBMIT_KEYED : DB_SUBMIT;
	x->call.key = x->key;
	x->call.param.bytes = body;
	x->call.param.len = len;
	x->call.done = on_submitted;
	db_call_send(x->api->db, &x->call);
}

void
answer_unknown_job(struct exchange *x)
{
	struct problem problem;

	problem_set(&problem, 404, "unknown-job", NULL, "job %s does not exist", x->id);
	memcpy(problem.sqlstate, "JS002", sizeof("JS002"));
	snprintf(problem.hint, sizeof(problem.hint),
	        "It may never have existed, belong to another role, or be older than the retention.");
	answer_problem(x, &problem, NULL);
}

static void
on_job(struct db_call *call, const struct db_answer *answer)
{
	struct exchange *x = (struct exchange *) call;

	if (answer->outcome != DB_OK)
		answer_db_problem(x, answer);
	else if (!answer->columns[0])
		answer_unknown_job(x);
	else if (call->statement == DB_GET)
		answer_tagged(x, answer->columns[0]);
	else
		answer_json(x, 200, answer->columns[0], NULL);
}

static void
call_by_id(struct exchange *x, enum db_statement statement)
{
	x->call.statement = statement;
	x->call.param.bytes = x->id;
	x->call.param.len = strlen(x->id);
	x->call.done = on_job;
	db_call_send(x->api->db, &x->call);
}

static void
get(struct exchange *x)
{
	call_by_id(x, DB_GET);
}

/* The seconds in x->query; 0 when they are not there, -1 when they are no good. */
static double
wait_seconds(struct exchange *x, struct problem *problem)
{
	json_t *query = json_loads(x->query, 0, NULL);
	const char *text = json_string_value(json_object_get(query, "wait"));
	double seconds = 0;
	char *end = NULL;

	if (text && *text) {
		seconds = strtod(text, &end);
		if (strspn(text, "0123456789.") != strlen(text) || *end || seconds > WAIT_MAX)
			seconds = problem_set(problem, 422, "invalid-field", "wait",
			        "wait is \"%.60s\"; allowed: seconds from 0 to %d", text, WAIT_MAX);
	}
	json_decref(query);
	return seconds;
}

void
jobs_get(struct exchange *x)
{
	struct problem problem;
	double seconds;

	if (!*http_request_query(x->request)) {
		get(x);
		return;
	}
	if (rest_query(x) < 0)
		return;
	seconds = wait_seconds(x, &problem);
	if (seconds < 0)
		answer_problem(x, &problem, NULL);
	else if (seconds > 0)
		waits_add(x->api->waits, x, seconds, get);
	else
		get(x);
}

void
jobs_delete(struct exchange *x)
{
	if (*http_request_query(x->request) && rest_query(x) < 0)
		return;
	call_by_id(x, DB_CANCEL);
}
