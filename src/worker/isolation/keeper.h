/*
 * keeper.h: the worker's thread that looks after the task server, and the children that pool threads have from it.
 */
#ifndef JOBSCHED_WORKER_ISOLATION_KEEPER_H
#define JOBSCHED_WORKER_ISOLATION_KEEPER_H

#include "isolation.h"
#include "protocol.h"

#define KEEPER_HOW_SIZE 96

/* A child as the pool thread has it whose run is in it. */
struct keeper_child {
	int wake_fd; /* eventfd: rung when the child has come or ended */
	pid_t pid; /* 0: not there yet */
	int fd; /* its socket; -1 */
	bool told; /* the server knows that it is taken */
	bool ended;
	bool lost; /* with the task server: `end` is empty, server_end says how that ended */
	struct control_end end;
	char server_end[KEEPER_HOW_SIZE];
	struct keeper_child *next; /* the keeper's */
};

/* Asks for a child; it comes at once, or later with a ring.  Every call needs a keeper_release in the end. */
void keeper_take(struct keeper *k, struct keeper_child *child, int wake_fd);

/* Is it there? */
bool keeper_arrived(struct keeper *k, struct keeper_child *child);

/* Has it ended?  Then the fields that say how are filled. */
bool keeper_ended(struct keeper *k, struct keeper_child *child);

void keeper_kill(struct keeper *k, const struct keeper_child *child);

/* Done with it: a child without a run ends by itself now. */
void keeper_release(struct keeper *k, struct keeper_child *child);

/* Done with its run, and it takes another. */
void keeper_return(struct keeper *k, struct keeper_child *child);

/* The task server does not do what it should: it is killed and started again. */
void keeper_distrust(struct keeper *k, const char *why);

/* When it was last heard of while somebody waits for a child, clock_boottime_us(). */
int64_t keeper_heard_us(struct keeper *k);

struct notes *keeper_notes(const struct keeper *k);

const struct settings *keeper_settings(const struct keeper *k);

/* "killed by signal 11 (Segmentation fault)" or "exit code 3" into buf; returns buf. */
char *keeper_describe(int status, char *buf, size_t size);

#endif
