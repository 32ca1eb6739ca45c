/*
 * child.c: the process of one run: calls the task, and passes on to the worker what it says.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "frames.h"
#include "log.h"
#include "protocol.h"
#include "../blob/blob.h"
#include "../registry.h"
#include "../robots_cache.h"
#include "../task_context.h"

#define LOOK_US 1000 /* shortest time between two looks whether to stop: task_cancelled is called in loops */
#define KEPT_PART 4 /* of TASK_MAX_MEMORY: more than that part is not left to the next run */
#define SHOWN_MAX 1000 /* bytes of a name or key that are sent: what is longer is refused anyway */

struct child_task {
	struct task_context task; /* first: the host gets a pointer to it */
	struct frames frames;
	const struct child_limits *limits;
	size_t start_size; /* pages of address space, before the first run */
	long runs; /* with the one under way */
	nlink_t threads; /* as the links of /proc/self/task, before a run: a sanitizer has one of its own */
	bool told; /* to stop */
	int64_t looked_us;
};

static struct child_task *
of(struct task_context *task)
{
	return (struct child_task *) task;
}

/* Nobody is left to be told anything. */
__attribute__((noreturn)) static void
worker_has_gone(void)
{
	_exit(1);
}

static bool
wait_for_worker(void *arg, short events)
{
	struct child_task *c = arg;
	struct pollfd fd = {.fd = c->frames.fd, .events = events};

	return poll(&fd, 1, -1) >= 0 || errno == EINTR;
}

static void
say(struct child_task *c, enum frame_type type, const struct iovec *parts, int n)
{
	if (frames_send(&c->frames, type, parts, n) < 0)
		worker_has_gone();
}

/* ---- being told to stop ---- */

static void
look(struct child_task *c)
{
	enum frames_state state;
	struct frame frame;

	while ((state = frames_look(&c->frames, &frame)) == FRAMES_ONE)
		c->told = c->told || frame.type == FRAME_STOP;
	if (state != FRAMES_NONE)
		c->told = true;
	c->looked_us = clock_boottime_us();
}

static bool
told(struct task_context *task)
{
	struct child_task *c = of(task);

	if (!c->told && clock_boottime_us() >= c->looked_us + LOOK_US)
		look(c);
	return c->told;
}

static void
sleep_until(struct task_context *task, int64_t until_us)
{
	struct child_task *c = of(task);
	struct pollfd fd = {.fd = c->frames.fd, .events = POLLIN};
	int64_t left_us;

	while (!c->told && (left_us = until_us - clock_boottime_us()) > 0) {
		struct timespec left = {
		        (time_t) (left_us / CLOCK_US_PER_SECOND), (long) (left_us % CLOCK_US_PER_SECOND) * 1000};

		if (ppoll(&fd, 1, &left, NULL) != 0)
			look(c);
	}
}

/* ---- what it says ---- */

static void
report_progress(struct task_context *task, double percent, const char *text)
{
	struct iovec parts[] = {{&percent, sizeof(percent)}, {(void *) text, text ? strlen(text) : 0}};

	say(of(task), FRAME_PROGRESS, parts, 2);
}

/* Asks the worker.  Returns what it answers; *frame has the answer's bytes after *reply. */
static int64_t
ask(struct child_task *c, enum frame_type type, const struct iovec *parts, int n, struct frame_reply *reply,
        struct frame *frame, struct error *err)
{
	say(c, type, parts, n);
	for (;;) {
		if (frames_next(&c->frames, frame) != FRAMES_ONE)
			worker_has_gone();
		if (frame->type == FRAME_REPLY)
			break;
		c->told = c->told || frame->type == FRAME_STOP;
	}
	memcpy(reply, frame->data, sizeof(*reply));
	frame->data += sizeof(*reply);
	frame->size -= (uint32_t) sizeof(*reply);
	if (reply->rc < 0)
		error_set(err, "%.*s", (int) frame->size, frame->data);
	return reply->rc;
}

/* About an open artifact. */
static int
ask_about(struct child_task *c, enum frame_type type, const void *handle, const void *data, size_t size,
        struct error *err)
{
	int number = (int) (intptr_t) handle;
	struct iovec parts[] = {{&number, sizeof(number)}, {(void *) data, size}};
	struct frame_reply reply;
	struct frame frame;

