/*
 * task.c: the worker's side of jobsched_task.h.
 */
#include "task.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "registry.h"
#include "utf8.h"

#define ERROR_MAX		8192		/* bytes of an error text before it is cut */
#define RETRY_MAX		(366 * 86400.0)	/* longest delay that a task may ask for, seconds */

enum verdict { VERDICT_NONE, VERDICT_SUCCEEDED, VERDICT_FAILED, VERDICT_PERMANENT, VERDICT_STOPPED };

struct task_context {
	struct run *run;
	struct pool_slot *slot;
	enum verdict verdict;
	char run_at[64];
	char key[UUID_TEXT_SIZE + 64];
	json_t *artifacts;
	struct error artifact_error;
};

/* ---- what is known about the run ---- */

const char *
task_name(const struct task_context *task)
{
	return task->run->name;
}

const char *
task_job_id(const struct task_context *task)
{
	return task->run->job_id;
}

const char *
task_run_at(const struct task_context *task)
{
	return task->run_at;
}

const char *
task_idempotency_key(const struct task_context *task)
{
	return task->key;
}

const char *
task_payload_text(const struct task_context *task)
{
	return task->run->payload;
}

int
task_attempt(const struct task_context *task)
{
	return task->run->attempt;
}

int
task_failures(const struct task_context *task)
{
	return task->run->failures;
}

int
task_max_retries(const struct task_context *task)
{
	return task->run->max_retries;
}

double
task_time_left(const struct task_context *task)
{
	int64_t left;

	if (task->run->deadline_us == INT64_MAX)
		return -1;
	left = task->run->deadline_us - clock_boottime_us();
	return left > 0 ? (double) left / 1e6 : 0;
}

static bool
told_to_stop(const struct run *run, int64_t now_us)
{
	return atomic_load(&run->stop) != 0 || now_us >= run->deadline_us;
}

bool
task_cancelled(const struct task_context *task)
{
	return told_to_stop(task->run, clock_boottime_us());
}

bool
task_wait(struct task_context *task, double seconds)
{
	struct run *run = task->run;
	struct pool_slot *slot = task->slot;
	int64_t now_us = clock_boottime_us();
	int64_t until_us = now_us + (int64_t) (fmin(fmax(seconds, 0), 1e9) * 1e6);

	pthread_mutex_lock(&slot->lock);
	while (!told_to_stop(run, now_us) && now_us < until_us) {
		int64_t wake_us = until_us < run->deadline_us ? until_us : run->deadline_us;
		struct timespec until;
		int64_t nanoseconds;

		clock_gettime(CLOCK_MONOTONIC, &until);
		nanoseconds = until.tv_nsec + (wake_us - now_us) % CLOCK_US_PER_SECOND * 1000;
		until.tv_sec += (time_t) ((wake_us - now_us) / CLOCK_US_PER_SECOND + nanoseconds / 1000000000);
		until.tv_nsec = (long) (nanoseconds % 1000000000);
		pthread_cond_timedwait(&slot->wake, &slot->lock, &until);
		now_us = clock_boottime_us();
	}
	pthread_mutex_unlock(&slot->lock);
	return !told_to_stop(run, now_us);
}

/* ---- what it leaves behind ---- */

