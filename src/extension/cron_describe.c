/*
 * cron_describe.c: says in English what the masks of a cron expression admit.
 *
 * It reads the masks, not the text, so that it says what will happen: 8-17 and 8,9,10,11,12,13,14,15,16,17 are the same.
 * A sentence is the time of day, then the days, then the months.  Few times of day are listed as times on the clock;
 * more are told by seconds, minutes and hours.
 */
#include "cron_describe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Up to so many times of day are listed. */
#define LISTED_TIMES 6

#define ALL_SIXTY ((UINT64_C(1) << 60) - 1)
#define ALL_HOURS 0xffffff
#define ALL_MONTHS 0x1ffe
#define ALL_WEEKDAYS 0x7f

typedef struct Text
{
	char	   *buf;
	size_t		length;
} Text;

/* Writes the value of a list: 7 as "7", "July", "07:00". */
typedef void (*Name) (Text *text, int value);

static const char *const months[] = {"", "January", "February", "March", "April", "May", "June", "July", "August",
"September", "October", "November", "December"};
static const char *const weekdays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const nth[] = {"", "first", "second", "third", "fourth", "fifth"};

__attribute__((format(printf, 2, 3)))
static void
add(Text *text, const char *fmt,...)
{
	va_list		args;
	int			n;

	va_start(args, fmt);
	n = vsnprintf(text->buf + text->length, CRON_DESCRIPTION_SIZE - text->length, fmt, args);
	va_end(args);
	text->length += (size_t) n;
	if (text->length >= CRON_DESCRIPTION_SIZE)
		text->length = CRON_DESCRIPTION_SIZE - 1;
}

static void
name_number(Text *text, int value)
{
	add(text, "%d", value);
}

static void
name_month(Text *text, int value)
{
	add(text, "%s", months[value]);
}

static void
name_weekday(Text *text, int value)
{
	add(text, "%s", weekdays[value % 7]);
}

static int
count(uint64_t mask)
{
	return __builtin_popcountll(mask);
}

static int
lowest(uint64_t mask)
{
	return __builtin_ctzll(mask);
}

static int
highest(uint64_t mask)
{
	return 63 - __builtin_clzll(mask);
}

/* The distance of the values when there are two or more, all equally far from each other; else 0. */
static int
step_of(uint64_t mask)
{
	int			first;
	int			step;
	uint64_t	expected = 0;

	if (count(mask) < 2)
		return 0;
	first = lowest(mask);
	step = lowest(mask & (mask - 1)) - first;
	for (int value = first; value <= highest(mask); value += step)
		expected |= UINT64_C(1) << value;
	return mask == expected ? step : 0;
}

/* Does the mask say "every n", all round the clock?  Then n; else 0. */
static int
every_of(uint64_t mask, int cycle)
{
	int			step = step_of(mask);

	return step && lowest(mask) == 0 && cycle % step == 0 && highest(mask) == cycle - step ? step : 0;
}

/* "a, b and c"; three in a row or more are `through`: "a-c" or "a through c". */
static void
add_list(Text *text, uint64_t mask, Name name, const char *through)
{
	bool		first = true;

	while (mask)
	{
		int			from = lowest(mask);
		int			to = from;

		while (mask >> to >> 1 & 1)
			to++;
		if (to < from + 2)
			to = from;
		mask = to >= 63 ? 0 : mask >> (to + 1) << (to + 1);
		add(text, "%s", first ? "" : mask ? ", " : " and ");
		name(text, from);
		if (to > from)
		{
			add(text, "%s", through);
			name(text, to);
		}
		first = false;
	}
}

/* A list of a cycle of values, low to low + cycle - 1, in which a row may run over the end: "November through February". */
static void
add_cyclic(Text *text, uint32_t mask, int low, int cycle, Name name)
{
	uint32_t	full = ((UINT32_C(1) << cycle) - 1) << low;

	if (mask != full)
		for (int from = low; from < low + cycle; from++)
		{
			int			length = 0;

			while (mask >> (low + (from - low + length) % cycle) & 1)
				length++;
			if (length == count(mask) && length >= 3)
			{
				name(text, from);
				add(text, " through ");
				name(text, low + (from - low + length - 1) % cycle);
				return;
			}
		}
	add_list(text, mask, name, " through ");
}