	return (int) ask(c, type, parts, 2, &reply, &frame, err);
}

static int
create(struct task_context *task, const char *name, const char *content_type, void **handle, struct error *err)
{
	struct iovec parts[] = {{(void *) name, strnlen(name, SHOWN_MAX)}, {"", 1},
	        {(void *) content_type, content_type ? strlen(content_type) : 0}};
	struct frame_reply reply;
	struct frame frame;
	int64_t rc;

	if (parts[2].iov_len > SHOWN_MAX) {
		error_set(err, "artifact %.200s: its content type is longer than %d bytes", name, SHOWN_MAX);
		return BLOB_REFUSED;
	}
	rc = ask(of(task), FRAME_CREATE, parts, 3, &reply, &frame, err);
	*handle = (void *) (intptr_t) reply.handle;
	return (int) rc;
}

static int
write_piece(struct task_context *task, void *handle, const void *data, size_t size, struct error *err)
{
	const char *at = data;
	int rc = BLOB_OK;

	while (size > 0 && rc == BLOB_OK) {
		size_t n = size < FRAME_PIECE ? size : FRAME_PIECE;

		rc = ask_about(of(task), FRAME_WRITE, handle, at, n, err);
		at += n;
		size -= n;
	}
	return rc;
}

static int
commit(struct task_context *task, void *handle, struct error *err)
{
	return ask_about(of(task), FRAME_COMMIT, handle, NULL, 0, err);
}

static void
give_up(struct task_context *task, void *handle)
{
	ask_about(of(task), FRAME_ABORT, handle, NULL, 0, NULL);
}

/* All of it has been written, or rc says that it could not be. */
static int
commit_if_written(struct task_context *task, void *handle, int rc, struct error *err)
{
	if (rc >= 0)
		return commit(task, handle, err);
	give_up(task, handle);
	return rc;
}

static int
put(struct task_context *task, const char *name, const char *content_type, const void *data, size_t size,
        struct error *err)
{
	void *handle;
	int rc = create(task, name, content_type, &handle, err);

	return rc < 0 ? rc : commit_if_written(task, handle, write_piece(task, handle, data, size, err), err);
}

static int
copy_file(struct task_context *task, const char *name, void *handle, int fd, struct error *err)
{
	char *piece = malloc(FRAME_PIECE);
	int rc = BLOB_OK;
	ssize_t n = 0;

	while (piece && rc == BLOB_OK && ((n = read(fd, piece, FRAME_PIECE)) > 0 || (n < 0 && errno == EINTR))) {
		if (n > 0)
			rc = write_piece(task, handle, piece, (size_t) n, err);
	}
	if (!piece || (rc == BLOB_OK && n < 0)) {
		error_set(err, "artifact %s: the file cannot be read: %s", name, strerror(errno));
		rc = BLOB_FAILED;
	}
	free(piece);
	return rc;
}

static int
put_file(struct task_context *task, const char *name, const char *content_type, int fd, struct error *err)
{
	void *handle;
	int rc = create(task, name, content_type, &handle, err);

	return rc < 0 ? rc : commit_if_written(task, handle, copy_file(task, name, handle, fd, err), err);
}

static int
open_artifact(struct task_context *task, const char *what, void **handle, uint64_t *size, struct error *err)
{
	struct iovec part = {(void *) what, strnlen(what, SHOWN_MAX)};
	struct frame_reply reply;
	struct frame frame;
	int64_t rc = ask(of(task), FRAME_OPEN, &part, 1, &reply, &frame, err);

	*handle = (void *) (intptr_t) reply.handle;
	*size = reply.size;
	return (int) rc;
}

static ssize_t
read_piece(struct task_context *task, void *handle, void *buf, size_t size, struct error *err)
{
	struct frame_read wanted = {(int) (intptr_t) handle, (uint32_t) (size < FRAME_PIECE ? size : FRAME_PIECE)};
	struct iovec part = {&wanted, sizeof(wanted)};
	struct frame_reply reply;
	struct frame frame;
	int64_t n = ask(of(task), FRAME_READ, &part, 1, &reply, &frame, err);

	if (n > 0)
		memcpy(buf, frame.data, frame.size);
	return (ssize_t) n;
}

