/*
 * keeper.c: starts the task server, hears what it says, and starts it again when it has died.
 *
 * All messages of the server come to this thread.  It never waits for the server to listen, so that the server may wait for
 * it; words to the server are sent by the pool threads.
 */
#include "keeper.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backoff.h"
#include "clock.h"
#include "log.h"
#include "notes.h"
#include "../thread.h"

#define SPARES_MAX 16 /* more than a server makes */
#define SEND_MS 10000 /* a server that does not listen for so long is killed */
#define STOP_MS 5000 /* for its end when the worker ends */
#define BACKOFF_BASE_US (CLOCK_US_PER_SECOND / 10)
#define BACKOFF_MAX_US (10 * CLOCK_US_PER_SECOND)
#define STEADY_US (60 * CLOCK_US_PER_SECOND) /* after so long a life the next pause is a short one */

enum keeper_state {
	KEEPER_STARTING,
	KEEPER_UP,
	KEEPER_DOWN,
	KEEPER_FAILED
};

struct spare {
	pid_t pid;
	int fd;
};

struct keeper {
	const struct settings *settings;
	char **environment; /* of the server */
	struct notes *notes; /* of the tasks */
	pthread_t thread;
	int stop_fd; /* eventfd: the worker ends */

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t started;
	enum keeper_state state;
	bool stopping;
	pid_t server; /* 0: none.  Only the keeper reaps it */
	int64_t heard_us;
	bool trouble; /* it cannot fork; logged */
	struct error failure; /* why it cannot be started */
	struct spare spares[SPARES_MAX];
	int nspares;
	struct keeper_child *busy; /* taken */
	struct keeper_child *waiting, **waiting_end; /* for a child, the first one first */

	pthread_mutex_t talk; /* held while sending, and while the socket changes */
	int control; /* -1: none */
};

/* ---- for pool threads ---- */

static void
ring(const struct keeper_child *child)
{
	eventfd_write(child->wake_fd, 1);
}

void
keeper_distrust(struct keeper *k, const char *why)
{
	pthread_mutex_lock(&k->lock);
	if (k->server > 0 && k->state != KEEPER_DOWN) {
		log_event(LOG_LEVEL_ERROR, "the task server is killed", "why", why, "pid", LOG_NUM(k->server), NULL);
		kill(k->server, SIGKILL);
		k->state = KEEPER_DOWN;
	}
	pthread_mutex_unlock(&k->lock);
}

