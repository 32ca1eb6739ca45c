/*
 * exec_answer.h: the lines that a long-lived process (EXEC_LINES) and the worker exchange; docs/exec.md is their contract.
 *
 *	> {"id":1,"task":"greet","job_id":"...",...,"payload":{"who":"you"}}
 *	< {"id":1,"progress":50,"text":"half"}
 *	< {"id":1,"result":{"greeting":"hello you"}}
 *	< {"id":1,"error":"nobody to greet","retry":false,"reason":"bad_payload","traceback":"..."}
 */
#ifndef JOBSCHED_WORKER_EXEC_ANSWER_H
#define JOBSCHED_WORKER_EXEC_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"

/* What a line says: one of result, error and progress. */
struct exec_answer {
	json_t *root; /* what the text stands in */
	char *result; /* malloc'ed JSON, as it came; or NULL */
	const char *error; /* or NULL */
	bool progress; /* the answer is still to come */
	double percent; /* progress: 0..100; negative: unknown */
	const char *text; /* progress: NULL: none */
	const char *traceback; /* NULL: none */
	const char *reason; /* NULL: none */
	bool retry;
	double retry_after; /* seconds; negative: as the job says */
};

/*
 * A line of the answer to request `id`.  Returns -1 when it is none; the message says what is wrong and shows the line's
 * beginning.
 */
int exec_answer_parse(const char *line, size_t len, long long id, struct exec_answer *answer, struct error *err);
void exec_answer_free(struct exec_answer *answer);

/*
 * Checks that text is one JSON value that the database takes, blanks around it aside.  Returns it without them,
 * malloc'ed; NULL with a message when it is not.  Digits and order stay as they are.
 */
char *exec_answer_check(const char *text, size_t len, struct error *err);

/* Where the value of a member of an object stands in its (valid) text; NULL when there is none.  The last one counts. */
const char *exec_answer_member(const char *object, size_t len, const char *name, size_t *value_len);

/* A request's line, newline included: head, an object, with payload (JSON text) added; malloc'ed, or NULL. */
char *exec_answer_request(const json_t *head, const char *payload);

#endif
