/*
 * submit.c: submit, and the wait that may follow it.
 */
#include "jobs.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	SUBMIT_AT,
	SUBMIT_CRON,
	SUBMIT_TIME_ZONE,
	SUBMIT_QUEUE,
	SUBMIT_PRIORITY,
	SUBMIT_MAX_RETRIES,
	SUBMIT_TIMEOUT,
	SUBMIT_UNIQUE_KEY,
	SUBMIT_UNIQUE_MODE,
	SUBMIT_EXPIRES_AT,
	SUBMIT_RETRY_DELAY,
	SUBMIT_RETRY_DELAY_MAX,
	SUBMIT_BACKOFF,
	SUBMIT_TRACEPARENT,
	SUBMIT_PARAMS, /* up to here they are parameters of the statement, behind task and payload */
	SUBMIT_WAIT = SUBMIT_PARAMS,
	SUBMIT_WAIT_AT_MOST,
	SUBMIT_OPTIONS
};

#define AT TIME_PARAM("3")
#define TIMEOUT DURATION_PARAM("9")
#define EXPIRES_AT TIME_PARAM("12")
#define DELAY DURATION_PARAM("13")
#define DELAY_MAX DURATION_PARAM("14")

static const char submit[] =
        "SELECT jobsched.submit($1, coalesce($2, '{}')::jsonb, run_at => " AT ", cron => $4, time_zone => $5, "
        "queue => $6, priority => coalesce($7::int, 0), max_retries => coalesce($8::int, 3), timeout => " TIMEOUT ", "
        "unique_key => $10, unique_mode => coalesce($11, 'keep'), expires_at => " EXPIRES_AT ", "
        "retry_delay => " DELAY ", retry_delay_max => " DELAY_MAX ", backoff => coalesce($15, 'exponential'), "
        "traceparent => $16)";

const struct option_spec job_submit_options[] = {
        [SUBMIT_AT] = {"at", 'a', OPTION_TIME, "TIME", "when to run it (now)", NULL},
        [SUBMIT_CRON] = {"cron", 0, OPTION_TEXT, "EXPRESSION",
                "run it again and again; `schedule add` gives it a name too", NULL},
        [SUBMIT_TIME_ZONE] = {"time-zone", 'z', OPTION_TEXT, "ZONE", "of the cron expression", NULL},
        [SUBMIT_QUEUE] = {"queue", 'q', OPTION_TEXT, "QUEUE", "queue (the server's jobsched.queue)", NULL},
        [SUBMIT_PRIORITY] = {"priority", 'p', OPTION_INTEGER, "0..9", "9 goes first (0)", NULL},
        [SUBMIT_MAX_RETRIES] = {"max-retries", 'r', OPTION_INTEGER, "N", "attempts after the first one (3)", NULL},
        [SUBMIT_TIMEOUT] = {"timeout", 't', OPTION_DURATION, "DURATION", "of one attempt (none)", NULL},
        [SUBMIT_UNIQUE_KEY] = {"unique-key", 'k', OPTION_TEXT, "KEY",
                "one job for this key, however often it is submitted", NULL},
        [SUBMIT_UNIQUE_MODE] = {"unique-mode", 0, OPTION_CHOICE, "MODE", "when the key has a job",
                "keep|replace|error"},
        [SUBMIT_EXPIRES_AT] = {"expires-at", 0, OPTION_TIME, "TIME", "if it has not started by then, it ends expired",
                NULL},
        [SUBMIT_RETRY_DELAY] = {"retry-delay", 0, OPTION_DURATION, "DURATION",
                "before the first retry (the server's setting)", NULL},
        [SUBMIT_RETRY_DELAY_MAX] = {"retry-delay-max", 0, OPTION_DURATION, "DURATION",
                "longest delay (the server's setting)", NULL},
        [SUBMIT_BACKOFF] = {"backoff", 0, OPTION_CHOICE, "SHAPE", "how the delay grows", "exponential|linear|constant"},
        [SUBMIT_TRACEPARENT] = {"traceparent", 0, OPTION_TEXT, "TRACE", "W3C Trace Context, for the task", NULL},
        [SUBMIT_WAIT] = {"wait", 'w', OPTION_FLAG, NULL,
                "wait until it has ended, and show it; exit code 1 unless it succeeded", NULL},
        [SUBMIT_WAIT_AT_MOST] = {"wait-at-most", 0, OPTION_DURATION, "DURATION", "the same, but not for longer", NULL},
        [SUBMIT_OPTIONS] = {0}};

enum cli_exit
job_submit(struct cli *cli, const struct args *args)
{
	const char *params[2 + SUBMIT_PARAMS];
	char *payload = NULL, *id, *status = NULL;
	enum cli_exit code = CLI_OK, shown;

	if (args->nwords > 1) {
		payload = value_payload(args->word[1]);
		if (!payload)
			return CLI_FAILED;
	}
	params[0] = args->word[0];
	params[1] = payload;
	for (int i = 0; i < SUBMIT_PARAMS; i++)
		params[2 + i] = args->option[i];
	id = database_value(cli, submit, 2 + SUBMIT_PARAMS, params);
	free(payload);
	if (!id)
		return CLI_FAILED;
	if (args->option[SUBMIT_WAIT] || args->option[SUBMIT_WAIT_AT_MOST]) {
		code = job_wait(cli, id, args->option[SUBMIT_WAIT_AT_MOST], &status);
		shown = status || cli->json ? job_show(cli, id) : CLI_FAILED;
		code = shown != CLI_OK ? shown : code;
		free(status);
	} else if (cli->json) {
		code = job_show(cli, id);
	} else {
		printf("%s\n", id);
	}
	free(id);
	return code;
}