static void
add_clock(Text *text, int second_of_day)
{
	add(text, "%02d:%02d", second_of_day / 3600, second_of_day / 60 % 60);
	if (second_of_day % 60)
		add(text, ":%02d", second_of_day % 60);
}

/* What follows the number in 2nd, 3rd, 4th. */
static const char *
ordinal(int n)
{
	if (n % 100 / 10 == 1)
		return "th";
	return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
}

/* "every minute", "every 5 minutes" */
static void
add_every(Text *text, int n, const char *unit)
{
	if (n == 1)
		add(text, "every %s", unit);
	else
		add(text, "every %d %ss", n, unit);
}

/* "at 06:30 and 18:30": few enough times of day to name them. */
static void
add_times(Text *text, const CronSpec *spec)
{
	int			left = count(spec->hours) * count(spec->minutes) * count(spec->seconds);
	int			total = left;

	add(text, "at ");
	for (uint32_t hours = spec->hours; hours; hours &= hours - 1)
		for (uint64_t minutes = spec->minutes; minutes; minutes &= minutes - 1)
			for (uint64_t seconds = spec->seconds; seconds; seconds &= seconds - 1, left--)
			{
				add(text, "%s", left == total ? "" : left > 1 ? ", " : " and ");
				add_clock(text, lowest(hours) * 3600 + lowest(minutes) * 60 + lowest(seconds));
			}
}

/* ", from 09:00 to 17:59", after what happens within these hours. */
static void
add_hours(Text *text, uint32_t hours)
{
	int			step = step_of(hours);
	int			first = lowest(hours);
	bool		many = false;

	if (hours == ALL_HOURS)
		return;
	if (count(hours) == 1 || step == 1)
	{
		add(text, " from %02d:00 to %02d:59", first, highest(hours));
		return;
	}
	if (every_of(hours, 24))
	{
		add(text, " of every %d%s hour", step, ordinal(step));
		return;
	}
	add(text, " from ");
	while (hours)
	{
		int			from = lowest(hours);
		int			to = from;

		while (hours >> to >> 1 & 1)
			to++;
		hours = hours >> (to + 1) << (to + 1);
		add(text, "%s%02d:00 to %02d:59", !many ? "" : hours ? ", " : " and ", from, to);
		many = true;
	}
}

/* One minute and second of more hours than are listed: "every hour from 09:30 to 17:30". */
static bool
add_hourly(Text *text, const CronSpec *spec)
{
	int			step = step_of(spec->hours);
	int			within = lowest(spec->minutes) * 60 + lowest(spec->seconds);

	if (spec->hours == ALL_HOURS && within == 0)
	{
		add(text, "every hour");
		return true;
	}
	if (spec->hours == ALL_HOURS || !step)
		return false;
	add_every(text, step, "hour");
	add(text, " from ");
	add_clock(text, lowest(spec->hours) * 3600 + within);
	add(text, " to ");
	add_clock(text, highest(spec->hours) * 3600 + within);
	return true;
}

/* "at second 30", "at minutes 0, 20 and 50" */
static void
add_at(Text *text, uint64_t mask, const char *unit)
{
	add(text, "at %s%s ", unit, count(mask) == 1 ? "" : "s");
	add_list(text, mask, name_number, "-");
}

/* "every 5 minutes" when that holds all round the hour, else the minutes or seconds one by one. */
static void
add_sixty(Text *text, uint64_t mask, const char *unit)
{
	int			every = mask == ALL_SIXTY ? 1 : every_of(mask, 60);

	if (every)
		add_every(text, every, unit);
	else
		add_at(text, mask, unit);
}

/* Is the answer a list of times? */
static bool
add_time_of_day(Text *text, const CronSpec *spec)
{
	int			in_an_hour = count(spec->minutes) * count(spec->seconds);

	if (count(spec->hours) * in_an_hour <= LISTED_TIMES &&
		!(in_an_hour == 1 && step_of(spec->hours) == 1 && count(spec->hours) > 3))
	{
		add_times(text, spec);
		return true;
	}
	if (in_an_hour == 1 && add_hourly(text, spec))
		return false;

	if (spec->seconds != 1)
	{
		add_sixty(text, spec->seconds, "second");
		if (spec->minutes == ALL_SIXTY)
			add(text, "%s", spec->seconds == ALL_SIXTY || every_of(spec->seconds, 60) ? "" : " of every minute");
		else if (every_of(spec->minutes, 60))
			add(text, " of every %d%s minute", every_of(spec->minutes, 60), ordinal(every_of(spec->minutes, 60)));
		else
		{
			add(text, " of minute%s ", count(spec->minutes) == 1 ? "" : "s");
			add_list(text, spec->minutes, name_number, "-");
		}
	}
	else
		add_sixty(text, spec->minutes, "minute");
	if (spec->minutes != ALL_SIXTY && !every_of(spec->minutes, 60) && every_of(spec->hours, 24) <= 1)
		add(text, " of every hour");
	add_hours(text, spec->hours);
	return false;
}

