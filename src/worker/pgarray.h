/*
 * pgarray.h: text literals of PostgreSQL arrays, for parameters of prepared statements.
 *
 * The buffer is kept from call to call, so that in steady state a parameter costs no allocation.  Out of memory is
 * remembered and told once, by pgarray_text().
 */
#ifndef JOBSCHED_WORKER_PGARRAY_H
#define JOBSCHED_WORKER_PGARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgarray {
	char *buf;			/* malloc'ed, zeroed struct: none yet */
	size_t len;			/* bytes used, without NUL */
	size_t size;			/* bytes allocated */
	bool failed;			/* out of memory since pgarray_start */
};

/* Begins a new array: what was in the buffer is forgotten. */
void pgarray_start(struct pgarray *a);

/* An element that needs no quotes: uuid, number. */
void pgarray_add_word(struct pgarray *a, const char *word);

void pgarray_add_number(struct pgarray *a, int64_t number);

/* Any text, quoted and escaped; NULL becomes a null. */
void pgarray_add_text(struct pgarray *a, const char *text);

/* The finished literal, valid until the next call; NULL when out of memory. */
const char *pgarray_text(struct pgarray *a);

void pgarray_free(struct pgarray *a);

#endif
