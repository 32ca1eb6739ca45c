/*
 * task_end.c: how a task ends: the second half of jobsched_task.h.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task_context.h"
#include "utf8.h"

#define ERROR_MAX 8192 /* bytes of an error with its causes before it is cut */
#define CAUSE_MAX 1024 /* bytes of one cause */
#define RETRY_MAX (366 * 86400.0) /* longest delay that a task may ask for, seconds */

static void
forget_verdict(struct task_context *task)
{
	struct outcome *out = task->out;

	if (out->result != out->small)
		free(out->result);
	free(out->error);
	out->result = out->error = NULL;
	out->reason[0] = '\0';
	out->retry_us = -1;
	task->verdict = TASK_SAID_NOTHING;
}

/* ---- failure ---- */

/* As UTF-8, and cut between characters. */
static void
set_reason(struct outcome *out, const char *reason)
{
	char clean[UTF8_CLEAN_SIZE(sizeof(out->reason))];
	size_t len = utf8_clean(reason, strnlen(reason, sizeof(out->reason)), clean);

	if (len >= sizeof(out->reason)) {
		len = sizeof(out->reason) - 1;
		while (len > 0 && ((unsigned char) clean[len] & 0xC0) == 0x80)
			len--;
	}
	memcpy(out->reason, clean, len);
	out->reason[len] = '\0';
}

__attribute__((format(printf, 4, 0))) static int
fail(struct task_context *task, enum task_verdict verdict, const char *reason, const char *fmt, va_list ap)
{
	struct outcome *out = task->out;
	char *text = NULL;

	/* The old text may be an argument of the new one. */
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	forget_verdict(task);
	task->verdict = verdict;
	set_reason(out, reason ? reason : "error");
	out->error = text;
	return -1;
}

int
task_refuse(struct task_context *task, enum task_verdict verdict, const char *reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(task, verdict, reason, fmt, ap);
	va_end(ap);
	return -1;
}

int
task_fail(struct task_context *task, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(task, TASK_FAILED, NULL, fmt, ap);
	va_end(ap);
	return -1;
}

int
task_fail_after(struct task_context *task, double seconds, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(task, TASK_FAILED, NULL, fmt, ap);
	va_end(ap);
	task->out->retry_us = (int64_t) (fmin(fmax(seconds, 0), RETRY_MAX) * 1e6);
	return -1;
}

int
task_fail_for_good(struct task_context *task, const char *reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(task, TASK_FAILED_FOR_GOOD, reason, fmt, ap);
	va_end(ap);
	return -1;
}

int
task_stopped(struct task_context *task)
{
	forget_verdict(task);
	task->verdict = TASK_STOPPED;
	return -1;
}

/* ---- nested causes ---- */

int
task_cause_at(struct task_context *task, const char *file, int line, const char *function, const char *fmt, ...)
{
	const char *slash = strrchr(file, '/');
	char text[CAUSE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (task->ncauses < TASK_CAUSES_MAX &&
	        asprintf(&task->causes[task->ncauses], "caused by: %s (%s, %s:%d)", text, function,
	                slash ? slash + 1 : file, line) < 0)
		task->causes[task->ncauses] = NULL;
	task->ncauses++;
	return -1;
}

void
task_causes_clear(struct task_context *task)
{
	for (int i = 0; i < task->ncauses && i < TASK_CAUSES_MAX; i++)
		free(task->causes[i]);
	task->ncauses = 0;
}

/* The text, then the causes from the outermost to the innermost, one a line. */
static char *
with_causes(const struct task_context *task, const char *text)
{
	char *all = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&all, &size);

	if (!out)
		return NULL;
	fputs(text, out);
	if (task->ncauses > TASK_CAUSES_MAX)
		fprintf(out, "\ncaused by: %d more", task->ncauses - TASK_CAUSES_MAX);
	for (int i = task->ncauses < TASK_CAUSES_MAX ? task->ncauses : TASK_CAUSES_MAX; i > 0; i--) {
		if (task->causes[i - 1])
			fprintf(out, "\n%s", task->causes[i - 1]);
	}
	if (fclose(out) != 0) {
		free(all);
		return NULL;
	}
	return all;
}

void
task_conclude(struct task_context *task)
{
	struct outcome *out = task->out;

	if (out->error) {
		char *all = with_causes(task, out->error), *clean;
		size_t len;

		if (all) {
			free(out->error);
			out->error = all;
		}
		len = strnlen(out->error, ERROR_MAX);
		clean = malloc(UTF8_CLEAN_SIZE(len));
		if (clean)
			utf8_clean(out->error, len, clean);
		free(out->error);
		out->error = clean;
	}
	task_causes_clear(task);
}

/* ---- success ---- */

static int
too_large(struct task_context *task, size_t size)
{
	return task_refuse(task, TASK_FAILED_FOR_GOOD, "result_too_large",
	        "the result is %zu bytes of JSON, more than %zu", size, TASK_RESULT_MAX);
}

int
task_succeed(struct task_context *task, json_t *result)
{
	struct outcome *out = task->out;
	size_t size;
	int rc = -1;

	forget_verdict(task);
	task->verdict = TASK_SUCCEEDED;
	if (!result)
		return task_refuse(task, TASK_FAILED_FOR_GOOD, "bad_result",
		        "there is no result: json_pack and the like give NULL for text that is not UTF-8, for a wrong "
		        "format, "
		        "or when out of memory");

	/* Returns the size it needs, and writes nothing beyond what it was given. */
	size = json_dumpb(result, out->small, sizeof(out->small) - 1, JSON_COMPACT | JSON_ENCODE_ANY);
	if (size == 0) {
		task_refuse(task, TASK_FAILED_FOR_GOOD, "bad_result", "the result cannot be written as JSON");
		goto out;
	}
	if (size > TASK_RESULT_MAX) {
		too_large(task, size);
		goto out;
	}
	if (size < sizeof(out->small)) {
		out->small[size] = '\0';
		out->result = out->small;
	} else {
		out->result = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
		if (!out->result) {
			task_fail(task, "out of memory for a result of %zu bytes", size);
			goto out;
		}
	}
	rc = 0;
out:
	json_decref(result);
	return rc;
}

int
task_succeed_text(struct task_context *task, const char *json)
{
	struct outcome *out = task->out;
	size_t size = strlen(json);

	forget_verdict(task);
	task->verdict = TASK_SUCCEEDED;
	if (size > TASK_RESULT_MAX)
		return too_large(task, size);
	if (!utf8_is_clean(json, size))
		return task_refuse(task, TASK_FAILED_FOR_GOOD, "bad_result", "the result is not UTF-8");
	out->result = size < sizeof(out->small) ? out->small : malloc(size + 1);
	if (!out->result)
		return task_fail(task, "out of memory for a result of %zu bytes", size);
	memcpy(out->result, json, size + 1);
	return 0;
}
