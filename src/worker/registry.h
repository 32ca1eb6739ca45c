/*
 * registry.h: the tasks that this worker knows, by number 0..registry_count()-1, in the order of their names.
 *
 * JOBSCHED_TASK puts a definition on a list while the program or a shared object is loaded; registry_accept takes what
 * is on the list.  All of this happens before there are threads; afterwards the registry is only read.
 */
#ifndef JOBSCHED_WORKER_REGISTRY_H
#define JOBSCHED_WORKER_REGISTRY_H

#include <stdio.h>

#include "error.h"
#include "jobsched_task.h"

/*
 * Takes the tasks that were registered since the last call; source says where they come from (NULL: built in).  Their
 * number, or -1: one is of another ABI, has a bad or a known name.
 */
int registry_accept(const char *source, struct error *err);

/* Adds one that no macro registered.  The definition is kept, not copied.  0, or -1 for the same reasons. */
int registry_add(const struct task_definition *definition, const char *source, struct error *err);

int registry_count(void);
const struct task_definition *registry_get(int number);

/* The number of the task of that name, or -1. */
int registry_find(const char *name);

/* "crawl_url, echo, ..." into buf, cut when it is too small; returns buf. */
const char *registry_names(char *buf, size_t size);

/* One line a task: name, summary, and where it comes from unless it is built in. */
void registry_print(FILE *out);

#endif
