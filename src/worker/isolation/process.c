/*
 * process.c: a run in a child, as the pool thread sees it that looks after the run.
 *
 * It sends the request and serves the child until that has a result or has ended.  Told to stop, or over its time, the
 * task gets TASK_GRACE; then the child is killed.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clerk.h"
#include "clock.h"
#include "frames.h"
#include "keeper.h"
#include "log.h"
#include "protocol.h"

#define DEAD_US (10 * CLOCK_US_PER_SECOND) /* a killed child is dead by then, or the server is not to be trusted */
#define SILENT_US (10 * CLOCK_US_PER_SECOND) /* a server that brings neither a child nor a reason why not */
#define SOCKET_US CLOCK_US_PER_SECOND /* a process that closes its socket is ending, or cannot be of use */
#define WORD_US (3 * CLOCK_US_PER_SECOND) /* the guard looks once a second */

/* Why the child was killed. */
enum killed {
	KILLED_NOT,
	KILLED_TOLD, /* it did not stop */
	KILLED_OVERTIME, /* the same */
	KILLED_SILENT, /* its socket was closed */
	KILLED_UNCLEAR /* what it sent cannot be a task's */
};

struct process {
	struct task_context *task; /* with the worker's own host */
	struct keeper *keeper;
	struct keeper_child child;
	struct frames frames;
	int64_t stop_us; /* when it was told to stop or its time was up; INT64_MAX: not yet */
	bool told; /* FRAME_STOP is to be sent, or was */
	bool told_sent;
	bool mute; /* nothing can be sent any more */
	int64_t deaf_us; /* when its socket ended; 0: not yet */
	enum killed killed;
	int64_t killed_us;
	struct clerk clerk;
};

static int64_t
grace_us(const struct process *p)
{
	return (int64_t) (keeper_settings(p->keeper)->task_grace * 1e6);
}

static void
kill_child(struct process *p, enum killed why)
{
	if (p->killed)
		return;
	p->killed = why;
	p->killed_us = clock_boottime_us();
	keeper_kill(p->keeper, &p->child);
}

/* ---- waiting ---- */

/* Looks at the clock and at the stop flag.  Returns when to look again; INT64_MAX: when something happens. */
static int64_t
watch(struct process *p)
{
	int64_t now_us = clock_boottime_us(), kill_us = INT64_MAX;
	enum killed why = KILLED_NOT;

	if (!p->told && p->task->host->told(p->task)) {
		p->told = true;
		if (p->stop_us > now_us)
			p->stop_us = now_us;
	}
	if (p->stop_us == INT64_MAX && now_us >= p->task->deadline_us)
		p->stop_us = p->task->deadline_us; /* the child has noticed by itself */
	if (p->killed)
		return p->killed_us + DEAD_US;
	if (p->stop_us != INT64_MAX) {
		kill_us = p->stop_us + grace_us(p);
		why = p->told ? KILLED_TOLD : KILLED_OVERTIME;
	}
	if (p->deaf_us && p->deaf_us + SOCKET_US < kill_us) {
		kill_us = p->deaf_us + SOCKET_US;
		why = KILLED_SILENT;
	}
	if (now_us < kill_us)
		return p->stop_us == INT64_MAX && p->task->deadline_us < kill_us ? p->task->deadline_us : kill_us;
	kill_child(p, why);
	return p->killed_us + DEAD_US;
}

/* Until fd (-1: none) is ready, the bell rings, or until_us. */
static void
wait_until(const struct process *p, int fd, short events, int64_t until_us)
{
	struct pollfd fds[2] = {{.fd = p->child.wake_fd, .events = POLLIN}, {.fd = fd, .events = events}};
	int64_t left_us = until_us - clock_boottime_us();
	struct timespec left = {0, 0};
	eventfd_t rung;

	if (left_us > 0 && until_us != INT64_MAX)
		left = (struct timespec){
		        (time_t) (left_us / CLOCK_US_PER_SECOND), (long) (left_us % CLOCK_US_PER_SECOND) * 1000};
	if (ppoll(fds, 2, until_us == INT64_MAX ? NULL : &left, NULL) > 0 && (fds[0].revents & POLLIN))
		eventfd_read(p->child.wake_fd, &rung);
}

