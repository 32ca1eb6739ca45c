/*
 * report.h: the worker's state for people: on SIGUSR1 and for systemctl status.
 */
#ifndef JOBSCHED_WORKER_REPORT_H
#define JOBSCHED_WORKER_REPORT_H

#include <stddef.h>

#include "hub.h"

/* "3 of 8 threads busy, 2 waiting, lease fresh, broker connected" */
void report_line(struct hub *h, char *out, size_t size);

/* Some lines in the log: the state, and one for every task that runs. */
void report_log(struct hub *h);

#endif
