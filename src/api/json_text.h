/*
 * json_text.h: read JSON that a client has sent, strictly, and say what is wrong with it.
 */
#ifndef JOBSCHED_API_JSON_TEXT_H
#define JOBSCHED_API_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "problem.h"

/* Where the next value is read, in a larger text. */
struct json_place {
	const char *whole; /* NUL-terminated after len bytes */
	size_t len;
	size_t offset;
};

struct json_document {
	json_t *root; /* the reader's to release */
	bool only_reals; /* its integers were read as reals, because one of them has more than 64 bits */
};

/* Skips blanks; the byte after them, which is NUL at the end (and where a NUL stands). */
char json_text_peek(struct json_place *place);

/* Skips blanks and the wanted byte, or says that `what` was expected. */
int json_text_expect(struct json_place *place, char wanted, const char *what, struct problem *problem);

/* Nothing but blanks is left, or says that the end was expected. */
int json_text_end(struct json_place *place, struct problem *problem);

/*
 * Reads the next value, of any kind: UTF-8, each key once, no \u0000, at most JSON_PARSER_MAX_DEPTH levels.  The place is
 * then behind it.  -1 with *problem filled (400, 422 or 503).
 */
int json_text_read(struct json_place *place, struct json_document *doc, struct problem *problem);

/* The value as the client wrote it, if short. */
void json_text_show(const json_t *value, char *out, size_t size);

#endif
