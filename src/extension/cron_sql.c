/*
 * cron_sql.c: cron_zone.c's clock is seconds since 1970 and a function; Postgres's is microseconds since 2000 and its own
 * tz database.
 */
#include "cron_sql.h"

#include "common/hashfn.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "pgtime.h"
#include "utils/builtins.h"

#include "cron_describe.h"
#include "zones.h"

JS_FUNCTION(js_cron_next);
JS_FUNCTION(js_cron_next_n);
JS_FUNCTION(js_cron_describe);
JS_FUNCTION(js_zone_name);

#define ERRCODE_JS_INVALID_ARGUMENT MAKE_SQLSTATE('J', 'S', '0', '0', '1')
#define EPOCH_DIFF_SECS ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)
#define CRON_NEXT_N_MAX 1000

/* An expression on the clock of a zone, ready to be asked. */
typedef struct CronClock
{
	char		expr[88];			/* the key, when it is kept; longer ones are not */
	char		zone_name[40];
	CronSpec	spec;
	CronZone	zone;
} CronClock;

/*
 * The latest expressions of this process, each where its hash says, as a scheduler asks for the same ones again and
 * again; void when zones_look() answers another number than this.
 */
static CronClock clocks[64];
static uint64 clocks_generation = 0;

/* For CronZone.  Postgres tells every change of the offset, of DST or not, and goes on by the zone's last rule. */
static void
look_up_offset(const void *data, int64_t at, int64_t *until, int32_t *offset)
{
	pg_time_t	time = at,
				boundary;
	long		before = 0,
				after;
	int			is_dst,
				found;

	found = pg_next_dst_boundary(&time, &before, &is_dst, &boundary, &after, &is_dst, data);
	*offset = (int32_t) before;
	if (found == 0)
	{
		/* At the very instant of the table's last entry it does not look on to what the rule says. */
		time++;
		found = pg_next_dst_boundary(&time, &before, &is_dst, &boundary, &after, &is_dst, data);
	}
	*until = found == 1 && boundary > at ? boundary : PG_INT64_MAX;
}

/* Points *clock to the expression in the zone, kept or made in `fresh`.  Gives CRON_NEXT_OK or what is wrong. */
static CronNextResult
open_clock(const char *expr, const char *zone, CronClock *fresh, CronClock **clock, CronError *error)
{
	size_t		expr_size = strlen(expr) + 1;
	size_t		zone_size = strlen(zone) + 1;
	bool		keep = expr_size <= sizeof(fresh->expr) && zone_size <= sizeof(fresh->zone_name);
	CronClock  *kept = NULL;
	const pg_tz *tz;
	uint64		generation = zones_look();

	if (generation != clocks_generation)
		memset(clocks, 0, sizeof(clocks));
	clocks_generation = generation;
	*clock = fresh;
	if (keep)
	{
		uint32		hash = hash_combine(hash_bytes((const unsigned char *) expr, (int) expr_size),
										hash_bytes((const unsigned char *) zone, (int) zone_size));

		*clock = kept = &clocks[hash % lengthof(clocks)];
		if (strcmp(kept->expr, expr) == 0 && strcmp(kept->zone_name, zone) == 0 && kept->zone.lookup)
			return CRON_NEXT_OK;
	}

	if (!cron_parse(expr, &fresh->spec, error))
		return CRON_NEXT_BAD_EXPRESSION;
	tz = zone_open(zone);
	if (!tz)
		return CRON_NEXT_BAD_ZONE;
	fresh->zone = (CronZone) {.lookup = look_up_offset, .data = tz};
	if (keep)
	{
		memcpy(fresh->expr, expr, expr_size);
		memcpy(fresh->zone_name, zone, zone_size);
		*kept = *fresh;
	}
	return CRON_NEXT_OK;
}

/* Seconds since 1970, rounded down. */
static int64
to_second(TimestampTz time)
{
	int64		second = time / USECS_PER_SEC;

	if (time % USECS_PER_SEC < 0)
		second--;
	return second + EPOCH_DIFF_SECS;
}

static Timestamp
from_second(int64 second)
{
	return (second - EPOCH_DIFF_SECS) * USECS_PER_SEC;
}

CronNextResult
cron_next_time(const char *expr, TimestampTz after, const char *zone, const CronZoneOptions *options, TimestampTz *next,
			   CronError *error)
{
	CronClock	fresh,
			   *clock;
	CronNextResult result = open_clock(expr, zone, &fresh, &clock, error);
	int64		found;

	if (result != CRON_NEXT_OK)
		return result;
	if (!cron_zone_next(&clock->spec, &clock->zone, options, to_second(after), &found))
		return CRON_NEXT_NEVER;
	*next = from_second(found);
	return CRON_NEXT_OK;
}

/* The expression, and a caret below the fault; on lines of their own, so that no client's prefix moves one of them. */
static char *
point_at(const char *expr, int position)
{
	return psprintf("\n%s\n%*s", expr, pg_mbstrlen_with_len(expr, position) + 1, "^");
}

static void
report_expression(const char *expr, const CronError *error)
{
	ereport(ERROR, errcode(ERRCODE_JS_INVALID_ARGUMENT),
			errmsg("%s", error->message),
			errdetail_internal("%s", point_at(expr, error->position)),
			err_generic_string(PG_DIAG_COLUMN_NAME, "cron"),
			error->hint[0] ? errhint("%s", error->hint) : 0);
}

