/*
 * problem.h: errors as application/problem+json (RFC 9457).
 */
#ifndef JOBSCHED_API_PROBLEM_H
#define JOBSCHED_API_PROBLEM_H

#include <stdbool.h>

#define PROBLEM_CONTENT_TYPE "application/problem+json"

struct problem {
	int status; /* HTTP */
	const char *type; /* last part of "urn:jobsched:problem:..." */
	char detail[512]; /* what is wrong, with the value and what is allowed; UTF-8 */
	char field[64]; /* of the request's body, or empty */
	char sqlstate[6]; /* or empty */
	char hint[512]; /* or empty */
};

/* Always returns -1, so that a check can `return problem_set(...)`.  Cuts detail at a whole character. */
int problem_set(struct problem *p, int status, const char *type, const char *field, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));

/* "Not Found" for 404, and so on. */
const char *problem_title(int status);

/* The JSON, malloc'ed, ending with a newline; NULL when out of memory. */
char *problem_json(const struct problem *p);

#endif