/* For frames_send: gives up when the child has ended or was killed. */
static bool
wait_for_child(void *arg, short events)
{
	struct process *p = arg;
	int64_t until_us = watch(p);

	if (p->killed || keeper_ended(p->keeper, &p->child))
		return false;
	wait_until(p, p->child.fd, events, until_us);
	return true;
}

static void
send_frame(void *arg, enum frame_type type, const struct iovec *parts, int n)
{
	struct process *p = arg;

	/* When this fails its end comes soon, and says more. */
	if (!p->mute && frames_send(&p->frames, type, parts, n) < 0)
		p->mute = true;
}

/* ---- the run ---- */

static void
send_run(struct process *p)
{
	const struct task_context *task = p->task;
	struct frame_run run = {
	        .attempt = task->attempt,
	        .failures = task->failures,
	        .max_retries = task->max_retries,
	        .timeout = task->timeout,
	        .started_us = task->started_us,
	        .deadline_us = task->deadline_us,
	        .name_size = (uint32_t) strlen(task->name) + 1,
	        .payload_size = (uint32_t) strlen(task->payload) + 1,
	};
	struct iovec parts[] = {
	        {&run, sizeof(run)}, {(void *) task->name, run.name_size}, {(void *) task->payload, run.payload_size}};

	snprintf(run.job_id, sizeof(run.job_id), "%s", task->job_id);
	memcpy(run.run_at, task->run_at, sizeof(run.run_at));
	snprintf(run.traceparent, sizeof(run.traceparent), "%s", task->traceparent ? task->traceparent : "");
	send_frame(p, FRAME_RUN, parts, 3);
}

/* False: the task should stop before there is a child. */
static bool
wait_for_arrival(struct process *p)
{
	while (!keeper_arrived(p->keeper, &p->child)) {
		int64_t now_us = clock_boottime_us(), silent_us = keeper_heard_us(p->keeper) + SILENT_US;

		if (task_cancelled(p->task))
			return false;
		if (now_us >= silent_us)
			keeper_distrust(p->keeper, "it brings no process for a run");
		else
			wait_until(p, -1, 0, silent_us < p->task->deadline_us ? silent_us : p->task->deadline_us);
	}
	return true;
}

/* One frame, of what is there.  Returns false when there is none. */
static bool
serve_one(struct process *p)
{
	struct frame frame;

	if (p->deaf_us || p->killed == KILLED_UNCLEAR)
		return false;
	switch (frames_look(&p->frames, &frame)) {
	case FRAMES_ONE:
		if (!clerk_serve(&p->clerk, &frame))
			kill_child(p, KILLED_UNCLEAR);
		return true;
	case FRAMES_BAD:
		kill_child(p, KILLED_UNCLEAR);
		return false;
	case FRAMES_END:
		p->deaf_us = clock_boottime_us();
		return false;
	case FRAMES_NONE:
		break;
	}
	return false;
}

/* Until the task has said how it ended: true; or its process has ended without that. */
static bool
serve(struct process *p)
{
	for (;;) {
		/* Asked first: what it has sent is there then. */
		bool ended = keeper_ended(p->keeper, &p->child), served = serve_one(p);
		int64_t until_us = watch(p);

		if (p->task->verdict != TASK_SAID_NOTHING)
			return true;
		if (p->told && !p->told_sent) {
			p->told_sent = true;
			send_frame(p, FRAME_STOP, NULL, 0);
		}
		if (served)
			continue;
		if (ended)
			return false;
		if (p->killed && clock_boottime_us() >= p->killed_us + DEAD_US) {
			keeper_distrust(p->keeper, "a task that was killed does not end");
			return false;
		}
		wait_until(p, p->deaf_us ? -1 : p->child.fd, POLLIN, until_us);
	}
}

/* ---- its end without a result ---- */

/* What its process used, when that is limited; "" else. */
static const char *
memory_used(const struct process *p, char *buf, size_t size)
{
	long limit = keeper_settings(p->keeper)->max_memory;

	buf[0] = '\0';
	if (limit > 0)
		snprintf(buf, size, "; TASK_MAX_MEMORY is %ld MiB, at most %lld MiB were resident", limit,
		        (long long) (p->child.end.peak_kib / 1024));
	return buf;
}

