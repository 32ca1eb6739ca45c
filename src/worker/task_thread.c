/*
 * task_thread.c: a task on a thread of the worker, or in a process that a thread looks after, and what becomes of a run in the
 * end.
 */
#include "task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "artifacts.h"
#include "clock.h"
#include "isolation/isolation.h"
#include "log.h"
#include "progress.h"
#include "registry.h"
#include "task_context.h"

struct thread_task {
	struct task_context task; /* first: the host gets a pointer to it */
	struct run *run;
	struct pool_slot *slot;
	struct artifacts artifacts;
};

static struct thread_task *
of(struct task_context *task)
{
	return (struct thread_task *) task;
}

static bool
told(struct task_context *task)
{
	return atomic_load(&of(task)->run->stop) != 0;
}

static void
sleep_until(struct task_context *task, int64_t until_us)
{
	struct run *run = of(task)->run;
	struct pool_slot *slot = of(task)->slot;
	int64_t now_us = clock_boottime_us();

	pthread_mutex_lock(&slot->lock);
	while (atomic_load(&run->stop) == 0 && now_us < until_us) {
		struct timespec until;
		int64_t nanoseconds;

		clock_gettime(CLOCK_MONOTONIC, &until);
		nanoseconds = until.tv_nsec + (until_us - now_us) % CLOCK_US_PER_SECOND * 1000;
		until.tv_sec += (time_t) ((until_us - now_us) / CLOCK_US_PER_SECOND + nanoseconds / 1000000000);
		until.tv_nsec = (long) (nanoseconds % 1000000000);
		pthread_cond_timedwait(&slot->wake, &slot->lock, &until);
		now_us = clock_boottime_us();
	}
	pthread_mutex_unlock(&slot->lock);
}

static void
report_progress(struct task_context *task, double percent, const char *text)
{
	progress_report(of(task)->slot->pool->hub, of(task)->run, percent, text);
}

static int
put(struct task_context *task, const char *name, const char *content_type, const void *data, size_t size,
        struct error *err)
{
	return artifacts_put(&of(task)->artifacts, name, content_type, data, size, err);
}

static int
put_file(struct task_context *task, const char *name, const char *content_type, int fd, struct error *err)
{
	return artifacts_put_file(&of(task)->artifacts, name, content_type, fd, err);
}

static int
create(struct task_context *task, const char *name, const char *content_type, void **handle, struct error *err)
{
	struct artifact_writer *writer;
	int rc = artifacts_create(&of(task)->artifacts, name, content_type, &writer, err);

	*handle = writer;
	return rc;
}

static int
write_piece(struct task_context *task, void *handle, const void *data, size_t size, struct error *err)
{
	(void) task;
	return artifact_write(handle, data, size, err);
}

static int
commit(struct task_context *task, void *handle, struct error *err)
{
	(void) task;
	return artifact_commit(handle, err);
}

static void
give_up(struct task_context *task, void *handle)
{
	(void) task;
	artifact_abort(handle);
}

static int
open_artifact(struct task_context *task, const char *what, void **handle, uint64_t *size, struct error *err)
{
	struct blob_reader *reader;
	int rc = artifacts_open(&of(task)->artifacts, what, &reader, err);

	*handle = reader;
	*size = reader ? blob_reader_size(reader) : 0;
	return rc;
}

static ssize_t
read_piece(struct task_context *task, void *handle, void *buf, size_t size, struct error *err)
{
	(void) task;
	return blob_reader_read(handle, buf, size, err);
}

static void
close_artifact(struct task_context *task, void *handle)
{
	(void) task;
	blob_reader_close(handle);
}

static const struct task_host thread_host = {
        .told = told,
        .sleep = sleep_until,
        .progress = report_progress,
        .put = put,
        .put_file = put_file,
        .create = create,
        .write = write_piece,
        .commit = commit,
        .abort = give_up,
        .open = open_artifact,
        .read = read_piece,
        .close = close_artifact,
};

/* A blob store that waits asks this: the deadline counts too. */
static bool
should_stop(void *task)
{
	return task_cancelled(task);
}

/* What the task said, seen together with what it was told. */
static enum run_end
judge(struct run *run, struct task_context *task)
{
	bool gave_up = task->verdict == TASK_STOPPED || task->verdict == TASK_FAILED;

	if ((gave_up || task->verdict == TASK_CRASHED) && atomic_load(&run->stop)) {
		task_stopped(task);
		return RUN_CANCELLED;
	}
	if (gave_up && run->ended_us >= run->deadline_us) {
		task_refuse(task, TASK_FAILED, "timeout", "the time limit of %g s is over", run->timeout);
		return RUN_FAILED;
	}
	switch (task->verdict) {
	case TASK_SUCCEEDED:
		return RUN_SUCCEEDED;
	case TASK_FAILED_FOR_GOOD:
		return RUN_PERMANENT;
	case TASK_STOPPED:
		task_refuse(task, TASK_FAILED, NULL, "the task stopped without being told to");
		return RUN_FAILED;
	case TASK_SAID_NOTHING:
	case TASK_FAILED:
	case TASK_CRASHED:
		break;
	}
	return RUN_FAILED;
}

void
task_execute(struct run *run, struct pool_slot *slot)
{
	struct thread_task t = {
	        .task = {.host = &thread_host,
	                .name = run->name,
	                .job_id = run->job_id,
	                .payload = run->payload,
	                .traceparent = run->traceparent,
	                .attempt = run->attempt,
	                .failures = run->failures,
	                .max_retries = run->max_retries,
	                .timeout = run->timeout,
	                .started_us = run->started_us,
	                .deadline_us = run->deadline_us,
	                .out = &run->out},
	        .run = run,
	        .slot = slot,
	        .artifacts = {.store = slot->pool->blobs,
	                .job_id = run->job_id,
	                .run_at = t.task.run_at,
	                .token = run->dispatch->token,
	                .attempt = run->attempt,
	                .stop = should_stop,
	                .stop_arg = &t.task},
	};

	task_name_run(&t.task, run->run_at);
	if (run->task < 0) {
		char names[512];

		task_refuse(&t.task, TASK_FAILED_FOR_GOOD, "unknown_task",
		        "task \"%s\" is not known to this worker, which knows: %s", run->name,
		        registry_names(names, sizeof(names)));
		run->started_us = 0;
	} else if (slot->pool->keeper && !(registry_get(run->task)->flags & TASK_ON_A_THREAD)) {
		process_call(&t.task, slot->pool->keeper, slot->wake_fd);
	} else {
		task_call(&t.task, registry_get(run->task));
	}
	run->ended_us = clock_boottime_us();
	run->crashed = t.task.verdict == TASK_CRASHED;
	run->out.end = judge(run, &t.task);
	run->out.artifacts = artifacts_close(&t.artifacts);
	if (log_enabled(LOG_LEVEL_DEBUG))
		log_event(LOG_LEVEL_DEBUG, "run ended", "job", run->job_id, "attempt", LOG_NUM(run->attempt), "task",
		        run->name, "microseconds", LOG_NUM(run->started_us ? run->ended_us - run->started_us : 0),
		        "reason", run->out.reason, "error", run->out.error, run->traceparent ? "traceparent" : NULL,
		        run->traceparent, NULL);
}
