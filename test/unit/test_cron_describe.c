/* sources: src/extension/cron.c src/extension/cron_parse.c src/extension/cron_describe.c */
/* The plain English of cron expressions: whole sentences, and that none is too long. */
#include "src/extension/cron_describe.h"
#include "cron_naive.h"
#include "tap.h"

static void
says(const char *expr, const char *want)
{
	CronSpec spec;
	CronError error;
	char got[CRON_DESCRIPTION_SIZE];

	if (!cron_parse(expr, &spec, &error)) {
		ok(false, "%s is valid: %s", expr, error.message);
		return;
	}
	cron_describe(&spec, got);
	is_str(got, want, "\"%s\"", expr);
}

static void
test_sentences(void)
{
	says("30 6 * * mon-fri", "at 06:30, Monday through Friday");
	says("0 0 * * *", "at 00:00 every day");
	says("0 9,12,15 * * *", "at 09:00, 12:00 and 15:00 every day");
	says("0,30 18,6 * * *", "at 06:00, 06:30, 18:00 and 18:30 every day");
	says("15 30 6 * * *", "at 06:30:15 every day");
	says("0 */6 * * *", "at 00:00, 06:00, 12:00 and 18:00 every day");

	says("* * * * *", "every minute");
	says("0 * * * *", "every hour");
	says("@hourly", "every hour");
	says("30 * * * *", "at minute 30 of every hour");
	says("*/15 * * * *", "every 15 minutes");
	says("0,15,30,45 * * * *", "every 15 minutes");
	says("*/25 * * * *", "at minutes 0, 25 and 50 of every hour");
	says("5-59/15 * * * *", "at minutes 5, 20, 35 and 50 of every hour");
	says("*/15 9-17 * * *", "every 15 minutes from 09:00 to 17:59");
	says("*/15 9-17 * * mon-fri", "every 15 minutes from 09:00 to 17:59, Monday through Friday");
	says("*/15 22-23,0-5 * * *", "every 15 minutes from 00:00 to 05:59 and 22:00 to 23:59");
	says("* 2,7,11-12,20 * * *",
	        "every minute from 02:00 to 02:59, 07:00 to 07:59, 11:00 to 12:59 and 20:00 to 20:59");
	says("*/15 */2 * * *", "every 15 minutes of every 2nd hour");
	says("5-7 */3 * * *", "at minutes 5-7 of every 3rd hour");
	says("5,35 9-17 * * *", "at minutes 5 and 35 of every hour from 09:00 to 17:59");
	says("30 9-17 * * *", "every hour from 09:30 to 17:30");
	says("0 */2 * * *", "every 2 hours from 00:00 to 22:00");
	says("7 1-23/2 * * *", "every 2 hours from 01:07 to 23:07");

	says("* * * * * *", "every second");
	says("*/10 * * * * *", "every 10 seconds");
	says("15 * * * * *", "at second 15 of every minute");
	says("*/10 9-10 * * * *", "every 10 seconds of minutes 9 and 10 of every hour");
	says("30 5,10 8-18 * * *", "at second 30 of minutes 5 and 10 of every hour from 08:00 to 18:59");
	says("1-2,30 */3 */2 * * *", "at seconds 1, 2 and 30 of every 3rd minute of every 2nd hour");
}

static void
test_days(void)
{
	says("0 0 1 * *", "at 00:00, on day 1 of the month");
	says("0 0 1,15 * *", "at 00:00, on days 1 and 15 of the month");
	says("0 0 1-7 11-2 *", "at 00:00, on days 1-7 of the month, in November through February");
	says("0 6 */2 * *", "at 06:00, on every 2nd day of the month from day 1 to day 31");
	says("0 0 L * *", "at 00:00, on the last day of the month");
	says("0 0 $ * *", "at 00:00, on the last day of the month");
	says("0 0 LW * *", "at 00:00, on the last weekday of the month");
	says("0 0 L-1 * *", "at 00:00, 1 day before the last day of the month");
	says("0 0 L-3,L-5 * *", "at 00:00, 3 and 5 days before the last day of the month");
	says("0 0 15W * *", "at 00:00, on the weekday nearest to day 15 of the month");
	says("0 0 1W,15W * *", "at 00:00, on the weekdays nearest to days 1 and 15 of the month");
	says("0 0 1,L * *", "at 00:00, on day 1 of the month or on the last day of the month");
	says("0 0 13 * fri", "at 00:00, on day 13 of the month or on Friday");
	says("0 6 * * 0,6", "at 06:00, on Sunday and Saturday");
	says("0 6 * * fri-mon", "at 06:00, on Friday through Monday");
	says("0 6 * * 0-7", "at 06:00, every day of the week");
	says("0 0 * * fri#2", "at 00:00, on the second Friday of the month");
	says("0 0 * 1,7 5L", "at 00:00, on the last Friday of the month, in January and July");
	says("0 0 * * 1,fri#2,5L", "at 00:00, on Monday or on the second Friday or on the last Friday of the month");
	says("0 6 * nov *", "at 06:00 every day in November");
	says("* * * nov *", "every minute, in November");
	says("@yearly", "at 00:00, on day 1 of the month, in January");
	says("@weekly", "at 00:00, on Sunday");
}

static void
test_every(void)
{
	says("@every 1s", "every second, counted from the last time");
	says("@every 90s", "every 1 minute 30 seconds, counted from the last time");
	says("@every 60m", "every hour, counted from the last time");
	says("@every 1h30m", "every 1 hour 30 minutes, counted from the last time");
	says("@every 876000h", "every 876000 hours, counted from the last time");
}

/* Any masks, also such as no expression has. */
static void
test_length(void)
{
	char got[CRON_DESCRIPTION_SIZE];
	size_t longest = 0;
	bool plain = true;

	for (int i = 0; i < 20000; i++) {
		CronSpec spec = {0};
		int dense = 1 + random_below(4);

		for (unsigned char *byte = (unsigned char *) &spec; byte < (unsigned char *) (&spec + 1); byte++)
			*byte = (unsigned char) (random_below(dense) ? 0 : i % 3 ? 0x55 : random_below(256));
		spec.every = i % 100 ? 0 : 1 + random_below(1000000);
		spec.seconds = (spec.seconds & ((UINT64_C(1) << 60) - 1)) | 1;
		spec.minutes = (spec.minutes & ((UINT64_C(1) << 60) - 1)) | 1;
		spec.hours = (spec.hours & 0xffffff) | 1;
		spec.days &= ~UINT32_C(1);
		spec.days_from_last &= 0x7fffffff;
		spec.months = (spec.months & 0x1ffe) | 2;
		spec.weekdays &= 0x7f;
		spec.weekdays_last &= 0x7f;
		for (int n = 0; n < 6; n++)
			spec.weekdays_nth[n] &= 0x7f;
		spec.day_restricted = random_below(4) != 0;
		spec.weekday_restricted = random_below(4) != 0;
		spec.hour_wildcard = spec.has_seconds = false;
		cron_describe(&spec, got);
		if (strlen(got) > longest)
			longest = strlen(got);
		for (const char *c = got; *c; c++)
			if (*c < ' ' || *c > '~')
				plain = false;
	}
	diag("the longest description has %zu bytes", longest);
	ok(longest < CRON_DESCRIPTION_SIZE - 1000, "none comes near its limit");
	ok(plain, "all are ASCII");
}

int
main(void)
{
	test_sentences();
	test_days();
	test_every();
	test_length();
	return done_testing();
}
