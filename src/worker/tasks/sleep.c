/*
 * sleep.c: a task that takes a while.  Payload {"seconds": 0.5}, result {"slept": 0.5}.
 */
#include <stdio.h>

#include "tasks.h"

#define SECONDS_MAX	86400

static int
sleep_for(struct task_context *task, const json_t *payload)
{
	const json_t *seconds = json_object_get(payload, "seconds");
	double s = json_number_value(seconds);
	char result[64];

	if (!json_is_number(seconds))
		return task_fail_for_good(task, "bad_payload", "payload.seconds: a number is needed");
	if (!(s >= 0 && s <= SECONDS_MAX))
		return task_fail_for_good(task, "bad_payload", "payload.seconds: %g is out of range 0..%d", s, SECONDS_MAX);
	if (!task_wait(task, s))
		return task_stopped(task);
	snprintf(result, sizeof(result), "{\"slept\":%.15g}", s);
	return task_succeed_text(task, result);
}

JOBSCHED_TASK("sleep", .run = sleep_for, .summary = "Sleeps payload.seconds (0..86400); stops early when told to.");
