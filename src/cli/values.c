/*
 * values.c: numbers, times, durations and payloads as people write them.
 */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LONGEST_SECONDS 1e10 /* more than 300 years */
#define LATEST_EPOCH 253402300799.0 /* the end of the year 9999 */

char *
value_integer(const char *text, const char **why)
{
	const char *digits = *text == '-' || *text == '+' ? text + 1 : text;
	char *end, *value;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (!isdigit((unsigned char) *digits) || *end || errno || n < INT_MIN || n > INT_MAX) {
		*why = "a whole number is expected";
		return NULL;
	}
	*why = "out of memory";
	return asprintf(&value, "%ld", n) < 0 ? NULL : value;
}

/* Decimal digits with an optional fraction; false: there are none.  strtod alone would take "inf" and hexadecimal. */
static bool
read_decimal(const char **text, double *value)
{
	const char *p = *text;
	size_t len = strspn(p, "0123456789");
	char *end;

	if (len == 0)
		return false;
	if (p[len] == '.' && isdigit((unsigned char) p[len + 1]))
		len += 1 + strspn(p + len + 1, "0123456789");
	*value = strtod(p, &end);
	*text = p + len;
	return end == *text;
}

/* "90", "90s", "1h30m", "0.5s", "500ms": seconds. */
static bool
read_duration(const char *text, double *seconds)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};
	bool plain = true;

	*seconds = 0;
	while (*text) {
		size_t i, len = 0;
		double n;

		if (!read_decimal(&text, &n))
			return false;
		if (plain && !*text) {
			*seconds = n;
			return n <= LONGEST_SECONDS;
		}
		plain = false;
		for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
			len = strlen(units[i].name);
			if (strncmp(text, units[i].name, len) == 0 && !isalpha((unsigned char) text[len]))
				break;
		}
		if (i == sizeof(units) / sizeof(units[0]))
			return false;
		text += len;
		*seconds += n * units[i].seconds;
	}
	return !plain && *seconds <= LONGEST_SECONDS;
}

char *
value_duration(const char *text, const char **why)
{
	double seconds;
	char *value;

	if (!read_duration(text, &seconds)) {
		*why = "a duration is expected, such as 90, 90s, 500ms, 1h30m or 2d";
		return NULL;
	}
	*why = "out of memory";
	return asprintf(&value, "%.6f", seconds) < 0 ? NULL : value;
}

/* Exactly n digits. */
static bool
read_digits(const char **text, int n, int *value)
{
	*value = 0;
	for (int i = 0; i < n; i++, (*text)++) {
		if (!isdigit((unsigned char) **text))
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return true;
}

static bool
read_char(const char **text, const char *allowed)
{
	if (**text == '\0' || !strchr(allowed, **text))
		return false;
	(*text)++;
	return true;
}

/* RFC 3339, a blank in place of the "T" allowed, and no seconds too. */
static bool
is_rfc3339(const char *text)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day, hour, minute, second = 0;
	bool leap;

	if (!read_digits(&text, 4, &year) || !read_char(&text, "-") || !read_digits(&text, 2, &month) ||
	        !read_char(&text, "-") || !read_digits(&text, 2, &day) || !read_char(&text, "Tt ") ||
	        !read_digits(&text, 2, &hour) || !read_char(&text, ":") || !read_digits(&text, 2, &minute))
		return false;
	if (read_char(&text, ":")) {
		if (!read_digits(&text, 2, &second))
			return false;
		if (read_char(&text, ".")) {
			size_t len = strspn(text, "0123456789");

			if (len == 0)
				return false;
			text += len;
		}
	}
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (month < 1 || month > 12 || day < 1 || day > days[month - 1] + (month == 2 && leap) || hour > 23 ||
	        minute > 59 || second > 60)
		return false;
	if (read_char(&text, "+-")) {
		if (!read_digits(&text, 2, &hour) || !read_char(&text, ":") || !read_digits(&text, 2, &minute))
			return false;
		return *text == '\0' && hour <= 15 && minute <= 59;
	}
	return read_char(&text, "Zz") && *text == '\0';
}

char *
value_time(const char *text, const char **why)
{
	const char *p = text;
	double seconds;
	char *value = NULL;
	bool good = true;

	*why = "out of memory";
	if (strcmp(text, "now") == 0)
		return strdup("+0");
	if (*text == '+' || *text == '-') {
		good = read_duration(text + 1, &seconds);
		if (good && asprintf(&value, "+%s%.6f", *text == '-' ? "-" : "", seconds) < 0)
			return NULL;
	} else if (read_decimal(&p, &seconds) && *p == '\0') {
		good = seconds <= LATEST_EPOCH;
		if (good && asprintf(&value, "@%s", text) < 0)
			return NULL;
	} else {
		good = is_rfc3339(text);
		if (good)
			return strdup(text);
	}
	if (!good)
		*why = "a time is expected: 2027-01-31T09:00:00Z, with an offset such as +01:00 in place of Z; seconds "
		       "since 1970; now; or from now, such as +10m or -1h";
	return value;
}

bool
value_is_choice(const char *text, const char *choices)
{
	size_t len = strlen(text);

	for (const char *p = choices; p;) {
		size_t n = strcspn(p, "|");

		if (n == len && strncmp(p, text, n) == 0)
			return true;
		p = p[n] ? p + n + 1 : NULL;
	}
	return false;
}

static char *
read_all(FILE *in, const char *name)
{
	size_t len = 0, size = 65536;
	char *buf = malloc(size);

	while (buf && !feof(in) && !ferror(in)) {
		len += fread(buf + len, 1, size - len - 1, in);
		if (size - len < 2) {
			char *bigger = size < SIZE_MAX / 2 ? realloc(buf, size * 2) : NULL;

			if (!bigger) {
				free(buf);
				buf = NULL;
			} else {
				buf = bigger;
				size *= 2;
			}
		}
	}
	if (!buf || ferror(in)) {
		fprintf(stderr, "jobsched: %s: cannot be read: %s\n", name, buf ? strerror(errno) : "out of memory");
		free(buf);
		return NULL;
	}
	buf[len] = '\0';
	if (memchr(buf, '\0', len)) {
		fprintf(stderr, "jobsched: %s: contains a NUL byte, which JSON cannot\n", name);
		free(buf);
		return NULL;
	}
	return buf;
}

char *
value_payload(const char *text)
{
	char *payload;
	FILE *in;

	if (strcmp(text, "-") == 0)
		return read_all(stdin, "standard input");
	if (*text != '@')
		return strdup(text);
	in = fopen(text + 1, "re");
	if (!in) {
		fprintf(stderr, "jobsched: %s: cannot be read: %s\n", text + 1, strerror(errno));
		return NULL;
	}
	payload = read_all(in, text + 1);
	fclose(in);
	return payload;
}
