/*
 * excerpt.c: the beginning of a text, its white space made single blanks.
 */
#include "excerpt.h"

#include <string.h>

#include "utf8.h"

/* Bytes of the white space or control character at p, 0 when there is none: ASCII's, C1's, NBSP, U+2000..200A, U+2028,
 * U+2029, U+202F, U+205F, U+3000. */
static size_t
space_length(const unsigned char *p, const unsigned char *end)
{
	size_t left = (size_t) (end - p);

	if (p[0] <= ' ' || p[0] == 0x7F)
		return 1;
	if (left >= 2 && p[0] == 0xC2 && p[1] >= 0x80 && p[1] <= 0xA0)
		return 2;
	if (left >= 3 && p[0] == 0xE2 && p[1] == 0x80 && (p[2] <= 0x8A || p[2] == 0xA8 || p[2] == 0xA9 || p[2] == 0xAF))
		return 3;
	if (left >= 3 && (memcmp(p, "\xE2\x81\x9F", 3) == 0 || memcmp(p, "\xE3\x80\x80", 3) == 0))
		return 3;
	return 0;
}

bool
excerpt_is_full(const struct excerpt *e)
{
	return e->points >= EXCERPT_MAX;
}

void
excerpt_break(struct excerpt *e)
{
	e->gap = true;
}

void
excerpt_add(struct excerpt *e, const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *) text, *end = p + size;

	while (p < end && !excerpt_is_full(e)) {
		size_t n = space_length(p, end);

		if (n > 0) {
			e->gap = true;
			p += n;
			continue;
		}
		n = utf8_sequence(p, end);
		if (n == 0)
			break;
		if (e->gap && e->len > 0) {
			e->text[e->len++] = ' ';
			if (++e->points == EXCERPT_MAX)
				e->len--; /* a blank at the end is none */
		}
		e->gap = false;
		if (excerpt_is_full(e))
			break;
		memcpy(e->text + e->len, p, n);
		e->len += n;
		e->points++;
		p += n;
	}
	e->text[e->len] = '\0';
}
