/*
 * child.h: the process of one run.
 */
#ifndef JOBSCHED_WORKER_ISOLATION_CHILD_H
#define JOBSCHED_WORKER_ISOLATION_CHILD_H

#include <sys/types.h>

/* What a run may use; 0: no limit. */
struct child_limits {
	long memory_mib; /* of address space, beyond what a process has at its start */
	long cpu_seconds;
	long runs; /* of a process; more than 1: TASK_RUNS_PER_PROCESS */
};

/*
 * In a forked child of the task server, of that pid: waits for a run on the socket, calls its task, sends the result, ends,
 * or waits for another.
 * Nothing else of the server's is open.
 */
__attribute__((noreturn)) void child_main(int fd, pid_t server, const struct child_limits *limits);

#endif
