/*
 * db_statement.c: the SQL that the API executes, all of it, and how its results read.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "db_internal.h"
#include "uuid.h"

/*
 * Search path and time zone are those that the functions set for themselves.  JSON leaves as UTF-8, whatever the
 * database's encoding and PGCLIENTENCODING are.
 */
const char db_setup_sql[] =
        "SET client_encoding = 'UTF8'; SET statement_timeout = %ld; SET client_min_messages = warning; "
        "SET search_path = pg_catalog; SET default_transaction_isolation = 'read committed'; SET plan_cache_mode = "
        "force_generic_plan; SET jit = off";

/*
 * Columns of submit, in the order of the statements.  set_config comes first, since the function's argument depends on
 * it: a group that must wait for somebody's lock gives up early, and each of its calls is tried again alone.
 */
enum {
	SUBMIT_N,
	SUBMIT_CREATED,
	SUBMIT_ID,
	SUBMIT_JOB,
	SUBMIT_SQLSTATE,
	SUBMIT_MESSAGE,
	SUBMIT_DETAIL,
	SUBMIT_HINT,
	SUBMIT_FIELD
};

#define SUBMIT_SQL(job)                                                                           \
	"SELECT r.n, r.created, r.id, " job ", r.sqlstate, r.message, r.detail, r.hint, r.field " \
	"FROM set_config('lock_timeout', $2, true) AS s, "                                        \
	"LATERAL jobsched.rest_submit_many(CASE WHEN s IS NOT NULL THEN $1::text[] END) AS r"

enum {
	GET_ID,
	GET_JOB
};

/* Of the parameter, in the server's pg_type. */
#define OID_TEXT 25
#define OID_UUID 2950

/* How calls become parameters. */
enum param_form {
	PARAM_NONE,
	PARAM_TEXT, /* of one call */
	PARAM_ARGS, /* several of one call */
	PARAM_TEXTS, /* text[] and the limit of waiting for locks */
	PARAM_UUIDS /* uuid[] */
};

#define REST(id, name, sql) [id] = {name, "SELECT " sql, PARAM_ARGS, 1, INT_MAX}

/*
 * Two groups of the same kind at once: one is executed while the other waits for the disk.  Bodies with a unique_key
 * have one, so that they wait for each other in the queue here and not for each other's locks.
 */
static const struct {
	const char *name;
	const char *sql;
	enum param_form form;
	int group, lanes;
} statements[DB_STATEMENTS] = {
        [DB_SUBMIT] = {"submit", SUBMIT_SQL("r.job"), PARAM_TEXTS, 64, 2},
        [DB_SUBMIT_KEYED] = {"keyed", SUBMIT_SQL("r.job"), PARAM_TEXTS, 64, 1},
        [DB_SUBMIT_BATCH] = {"batch", SUBMIT_SQL("NULL"), PARAM_TEXTS, 1, 2},
        [DB_GET] = {"get", "SELECT r.id, r.job FROM jobsched.rest_get_many($1) AS r", PARAM_UUIDS, 64, 2},
        [DB_CANCEL] = {"cancel", "SELECT jobsched.rest_cancel($1::uuid)", PARAM_TEXT, 1, INT_MAX},
        [DB_HEALTH] = {"health",
                "SELECT h ->> 'ready', h || '{\"database\": \"connected\"}' FROM jobsched.health() AS h",
                PARAM_NONE, 1, INT_MAX},
        [DB_WAIT] = {"wait", "SELECT r.id, r.job FROM jobsched.rest_wait($1) AS r", PARAM_UUIDS, 1, INT_MAX},
        REST(DB_JOBS, "jobs", "jobsched.rest_jobs($1::jsonb)"),
        REST(DB_EXECUTIONS, "executions", "jobsched.rest_executions($1::uuid, $2::jsonb)"),
        REST(DB_EXPLAIN, "explain", "jobsched.rest_explain($1::uuid)"),
        REST(DB_PAUSE, "pause", "jobsched.rest_pause($1::uuid)"),
        REST(DB_RESUME, "resume", "jobsched.rest_resume($1::uuid)"),
        REST(DB_RUN, "run", "jobsched.rest_run($1::uuid)"),
        REST(DB_RETRY, "retry", "jobsched.rest_retry($1::uuid)"),
        REST(DB_ALTER, "alter", "jobsched.rest_alter($1::uuid, $2::jsonb)"),
        REST(DB_CANCEL_MANY, "cancel many", "jobsched.rest_cancel_many($1::jsonb)"),
        REST(DB_RETRY_MANY, "retry many", "jobsched.rest_retry_many($1::jsonb)"),
        REST(DB_SCHEDULES, "schedules", "jobsched.rest_schedules($1::jsonb)"),
        REST(DB_SCHEDULE, "schedule", "jobsched.rest_schedule($1::text, $2::jsonb)"),
        REST(DB_PUT_SCHEDULE, "put schedule",
                "r.answer, CASE WHEN r.created THEN 201 ELSE 200 END FROM jobsched.rest_put_schedule($1::text, "
                "$2::jsonb) AS r"),
        REST(DB_DELETE_SCHEDULE, "delete schedule", "jobsched.rest_delete_schedule($1::text)"),
        REST(DB_PAUSE_SCHEDULE, "pause schedule", "jobsched.rest_pause_schedule($1::text)"),
        REST(DB_RESUME_SCHEDULE, "resume schedule", "jobsched.rest_resume_schedule($1::text)"),
        REST(DB_RUN_SCHEDULE, "run schedule", "jobsched.rest_run_schedule($1::text)"),
        REST(DB_QUEUES, "queues", "jobsched.rest_queues($1::jsonb)"),
        REST(DB_QUEUE, "queue", "jobsched.rest_queue($1::text)"),
        REST(DB_PAUSE_QUEUE, "pause queue", "jobsched.rest_pause_queue($1::text)"),
        REST(DB_RESUME_QUEUE, "resume queue", "jobsched.rest_resume_queue($1::text)"),
        REST(DB_WORKERS, "workers", "jobsched.rest_workers($1::jsonb)"),
        REST(DB_CRON_NEXT, "cron next", "jobsched.rest_cron_next($1::jsonb)"),
        REST(DB_ARTIFACT, "artifact", "jobsched.rest_artifact($1::uuid, $2::text, $3::jsonb)"),
        REST(DB_STATS, "stats", "jobsched.rest_stats($1::jsonb)"),
        REST(DB_HISTORY, "history", "jobsched.rest_history($1::jsonb)"),
        REST(DB_METRICS, "metrics", "jobsched.rest_metrics()"),
};

