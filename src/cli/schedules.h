/*
 * schedules.h: commands about schedules, queues, workers and the whole.
 */
#ifndef JOBSCHED_CLI_SCHEDULES_H
#define JOBSCHED_CLI_SCHEDULES_H

#include "cli.h"

enum cli_exit schedule_list(struct cli *cli, const struct args *args);
enum cli_exit schedule_add(struct cli *cli, const struct args *args);
enum cli_exit schedule_pause(struct cli *cli, const struct args *args);
enum cli_exit schedule_resume(struct cli *cli, const struct args *args);
enum cli_exit schedule_next(struct cli *cli, const struct args *args);
enum cli_exit schedule_delete(struct cli *cli, const struct args *args);

extern const struct option_spec schedule_list_options[], schedule_add_options[], schedule_next_options[];

#endif
