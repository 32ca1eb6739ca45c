/*
 * page.c: title and preview of a page.
 */
#include "page.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "utf8.h"

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* p is at '<': does a tag of that name begin here? */
static bool
tag_begins(const char *p, const char *end, const char *name)
{
	size_t len = strlen(name);

	if ((size_t) (end - p) < len + 2 || strncasecmp(p + 1, name, len) != 0)
		return false;
	return is_space(p[len + 1]) || p[len + 1] == '>' || p[len + 1] == '/';
}

/* Behind the '>' that ends the tag at p; quotes may hide one. */
static const char *
tag_end(const char *p, const char *end)
{
	char quote = 0;

	for (p++; p < end; p++) {
		if (quote) {
			if (*p == quote)
				quote = 0;
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
		} else if (*p == '>') {
			return p + 1;
		}
	}
	return end;
}

static const char *
find_tag(const char *p, const char *end, const char *name)
{
	while (p < end && (p = memchr(p, '<', (size_t) (end - p)))) {
		if (tag_begins(p, end, name))
			return p;
		p++;
	}
	return NULL;
}

/* Skips what the '<' at p begins: a tag, a comment, scripts and styles with all that is in them. */
static const char *
skip_markup(const char *p, const char *end)
{
	static const char *const hidden[][2] = {
		{ "script", "/script" }, { "style", "/style" }, { "title", "/title" }, { "noscript", "/noscript" }
	};

	if (end - p >= 4 && memcmp(p, "<!--", 4) == 0) {
		const char *over = memmem(p + 4, (size_t) (end - p) - 4, "-->", 3);

		return over ? over + 3 : end;
	}
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (tag_begins(p, end, hidden[i][0])) {
			const char *close = find_tag(p + 1, end, hidden[i][1]);

			return close ? tag_end(close, end) : end;
		}
	}
	return tag_end(p, end);
}

static bool
is_markup(const char *p, const char *end)
{
	return end - p >= 2
		   && (p[1] == '/' || p[1] == '!' || p[1] == '?' || (p[1] >= 'a' && p[1] <= 'z')
			   || (p[1] >= 'A' && p[1] <= 'Z'));
}

/* The text of p..end as clean UTF-8, at most `max` code points. */
static char *
extract(const char *p, const char *end, bool html, size_t max)
{
	size_t room = max * 4, len = 0;		/* no code point is longer */
	char *raw = malloc(room + 1), *clean = NULL;
	bool gap = false;

	if (!raw)
		return NULL;
	while (p < end && len < room - 1) {
		if (html && *p == '<' && is_markup(p, end)) {
			p = skip_markup(p, end);
			gap = true;
		} else if (is_space(*p)) {
			gap = true;
			p++;
		} else {
			if (gap && len > 0)
				raw[len++] = ' ';
			gap = false;
			raw[len++] = *p++;
		}
	}
	/* A sequence that the end of `raw` cuts lies beyond `max` code points, so its replacement is cut off too. */
	clean = malloc(UTF8_CLEAN_SIZE(len));
	if (clean) {
		utf8_clean(raw, len, clean);
		clean[utf8_prefix(clean, max)] = '\0';
	}
	free(raw);
	return clean;
}

int
page_describe(const char *body, size_t size, bool html, char **title, char **preview)
{
	const char *end = body + size;
	const char *open = html && size ? find_tag(body, end, "title") : NULL;

	*title = NULL;
	*preview = extract(body, end, html, PAGE_PREVIEW_MAX);
	if (!*preview)
		return -1;
	if (open) {
		const char *from = tag_end(open, end);
		const char *close = find_tag(from, end, "/title");

		*title = extract(from, close ? close : end, false, PAGE_TITLE_MAX);
		if (!*title) {
			free(*preview);
			*preview = NULL;
			return -1;
		}
	}
	return 0;
}
