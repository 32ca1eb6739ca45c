/*
 * echo.c: a task whose result is its payload.
 */
#include "tasks.h"

static int
echo(struct task_context *task, const json_t *payload)
{
	(void) payload;		/* passed on as text, so that no number loses digits */
	return task_succeed_text(task, task_payload_text(task));
}

JOBSCHED_TASK("echo", .run = echo, .summary = "Its payload is its result.", .flags = TASK_PAYLOAD_AS_TEXT);
