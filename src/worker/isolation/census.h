/*
 * census.h: which processes have come from a task, as /proc knows them.
 *
 * There is no cheap way to count a process's descendants, or to be told of them, without a control group.  So the server
 * looks through /proc, but only when somebody has forked since it looked last: the kernel's last pid says so.
 */
#ifndef JOBSCHED_WORKER_ISOLATION_CENSUS_H
#define JOBSCHED_WORKER_ISOLATION_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A process. */
struct census_entry {
	pid_t pid, parent, session;
	pid_t root; /* the child of the server that it comes from; 0: another's process; -1: it comes from no child any more */
};

struct census {
	pid_t seen; /* the kernel's last pid, when looked last */
	bool news; /* somebody else has forked since */
	struct census_entry *list; /* by pid */
	size_t n, room;
};

/* The server has forked that one. */
void census_forked(struct census *c, pid_t pid);

/* Has anybody else forked since census_take? */
bool census_stale(struct census *c);

/*
 * Looks through /proc: afterwards list has all processes, and root says whose they are, when `is_child` knows the server's
 * children.  An orphan counts for the child whose session it is in.  Returns 0, or -1 when /proc cannot be read:
 * then there are still news.
 */
int census_take(struct census *c, pid_t server, bool (*is_child)(void *arg, pid_t pid), void *arg);

void census_free(struct census *c);

#endif
