/*
 * cron_parse.c: parses cron expressions into bit masks.
 *
 * One pass, no backtracking: an expression is cut into fields at blanks, a field into list members at commas, and every
 * member sets its bits.  What is wrong is said with field, value, allowed range and position.  An expression that never
 * matches is found by trying all 28 kinds of month there are.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cron.h"

typedef struct CronField
{
	const char *label;
	int			low;
	int			high;
	int			open_end;			/* where "*" and "a/n" end: Saturday for the day of week, whose 7 is Sunday again */
	int			cycle;				/* a range may wrap, and so many values on is the same value; 0: it may not */
	const char *const *names;		/* lower case, the first is the value `low`; NULL: none */
	int			names_count;
} CronField;

enum
{
	SECOND,
	MINUTE,
	HOUR,
	DAY_OF_MONTH,
	MONTH,
	DAY_OF_WEEK,
	FIELDS
};

static const char *const month_names[] = {"january", "february", "march", "april", "may", "june", "july",
"august", "september", "october", "november", "december"};
static const char *const weekday_names[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday",
"saturday"};

static const CronField fields[FIELDS] = {
	[SECOND] = {"second", 0, 59, 59, 0, NULL, 0},
	[MINUTE] = {"minute", 0, 59, 59, 0, NULL, 0},
	[HOUR] = {"hour", 0, 23, 23, 0, NULL, 0},
	[DAY_OF_MONTH] = {"day of month", 1, 31, 31, 0, NULL, 0},
	[MONTH] = {"month", 1, 12, 12, 12, month_names, 12},
	[DAY_OF_WEEK] = {"day of week", 0, 7, 6, 7, weekday_names, 7},
};

/* One field being read: text from `p` up to `end`. */
typedef struct Parser
{
	const char *expr;
	const char *p;
	const char *end;
	int			kind;				/* SECOND .. DAY_OF_WEEK */
	int			number;				/* 1.., as people count */
	CronSpec   *spec;
	CronError  *error;
} Parser;

