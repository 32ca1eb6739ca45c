/*
 * answer.c: write the answer of an exchange.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "clock.h"
#include "log.h"

/* Seconds after which a client may try again: the pool's own attempts come at most 5 s apart. */
#define RETRY_AFTER "1"

void
exchange_free(struct exchange *x)
{
	free(x->key);
	free(x->body);
	free(x->query);
	for (int i = 0; i < ROUTE_MAX_PARTS; i++)
		free(x->parts[i]);
	batch_free(x->batch);
	free(x);
}

static void
log_answer(const struct exchange *x, int status)
{
	char ms[32];

	if (!log_enabled(LOG_LEVEL_DEBUG))
		return;
	snprintf(ms, sizeof(ms), "%.3f", (double) (clock_boottime_us() - x->started_us) / 1000);
	log_event(LOG_LEVEL_DEBUG, "request", "method", http_method_name(http_request_method(x->request)), "path",
	        http_request_path(x->request), "status", LOG_NUM(status), "ms", ms, *x->caller ? "caller" : NULL,
	        x->caller, NULL);
}

void
answer_response(struct exchange *x, const struct http_response *response)
{
	log_answer(x, response->status);
	metrics_answered(x->api->metrics, x, response->status);
	http_respond(x->request, response);
	exchange_free(x);
}

void
answer_file(struct exchange *x, const struct http_response *response, int fd, size_t size)
{
	log_answer(x, response->status);
	metrics_answered(x->api->metrics, x, response->status);
	http_respond_file(x->request, response, fd, size);
	exchange_free(x);
}

void
answer_json(struct exchange *x, int status, const char *json, const char *location)
{
	struct http_response response = {
	        .status = status, .content_type = "application/json", .body = json, .body_len = strlen(json)};

	if (location)
		http_response_add(&response, "Location", location);
	answer_response(x, &response);
}

/* FNV-1a, 64 bits: nobody gains anything from two answers with the same hash but the one who made them. */
static uint64_t
hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *text; text++)
		h = (h ^ (unsigned char) *text) * 0x100000001b3;
	return h;
}

/* RFC 9110, 13.1.2: a list of tags, compared without their W/, or "*". */
bool
answer_is_known(const struct exchange *x, const char *tag)
{
	const char *list = http_request_header(x->request, "If-None-Match");
	const char *opaque = tag + strlen("W/"), *found;

	if (!list)
		return false;
	if (strcmp(list, "*") == 0)
		return true;
	found = strstr(list, opaque);
	return found && (found == list || found[-1] == '/' || found[-1] == ' ' || found[-1] == ',');
}

void
answer_tagged(struct exchange *x, const char *json)
{
	struct http_response response = {
	        .status = 200, .content_type = "application/json", .body = json, .body_len = strlen(json)};
	char tag[32];

	snprintf(tag, sizeof(tag), "W/\"%016" PRIx64 "\"", hash(json));
	response.headers[0].name = "ETag";
	response.headers[0].value = tag;
	if (answer_is_known(x, tag)) {
		response.status = 304;
		response.content_type = NULL;
		response.body_len = 0;
	}
	answer_response(x, &response);
}

void
answer_text(struct exchange *x, int status, const char *text)
{
	struct http_response response = {
	        .status = status, .content_type = "text/plain; charset=utf-8", .body = text, .body_len = strlen(text)};

	answer_response(x, &response);
}

void
answer_empty(struct exchange *x, int status, const char *allow)
{
	struct http_response response = {.status = status, .headers = {{"Allow", allow}}};

	answer_response(x, &response);
}

void
answer_problem(struct exchange *x, const struct problem *problem, const char *allow)
{
	answer_problem_with(x, problem, allow ? "Allow" : NULL, allow);
}

void
answer_problem_with(struct exchange *x, const struct problem *problem, const char *header, const char *value)
{
	static const char fallback[] =
	        "{\"status\":503,\"title\":\"Service Unavailable\",\"detail\":\"out of memory\"}\n";
	struct http_response response = {.status = problem->status, .content_type = PROBLEM_CONTENT_TYPE};
	char *json = problem_json(problem);

	if (!json)
		response.status = 503;
	response.body = json ? json : fallback;
	response.body_len = strlen(response.body);
	if (header)
		http_response_add(&response, header, value);
	if (response.status == 503)
		http_response_add(&response, "Retry-After", RETRY_AFTER);
	answer_response(x, &response);
	free(json);
}

