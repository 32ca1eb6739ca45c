/*
 * utf8.c: check and repair UTF-8.
 */
#include "utf8.h"

#include <string.h>

static int
continues(unsigned char c)
{
	return (c & 0xC0) == 0x80;
}

size_t
utf8_sequence(const unsigned char *p, const unsigned char *end)
{
	size_t left = (size_t) (end - p);

	if (left == 0 || p[0] == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xC2 && p[0] <= 0xDF)
		return left >= 2 && continues(p[1]) ? 2 : 0;
	if (p[0] >= 0xE0 && p[0] <= 0xEF) {
		if (left < 3 || !continues(p[1]) || !continues(p[2]))
			return 0;
		if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F))
			return 0;
		return 3;
	}
	if (p[0] >= 0xF0 && p[0] <= 0xF4) {
		if (left < 4 || !continues(p[1]) || !continues(p[2]) || !continues(p[3]))
			return 0;
		if ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
			return 0;
		return 4;
	}
	return 0;
}

bool
utf8_is_clean(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + len;

	while (p < end) {
		size_t n = *p > 0 && *p < 0x80 ? 1 : utf8_sequence(p, end);

		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

size_t
utf8_clean(const char *in, size_t len, char *out)
{
	const unsigned char *p = (const unsigned char *) in;
	const unsigned char *end = p + len;
	char *to = out;

	while (p < end) {
		size_t n = utf8_sequence(p, end);

		if (n == 0) {
			memcpy(to, "\xEF\xBF\xBD", 3);
			to += 3;
			p++;
		} else {
			memcpy(to, p, n);
			to += n;
			p += n;
		}
	}
	*to = '\0';
	return (size_t) (to - out);
}

size_t
utf8_prefix(const char *text, size_t max)
{
	const unsigned char *p = (const unsigned char *) text;
	size_t n = 0;

	for (; *p; p++) {
		if (!continues(*p) && n++ == max)
			break;
	}
	return (size_t) (p - (const unsigned char *) text);
}
