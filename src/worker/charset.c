/*
 * charset.c: text of a page as UTF-8, whatever encoding it came in.
 */
#include "charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "charset_labels.h"
#include "utf8.h"

#define REPLACEMENT "\xEF\xBF\xBD"
#define GROWTH_MAX 4 /* UTF-8 bytes that one byte of any of the encodings can become */

const char *
charset_find(const char *label, size_t len)
{
	while (len > 0 && strchr(" \t\r\n\f", label[0])) {
		label++;
		len--;
	}
	while (len > 0 && strchr(" \t\r\n\f", label[len - 1]))
		len--;
	for (size_t i = 0; len > 0 && i < sizeof(encodings) / sizeof(encodings[0]); i++) {
		for (const char *p = encodings[i].labels; *p; p += strspn(p, " ")) {
			size_t n = strcspn(p, " ");

			if (n == len && strncasecmp(p, label, n) == 0)
				return encodings[i].name;
			p += n;
		}
	}
	return NULL;
}

const char *
charset_of_type(const char *content_type)
{
	const char *p = content_type;

	while ((p = strchr(p, ';'))) {
		p++;
		p += strspn(p, " \t");
		if (strncasecmp(p, "charset", 7) != 0)
			continue;
		p += 7;
		p += strspn(p, " \t");
		if (*p != '=')
			continue;
		p++;
		p += strspn(p, " \t");
		if (*p == '"' || *p == '\'')
			return charset_find(p + 1, strcspn(p + 1, *p == '"' ? "\"" : "'"));
		return charset_find(p, strcspn(p, "; \t,"));
	}
	return NULL;
}

static bool
is_utf8(const char *body, size_t size, bool cut)
{
	const unsigned char *p = (const unsigned char *) body, *end = p + size;

	while (p < end) {
		size_t n = *p ? utf8_sequence(p, end) : 1;

		if (n == 0)
			return cut && end - p < 4 && *p >= 0xC2;
		p += n;
	}
	return true;
}

const char *
charset_choose(const char *body, size_t size, const char *declared, bool cut, size_t *mark)
{
	*mark = 0;
	if (size >= 3 && memcmp(body, "\xEF\xBB\xBF", 3) == 0) {
		*mark = 3;
		return "utf-8";
	}
	if (size >= 2 && memcmp(body, "\xFE\xFF", 2) == 0) {
		*mark = 2;
		return "utf-16be";
	}
	if (size >= 2 && memcmp(body, "\xFF\xFE", 2) == 0) {
		*mark = 2;
		return "utf-16le";
	}
	if (declared)
		return declared;
	return is_utf8(body, size, cut) ? "utf-8" : "windows-1252";
}

static const struct encoding *
encoding_of(const char *name)
{
	for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
		if (strcmp(encodings[i].name, name) == 0)
			return &encodings[i];
	}
	return NULL;
}

/* Converts with iconv; what it does not take becomes U+FFFD, a unit at a time.  out has room for everything. */
static size_t
convert(iconv_t cd, const char *body, size_t size, size_t unit, char *out, size_t room)
{
	char *in = (char *) (size_t) body, *to = out;
	size_t left = size;

	while (left > 0 && room > sizeof(REPLACEMENT)) {
		size_t skip;

		if (iconv(cd, &in, &left, &to, &room) != (size_t) -1 || errno == E2BIG)
			break;
		skip = left < unit ? left : unit;
		in += skip;
		left -= skip;
		memcpy(to, REPLACEMENT, sizeof(REPLACEMENT) - 1);
		to += sizeof(REPLACEMENT) - 1;
		room -= sizeof(REPLACEMENT) - 1;
	}
	iconv(cd, NULL, NULL, &to, &room);
	return (size_t) (to - out);
}

char *
charset_decode(const char *body, size_t size, const char *charset, size_t *length)
{
	const struct encoding *encoding = encoding_of(charset);
	size_t room = size * GROWTH_MAX + 16, len;
	char *raw, *clean;
	iconv_t cd;

	if (!encoding)
		return NULL;
	if (strcmp(charset, "utf-8") == 0) {
		clean = malloc(UTF8_CLEAN_SIZE(size));
		if (clean)
			*length = utf8_clean(body, size, clean);
		return clean;
	}
	cd = iconv_open("UTF-8", encoding->iconv);
	if (cd == (iconv_t) -1)
		return NULL;
	raw = malloc(room);
	if (!raw) {
		iconv_close(cd);
		return NULL;
	}
	len = convert(cd, body, size, strncmp(charset, "utf-16", 6) == 0 ? 2 : 1, raw, room);
	iconv_close(cd);
	clean = malloc(UTF8_CLEAN_SIZE(len));
	if (clean)
		*length = utf8_clean(raw, len, clean);
	free(raw);
	return clean;
}