const char *
db_statement_name(enum db_statement statement)
{
	return statements[statement].name;
}

const char *
db_statement_sql(enum db_statement statement)
{
	return statements[statement].sql;
}

int
db_statement_group(enum db_statement statement)
{
	return statements[statement].group;
}

int
db_statement_lanes(enum db_statement statement)
{
	return statements[statement].lanes;
}

/*
 * Parameters
 */

static char *
put_int32(char *out, size_t value)
{
	uint32_t number = htonl((uint32_t) value);

	memcpy(out, &number, sizeof(number));
	return out + sizeof(number);
}

static int
reserve(struct db_params *params, size_t size)
{
	char *bigger;

	if (params->size >= size)
		return 0;
	size += size / 2;
	bigger = realloc(params->buf, size);
	if (!bigger)
		return -1;
	params->buf = bigger;
	params->size = size;
	return 0;
}

/* An array in the server's binary form: dimensions, no NULLs, type, then for the one dimension length and first index. */
static char *
put_array_head(char *out, size_t n, uint32_t type)
{
	out = put_int32(out, n > 0 ? 1 : 0);
	out = put_int32(out, 0);
	out = put_int32(out, type);
	if (n > 0) {
		out = put_int32(out, n);
		out = put_int32(out, 1);
	}
	return out;
}

static char *
put_uuid(char *out, const struct db_text *text)
{
	out = put_int32(out, UUID_BYTES);
	uuid_from_text(text->bytes, text->len, (uint8_t *) out);
	return out + UUID_BYTES;
}

static char *
put_text(char *out, const struct db_text *text)
{
	out = put_int32(out, text->len);
	memcpy(out, text->bytes, text->len);
	return out + text->len;
}

static int
bind_array(enum param_form form, const struct db_calls *calls, struct db_params *params)
{
	const struct db_call *call;
	size_t n = 0, size = 20;
	char *out;

	TAILQ_FOREACH(call, calls, link)
	{
		if (!call->items) {
			n++;
			size += 4 + (form == PARAM_UUIDS ? UUID_BYTES : call->param.len);
			continue;
		}
		n += call->n_items;
		for (size_t i = 0; i < call->n_items; i++)
			size += 4 + call->items[i].len;
	}
	if (reserve(params, size) < 0)
		return -1;
	out = put_array_head(params->buf, n, form == PARAM_UUIDS ? OID_UUID : OID_TEXT);
	TAILQ_FOREACH(call, calls, link)
	{
		const struct db_text *items = call->items ? call->items : &call->param;

		n = call->items ? call->n_items : 1;
		for (size_t i = 0; i < n; i++)
			out = form == PARAM_UUIDS ? put_uuid(out, &items[i]) : put_text(out, &items[i]);
	}
	params->values[0] = params->buf;
	params->lengths[0] = (int) (out - params->buf);
	params->formats[0] = 1;
	return 0;
}

