/*
 * jobsched_task.h: write a task for the jobsched worker.
 *
 * A task is a C function with a name.  The worker calls it on one of its threads for every run of a job with that name:
 *
 *	static int
 *	greet(struct task_context *task, const json_t *payload)
 *	{
 *		const char *who = json_string_value(json_object_get(payload, "who"));
 *
 *		if (!who)
 *			return task_fail_for_good(task, "bad_payload", "payload.who: a string is needed");
 *		return task_succeed(task, json_pack("{s:s}", "greeting", who));
 *	}
 *
 *	JOBSCHED_TASK("greet", .run = greet, .summary = "Greets somebody.");
 *
 * Built as a shared object and put into the directory that JOBSCHED_TASK_PATH names, the worker knows it at its next
 * start; docs/examples/plugin is the whole of this with a Makefile.
 *
 *	cc -shared -fPIC -o greet.so greet.c $(pkg-config --cflags jansson)
 *	JOBSCHED_TASK_PATH=$PWD jobsched-worker --run greet '{"who": "you"}'
 *
 * Rules:
 *  - A run may happen more than once (the worker may die before its result is recorded).  Effects on other systems need
 *    task_idempotency_key(), which is the same for every attempt of a run and for no other run.
 *  - The function ends by returning what one of the task_succeed, task_fail or task_stopped functions returned; the
 *    last of them counts.  Returning anything else is a failure that is tried again.
 *  - Long work looks at task_cancelled() at least every second or so, and sleeps with task_wait(), never sleep(3).
 *    Told to stop, it cleans up and returns task_stopped().  Nobody kills a thread: what does not look is not stopped.
 *  - Several threads run tasks at the same time, also of the same name: shared state needs a lock.  A context belongs
 *    to the thread it was given to, and ends with the function.
 *  - All text is UTF-8; bytes that are not become U+FFFD.
 */
#ifndef JOBSCHED_TASK_H
#define JOBSCHED_TASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when something below changes in a way that old objects would not survive: the worker refuses them then. */
#define JOBSCHED_TASK_ABI	2

/* Largest result, bytes of compact JSON; a larger one fails the run for good with reason result_too_large. */
#define TASK_RESULT_MAX		((size_t) 1024 * 1024)

struct task_context;

/* payload: borrowed, valid until the function returns; NULL with TASK_PAYLOAD_AS_TEXT. */
typedef int (*task_function)(struct task_context *task, const json_t *payload);

enum task_flags {
	/* The payload is not parsed: the function reads task_payload_text().  Exact for numbers that a double is not. */
	TASK_PAYLOAD_AS_TEXT = 1
};

/* `abi` stays the first member in all versions, so that a worker can tell. */
struct task_definition {
	unsigned abi;			/* JOBSCHED_TASK_ABI */
	const char *name;		/* as jobs name it: 1..255 bytes of UTF-8, no control characters; known once only */
	task_function run;
	const char *summary;	/* one sentence for --list-tasks */
	unsigned flags;			/* of enum task_flags, or'ed */
};

/* ---- registering it ---- */

/*
 * JOBSCHED_TASK("name", .run = function, .summary = "...", .flags = ...); at file scope, as often as there are tasks,
 * in the worker's own sources as in a shared object.  Members in the order of the struct, for C++.
 */
#define JOBSCHED_TASK(task_name_, ...)	JOBSCHED_TASK_AT_(__COUNTER__, task_name_, __VA_ARGS__)

/* The rest is the macro's. */
struct task_registration {
	const struct task_definition *definition;
	struct task_registration *next;
};
void jobsched_task_register(struct task_registration *registration);

#define JOBSCHED_TASK_AT_(n, ...)	JOBSCHED_TASK_NAMED_(n, __VA_ARGS__)
#define JOBSCHED_TASK_NAMED_(n, task_name_, ...) \
	static const struct task_definition jobsched_task_##n = { \
		.abi = JOBSCHED_TASK_ABI, .name = task_name_, __VA_ARGS__ \
	}; \
	static struct task_registration jobsched_registration_##n = { &jobsched_task_##n, NULL }; \
	__attribute__((constructor)) static void jobsched_register_##n(void) \
	{ \
		jobsched_task_register(&jobsched_registration_##n); \
	} \
	struct task_context

/* ---- what is known about the run: borrowed, valid until the function returns ---- */

const char *task_name(const struct task_context *task);
const char *task_job_id(const struct task_context *task);		/* a UUID, lower case */
const char *task_run_at(const struct task_context *task);		/* nominal time, RFC 3339 in UTC; kept by retries */
const char *task_idempotency_key(const struct task_context *task);	/* "job_id/run_at" */
const char *task_payload_text(const struct task_context *task);	/* the payload as JSON text */
int task_attempt(const struct task_context *task);			/* 1 for the first start of this run */
int task_failures(const struct task_context *task);			/* attempts that failed so far; lost workers do not count */
int task_max_retries(const struct task_context *task);		/* failures allowed before the last one */

/* Seconds until the run's time is up, 0 when it is; negative when there is no limit. */
double task_time_left(const struct task_context *task);

/* True when the task should stop: its job was cancelled, its time is up, or the run is no longer this worker's. */
bool task_cancelled(const struct task_context *task);

/* Sleeps; returns false at once when the task should stop, true when all of the time has passed. */
bool task_wait(struct task_context *task, double seconds);

/* ---- what it leaves behind ---- */

enum task_log_level { TASK_LOG_DEBUG, TASK_LOG_INFO, TASK_LOG_WARNING, TASK_LOG_ERROR };

/* One line in the worker's log, with task, job and attempt.  No secrets. */
void task_log(struct task_context *task, enum task_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Stores bytes in the blob store and lists them in the execution's artifacts.  Names: 1..100 of A-Z a-z 0-9 . _ -, not
 * starting with a dot, each once a run.  The data may be freed afterwards.  Returns 0; or -1, and then
 * task_artifact_error() says why.  When it returns 0 the bytes are safe (synced), whatever becomes of the run.
 */
int task_artifact(struct task_context *task, const char *name, const char *content_type, const void *data, size_t size);
const char *task_artifact_error(const struct task_context *task);

/* ---- how it ends ---- */

/* Success.  Takes over the reference to result; NULL (also what json_pack gives on error) is the result null. */
int task_succeed(struct task_context *task, json_t *result);

/* Success with a result that is JSON text already: copied, and checked by the database only. */
int task_succeed_text(struct task_context *task, const char *json);

/* Failure; tried again while the job has retries left, after the job's own delay. */
int task_fail(struct task_context *task, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same with the task's own delay, seconds (0 or more). */
int task_fail_after(struct task_context *task, double seconds, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Failure for good, for what another attempt cannot heal.  reason: a short word, such as bad_payload; NULL: "error". */
int task_fail_for_good(struct task_context *task, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The task ended because task_cancelled() or task_wait() said so. */
int task_stopped(struct task_context *task);

#ifdef __cplusplus
}
#endif

#endif
