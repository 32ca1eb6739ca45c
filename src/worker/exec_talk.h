/*
 * exec_talk.h: moves bytes between a run and the process that works for it, and ends that in time.
 *
 * One conversation: input goes in, output is collected up to a limit, the end of what comes on standard error is kept,
 * and every line of it is logged.  It looks at the task's cancel flag and at the time limits: SIGTERM to the group, and
 * SIGKILL when the grace is over.
 */
#ifndef JOBSCHED_WORKER_EXEC_TALK_H
#define JOBSCHED_WORKER_EXEC_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exec_process.h"
#include "jobsched_task.h"

/* Why the process was told to end. */
enum exec_stop {
	EXEC_GOES_ON,
	EXEC_TOLD, /* cancelled, over the job's time, or lost */
	EXEC_OVERTIME, /* over the command's own time */
	EXEC_TOO_LARGE, /* more output than allowed */
	EXEC_CLOSED /* EXEC_LINES: it closed its output */
};

struct exec_talk {
	struct task_context *task;
	const struct exec_command *command;
	struct exec_process *process;
	size_t max_output; /* bytes */

	const char *input; /* what is left of it */
	size_t input_len;

	char *output; /* malloc'ed, with room for a NUL that is not there yet */
	size_t output_len, output_room;

	char *tail; /* malloc'ed: the end of standard error */
	size_t tail_len;
	bool tail_cut; /* there was more before it */
	char line[1000]; /* of standard error, not yet logged */
	size_t line_len;
	size_t logged; /* bytes */

	int64_t limit_us; /* the command's own limit, clock_boottime_us(); INT64_MAX: none */
	int64_t kill_us; /* SIGKILL then; INT64_MAX: not told to end, or killed */
	enum exec_stop stop;
	bool ended; /* the process has, and what it wrote has been read */
	bool failed; /* out of memory, or poll(2) failed: the process was killed */
};

/* The command's limit begins now.  input is borrowed. */
void exec_talk_start(struct exec_talk *talk, struct task_context *task, const struct exec_command *command,
        struct exec_process *process, const char *input, size_t input_len);

/* Until the process has ended.  It is not reaped. */
void exec_talk_to_the_end(struct exec_talk *talk);

/*
 * Until a whole line has come, without its newline length bytes from talk->output on: returns true.  False when the
 * process has ended without one.
 */
bool exec_talk_to_a_line(struct exec_talk *talk, size_t *length);

/* Forgets that line, so that the next one can come. */
void exec_talk_drop_line(struct exec_talk *talk, size_t length);

/* Takes in what is there on standard error without waiting. */
void exec_talk_read_errors(struct exec_talk *talk);

/*
 * The end of standard error as UTF-8 without blanks around it, "" when there was nothing; malloc'ed, NULL when out of
 * memory.
 */
char *exec_talk_errors(const struct exec_talk *talk);

void exec_talk_free(struct exec_talk *talk);

#endif