static void
close_artifact(struct task_context *task, void *handle)
{
	ask_about(of(task), FRAME_CLOSE, handle, NULL, 0, NULL);
}

/* ---- what a later run should know: the rules of servers for crawlers ---- */

#define ROBOTS_KEY "robots.txt "

static char *
recall_robots(void *arg, const char *origin, size_t len, size_t *size, int64_t *until_us)
{
	struct iovec parts[] = {{ROBOTS_KEY, strlen(ROBOTS_KEY)}, {(void *) origin, len}};
	struct frame_reply reply;
	struct frame frame;
	char *copy;

	if (len > SHOWN_MAX || ask(arg, FRAME_RECALL, parts, 2, &reply, &frame, NULL) <= 0)
		return NULL;
	*size = frame.size;
	*until_us = (int64_t) reply.size;
	copy = malloc((size_t) frame.size + 1);
	if (copy)
		memcpy(copy, frame.data, frame.size);
	return copy;
}

static void
remember_robots(void *arg, const char *origin, size_t len, const char *text, size_t size, int64_t until_us)
{
	char key[sizeof(ROBOTS_KEY) + SHOWN_MAX];
	struct iovec parts[] = {{&until_us, sizeof(until_us)}, {key, 0}, {(void *) text, size}};

	if (len > SHOWN_MAX)
		return;
	snprintf(key, sizeof(key), ROBOTS_KEY "%.*s", (int) len, origin);
	parts[1].iov_len = strlen(key) + 1;
	say(arg, FRAME_REMEMBER, parts, 3);
}

