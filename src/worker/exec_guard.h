/*
 * exec_guard.h: ends the commands of a worker that has died.
 *
 * A command gets a signal when the worker dies (PR_SET_PDEATHSIG), but what it has started does not.  The guard is a small
 * child of the worker that knows the process groups under way, reads a pipe, and when that ends, because the worker has,
 * kills them.
 */
#ifndef JOBSCHED_WORKER_EXEC_GUARD_H
#define JOBSCHED_WORKER_EXEC_GUARD_H

#include <sys/types.h>

#include "error.h"

struct exec_guard {
	pid_t pid; /* 0: there is none */
	int fd; /* the pipe's end for writing */
};

/* Forks it: before there are threads. */
int exec_guard_start(struct exec_guard *guard, struct error *err);

/*
 * A process group was made; it is gone, said before its leader is reaped, while its number cannot be another's.
 * Any thread may call these.  When the guard was killed, they do nothing.
 */
void exec_guard_add(const struct exec_guard *guard, pid_t group);
void exec_guard_remove(const struct exec_guard *guard, pid_t group);

/* Ends the guard, and the groups that were not removed. */
void exec_guard_stop(struct exec_guard *guard);

#endif
