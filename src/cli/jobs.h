/*
 * jobs.h: what commands about jobs share.
 */
#ifndef JOBSCHED_CLI_JOBS_H
#define JOBSCHED_CLI_JOBS_H

#include "cli.h"

/* Is it a job's id?  Complains when not. */
bool job_id_check(const char *command, const char *id);

/* Prints a job as `get` does. */
enum cli_exit job_show(struct cli *cli, const char *id);

/*
 * Waits for the end of a job.  `seconds`: at most so long, NULL: without limit.  *status (malloc'ed): how it is then.
 * CLI_OK only for one that has succeeded.
 */
enum cli_exit job_wait(struct cli *cli, const char *id, const char *seconds, char **status);

/* The commands; their tables of options end without a name. */
enum cli_exit job_get(struct cli *cli, const struct args *args);
enum cli_exit job_list(struct cli *cli, const struct args *args);
enum cli_exit job_explain(struct cli *cli, const struct args *args);
enum cli_exit job_submit(struct cli *cli, const struct args *args);
enum cli_exit job_cancel(struct cli *cli, const struct args *args);
enum cli_exit job_retry(struct cli *cli, const struct args *args);
enum cli_exit job_wait_all(struct cli *cli, const struct args *args);
enum cli_exit job_tail(struct cli *cli, const struct args *args);

extern const struct option_spec job_list_options[], job_submit_options[], job_cancel_options[], job_retry_options[],
        job_wait_options[], job_tail_options[];

#endif
