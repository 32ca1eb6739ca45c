/*
 * plugin.h: tasks from shared objects.
 */
#ifndef JOBSCHED_WORKER_PLUGIN_H
#define JOBSCHED_WORKER_PLUGIN_H

#include "error.h"

/*
 * Loads every *.so of the directory, in the order of their names, and registers their tasks; they stay loaded.  With ""
 * it does nothing.  What others could have written is not loaded: directory and objects belong to the worker's user or to
 * root and nobody else may write to them; objects are regular files, not links.  Returns the number of objects, or -1:
 * nothing is skipped, since a worker that lacks a task would fail its jobs for good.
 */
int plugin_load_all(const char *path, struct error *err);

#endif
