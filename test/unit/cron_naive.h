/*
 * cron_naive.h: cron expressions as a reader of docs/cron.md would match them with pencil and paper, and random ones, for
 * the tests that compare.  It shares nothing with src/extension/cron*.c.
 */
#ifndef JOBSCHED_CRON_NAIVE_H
#define JOBSCHED_CRON_NAIVE_H

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"

static int64_t
epoch(const char *text)
{
	struct tm tm = {0};
	int n = sscanf(
	        text, "%d-%d-%d %d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec);

	if (n < 3)
		abort();
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return timegm(&tm);
}

static const char *
iso(char *buf, size_t size, int64_t seconds)
{
	struct tm tm;
	time_t t = (time_t) seconds;

	gmtime_r(&t, &tm);
	strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm);
	return buf;
}
#define ISO(t) iso((char[32]){0}, 32, (t))

/* The matcher knows the text of the fields and one date, and asks each list member in turn. */
static const char *const words[2][12] = {
        {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"},
        {"sun", "mon", "tue", "wed", "thu", "fri", "sat"},
};

static int
naive_value(const char *text, const char **end, int kind)
{
	for (int set = 0; isalpha((unsigned char) *text) && set < 2; set++)
		for (int i = 0; kind == 4 + set && i < 12 && words[set][i]; i++)
			if (strncasecmp(text, words[set][i], 3) == 0) {
				*end = text + 3;
				return set == 0 ? i + 1 : i;
			}
	return (int) strtol(text, (char **) end, 10);
}

static int
naive_distance(int a, int b)
{
	return abs(a - b);
}

/* kind 0..5: second .. day of week; value is what the clock shows; the date is for L, W and #. */
static bool
naive_member(const char *m, int kind, int value, int day, int length, int weekday)
{
	static const int lows[] = {0, 0, 0, 1, 1, 0}, ends[] = {59, 59, 23, 31, 12, 6};
	const char *rest = m;
	int from = lows[kind], to = ends[kind], step = 1;

	if (kind == 3 && (*m == 'L' || *m == '$')) {
		if (m[1] == 'W') {
			if (weekday == 0 || weekday == 6)
				return false;
			for (int later = day + 1; later <= length; later++)
				if ((weekday + later - day) % 7 != 0 && (weekday + later - day) % 7 != 6)
					return false;
			return true;
		}
		return day == length - (m[1] == '-' ? atoi(m + 2) : 0);
	}
	if (*m == '*' || *m == '?') {
		rest = m + 1;
	} else {
		from = to = naive_value(m, &rest, kind);
		if (kind == 3 && *rest == 'W') {
			/* of all weekdays of the month, none is nearer to the wanted day than this one */
			if (from > length || weekday == 0 || weekday == 6)
				return false;
			for (int other = 1; other <= length; other++) {
				int w = ((weekday + other - day) % 7 + 7) % 7;

				if (w != 0 && w != 6 && naive_distance(other, from) < naive_distance(day, from))
					return false;
			}
			return true;
		}
		if (kind == 5 && *rest == 'L')
			return weekday == from % 7 && day + 7 > length;
		if (kind == 5 && *rest == '#')
			return weekday == from % 7 && (day + 6) / 7 == atoi(rest + 1);
		if (*rest == '-')
			to = naive_value(rest + 1, &rest, kind);
		else if (*rest == '/')
			to = ends[kind];
	}
	if (*rest == '/')
		step = atoi(rest + 1);
	/* walk the range as the calendar does */
	if (kind == 5 && from == 7 && to != 7)
		from = 0;
	for (int v = from, n = 0;; n++) {
		if (n % step == 0 && (v == value || (kind == 5 && v % 7 == value)))
			return true;
		if (v == to)
			return false;
		v++;
		if (kind == 4 && v > 12)
			v = 1;
		else if (kind == 5 && v > (to == 7 ? 7 : 6))
			v = 0;
	}
}

static bool
naive_field(const char *field, int kind, int value, int day, int length, int weekday)
{
	for (const char *m = field; m; m = strchr(m, ',') ? strchr(m, ',') + 1 : NULL)
		if (naive_member(m, kind, value, day, length, weekday))
			return true;
	return false;
}

static bool
naive_unrestricted(const char *field)
{
	return !strcmp(field, "*") || !strcmp(field, "?") || !strcmp(field, "*/1");
}

static bool
naive_day(char f[6][64], const struct tm *tm)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = tm->tm_year + 1900, length = lengths[tm->tm_mon];
	bool day, weekday;

	if (tm->tm_mon == 1 && ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0))
		length = 29;
	if (!naive_field(f[4], 4, tm->tm_mon + 1, 0, 0, 0))
		return false;
	day = naive_field(f[3], 3, tm->tm_mday, tm->tm_mday, length, tm->tm_wday);
	weekday = naive_field(f[5], 5, tm->tm_wday, tm->tm_mday, length, tm->tm_wday);
	return naive_unrestricted(f[3]) || naive_unrestricted(f[5]) ? day && weekday : day || weekday;
}

