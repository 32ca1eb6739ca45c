/*
 * cron.h: cron expressions, parsed into bit masks, and the next time that matches.
 *
 * The language is docs/cron.md.  Plain C: no Postgres, no allocation, no globals, no locale, so that it can be tested
 * and fuzzed alone.  Thread-safe.  Time zones are not its business: it counts on the civil clock, and the step between
 * that clock and UTC is put around cron_next_local().
 */
#ifndef JOBSCHED_CRON_H
#define JOBSCHED_CRON_H

#include <stdbool.h>
#include <stdint.h>

/* The last second that is ever an answer: 9999-12-31 23:59:59. */
#define CRON_LAST_SECOND INT64_C(253402300799)

/* The longest @every: 100 years of 365 days, in seconds. */
#define CRON_EVERY_MAX (INT64_C(876000) * 3600)

/* Bit v of a mask is set when the value v is admitted. */
typedef struct CronSpec
{
	int64_t		every;				/* @every: seconds, 1..CRON_EVERY_MAX, and nothing else below is set; else 0 */
	uint64_t	seconds;			/* bits 0..59; bit 0 alone when the expression has five fields */
	uint64_t	minutes;			/* bits 0..59 */
	uint32_t	hours;				/* bits 0..23 */
	uint32_t	days;				/* day of month: bits 1..31 */
	uint32_t	days_from_last;		/* L-n: bit n, 0 (L itself) to 30 */
	uint32_t	days_near;			/* nW: bit n, 1..31; LW: bit 0 */
	uint16_t	months;				/* bits 1..12 */
	uint8_t		weekdays;			/* bits 0 (Sunday) to 6 */
	uint8_t		weekdays_last;		/* 5L: bits 0..6 */
	uint8_t		weekdays_nth[6];	/* 5#n: bits 0..6 of element n, 1..5; element 0 is unused */
	bool		day_restricted;		/* day of month is not one of "*", "?", "*" in steps of 1 */
	bool		weekday_restricted; /* the same of day of week; both restricted: either one is enough (POSIX) */
	bool		hour_wildcard;		/* hour begins with "*" or admits all 24: decides what DST does to it */
	bool		has_seconds;		/* six fields were given */
} CronSpec;

typedef struct CronError
{
	char		message[200];		/* names field, value and allowed range; safe to print: no control characters */
	char		hint[160];			/* what to write instead; "" when there is nothing to say */
	int			position;			/* of the fault: offset in bytes, 0 to the expression's length */
} CronError;

/*
 * Parses a NUL-terminated expression.  True: *spec is complete, and has a matching time (an expression that never
 * matches is an error).  False: *error says why, and *spec must not be used.
 */
extern bool cron_parse(const char *expr, CronSpec *spec, CronError *error);

/*
 * The first matching second strictly later than `after`, both in seconds since 1970-01-01 00:00:00 on the local (civil,
 * proleptic Gregorian) clock, any int64.  False when that would be beyond CRON_LAST_SECOND, and for @every, which
 * knows no local time.  Cost: bounded by 400 years of months for any spec; a day or two for common ones.
 */
extern bool cron_next_local(const CronSpec *spec, int64_t after, int64_t *next);

/*
 * The same with the local clock at UTC: seconds since the epoch, `after` rounded down to whole seconds by the caller.
 * @every: `after` plus the interval.
 */
extern bool cron_next_utc(const CronSpec *spec, int64_t after, int64_t *next);

/*
 * The days of a month that match, bits 1..length: length is 28..31, first_weekday the weekday of its first day, 0
 * (Sunday) to 6.  The month field is not asked.
 */
extern uint32_t cron_match_days(const CronSpec *spec, int length, int first_weekday);

#endif
