/*
 * jobsched_task.h: write a task for the jobsched worker.
 *
 * A task is a C function with a name.  The worker calls it for every run of a job with that name, on one of its threads,
 * or, with TASK_ISOLATION=process, in a process of its own:
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
 *    A process is killed TASK_GRACE seconds later.
 *  - Several threads run tasks at the same time, also of the same name: shared state needs a lock.  A context belongs
 *    to the thread it was given to, and ends with the function.  In a process of its own a task sees the state that its
 *    object had when it was loaded, or that a run before it left there; what it changes ends with the process.  Threads
 *    that the object started while it was loaded are not there: tasks start what they need.
 *  - All text is UTF-8; bytes that are not become U+FFFD.
 */
#ifndef JOBSCHED_TASK_H
#define JOBSCHED_TASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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
	TASK_PAYLOAD_AS_TEXT = 1,
	/* It runs on a thread of the worker also with TASK_ISOLATION=process: for what starts a process itself. */
	TASK_ON_A_THREAD = 2
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
const char *task_traceparent(const struct task_context *task);	/* W3C Trace Context of whoever submitted the job; NULL: none */
int task_attempt(const struct task_context *task);			/* 1 for the first start of this run */
int task_failures(const struct task_context *task);			/* attempts that failed so far; lost workers do not count */
int task_max_retries(const struct task_context *task);		/* failures allowed before the last one */

/* The number of the last attempt if this one and all that follow fail; more when workers are lost. */
int task_max_attempts(const struct task_context *task);

/* When this attempt started, and when its time is up (negative: there is no limit): seconds since 1970, UTC. */
double task_started_at(const struct task_context *task);
double task_deadline(const struct task_context *task);

/* Seconds until then, 0 when it is over; negative when there is no limit.  A clock that is set does not matter. */
double task_time_left(const struct task_context *task);

/* True when the task should stop: its job was cancelled, its time is up, or the run is no longer this worker's. */
bool task_cancelled(struct task_context *task);

/* Sleeps; returns false at once when the task should stop, true when all of the time has passed. */
bool task_wait(struct task_context *task, double seconds);

/* ---- what it leaves behind ---- */

enum task_log_level { TASK_LOG_DEBUG, TASK_LOG_INFO, TASK_LOG_WARNING, TASK_LOG_ERROR };

/* One line in the worker's log, with task, job and attempt.  No secrets. */
void task_log(struct task_context *task, enum task_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * How far it is: percent 0..100 (negative: unknown) and a few words (cut after 200 characters; may be NULL).  Shown in
 * jobsched.runs within about a second, while the task runs.  Call it as often as you like: ten a second are passed on.
 */
void task_progress(struct task_context *task, double percent, const char *text);

/* ---- artifacts: bytes in the blob store ---- */

/* Below 0 is failure, and then task_artifact_error() says why. */
enum task_artifact_result {
	TASK_ARTIFACT_OK = 0,
	TASK_ARTIFACT_FAILED = -1,	/* another attempt may succeed: the store is away, the disk is full */
	TASK_ARTIFACT_REFUSED = -2,	/* it will not: a name that is not allowed or there already, a wrong secret */
	TASK_ARTIFACT_MISSING = -3,	/* nothing of that name or key */
	TASK_ARTIFACT_STOPPED = -4	/* the task should stop */
};

const char *task_artifact_error(const struct task_context *task);

/*
 * Stores bytes and lists them in the execution's artifacts.  Names: 1..100 of A-Z a-z 0-9 . _ -, not starting with a
 * dot, each once a run.  content_type NULL: application/octet-stream.  When it returns 0 the bytes are safe (synced, or
 * confirmed by the server), whatever becomes of the run; nobody ever sees a part of them.
 */
int task_artifact(struct task_context *task, const char *name, const char *content_type, const void *data, size_t size);

/* The same with the bytes of a file, from its beginning to its end. */
int task_artifact_file(struct task_context *task, const char *name, const char *content_type, const char *path);

/*
 * The same piece by piece, of any size, in little memory.  A writer ends with commit, which frees it whatever it
 * returns, or with abort (NULL is allowed); what is open when the function returns is aborted.  A piece that fails makes
 * commit fail.
 */
struct task_writer;
int task_writer_open(struct task_context *task, const char *name, const char *content_type,
					 struct task_writer **writer);
int task_writer_write(struct task_writer *writer, const void *data, size_t size);
int task_writer_commit(struct task_writer *writer);
void task_writer_abort(struct task_writer *writer);

/*
 * Reads an artifact from its beginning: one that this attempt has stored, by its name; or any, by its key as it stands
 * in an execution's artifacts (a key that comes from a payload is the submitter's choice: check it).  task_reader_read
 * returns the number of bytes (1..size), 0 at the end, or a negative result; close takes NULL too, and happens by itself
 * in the end.
 */
struct task_reader;
int task_reader_open(struct task_context *task, const char *name_or_key, struct task_reader **reader);
uint64_t task_reader_size(const struct task_reader *reader);	/* bytes of the whole artifact */
ssize_t task_reader_read(struct task_reader *reader, void *buf, size_t size);
void task_reader_close(struct task_reader *reader);

/* ---- what lies beneath a failure ---- */

/*
 * Functions that a task calls name what went wrong, from the inside out, and the failure is recorded with all of it:
 *
 *	if (connect(...) < 0)
 *		return task_cause(task, "connect to %s: %s", host, strerror(errno));
 *	...
 *	if (open_mirror(task) < 0)
 *		return task_cause(task, "mirror %s cannot be used", host);
 *	...
 *	return task_fail(task, "the page could not be fetched");
 *
 *	the page could not be fetched
 *	caused by: mirror a.example cannot be used (fetch_page, fetch.c:120)
 *	caused by: connect to a.example: Connection refused (open_mirror, fetch.c:45)
 *
 * It is like printf and returns -1.  At most 1,023 bytes of a cause, the 32 innermost and 8,192 bytes of all are kept.
 */
#define task_cause(task, ...)	task_cause_at(task, __FILE__, __LINE__, __func__, __VA_ARGS__)
int task_cause_at(struct task_context *task, const char *file, int line, const char *function, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Forgets them: another way has worked.  Success and task_stopped() do so too. */
void task_causes_clear(struct task_context *task);

/* ---- how it ends ---- */

/*
 * Success.  Takes over the reference to result.  For no result give json_null(): NULL is what json_pack gives for text
 * that is not UTF-8, and fails the run for good with reason bad_result.
 */
int task_succeed(struct task_context *task, json_t *result);

/* Success with a result that is JSON text already: copied; its syntax is checked by the database only. */
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
