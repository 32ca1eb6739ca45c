/*
 * schedules.c: schedule list, add, pause, resume, next, delete.
 */
#include "schedules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uuid.h"

/* ---- which one ---- */

/* The id of a schedule given by name or id, malloc'ed; NULL after an error.  One's own goes before those of others. */
static char *
find(struct cli *cli, const char *name)
{
	static const char sql[] = "SELECT s.id, s.owner, s.owner = jobsched.caller() FROM jobsched.job_status s WHERE "
	                          "s.schedule_name = $1 "
	                          "ORDER BY s.owner = jobsched.caller() DESC, s.owner LIMIT 10";
	PGresult *result;
	char *id = NULL;

	if (uuid_from_text(name, strlen(name), NULL) == 0)
		return strdup(name);
	result = database_query(cli, sql, 1, &name);
	if (!result)
		return NULL;
	if (PQntuples(result) == 0) {
		fprintf(stderr,
		        "jobsched: schedule \"%s\" does not exist\nHINT: It may never have existed, or belong to "
		        "another role.\n",
		        name);
	} else if (PQntuples(result) > 1 && *PQgetvalue(result, 0, 2) != 't') {
		fprintf(stderr, "jobsched: several roles have a schedule \"%s\"; name it by its id:\n", name);
		for (int i = 0; i < PQntuples(result); i++)
			fprintf(stderr, "  %s of %s\n", PQgetvalue(result, i, 0), PQgetvalue(result, i, 1));
	} else {
		id = strdup(PQgetvalue(result, 0, 0));
	}
	PQclear(result);
	return id;
}

/* A statement about it, $1 its id, that says what has happened. */
static enum cli_exit
change(struct cli *cli, const char *name, const struct query *query)
{
	char *id = find(cli, name);
	const char *params[] = {id};
	PGresult *result = id ? database_query(cli, cli->json ? query->json : query->table, 1, params) : NULL;

	free(id);
	if (!result)
		return CLI_FAILED;
	printf("%s\n", PQgetvalue(result, 0, 0));
	PQclear(result);
	return CLI_OK;
}

/* ---- list ---- */

enum {
	LIST_PREFIX,
	LIST_LIMIT,
	LIST_OPTIONS
};

const struct option_spec schedule_list_options[] = {
        [LIST_PREFIX] = {"prefix", 0, OPTION_TEXT, "TEXT", "whose name, or whose task's, begins so", NULL},
        [LIST_LIMIT] = {"limit", 'l', OPTION_INTEGER, "N", "at most so many (1000)", NULL},
        [LIST_OPTIONS] = {0}};

#define PAGE 200 /* schedules in one answer of rest_schedules() */

#define SHOWN                                                                                      \
	"x.schedule_name, x.cron, x.time_zone, x.name AS task, x.queue, x.status, x.next_run_at, " \
	"x.last_execution ->> 'status' AS last_status, "                                           \
	"(x.last_execution ->> 'finished_at')::timestamptz AS last_finished_at, x.owner, x.id"
#define RECORD                                                                                                         \
	"schedule_name text, cron text, time_zone text, name text, queue text, status text, next_run_at timestamptz, " \
	"last_execution json, owner text, id uuid"

#define LIST_CALL                                                       \
	"jobsched.rest_schedules(jsonb_strip_nulls(jsonb_build_object(" \
	"'cursor', $1::text, 'limit', $2::text, 'q', $3::text)))"

static const struct query list = PAGES(LIST_CALL, "schedules", SHOWN, RECORD);

enum cli_exit
schedule_list(struct cli *cli, const struct args *args)
{
	long limit = args->option[LIST_LIMIT] ? strtol(args->option[LIST_LIMIT], NULL, 10) : 1000;

	if (limit < 1)
		return usage_error("schedule list", "schedule list: --limit: %ld: at least 1", limit);
	return output_pages(cli, &list, 1, args->option, NULL, limit, PAGE);
}

/* ---- add ---- */

