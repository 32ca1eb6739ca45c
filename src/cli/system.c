/*
 * system.c: queue list, pause, resume; worker list; stats.
 */
#include "system.h"

#include <limits.h>
#include <stdio.h>

/* ---- queues ---- */

#define PAGE 200 /* queues in one answer of rest_queues() */

#define QUEUES "jobsched.rest_queues(jsonb_strip_nulls(jsonb_build_object('cursor', $1::text, 'limit', $2::text)))"
#define QUEUE_COLUMNS                                                                                    \
	"x.name, x.paused, x.due, x.oldest_due_seconds::numeric(12, 1), x.scheduled, x.held, x.queued, " \
	"x.running, x.workers, x.slots, x.paused_by, x.paused_at"
#define QUEUE_RECORD                                                                               \
	"name text, paused boolean, due int, oldest_due_seconds float8, scheduled int, held int, " \
	"queued int, running int, workers int, slots int, paused_by text, paused_at timestamptz"

static const struct query queues = PAGES(QUEUES, "queues", QUEUE_COLUMNS, QUEUE_RECORD);

enum cli_exit
queue_list(struct cli *cli, const struct args *args)
{
	(void) args;
	return output_pages(cli, &queues, 0, NULL, NULL, LONG_MAX, PAGE);
}

static enum cli_exit
change(struct cli *cli, const struct query *query, const char *const *params)
{
	PGresult *result = database_query(cli, cli->json ? query->json : query->table, 1, params);

	if (!result)
		return CLI_FAILED;
	printf("%s\n", PQgetvalue(result, 0, 0));
	PQclear(result);
	return CLI_OK;
}

enum cli_exit
queue_pause(struct cli *cli, const struct args *args)
{
	static const struct query query = {
	        "SELECT CASE WHEN jobsched.pause_queue($1) THEN 'paused' ELSE 'it was paused already' END",
	        "SELECT json_build_object('queue', $1::text, 'changed', jobsched.pause_queue($1))"};

	return change(cli, &query, args->word);
}

enum cli_exit
queue_resume(struct cli *cli, const struct args *args)
{
	static const struct query query = {
	        "SELECT CASE WHEN jobsched.resume_queue($1) THEN 'goes on' ELSE 'it was not paused' END",
	        "SELECT json_build_object('queue', $1::text, 'changed', jobsched.resume_queue($1))"};

	return change(cli, &query, args->word);
}

/* ---- workers ---- */

enum {
	WORKERS_ALL,
	WORKERS_OPTIONS
};

const struct option_spec worker_list_options[] = {
        [WORKERS_ALL] = {"all", 'a', OPTION_FLAG, NULL, "also those that have stopped", NULL}, [WORKERS_OPTIONS] = {0}};

#define WORKERS "jobsched.rest_workers('{\"limit\": \"1000\"}') -> 'workers'"

#define WORKER_COLUMNS                                                                                              \
	"x.worker_id, x.state, (SELECT string_agg(q, ',') FROM json_array_elements_text(x.queues) q) AS queues, "   \
	"x.slots, x.running, x.info ->> 'host' AS host, x.info ->> 'pid' AS pid, x.info ->> 'version' AS version, " \
	"x.started_at, x.last_seen, x.id"
#define WORKER_RECORD                                                                                          \
	"worker_id text, state text, queues json, slots int, running int, info json, started_at timestamptz, " \
	"last_seen timestamptz, id uuid"

static const struct query workers = {"SELECT " WORKER_COLUMNS " FROM json_to_recordset(" WORKERS ") AS x(" WORKER_RECORD
                                     ") "
                                     "WHERE $1::text IS NOT NULL OR x.state <> 'stopped'",
        "SELECT x FROM json_array_elements(" WORKERS ") x WHERE $1::text IS NOT NULL OR x ->> 'state' <> 'stopped'"};

enum cli_exit
worker_list(struct cli *cli, const struct args *args)
{
	return output_query(cli, &workers, WORKERS_OPTIONS, args->option);
}

/* ---- all of it ---- */

#define SCHEDULERS                                                                                                \
	"SELECT s.slice, s.state, s.broker, s.started_at, s.next_wake, s.promoted, s.published, s.confirmed, "    \
	"s.returned, s.republished, "                                                                             \
	"s.rescued, s.expired, s.loops FROM jobsched.scheduler_status() s WHERE s.database = current_database() " \
	"ORDER BY s.slice"
#define TABLES                                                                                               \
	"SELECT t.name, t.live_rows, t.dead_rows, t.table_bytes, t.index_bytes, t.last_vacuum, t.note FROM " \
	"jobsched.stats() t"
#define SUMMARY                                                                                                     \
	"SELECT s -> 'ready' ->> 'scheduler' AS scheduler, s -> 'ready' ->> 'broker' AS broker, (s -> 'ready' ->> " \
	"'adopted')::boolean AS adopted, "                                                                          \
	"(s -> 'workers' ->> 'live')::int AS workers, (s -> 'workers' ->> 'slots')::int AS slots, c.due, "          \
	"c.scheduled, c.retrying, c.paused, c.queued, c.running, "                                                  \
	"(s ->> 'oldest_due_seconds')::numeric(12, 1) AS oldest_due_seconds, (s ->> 'failed_kept')::int AS failed " \
	"FROM jobsched.rest_stats('{\"tables\": \"false\"}') s, json_to_record(s -> 'counts') AS c(due int, "       \
	"scheduled int, retrying int, paused int, queued int, running int)"

enum cli_exit
system_stats(struct cli *cli, const struct args *args)
{
	static const struct query summary = {SUMMARY, "SELECT jobsched.rest_stats('{}')"},
	                          schedulers = QUERY(SCHEDULERS), tables = QUERY(TABLES);
	enum cli_exit code = output_one(cli, &summary, 0, NULL);

	(void) args;
	if (code != CLI_OK || cli->json)
		return code;
	printf("\n");
	if (output_query(cli, &schedulers, 0, NULL) != CLI_OK)
		return CLI_FAILED;
	printf("\n");
	return output_query(cli, &tables, 0, NULL);
}
