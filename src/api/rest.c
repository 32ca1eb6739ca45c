/*
 * rest.c: requests that are one call of a SQL function, whose answer is JSON as it is.
 *
 * What a route takes stands in the table in routes.c, what a parameter may be is for the function to say: texts go there
 * as they came.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "json_text.h"

/* Is the name among those of a list that blanks separate? */
static bool
is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (n == len && memcmp(p, name, len) == 0)
			return true;
		p += n;
	}
	return false;
}

static int
read_query(struct exchange *x, json_t *object, char *buf, struct problem *problem)
{
	const char *query = http_request_query(x->request), *known = x->route->query, *name, *value;

	while (http_next_param(&query, buf, &name, &value)) {
		if (!known || !is_listed(known, name))
			return problem_set(problem, 422, "unknown-parameter", name,
			        "unknown parameter \"%.60s\"; allowed: %s", name, known ? known : "none");
		if (json_object_get(object, name))
			return problem_set(
			        problem, 422, "invalid-field", name, "%s is given twice; allowed: once", name);
		if (json_object_set_new(object, name, json_string(value)) < 0)
			return problem_set(problem, 503, "unavailable", NULL, "out of memory");
	}
	return 0;
}

int
rest_query(struct exchange *x)
{
	char *buf = malloc(strlen(http_request_query(x->request)) + 2);
	json_t *object = json_object();
	struct problem problem;
	int rc = -1;

	if (!buf || !object)
		problem_set(&problem, 503, "unavailable", NULL, "out of memory");
	else
		rc = read_query(x, object, buf, &problem);
	if (rc == 0) {
		x->query = json_dumps(object, JSON_COMPACT);
		if (!x->query)
			rc = problem_set(&problem, 503, "unavailable", NULL, "out of memory");
	}
	json_decref(object);
	free(buf);
	if (rc < 0)
		answer_problem(x, &problem, NULL);
	return rc;
}

/* A JSON object, as text; else answers and returns NULL. */
static const char *
read_body(struct exchange *x)
{
	struct json_place place = {NULL, 0, 0};
	struct json_document doc = {0};
	struct problem problem;
	char shown[128];
	int rc;

	if (request_json(x, &place.whole, &place.len) < 0)
		return NULL;
	if (json_text_peek(&place) == '\0' && place.offset == place.len)
		rc = problem_set(&problem, 400, "not-json", NULL, "the body is empty; allowed: a JSON object");
	else
		rc = json_text_read(&place, &doc, &problem);
	if (rc == 0)
		rc = json_text_end(&place, &problem);
	if (rc == 0 && !json_is_object(doc.root)) {
		json_text_show(doc.root, shown, sizeof(shown));
		rc = problem_set(&problem, 422, "not-an-object", NULL, "the body is %s; allowed: a JSON object", shown);
	}
	json_decref(doc.root);
	if (rc < 0)
		answer_problem(x, &problem, NULL);
	return rc < 0 ? NULL : place.whole;
}

static void
on_answer(struct db_call *call, const struct db_answer *answer)
{
	struct exchange *x = (struct exchange *) call;

	if (answer->outcome == DB_OK && answer->columns[0])
		answer_json(x, answer->columns[1] ? atoi(answer->columns[1]) : 200, answer->columns[0], NULL);
	else
		answer_db_problem(x, answer);
}

void
rest_call(struct exchange *x)
{
	struct db_call *call = &x->call;

	for (int i = 0; i < ROUTE_MAX_PARTS && x->parts[i]; i++)
		call->args[call->n_args++] = x->parts[i];
	if ((x->route->query || *http_request_query(x->request)) && rest_query(x) < 0)
		return;
	if (x->route->query)
		call->args[call->n_args++] = x->query;
	if (x->route->body) {
		const char *body = read_body(x);

		if (!body)
			return;
		call->args[call->n_args++] = body;
	}
	call->statement = x->route->statement;
	call->done = on_answer;
	db_call_send(x->api->db, call);
}
