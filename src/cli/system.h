/*
 * system.h: commands about queues, workers and the whole.
 */
#ifndef JOBSCHED_CLI_SYSTEM_H
#define JOBSCHED_CLI_SYSTEM_H

#include "cli.h"

enum cli_exit queue_list(struct cli *cli, const struct args *args);
enum cli_exit queue_pause(struct cli *cli, const struct args *args);
enum cli_exit queue_resume(struct cli *cli, const struct args *args);
enum cli_exit worker_list(struct cli *cli, const struct args *args);
enum cli_exit system_stats(struct cli *cli, const struct args *args);

extern const struct option_spec worker_list_options[];

#endif
