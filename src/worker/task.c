/*
 * task.c: what a task is told, and how its function is called: the first half of jobsched_task.h.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "task.h"
#include "task_context.h"
#include "utf8.h"

#define PROGRESS_US (CLOCK_US_PER_SECOND / 10) /* shortest time between two that are passed on */
#define PROGRESS_CHARACTERS 200 /* of its text */

/* ---- what is known about the run ---- */

const char *
task_name(const struct task_context *task)
{
	return task->name;
}

const char *
task_job_id(const struct task_context *task)
{
	return task->job_id;
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
	return task->payload;
}

const char *
task_traceparent(const struct task_context *task)
{
	return task->traceparent;
}

int
task_attempt(const struct task_context *task)
{
	return task->attempt;
}

int
task_failures(const struct task_context *task)
{
	return task->failures;
}

int
task_max_retries(const struct task_context *task)
{
	return task->max_retries;
}

int
task_max_attempts(const struct task_context *task)
{
	/* Attempts that were lost with their worker do not use up retries. */
	return task->attempt + task->max_retries - task->failures;
}

/* A time of the boot clock as seconds since 1970, by the wall clock of now. */
static double
wall_clock(int64_t boottime_us)
{
	return (double) (clock_realtime_us() - clock_boottime_us() + boottime_us) / 1e6;
}

double
task_started_at(const struct task_context *task)
{
	return wall_clock(task->started_us);
}

double
task_deadline(const struct task_context *task)
{
	return task->deadline_us == INT64_MAX ? -1 : wall_clock(task->deadline_us);
}

double
task_time_left(const struct task_context *task)
{
	int64_t left;

	if (task->deadline_us == INT64_MAX)
		return -1;
	left = task->deadline_us - clock_boottime_us();
	return left > 0 ? (double) left / 1e6 : 0;
}

/* ---- being told to stop ---- */

static bool
should_stop(struct task_context *task)
{
	return task->host->told(task) || clock_boottime_us() >= task->deadline_us;
}

bool
task_cancelled(struct task_context *task)
{
	return should_stop(task);
}

bool
task_wait(struct task_context *task, double seconds)
{
	int64_t until_us = clock_boottime_us() + (int64_t) (fmin(fmax(seconds, 0), 1e9) * 1e6);

	if (should_stop(task))
		return false;
	task->host->sleep(task, until_us < task->deadline_us ? until_us : task->deadline_us);
	return !should_stop(task);
}

/* ---- what it says meanwhile ---- */

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
	log_event((enum log_level) level, "task", "name", task->name, "job", task->job_id, "attempt",
	        LOG_NUM(task->attempt), "message", text, task->traceparent ? "traceparent" : NULL, task->traceparent,
	        NULL);
}

_Static_assert((int) TASK_LOG_DEBUG == (int) LOG_LEVEL_DEBUG && (int) TASK_LOG_ERROR == (int) LOG_LEVEL_ERROR,
        "log levels of tasks and of the worker are the same numbers");

void
task_progress(struct task_context *task, double percent, const char *text)
{
	int64_t now_us = clock_boottime_us();
	char clean[UTF8_CLEAN_SIZE(PROGRESS_CHARACTERS * 4)];

	if (now_us < task->progress_us + PROGRESS_US && task->progress_us > 0 && !(percent >= 100))
		return;
	task->progress_us = now_us;
	if (text) {
		utf8_clean(text, strnlen(text, (size_t) PROGRESS_CHARACTERS * 4), clean);
		clean[utf8_prefix(clean, PROGRESS_CHARACTERS)] = '\0';
	}
	task->host->progress(task, percent >= 0 ? fmin(percent, 100) : -1, text ? clean : NULL);
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

void
task_name_run(struct task_context *task, const char *run_at)
{
	task_format_run_at(run_at, task->run_at, sizeof(task->run_at));
	snprintf(task->key, sizeof(task->key), "%s/%s", task->job_id, task->run_at);
}

void
task_call(struct task_context *task, const struct task_definition *definition)
{
	json_t *payload = NULL;
	json_error_t error;

	if (!(definition->flags & TASK_PAYLOAD_AS_TEXT)) {
		payload = json_loads(task->payload, JSON_DECODE_ANY, &error);
		if (!payload) {
			task_refuse(task, TASK_FAILED_FOR_GOOD, "bad_payload", "payload: %s", error.text);
			return;
		}
	}
	if (definition->run(task, payload) == 0 ? task->verdict != TASK_SUCCEEDED : task->verdict == TASK_SAID_NOTHING)
		task_refuse(task, TASK_FAILED, NULL, "the task ended without a result");
	json_decref(payload);
	task_close_artifacts(task);
	task_conclude(task);
}
