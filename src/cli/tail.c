/*
 * tail.c: runs as they end.
 *
 * Each look asks for what has been committed since the snapshot of the look before: so each attempt comes once, whenever
 * the transaction that recorded it became visible.
 */
#include "jobs.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

#define POLL_US (300 * 1000)
#define POLL_SHARE 4 /* and at least so many times as long as a look takes */

enum {
	TAIL_NAME,
	TAIL_QUEUE,
	TAIL_STATUS,
	TAIL_FILTERS,
	TAIL_LINES = TAIL_FILTERS,
	TAIL_COUNT,
	TAIL_OPTIONS
};

const struct option_spec job_tail_options[] = {[TAIL_NAME] = {"name", 'N', OPTION_TEXT, "TASK", "of this task", NULL},
        [TAIL_QUEUE] = {"queue", 'q', OPTION_TEXT, "QUEUE", "of this queue", NULL},
        [TAIL_STATUS] = {"status", 's', OPTION_CHOICE, "STATUS", "that ended so",
                "succeeded|failed|lost|cancelled|expired"},
        [TAIL_LINES] = {"lines", 'n', OPTION_INTEGER, "N", "begin with so many that have ended already (10)", NULL},
        [TAIL_COUNT] = {"count", 'c', OPTION_INTEGER, "N", "end after so many lines (never)", NULL},
        [TAIL_OPTIONS] = {0}};

/*
 * $1..$3: filters.  The first columns are for the next look, and there even when nothing has ended.  A result that its worker
 * could not record at once is at most half a minute late; half a minute later it would be refused.
 */
#define LOOK(wanted)                                                                                     \
	"SELECT pg_current_snapshot(), now() - interval '1 min', r.* "                                   \
	"FROM (SELECT) one LEFT JOIN LATERAL (SELECT " wanted " FROM ("                                  \
	"SELECT e.finished_at, e.status, e.name, e.queue, e.attempt, "                                   \
	"round(extract(epoch FROM e.finished_at - e.started_at), 3) AS seconds, e.job_id, e.worker_id, " \
	"coalesce(e.error, e.reason) AS error "                                                          \
	"FROM jobsched.ended_since(coalesce($5::timestamptz, now() - $6::interval), $4::pg_snapshot) e " \
	"WHERE ($1::text IS NULL OR e.name = $1) AND ($2::text IS NULL OR e.queue = $2) "                \
	"AND ($3::text IS NULL OR e.status = $3) ORDER BY e.finished_at DESC LIMIT $7::bigint) x "       \
	"ORDER BY x.finished_at, x.job_id, x.attempt) r ON true"

static const struct query look_sql = {LOOK("x.*"), LOOK("row_to_json(x)")};

#define FOR_NEXT_LOOK 2 /* columns */

struct tail {
	const struct args *args;
	struct output_stream stream;
	char *seen, *since; /* NULL: the first look */
	bool head; /* has been printed */
	long left; /* lines to print, -1: any number */
};

/* `back`: how far the first look goes; limit: at most so many rows, the latest (NULL: all).  NULL after an error. */
static PGresult *
look(struct cli *cli, struct tail *t, const char *back, const char *limit)
{
	const char *const *filter = t->args->option;
	const char *params[] = {
	        filter[TAIL_NAME], filter[TAIL_QUEUE], filter[TAIL_STATUS], t->seen, t->since, back, limit};
	PGresult *result = database_query(cli, cli->json ? look_sql.json : look_sql.table, 7, params), *rows = NULL;

	if (!result)
		return NULL;
	if (!output_append(&rows, result, FOR_NEXT_LOOK)) {
		PQclear(rows);
		rows = NULL;
	}
	free(t->seen);
	free(t->since);
	t->seen = strdup(PQgetvalue(result, 0, 0));
	t->since = strdup(PQgetvalue(result, 0, 1));
	PQclear(result);
	return rows;
}

static enum cli_exit
show(struct cli *cli, struct tail *t, PGresult *rows)
{
	if (!rows)
		return CLI_FAILED;
	if (PQntuples(rows) > 0 || !t->head) {
		output_lines(cli, rows, &t->stream, !t->head);
		t->head = true;
	}
	if (t->left > 0)
		t->left -= PQntuples(rows);
	PQclear(rows);
	return ferror(stdout) ? CLI_FAILED : CLI_OK;
}

/* The last ones that have ended, from as far back as is needed to have so many: in a busy system that is not far. */
static enum cli_exit
begin(struct cli *cli, struct tail *t, long lines)
{
	static const char *const back[] = {"1 min", "1 h", "1 day", "1000 years"};
	PGresult *rows = NULL;
	char limit[24];

	snprintf(limit, sizeof(limit), "%ld", lines);
	for (size_t i = 0; i < sizeof(back) / sizeof(back[0]); i++) {
		PQclear(rows);
		free(t->seen);
		free(t->since);
		t->seen = t->since = NULL;
		rows = look(cli, t, back[i], limit);
		if (!rows || PQntuples(rows) >= lines)
			break;
	}
	return show(cli, t, rows);
}

static enum cli_exit
follow(struct cli *cli, struct tail *t)
{
	enum cli_exit code = CLI_OK;
	int64_t pause_us = POLL_US;

	while (code == CLI_OK && t->left != 0) {
		struct timespec pause = {pause_us / CLOCK_US_PER_SECOND, pause_us % CLOCK_US_PER_SECOND * 1000};
		char limit[24];
		int64_t started_us;

		nanosleep(&pause, NULL);
		started_us = clock_boottime_us();
		snprintf(limit, sizeof(limit), "%ld", t->left);
		code = show(cli, t, look(cli, t, NULL, t->left > 0 ? limit : NULL));
		pause_us = POLL_SHARE * (clock_boottime_us() - started_us);
		pause_us = pause_us < POLL_US ? POLL_US : pause_us;
	}
	return code;
}

enum cli_exit
job_tail(struct cli *cli, const struct args *args)
{
	struct tail t = {.args = args, .left = -1};
	long lines = args->option[TAIL_LINES] ? strtol(args->option[TAIL_LINES], NULL, 10) : 10;
	enum cli_exit code;

	if (args->option[TAIL_COUNT])
		t.left = strtol(args->option[TAIL_COUNT], NULL, 10);
	if (lines < 0 || t.left == 0 || t.left < -1 || (args->option[TAIL_COUNT] && t.left < 0))
		return usage_error("tail", "tail: --lines is 0 or more, --count 1 or more");
	if (t.left >= 0 && lines > t.left)
		lines = t.left;
	code = begin(cli, &t, lines);
	if (code == CLI_OK)
		code = follow(cli, &t);
	free(t.seen);
	free(t.since);
	return code;
}