/* The first matching second after `after` within so many days, or INT64_MIN. */
static int64_t
naive_next(char f[6][64], int64_t after, int days)
{
	bool hit[3][60] = {{0}};

	for (int kind = 0; kind < 3; kind++)
		for (int v = 0; v < 60; v++)
			hit[kind][v] = v < (kind == 2 ? 24 : 60) && naive_field(f[kind], kind, v, 0, 0, 0);
	for (int64_t t = after + 1, n = 0; n < days; n++) {
		struct tm tm;
		time_t clock = (time_t) t;
		int64_t midnight;

		gmtime_r(&clock, &tm);
		midnight = t - tm.tm_hour * 3600 - tm.tm_min * 60 - tm.tm_sec;
		if (naive_day(f, &tm))
			for (; t < midnight + 86400; t++)
				if (hit[2][(t - midnight) / 3600] && hit[1][(t - midnight) / 60 % 60] &&
				        hit[0][(t - midnight) % 60])
					return t;
		t = midnight + 86400;
	}
	return INT64_MIN;
}

static uint64_t random_state = 20261124;

static int
random_below(int n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (int) ((random_state >> 33) % (uint64_t) n);
}

static void
random_value(char *out, int kind, int value)
{
	int set = kind - 4;

	if (set >= 0 && value - (set == 0) < (set == 0 ? 12 : 7) && random_below(3) == 0) {
		strcpy(out, words[set][value - (set == 0)]);
		if (random_below(2))
			out[0] = (char) toupper((unsigned char) out[0]);
	} else {
		sprintf(out, random_below(8) ? "%d" : "%02d", value);
	}
}

static void
random_member(char *out, int kind)
{
	static const int lows[] = {0, 0, 0, 1, 1, 0}, highs[] = {59, 59, 23, 31, 12, 7};
	int low = lows[kind], high = highs[kind], a = low + random_below(high - low + 1),
	    b = low + random_below(high - low + 1);
	char from[16], to[16];

	random_value(from, kind, a);
	if (kind == 3 && random_below(4) == 0) {
		switch (random_below(5)) {
		case 0:
			strcpy(out, "L");
			return;
		case 1:
			strcpy(out, "$");
			return;
		case 2:
			sprintf(out, "L-%d", random_below(31));
			return;
		case 3:
			strcpy(out, "LW");
			return;
		default:
			sprintf(out, "%dW", a);
			return;
		}
	}
	if (kind == 5 && random_below(4) == 0) {
		if (random_below(2))
			sprintf(out, "%sL", from);
		else
			sprintf(out, "%s#%d", from, 1 + random_below(5));
		return;
	}
	if (kind < 4 && b < a) {
		int swap = a;

		a = b;
		b = swap;
		random_value(from, kind, a);
	}
	random_value(to, kind, b);
	switch (random_below(8)) {
	case 0:
		strcpy(out, "*");
		return;
	case 1:
		sprintf(out, "*/%d", 1 + random_below(high));
		return;
	case 2:
		sprintf(out, "%s/%d", from, 1 + random_below(high));
		return;
	case 3:
		sprintf(out, "%s-%s/%d", from, to, 1 + random_below(1 + high / 4));
		return;
	case 4:
		sprintf(out, "%s-%s", from, to);
		return;
	case 5:
		strcpy(out, kind == 3 || kind == 5 ? "?" : "*");
		return;
	default:
		strcpy(out, from);
		return;
	}
}

static void
random_field(char *out, int kind)
{
	int members = random_below(4) ? 1 : 2 + random_below(2);

	if ((kind >= 3 && random_below(3) == 0) || (kind < 2 && random_below(6) == 0)) {
		strcpy(out, "*");
		return;
	}
	for (*out = 0; members > 0; members--) {
		random_member(out + strlen(out), kind);
		if (members > 1)
			strcat(out, ",");
	}
}

#pragma GCC diagnostic pop

#endif
