/*
 * registry.h: the tasks that this worker knows, by number 0..registry_count()-1.
 */
#ifndef JOBSCHED_WORKER_REGISTRY_H
#define JOBSCHED_WORKER_REGISTRY_H

#include <stdio.h>

#include "jobsched_task.h"

int registry_count(void);
const struct task_definition *registry_get(int number);

/* The number of the task of that name, or -1. */
int registry_find(const char *name);

/* "crawl_url, echo, ..." into buf, cut when it is too small; returns buf. */
const char *registry_names(char *buf, size_t size);

/* One line a task: name and summary. */
void registry_print(FILE *out);

#endif