/* isdigit() and its like ask the locale. */
static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static bool
is_letter(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * Copies user text for a message: no control characters, not too long, and no multibyte character cut in two, as a
 * server would refuse to send that.
 */
static const char *
quoted(char *buf, size_t size, const char *text, const char *end)
{
	size_t		n = (size_t) (end - text);
	bool		cut = n > size - 4;

	if (cut)
		for (n = size - 4; n > 0 && (text[n - 1] & 0x80); n--)
			;
	for (size_t i = 0; i < n; i++)
		buf[i] = (unsigned char) text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	memcpy(buf + n, cut ? "..." : "", cut ? 4 : 1);
	return buf;
}

#define QUOTE(text, end) quoted((char[40]){0}, 40, (text), (end))

/* Fills the error and returns false.  `hint` may be NULL.  With a field set, the message is about that field. */
__attribute__((format(printf, 4, 5)))
static bool
fail(Parser *ps, const char *at, const char *hint, const char *fmt,...)
{
	CronError  *error = ps->error;
	int			n = 0;
	va_list		args;

	if (ps->number > 0)
		n = snprintf(error->message, sizeof(error->message), "cron field %d (%s): ", ps->number,
					 fields[ps->kind].label);
	va_start(args, fmt);
	vsnprintf(error->message + n, sizeof(error->message) - (size_t) n, fmt, args);
	va_end(args);
	snprintf(error->hint, sizeof(error->hint), "%s", hint ? hint : "");
	error->position = (int) (at - ps->expr);
	return false;
}

/* Is the text a name of this value, whole or its first three letters? */
static bool
is_name(const char *text, size_t length, const char *name)
{
	if (length != 3 && length != strlen(name))
		return false;
	for (size_t i = 0; i < length; i++)
		if (lower(text[i]) != name[i])
			return false;
	return true;
}

/* Reads digits, however many; what is too large for any field stays so. */
static int
read_number(Parser *ps)
{
	int			value = 0;

	for (; ps->p < ps->end && is_digit(*ps->p); ps->p++)
		if (value < 1000000)
			value = value * 10 + (*ps->p - '0');
	return value;
}

/* What is wrong where a value should stand. */
static bool
fail_no_value(Parser *ps, const char *at)
{
	const CronField *f = &fields[ps->kind];
	const char *stop = at;

	while (stop < ps->end && *stop != ',')
		stop++;
	if (at == stop)
		return fail(ps, at, NULL, "a value is missing, allowed are %d-%d", f->low, f->high);
	if (*at == '?')
		return fail(ps, at, "Write * for every value.", "? is for the two day fields only, allowed are %d-%d",
					f->low, f->high);
	if (ps->kind == DAY_OF_WEEK && lower(*at) == 'l')
		return fail(ps, at, "Write 5L or friL for the last Friday of the month.",
					"\"%s\" names no day, allowed are 0-7 and sun-sat before L", QUOTE(at, stop));
	if (f->names)
		return fail(ps, at, "Names have three letters or are written out.",
					"\"%s\" is no value, allowed are %d-%d and %.3s-%.3s", QUOTE(at, stop), f->low, f->high,
					f->names[0], f->names[f->names_count - 1]);
	return fail(ps, at, NULL, "\"%s\" is no value, allowed are %d-%d", QUOTE(at, stop), f->low, f->high);
}

/* Reads a number or a name.  Leaves the L of "friL" unread. */
static bool
parse_value(Parser *ps, int *value)
{
	const CronField *f = &fields[ps->kind];
	const char *start = ps->p;

	if (start < ps->end && is_digit(*start))
	{
		*value = read_number(ps);
		if (*value < f->low || *value > f->high)
			return fail(ps, start, NULL, "%s is out of range %d-%d", QUOTE(start, ps->p), f->low, f->high);
		return true;
	}
	while (ps->p < ps->end && is_letter(*ps->p))
		ps->p++;
	for (int suffix = 0; suffix <= (ps->kind == DAY_OF_WEEK ? 1 : 0); suffix++)
	{
		if (ps->p - start <= suffix || (suffix && lower(ps->p[-1]) != 'l'))
			break;
		for (int i = 0; i < f->names_count; i++)
			if (is_name(start, (size_t) (ps->p - start - suffix), f->names[i]))
			{
				ps->p -= suffix;
				*value = f->low + i;
				return true;
			}
	}
	return fail_no_value(ps, start);
}

/* "/n", when it is there.  *step is 1 otherwise. */
static bool
parse_step(Parser *ps, int *step)
{
	const CronField *f = &fields[ps->kind];
	const char *start = ps->p + 1;

	*step = 1;
	if (ps->p == ps->end || *ps->p != '/')
		return true;
	ps->p++;
	if (ps->p == ps->end || !is_digit(*ps->p))
		return fail(ps, ps->p, NULL, "a step must be a number 1-%d", f->high);
	*step = read_number(ps);
	if (*step < 1 || *step > f->high)
		return fail(ps, start, *step < 1 ? NULL : ps->kind <= HOUR ?
					"A step starts anew with every field's round; for a constant interval write @every, like @every 90m." :
					"A step starts anew with every field's round; for a constant interval write @every, like @every 720h.",
					"step %s is out of range 1-%d", QUOTE(start, ps->p), f->high);
	return true;
}

/* Sets the bits of first, first + step, ... up to last, which may lie before first where ranges wrap. */
static void
set_range(const CronField *f, uint64_t *mask, int first, int last, int step)
{
	int			cycle = f->cycle ? f->cycle : 64;

	if (f->cycle == 7 && first == 7)	/* Sunday by its other number; 0-7 is a whole week, 7-7 a day */
	{
		first = 0;
		last = last == 7 ? 0 : last;
	}
	if (last < first)
		last += cycle;
	for (int value = first; value <= last; value += step)
		*mask |= UINT64_C(1) << (f->low + (value - f->low) % cycle);
}

/* L, $, L-3, LW of the day of month.  A range or a step of these is no part of the language. */
static bool
parse_last_day(Parser *ps)
{
	bool		letter = *ps->p++ != '$';
	const char *start;
	int			before;

	if (letter && ps->p < ps->end && lower(*ps->p) == 'w')
	{
		ps->p++;
		ps->spec->days_near |= 1;
		return true;
	}
	if (!letter || ps->p == ps->end || *ps->p != '-')
	{
		ps->spec->days_from_last |= 1;
		return true;
	}
	start = ++ps->p;
	if (ps->p == ps->end || !is_digit(*ps->p))
		return fail(ps, ps->p, "L-3 is three days before the last day.", "L- must be followed by a number 0-30");
	before = read_number(ps);
	if (before > 30)
		return fail(ps, start, NULL, "L-%s is out of range L-0 to L-30", QUOTE(start, ps->p));
	ps->spec->days_from_last |= UINT32_C(1) << before;
	return true;
}

/* The second half of fri#2: from the # on. */
static bool
parse_nth(Parser *ps, int weekday)
{
	const char *start = ++ps->p;
	int			nth = 0;

	if (ps->p == ps->end || !is_digit(*ps->p))
		return fail(ps, ps->p, "fri#2 is the second Friday of the month.", "# must be followed by a number 1-5");
	nth = read_number(ps);
	if (nth < 1 || nth > 5)
		return fail(ps, start, NULL, "#%s is out of range 1-5", QUOTE(start, ps->p));
	ps->spec->weekdays_nth[nth] |= (uint8_t) (1 << weekday % 7);
	return true;
}

/* One member of a list.  *all: it is "*" or "?", in steps of 1. */
static bool
parse_member(Parser *ps, uint64_t *mask, bool *all)
{
	const CronField *f = &fields[ps->kind];
	char		c = ps->p < ps->end ? *ps->p : ',';
	const char *start = ps->p;
	int			first = f->low;
	int			last = f->open_end;
	int			step;

	*all = false;
	if (c == '*' || (c == '?' && (ps->kind == DAY_OF_MONTH || ps->kind == DAY_OF_WEEK)))
	{
		ps->p++;
		if (!parse_step(ps, &step))
			return false;
		*all = step == 1;
		set_range(f, mask, first, last, step);
		return true;
	}
	if (ps->kind == DAY_OF_MONTH && (lower(c) == 'l' || c == '$'))
		return parse_last_day(ps);
	if (!parse_value(ps, &first))
		return false;
	c = ps->p < ps->end ? *ps->p : ',';
	if (ps->kind == DAY_OF_MONTH && lower(c) == 'w')
	{
		ps->p++;
		ps->spec->days_near |= UINT32_C(1) << first;
		return true;
	}
	if (ps->kind == DAY_OF_WEEK && lower(c) == 'l')
	{
		ps->p++;
		ps->spec->weekdays_last |= (uint8_t) (1 << first % 7);
		return true;
	}
	if (ps->kind == DAY_OF_WEEK && c == '#')
		return parse_nth(ps, first);
	if (c == '-')
	{
		ps->p++;
		if (!parse_value(ps, &last))
			return false;
		if (last < first && !f->cycle)
			return fail(ps, start, "Write it as two ranges, like 22-23,0-2; only months and days of the week wrap.",
						"range %s ends before it begins, allowed are %d-%d", QUOTE(start, ps->p), f->low, f->high);
	}
	else if (c != '/')
		last = first;
	if (!parse_step(ps, &step))
		return false;
	set_range(f, mask, first, last, step);
	return true;
}

/* A list, and what the field as a whole decides: is a day restricted, is the hour a wildcard? */
static bool
parse_field(Parser *ps)
{
	CronSpec   *spec = ps->spec;
	const char *start = ps->p;
	uint64_t	mask = 0;
	bool		all;

	if (!parse_member(ps, &mask, &all))
		return false;
	while (ps->p < ps->end)
	{
		bool		ignored;

		if (*ps->p != ',')
			return fail(ps, ps->p, NULL, "unexpected \"%s\" after \"%s\"", QUOTE(ps->p, ps->end), QUOTE(start, ps->p));
		all = false;
		ps->p++;
		if (!parse_member(ps, &mask, &ignored))
			return false;
	}
	switch (ps->kind)
	{
		case SECOND:
			spec->seconds = mask;
			break;
		case MINUTE:
			spec->minutes = mask;
			break;
		case HOUR:
			spec->hours = (uint32_t) mask;
			spec->hour_wildcard = *start == '*' || mask == 0xffffff;
			break;
		case DAY_OF_MONTH:
			spec->days = (uint32_t) mask;
			spec->day_restricted = !all;
			break;
		case MONTH:
			spec->months = (uint16_t) mask;
			break;
		default:
			spec->weekdays = (uint8_t) mask;
			spec->weekday_restricted = !all;
	}
	return true;
}

/* @every 1h30m: hours, minutes, seconds, in this order, each at most once. */
static bool
parse_every(Parser *ps)
{
	static const char units[] = "hms";
	static const int seconds[] = {3600, 60, 1};
	const char *start = ps->p;
	int			unit = 0;
	int64_t		every = 0;

	while (ps->p < ps->end)
	{
		const char *at = ps->p;
		int64_t		number = 0;

		for (; ps->p < ps->end && is_digit(*ps->p); ps->p++)
			if (number <= CRON_EVERY_MAX)
				number = number * 10 + (*ps->p - '0');
		for (; unit < 3 && ps->p < ps->end && lower(*ps->p) != units[unit]; unit++)
			;
		if (ps->p == at || ps->p == ps->end || unit == 3)
			return fail(ps, at, "Write hours, minutes and seconds in this order, like 90s, 15m, 2h or 1h30m.",
						"\"%s\" is no duration for @every", QUOTE(start, ps->end));
		ps->p++;
		every += number * seconds[unit++];
		if (number > CRON_EVERY_MAX || every > CRON_EVERY_MAX)
			return fail(ps, start, NULL, "\"%s\" is out of range for @every, 1s-876000h", QUOTE(start, ps->end));
	}
	if (every == 0)
		return fail(ps, start, "Write the interval behind it, like @every 90s, 15m, 2h or 1h30m.",
					start == ps->end ? "@every needs a duration, 1s-876000h" :
					"\"%s\" is out of range for @every, 1s-876000h", QUOTE(start, ps->end));
	ps->spec->every = every;
	return true;
}

/* @hourly and its like stand for five fields, @every for none. */
static bool
parse_macro(Parser *ps, const char **macro)
{
	static const struct
	{
		const char *name;
		const char *fields;
	}			macros[] = {
		{"@yearly", "0 0 1 1 *"},
		{"@annually", "0 0 1 1 *"},
		{"@monthly", "0 0 1 * *"},
		{"@weekly", "0 0 * * 0"},
		{"@daily", "0 0 * * *"},
		{"@midnight", "0 0 * * *"},
		{"@hourly", "0 * * * *"},
		{"@every", NULL},
	};
	const char *start = ps->p;
	const char *stop = start;

	while (stop < ps->end && !is_blank(*stop))
		stop++;
	for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++)
	{
		size_t		length = strlen(macros[i].name);
		size_t		same = 0;

		while (same < length && start + same < stop && lower(start[same]) == macros[i].name[same])
			same++;
		if (same != length || start + same != stop)
			continue;
		while (stop < ps->end && is_blank(*stop))
			stop++;
		if (macros[i].fields && stop != ps->end)
			return fail(ps, stop, NULL, "unexpected \"%s\" after %s", QUOTE(stop, ps->end), macros[i].name);
		ps->p = stop;
		*macro = macros[i].fields;
		return macros[i].fields || parse_every(ps);
	}
	return fail(ps, start, NULL,
				"\"%s\" is unknown, allowed are @yearly @annually @monthly @weekly @daily @midnight @hourly @every",
				QUOTE(start, stop));
}

