/*
 * pgarray.c: array literals ("Array Value Input" in the PostgreSQL manual).
 */
#include "pgarray.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
need(struct pgarray *a, size_t more)
{
	size_t size = a->size ? a->size : 256;
	char *buf;

	if (a->failed)
		return false;
	if (a->size - a->len > more)
		return true;
	while (size - a->len <= more)
		size *= 2;
	buf = realloc(a->buf, size);
	if (!buf) {
		a->failed = true;
		return false;
	}
	a->buf = buf;
	a->size = size;
	return true;
}

/* The comma before all but the first element, and room for `more` bytes. */
static bool
next(struct pgarray *a, size_t more)
{
	if (!need(a, more + 2))
		return false;
	if (a->len > 1)
		a->buf[a->len++] = ',';
	return true;
}

void
pgarray_start(struct pgarray *a)
{
	a->failed = false;
	a->len = 0;
	if (need(a, 2))
		a->buf[a->len++] = '{';
}

void
pgarray_add_word(struct pgarray *a, const char *word)
{
	size_t len = strlen(word);

	if (!next(a, len))
		return;
	memcpy(a->buf + a->len, word, len);
	a->len += len;
}

void
pgarray_add_number(struct pgarray *a, int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long) number);
	pgarray_add_word(a, text);
}

void
pgarray_add_text(struct pgarray *a, const char *text)
{
	char *to;

	if (!text) {
		pgarray_add_word(a, "NULL");
		return;
	}
	if (!next(a, strlen(text) * 2 + 2))
		return;
	to = a->buf + a->len;
	*to++ = '"';
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			*to++ = '\\';
		*to++ = *text;
	}
	*to++ = '"';
	a->len = (size_t) (to - a->buf);
}

const char *
pgarray_text(struct pgarray *a)
{
	if (!need(a, 2))
		return NULL;
	a->buf[a->len] = '}';
	a->buf[a->len + 1] = '\0';
	return a->buf;
}

void
pgarray_free(struct pgarray *a)
{
	free(a->buf);
	memset(a, 0, sizeof(*a));
}
