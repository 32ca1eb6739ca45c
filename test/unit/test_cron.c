/* sources: src/extension/cron.c src/extension/cron_parse.c */
/*
 * The cron language of docs/cron.md, as far as it needs no time zone: every rule, every error, and random expressions
 * against a matcher that walks days and seconds one by one and reads the expression's text anew with its own eyes.
 */
#include "src/extension/cron.h"
#include "cron_naive.h"
#include "tap.h"

/* The next times, each from the one before: "time, time, ...". */
static void
next_times(const char *expr, const char *after, const char *want)
{
	CronSpec spec;
	CronError error;
	char got[512] = "";
	int64_t t = epoch(after);
	size_t n = 0;

	if (!cron_parse(expr, &spec, &error)) {
		ok(false, "%s is valid: %s", expr, error.message);
		return;
	}
	while (n == 0 || n + 2 < strlen(want)) {
		if (!cron_next_utc(&spec, t, &t)) {
			snprintf(got + n, sizeof(got) - n, "%snever", n ? ", " : "");
			break;
		}
		n += (size_t) snprintf(got + n, sizeof(got) - n, "%s%s", n ? ", " : "", ISO(t));
	}
	is_str(got, want, "\"%s\" after %s", expr, after);
}

static void
same(const char *a, const char *b)
{
	CronSpec spec_a, spec_b;
	CronError error;
	bool parsed = cron_parse(a, &spec_a, &error) && cron_parse(b, &spec_b, &error);

	if (!ok(parsed && memcmp(&spec_a, &spec_b, sizeof(spec_a)) == 0, "\"%s\" is \"%s\"", a, b))
		diag("%s", error.message);
}

/* An expression as part of a line of TAP. */
static const char *
shown(char *buf, size_t size, const char *expr)
{
	snprintf(buf, size, "%s", expr);
	for (char *c = buf; *c; c++)
		if ((unsigned char) *c < ' ')
			*c = '?';
	return buf;
}
#define SHOWN(expr) shown((char[400]){0}, 400, (expr))

static void
faulty(const char *expr, int position, const char *message)
{
	CronSpec spec;
	CronError error;

	if (!ok(!cron_parse(expr, &spec, &error), "\"%s\" is refused", SHOWN(expr)))
		return;
	is_str(error.message, message, "\"%s\" says why", SHOWN(expr));
	is_int(error.position, position, "\"%s\" says where", SHOWN(expr));
}

static void
hints(const char *expr, const char *word)
{
	CronSpec spec;
	CronError error;

	if (!ok(!cron_parse(expr, &spec, &error) && strstr(error.hint, word), "the hint for \"%s\" speaks of %s", expr,
	            word))
		diag("hint: %s", error.hint);
}