/* SQLSTATEs and what they mean to a client; a shorter text is a class. */
static const struct {
	const char *sqlstate;
	int status;
	const char *type;
} meanings[] = {
        {"JS001", 422, "invalid-field"}, {"JS002", 404, "unknown-job"}, {"JS003", 409, "conflict"},
        {"42501", 403, "forbidden"}, {"57014", 503, "unavailable"}, /* statement_timeout */
        {"57P", 503, "unavailable"}, /* shutting down, starting up, idle session ended, database dropped */
        {"53", 503, "unavailable"}, /* no connections, memory or disk space left */
        {"08", 503, "unavailable"}, {"25006", 503, "unavailable"}, /* a standby */
        {"40", 503, "unavailable"}, /* deadlock, serialization: nothing was done, try again */
        {"55P03", 503, "unavailable"}, /* lock_timeout */
        {"3F000", 503, "not-installed"}, /* no schema jobsched */
        {"42883", 503, "not-installed"}, /* no such function */
        {"22", 422, "invalid-field"}, /* a value that the checks let through and a cast did not take */
        {"54", 422, "too-complex"}, /* nested or large beyond a limit of the server */
};

/* What is unknown, when it is no job. */
static void
describe_unknown(const char *what, struct problem *problem)
{
	static const char *const types[] = {"unknown-schedule", "unknown-queue", "unknown-artifact"};

	for (size_t i = 0; what && i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(what, types[i] + strlen("unknown-")) == 0)
			problem->type = types[i];
	}
	problem->field[0] = '\0';
}

static void
describe_failure(const struct exchange *x, const struct db_answer *answer, struct problem *problem)
{
	const char *message = answer->message ? answer->message : "no message";

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (strncmp(answer->sqlstate, meanings[i].sqlstate, strlen(meanings[i].sqlstate)) != 0)
			continue;
		if (strcmp(meanings[i].type, "not-installed") == 0)
			problem_set(problem, 503, meanings[i].type, NULL,
			        "the extension jobsched is not installed in this database, or in an "
			        "older version");
		else if (meanings[i].status == 503)
			problem_set(problem, 503, meanings[i].type, NULL,
			        "the database could not do it now and has done nothing: %s", message);
		else
			problem_set(problem, meanings[i].status, meanings[i].type, answer->field, "%s", message);
		if (strcmp(answer->sqlstate, "JS002") == 0)
			describe_unknown(answer->field, problem);
		memcpy(problem->sqlstate, answer->sqlstate, sizeof(problem->sqlstate));
		if (answer->hint && strncmp(answer->sqlstate, "JS", 2) == 0)
			snprintf(problem->hint, sizeof(problem->hint), "%s", answer->hint);
		return;
	}
	/* Not foreseen: people who run it need all of it, clients none. */
	log_event(LOG_LEVEL_ERROR, "database error", "method", http_method_name(http_request_method(x->request)),
	        "path", http_request_path(x->request), "sqlstate", answer->sqlstate, "message", message, "detail",
	        answer->detail, "hint", answer->hint, NULL);
	problem_set(problem, 500, "internal", NULL,
	        "the database reported an error that is not the request's; it is in the API's "
	        "log");
	memcpy(problem->sqlstate, answer->sqlstate, sizeof(problem->sqlstate));
}

void
problem_from_db(const struct exchange *x, const struct db_answer *answer, struct problem *problem)
{
	if (answer->outcome == DB_UNAVAILABLE) {
		problem_set(problem, 503, "unavailable", NULL, "%s; nothing was done", answer->message);
	} else if (answer->outcome == DB_UNKNOWN) {
		problem_set(problem, 503, "outcome-unknown", NULL,
		        "%s; the request had been sent and may or may not have been done", answer->message);
		if (x->call.statement == DB_SUBMIT || x->call.statement == DB_SUBMIT_KEYED ||
		        x->call.statement == DB_SUBMIT_BATCH)
			snprintf(problem->hint, sizeof(problem->hint),
			        "The job may have been accepted. Jobs with a unique_key can be submitted "
			        "again without making a second one.");
	} else {
		describe_failure(x, answer, problem);
	}
}

void
answer_db_problem(struct exchange *x, const struct db_answer *answer)
{
	struct problem problem;

	problem_from_db(x, answer, &problem);
	answer_problem(x, &problem, NULL);
}