enum {
	ADD_TIME_ZONE,
	ADD_QUEUE,
	ADD_PRIORITY,
	ADD_MAX_RETRIES,
	ADD_TIMEOUT,
	ADD_MISFIRE,
	ADD_OVERLAP,
	ADD_WINDOW,
	ADD_CATCHUP_MAX,
	ADD_JITTER,
	ADD_STARTS_AT,
	ADD_ENDS_AT,
	ADD_MAX_RUNS,
	ADD_GAP,
	ADD_OVERLAP_DST,
	ADD_OPTIONS
};

const struct option_spec schedule_add_options[] = {[ADD_TIME_ZONE] = {"time-zone", 'z', OPTION_TEXT, "ZONE",
                                                           "of the expression (the server's jobsched.time_zone)", NULL},
        [ADD_QUEUE] = {"queue", 'q', OPTION_TEXT, "QUEUE", "queue (the server's jobsched.queue)", NULL},
        [ADD_PRIORITY] = {"priority", 'p', OPTION_INTEGER, "0..9", "9 goes first (0)", NULL},
        [ADD_MAX_RETRIES] = {"max-retries", 'r', OPTION_INTEGER, "N", "attempts after the first one of a run (3)",
                NULL},
        [ADD_TIMEOUT] = {"timeout", 't', OPTION_DURATION, "DURATION", "of one attempt (none)", NULL},
        [ADD_MISFIRE] = {"misfire-policy", 0, OPTION_CHOICE, "POLICY", "times missed while nothing ran (run_once)",
                "run_once|skip|run_all"},
        [ADD_OVERLAP] = {"overlap-policy", 0, OPTION_CHOICE, "POLICY", "while the run before goes on (skip)",
                "skip|queue_one|allow|cancel_running"},
        [ADD_WINDOW] = {"catchup-window", 0, OPTION_DURATION, "DURATION", "older missed times are given up (1d)", NULL},
        [ADD_CATCHUP_MAX] = {"catchup-max", 0, OPTION_INTEGER, "N", "most missed times that run_all makes up for (100)",
                NULL},
        [ADD_JITTER] = {"jitter", 'j', OPTION_DURATION, "DURATION", "spread the starts over this (none)", NULL},
        [ADD_STARTS_AT] = {"starts-at", 0, OPTION_TIME, "TIME", "no run before", NULL},
        [ADD_ENDS_AT] = {"ends-at", 0, OPTION_TIME, "TIME", "no run after", NULL},
        [ADD_MAX_RUNS] = {"max-runs", 0, OPTION_INTEGER, "N", "no run after so many", NULL},
        [ADD_GAP] = {"dst-gap", 0, OPTION_CHOICE, "POLICY", "times that the clock jumps over (next_valid)",
                "next_valid|skip"},
        [ADD_OVERLAP_DST] = {"dst-overlap", 0, OPTION_CHOICE, "POLICY", "times that come twice (first)",
                "first|last|both"},
        [ADD_OPTIONS] = {0}};

#define ADDED "jobsched.rest_schedule($1, '{}')"

static const struct query add = {"SELECT " SHOWN " FROM json_to_record(" ADDED ") AS x(" RECORD ")", "SELECT " ADDED};

#define TIMEOUT DURATION_PARAM("9")
#define WINDOW DURATION_PARAM("12")
#define JITTER DURATION_PARAM("14")
#define STARTS_AT TIME_PARAM("15")
#define ENDS_AT TIME_PARAM("16")

static const char make[] =
        "SELECT jobsched.schedule($1, $2, $3, coalesce($4, '{}')::jsonb, time_zone => $5, queue => $6, "
        "priority => coalesce($7::int, 0), max_retries => coalesce($8::int, 3), timeout => " TIMEOUT ", "
        "misfire_policy => coalesce($10, 'run_once'), overlap_policy => coalesce($11, 'skip'), "
        "catchup_window => coalesce(" WINDOW ", '1 day'), catchup_max => coalesce($13::int, 100), "
        "jitter => " JITTER ", starts_at => " STARTS_AT ", ends_at => " ENDS_AT ", max_runs => $17::bigint, "
        "dst_gap => coalesce($18, 'next_valid'), dst_overlap => coalesce($19, 'first'))";

