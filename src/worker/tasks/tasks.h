/*
 * tasks.h: what the built-in tasks include; docs/worker.md describes the tasks.
 *
 * Each registers itself with JOBSCHED_TASK: a new one is a file in this directory.
 */
#ifndef JOBSCHED_TASKS_H
#define JOBSCHED_TASKS_H

#include "../address.h"
#include "../jobsched_task.h"

/*
 * For crawl_url and http_request: private addresses that they may visit, the name they give themselves, certificates of
 * authorities (NULL: the system's).  Kept, not copied.  Called once, before threads and tasks.
 */
void web_setup(const struct address_list *allowed, const char *user_agent, const char *ca_file);

#endif
