/*
 * exec.c: tasks that are commands.
 *
 * Every entry of EXEC_TASKS_FILE serves the tasks that it names.  The task `exec` runs an entry by its own name, payload
 * {"command": "resize", "payload": {...}}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../exec.h"
#include "../exec_answer.h"
#include "../registry.h"
#include "tasks.h"

/* Made before there are threads, and not changed after. */
static const struct exec_commands *commands;
static struct exec_pool **pools; /* one an entry; NULL: EXEC_ONCE */
static struct task_definition *definitions;
static struct exec_guard guard = {0, -1};

static int
run_command(struct task_context *task, const struct exec_command *command, const char *name, const char *payload)
{
	if (command->mode == EXEC_LINES)
		return exec_lines_run(task, pools[command - commands->list], name, payload);
	return exec_once_run(task, command, payload, &guard);
}

static const struct exec_command *
find_server_of(const char *name)
{
	for (int i = 0; i < commands->n; i++) {
		for (int k = 0; commands->list[i].tasks[k]; k++) {
			if (strcmp(commands->list[i].tasks[k], name) == 0)
				return &commands->list[i];
		}
	}
	return NULL;
}

static int
run_named(struct task_context *task, const json_t *payload)
{
	const struct exec_command *command = find_server_of(task_name(task));

	(void) payload; /* passed on as text */
	if (!command)
		return task_fail_for_good(task, "unknown_task", "no command serves the task");
	return run_command(task, command, task_name(task), task_payload_text(task));
}

/* "resize, thumbnail" into buf, cut when it is too small. */
static const char *
list_commands(char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i < commands->n && len < size; i++)
		len += (size_t) snprintf(buf + len, size - len, "%s%s", i ? ", " : "", commands->list[i].name);
	return buf;
}

static int
run_exec(struct task_context *task, const json_t *payload)
{
	const char *name = json_string_value(json_object_get(payload, "command")), *text = task_payload_text(task),
	           *input;
	const struct exec_command *command;
	char names[512], *copy;
	size_t len = 0;
	int rc;

	if (!name)
		return task_fail_for_good(task, "bad_payload", "payload.command: the name of a command is needed");
	if (json_object_size(payload) > (json_object_get(payload, "payload") ? 2 : 1))
		return task_fail_for_good(task, "bad_payload", "payload: only command and payload are allowed");
	command = exec_commands_find(commands, name);
	if (!command)
		return task_fail_for_good(task, "bad_payload",
		        "payload.command: \"%s\" is not in EXEC_TASKS_FILE, which has: %s", name,
		        list_commands(names, sizeof(names)));
	if (command->mode == EXEC_LINES && command->tasks[1])
		return task_fail_for_good(task, "bad_payload",
		        "payload.command: %s serves several tasks: jobs must name one of them, not exec", name);

	input = exec_answer_member(text, strlen(text), "payload", &len);
	copy = input ? strndup(input, len) : strdup("{}");
	if (!copy)
		return task_fail(task, "out of memory");
	rc = run_command(task, command, command->tasks[0], copy);
	free(copy);
	return rc;
}

static const struct task_definition exec_task = {
        .abi = JOBSCHED_TASK_ABI,
        .name = "exec",
        .run = run_exec,
        .summary = "Runs payload.command, an entry of EXEC_TASKS_FILE, with payload.payload.",
        .flags = TASK_ON_A_THREAD,
};

int
exec_setup(const struct exec_commands *list, struct error *err)
{
	struct error why = {""};
	size_t n = 0;

	commands = list;
	if (list->n == 0)
		return 0;
	for (int i = 0; i < list->n; i++) {
		for (int k = 0; list->list[i].tasks[k]; k++)
			n++;
	}
	definitions = calloc(n + 1, sizeof(*definitions));
	if (!definitions)
		return error_set(err, "out of memory");
	if (registry_add(&exec_task, "EXEC_TASKS_FILE", &why) < 0)
		return error_set(err, "EXEC_TASKS_FILE: %s", why.msg);
	for (int i = 0; i < list->n; i++) {
		for (int k = 0; list->list[i].tasks[k]; k++) {
			struct task_definition *d = &definitions[--n];

			*d = (struct task_definition){.abi = JOBSCHED_TASK_ABI,
			        .flags = TASK_PAYLOAD_AS_TEXT | TASK_ON_A_THREAD,
			        .name = list->list[i].tasks[k],
			        .run = run_named,
			        .summary = list->list[i].summary};
			if (registry_add(d, "EXEC_TASKS_FILE", &why) < 0)
				return error_set(
				        err, "EXEC_TASKS_FILE: %s.tasks[%d]: %s", list->list[i].name, k, why.msg);
		}
	}
	return 0;
}

int
exec_start(struct error *err)
{
	if (commands->n == 0)
		return 0;
	pools = calloc((size_t) commands->n, sizeof(struct exec_pool *));
	if (!pools)
		return error_set(err, "out of memory");
	if (exec_guard_start(&guard, err) < 0)
		return -1;
	for (int i = 0; i < commands->n; i++) {
		if (commands->list[i].mode != EXEC_LINES)
			continue;
		pools[i] = exec_pool_new(&commands->list[i], &guard);
		if (!pools[i])
			return error_set(err, "out of memory");
	}
	return 0;
}

void
exec_close(void)
{
	for (int i = 0; pools && i < commands->n; i++) {
		if (pools[i])
			exec_pool_free(pools[i]);
	}
	free(pools);
	free(definitions);
	pools = NULL;
	definitions = NULL;
	exec_guard_stop(&guard);
}
