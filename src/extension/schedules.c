/*
 * schedules.c: reads a row of jobsched.schedules.
 */
#include "schedules.h"

#include "common/int.h"
#include "utils/builtins.h"

#include "txn.h"

/* A month is 30 days; what is too long counts as the longest. */
static int64
interval_us(const Interval *interval)
{
	int64		days = (int64) interval->month * DAYS_PER_MONTH + interval->day;
	int64		us;

	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &us) || pg_add_s64_overflow(us, interval->time, &us))
		return PG_INT64_MAX;
	return us;
}

static char *
read_text(uint64 row, int column)
{
	return TextDatumGetCString(txn_value(row, column));
}

static int64
read_int64(uint64 row, int column, int64 otherwise)
{
	bool		isnull;
	Datum		value = txn_value_or_null(row, column, &isnull);

	return isnull ? otherwise : DatumGetInt64(value);
}

static int64
every_of(const char *expr)
{
	CronSpec	spec;
	CronError	error;

	return strchr(expr, '@') != NULL && cron_parse(expr, &spec, &error) ? spec.every * USECS_PER_SEC : 0;
}

void
schedule_read(uint64 row, Schedule *schedule)
{
	bool		isnull;
	Datum		jitter;

	schedule->job_id = *DatumGetUUIDP(txn_value(row, 1));
	schedule->expr = read_text(row, 2);
	schedule->zone = read_text(row, 3);
	schedule->last_run_at = read_int64(row, 4, DT_NOBEGIN);
	schedule->waits_until = read_int64(row, 5, DT_NOBEGIN);
	schedule->rules.paused = DatumGetBool(txn_value(row, 6));
	schedule->rules.misfire = policy_misfire_of(read_text(row, 7));
	schedule->rules.overlap = policy_overlap_of(read_text(row, 8));
	schedule->dst = cron_zone_options(read_text(row, 9), read_text(row, 10));
	schedule->rules.starts_at = read_int64(row, 11, DT_NOBEGIN);
	schedule->rules.ends_at = read_int64(row, 12, DT_NOEND);
	schedule->rules.runs_left = read_int64(row, 13, PG_INT64_MAX);
	schedule->rules.catchup_max = DatumGetInt32(txn_value(row, 14));
	schedule->rules.catchup_window = interval_us(DatumGetIntervalP(txn_value(row, 15)));
	schedule->rules.every = every_of(schedule->expr);
	jitter = txn_value_or_null(row, 16, &isnull);
	schedule->jitter = isnull ? 0 : interval_us(DatumGetIntervalP(jitter));
}

static CronNextResult
ask(const Schedule *schedule, TimestampTz after, TimestampTz *next)
{
	CronError	error;

	if (TIMESTAMP_NOT_FINITE(after) || !IS_VALID_TIMESTAMP(after))
		return CRON_NEXT_NEVER;
	return cron_next_time(schedule->expr, after, schedule->zone, &schedule->dst, next, &error);
}

bool
schedule_next(const void *schedule, int64 after, int64 *next)
{
	return ask(schedule, after, next) == CRON_NEXT_OK;
}

void
schedule_report(const Schedule *schedule)
{
	TimestampTz next;
	CronNextResult result = ask(schedule, GetCurrentTimestamp(), &next);

	if (result == CRON_NEXT_BAD_EXPRESSION || result == CRON_NEXT_BAD_ZONE)
		ereport(LOG,
				errmsg("jobsched: cron job %s has no next run: expression \"%s\", time zone \"%s\"",
					   DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&schedule->job_id))),
					   schedule->expr, schedule->zone));
}