/* "or" between what is enough by itself. */
static void
add_or(Text *text, const char *word)
{
	if (text->length > 0)
		add(text, " or ");
	add(text, "%s", word);
}

static void
add_days_of_month(Text *text, const CronSpec *spec)
{
	uint32_t	near = spec->days_near & ~UINT32_C(1);
	uint32_t	before = spec->days_from_last & ~UINT32_C(1);

	if (step_of(spec->days) > 1 && count(spec->days) > LISTED_TIMES)
	{
		add_or(text, "on every ");
		add(text, "%d%s day of the month from day %d to day %d", step_of(spec->days), ordinal(step_of(spec->days)),
			lowest(spec->days), highest(spec->days));
	}
	else if (spec->days)
	{
		add_or(text, count(spec->days) == 1 ? "on day " : "on days ");
		add_list(text, spec->days, name_number, "-");
		add(text, " of the month");
	}
	if (near)
	{
		add_or(text, count(near) == 1 ? "on the weekday nearest to day " : "on the weekdays nearest to days ");
		add_list(text, near, name_number, "-");
		add(text, " of the month");
	}
	if (before)
	{
		add_or(text, "");
		add_list(text, before, name_number, "-");
		add(text, " day%s before the last day of the month", before == 2 ? "" : "s");
	}
	if (spec->days_from_last & 1)
		add_or(text, "on the last day of the month");
	if (spec->days_near & 1)
		add_or(text, "on the last weekday of the month");
}

static void
add_weekdays(Text *text, const CronSpec *spec)
{
	bool		any = false;

	if (spec->weekdays)
	{
		bool		row = spec->weekdays == 0x3e || spec->weekdays == ALL_WEEKDAYS;

		add_or(text, row ? "" : "on ");
		if (spec->weekdays == ALL_WEEKDAYS)
			add(text, "every day of the week");
		else
			add_cyclic(text, spec->weekdays, 0, 7, name_weekday);
	}
	for (int n = 1; n <= 6; n++)
	{
		uint8_t		mask = n == 6 ? spec->weekdays_last : spec->weekdays_nth[n];

		if (mask == 0)
			continue;
		add_or(text, "on the ");
		add(text, "%s ", n == 6 ? "last" : nth[n]);
		add_list(text, mask, name_weekday, " through ");
		any = true;
	}
	if (any)
		add(text, " of the month");
}

void
cron_describe(const CronSpec *spec, char description[CRON_DESCRIPTION_SIZE])
{
	Text		text = {description, 0};
	char		days[CRON_DESCRIPTION_SIZE];
	Text		days_text = {days, 0};
	bool		listed;

	description[0] = days[0] = '\0';
	if (spec->every)
	{
		static const char *const units[] = {"hour", "minute", "second"};
		int64_t		values[] = {spec->every / 3600, spec->every / 60 % 60, spec->every % 60};
		bool		single = (values[0] != 0) + (values[1] != 0) + (values[2] != 0) == 1;

		add(&text, "every");
		for (int i = 0; i < 3; i++)
			if (values[i] == 1 && single)
				add(&text, " %s", units[i]);
			else if (values[i])
				add(&text, " %lld %s%s", (long long) values[i], units[i], values[i] == 1 ? "" : "s");
		add(&text, ", counted from the last time");
		return;
	}

	listed = add_time_of_day(&text, spec);
	if (spec->day_restricted)
		add_days_of_month(&days_text, spec);
	if (spec->weekday_restricted)
		add_weekdays(&days_text, spec);
	if (days_text.length)
		add(&text, ", %s", days);
	else if (listed)
		add(&text, " every day");
	if (spec->months != ALL_MONTHS)
	{
		add(&text, "%s in ", days_text.length || !listed ? "," : "");
		add_cyclic(&text, spec->months, 1, 12, name_month);
	}
}
