/*
 * jobs.c: get, list, explain.
 */
#include "jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uuid.h"

#define PAGE 200 /* jobs in one answer of rest_jobs() */

#define JOB_COLUMNS                                                                                                   \
	"s.id, s.name, s.status, s.queue, s.priority, s.frequency, s.schedule_name, s.cron, s.time_zone, s.payload, " \
	"s.max_retries, s.timeout, s.unique_key, s.owner, s.created_at, s.next_run_at, s.last_attempt, "              \
	"s.last_status, "                                                                                             \
	"s.last_reason, s.last_error, s.result_payload, s.artifacts, s.last_started_at, s.last_finished_at, "         \
	"s.last_worker_id"

#define RUNS                                                                                                  \
	"SELECT r.run_at, r.attempt, r.status, r.final, r.due_at, r.queued_at, r.started_at, r.finished_at, " \
	"r.reason, "                                                                                          \
	"r.error, r.worker_id, r.percent, r.message FROM jobsched.runs r WHERE r.job_id = $1::uuid "          \
	"ORDER BY r.run_at DESC, r.attempt DESC LIMIT 50"

static const struct query get = {"SELECT " JOB_COLUMNS " FROM jobsched.job_status s WHERE s.id = $1::uuid",
        "SELECT jobsched.rest_get($1::uuid) || jsonb_build_object('executions', "
        "jobsched.rest_executions($1::uuid, '{}')::jsonb -> 'executions')"};

static const struct query runs = QUERY(RUNS);

/* $3... the filters in the order of the options. */
#define LIST_CALL                                                                                                  \
	"jobsched.rest_jobs(jsonb_strip_nulls(jsonb_build_object('cursor', $1::text, 'limit', $2::text, "          \
	"'name', $3::text, 'queue', $4::text, 'status', $5::text, "                                                \
	"'created_after', extract(epoch FROM " TIME_PARAM("6") ")::text, "                                         \
	                                                       "'created_before', extract(epoch FROM " TIME_PARAM( \
	                                                               "7") ")::text)))"
#define LIST_COLUMNS                                                                 \
	"x.id, x.name, x.status, x.queue, x.priority, x.created_at, x.next_run_at, " \
	"(x.last_execution ->> 'finished_at')::timestamptz AS last_finished_at, "    \
	"coalesce(x.last_execution ->> 'error', x.last_execution ->> 'reason') AS last_error"
#define LIST_RECORD                                                                           \
	"id uuid, name text, status text, queue text, priority int, created_at timestamptz, " \
	"next_run_at timestamptz, last_execution json"

static const struct query list = PAGES(LIST_CALL, "jobs", LIST_COLUMNS, LIST_RECORD);

static const struct query explain = QUERY("SELECT status, reason FROM jobsched.explain_job($1::uuid)");

bool
job_id_check(const char *command, const char *id)
{
	if (uuid_from_text(id, strlen(id), NULL) == 0)
		return true;
	usage_error(command, "\"%.100s\" is not a job's id, which is a UUID", id);
	return false;
}

enum cli_exit
job_show(struct cli *cli, const char *id)
{
	PGresult *result = database_query(cli, cli->json ? get.json : get.table, 1, &id);

	if (!result)
		return CLI_FAILED;
	if (PQntuples(result) == 0) { /* of the view; rest_get() says so itself */
		fprintf(stderr,
		        "jobsched: job %s does not exist\nHINT: It may never have existed, belong to another role, or "
		        "be older than the retention.\n",
		        id);
		PQclear(result);
		return CLI_FAILED;
	}
	output_record(cli, result);
	PQclear(result);
	if (cli->json)
		return CLI_OK;
	printf("\n");
	return output_query(cli, &runs, 1, &id);
}

enum cli_exit
job_get(struct cli *cli, const struct args *args)
{
	return job_id_check("get", args->word[0]) ? job_show(cli, args->word[0]) : CLI_USAGE;
}

#define STATUSES "scheduled|queued|running|retrying|paused|cancelling|succeeded|failed|cancelled|expired|ended"

enum {
	LIST_NAME,
	LIST_QUEUE,
	LIST_STATUS,
	LIST_AFTER,
	LIST_BEFORE,
	LIST_FILTERS,
	LIST_CURSOR = LIST_FILTERS,
	LIST_LIMIT,
	LIST_OPTIONS
};

const struct option_spec job_list_options[] = {
        [LIST_NAME] = {"name", 'n', OPTION_TEXT, "TASK", "jobs of this task", NULL},
        [LIST_QUEUE] = {"queue", 'q', OPTION_TEXT, "QUEUE", "jobs of this queue", NULL},
        [LIST_STATUS] = {"status", 's', OPTION_CHOICE, "STATUS", "jobs that are so", STATUSES},
        [LIST_AFTER] = {"created-after", 0, OPTION_TIME, "TIME", "submitted then or later", NULL},
        [LIST_BEFORE] = {"created-before", 0, OPTION_TIME, "TIME", "submitted before that", NULL},
        [LIST_CURSOR] = {"older-than", 0, OPTION_TEXT, "ID", "go on after the last job of an earlier list", NULL},
        [LIST_LIMIT] = {"limit", 'l', OPTION_INTEGER, "N", "at most so many (20)", NULL},
        [LIST_OPTIONS] = {0}};

enum cli_exit
job_list(struct cli *cli, const struct args *args)
{
	long limit = args->option[LIST_LIMIT] ? strtol(args->option[LIST_LIMIT], NULL, 10) : 20;

	if (args->option[LIST_CURSOR] && !job_id_check("list", args->option[LIST_CURSOR]))
		return CLI_USAGE;
	if (limit < 1)
		return usage_error("list", "list: --limit: %ld: at least 1", limit);
	return output_pages(cli, &list, LIST_FILTERS, args->option, args->option[LIST_CURSOR], limit, PAGE);
}

enum cli_exit
job_explain(struct cli *cli, const struct args *args)
{
	return job_id_check("explain", args->word[0]) ? output_one(cli, &explain, 1, args->word) : CLI_USAGE;
}
