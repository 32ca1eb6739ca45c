/*
 * cron_sql.c: cron.c's clock is civil seconds since 1970, Postgres's is microseconds since 2000 and a time zone.
 */
#include "cron_sql.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

JS_FUNCTION(js_cron_next);

#define ERRCODE_JS_INVALID_ARGUMENT MAKE_SQLSTATE('J', 'S', '0', '0', '1')
#define EPOCH_DIFF_SECS ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

static bool
zone_is_utc(const char *zone)
{
	static const char *const names[] = {
		"UTC", "Etc/UTC", "GMT", "Etc/GMT", "UCT", "Etc/UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal", "Z"
	};

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (pg_strcasecmp(zone, names[i]) == 0)
			return true;
	}
	return false;
}

CronNextResult
cron_next_time(const char *expr, TimestampTz after, const char *zone, TimestampTz *next, CronError *error)
{
	CronSpec	spec;
	int64		second = after / USECS_PER_SEC;
	int64		found;

	if (!cron_parse(expr, &spec, error))
		return CRON_NEXT_BAD_EXPRESSION;
	if (!zone_is_utc(zone))
		return CRON_NEXT_BAD_ZONE;
	if (after % USECS_PER_SEC < 0)
		second--;
	if (!cron_next_utc(&spec, second + EPOCH_DIFF_SECS, &found))
		return CRON_NEXT_NEVER;
	*next = (found - EPOCH_DIFF_SECS) * USECS_PER_SEC;
	return CRON_NEXT_OK;
}

/* The expression, and a caret below the fault. */
static char *
point_at(const char *expr, int position)
{
	return psprintf("%s\n%*s", expr, pg_mbstrlen_with_len(expr, position) + 1, "^");
}

/* js_cron_next(expr text, after timestamptz, time_zone text): null expr or after gives null. */
Datum
js_cron_next(PG_FUNCTION_ARGS)
{
	char	   *expr;
	const char *zone = js_time_zone;
	TimestampTz after,
				next;
	CronError	error;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	expr = text_to_cstring(PG_GETARG_TEXT_PP(0));
	after = PG_GETARG_TIMESTAMPTZ(1);
	if (!PG_ARGISNULL(2))
		zone = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (TIMESTAMP_NOT_FINITE(after))
		ereport(ERROR, errcode(ERRCODE_JS_INVALID_ARGUMENT),
				errmsg("the time after which to look must be finite"),
				errhint("Leave it out to look from now on."));

	switch (cron_next_time(expr, after, zone, &next, &error))
	{
		case CRON_NEXT_OK:
			break;
		case CRON_NEXT_BAD_EXPRESSION:
			ereport(ERROR, errcode(ERRCODE_JS_INVALID_ARGUMENT),
					errmsg("%s", error.message),
					errdetail_internal("%s", point_at(expr, error.position)),
					err_generic_string(PG_DIAG_COLUMN_NAME, "cron"),
					error.hint[0] ? errhint("%s", error.hint) : 0);
			break;
		case CRON_NEXT_BAD_ZONE:
			ereport(ERROR, errcode(ERRCODE_JS_INVALID_ARGUMENT),
					errmsg("time zone \"%s\" is not supported for cron expressions", zone),
					err_generic_string(PG_DIAG_COLUMN_NAME, "time_zone"),
					errhint("Only UTC is supported in this version; write the expression in UTC and leave time_zone out."));
			break;
		case CRON_NEXT_NEVER:
			ereport(ERROR, errcode(ERRCODE_JS_INVALID_ARGUMENT),
					errmsg("cron expression \"%s\" has no time after %s", expr, timestamptz_to_str(after)),
					err_generic_string(PG_DIAG_COLUMN_NAME, "cron"),
					errhint("Times beyond the year 9999 are not considered."));
			break;
	}
	PG_RETURN_TIMESTAMPTZ(next);
}
