/*
 * cron.c: the next time that a parsed cron expression matches, by masks and arithmetic.
 *
 * "The next admitted value from v on" is a shift and a count of trailing zeros.  What the day fields say depends on the
 * month (L, 15W, fri#2): they become one mask of days for a month of known length and first weekday.  The calendar
 * repeats after 400 years, which bounds the search.
 */
#include "cron.h"

#define DAY 86400

/* The weekday nearest to a day of the month, 0 if the month has no such day; day 0 is the last one. */
static int
nearest_weekday(int day, int length, int first_weekday)
{
	int			weekday;

	if (day > length)
		return 0;
	if (day == 0)
		day = length;
	weekday = (first_weekday + day - 1) % 7;
	if (weekday == 6)
		return day > 1 ? day - 1 : day + 2;
	if (weekday == 0)
		return day < length ? day + 1 : day - 2;
	return day;
}

uint32_t
cron_match_days(const CronSpec *spec, int length, int first_weekday)
{
	uint32_t	valid = (uint32_t) ((UINT64_C(2) << length) - 2);
	uint32_t	days = spec->days & valid;
	uint32_t	weekdays = 0;

	for (uint32_t rest = spec->days_from_last; rest; rest &= rest - 1)
		if (__builtin_ctz(rest) < length)
			days |= UINT32_C(1) << (length - __builtin_ctz(rest));
	for (uint32_t rest = spec->days_near; rest; rest &= rest - 1)
		days |= UINT32_C(1) << nearest_weekday(__builtin_ctz(rest), length, first_weekday);
	days &= valid;
	if (!spec->weekday_restricted)
		return days;

	for (int weekday = 0; weekday < 7; weekday++)
	{
		int			first = 1 + (weekday - first_weekday + 7) % 7;

		if (spec->weekdays >> weekday & 1)
			weekdays |= UINT32_C(0x10204081) << first;
		if (spec->weekdays_last >> weekday & 1)
			weekdays |= UINT32_C(1) << (first + 7 * ((length - first) / 7));
		for (int nth = 1; nth <= 5; nth++)
			if (spec->weekdays_nth[nth] >> weekday & 1 && first + 7 * (nth - 1) <= length)
				weekdays |= UINT32_C(1) << (first + 7 * (nth - 1));
	}
	weekdays &= valid;
	return spec->day_restricted ? days | weekdays : weekdays;
}

/* The first value from `from` on that the mask admits, or -1. */
static int
next_bit(uint64_t mask, int from)
{
	mask = from > 63 ? 0 : mask >> from;
	return mask ? from + __builtin_ctzll(mask) : -1;
}

/* The first matching time of day that is `from` or later, in seconds since midnight, or -1. */
static int
next_time(const CronSpec *spec, int from)
{
	int			hour = from / 3600;
	int			minute = from / 60 % 60;

	if (spec->hours >> hour & 1)
	{
		int			second = spec->minutes >> minute & 1 ? next_bit(spec->seconds, from % 60) : -1;

		if (second < 0)
		{
			minute = next_bit(spec->minutes, minute + 1);
			second = next_bit(spec->seconds, 0);
		}
		if (minute >= 0)
			return hour * 3600 + minute * 60 + second;
	}
	hour = next_bit(spec->hours, hour + 1);
	return hour < 0 ? -1 : hour * 3600 + next_bit(spec->minutes, 0) * 60 + next_bit(spec->seconds, 0);
}

static int
month_length(int64_t year, int month)
{
	if (month == 2)
		return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
	return 30 + ((month + month / 8) & 1);
}

/* Days since 1970-01-01 to year, month and day; after Howard Hinnant's civil_from_days (years begin in March). */
static void
civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
	int64_t		shifted = days + 719468;
	int64_t		era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	int			day_of_era = (int) (shifted - era * 146097);
	int			year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int			day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int			month_from_march = (5 * day_of_year + 2) / 153;

	*day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
	*month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	*year = era * 400 + year_of_era + (*month <= 2);
}

bool
cron_next_local(const CronSpec *spec, int64_t after, int64_t *next)
{
	int64_t		today;
	int64_t		first_day;
	int64_t		year;
	int64_t		last_year;
	int			month;
	int			day;
	int			time;

	if (spec->every || after >= CRON_LAST_SECOND)
		return false;
	after++;
	today = after / DAY - (after % DAY < 0);
	civil_from_days(today, &year, &month, &day);
	first_day = today - (day - 1);
	last_year = year + 400;
	time = next_time(spec, (int) ((after % DAY + DAY) % DAY));
	if (time < 0)
		day++;					/* beyond the month no day matches */

	while (year <= last_year && year <= 9999)
	{
		int			length = month_length(year, month);

		if (spec->months >> month & 1)
		{
			/* 1970-01-01 was a Thursday */
			int			first_weekday = (int) (((first_day + 4) % 7 + 7) % 7);
			int			match = next_bit(cron_match_days(spec, length, first_weekday), day);

			if (match >= 0)
			{
				if (first_day + match - 1 != today)
					time = next_time(spec, 0);
				/* unsigned: the first day of all begins before INT64_MIN */
				*next = (int64_t) ((uint64_t) (first_day + match - 1) * DAY + (uint64_t) time);
				return true;
			}
		}
		first_day += length;
		day = 1;
		if (++month > 12)
		{
			month = 1;
			year++;
		}
	}
	return false;
}

bool
cron_next_utc(const CronSpec *spec, int64_t after, int64_t *next)
{
	if (!spec->every)
		return cron_next_local(spec, after, next);
	if (after > CRON_LAST_SECOND - spec->every)
		return false;
	*next = after + spec->every;
	return true;
}
