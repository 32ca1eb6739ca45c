/*
 * machine.h: which process this is on its machine, and whether another one has ended.
 *
 * A worker tells the database where it runs, so that the next one to start there can see that it is gone: a process that
 * was killed cannot say so itself, and its lease would have to run out first.
 */
#ifndef JOBSCHED_WORKER_MACHINE_H
#define JOBSCHED_WORKER_MACHINE_H

#include <stdbool.h>

#define MACHINE_TEXT_SIZE 80

struct machine_process {
	/* boot of the kernel, and the name space in which pids count: "b6c0…/4026531836"; "": not known */
	char machine[MACHINE_TEXT_SIZE];
	long pid;
	long long started; /* clock ticks since that boot; with the pid it names a process for ever */
};

/* This process. */
void machine_self(struct machine_process *self);

/* True only when that process ran on this machine and runs no more. */
bool machine_process_ended(const struct machine_process *other, const struct machine_process *self);

#endif
