/*
 * exec_lines.c: processes that serve many runs, one at a time each: a line of JSON in, a line of JSON out.
 *
 * A run takes an idle process of its command's pool, the one used last, or starts one; when the entry's limit is
 * reached it waits.  Only a process that has answered, and said nothing else, goes back.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "exec.h"
#include "exec_answer.h"
#include "exec_talk.h"
#include "log.h"
#include "task_context.h"
#include "utf8.h"

#define ENVELOPE 65536 /* bytes of an answer beside its result: traceback and the like */
#define LOOK_NS 100000000 /* how often a waiting run looks at its cancel flag */
#define SHOWN 200 /* bytes that are logged of what came unasked */
#define FAREWELL_US CLOCK_US_PER_SECOND /* for idle processes when the worker ends */

struct server {
	struct server *next; /* lock */
	struct exec_process process;
	long long runs; /* requests so far: the id of the last */
};

struct exec_pool {
	const struct exec_command *command;
	const struct exec_guard *guard;
	pthread_mutex_t lock;
	pthread_cond_t change; /* idle or n changed */
	struct server *idle; /* lock: used last, first */
	int n; /* lock: processes, idle or not */
};

struct exec_pool *
exec_pool_new(const struct exec_command *command, const struct exec_guard *guard)
{
	struct exec_pool *pool = calloc(1, sizeof(*pool));
	pthread_condattr_t attr;

	if (!pool)
		return NULL;
	pool->command = command;
	pool->guard = guard;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->change, &attr);
	pthread_condattr_destroy(&attr);
	return pool;
}

/* ---- one process ---- */

static bool
readable(int fd, int milliseconds)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&p, 1, milliseconds) > 0;
}

/* Logs what is there on fd, its beginning. */
static void
log_unasked(const struct server *server, int fd, enum log_level level, const char *event)
{
	char text[SHOWN], clean[UTF8_CLEAN_SIZE(SHOWN)], waste[4096];
	ssize_t got = read(fd, text, sizeof(text));

	if (got <= 0)
		return;
	utf8_clean(text, (size_t) got, clean);
	log_event(level, event, "pid", LOG_NUM(server->process.pid), "text", clean, NULL);
	for (int i = 0; i < 64 && read(fd, waste, sizeof(waste)) > 0; i++)
		;
}

/* It sees the end of its input, and may end by itself until then. */
static void
end_server(struct server *server, int64_t until_us)
{
	int64_t left_us;

	if (server->process.in >= 0) {
		close(server->process.in);
		server->process.in = -1;
	}
	left_us = until_us - clock_boottime_us();
	readable(server->process.pidfd, left_us > 0 ? (int) (left_us / 1000) + 1 : 0);
	log_unasked(server, server->process.err, LOG_LEVEL_INFO, "a command's process wrote between runs");
	exec_process_kill(&server->process);
	free(server);
}

/* Is it alive and silent?  Else it is ended here. */
static bool
check_server(struct server *server)
{
	struct exec_process *p = &server->process;
	char how[64];

	if (readable(p->err, 0))
		log_unasked(server, p->err, LOG_LEVEL_INFO, "a command's process wrote between runs");
	if (readable(p->pidfd, 0)) {
		pid_t pid = p->pid;

		exec_process_describe(exec_process_kill(p), how, sizeof(how));
		log_event(LOG_LEVEL_WARNING, "a command's process ended between runs", "pid", LOG_NUM(pid), "how", how,
		        NULL);
		free(server);
		return false;
	}
	if (readable(p->out, 0)) {
		log_unasked(server, p->out, LOG_LEVEL_WARNING,
		        "a command's process answered without being asked, it is ended");
		exec_process_kill(p);
		free(server);
		return false;
	}
	return true;
}

static struct server *
start_server(struct exec_pool *pool, struct error *err)
{
	struct server *server = calloc(1, sizeof(*server));
	char **environment = exec_environment(pool->command, NULL);
	int rc = -1;

	if (!server || !environment)
		error_set(err, "out of memory");
	else
		rc = exec_process_start(&server->process, pool->command, environment, SIGTERM, pool->guard, err);
	exec_environment_free(environment);
	if (rc == 0) {
		log_event(LOG_LEVEL_INFO, "a command's process has started", "command", pool->command->name, "pid",
		        LOG_NUM(server->process.pid), NULL);
		return server;
	}
	free(server);
	return NULL;
}