static void
test_fields(void)
{
	next_times("* * * * *", "2026-01-01 00:00:00", "2026-01-01 00:01:00, 2026-01-01 00:02:00");
	next_times("* * * * *", "2026-01-01 00:00:59", "2026-01-01 00:01:00");
	next_times("30 14 * * *", "2026-03-05 14:30:00", "2026-03-06 14:30:00");
	next_times("30 14 * * *", "2026-03-05 14:29:59", "2026-03-05 14:30:00");
	next_times("*/20 9-17/4 * * *", "2026-03-05 13:30:00",
	        "2026-03-05 13:40:00, 2026-03-05 17:00:00, 2026-03-05 17:20:00, 2026-03-05 17:40:00, 2026-03-06 "
	        "09:00:00");
	next_times("50/5 23 31 12 *", "2026-12-31 23:54:00", "2026-12-31 23:55:00, 2027-12-31 23:50:00");
	next_times("0 0 1 1 *", "1969-06-01", "1970-01-01 00:00:00, 1971-01-01 00:00:00");
	next_times("0 12 * * *", "1883-02-28 12:00:00", "1883-03-01 12:00:00");

	/* seconds in front */
	next_times("*/20 * * * * *", "2026-01-01 23:59:30", "2026-01-01 23:59:40, 2026-01-02 00:00:00");
	next_times("5,10 30 8 * * mon", "2026-11-24 00:00:00",
	        "2026-11-30 08:30:05, 2026-11-30 08:30:10, 2026-12-07 08:30:05");
	next_times("59 59 23 31 12 ?", "2026-01-01", "2026-12-31 23:59:59");

	same("  1\t2  3 4 5\t ", "1 2 3 4 5");
	same("08 09 010 007 005", "8 9 10 7 5");
	same("0000000000000000000000000059 1 1 1 1", "59 1 1 1 1");
	same("1,2-5,9 * * * *", "1,2,3,4,5,9 * * * *");
	same("5,5,5-6,6 * * * *", "5,6 * * * *");
	same("*/15 * * * *", "0,15,30,45 * * * *");
	same("40/7 * * * *", "40,47,54 * * * *");
	same("10-30/10 * * * *", "10,20,30 * * * *");
	same("10-39/10 * * * *", "10,20,30 * * * *");
	same("0 1/23 * * *", "0 1 * * *");
	same("0 0 */30 * *", "0 0 1,31 * *");
	same("*/59 0 * * *", "0,59 0 * * *");
	same("5-5 0 * * *", "5 0 * * *");
}

static void
test_names(void)
{
	same("0 0 1 jan,FEB,Mar,apr,may,jun,jul,aug,sep,oct,nov,dec *", "0 0 1 1-12 *");
	same("0 0 1 January,february,MARCH,april,may,june,july,august,september,october,november,december *",
	        "0 0 1 1,2,3,4,5,6,7,8,9,10,11,12 *");
	same("0 0 * * sun,MON,Tue,wed,thu,fri,sat", "0 0 * * 0,1,2,3,4,5,6");
	same("0 0 * * Sunday,monday,tuesday,wednesday,thursday,FRIDAY,saturday", "0 0 * * 0-6");
	same("0 0 * * mon-fri", "0 0 * * 1-5");
	same("0 0 * jan-jun/2 *", "0 0 * 1,3,5 *");
	same("0 0 * oct/2 *", "0 0 * 10,12 *");

	/* Sunday is 0 and 7 */
	same("0 0 * * 7", "0 0 * * 0");
	same("0 0 * * 5-7", "0 0 * * 0,5,6");
	same("0 0 * * 0-7", "0 0 * * 0-6");
	same("0 0 * * 7-7", "0 0 * * 0");
	same("0 0 * * 7-2", "0 0 * * 0-2");
	same("0 0 * * 7#2", "0 0 * * sun#2");
	same("0 0 * * 7L", "0 0 * * sunL");
	same("0 0 * * */2", "0 0 * * 0,2,4,6");
	same("0 0 * * */5", "0 0 * * 0,5");
	same("0 0 * * 2/3", "0 0 * * 2,5");
	same("0 0 * * 7/2", "0 0 * * 0,2,4,6");

	/* ranges wrap in months and days of the week */
	same("0 0 * * fri-mon", "0 0 * * 0,1,5,6");
	same("0 0 * * 5-1", "0 0 * * 0,1,5,6");
	same("0 0 * * fri-mon/2", "0 0 * * 5,0");
	same("0 0 * * sat-sun", "0 0 * * 0,6");
	same("0 0 1 nov-feb *", "0 0 1 1,2,11,12 *");
	same("0 0 1 nov-feb/2 *", "0 0 1 11,1 *");
	same("0 0 1 12-1 *", "0 0 1 1,12 *");
}