/* Is there any month in which a day matches?  Every kind of month occurs within 400 years. */
static bool
matches_ever(const CronSpec *spec)
{
	static const int8_t lengths[13] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	for (int month = 1; month <= 12; month++)
	{
		if (!(spec->months >> month & 1))
			continue;
		for (int first_weekday = 0; first_weekday < 7; first_weekday++)
			if (cron_match_days(spec, lengths[month], first_weekday) ||
				(month == 2 && cron_match_days(spec, 28, first_weekday)))
				return true;
	}
	return false;
}

static bool
parse_fields(Parser *ps, const char *const *starts, const char *const *ends, int count)
{
	if (count == 5)
		ps->spec->seconds = 1;
	ps->spec->has_seconds = count == 6;
	for (int i = 0; i < count; i++)
	{
		ps->p = starts[i];
		ps->end = ends[i];
		ps->number = i + 1;
		ps->kind = i + FIELDS - count;
		if (!parse_field(ps))
			return false;
	}
	if (!matches_ever(ps->spec))
	{
		ps->kind = DAY_OF_MONTH;
		ps->number = count - 2;
		return fail(ps, starts[count - 3], "The expression would never match.",
					"no month admitted by \"%s\" has a day \"%s\", allowed are 1-31", QUOTE(starts[count - 2], ends[count - 2]),
					QUOTE(starts[count - 3], ends[count - 3]));
	}
	return true;
}