void
task_log(struct task_context *task, enum task_log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!log_enabled((enum log_level) level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_event((enum log_level) level, "task", "name", task->run->name, "job", task->run->job_id, "attempt",
			  LOG_NUM(task->run->attempt), "message", text, NULL);
}

_Static_assert((int) TASK_LOG_DEBUG == (int) LOG_LEVEL_DEBUG && (int) TASK_LOG_ERROR == (int) LOG_LEVEL_ERROR,
			   "log levels of tasks and of the worker are the same numbers");

static bool
artifact_name_allowed(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(name);

	return len >= 1 && len <= 100 && name[0] != '.' && strspn(name, letters) == len;
}

int
task_artifact(struct task_context *task, const char *name, const char *content_type, const void *data, size_t size)
{
	const struct run *run = task->run;
	char key[BLOB_KEY_MAX + 1];
	struct blob_object object = { .key = key, .content_type = content_type };
	struct blob_info info;
	json_t *entry, *other;
	size_t i;

	if (!artifact_name_allowed(name))
		return error_set(&task->artifact_error,
						 "artifact name \"%s\": 1..100 of A-Z a-z 0-9 . _ - are allowed, no dot first", name);
	json_array_foreach(task->artifacts, i, other) {
		if (strcmp(json_string_value(json_object_get(other, "name")), name) == 0)
			return error_set(&task->artifact_error, "artifact %s: there is one of that name already", name);
	}
	snprintf(key, sizeof(key), "jobs/%s/%s/%d-%s/%s", run->job_id, task->run_at, run->attempt, run->dispatch->token,
			 name);
	if (!content_type)
		object.content_type = content_type = "application/octet-stream";
	if (blob_put(task->slot->pool->blobs, &object, data, size, &info, &task->artifact_error) < 0)
		return -1;

	entry = json_pack("{s:s, s:s, s:I, s:s, s:s}", "name", name, "key", key, "size", (json_int_t) info.size, "sha256",
					  info.sha256, "content_type", content_type);
	if (!task->artifacts)
		task->artifacts = json_array();
	if (!entry || json_array_append_new(task->artifacts, entry) < 0)
		return error_set(&task->artifact_error, "artifact %s: its content type is not UTF-8, or out of memory", name);
	return 0;
}

const char *
task_artifact_error(const struct task_context *task)
{
	return task->artifact_error.msg;
}

/* ---- how it ends ---- */

static void
forget_verdict(struct task_context *task)
{
	struct outcome *out = &task->run->out;

	if (out->result != out->small)
		free(out->result);
	free(out->error);
	out->result = out->error = NULL;
	out->reason[0] = '\0';
	out->retry_us = -1;
	task->verdict = VERDICT_NONE;
}

__attribute__((format(printf, 4, 0))) static int
fail(struct task_context *task, enum verdict verdict, const char *reason, const char *fmt, va_list ap)
{
	struct outcome *out = &task->run->out;
	char *text = NULL;

	forget_verdict(task);
	task->verdict = verdict;
	snprintf(out->reason, sizeof(out->reason), "%s", reason ? reason : "error");
	if (vasprintf(&text, fmt, ap) >= 0) {
		size_t len = strnlen(text, ERROR_MAX);

		out->error = malloc(UTF8_CLEAN_SIZE(len));
		if (out->error)
			utf8_clean(text, len, out->error);
		free(text);
	}
	return -1;
}

__attribute__((format(printf, 3, 4))) static int
refuse(struct task_context *task, const char *reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(task, VERDICT_PERMANENT, reason, fmt, ap);
	va_end(ap);
	return -1;
}

int
task_fail(struct task_context *task, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(task, VERDICT_FAILED, NULL, fmt, ap);
	va_end(ap);
	return -1;
}

int
task_fail_after(struct task_context *task, double seconds, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(task, VERDICT_FAILED, NULL, fmt, ap);
	va_end(ap);
	task->run->out.retry_us = (int64_t) (fmin(fmax(seconds, 0), RETRY_MAX) * 1e6);
	return -1;
}

int
task_fail_for_good(struct task_context *task, const char *reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(task, VERDICT_PERMANENT, reason, fmt, ap);
	va_end(ap);
	return -1;
}

static int
too_large(struct task_context *task, size_t size)
{
	return refuse(task, "result_too_large", "the result is %zu bytes of JSON, more than %zu", size, TASK_RESULT_MAX);
}

int
task_succeed(struct task_context *task, json_t *result)
{
	struct outcome *out = &task->run->out;
	size_t size;
	int rc = -1;

	forget_verdict(task);
	task->verdict = VERDICT_SUCCEEDED;
	if (!result)
		result = json_null();

	/* Returns the size it needs, and writes nothing beyond what it was given. */
	size = json_dumpb(result, out->small, sizeof(out->small) - 1, JSON_COMPACT | JSON_ENCODE_ANY);
	if (size == 0) {
		refuse(task, "bad_result", "the result cannot be written as JSON");
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
	struct outcome *out = &task->run->out;
	size_t size = strlen(json);

	forget_verdict(task);
	task->verdict = VERDICT_SUCCEEDED;
	if (size > TASK_RESULT_MAX)
		return too_large(task, size);
	out->result = size < sizeof(out->small) ? out->small : malloc(size + 1);
	if (!out->result)
		return task_fail(task, "out of memory for a result of %zu bytes", size);
	memcpy(out->result, json, size + 1);
	return 0;
}

int
task_stopped(struct task_context *task)
{
	forget_verdict(task);
	task->verdict = VERDICT_STOPPED;
	return -1;
}

/* ---- running it ---- */

char *
task_format_run_at(const char *text, char *out, size_t size)
{
	size_t len = strlen(text);

	snprintf(out, size, "%s", text);
	if (len >= 22 && len < size && text[10] == ' ' && strcmp(text + len - 3, "+00") == 0) {
		out[10] = 'T';
		out[len - 3] = 'Z';
		out[len - 2] = '\0';
	}
	for (char *p = out; *p; p++) {
		if (*p == ' ')
			*p = '_';
	}
	return out;
}

static void
call(struct task_context *task, const struct task_definition *def)
{
	json_t *payload = NULL;
	json_error_t error;

	if (!(def->flags & TASK_PAYLOAD_AS_TEXT)) {
		payload = json_loads(task->run->payload, JSON_DECODE_ANY, &error);
		if (!payload) {
			refuse(task, "bad_payload", "payload: %s", error.text);
			return;
		}
	}
	if (def->run(task, payload) == 0 ? task->verdict != VERDICT_SUCCEEDED : task->verdict == VERDICT_NONE)
		task_fail(task, "the task ended without a result");
	json_decref(payload);
}

/* What the task said, seen together with what it was told. */
static enum run_end
judge(struct task_context *task)
{
	const struct run *run = task->run;
	bool told = task->verdict == VERDICT_STOPPED || task->verdict == VERDICT_FAILED;

	if (told && atomic_load(&run->stop)) {
		forget_verdict(task);
		return RUN_CANCELLED;
	}
	if (told && run->ended_us >= run->deadline_us) {
		task_fail(task, "the time limit of %g s is over", run->timeout);
		snprintf(task->run->out.reason, sizeof(task->run->out.reason), "timeout");
		return RUN_FAILED;
	}
	switch (task->verdict) {
	case VERDICT_SUCCEEDED:
		return RUN_SUCCEEDED;
	case VERDICT_PERMANENT:
		return RUN_PERMANENT;
	case VERDICT_STOPPED:
		task_fail(task, "the task stopped without being told to");
		return RUN_FAILED;
	case VERDICT_NONE:
	case VERDICT_FAILED:
		break;
	}
	return RUN_FAILED;
}

void
task_execute(struct run *run, struct pool_slot *slot)
{
	struct task_context task = { .run = run, .slot = slot };

	task_format_run_at(run->run_at, task.run_at, sizeof(task.run_at));
	snprintf(task.key, sizeof(task.key), "%s/%s", run->job_id, task.run_at);
	if (run->task < 0) {
		char names[512];

		refuse(&task, "unknown_task", "task \"%s\" is not known to this worker, which knows: %s", run->name,
			   registry_names(names, sizeof(names)));
		run->started_us = 0;
	} else {
		call(&task, registry_get(run->task));
	}
	run->ended_us = clock_boottime_us();
	run->out.end = judge(&task);
	if (task.artifacts) {
		run->out.artifacts = json_dumps(task.artifacts, JSON_COMPACT);
		json_decref(task.artifacts);
	}
	if (log_enabled(LOG_LEVEL_DEBUG))
		log_event(LOG_LEVEL_DEBUG, "run ended", "job", run->job_id, "attempt", LOG_NUM(run->attempt), "task",
				  run->name, "microseconds", LOG_NUM(run->started_us ? run->ended_us - run->started_us : 0), "reason",
				  run->out.reason, "error", run->out.error, NULL);
}
