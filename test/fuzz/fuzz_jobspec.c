/*
 * fuzz_jobspec.c: bodies of POST /jobs and POST /jobs/batch.
 *
 * What is refused is refused with a status of 4xx and a message that is UTF-8; an item of a batch is judged as the same job
 * by itself would be.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/api/jobspec.h"
#include "src/common/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Kept when built without debugging, unlike assert(). */
static void
must(int holds)
{
	if (!holds)
		abort();
}

static void
good_refusal(const struct problem *problem)
{
	char *json = problem_json(problem);

	must(problem->status == 400 || problem->status == 422);
	must(problem->type && problem->detail[0] && json);
	must(utf8_is_clean(json, strlen(json)));
	free(json);
}

/* With a NUL behind it and nothing more, so that a read beyond it is seen. */
static char *
terminated(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

static void
one(const char *body, size_t len, const struct jobspec *expected)
{
	char *copy = terminated(body, len), *key = NULL;
	struct problem problem;
	int rc = jobspec_check(copy, len, &key, &problem);

	if (rc < 0)
		good_refusal(&problem);
	if (expected) {
		must((rc < 0) == (expected->problem != NULL));
		must(rc < 0 || (key == NULL) == (expected->key == NULL));
		must(rc < 0 || !key || strcmp(key, expected->key) == 0);
	}
	if (rc == 0)
		free(key);
	free(copy);
}

static void
many(const char *body, size_t len)
{
	char *copy = terminated(body, len);
	struct jobspec *jobs;
	struct problem problem;
	size_t n;

	if (jobspec_check_batch(copy, len, 10, &jobs, &n, &problem) < 0) {
		good_refusal(&problem);
	} else {
		must(n >= 1 && n <= 10);
		for (size_t i = 0; i < n; i++) {
			must(jobs[i].text >= copy && jobs[i].text + jobs[i].len <= copy + len && jobs[i].len > 0);
			if (jobs[i].problem)
				good_refusal(jobs[i].problem);
			one(jobs[i].text, jobs[i].len, &jobs[i]);
		}
		jobspec_free(jobs, n);
	}
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (data[0] == 'b')
		many((const char *) data + 1, size - 1);
	else
		one((const char *) data + 1, size - 1, NULL);
	return 0;
}