int
db_statement_bind(
        enum db_statement statement, const struct db_calls *calls, const char *lock_timeout, struct db_params *params)
{
	const struct db_call *first = TAILQ_FIRST(calls);
	enum param_form form = statements[statement].form;

	if (form == PARAM_ARGS) {
		params->n = first->n_args;
		for (int i = 0; i < first->n_args; i++) {
			params->values[i] = first->args[i];
			params->formats[i] = 0;
		}
		return 0;
	}
	params->n = form == PARAM_NONE ? 0 : form == PARAM_TEXTS ? 2 : 1;
	if (form == PARAM_TEXT) {
		params->values[0] = first->param.bytes;
		params->formats[0] = 0;
	}
	params->values[1] = lock_timeout;
	params->formats[1] = 0;
	return form == PARAM_TEXTS || form == PARAM_UUIDS ? bind_array(form, calls, params) : 0;
}

/*
 * Results
 */

void
db_answer_from_result(const PGresult *result, struct db_answer *answer)
{
	const char *sqlstate;

	memset(answer, 0, sizeof(*answer));
	answer->result = result;
	if (PQresultStatus(result) == PGRES_TUPLES_OK) {
		answer->outcome = DB_OK;
		for (int i = 0; i < DB_MAX_COLUMNS && i < PQnfields(result); i++) {
			if (PQntuples(result) > 0 && !PQgetisnull(result, 0, i))
				answer->columns[i] = PQgetvalue(result, 0, i);
		}
		return;
	}
	answer->outcome = DB_FAILED;
	sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	if (sqlstate && strlen(sqlstate) == 5)
		memcpy(answer->sqlstate, sqlstate, 6);
	answer->message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	answer->detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	answer->hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	answer->field = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);
}

static const char *
value(const PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

static void
answer_from_submit_row(const PGresult *result, int row, struct db_answer *answer)
{
	const char *sqlstate;

	memset(answer, 0, sizeof(*answer));
	if (row >= PQntuples(result)) {
		answer->outcome = DB_FAILED;
		answer->message = "the database gave no answer for this job";
		return;
	}
	sqlstate = value(result, row, SUBMIT_SQLSTATE);
	if (!sqlstate) {
		answer->columns[0] = value(result, row, SUBMIT_CREATED);
		answer->columns[1] = value(result, row, SUBMIT_ID);
		answer->columns[2] = value(result, row, SUBMIT_JOB);
		return;
	}
	answer->outcome = DB_FAILED;
	snprintf(answer->sqlstate, sizeof(answer->sqlstate), "%s", sqlstate);
	answer->message = value(result, row, SUBMIT_MESSAGE);
	answer->detail = value(result, row, SUBMIT_DETAIL);
	answer->hint = value(result, row, SUBMIT_HINT);
	answer->field = value(result, row, SUBMIT_FIELD);
}

size_t
db_answer_rows(const struct db_answer *answer)
{
	return (size_t) PQntuples(answer->result);
}

const char *
db_answer_value(const struct db_answer *answer, size_t row, int column)
{
	return value(answer->result, (int) row, column);
}

void
db_answer_item(const struct db_answer *batch, size_t n, struct db_answer *item)
{
	answer_from_submit_row(batch->result, (int) n, item);
}

/* Rows come in the order of the ids, without those that are unknown; but nothing here depends on that. */
static void
answer_from_job_row(const PGresult *result, const struct db_call *call, int *row, struct db_answer *answer)
{
	int n = PQntuples(result);

	memset(answer, 0, sizeof(*answer));
	for (int i = 0; i < n; i++) {
		int here = (*row + i) % n;

		if (strncasecmp(PQgetvalue(result, here, GET_ID), call->param.bytes, UUID_TEXT_LEN) == 0) {
			answer->columns[0] = value(result, here, GET_JOB);
			*row = here;
			return;
		}
	}
}

void
db_answer_of_call(const PGresult *result, const struct db_call *call, int n, int *row, struct db_answer *answer)
{
	if (call->statement == DB_SUBMIT || call->statement == DB_SUBMIT_KEYED)
		answer_from_submit_row(result, n, answer);
	else if (call->statement == DB_GET)
		answer_from_job_row(result, call, row, answer);
	else
		db_answer_from_result(result, answer);
}

bool
db_error_is_shared(const struct db_answer *answer)
{
	/* Stopping, out of time or resources, connection, not a primary, not installed, not allowed. */
	static const char *const shared[] = {"57", "53", "08", "25006", "3F000", "42883", "42501"};

	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
		if (strncmp(answer->sqlstate, shared[i], strlen(shared[i])) == 0)
			return true;
	}
	return false;
}
