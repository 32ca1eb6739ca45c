/*
 * rest_answer.c: JSON text of a new job; the fields are those of jobsched.rest_get() in the script.
 */
#include "rest_answer.h"

#include "access/xact.h"
#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/json.h"

/* "2026-11-24T21:30:00.500000Z", as _iso() in the script */
static void
append_iso(StringInfo out, TimestampTz at)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR, errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range"));
	appendStringInfo(out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", tm.tm_year > 0 ? tm.tm_year : 1 - tm.tm_year, tm.tm_mon, tm.tm_mday,
					 tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fsec);
}

static void
append_seconds(StringInfo out, int64 us)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum((double) us / USECS_PER_SEC)));

	appendStringInfoString(out, text);
	pfree(text);
}

static void
append_string(StringInfo out, const char *bytes, int len)
{
	char	   *text = pnstrdup(bytes, len);

	escape_json(out, text);
	pfree(text);
}

void
rest_answer_new_job(const NewJob *job, StringInfo out)
{
	const JobSpec *spec = job->spec;
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&job->id)));

	appendStringInfo(out, "{\"id\": \"%s\", \"name\": ", id);
	append_string(out, spec->name, spec->name_len);
	appendStringInfoString(out, ", \"payload\": ");
	jobspec_payload_text(spec, out);
	appendStringInfoString(out, ", \"frequency\": \"once\", \"status\": \"scheduled\", \"queue\": ");
	append_string(out, spec->queue != NULL ? spec->queue : js_queue, spec->queue != NULL ? spec->queue_len : (int) strlen(js_queue));
	appendStringInfo(out, ", \"priority\": %d, \"max_retries\": %d, \"timeout\": ", spec->priority, spec->max_retries);
	if (spec->has_timeout)
		append_seconds(out, spec->timeout.day * USECS_PER_DAY + spec->timeout.time);
	else
		appendStringInfoString(out, "null");
	appendStringInfoString(out, ", \"cron\": null, \"time_zone\": null, \"unique_key\": ");
	if (spec->unique_key != NULL)
		append_string(out, spec->unique_key, spec->unique_key_len);
	else
		appendStringInfoString(out, "null");
	appendStringInfoString(out, ", \"created_at\": ");
	append_iso(out, GetCurrentTransactionStartTimestamp());
	appendStringInfoString(out, ", \"next_run_time\": ");
	append_seconds(out, job->due - (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY);
	appendStringInfoString(out, ", \"next_run_at\": ");
	append_iso(out, job->due);
	appendStringInfoString(out, ", \"last_execution\": null}");
	pfree(id);
}