bool
cron_parse(const char *expr, CronSpec *spec, CronError *error)
{
	Parser		ps = {.expr = expr, .spec = spec, .error = error};
	const char *starts[FIELDS];
	const char *ends[FIELDS];
	const char *text = expr;
	int			count = 0;

	memset(spec, 0, sizeof(*spec));
	memset(error, 0, sizeof(*error));
	while (is_blank(*text))
		text++;
	if (*text == '@')
	{
		ps.p = text;
		ps.end = text + strlen(text);
		while (is_blank(ps.end[-1]))
			ps.end--;
		if (!parse_macro(&ps, &text))
			return false;
		if (spec->every)
			return true;
	}
	while (*text)
	{
		if (count == FIELDS)
			return fail(&ps, text, "A year cannot be given.",
						"cron expression has more than the allowed 6 fields: \"%s\" is the seventh",
						QUOTE(text, text + strcspn(text, " \t")));
		starts[count] = text;
		while (*text && !is_blank(*text))
			text++;
		ends[count++] = text;
		while (is_blank(*text))
			text++;
	}
	if (count < 5)
		return fail(&ps, text, "Write minute, hour, day of month, month and day of week, with seconds in front if needed.",
					count == 0 ? "cron expression is empty" : "cron expression has %d field%s, allowed are 5 or 6", count,
					count == 1 ? "" : "s");
	return parse_fields(&ps, starts, ends, count);
}