/* A word that cannot be sent is not missed: then the server is dead, and so are its children. */
static void
say(struct keeper *k, enum control_type type, pid_t pid)
{
	struct control word = {.type = type, .pid = pid};
	struct pollfd fd = {.events = POLLOUT};

	pthread_mutex_lock(&k->talk);
	fd.fd = k->control;
	while (fd.fd >= 0 && send(fd.fd, &word, sizeof(word), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN && poll(&fd, 1, SEND_MS) == 0) {
			keeper_distrust(k, "it does not listen");
			break;
		}
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	pthread_mutex_unlock(&k->talk);
}

void
keeper_lease(struct keeper *k, int64_t until_us)
{
	struct control word = {.type = CONTROL_LEASE, .until_us = until_us};

	/* What is not said now is said a second later. */
	if (!k || pthread_mutex_trylock(&k->talk) != 0)
		return;
	if (k->control >= 0 && send(k->control, &word, sizeof(word), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	        errno != EAGAIN)
		log_event(
		        LOG_LEVEL_DEBUG, "the task server does not hear of the lease", "error", strerror(errno), NULL);
	pthread_mutex_unlock(&k->talk);
}

static void
assign_locked(struct keeper *k, struct keeper_child *child, pid_t pid, int fd)
{
	child->pid = pid;
	child->fd = fd;
	child->next = k->busy;
	k->busy = child;
}

void
keeper_take(struct keeper *k, struct keeper_child *child, int wake_fd)
{
	*child = (struct keeper_child){.wake_fd = wake_fd, .fd = -1};
	pthread_mutex_lock(&k->lock);
	if (k->nspares > 0) {
		const struct spare *spare = &k->spares[--k->nspares];

		assign_locked(k, child, spare->pid, spare->fd);
	} else {
		if (!k->waiting)
			k->heard_us = clock_boottime_us();
		*k->waiting_end = child;
		k->waiting_end = &child->next;
	}
	pthread_mutex_unlock(&k->lock);
}

bool
keeper_arrived(struct keeper *k, struct keeper_child *child)
{
	pid_t pid;

	pthread_mutex_lock(&k->lock);
	pid = child->pid;
	pthread_mutex_unlock(&k->lock);
	if (pid && !child->told) {
		child->told = true;
		say(k, CONTROL_TAKEN, pid);
	}
	return pid != 0;
}

bool
keeper_ended(struct keeper *k, struct keeper_child *child)
{
	bool ended;

	pthread_mutex_lock(&k->lock);
	ended = child->ended;
	pthread_mutex_unlock(&k->lock);
	return ended;
}

void
keeper_kill(struct keeper *k, const struct keeper_child *child)
{
	say(k, CONTROL_KILL, child->pid);
}

static void
remove_locked(struct keeper_child **from, const struct keeper_child *child)
{
	while (*from != child)
		from = &(*from)->next;
	*from = child->next;
}

void
keeper_release(struct keeper *k, struct keeper_child *child)
{
	pthread_mutex_lock(&k->lock);
	if (child->pid) {
		remove_locked(&k->busy, child);
	} else {
		remove_locked(&k->waiting, child);
		for (k->waiting_end = &k->waiting; *k->waiting_end;)
			k->waiting_end = &(*k->waiting_end)->next;
	}
	pthread_mutex_unlock(&k->lock);
	if (child->fd >= 0)
		close(child->fd);
	child->fd = -1;
}

int64_t
keeper_heard_us(struct keeper *k)
{
	int64_t heard_us;

	pthread_mutex_lock(&k->lock);
	heard_us = k->state == KEEPER_UP ? k->heard_us : clock_boottime_us();
	pthread_mutex_unlock(&k->lock);
	return heard_us;
}

struct notes *
keeper_notes(const struct keeper *k)
{
	return k->notes;
}

const struct settings *
keeper_settings(const struct keeper *k)
{
	return k->settings;
}

char *
keeper_describe(int status, char *buf, size_t size)
{
	if (WIFSIGNALED(status)) {
		const char *name = sigdescr_np(WTERMSIG(status));

		snprintf(buf, size, "killed by signal %d (%s)", WTERMSIG(status), name ? name : "without a name");
	} else {
		snprintf(buf, size, "exit code %d", WEXITSTATUS(status));
	}
	return buf;
}

/* ---- what the server says ---- */

union message {
	struct control head;
	struct control_end end;
	struct control_failure failure;
};

/* One message, and the descriptor that came with it or -1.  Returns its size; 0: the server has gone. */
static size_t
receive(int control, union message *message, int *fd)
{
	struct iovec part = {message, sizeof(*message)};
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} extra;
	struct msghdr msg = {
	        .msg_iov = &part, .msg_iovlen = 1, .msg_control = extra.room, .msg_controllen = sizeof(extra.room)};
	const struct cmsghdr *c;
	ssize_t n;

	*fd = -1;
	do {
		n = recvmsg(control, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return (size_t) n;
}

static void
spare_locked(struct keeper *k, pid_t pid, int fd)
{
	struct keeper_child *child = k->waiting;

	if (child) {
		k->waiting = child->next;
		if (!k->waiting)
			k->waiting_end = &k->waiting;
		assign_locked(k, child, pid, fd);
		ring(child);
	} else if (k->nspares < SPARES_MAX) {
		k->spares[k->nspares++] = (struct spare){pid, fd};
	} else {
		close(fd); /* it ends */
	}
}

static void
ended_locked(struct keeper *k, const struct control_end *end)
{
	for (int i = 0; i < k->nspares; i++) {
		if (k->spares[i].pid == end->head.pid) {
			close(k->spares[i].fd);
			k->spares[i] = k->spares[--k->nspares];
			return;
		}
	}
	for (struct keeper_child *child = k->busy; child; child = child->next) {
		if (child->pid == end->head.pid && !child->ended) {
			child->end = *end;
			child->ended = true;
			ring(child);
			return;
		}
	}
}

static void
hear(struct keeper *k, const union message *message, int fd)
{
	pthread_mutex_lock(&k->lock);
	k->heard_us = clock_boottime_us();
	switch (message->head.type) {
	case CONTROL_READY:
		if (k->state == KEEPER_STARTING)
			k->state = KEEPER_UP;
		pthread_cond_broadcast(&k->started);
		break;
	case CONTROL_FAILED:
		k->failure = message->failure.error;
		break;
	case CONTROL_SPARE:
		k->trouble = false;
		if (fd >= 0)
			spare_locked(k, message->head.pid, fd);
		break;
	case CONTROL_ENDED:
		ended_locked(k, &message->end);
		break;
	case CONTROL_TROUBLE:
		if (k->trouble)
			break;
		k->trouble = true;
		log_event(LOG_LEVEL_WARNING, "the task server cannot fork, runs wait", "error",
		        strerror(message->head.number), NULL);
		break;
	case CONTROL_TAKEN:
	case CONTROL_KILL:
	case CONTROL_LEASE:
		break;
	}
	pthread_mutex_unlock(&k->lock);
}

/* ---- its life ---- */

static int
spawn(struct keeper *k, int fd, pid_t *pid)
{
	char *argv[] = {"jobsched-worker", "--task-server", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int code;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&actions, fd, CONTROL_FD);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	/* Also when the file was replaced meanwhile. */
	code = posix_spawn(pid, "/proc/self/exe", &actions, &attr, argv, k->environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return code;
}

/* Returns the socket, or -1: the failure is noted. */
static int
start_server(struct keeper *k)
{
	int fds[2], code;
	pid_t pid = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		fds[0] = -1;
		code = errno;
	} else {
		code = spawn(k, fds[1], &pid);
		close(fds[1]);
	}
	if (code != 0) {
		if (fds[0] >= 0)
			close(fds[0]);
		pthread_mutex_lock(&k->lock);
		error_set(&k->failure, "it cannot be started: %s", strerror(code));
		pthread_mutex_unlock(&k->lock);
		return -1;
	}
	pthread_mutex_lock(&k->talk);
	k->control = fds[0];
	pthread_mutex_unlock(&k->talk);
	pthread_mutex_lock(&k->lock);
	k->server = pid;
	k->failure.msg[0] = '\0';
	if (k->stopping)
		shutdown(fds[0], SHUT_RDWR);
	pthread_mutex_unlock(&k->lock);
	return fds[0];
}

/* The server is dead, and its children with it: those that have runs, and what they have started, for certain. */
static int
bury_children(struct keeper *k, const char *how)
{
	int lost = 0;

	pthread_mutex_lock(&k->lock);
	for (struct keeper_child *child = k->busy; child; child = child->next) {
		if (child->ended)
			continue;
		kill(-child->pid, SIGKILL);
		snprintf(child->server_end, sizeof(child->server_end), "%s", how);
		child->lost = child->ended = true;
		ring(child);
		lost++;
	}
	while (k->nspares > 0)
		close(k->spares[--k->nspares].fd);
	pthread_mutex_unlock(&k->lock);
	return lost;
}

static bool
ends_by_itself(pid_t pid)
{
	struct pollfd fd = {.fd = pidfd_open(pid, 0), .events = POLLIN};
	bool ended = fd.fd >= 0 && poll(&fd, 1, STOP_MS) > 0;

	if (fd.fd >= 0)
		close(fd.fd);
	return ended;
}

static void
bury_server(struct keeper *k, int control)
{
	char how[KEEPER_HOW_SIZE];
	int status = 0, lost;
	bool stopping;

	pthread_mutex_lock(&k->talk);
	k->control = -1;
	pthread_mutex_unlock(&k->talk);
	pthread_mutex_lock(&k->lock);
	stopping = k->stopping;
	pthread_mutex_unlock(&k->lock);
	close(control);
	/* Without its socket it is of no use; told to end, it is killing what is left of tasks. */
	if (!stopping || !ends_by_itself(k->server))
		kill(k->server, SIGKILL);
	while (waitpid(k->server, &status, 0) < 0 && errno == EINTR)
		;
	keeper_describe(status, how, sizeof(how));
	lost = bury_children(k, how);
	pthread_mutex_lock(&k->lock);
	k->server = 0;
	if (!stopping)
		log_event(LOG_LEVEL_ERROR, "the task server has ended", "how", how, "error", k->failure.msg,
		        "runs_lost", LOG_NUM(lost), NULL);
	pthread_mutex_unlock(&k->lock);
}

/* One server from its start to its end. */
static void
live(struct keeper *k)
{
	int control = start_server(k), fd;
	union message message;

	if (control < 0) {
		log_event(LOG_LEVEL_ERROR, "the task server cannot be started", "error", k->failure.msg, NULL);
		return;
	}
	while (receive(control, &message, &fd) > 0)
		hear(k, &message, fd);
	bury_server(k, control);
}

/* Returns false when there shall be no other. */
static bool
rest(struct keeper *k, int64_t pause_us)
{
	struct pollfd fd = {.fd = k->stop_fd, .events = POLLIN};
	bool again;

	poll(&fd, 1, (int) (pause_us / 1000) + 1);
	pthread_mutex_lock(&k->lock);
	again = !k->stopping;
	if (again)
		k->state = KEEPER_STARTING;
	pthread_mutex_unlock(&k->lock);
	return again;
}

static void *
keeper_main(void *arg)
{
	struct backoff backoff = {.base_us = BACKOFF_BASE_US, .max_us = BACKOFF_MAX_US};
	struct keeper *k = arg;
	bool first = true;
	int64_t begin_us;

	do {
		begin_us = clock_boottime_us();
		live(k);
		pthread_mutex_lock(&k->lock);
		if (first && k->state == KEEPER_STARTING) {
			k->state = KEEPER_FAILED;
			k->stopping = true;
		} else {
			k->state = KEEPER_DOWN;
		}
		first = false;
		pthread_cond_broadcast(&k->started);
		pthread_mutex_unlock(&k->lock);
		if (clock_boottime_us() - begin_us >= STEADY_US)
			backoff_reset(&backoff);
	} while (rest(k, backoff_next_us(&backoff, backoff_random())));
	return NULL;
}

static void
keeper_free(struct keeper *k)
{
	pthread_mutex_destroy(&k->lock);
	pthread_mutex_destroy(&k->talk);
	pthread_cond_destroy(&k->started);
	settings_environment_free(k->environment);
	notes_free(k->notes);
	if (k->stop_fd >= 0)
		close(k->stop_fd);
	free(k);
}

static int
start_thread(struct keeper *k, struct error *err)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = thread_start(&k->thread, "keeper", keeper_main, k, err);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

struct keeper *
keeper_start(const struct settings *settings, struct error *err)
{
	struct keeper *k = calloc(1, sizeof(*k));
	bool failed;

	if (!k) {
		error_set(err, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&k->lock, NULL);
	pthread_mutex_init(&k->talk, NULL);
	pthread_cond_init(&k->started, NULL);
	k->settings = settings;
	k->waiting_end = &k->waiting;
	k->control = -1;
	k->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k->environment = settings_environment(settings);
	k->notes = notes_new();
	if (k->stop_fd < 0 || !k->environment || !k->notes) {
		error_set(err, "the task server: %s", strerror(errno));
		keeper_free(k);
		return NULL;
	}
	if (start_thread(k, err) < 0) {
		keeper_free(k);
		return NULL;
	}
	pthread_mutex_lock(&k->lock);
	while (k->state == KEEPER_STARTING)
		pthread_cond_wait(&k->started, &k->lock);
	failed = k->state == KEEPER_FAILED;
	if (failed)
		error_set(err, "the task server: %s", k->failure.msg[0] ? k->failure.msg : "it has ended at its start");
	pthread_mutex_unlock(&k->lock);
	if (!failed)
		return k;
	keeper_stop(k);
	return NULL;
}

void
keeper_stop(struct keeper *k)
{
	if (!k)
		return;
	pthread_mutex_lock(&k->lock);
	k->stopping = true;
	pthread_mutex_unlock(&k->lock);
	pthread_mutex_lock(&k->talk);
	if (k->control >= 0)
		shutdown(k->control, SHUT_RDWR);
	pthread_mutex_unlock(&k->talk);
	eventfd_write(k->stop_fd, 1);
	pthread_join(k->thread, NULL);
	keeper_free(k);
}
