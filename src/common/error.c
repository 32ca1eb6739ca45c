/*
 * error.c: fill a struct error.
 */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A message cut in the middle of a UTF-8 sequence would not be UTF-8 any more: drop the part sequence. */
static void
cut_at_character(char *text, size_t len)
{
	size_t start = len;

	while (start > 0 && ((unsigned char) text[start - 1] & 0xC0) == 0x80)
		start--;
	if (start > 0 && ((unsigned char) text[start - 1] & 0xC0) == 0xC0) {
		unsigned char lead = (unsigned char) text[start - 1];
		size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;

		if (len - (start - 1) < need)
			text[start - 1] = '\0';
	}
}

int
error_set(struct error *err, const char *fmt, ...)
{
	va_list args;
	int n;

	if (!err)
		return -1;

	va_start(args, fmt);
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);

	if (n < 0)
		err->msg[0] = '\0';
	else if ((size_t) n >= sizeof(err->msg))
		cut_at_character(err->msg, sizeof(err->msg) - 1);
	return -1;
}
