/*
 * jobspec_batch.c: take the body of POST /jobs/batch apart.
 *
 * Only its frame is read here; jansson reads each item by itself and says where it ends, so that no tree of the whole is
 * made.
 */
#include <stdlib.h>
#include <string.h>

#include "jobspec_internal.h"

struct batch_reader {
	struct json_place place; /* what is to be read next */
	size_t most;
	struct jobspec *jobs; /* n of allocated */
	size_t n, allocated;
	struct problem *problem;
};

static int
no_memory(struct batch_reader *r)
{
	return problem_set(r->problem, 503, "unavailable", NULL, "out of memory");
}

static struct jobspec *
next_job(struct batch_reader *r)
{
	if (r->n == r->allocated) {
		size_t more = r->allocated ? r->allocated * 2 : 64;
		struct jobspec *bigger = realloc(r->jobs, more * sizeof(*bigger));

		if (!bigger)
			return NULL;
		r->jobs = bigger;
		r->allocated = more;
	}
	memset(&r->jobs[r->n], 0, sizeof(r->jobs[r->n]));
	return &r->jobs[r->n];
}

/* Adds the next item; fails only when the body as a whole is no good. */
static int
read_item(struct batch_reader *r)
{
	struct jobspec *job = r->n < r->most ? next_job(r) : NULL;
	struct problem problem;
	struct json_document doc;
	int rc = 0;

	if (r->n == r->most)
		return problem_set(r->problem, 422, "invalid-field", "jobs",
		        "jobs has more than %zu items; allowed: 1 to %zu", r->most, r->most);
	if (!job)
		return no_memory(r);
	json_text_peek(&r->place);
	job->text = r->place.whole + r->place.offset;
	if (json_text_read(&r->place, &doc, r->problem) < 0)
		return -1;
	job->len = (size_t) (r->place.whole + r->place.offset - job->text);
	r->n++;
	if (jobspec_check_job(&doc, "the item", &problem) < 0 || jobspec_copy_key(doc.root, &job->key, &problem) < 0) {
		job->problem = malloc(sizeof(problem));
		if (job->problem)
			*job->problem = problem;
		else
			rc = no_memory(r);
	}
	json_decref(doc.root);
	return rc;
}

static int
read_items(struct batch_reader *r)
{
	struct json_document doc;
	char shown[128];

	if (json_text_peek(&r->place) != '[') {
		if (json_text_read(&r->place, &doc, r->problem) < 0)
			return -1;
		json_text_show(doc.root, shown, sizeof(shown));
		json_decref(doc.root);
		return problem_set(
		        r->problem, 422, "invalid-field", "jobs", "jobs is %s; allowed: an array of jobs", shown);
	}
	r->place.offset++;
	if (json_text_peek(&r->place) == ']')
		return problem_set(
		        r->problem, 422, "invalid-field", "jobs", "jobs is empty; allowed: 1 to %zu items", r->most);
	do {
		if (read_item(r) < 0)
			return -1;
		if (json_text_peek(&r->place) == ']') {
			r->place.offset++;
			return 0;
		}
	} while (json_text_expect(&r->place, ',', "\",\" or \"]\"", r->problem) == 0);
	return -1;
}

/* A key of the body, which must be "jobs". */
static int
read_member(struct batch_reader *r)
{
	struct json_document doc;
	int rc;

	if (json_text_peek(&r->place) != '"')
		return json_text_expect(&r->place, '"', "a string", r->problem);
	if (json_text_read(&r->place, &doc, r->problem) < 0)
		return -1;
	if (strcmp(json_string_value(doc.root), "jobs") != 0)
		rc = problem_set(r->problem, 422, "unknown-field", json_string_value(doc.root),
		        "unknown field \"%.60s\"; allowed: jobs", json_string_value(doc.root));
	else if (r->jobs)
		rc = problem_set(r->problem, 400, "not-json", NULL,
		        "\"jobs\" is given twice; allowed: each key once in an object");
	else
		rc = json_text_expect(&r->place, ':', "\":\"", r->problem);
	json_decref(doc.root);
	return rc < 0 ? -1 : read_items(r);
}

static int
read_batch(struct batch_reader *r)
{
	if (json_text_peek(&r->place) == '\0' && r->place.offset == r->place.len)
		return problem_set(
		        r->problem, 400, "not-json", NULL, "the body is empty; allowed: a JSON object with \"jobs\"");
	if (json_text_peek(&r->place) != '{') {
		struct json_document doc;
		char shown[128];

		if (json_text_read(&r->place, &doc, r->problem) < 0)
			return -1;
		json_text_show(doc.root, shown, sizeof(shown));
		json_decref(doc.root);
		return problem_set(r->problem, 422, "not-an-object", NULL,
		        "the body is %s; allowed: a JSON object with \"jobs\"", shown);
	}
	r->place.offset++;
	if (json_text_peek(&r->place) == '}')
		return problem_set(
		        r->problem, 422, "missing-field", "jobs", "jobs is missing; allowed: an array of jobs");
	while (read_member(r) == 0) {
		if (json_text_peek(&r->place) == '}') {
			r->place.offset++;
			return json_text_end(&r->place, r->problem);
		}
		if (json_text_expect(&r->place, ',', "\",\" or \"}\"", r->problem) < 0)
			return -1;
	}
	return -1;
}

int
jobspec_check_batch(
        const char *body, size_t len, size_t most, struct jobspec **jobs, size_t *n, struct problem *problem)
{
	struct batch_reader reader = {.place = {body, len, 0}, .most = most, .problem = problem};

	if (read_batch(&reader) < 0) {
		jobspec_free(reader.jobs, reader.n);
		return -1;
	}
	*jobs = reader.jobs;
	*n = reader.n;
	return 0;
}

void
jobspec_free(struct jobspec *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(jobs[i].key);
		free(jobs[i].problem);
	}
	free(jobs);
}
