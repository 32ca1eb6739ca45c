/*
 * excerpt.h: the beginning of a text, its white space made single blanks.
 */
#ifndef JOBSCHED_WORKER_EXCERPT_H
#define JOBSCHED_WORKER_EXCERPT_H

#include <stdbool.h>
#include <stddef.h>

#define EXCERPT_MAX 300 /* code points */

struct excerpt {
	char text[EXCERPT_MAX * 4 + 1]; /* well-formed UTF-8, NUL-terminated; no code point is longer */
	size_t len;
	int points; /* code points in it */
	bool gap; /* white space came after it */
};

/* Adds well-formed UTF-8; control characters count as white space. */
void excerpt_add(struct excerpt *e, const char *text, size_t size);

/* What follows begins a new word. */
void excerpt_break(struct excerpt *e);

/* Nothing more fits. */
bool excerpt_is_full(const struct excerpt *e);

#endif