static void
conclude_signal(const struct process *p)
{
	const struct control_end *end = &p->child.end;
	const struct settings *settings = keeper_settings(p->keeper);
	long cpu = settings->max_cpu;
	int number = WTERMSIG(end->status);
	char how[KEEPER_HOW_SIZE], memory[128];

	keeper_describe(end->status, how, sizeof(how));
	/* With runs before this one in the process nobody knows what this one has used. */
	if (cpu > 0 &&
	        (number == SIGXCPU ||
	                (number == SIGKILL && settings->runs_per_process == 1 &&
	                        end->cpu_us >= cpu * CLOCK_US_PER_SECOND)))
		task_refuse(p->task, TASK_CRASHED, "cpu_limit", "%s; TASK_MAX_CPU is %ld s", how, cpu);
	else if (p->killed == KILLED_SILENT)
		task_refuse(p->task, TASK_CRASHED, "bad_answer",
		        "the task's process has closed its socket to the worker, and was killed");
	else
		task_refuse(p->task, TASK_CRASHED, "signal", "%s%s%s", how,
		        number == SIGKILL ? ", not by the worker: the kernel does so when memory is out" : "",
		        memory_used(p, memory, sizeof(memory)));
}

/* The worker moves again: it will say presently that its lease is over, and then this is no failure. */
static void
wait_for_word(const struct process *p)
{
	int64_t until_us = clock_boottime_us() + WORD_US;

	while (!p->task->host->told(p->task) && clock_boottime_us() < until_us)
		wait_until(p, -1, 0, until_us);
}

static void
conclude(const struct process *p)
{
	const struct settings *settings = keeper_settings(p->keeper);
	const struct control_end *end = &p->child.end;
	char how[KEEPER_HOW_SIZE], memory[128];

	if (p->killed == KILLED_TOLD) {
		task_stopped(p->task);
	} else if (p->killed == KILLED_OVERTIME) {
		task_refuse(p->task, TASK_CRASHED, "timeout",
		        "the time limit of %g s is over; the task did not stop within %g s more, and was killed",
		        p->task->timeout, settings->task_grace);
	} else if (p->killed == KILLED_UNCLEAR) {
		task_refuse(p->task, TASK_CRASHED, "bad_answer",
		        "the task's process sent what no task sends, and was killed");
	} else if (p->child.lost) {
		task_refuse(p->task, TASK_CRASHED, "server_lost",
		        "the task server has ended (%s), and the task's process with it", p->child.server_end);
	} else if (end->reason == CONTROL_LAPSED) {
		wait_for_word(p);
		task_refuse(p->task, TASK_CRASHED, "lease_lost",
		        "the worker stood still when its lease ran out, and the task was killed");
	} else if (end->reason == CONTROL_PROCESSES) {
		task_refuse(p->task, TASK_CRASHED, "process_limit",
		        "killed: it had started %d processes that ran at the same time; TASK_MAX_PROCESSES is %ld",
		        end->processes, settings->max_processes);
	} else if (WIFSIGNALED(end->status)) {
		conclude_signal(p);
	} else {
		task_refuse(p->task, TASK_CRASHED, "exit_code", "the task ended its process without a result, %s%s",
		        keeper_describe(end->status, how, sizeof(how)), memory_used(p, memory, sizeof(memory)));
	}
}

void
process_call(struct task_context *task, struct keeper *k, int wake_fd)
{
	struct process p = {.task = task, .keeper = k, .stop_us = INT64_MAX};
	bool again = false;

	p.clerk = (struct clerk){.task = task, .notes = keeper_notes(k), .send = send_frame, .arg = &p};
	keeper_take(k, &p.child, wake_fd);
	if (wait_for_arrival(&p)) {
		frames_open(&p.frames, p.child.fd, FRAME_FROM_CHILD, wait_for_child, &p);
		send_run(&p);
		if (!serve(&p))
			conclude(&p);
		/* Nothing is left over from this run that the next one could take for its own. */
		again = p.clerk.more && !p.killed && !p.mute && p.frames.start == p.frames.end;
		frames_free(&p.frames);
	} else {
		task_stopped(task);
	}
	clerk_close(&p.clerk);
	if (again)
		keeper_return(k, &p.child);
	else
		keeper_release(k, &p.child);
}
