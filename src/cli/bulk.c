/*
 * bulk.c: cancel and retry, of jobs by their ids or of all that filters fit.
 */
#include "jobs.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH 10000 /* jobs in a transaction */
#define MOST_COUNTED 100000 /* what the server counts in one call */

struct verb {
	const char *name; /* of the command */
	const char *done; /* for people */
	struct query one; /* $1: id */
	const char *many; /* $1..$5: filters, $6: dry run, $7: limit */
};

#define FILTERS "$1, $2, $3, " TIME_PARAM("4") ", " TIME_PARAM("5") ", $6::boolean, $7::int"

static const struct verb cancel = {"cancel", "cancelled",
        QUERY("SELECT $1::uuid AS id, jobsched.cancel($1::uuid) AS status"),
        "SELECT jobsched.cancel_jobs(" FILTERS ")"};
static const struct verb retry = {"retry", "planned anew",
        QUERY("SELECT $1::uuid AS id, jobsched.retry($1::uuid) AS run_at"), "SELECT jobsched.retry_jobs(" FILTERS ")"};

enum {
	BULK_NAME,
	BULK_QUEUE,
	BULK_STATUS,
	BULK_AFTER,
	BULK_BEFORE,
	BULK_FILTERS,
	BULK_DRY_RUN = BULK_FILTERS,
	BULK_LIMIT,
	BULK_OPTIONS
};

#define OPTIONS(statuses)                                                                                           \
	{                                                                                                           \
		[BULK_NAME] = {"name", 'n', OPTION_TEXT, "TASK", "jobs of this task", NULL},                        \
		[BULK_QUEUE] = {"queue", 'q', OPTION_TEXT, "QUEUE", "jobs of this queue", NULL},                    \
		[BULK_STATUS] = {"status", 's', OPTION_CHOICE, "STATUS", "jobs that are so", statuses},             \
		[BULK_AFTER] = {"created-after", 0, OPTION_TIME, "TIME", "submitted then or later", NULL},          \
		[BULK_BEFORE] = {"created-before", 0, OPTION_TIME, "TIME", "submitted before that", NULL},          \
		[BULK_DRY_RUN] = {"dry-run", 0, OPTION_FLAG, NULL, "only say how many it would be", NULL},          \
		[BULK_LIMIT] = {"limit", 'l', OPTION_INTEGER, "N", "at most so many (all there are, up to 100000)", \
		        NULL},                                                                                      \
		[BULK_OPTIONS] = {                                                                                  \
			0                                                                                           \
		}                                                                                                   \
	}

const struct option_spec job_cancel_options[] = OPTIONS("scheduled|queued|running|retrying|paused");
const struct option_spec job_retry_options[] = OPTIONS("failed|cancelled|expired");

/* -1 after an error. */
static long
call(struct cli *cli, const struct verb *verb, const struct args *args, bool dry_run, long limit)
{
	const char *params[BULK_FILTERS + 2];
	char number[24], *answer;
	long n;

	for (int i = 0; i < BULK_FILTERS; i++)
		params[i] = args->option[i];
	snprintf(number, sizeof(number), "%ld", limit);
	params[BULK_FILTERS] = dry_run ? "true" : "false";
	params[BULK_FILTERS + 1] = number;
	answer = database_value(cli, verb->many, BULK_FILTERS + 2, params);
	n = answer ? strtol(answer, NULL, 10) : -1;
	free(answer);
	return n;
}

/*
 * Counted first, so that there is an end: jobs go on being submitted, and what is tried again may fail again at once.  Then
 * in transactions of a size that is no burden.
 */
static enum cli_exit
all_that_fit(struct cli *cli, const struct verb *verb, const struct args *args)
{
	bool dry_run = args->option[BULK_DRY_RUN];
	long limit = args->option[BULK_LIMIT] ? strtol(args->option[BULK_LIMIT], NULL, 10) : MOST_COUNTED;
	long wanted = call(cli, verb, args, true, limit), done = 0;

	if (wanted < 0)
		return CLI_FAILED;
	while (!dry_run && done < wanted) {
		long batch = wanted - done < BATCH ? wanted - done : BATCH, n = call(cli, verb, args, false, batch);

		if (n < 0) {
			if (done > 0)
				fprintf(stderr, "jobsched: %ld jobs were %s before that\n", done, verb->done);
			return CLI_FAILED;
		}
		done += n;
		/* Fewer than asked for: others were faster with some. */
		if (n == 0)
			break;
	}
	if (cli->json)
		printf("{\"jobs\": %ld, \"dry_run\": %s, \"limit\": %ld}\n", dry_run ? wanted : done,
		        dry_run ? "true" : "false", limit);
	else
		printf("%ld jobs %s%s%s\n", dry_run ? wanted : done, dry_run ? "would be " : "", verb->done,
		        wanted == limit ? "; there may be more" : "");
	return CLI_OK;
}

static enum cli_exit
each(struct cli *cli, const struct verb *verb, const struct args *args)
{
	enum cli_exit code = CLI_OK;
	struct output_stream stream = {{0}};

	for (int i = 0; i < args->nwords; i++) {
		if (!job_id_check(verb->name, args->word[i]))
			return CLI_USAGE;
	}
	for (int i = 0; i < args->nwords; i++) {
		PGresult *result = database_query(cli, cli->json ? verb->one.json : verb->one.table, 1, args->word + i);

		if (result)
			output_lines(cli, result, &stream, false);
		else
			code = CLI_FAILED;
		PQclear(result);
		if (cli->conn && PQstatus(cli->conn) != CONNECTION_OK)
			return CLI_FAILED;
	}
	return code;
}

static enum cli_exit
run(struct cli *cli, const struct verb *verb, const struct args *args)
{
	bool filtered = false;

	for (int i = 0; i < BULK_OPTIONS; i++)
		filtered |= args->option[i] != NULL;
	if (args->nwords > 0 && filtered)
		return usage_error(verb->name, "%s: ids and filters are not for one call", verb->name);
	if (args->nwords > 0)
		return each(cli, verb, args);
	filtered = false;
	for (int i = 0; i < BULK_FILTERS; i++)
		filtered |= args->option[i] != NULL;
	if (!filtered)
		return usage_error(verb->name,
		        "%s: which jobs? Give ids, or at least one of --name, --queue, --status, --created-after, "
		        "--created-before",
		        verb->name);
	return all_that_fit(cli, verb, args);
}

enum cli_exit
job_cancel(struct cli *cli, const struct args *args)
{
	return run(cli, &cancel, args);
}

enum cli_exit
job_retry(struct cli *cli, const struct args *args)
{
	return run(cli, &retry, args);
}
