/*
 * db_statement.c: the SQL that the API executes, all of it, and how its results read.
 */
#include <string.h>

#include "db_internal.h"

/*
 * Search path and time zone are those that the functions set for themselves.  JSON leaves as UTF-8, whatever the
 * database's encoding and PGCLIENTENCODING are.
 */
const char db_setup_sql[] =
        "SET client_encoding = 'UTF8'; SET statement_timeout = %ld; SET client_min_messages = warning; "
        "SET search_path = pg_catalog; SET default_transaction_isolation = 'read committed'; SET plan_cache_mode = "
        "force_generic_plan";

/* A scheduler that idles in an adopted database has had no job yet: it would start with the first. */
static const struct {
	const char *name;
	const char *sql;
	int params;
} statements[DB_STATEMENTS] = {
        [DB_SUBMIT] = {"submit",
                "SELECT r->>'created', r->'job'->>'id', r->>'job' FROM jobsched.rest_submit($1::jsonb) AS r", 1},
        [DB_GET] = {"get", "SELECT jobsched.rest_get($1::uuid)", 1},
        [DB_CANCEL] = {"cancel", "SELECT jobsched.rest_cancel($1::uuid)", 1},
        [DB_HEALTH] = {"health",
                "SELECT r.ready, h || jsonb_build_object('ready', r.ready, 'database', 'connected') FROM "
                "jobsched.health() AS h, "
                "LATERAL (SELECT coalesce((h->>'scheduler' = 'running' OR starts_with(h->>'scheduler', 'idle: ')) AND "
                "(h->>'adopted')::boolean, false)) AS r (ready)",
                0},
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
db_statement_params(enum db_statement statement)
{
	return statements[statement].params;
}

void
db_answer_from_result(const PGresult *result, struct db_answer *answer)
{
	const char *sqlstate;

	memset(answer, 0, sizeof(*answer));
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
