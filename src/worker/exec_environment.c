/*
 * exec_environment.c: the environment of a command: nothing of the worker's own but what its entry names.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "exec.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define OWN_VARIABLES 16 /* PATH, JOBSCHED_* and the NULL: more than are added */

struct list {
	char **texts;
	size_t n;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void
add(struct list *list, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		list->failed = true;
	else
		list->texts[list->n++] = text;
	va_end(ap);
}

static bool
contains(const struct list *list, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < list->n; i++) {
		if (strncmp(list->texts[i], name, len) == 0 && list->texts[i][len] == '=')
			return true;
	}
	return false;
}

bool
exec_deadline(const struct exec_command *command, struct task_context *task, double *seconds_left, char *buf)
{
	double left = task_time_left(task);

	if (command->timeout > 0 && (left < 0 || command->timeout < left))
		left = command->timeout;
	if (left < 0)
		return false;
	*seconds_left = left;
	clock_format(clock_realtime_us() + (int64_t) (left * 1e6), 3, buf);
	return true;
}

static void
add_run(struct list *list, const struct exec_command *command, struct task_context *task)
{
	char deadline[CLOCK_TEXT_SIZE];
	double left;

	add(list, "JOBSCHED_TASK=%s", task_name(task));
	add(list, "JOBSCHED_JOB_ID=%s", task_job_id(task));
	add(list, "JOBSCHED_RUN_AT=%s", task_run_at(task));
	add(list, "JOBSCHED_IDEMPOTENCY_KEY=%s", task_idempotency_key(task));
	add(list, "JOBSCHED_ATTEMPT=%d", task_attempt(task));
	add(list, "JOBSCHED_FAILURES=%d", task_failures(task));
	add(list, "JOBSCHED_MAX_RETRIES=%d", task_max_retries(task));
	if (task_traceparent(task))
		add(list, "TRACEPARENT=%s", task_traceparent(task));
	if (exec_deadline(command, task, &left, deadline)) {
		add(list, "JOBSCHED_DEADLINE=%s", deadline);
		add(list, "JOBSCHED_TIME_LEFT=%.3f", left);
	}
}

char **
exec_environment(const struct exec_command *command, struct task_context *task)
{
	struct list list = {NULL, 0, false};
	size_t room = OWN_VARIABLES;

	for (size_t i = 0; command->set[i]; i++)
		room++;
	for (size_t i = 0; command->pass[i]; i++)
		room++;
	list.texts = calloc(room, sizeof(*list.texts));
	if (!list.texts)
		return NULL;
	for (size_t i = 0; command->set[i]; i++)
		add(&list, "%s", command->set[i]);
	for (size_t i = 0; command->pass[i]; i++) {
		const char *value = getenv(command->pass[i]);

		if (value && !contains(&list, command->pass[i]))
			add(&list, "%s=%s", command->pass[i], value);
	}
	if (!contains(&list, "PATH"))
		add(&list, "PATH=%s", DEFAULT_PATH);
	add(&list, "JOBSCHED_COMMAND=%s", command->name);
	if (task)
		add_run(&list, command, task);
	if (!list.failed)
		return list.texts;
	exec_environment_free(list.texts);
	return NULL;
}

void
exec_environment_free(char **environment)
{
	for (size_t i = 0; environment && environment[i]; i++)
		free(environment[i]);
	free(environment);
}
