/*
 * width.c: how wide a text is on a terminal, and what must not reach one.
 *
 * Job names, errors and payloads come from anybody: an escape sequence in one must not do anything to the terminal of the
 * person who lists jobs.
 */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define LONGEST_PIECE 8 /* bytes of "\u{9b}" and NUL, or of one character */

/* The next character as it is to be shown, into piece; returns the bytes read, *width the columns it takes. */
static size_t
next_piece(const char *text, mbstate_t *state, char *piece, int *width)
{
	wchar_t c;
	size_t n = mbrtowc(&c, text, strlen(text), state);

	if (n == (size_t) -1 || n == (size_t) -2) {
		memset(state, 0, sizeof(*state));
		*width = snprintf(piece, LONGEST_PIECE, "\\x%02x", (unsigned char) *text);
		return 1;
	}
	*width = wcwidth(c);
	if (c == L'\n' || c == L'\t' || c == L'\r') {
		*width = snprintf(piece, LONGEST_PIECE, "\\%c", c == L'\n' ? 'n' : c == L'\t' ? 't' : 'r');
	} else if (c < 0xA0 && *width < 0) {
		*width = snprintf(piece, LONGEST_PIECE, "\\x%02x", (unsigned) c);
	} else if (*width < 0 || (c >= 0x200E && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
	        (c >= 0x2066 && c <= 0x2069)) {
		/* Unassigned, or it would turn the direction of the line. */
		memcpy(piece, "?", 2);
		*width = 1;
	} else {
		memcpy(piece, text, n);
		piece[n] = '\0';
	}
	return n;
}

char *
width_printable(const char *text, int most, int *width)
{
	size_t size = strlen(text) * 4 + 4, len = 0, cut_len = 0;
	char *out = malloc(size);
	mbstate_t state;
	int columns = 0, cut_columns = 0;

	if (!out)
		return NULL;
	memset(&state, 0, sizeof(state));
	while (*text) {
		char piece[LONGEST_PIECE];
		int w;
		size_t piece_len;

		text += next_piece(text, &state, piece, &w);
		piece_len = strlen(piece);
		memcpy(out + len, piece, piece_len);
		len += piece_len;
		columns += w;
		if (most > 0 && columns < most) {
			cut_len = len;
			cut_columns = columns;
		}
		if (most > 0 && columns > most) {
			/* One column is left for the ellipsis. */
			len = cut_len;
			columns = cut_columns + 1;
			memcpy(out + len, "\xE2\x80\xA6", 3);
			len += 3;
			break;
		}
	}
	out[len] = '\0';
	*width = columns;
	return out;
}