static void
test_days(void)
{
	/* last days */
	next_times("0 0 L * *", "2024-01-31 00:00:00", "2024-02-29 00:00:00, 2024-03-31 00:00:00, 2024-04-30 00:00:00");
	next_times("0 0 L 2 *", "2025-01-01", "2025-02-28 00:00:00, 2026-02-28 00:00:00");
	same("0 0 $ * *", "0 0 L * *");
	next_times("0 0 L-3 * *", "2026-02-01", "2026-02-25 00:00:00, 2026-03-28 00:00:00");
	next_times("0 0 L-30 * *", "2026-01-02", "2026-03-01 00:00:00, 2026-05-01 00:00:00");
	same("0 0 L-0 * *", "0 0 L * *");
	/* last weekday: 2026-01-31 is a Saturday, 2026-05-31 a Sunday */
	next_times("0 0 LW * *", "2026-01-01", "2026-01-30 00:00:00, 2026-02-27 00:00:00, 2026-03-31 00:00:00");
	next_times("0 0 lw 5 *", "2026-01-01", "2026-05-29 00:00:00");
	/* the nearest weekday, never in another month: 2026-08-01 is a Saturday, 2026-02-01 a Sunday */
	next_times("0 0 15W * *", "2026-07-31", "2026-08-14 00:00:00, 2026-09-15 00:00:00");
	next_times("0 0 15W 11 *", "2026-01-01", "2026-11-16 00:00:00");
	next_times("0 0 1W 8 *", "2026-01-01", "2026-08-03 00:00:00");
	next_times("0 0 1W 2 *", "2026-01-01", "2026-02-02 00:00:00");
	next_times("0 0 31W * *", "2026-05-01", "2026-05-29 00:00:00, 2026-07-31 00:00:00");
	next_times("0 0 31W 2,4,6,8 *", "2026-01-01", "2026-08-31 00:00:00");
	next_times("0 0 29W 2 *", "2026-01-01", "2028-02-29 00:00:00, 2032-02-27 00:00:00");
	next_times("0 0 1,15W,L-1,LW,$ * *", "2026-05-31 00:00:00",
	        "2026-06-01 00:00:00, 2026-06-15 00:00:00, 2026-06-29 00:00:00, 2026-06-30 00:00:00, 2026-07-01 "
	        "00:00:00");

	/* days of the week within the month */
	next_times("0 0 * * fri#2", "2026-11-01", "2026-11-13 00:00:00, 2026-12-11 00:00:00");
	next_times("0 0 * * 5#5", "2026-11-01", "2027-01-29 00:00:00, 2027-04-30 00:00:00");
	next_times("0 0 * * 5L", "2026-11-01", "2026-11-27 00:00:00, 2026-12-25 00:00:00");
	same("0 0 * * friL", "0 0 * * 5L");
	same("0 0 * * fridayl", "0 0 * * 5L");
	same("0 0 * * FRI#2", "0 0 * * 5#2");
	next_times("0 0 * * mon,fri#2,sunL", "2026-11-01",
	        "2026-11-02 00:00:00, 2026-11-09 00:00:00, 2026-11-13 00:00:00, 2026-11-16 00:00:00, 2026-11-23 "
	        "00:00:00, "
	        "2026-11-29 00:00:00");

	/* both restricted: either one is enough */
	next_times("0 0 13 * fri", "2026-11-05",
	        "2026-11-06 00:00:00, 2026-11-13 00:00:00, 2026-11-20 00:00:00, "
	        "2026-11-27 00:00:00, 2026-12-04 00:00:00, 2026-12-11 00:00:00, 2026-12-13 00:00:00");
	next_times("0 0 13 * *", "2026-11-05", "2026-11-13 00:00:00, 2026-12-13 00:00:00");
	next_times("0 0 13 * ?", "2026-11-05", "2026-11-13 00:00:00, 2026-12-13 00:00:00");
	next_times("0 0 */1 * fri", "2026-11-05", "2026-11-06 00:00:00, 2026-11-13 00:00:00");
	next_times("0 0 ? * fri", "2026-11-05", "2026-11-06 00:00:00, 2026-11-13 00:00:00");
	next_times("0 0 13 * */1", "2026-11-05", "2026-11-13 00:00:00");
	/* 1-31 and lists are restricted, whatever they admit, so either one is enough */
	next_times("0 0 1-31 * fri", "2026-11-05", "2026-11-06 00:00:00, 2026-11-07 00:00:00");
	next_times("0 0 13 * 0-6", "2026-11-05", "2026-11-06 00:00:00, 2026-11-07 00:00:00");
	next_times("0 0 */2 * fri", "2026-11-05", "2026-11-06 00:00:00, 2026-11-07 00:00:00, 2026-11-09 00:00:00");
	next_times("0 0 13 * */2", "2026-11-09",
	        "2026-11-10 00:00:00, 2026-11-12 00:00:00, 2026-11-13 00:00:00, 2026-11-14 00:00:00");
	next_times("0 0 *,13 * fri", "2026-11-06", "2026-11-07 00:00:00");
	/* the month always applies */
	next_times("0 0 13 3 fri", "2026-11-05", "2027-03-05 00:00:00, 2027-03-12 00:00:00, 2027-03-13 00:00:00");
	/* a day that never comes is no error while the other field has one */
	next_times("0 0 30 2 mon", "2026-01-01", "2026-02-02 00:00:00");
	same("0 0 ? * ?", "0 0 * * *");
	same("0 0 ?/2 * *", "0 0 */2 * *");
}

