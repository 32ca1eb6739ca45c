/*
 * exec_file.h: the commands that EXEC_TASKS_FILE allows; docs/exec.md describes the file.
 */
#ifndef JOBSCHED_WORKER_EXEC_FILE_H
#define JOBSCHED_WORKER_EXEC_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"

enum exec_mode {
	EXEC_ONCE, /* one process a run */
	EXEC_LINES /* a process serves many runs: JSON lines */
};

/* One entry of the file.  Text is the file's, UTF-8, and lives as long as the list. */
struct exec_command {
	const char *name; /* 1..255 bytes, no control characters */
	const char *summary;
	const char **argv; /* ends with NULL; argv[0] is an absolute path */
	const char *directory; /* absolute */
	const char **pass; /* names of the worker's variables that it sees; ends with NULL */
	char **set; /* NAME=value; ends with NULL */
	const char **tasks; /* names of the tasks that it serves, 1 at least; ends with NULL */
	enum exec_mode mode;
	int processes; /* EXEC_LINES: at most so many at a time; 0: as many as there are threads */
	long runs_per_process; /* EXEC_LINES: a new process after so many runs; 0: never */
	double timeout; /* seconds a run may take; 0: what the job says */
	double grace; /* seconds between SIGTERM and SIGKILL */
	size_t max_result; /* bytes of JSON */
	size_t max_stderr; /* bytes of it that an error keeps */
	size_t max_memory; /* bytes of address space a process; 0: no limit */
};

struct exec_commands {
	struct exec_command *list;
	int n;
	json_t *root; /* what the text stands in */
};

/*
 * Reads the file, once.  It must be a regular file of this process's user or of root that nobody else may write; else,
 * and when something in it is wrong, -1, and the message names the place.  On failure there is nothing to free.
 */
int exec_file_load(const char *path, struct exec_commands *commands, struct error *err);

/* The same from text. */
int exec_file_parse(const char *text, size_t len, struct exec_commands *commands, struct error *err);

void exec_commands_free(struct exec_commands *commands);

/* The entry of that name, or NULL. */
const struct exec_command *exec_commands_find(const struct exec_commands *commands, const char *name);

#endif
