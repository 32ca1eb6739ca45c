/*
 * task_context.h: what stands behind struct task_context.
 *
 * A task runs on a thread of the worker (task_thread.c) or in a process of its own (isolation/child.c).  Both fill a context, call
 * task_call, and find in the context how the task ended.  What differs between them is behind struct task_host.
 */
#ifndef JOBSCHED_WORKER_TASK_CONTEXT_H
#define JOBSCHED_WORKER_TASK_CONTEXT_H

#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "jobsched_task.h"
#include "runs.h"

#define TASK_RUN_AT_SIZE 64
#define TASK_CAUSES_MAX 32 /* kept of those that a task names */

/* How a task said that it ended. */
enum task_verdict {
	TASK_SAID_NOTHING,
	TASK_SUCCEEDED,
	TASK_FAILED,
	TASK_FAILED_FOR_GOOD,
	TASK_STOPPED,
	TASK_CRASHED /* its process ended without a word, or was killed */
};

/* What the place does where a task runs.  The ones with an error return 0 (or bytes) or a negative enum blob_result. */
struct task_host {
	/* Was it told to stop?  The deadline does not count. */
	bool (*told)(struct task_context *task);
	/* Returns at that time (clock_boottime_us), or sooner when it was told to stop. */
	void (*sleep)(struct task_context *task, int64_t until_us);
	/* percent: 0..100, or negative; text: UTF-8, may be NULL. */
	void (*progress)(struct task_context *task, double percent, const char *text);

	int (*put)(struct task_context *task, const char *name, const char *content_type, const void *data, size_t size,
	        struct error *err);
	int (*put_file)(
	        struct task_context *task, const char *name, const char *content_type, int fd, struct error *err);
	int (*create)(struct task_context *task, const char *name, const char *content_type, void **handle,
	        struct error *err);
	int (*write)(struct task_context *task, void *handle, const void *data, size_t size, struct error *err);
	int (*commit)(struct task_context *task, void *handle, struct error *err); /* frees the handle */
	void (*abort)(struct task_context *task, void *handle);
	int (*open)(struct task_context *task, const char *what, void **handle, uint64_t *size, struct error *err);
	ssize_t (*read)(struct task_context *task, void *handle, void *buf, size_t size, struct error *err);
	void (*close)(struct task_context *task, void *handle);
};

#define TASK_TRACEPARENT_SIZE 56 /* of W3C Trace Context, version 00, and its NUL */

struct task_context {
	const struct task_host *host;

	/* What is known about the run; text is the caller's. */
	const char *name;
	const char *job_id;
	const char *payload; /* JSON */
	const char *traceparent; /* or NULL */
	char run_at[TASK_RUN_AT_SIZE]; /* RFC 3339 */
	char key[UUID_TEXT_SIZE + TASK_RUN_AT_SIZE];
	int attempt;
	int failures;
	int max_retries;
	double timeout; /* seconds; 0: no limit */
	int64_t started_us; /* clock_boottime_us() */
	int64_t deadline_us; /* the same clock; INT64_MAX: none */

	/* What the task left. */
	enum task_verdict verdict;
	struct outcome *out; /* zeroed by the caller, retry_us = -1 */
	char *causes[TASK_CAUSES_MAX]; /* the innermost first */
	int ncauses; /* also those that were not kept */
	int64_t progress_us; /* when progress was passed on last */
	struct error artifact_error;
	struct task_writer *writers; /* open ones */
	struct task_reader *readers;
};

/* Fills the fields that are made of others: run_at (as PostgreSQL prints it) and key. */
void task_name_run(struct task_context *task, const char *run_at);

/* Calls the task's function.  Afterwards verdict and *out say how it ended, except for what task_execute makes of it. */
void task_call(struct task_context *task, const struct task_definition *definition);

/* Forgets how the task ended and makes it a failure.  Returns -1. */
int task_refuse(struct task_context *task, enum task_verdict verdict, const char *reason, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

/* The error with its causes, as UTF-8 and cut to size. */
void task_conclude(struct task_context *task);

/* Writers and readers that the task has left open. */
void task_close_artifacts(struct task_context *task);

#endif
