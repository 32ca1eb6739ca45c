/*
 * tasks.c: tasks that only the tests need: what uses every call of jobsched_task.h, and what goes wrong.  Built by
 * test/t/080_tasks.pl.
 */
#include <jobsched_task.h>
#include <string.h>

/* Everything that a task can know about its run. */
static int
facts(struct task_context *task, const json_t *payload)
{
	(void) payload;
	return task_succeed(task,
	        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:b}", "name", task_name(task),
	                "job_id", task_job_id(task), "run_at", task_run_at(task), "key", task_idempotency_key(task),
	                "payload", task_payload_text(task), "attempt", task_attempt(task), "failures",
	                task_failures(task), "max_retries", task_max_retries(task), "max_attempts",
	                task_max_attempts(task), "started_at", task_started_at(task), "deadline", task_deadline(task),
	                "time_left", task_time_left(task), "cancelled", task_cancelled(task)));
}
JOBSCHED_TASK("facts", .run = facts, .summary = "Tells what it knows.");

/* Says that it is half done, and waits to be told to stop; with {"quick": true} it says so 100,000 times and ends. */
static int
half(struct task_context *task, const json_t *payload)
{
	if (json_is_true(json_object_get(payload, "quick"))) {
		for (int i = 0; i < 100000; i++)
			task_progress(task, i / 1000.0, "quick");
		task_progress(task, 100, "done");
		return task_succeed(task, json_null());
	}
	task_progress(task, 50, "half \xFF done");
	task_log(task, TASK_LOG_WARNING, "half %s", "done");
	task_wait(task, 600);
	return task_stopped(task);
}
JOBSCHED_TASK("half", .run = half, .summary = "Says that it is half done, and waits.");

/* Fails with what lies beneath; payload {"depth": n, "forget": bool}. */
static int
dig(struct task_context *task, json_int_t depth)
{
	if (depth == 0)
		return task_cause(task, "bottom \xFF");
	dig(task, depth - 1);
	return task_cause(task, "level %d", (int) depth);
}

static int
nested(struct task_context *task, const json_t *payload)
{
	dig(task, json_integer_value(json_object_get(payload, "depth")));
	if (json_is_true(json_object_get(payload, "forget")))
		task_causes_clear(task);
	if (json_is_true(json_object_get(payload, "succeed")))
		return task_succeed(task, json_true());
	return task_fail_for_good(task, "nested", "on top");
}
JOBSCHED_TASK("nested", .run = nested, .summary = "Fails with nested causes.");

/* ---- artifacts ---- */

static int
artifact_failed(struct task_context *task, int result)
{
	return task_fail_for_good(task, "artifact", "%d: %s", result, task_artifact_error(task));
}

/* Writes in all ways, leaves one open, and reads back what it wrote.  payload {"file": path, "pieces": n}. */
static int
store(struct task_context *task, const json_t *payload)
{
	const char *path = json_string_value(json_object_get(payload, "file"));
	json_int_t pieces = json_integer_value(json_object_get(payload, "pieces"));
	struct task_writer *writer, *unfinished, *aborted;
	struct task_reader *reader;
	char piece[10000], buf[4096];
	unsigned long long total = 0;
	ssize_t n;
	int rc;

	memset(piece, 'x', sizeof(piece));
	if ((rc = task_artifact(task, "memory", "text/plain", "hello", 5)) < 0
	        || (rc = task_artifact_file(task, "file", NULL, path)) < 0
	        || (rc = task_writer_open(task, "stream", "text/x", &writer)) < 0
	        || (rc = task_writer_open(task, "unfinished", NULL, &unfinished)) < 0
	        || (rc = task_writer_open(task, "aborted", NULL, &aborted)) < 0
	        || (rc = task_writer_write(unfinished, "abc", 3)) < 0)
		return artifact_failed(task, rc);
	task_writer_abort(aborted);
	for (json_int_t i = 0; i < pieces; i++) {
		if ((rc = task_writer_write(writer, piece, sizeof(piece))) < 0)
			return artifact_failed(task, rc);
	}
	if ((rc = task_writer_commit(writer)) < 0 || (rc = task_reader_open(task, "stream", &reader)) < 0)
		return artifact_failed(task, rc);
	while ((n = task_reader_read(reader, buf, sizeof(buf))) > 0) {
		total += (unsigned long long) n;
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] != 'x')
				return task_fail_for_good(task, "artifact", "what is read is not what was written");
		}
	}
	if (n < 0)
		return artifact_failed(task, (int) n);
	return task_succeed(task, json_pack("{s:I, s:I}", "read", (json_int_t) total, "size",
	                                  (json_int_t) task_reader_size(reader)));
}
JOBSCHED_TASK("store", .run = store, .summary = "Writes artifacts in all ways and reads one back.");

/* Reads an artifact of any run. payload: its key or name. */
static int
fetch(struct task_context *task, const json_t *payload)
{
	struct task_reader *reader;
	char buf[1001];
	ssize_t n;
	int rc = task_reader_open(task, json_string_value(payload), &reader);

	if (rc < 0)
		return artifact_failed(task, rc);
	n = task_reader_read(reader, buf, sizeof(buf) - 1);
	if (n < 0)
		return artifact_failed(task, (int) n);
	return task_succeed(task, json_stringn(buf, (size_t) n));
}
JOBSCHED_TASK("fetch", .run = fetch, .summary = "Reads an artifact.");

/* payload {"name": "...", "twice": bool} */
static int
name_it(struct task_context *task, const json_t *payload)
{
	const char *name = json_string_value(json_object_get(payload, "name"));
	int rc = task_artifact(task, name, NULL, "", 0);

	if (rc == 0 && json_is_true(json_object_get(payload, "twice")))
		rc = task_artifact(task, name, NULL, "", 0);
	if (rc < 0)
		return artifact_failed(task, rc);
	return task_succeed(task, json_true());
}
JOBSCHED_TASK("name_it", .run = name_it, .summary = "Stores an artifact of that name.");

/* ---- results ---- */

/* payload: which of them */
static int
result(struct task_context *task, const json_t *payload)
{
	const char *kind = json_string_value(payload);
	static char big[2 * 1024 * 1024];

	if (strcmp(kind, "big") == 0) {
		memset(big, 'x', sizeof(big) - 1);
		return task_succeed(task, json_string(big));
	}
	if (strcmp(kind, "not_utf8") == 0)
		return task_succeed(task, json_pack("{s:s}", "text", "caf\xE9"));
	if (strcmp(kind, "text_not_utf8") == 0)
		return task_succeed_text(task, "\"caf\xE9\"");
	if (strcmp(kind, "not_json") == 0)
		return task_succeed_text(task, "{\"a\":");
	if (strcmp(kind, "nul") == 0)
		return task_succeed_text(task, "\"\\u0000\"");
	if (strcmp(kind, "nothing") == 0)
		return 0;
	if (strcmp(kind, "minus") == 0)
		return -1;
	if (strcmp(kind, "error_not_utf8") == 0)
		return task_fail_for_good(task, NULL, "caf\xE9 %s", "");
	if (strcmp(kind, "reason_not_utf8") == 0)
		return task_fail_for_good(task, "caf\xE9", "no coffee");
	if (strcmp(kind, "reason_too_long") == 0)
		return task_fail_for_good(task, "no_coffee_nor_teas_in_this_caf\xC3\xA9", "no coffee");
	return task_fail_for_good(task, "bad_payload", "payload: %s", kind);
}
JOBSCHED_TASK("result", .run = result, .summary = "Ends with a result that is not good.");
