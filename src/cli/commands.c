/*
 * commands.c: the table of commands.
 */
#include "jobs.h"
#include "schedules.h"
#include "system.h"

const struct command commands[] = {
        {"submit", "TASK [PAYLOAD]", 1, 2, job_submit_options, job_submit, "Submits a job and prints its id",
                "TASK is the name of a task that workers know; PAYLOAD, JSON, is {} when not given.\n"
                "With -o json, --wait or --wait-at-most the job is printed, as `get` does.\n"
                "    jobsched submit echo '{\"a\": 1}' --at +10m --priority 9\n"
                "    jobsched submit import @customers.json --wait\n"},
        {"get", "ID", 1, 1, NULL, job_get, "Shows a job with its runs",
                "The last 50 runs are shown, the newest first.\n"},
        {"list", "", 0, 0, job_list_options, job_list, "Lists jobs, the newest first", NULL},
        {"cancel", "[ID...]", 0, -1, job_cancel_options, job_cancel, "Cancels jobs: by id, or all that filters fit",
                "By id it says for each: cancelled (it never starts), cancelling (it runs, and was told to stop) or\n"
                "how it had ended; with -o json an object a line.  Filters are combined, and leave cron jobs alone\n"
                "(schedule delete).\n"
                "    jobsched cancel --queue mail --status scheduled --dry-run\n"},
        {"retry", "[ID...]", 0, -1, job_retry_options, job_retry,
                "Tries failed, cancelled and expired jobs again: by id, or all that filters fit",
                "A new run is planned, due now, with all its retries.  With -o json an object a line.\n"
                "    jobsched retry --name import --status failed --created-after -1d\n"},
        {"explain", "ID", 1, 1, NULL, job_explain, "Says why a job has not run", NULL},
        {"wait", "ID...", 1, -1, job_wait_options, job_wait_all, "Waits until jobs have ended",
                "Prints id and status of each, with -o json an object a line.  Exit code 0 when all have succeeded.\n"},
        {"schedule list", "", 0, 0, schedule_list_options, schedule_list, "Lists cron jobs", NULL},
        {"schedule add", "NAME CRON TASK [PAYLOAD]", 3, 4, schedule_add_options, schedule_add,
                "Makes a cron job with a name, or changes the one that has it",
                "Called again with the same name it sets everything anew; what is not given becomes the default.\n"
                "    jobsched schedule add nightly '30 3 * * *' report --time-zone Europe/Berlin\n"},
        {"schedule pause", "NAME|ID", 1, 1, NULL, schedule_pause, "Lets the times of a cron job pass", NULL},
        {"schedule resume", "NAME|ID", 1, 1, NULL, schedule_resume, "Lets a paused cron job go on", NULL},
        {"schedule next", "[NAME|ID]", 0, 1, schedule_next_options, schedule_next,
                "Shows the next times of a cron job, or of an expression",
                "These are the times of the expression; limits such as --ends-at and a pause are not looked at.\n"
                "    jobsched schedule next --cron '30 2 * * *' --time-zone Europe/Berlin\n"},
        {"schedule delete", "NAME|ID", 1, 1, NULL, schedule_delete, "Ends a cron job",
                "A run under way is told to stop.  The name is free again.\n"},
        {"queue list", "", 0, 0, NULL, queue_list, "Lists queues", NULL},
        {"queue pause", "QUEUE", 1, 1, NULL, queue_pause, "Hands out nothing more of a queue",
                "Running tasks go on.\n"},
        {"queue resume", "QUEUE", 1, 1, NULL, queue_resume, "Hands out a queue's jobs again", NULL},
        {"worker list", "", 0, 0, worker_list_options, worker_list, "Lists workers",
                "silent: not heard of for a whole lease; what it held has been taken back, or will be.\n"},
        {"stats", "", 0, 0, NULL, system_stats, "Shows health, schedulers and the sizes of the tables", NULL},
        {"tail", "", 0, 0, job_tail_options, job_tail, "Shows runs as they end, until it is interrupted",
                "Each attempt that ends is a line; with -o json an object a line.\n"},
        {0}};