static void
test_macros(void)
{
	same("@yearly", "0 0 1 1 *");
	same("@annually", "0 0 1 1 *");
	same("@monthly", "0 0 1 * *");
	same("@weekly", "0 0 * * 0");
	same("@daily", "0 0 * * *");
	same("@midnight", "0 0 * * *");
	same("  @hourly\t", "0 * * * *");
	same("@Hourly", "@hourly");

	next_times("@every 90s", "2026-01-01 00:00:07", "2026-01-01 00:01:37, 2026-01-01 00:03:07");
	next_times("@every 15m", "2026-01-01 00:00:07", "2026-01-01 00:15:07");
	next_times("@every 2h", "2026-01-01 23:00:07", "2026-01-02 01:00:07");
	next_times(" @every   1h30m ", "2026-01-01 00:00:00", "2026-01-01 01:30:00");
	same("@every 1h1m1s", "@every 3661s");
	same("@every 0h90m", "@every 5400s");
	same("@every 876000h", "@every 3153600000s");
	next_times("@every 1h", "9999-12-31 22:59:59", "9999-12-31 23:59:59, never");
}

static void
test_limits(void)
{
	CronSpec spec;
	CronError error;
	int64_t t;

	next_times("0 0 29 2 *", "2096-02-29 00:00:00", "2104-02-29 00:00:00");
	next_times("0 0 * 2 fri#5", "2008-02-29 00:00:00", "2036-02-29 00:00:00, 2064-02-29 00:00:00");
	/* the longest wait there is: 40 years, over 2100, which has no 29 February */
	next_times("0 0 * 2 mon#5", "2072-02-29 00:00:00", "2112-02-29 00:00:00");
	next_times("59 59 23 31 12 *", "9999-12-31 23:59:58", "9999-12-31 23:59:59, never");
	next_times("0 0 1 1 *", "9999-01-01 00:00:00", "never");
	next_times("* * * * * *", "9999-12-31 23:59:59", "never");

	ok(cron_parse("0 0 29 2 *", &spec, &error), "0 0 29 2 * is valid");
	ok(!cron_next_utc(&spec, INT64_MAX, &t), "nothing after the end of time");
	ok(cron_next_utc(&spec, INT64_MIN, &t) && t > INT64_MIN, "something after its beginning");
	ok(cron_parse("@every 1s", &spec, &error), "@every 1s is valid");
	ok(!cron_next_utc(&spec, INT64_MAX, &t) && !cron_next_utc(&spec, CRON_LAST_SECOND, &t), "@every ends in time");
	ok(cron_next_utc(&spec, INT64_MIN, &t) && t == INT64_MIN + 1, "@every begins in time");
	ok(!cron_next_local(&spec, 0, &t), "@every knows no local time");
	memset(&spec, 0, sizeof(spec));
	ok(!cron_next_local(&spec, 0, &t), "even a spec that admits nothing is answered");
}