/* ---- the pool ---- */

static void
wait_for_change_locked(struct exec_pool *pool)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&pool->change, &pool->lock, &until);
}

/* An idle process, or the right to start one: then NULL and *start.  Neither: the task should stop. */
static struct server *
take(struct exec_pool *pool, struct task_context *task, bool *start)
{
	int limit = pool->command->processes;
	struct server *server;

	*start = false;
	pthread_mutex_lock(&pool->lock);
	while (!pool->idle && limit > 0 && pool->n >= limit && !task_cancelled(task))
		wait_for_change_locked(pool);
	server = pool->idle;
	if (server) {
		pool->idle = server->next;
	} else if (limit == 0 || pool->n < limit) {
		pool->n++;
		*start = true;
	}
	pthread_mutex_unlock(&pool->lock);
	return server;
}

/* One is idle, or (NULL) one is gone. */
static void
give_back(struct exec_pool *pool, struct server *server)
{
	pthread_mutex_lock(&pool->lock);
	if (server) {
		server->next = pool->idle;
		pool->idle = server;
	} else {
		pool->n--;
	}
	pthread_cond_signal(&pool->change);
	pthread_mutex_unlock(&pool->lock);
}

/* NULL without a message: the task should stop. */
static struct server *
obtain(struct exec_pool *pool, struct task_context *task, struct error *err)
{
	struct server *server;
	bool start;

	while ((server = take(pool, task, &start))) {
		if (check_server(server))
			return server;
		give_back(pool, NULL);
	}
	if (!start)
		return NULL;
	server = start_server(pool, err);
	if (!server)
		give_back(pool, NULL);
	return server;
}

void
exec_pool_free(struct exec_pool *pool)
{
	int64_t until_us = clock_boottime_us() + FAREWELL_US;
	struct server *next;

	for (struct server *server = pool->idle; server; server = server->next) {
		close(server->process.in);
		server->process.in = -1;
	}
	for (struct server *server = pool->idle; server; server = next) {
		next = server->next;
		end_server(server, until_us);
	}
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->change);
	free(pool);
}

/* ---- a run ---- */

static char *
make_request(const struct exec_command *command, struct task_context *task, const char *name, const char *payload,
        long long id)
{
	char deadline[CLOCK_TEXT_SIZE], *line;
	double left;
	json_t *head = json_pack("{s:I, s:s, s:s, s:s, s:s, s:i, s:i, s:i}", "id", (json_int_t) id, "task", name,
	        "job_id", task_job_id(task), "run_at", task_run_at(task), "idempotency_key", task_idempotency_key(task),
	        "attempt", task_attempt(task), "failures", task_failures(task), "max_retries", task_max_retries(task));

	if (head && task_traceparent(task))
		json_object_set_new(head, "traceparent", json_string(task_traceparent(task)));
	if (head && exec_deadline(command, task, &left, deadline)) {
		json_object_set_new(head, "deadline", json_string(deadline));
		json_object_set_new(head, "time_left", json_real(left));
	}
	line = head ? exec_answer_request(head, payload) : NULL;
	json_decref(head);
	return line;
}

/* A short word of letters, digits and underscores; anything else would not be one. */
static const char *
reason_word(const char *reason)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

	return reason && *reason && strlen(reason) < 32 && strspn(reason, letters) == strlen(reason) ? reason : NULL;
}

static int
report(struct task_context *task, const struct exec_command *command, const struct exec_answer *answer)
{
	const char *newline = answer->traceback && *answer->traceback ? "\n" : "";
	const char *traceback = answer->traceback ? answer->traceback : "";

	if (answer->result && strlen(answer->result) > command->max_result)
		return task_fail_for_good(task, "result_too_large", "the result is %zu bytes of JSON, more than %zu",
		        strlen(answer->result), command->max_result);
	if (answer->result)
		return task_succeed_text(task, answer->result);
	if (!answer->retry)
		return task_fail_for_good(
		        task, reason_word(answer->reason), "%s%s%s", answer->error, newline, traceback);
	if (answer->retry_after >= 0)
		return task_fail_after(task, answer->retry_after, "%s%s%s", answer->error, newline, traceback);
	return task_fail(task, "%s%s%s", answer->error, newline, traceback);
}

