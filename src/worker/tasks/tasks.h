/*
 * tasks.h: what the built-in tasks include; docs/worker.md describes the tasks.
 *
 * Each registers itself with JOBSCHED_TASK: a new one is a file in this directory.
 */
#ifndef JOBSCHED_TASKS_H
#define JOBSCHED_TASKS_H

#include "../address.h"
#include "../jobsched_task.h"

/* Private addresses that crawl_url may visit; kept, not copied.  Called once before tasks run. */
void crawl_url_setup(const struct address_list *allowed);

#endif
