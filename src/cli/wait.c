/*
 * wait.c: wait until jobs have ended.
 *
 * The server waits, in short calls: a long one would hold a snapshot all the time.
 */
#include "jobs.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define SLICE_US (5 * CLOCK_US_PER_SECOND)

static const char wait_once[] = "SELECT jobsched.wait($1::uuid, " DURATION_PARAM("2") ")";

static bool
has_ended(const char *status)
{
	return value_is_choice(status, "succeeded|failed|cancelled|expired");
}

enum cli_exit
job_wait(struct cli *cli, const char *id, const char *seconds, char **status)
{
	int64_t over_us = seconds ? clock_boottime_us() + (int64_t) (strtod(seconds, NULL) * 1e6) : INT64_MAX;

	*status = NULL;
	for (;;) {
		int64_t left_us = over_us - clock_boottime_us();
		char slice[32];
		const char *params[] = {id, slice};

		free(*status);
		left_us = left_us < 0 ? 0 : left_us > SLICE_US ? SLICE_US : left_us;
		snprintf(slice, sizeof(slice), "%lld.%06lld", (long long) (left_us / CLOCK_US_PER_SECOND),
		        (long long) (left_us % CLOCK_US_PER_SECOND));
		*status = database_value(cli, wait_once, 2, params);
		if (!*status)
			return CLI_FAILED;
		if (has_ended(*status) || clock_boottime_us() >= over_us)
			return strcmp(*status, "succeeded") == 0 ? CLI_OK : CLI_FAILED;
	}
}

enum {
	WAIT_AT_MOST,
	WAIT_OPTIONS
};

const struct option_spec job_wait_options[] = {[WAIT_AT_MOST] = {"at-most", 't', OPTION_DURATION, "DURATION",
                                                       "stop waiting then, for all together (never)", NULL},
        [WAIT_OPTIONS] = {0}};

enum cli_exit
job_wait_all(struct cli *cli, const struct args *args)
{
	int64_t started_us = clock_boottime_us();
	enum cli_exit code = CLI_OK;

	for (int i = 0; i < args->nwords; i++) {
		if (!job_id_check("wait", args->word[i]))
			return CLI_USAGE;
	}
	for (int i = 0; i < args->nwords; i++) {
		char *status, left[32] = "";

		if (args->option[WAIT_AT_MOST]) {
			double seconds = strtod(args->option[WAIT_AT_MOST], NULL) -
			        (double) (clock_boottime_us() - started_us) / 1e6;

			snprintf(left, sizeof(left), "%.6f", seconds > 0 ? seconds : 0);
		}
		if (job_wait(cli, args->word[i], args->option[WAIT_AT_MOST] ? left : NULL, &status) != CLI_OK)
			code = CLI_FAILED;
		if (!status)
			continue;
		printf(cli->json ? "{\"id\": \"%s\", \"status\": \"%s\"}\n" : "%s  %s\n", args->word[i], status);
		fflush(stdout);
		free(status);
	}
	return code;
}