static void
report_zone(const char *zone)
{
	ereport(ERROR, errcode(ERRCODE_JS_INVALID_ARGUMENT),
			errmsg("time_zone: \"%s\" is not the name of a time zone", zone),
			err_generic_string(PG_DIAG_COLUMN_NAME, "time_zone"),
			errhint("SELECT name FROM pg_timezone_names"));
}

static void
check_after(TimestampTz after)
{
	if (TIMESTAMP_NOT_FINITE(after))
		ereport(ERROR, errcode(ERRCODE_JS_INVALID_ARGUMENT),
				errmsg("the time after which to look must be finite"),
				errhint("Leave it out to look from now on."));
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
	CronZoneOptions options = {0};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	expr = text_to_cstring(PG_GETARG_TEXT_PP(0));
	after = PG_GETARG_TIMESTAMPTZ(1);
	if (!PG_ARGISNULL(2))
		zone = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (PG_NARGS() > 3 && !PG_ARGISNULL(3) && !PG_ARGISNULL(4))
		options = cron_zone_options(text_to_cstring(PG_GETARG_TEXT_PP(3)), text_to_cstring(PG_GETARG_TEXT_PP(4)));
	check_after(after);

	switch (cron_next_time(expr, after, zone, &options, &next, &error))
	{
		case CRON_NEXT_OK:
			break;
		case CRON_NEXT_BAD_EXPRESSION:
			report_expression(expr, &error);
			break;
		case CRON_NEXT_BAD_ZONE:
			report_zone(zone);
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

/* A local time, with its date when that is another one than `beside` has. */
static char *
local_text(int64 local, int64 beside)
{
	pg_time_t	times[2] = {local, beside};
	struct pg_tm tm = *pg_gmtime(&times[0]);
	const struct pg_tm *other = pg_gmtime(&times[1]);
	char	   *text = psprintf("%02d:%02d", tm.tm_hour, tm.tm_min);

	if (tm.tm_sec)
		text = psprintf("%s:%02d", text, tm.tm_sec);
	if (tm.tm_year != other->tm_year || tm.tm_yday != other->tm_yday)
		text = psprintf("%04d-%02d-%02d %s", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, text);
	return text;
}

/* What DST did to a time; NULL if nothing. */
static char *
note_text(const CronZoneNote *note)
{
	if (note->moved)
		return psprintf("stands for %s: from %s to %s is left out", local_text(note->swallowed, note->local),
						local_text(note->gap_from, note->local), local_text(note->gap_until, note->gap_from));
	if (note->pass)
		return psprintf("%s occurs twice: %s pass", local_text(note->local, note->local),
						note->pass == 1 ? "first" : "second");
	return NULL;
}

/*
 * js_cron_next_n(expr text, n int, after timestamptz, time_zone text) → (number int, at timestamptz, local_time timestamp,
 * utc_offset interval, note text): no rows when one of the first three is null.
 */
Datum
js_cron_next_n(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *expr;
	const char *zone = js_time_zone;
	int			n;
	int64		at;
	CronClock	fresh,
			   *kept,
				clock;
	CronError	error;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return (Datum) 0;
	expr = text_to_cstring(PG_GETARG_TEXT_PP(0));
	n = PG_GETARG_INT32(1);
	if (!PG_ARGISNULL(3))
		zone = text_to_cstring(PG_GETARG_TEXT_PP(3));
	check_after(PG_GETARG_TIMESTAMPTZ(2));
	if (n < 1 || n > CRON_NEXT_N_MAX)
		ereport(ERROR, errcode(ERRCODE_JS_INVALID_ARGUMENT),
				errmsg("n: %d is out of range 1..%d", n, CRON_NEXT_N_MAX),
				err_generic_string(PG_DIAG_COLUMN_NAME, "n"),
				errhint("For more, ask again from the last time on."));
	switch (open_clock(expr, zone, &fresh, &kept, &error))
	{
		case CRON_NEXT_BAD_EXPRESSION:
			report_expression(expr, &error);
			break;
		case CRON_NEXT_BAD_ZONE:
			report_zone(zone);
			break;
		default:
			break;
	}

	clock = *kept;
	at = to_second(PG_GETARG_TIMESTAMPTZ(2));
	for (int i = 1; i <= n && cron_zone_next(&clock.spec, &clock.zone, NULL, at, &at); i++)
	{
		CronZoneNote note;
		Interval	offset = {0};
		char	   *text;
		Datum		values[5];
		bool		nulls[5] = {false};

		cron_zone_explain(&clock.spec, &clock.zone, NULL, at, &note);
		offset.time = note.offset * USECS_PER_SEC;
		text = note_text(&note);
		values[0] = Int32GetDatum(i);
		values[1] = TimestampTzGetDatum(from_second(at));
		values[2] = TimestampGetDatum(from_second(note.local));
		values[3] = IntervalPGetDatum(&offset);
		nulls[4] = text == NULL;
		values[4] = text ? CStringGetTextDatum(text) : (Datum) 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* js_zone_name(time_zone text), strict: as it is written in pg_timezone_names. */
Datum
js_zone_name(PG_FUNCTION_ARGS)
{
	char	   *zone = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *name = zone_name(zone);

	if (name == NULL)
		report_zone(zone);
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/* js_cron_describe(expr text), strict. */
Datum
js_cron_describe(PG_FUNCTION_ARGS)
{
	char	   *expr = text_to_cstring(PG_GETARG_TEXT_PP(0));
	CronSpec	spec;
	CronError	error;
	char		description[CRON_DESCRIPTION_SIZE];

	if (!cron_parse(expr, &spec, &error))
		report_expression(expr, &error);
	cron_describe(&spec, description);
	PG_RETURN_TEXT_P(cstring_to_text(description));
}
