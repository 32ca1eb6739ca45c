/*
 * exec_process.h: one process of a command, in a process group of its own.
 *
 * It is started with vfork and execve, so that it is cheap and safe with many threads; it inherits nothing but its three
 * pipes.  When the thread that started it ends, and so when the worker dies, it gets a signal.
 */
#ifndef JOBSCHED_WORKER_EXEC_PROCESS_H
#define JOBSCHED_WORKER_EXEC_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "error.h"
#include "exec_file.h"
#include "exec_guard.h"

struct exec_process {
	const struct exec_guard *guard;
	pid_t pid; /* also of its group */
	int pidfd; /* readable when it has ended */
	int in, out, err; /* our ends of its pipes, not blocking; -1: closed */
};

/*
 * Starts argv with that environment.  death_signal: what it gets when this thread ends.  On failure the message names
 * the step and the program, and there is nothing to free.
 */
int exec_process_start(struct exec_process *p, const struct exec_command *command, char *const *environment,
        int death_signal, const struct exec_guard *guard, struct error *err);

/* To the whole group. */
void exec_process_signal(const struct exec_process *p, int number);

/*
 * For a process that has ended: kills what is left of its group, and with that what else may write into its pipes.
 */
void exec_process_finish(const struct exec_process *p);

/* After exec_process_finish: reaps it, closes the pipes; returns its status as waitpid gives it. */
int exec_process_reap(struct exec_process *p);

/* Kills the group at once and reaps; returns the status. */
int exec_process_kill(struct exec_process *p);

/* "exit code 3" or "killed by signal SIGSEGV" into buf; returns buf. */
char *exec_process_describe(int status, char *buf, size_t size);

#endif
