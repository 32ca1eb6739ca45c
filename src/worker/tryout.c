/*
 * tryout.c: jobsched-worker --run.
 *
 * The task gets a run that looks like the first attempt of a job just submitted, with a random id: its artifacts go to
 * the blob store under that.
 */
#include "tryout.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "pool.h"
#include "registry.h"
#include "task.h"
#include "thread.h"

#define RETRIES 3 /* the default of jobsched.submit */

struct tryout {
	struct pool pool;
	struct pool_slot slot;
	struct dispatch dispatch;
	struct run run;
	char job_id[UUID_TEXT_SIZE];
	char run_at[CLOCK_TEXT_SIZE];
	int over; /* eventfd */
};

static char *
read_input(void)
{
	char *text = NULL;
	size_t size = 0;

	/* JSON holds no NUL, so that this reads to the end of the file. */
	if (getdelim(&text, &size, '\0', stdin) < 0) {
		free(text);
		return strdup("");
	}
	return text;
}

static void *
task_main(void *arg)
{
	struct tryout *t = arg;

	task_execute(&t->run, &t->slot);
	eventfd_write(t->over, 1);
	return NULL;
}

/* Until the task has ended. */
static void
wait_for_end(struct tryout *t, int signals)
{
	struct pollfd fds[2] = {{.fd = t->over, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
	struct signalfd_siginfo info;

	while (!(fds[0].revents & POLLIN)) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		while (read(signals, &info, sizeof(info)) == (ssize_t) sizeof(info)) {
			if (atomic_fetch_or(&t->run.stop, (unsigned) RUN_STOP_CANCELLED))
				_exit(128 + (int) info.ssi_signo);
			fprintf(stderr, "jobsched-worker: telling the task to stop\n");
			pool_wake(&t->slot);
		}
	}
}

static int
report(struct outcome *out)
{
	json_t *artifacts = out->artifacts ? json_loads(out->artifacts, 0, NULL) : NULL, *entry;
	size_t i;

	json_array_foreach(artifacts, i, entry) fprintf(stderr, "jobsched-worker: artifact %s, %lld bytes, key %s\n",
	        json_string_value(json_object_get(entry, "name")),
	        (long long) json_integer_value(json_object_get(entry, "size")),
	        json_string_value(json_object_get(entry, "key")));
	json_decref(artifacts);

	switch (out->end) {
	case RUN_SUCCEEDED:
		puts(out->result ? out->result : "null");
		return 0;
	case RUN_FAILED:
		fprintf(stderr, "jobsched-worker: failed (%s), would be tried again%s: %s\n", out->reason,
		        out->retry_us >= 0 ? " after its own delay" : "", out->error ? out->error : "");
		return EX_TEMPFAIL;
	case RUN_PERMANENT:
		fprintf(stderr, "jobsched-worker: failed for good (%s): %s\n", out->reason,
		        out->error ? out->error : "");
		return 1;
	case RUN_CANCELLED:
		fprintf(stderr, "jobsched-worker: stopped\n");
		return 1;
	}
	return 1;
}

static int
refuse(const char *what, const char *why)
{
	fprintf(stderr, "jobsched-worker: %s: %s\n", what, why);
	return 2;
}

int
tryout_run(const struct settings *settings, struct blob_store *blobs, struct keeper *keeper, int signals,
        const char *name, const char *payload)
{
	static struct tryout t;
	struct error err = {""};
	char names[512], *input = NULL;
	json_error_t problem;
	json_t *parsed;
	int code = 1;

	if (strcmp(payload, "-") == 0)
		payload = input = read_input();
	parsed = payload ? json_loads(payload, JSON_DECODE_ANY, &problem) : NULL;
	if (!parsed) {
		code = refuse("the payload is no JSON", payload ? problem.text : "out of memory");
		goto out;
	}
	json_decref(parsed);

	t.run = (struct run){
	        .dispatch = &t.dispatch,
	        .job_id = t.job_id,
	        .run_at = t.run_at,
	        .name = name,
	        .payload = payload,
	        .timeout = settings->task_timeout,
	        .attempt = 1,
	        .max_retries = RETRIES,
	        .task = registry_find(name),
	        .state = RUN_RUNNING,
	        .slot = &t.slot,
	        .deadline_us = INT64_MAX,
	        .out = {.retry_us = -1},
	};
	if (t.run.task < 0) {
		code = refuse(name, "no such task; known are:");
		fprintf(stderr, "%s\n", registry_names(names, sizeof(names)));
		goto out;
	}
	clock_format(clock_realtime_us(), 6, t.run_at);
	if (uuid_v4_text(t.job_id) < 0 || uuid_v4_text(t.dispatch.token) < 0) {
		code = refuse("random numbers", strerror(errno));
		goto out;
	}
	t.pool.blobs = blobs;
	t.pool.keeper = keeper;
	if (pool_slot_init(&t.slot, &t.pool, &err) < 0) {
		code = refuse(name, err.msg);
		goto out;
	}
	t.over = eventfd(0, EFD_CLOEXEC);
	t.run.started_us = clock_boottime_us();
	if (t.run.timeout > 0)
		t.run.deadline_us = t.run.started_us + (int64_t) (t.run.timeout * 1e6);
	if (t.over < 0 || thread_start(&t.slot.thread, "task", task_main, &t, &err) < 0) {
		code = refuse(name, t.over < 0 ? strerror(errno) : err.msg);
		goto out;
	}
	wait_for_end(&t, signals);
	pthread_join(t.slot.thread, NULL);
	code = report(&t.run.out);
	runs_free_outcome(&t.run.out);
	pool_slot_free(&t.slot);
out:
	free(input);
	return code;
}
