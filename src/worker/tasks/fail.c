/*
 * fail.c: a task that fails, for trying out retries.
 *
 * Payload {"message": "...", "permanent": false, "times": 2}: fails the first `times` attempts, always when absent.
 */
#include <string.h>

#include "tasks.h"

static int
fail(struct task_context *task, const json_t *payload)
{
	const json_t *message = json_object_get(payload, "message");
	const json_t *permanent = json_object_get(payload, "permanent");
	const json_t *times = json_object_get(payload, "times");
	const char *text = message ? json_string_value(message) : "failed as asked";

	if (!text)
		return task_fail_for_good(task, "bad_payload", "payload.message: a string is needed");
	if (permanent && !json_is_boolean(permanent))
		return task_fail_for_good(task, "bad_payload", "payload.permanent: true or false is needed");
	if (times && (!json_is_integer(times) || json_integer_value(times) < 0))
		return task_fail_for_good(task, "bad_payload", "payload.times: an integer of 0 or more is needed");

	if (times && task_attempt(task) > json_integer_value(times))
		return task_succeed(task, json_pack("{s:i}", "attempts", task_attempt(task)));
	if (json_is_true(permanent))
		return task_fail_for_good(task, NULL, "%s", text);
	return task_fail(task, "%s", text);
}

JOBSCHED_TASK("fail", .run = fail,
			  .summary = "Fails the first payload.times attempts (always when absent), for good with payload.permanent.");