/* The process has not answered. */
static int
judge(struct task_context *task, const struct exec_talk *talk, int status)
{
	char *text = exec_talk_errors(talk), how[64];
	const char *errors = text ? text : "", *colon = *errors ? ": " : "";
	int rc;

	exec_process_describe(status, how, sizeof(how));
	if (talk->failed)
		rc = task_fail(task, "out of memory");
	else if (talk->stop == EXEC_TOO_LARGE)
		rc = task_fail_for_good(task, "result_too_large",
		        "the answer is longer than %zu bytes: the process was ended", talk->max_output);
	else if (talk->stop == EXEC_TOLD)
		rc = task_stopped(task);
	else if (talk->stop == EXEC_OVERTIME)
		rc = task_refuse(task, TASK_FAILED, "timeout",
		        "the command's time limit of %g s is over: the process was ended%s%s", talk->command->timeout,
		        colon, errors);
	else if (talk->stop == EXEC_CLOSED)
		rc = task_refuse(task, TASK_FAILED, "bad_answer",
		        "the process closed its standard output without an answer: it was ended%s%s", colon, errors);
	else
		rc = task_refuse(task, TASK_FAILED, WIFSIGNALED(status) ? "signal" : "exit_code",
		        "the process ended before it answered, %s%s%s", how, colon, errors);
	free(text);
	return rc;
}

/* The answer, after what it says about its progress.  False: none came, and err says why when the process has not ended. */
static bool
receive(struct exec_talk *talk, long long id, struct exec_answer *answer, size_t *len, struct error *err)
{
	while (exec_talk_to_a_line(talk, len)) {
		if (exec_answer_parse(talk->output, *len, id, answer, err) < 0)
			return false;
		if (!answer->progress)
			return true;
		task_progress(talk->task, answer->percent, answer->text);
		exec_answer_free(answer);
		exec_talk_drop_line(talk, *len);
	}
	return false;
}

/* Sends the request and takes the answer.  keep: the process may serve another run. */
static int
converse(struct task_context *task, const struct exec_command *command, struct server *server, const char *request,
        bool *keep)
{
	struct exec_answer answer;
	struct exec_talk talk;
	struct error err = {""};
	size_t len = 0;
	int rc;

	exec_talk_start(&talk, task, command, &server->process, request, strlen(request));
	talk.max_output = command->max_result + ENVELOPE;
	*keep = false;
	if (receive(&talk, server->runs, &answer, &len, &err)) {
		rc = report(task, command, &answer);
		exec_answer_free(&answer);
		if (talk.output_len > len + 1)
			task_log(task, TASK_LOG_WARNING,
			        "%s: there is more on standard output than the answer, the process is ended",
			        command->name);
		else
			*keep = talk.stop == EXEC_GOES_ON && talk.input_len == 0;
		/* It answered while it was told to stop: it goes on to do so. */
		if (talk.stop != EXEC_GOES_ON)
			exec_talk_to_the_end(&talk);
	} else if (*err.msg) {
		rc = task_refuse(
		        task, TASK_FAILED, "bad_answer", "what came on standard output is no answer: %s", err.msg);
	} else {
		rc = judge(task, &talk, exec_process_reap(&server->process));
	}
	exec_talk_free(&talk);
	return rc;
}

int
exec_lines_run(struct task_context *task, struct exec_pool *pool, const char *name, const char *payload)
{
	const struct exec_command *command = pool->command;
	struct error err = {""};
	struct server *server = obtain(pool, task, &err);
	char *request;
	bool keep = true;
	int rc;

	if (!server)
		return *err.msg ? task_refuse(task, TASK_FAILED, "not_started", "%s", err.msg) : task_stopped(task);
	request = make_request(command, task, name, payload, ++server->runs);
	if (request)
		rc = converse(task, command, server, request, &keep);
	else
		rc = task_fail(task, "out of memory");
	free(request);

	if (keep && command->runs_per_process > 0 && server->runs >= command->runs_per_process) {
		end_server(server, clock_boottime_us() + (int64_t) (command->grace * 1e6));
		server = NULL;
	} else if (!keep) {
		exec_process_kill(&server->process);
		free(server);
		server = NULL;
	}
	give_back(pool, server);
	return rc;
}
