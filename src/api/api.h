/*
 * api.h: what the handlers of requests share.
 */
#ifndef JOBSCHED_API_API_H
#define JOBSCHED_API_API_H

#include <stdio.h>
#include <sys/queue.h>

#include "artifact.h"
#include "db.h"
#include "guard.h"
#include "http.h"
#include "metrics.h"
#include "problem.h"
#include "wait.h"

struct exchange;

#define ROUTE_MAX_PARTS 2

/* A path and method, and who answers it.  The table is in routes.c. */
struct route {
	const char *path; /* {id} stands for a uuid, another word in braces for any text without "/", a last * for any rest */
	enum http_method method; /* GET answers HEAD too, and every path answers OPTIONS */
	enum api_role role; /* the least that may call it */
	void (*handle)(struct exchange *x);
	const char *help;

	/* For rest_call(): the statement gets what stands in braces, the query when there is one, the body when there is one. */
	enum db_statement statement;
	const char *query; /* names of the parameters it may have, separated by blanks; NULL: none */
	bool body; /* a JSON object */
};

struct api {
	struct db *db;
	struct guard *guard;
	struct waits *waits;
	struct artifacts *artifacts;
	struct metrics *metrics;
	const struct http_server *server;
	size_t max_body; /* bytes */
};

TAILQ_HEAD(waiters, exchange);

/* One request on its way: made when it arrives, freed when it is answered. */
struct exchange {
	struct db_call call; /* first: a db_call is its exchange */
	struct api *api;
	struct http_request *request;
	const struct route *route; /* NULL while none has been found */
	int64_t started_us;
	enum api_role role; /* the caller's */
	char caller[TOKEN_NAME_SIZE]; /* the name of the token, or empty */
	char id[37]; /* the uuid in the path in lower case, for routes that have one */
	char *parts[ROUTE_MAX_PARTS]; /* what stands in the braces of the path, decoded; NULL after the last */
	char *query; /* the query's parameters as a JSON object, once they have been asked for */
	char *key; /* the unique_key of a job that is submitted, or NULL */
	char *body; /* in place of the request's, or NULL */
	struct batch *batch; /* of POST /jobs/batch */

	/* For wait.c */
	TAILQ_ENTRY(exchange) waiters;
	void (*over)(struct exchange *x); /* NULL: does not wait */
	int64_t until_us;
	bool waited; /* so that its time says nothing */
	bool asked; /* the statement under way asks for its job */
};

/* routes.c: find the handler of a request and call it; made for http_options. */
void route_request(struct http_request *request, void *api);

/* The same before the body is there: who may not call needs not send it. */
void route_admit(struct http_request *request, void *api);

/* The table, ended by a NULL path. */
extern const struct route api_routes[];

/* A line for each: method, path, role, names of the query's parameters, separated by tabs. */
void routes_print(FILE *out);

/* The table as text. */
void routes_list(struct exchange *x);

/* answer.c */

void exchange_free(struct exchange *x);

/* Answers end an exchange: it is logged and freed. */
void answer_response(struct exchange *x, const struct http_response *response);
void answer_file(struct exchange *x, const struct http_response *response, int fd, size_t size); /* closes fd */
void answer_json(struct exchange *x, int status, const char *json, const char *location);
bool answer_is_known(const struct exchange *x, const char *tag); /* W/"..." is in If-None-Match */
void answer_tagged(struct exchange *x, const char *json); /* 200 with an ETag, or 304 when the client has it */
void answer_text(struct exchange *x, int status, const char *text);
void answer_empty(struct exchange *x, int status, const char *allow);
void answer_problem(struct exchange *x, const struct problem *problem, const char *allow);
void answer_problem_with(struct exchange *x, const struct problem *problem, const char *header, const char *value);

/* For every outcome but DB_OK. */
void answer_db_problem(struct exchange *x, const struct db_answer *answer);
void problem_from_db(const struct exchange *x, const struct db_answer *answer, struct problem *problem);

/* rest.c: the statement of x->route, and its answer as it is */
void rest_call(struct exchange *x);

/* The query as a JSON object of texts in x->query; else answers and returns -1. */
int rest_query(struct exchange *x);

/* jobs.c */

/* The body, which calls itself JSON and is not too long; else answers and returns -1. */
int request_json(struct exchange *x, const char **body, size_t *len);

void answer_unknown_job(struct exchange *x);

void jobs_post(struct exchange *x);
void jobs_get(struct exchange *x);
void jobs_delete(struct exchange *x);

/* batch.c */
void batch_post(struct exchange *x);
void batch_free(struct batch *batch); /* NULL is allowed */

/* openapi.c */
void openapi_get(struct exchange *x);

/* web.c */
void web_root(struct exchange *x);
void web_get(struct exchange *x);

/* health.c */
void health_live(struct exchange *x);
void health_ready(struct exchange *x);

#endif