static void
test_wildcard_hour(void)
{
	static const struct {
		const char *hour;
		bool wildcard;
	} cases[] = {
	        {"*", true},
	        {"*/2", true},
	        {"*/23", true},
	        {"*,5", true},
	        {"0-23", true},
	        {"5,*", true},
	        {"0-11,12-23", true},
	        {"0/1", true},
	        {"1-3", false},
	        {"0-22", false},
	        {"2", false},
	        {"0-23/2", false},
	        {"1,3", false},
	        {"0/2", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expr[64];
		CronSpec spec;
		CronError error;

		snprintf(expr, sizeof(expr), "*/15 %s * * *", cases[i].hour);
		ok(cron_parse(expr, &spec, &error) && spec.hour_wildcard == cases[i].wildcard, "hour %s is %s",
		        cases[i].hour, cases[i].wildcard ? "a wildcard" : "fixed");
	}
}

static void
test_errors(void)
{
	faulty("", 0, "cron expression is empty");
	faulty(" \t", 2, "cron expression is empty");
	faulty("*", 1, "cron expression has 1 field, allowed are 5 or 6");
	faulty("* * * *", 7, "cron expression has 4 fields, allowed are 5 or 6");
	faulty("0 0 0 1 1 ? 2030", 12, "cron expression has more than the allowed 6 fields: \"2030\" is the seventh");
	faulty("* * * * *\n", 9, "cron field 5 (day of week): unexpected \"?\" after \"*\"");

	faulty("60 * * * *", 0, "cron field 1 (minute): 60 is out of range 0-59");
	faulty("* 25 * * *", 2, "cron field 2 (hour): 25 is out of range 0-23");
	faulty("* * 32 * *", 4, "cron field 3 (day of month): 32 is out of range 1-31");
	faulty("* * 0 * *", 4, "cron field 3 (day of month): 0 is out of range 1-31");
	faulty("* * * 13 *", 6, "cron field 4 (month): 13 is out of range 1-12");
	faulty("* * * 0 *", 6, "cron field 4 (month): 0 is out of range 1-12");
	faulty("* * * * 8", 8, "cron field 5 (day of week): 8 is out of range 0-7");
	faulty("60 * * * * *", 0, "cron field 1 (second): 60 is out of range 0-59");
	faulty("* 60 * * * *", 2, "cron field 2 (minute): 60 is out of range 0-59");
	faulty("* * 24 * * *", 4, "cron field 3 (hour): 24 is out of range 0-23");
	faulty("1,2,77 * * * *", 4, "cron field 1 (minute): 77 is out of range 0-59");
	faulty("1-77 * * * *", 2, "cron field 1 (minute): 77 is out of range 0-59");
	faulty("99999999999999999999 * * * *", 0, "cron field 1 (minute): 99999999999999999999 is out of range 0-59");
	faulty("4294967296 * * * *", 0, "cron field 1 (minute): 4294967296 is out of range 0-59");

	faulty("a * * * *", 0, "cron field 1 (minute): \"a\" is no value, allowed are 0-59");
	faulty("-5 * * * *", 0, "cron field 1 (minute): \"-5\" is no value, allowed are 0-59");
	faulty("5- * * * *", 2, "cron field 1 (minute): a value is missing, allowed are 0-59");
	faulty("1,,2 * * * *", 2, "cron field 1 (minute): a value is missing, allowed are 0-59");
	faulty("1, * * * *", 2, "cron field 1 (minute): a value is missing, allowed are 0-59");
	faulty(",1 * * * *", 0, "cron field 1 (minute): a value is missing, allowed are 0-59");
	faulty("1.5 * * * *", 1, "cron field 1 (minute): unexpected \".5\" after \"1\"");
	faulty("** * * * *", 1, "cron field 1 (minute): unexpected \"*\" after \"*\"");
	faulty("*5 * * * *", 1, "cron field 1 (minute): unexpected \"5\" after \"*\"");
	faulty("*-5 * * * *", 1, "cron field 1 (minute): unexpected \"-5\" after \"*\"");
	faulty("1-5-9 * * * *", 3, "cron field 1 (minute): unexpected \"-9\" after \"1-5\"");
	faulty("1/2/3 * * * *", 3, "cron field 1 (minute): unexpected \"/3\" after \"1/2\"");
	faulty("? * * * *", 0, "cron field 1 (minute): ? is for the two day fields only, allowed are 0-59");
	faulty("* * * ? *", 6, "cron field 4 (month): ? is for the two day fields only, allowed are 1-12");
	faulty("* * * janu *", 6, "cron field 4 (month): \"janu\" is no value, allowed are 1-12 and jan-dec");
	faulty("* * * ja *", 6, "cron field 4 (month): \"ja\" is no value, allowed are 1-12 and jan-dec");
	faulty("* * * mon *", 6, "cron field 4 (month): \"mon\" is no value, allowed are 1-12 and jan-dec");
	faulty("* * * * jan", 8, "cron field 5 (day of week): \"jan\" is no value, allowed are 0-7 and sun-sat");
	faulty("* * jan * *", 4, "cron field 3 (day of month): \"jan\" is no value, allowed are 1-31");

	faulty("*/0 * * * *", 2, "cron field 1 (minute): step 0 is out of range 1-59");
	faulty("*/60 * * * *", 2, "cron field 1 (minute): step 60 is out of range 1-59");
	faulty("*/90 * * * *", 2, "cron field 1 (minute): step 90 is out of range 1-59");
	faulty("0 */48 * * *", 4, "cron field 2 (hour): step 48 is out of range 1-23");
	faulty("0 0 1-5/99 * *", 8, "cron field 3 (day of month): step 99 is out of range 1-31");
	faulty("0 0 1 */13 *", 8, "cron field 4 (month): step 13 is out of range 1-12");
	faulty("0 0 * * */8", 10, "cron field 5 (day of week): step 8 is out of range 1-7");
	faulty("*/ * * * *", 2, "cron field 1 (minute): a step must be a number 1-59");
	faulty("*/-1 * * * *", 2, "cron field 1 (minute): a step must be a number 1-59");
	faulty("*/a * * * *", 2, "cron field 1 (minute): a step must be a number 1-59");
	hints("*/90 * * * *", "@every");
	hints("0 */48 * * *", "@every");
	hints("0 0 */40 * *", "@every");

	faulty("0 22-2 * * *", 2, "cron field 2 (hour): range 22-2 ends before it begins, allowed are 0-23");
	faulty("50-10 * * * *", 0, "cron field 1 (minute): range 50-10 ends before it begins, allowed are 0-59");
	faulty("0 0 1,28-3 * *", 6, "cron field 3 (day of month): range 28-3 ends before it begins, allowed are 1-31");
	hints("0 22-2 * * *", "22-23,0-2");

	faulty("0 0 L-31 * *", 6, "cron field 3 (day of month): L-31 is out of range L-0 to L-30");
	faulty("0 0 L- * *", 6, "cron field 3 (day of month): L- must be followed by a number 0-30");
	faulty("0 0 L-W * *", 6, "cron field 3 (day of month): L- must be followed by a number 0-30");
	faulty("0 0 32W * *", 4, "cron field 3 (day of month): 32 is out of range 1-31");
	faulty("0 0 W * *", 4, "cron field 3 (day of month): \"W\" is no value, allowed are 1-31");
	faulty("0 0 1-15W * *", 8, "cron field 3 (day of month): unexpected \"W\" after \"1-15\"");
	faulty("0 0 L/2 * *", 5, "cron field 3 (day of month): unexpected \"/2\" after \"L\"");
	faulty("0 0 15-L * *", 7, "cron field 3 (day of month): \"L\" is no value, allowed are 1-31");
	faulty("0 0 $W * *", 5, "cron field 3 (day of month): unexpected \"W\" after \"$\"");
	faulty("0 0 * * L", 8, "cron field 5 (day of week): \"L\" names no day, allowed are 0-7 and sun-sat before L");
	faulty("0 0 * * fri,L", 12,
	        "cron field 5 (day of week): \"L\" names no day, allowed are 0-7 and sun-sat before L");
	hints("0 0 * * L", "5L");
	faulty("0 0 * * fri#0", 12, "cron field 5 (day of week): #0 is out of range 1-5");
	faulty("0 0 * * fri#6", 12, "cron field 5 (day of week): #6 is out of range 1-5");
	faulty("0 0 * * fri#", 12, "cron field 5 (day of week): # must be followed by a number 1-5");
	faulty("0 0 * * 8L", 8, "cron field 5 (day of week): 8 is out of range 0-7");
	faulty("0 0 * * 1-5L", 11, "cron field 5 (day of week): unexpected \"L\" after \"1-5\"");
	faulty("0 0 * * mon-friL", 15, "cron field 5 (day of week): unexpected \"L\" after \"mon-fri\"");
	faulty("0 0 * * fri#2-4", 13, "cron field 5 (day of week): unexpected \"-4\" after \"fri#2\"");
	faulty("0 0 1#2 * *", 5, "cron field 3 (day of month): unexpected \"#2\" after \"1\"");
	faulty("0 0 * janL *", 6, "cron field 4 (month): \"janL\" is no value, allowed are 1-12 and jan-dec");

	faulty("0 0 30 2 *", 4,
	        "cron field 3 (day of month): no month admitted by \"2\" has a day \"30\", allowed are 1-31");
	faulty("0 0 0 30-31 feb ?", 6,
	        "cron field 4 (day of month): no month admitted by \"feb\" has a day \"30-31\", allowed are 1-31");
	faulty("0 0 31 2,4,6,9,11 *", 4,
	        "cron field 3 (day of month): no month admitted by \"2,4,6,9,11\" has a day \"31\", allowed are 1-31");
	faulty("0 0 31W jun *", 4,
	        "cron field 3 (day of month): no month admitted by \"jun\" has a day \"31W\", allowed are 1-31");
	faulty("0 0 L-29 2 *", 4,
	        "cron field 3 (day of month): no month admitted by \"2\" has a day \"L-29\", allowed are 1-31");

	faulty("@reboot", 0,
	        "\"@reboot\" is unknown, allowed are @yearly @annually @monthly @weekly @daily @midnight "
	        "@hourly @every");
	faulty("  @day", 2,
	        "\"@day\" is unknown, allowed are @yearly @annually @monthly @weekly @daily @midnight @hourly @every");
	faulty("@daily 5", 7, "unexpected \"5\" after @daily");
	faulty("@every", 6, "@every needs a duration, 1s-876000h");
	faulty("@every 0s", 7, "\"0s\" is out of range for @every, 1s-876000h");
	faulty("@every 0h0m0s", 7, "\"0h0m0s\" is out of range for @every, 1s-876000h");
	faulty("@every 876001h", 7, "\"876001h\" is out of range for @every, 1s-876000h");
	faulty("@every 99999999999999999999s", 7, "\"99999999999999999999s\" is out of range for @every, 1s-876000h");
	faulty("@every 90", 7, "\"90\" is no duration for @every");
	faulty("@every m", 7, "\"m\" is no duration for @every");
	faulty("@every -5m", 7, "\"-5m\" is no duration for @every");
	faulty("@every 5m1h", 9, "\"5m1h\" is no duration for @every");
	faulty("@every 1m1m", 9, "\"1m1m\" is no duration for @every");
	faulty("@every 1d", 7, "\"1d\" is no duration for @every");
	faulty("@every 1h 30m", 9, "\"1h 30m\" is no duration for @every");
	faulty("@every 1.5h", 7, "\"1.5h\" is no duration for @every");
	faulty("@every90s", 0,
	        "\"@every90s\" is unknown, allowed are @yearly @annually @monthly @weekly @daily @midnight "
	        "@hourly @every");

	/* what is quoted is cut before a multibyte character, and holds no control characters */
	faulty("\x1b[2J * * * *", 0, "cron field 1 (minute): \"?[2J\" is no value, allowed are 0-59");
	faulty("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa * * * *", 0,
	        "cron field 1 (minute): \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" is no value, allowed are 0-59");
	faulty("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u20ac\u20ac\u20ac * * * *", 0,
	        "cron field 1 (minute): \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" is no value, allowed are 0-59");
}

static void
test_against_naive(int expressions, int times)
{
	int wrong = 0, refused = 0, compared = 0, beyond = 0;

	for (int i = 0; i < expressions; i++) {
		char f[6][64], expr[6 * 64];
		bool seconds = random_below(3) == 0;
		CronSpec spec;
		CronError error;

		for (int kind = 0; kind < 6; kind++)
			random_field(f[kind], kind);
		if (!seconds)
			strcpy(f[0], "0");
		if (random_below(8) == 0) { /* days that few months have, or none */
			static const char *const days[] = {
			        "29", "30", "31", "30-31", "29W", "30W", "31W", "L-28", "L-29", "L-30"};
			static const char *const months[] = {"2", "feb", "4,6", "sep", "2,11", "1"};

			strcpy(f[3], days[random_below(10)]);
			strcpy(f[4], months[random_below(6)]);
			strcpy(f[5], random_below(4) ? "*" : "mon#5");
		}
		snprintf(expr, sizeof(expr), "%s%s%s %s %s %s %s", seconds ? f[0] : "", seconds ? " " : "", f[1], f[2],
		        f[3], f[4], f[5]);
		if (!cron_parse(expr, &spec, &error)) {
			refused++;
			if (naive_next(f, epoch("2000-01-01"), 146097) != INT64_MIN) {
				wrong++;
				diag("\"%s\" is refused: %s", expr, error.message);
			}
			continue;
		}
		for (int n = 0; n < times; n++) {
			int64_t after =
			        epoch("1960-01-01") + (int64_t) random_below(180 * 366) * 86400 + random_below(86400);
			int64_t want, got = INT64_MIN;

			if (n > 0 && random_below(2) && cron_next_utc(&spec, after, &got))
				after = got - random_below(2); /* at and just before a match */
			want = naive_next(f, after, 41 * 366);
			if (!cron_next_utc(&spec, after, &got))
				got = INT64_MIN;
			compared++;
			if (want == INT64_MIN)
				beyond++;
			if (got != want && wrong++ < 10)
				diag("\"%s\" after %s: got %s, want %s", expr, ISO(after), ISO(got), ISO(want));
		}
	}
	diag("%d expressions, %d of them refused, %d times compared", expressions, refused, compared);
	is_int(wrong, 0, "no difference to the naive matcher");
	is_int(beyond, 0, "no valid expression waits for more than 41 years");
	ok(refused > 0 && refused < expressions / 10, "some random expressions never match, few");
}

int
main(void)
{
	test_fields();
	test_names();
	test_days();
	test_macros();
	test_limits();
	test_wildcard_hour();
	test_errors();
	test_against_naive(6000, 4);
	return done_testing();
}