enum cli_exit
schedule_add(struct cli *cli, const struct args *args)
{
	const char *params[4 + ADD_OPTIONS] = {args->word[0], args->word[1], args->word[2], NULL}, *found[1];
	char *payload = NULL, *id;
	enum cli_exit code;

	if (args->nwords > 3 && (params[3] = payload = value_payload(args->word[3])) == NULL)
		return CLI_FAILED;
	for (int i = 0; i < ADD_OPTIONS; i++)
		params[4 + i] = args->option[i];
	id = database_value(cli, make, 4 + ADD_OPTIONS, params);
	free(payload);
	if (!id)
		return CLI_FAILED;
	found[0] = id;
	code = output_one(cli, &add, 1, found);
	free(id);
	return code;
}

/* ---- pause, resume, delete ---- */

#define SAID(call, yes, no)                                                                                \
	{                                                                                                  \
		"SELECT CASE WHEN jobsched." call "($1::uuid) THEN '" yes "' ELSE '" no "' END",           \
		        "SELECT json_build_object('id', $1::uuid, 'changed', jobsched." call "($1::uuid))" \
	}

enum cli_exit
schedule_pause(struct cli *cli, const struct args *args)
{
	static const struct query query = SAID("pause", "paused", "it was paused already");

	return change(cli, args->word[0], &query);
}

enum cli_exit
schedule_resume(struct cli *cli, const struct args *args)
{
	static const struct query query = SAID("resume", "goes on", "it was not paused");

	return change(cli, args->word[0], &query);
}

enum cli_exit
schedule_delete(struct cli *cli, const struct args *args)
{
	static const struct query query = SAID("unschedule", "deleted", "it had been deleted already");

	return change(cli, args->word[0], &query);
}

/* ---- next ---- */

enum {
	NEXT_COUNT,
	NEXT_AFTER,
	NEXT_CRON,
	NEXT_TIME_ZONE,
	NEXT_OPTIONS
};

const struct option_spec schedule_next_options[] = {
        [NEXT_COUNT] = {"count", 'n', OPTION_INTEGER, "N", "so many times (5)", NULL},
        [NEXT_AFTER] = {"after", 'a', OPTION_TIME, "TIME", "later than this (now)", NULL},
        [NEXT_CRON] = {"cron", 'c', OPTION_TEXT, "EXPRESSION", "of this expression, in place of a schedule", NULL},
        [NEXT_TIME_ZONE] = {"time-zone", 'z', OPTION_TEXT, "ZONE",
                "of that expression (the server's jobsched.time_zone)", NULL},
        [NEXT_OPTIONS] = {0}};

#define TIMES "n.number, n.at, n.local_time, n.note"

#define COUNT "coalesce($1::int, 5)"
#define AFTER "coalesce(" TIME_PARAM("2") ", now())"
#define NEXT_OF                                         \
	"SELECT " TIMES " FROM jobsched.job_status s, " \
	"jobsched.cron_next_n(s.cron, " COUNT ", " AFTER ", s.time_zone) n WHERE s.id = $3::uuid"

static const struct query next_of = QUERY(NEXT_OF);
static const struct query next_times =
        QUERY("SELECT " TIMES " FROM jobsched.cron_next_n($3, " COUNT ", " AFTER ", $4) n");

enum cli_exit
schedule_next(struct cli *cli, const struct args *args)
{
	const char *params[] = {args->option[NEXT_COUNT], args->option[NEXT_AFTER], NULL};
	enum cli_exit code;
	char *id;

	if ((args->nwords == 1) == (args->option[NEXT_CRON] != NULL))
		return usage_error("schedule next", "schedule next: give a schedule or --cron, one of them");
	if (args->option[NEXT_CRON])
		return output_query(cli, &next_times, NEXT_OPTIONS, args->option);
	if (args->option[NEXT_TIME_ZONE])
		return usage_error(
		        "schedule next", "schedule next: --time-zone belongs to --cron; a schedule has its own");
	id = find(cli, args->word[0]);
	if (!id)
		return CLI_FAILED;
	params[2] = id;
	code = output_query(cli, &next_of, 3, params);
	free(id);
	return code;
}
