/*
 * jobspec.h: are the bodies of POST /jobs and POST /jobs/batch jobs, as far as their shape goes?
 */
#ifndef JOBSCHED_API_JOBSPEC_H
#define JOBSCHED_API_JOBSPEC_H

#include <stddef.h>

#include "problem.h"

/* A job, or what is wrong with it. */
struct jobspec {
	const char *text; /* in the body, not NUL-terminated */
	size_t len;
	char *key; /* its unique_key, or NULL */
	struct problem *problem; /* NULL: it is one */
};

/*
 * body: NUL-terminated after len bytes.  0 when it is JSON, an object, and its fields are known, there, and of the
 * right types; else -1 with *problem filled (400 or 422).  Ranges and meanings are the SQL function's business.
 * *key becomes the job's unique_key, to be freed, or NULL.
 */
int jobspec_check(const char *body, size_t len, char **key, struct problem *problem);

/*
 * The same of {"jobs": [...]} with 1 to `most` items, each judged by itself: *jobs becomes an array of *n, to be freed.
 * -1 with *problem filled when it is not that.
 */
int jobspec_check_batch(
        const char *body, size_t len, size_t most, struct jobspec **jobs, size_t *n, struct problem *problem);

void jobspec_free(struct jobspec *jobs, size_t n);

#endif
