/*
 * exec.h: tasks that are commands, in any language: the entries of EXEC_TASKS_FILE; docs/exec.md is the manual.
 *
 *	exec_file.c      what the file allows
 *	exec_process.c   one process: starting, signals, its end
 *	exec_guard.c     ends them when the worker has died
 *	exec_talk.c      bytes to and from a process, limits and cancelling
 *	exec_once.c      a process for each run
 *	exec_lines.c     processes that serve many runs, by JSON lines (exec_answer.c)
 *	tasks/exec.c     the task function
 */
#ifndef JOBSCHED_WORKER_EXEC_H
#define JOBSCHED_WORKER_EXEC_H

#include <stdbool.h>

#include "error.h"
#include "exec_file.h"
#include "exec_guard.h"
#include "jobsched_task.h"

/*
 * Registers the tasks of the commands, and the task exec when there are any.  The commands are borrowed.  Before there
 * are threads; -1: a name is taken.
 */
int exec_setup(const struct exec_commands *commands, struct error *err);

/* Makes ready for running them: before there are threads.  Nothing to do when there are no commands. */
int exec_start(struct error *err);

/* Ends what is left of them, when no task runs any more. */
void exec_close(void);

/* ---- between the files ---- */

struct exec_pool; /* the processes of an EXEC_LINES command */

/* Each returns what the task returns. */
int exec_once_run(struct task_context *task, const struct exec_command *command, const char *payload,
        const struct exec_guard *guard);
int exec_lines_run(struct task_context *task, struct exec_pool *pool, const char *name, const char *payload);

/* guard and command are borrowed; NULL when out of memory. */
struct exec_pool *exec_pool_new(const struct exec_command *command, const struct exec_guard *guard);
void exec_pool_free(struct exec_pool *pool);

/*
 * What a process of the command sees, ends with NULL: what the entry names, and JOBSCHED_*; those of a run when there is
 * a task.  malloc'ed; NULL when out of memory.
 */
char **exec_environment(const struct exec_command *command, struct task_context *task);
void exec_environment_free(char **environment);

/* RFC 3339 time at which the run's time is up into buf, CLOCK_TEXT_SIZE bytes; false when there is no limit. */
bool exec_deadline(const struct exec_command *command, struct task_context *task, double *seconds_left, char *buf);

#endif
