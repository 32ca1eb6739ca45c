/*
 * tasks.h: the tasks that are built in; docs/worker.md describes them.
 */
#ifndef JOBSCHED_TASKS_H
#define JOBSCHED_TASKS_H

#include "../address.h"
#include "../jobsched_task.h"

extern const struct task_definition crawl_url_task;
extern const struct task_definition echo_task;
extern const struct task_definition fail_task;
extern const struct task_definition sleep_task;

/* Private addresses that crawl_url may visit; kept, not copied.  Called once before tasks run. */
void crawl_url_setup(const struct address_list *allowed);

#endif