static const struct task_host child_host = {
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

/* ---- what it may do ---- */

/* Pages of address space that this process has; 0: not known. */
static size_t
own_size(void)
{
	char text[64];
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strtoul(text, NULL, 10);
}

static size_t
pages(long mib)
{
	return ((size_t) mib << 20) / (size_t) sysconf(_SC_PAGESIZE);
}

/* Before the first run. */
static void
set_limits(struct child_task *c)
{
	struct rlimit limit;

	if (c->limits->memory_mib > 0) {
		c->start_size = own_size();
		limit.rlim_cur = limit.rlim_max =
		        (c->start_size + pages(c->limits->memory_mib)) * (size_t) sysconf(_SC_PAGESIZE);
		setrlimit(RLIMIT_AS, &limit);
	}
	/* What a run starts and lets go comes here, so that fit_for_more knows of it. */
	if (c->limits->runs > 1)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* SIGXCPU, and SIGKILL a second later; only SIGXCPU when there are runs after this one, for which this could not be undone. */
static void
limit_cpu(const struct child_task *c)
{
	struct rusage used;
	struct rlimit limit;
	int64_t used_us;

	if (c->limits->cpu_seconds <= 0 || getrusage(RUSAGE_SELF, &used) < 0 || getrlimit(RLIMIT_CPU, &limit) < 0)
		return;
	used_us = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * CLOCK_US_PER_SECOND + used.ru_utime.tv_usec +
	        used.ru_stime.tv_usec;
	/* The limit knows whole seconds only: rather one too many than that runs before this one use up its time. */
	limit.rlim_cur = (rlim_t) ((used_us + CLOCK_US_PER_SECOND - 1) / CLOCK_US_PER_SECOND + c->limits->cpu_seconds);
	if (c->runs >= c->limits->runs)
		limit.rlim_max = limit.rlim_cur + 1;
	setrlimit(RLIMIT_CPU, &limit);
}

static void
unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Counts threads, and some more; 0: not known. */
static nlink_t
own_threads(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) < 0 ? 0 : st.st_nlink;
}

/* Before each run: as if it were the first. */
static void
make_ready(struct child_task *c)
{
	struct sigaction plain = {.sa_handler = SIG_DFL}, ignored = {.sa_handler = SIG_IGN};

	limit_cpu(c);
	if (c->limits->runs > 1)
		c->threads = own_threads();
	if (c->runs == 1)
		return;
	/* To ignore a signal forgets one that has come and was blocked: it would be this run's end. */
	for (int number = 1; number < NSIG; number++) {
		sigaction(number, &ignored, NULL);
		if (number != SIGPIPE)
			sigaction(number, &plain, NULL);
	}
	unblock_signals();
}

/* After each: what would come while the process waits, or in the run after this one. */
static void
stop_timers(void)
{
	const struct itimerval none = {0};

	setitimer(ITIMER_REAL, &none, NULL);
	setitimer(ITIMER_VIRTUAL, &none, NULL);
	setitimer(ITIMER_PROF, &none, NULL);
}

/* After a run: may there be another?  Not when it has left threads, processes or much memory behind. */
static bool
fit_for_more(const struct child_task *c)
{
	if (c->runs >= c->limits->runs || c->threads == 0 || own_threads() != c->threads)
		return false;
	if (waitpid(-1, NULL, WNOHANG | __WALL) >= 0 || errno != ECHILD)
		return false;
	return c->limits->memory_mib == 0 || own_size() <= c->start_size + pages(c->limits->memory_mib) / KEPT_PART;
}

/* ---- one run ---- */

static void
send_result(struct child_task *c, bool more)
{
	const struct outcome *out = c->task.out;
	struct frame_result result = {
	        .verdict = c->task.verdict,
	        .more = more,
	        .retry_us = out->retry_us,
	        .result_size = out->result ? (uint32_t) strlen(out->result) + 1 : 0,
	        .error_size = out->error ? (uint32_t) strlen(out->error) + 1 : 0,
	};
	struct iovec parts[] = {
	        {&result, sizeof(result)}, {out->result, result.result_size}, {out->error, result.error_size}};

	snprintf(result.reason, sizeof(result.reason), "%s", out->reason);
	say(c, FRAME_RESULT, parts, 3);
}

/* Returns whether there may be another. */
static bool
run(struct child_task *c, const struct frame_run *run, const char *name, const char *payload)
{
	struct outcome out = {.retry_us = -1};
	int number = registry_find(name);
	bool more;

	c->task = (struct task_context){
	        .host = &child_host,
	        .name = name,
	        .job_id = run->job_id,
	        .payload = payload,
	        .traceparent = run->traceparent[0] ? run->traceparent : NULL,
	        .attempt = run->attempt,
	        .failures = run->failures,
	        .max_retries = run->max_retries,
	        .timeout = run->timeout,
	        .started_us = run->started_us,
	        .deadline_us = run->deadline_us,
	        .out = &out,
	};
	robots_use_shelf((struct robots_shelf){recall_robots, remember_robots, c});
	prctl(PR_SET_NAME, name);
	task_name_run(&c->task, run->run_at);
	if (number < 0)
		task_refuse(&c->task, TASK_FAILED, "unknown_task",
		        "the task server does not know the task: its plug-in has "
		        "changed since the worker has started");
	else
		task_call(&c->task, registry_get(number));
	/* What it has printed: here its time limit still holds. */
	fflush(NULL);
	stop_timers();
	more = fit_for_more(c);
	send_result(c, more);
	if (out.result != out.small)
		free(out.result);
	free(out.error);
	return more;
}

/* The worker's word what to run, copied: it is used to the end. */
static bool
wait_for_run(struct child_task *c)
{
	struct frame frame;
	struct frame_run *copy;
	bool more;

	do {
		/* Not taken, and not needed any more. */
		if (frames_next(&c->frames, &frame) != FRAMES_ONE)
			_exit(0);
	} while (frame.type != FRAME_RUN);
	copy = malloc(frame.size);
	if (!copy)
		_exit(1);
	memcpy(copy, frame.data, frame.size);
	c->told = false; /* what came late was for the last one */
	c->runs++;
	make_ready(c);
	more = run(c, copy, (char *) (copy + 1), (char *) (copy + 1) + copy->name_size);
	free(copy);
	return more;
}

void
child_main(int fd, pid_t server, const struct child_limits *limits)
{
	struct child_task c = {.limits = limits};

	/* Out of the terminal's group, and a group of its own; it ends with the server. */
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != server)
		_exit(1);
	unblock_signals();
	set_limits(&c);
	frames_open(&c.frames, fd, UINT32_MAX, wait_for_worker, &c);
	while (wait_for_run(&c))
		prctl(PR_SET_NAME, "jobsched-tasks");
	_exit(0);
}
