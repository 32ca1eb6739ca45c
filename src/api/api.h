/*
 * api.h: what the handlers of requests share.
 */
#ifndef JOBSCHED_API_API_H
#define JOBSCHED_API_API_H

#include "db.h"
#include "guard.h"
#include "http.h"
#include "problem.h"

struct api {
	struct db *db;
	struct guard *guard;
	size_t max_body; /* bytes */
};

/* One request on its way: made when it arrives, freed when it is answered. */
struct exchange {
	struct db_call call; /* first: a db_call is its exchange */
	struct api *api;
	struct http_request *request;
	int64_t started_us;
	enum api_role role; /* the caller's */
	char caller[TOKEN_NAME_SIZE]; /* the name of the token, or empty */
	char id[37]; /* the uuid in the path in lower case, for routes that have one */
	char *key; /* the unique_key of a job that is submitted, or NULL */
	struct batch *batch; /* of POST /jobs/batch */
};

/* routes.c: find the handler of a request and call it; made for http_options. */
void route_request(struct http_request *request, void *api);

/* Answers end an exchange: it is logged and freed. */
void answer_response(struct exchange *x, const struct http_response *response);
void answer_json(struct exchange *x, int status, const char *json, const char *location);
void answer_text(struct exchange *x, int status, const char *text);
void answer_empty(struct exchange *x, int status, const char *allow);
void answer_problem(struct exchange *x, const struct problem *problem, const char *allow);
void answer_problem_with(struct exchange *x, const struct problem *problem, const char *header, const char *value);

/* For every outcome but DB_OK. */
void answer_db_problem(struct exchange *x, const struct db_answer *answer);
void problem_from_db(const struct exchange *x, const struct db_answer *answer, struct problem *problem);

/* jobs.c */

/* The body, which calls itself JSON and is not too long; else answers and returns -1. */
int request_json(struct exchange *x, const char **body, size_t *len);

void jobs_post(struct exchange *x);
void jobs_get(struct exchange *x);
void jobs_delete(struct exchange *x);

/* batch.c */
void batch_post(struct exchange *x);
void batch_free(struct batch *batch); /* NULL is allowed */

/* health.c */
void health_live(struct exchange *x);
void health_ready(struct exchange *x);

#endif
