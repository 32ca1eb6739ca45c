/*
 * keeper_thread.c: the thread that starts the task server, hears what it says, and starts it again when it has died.
 *
 * All messages of the server come to this thread.  It never waits for the server to listen, so that the server may wait for
 * it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backoff.h"
#include "clock.h"
#include "keeper_private.h"
#include "log.h"

#define STOP_MS 5000 /* for its end when the worker ends */
#define BACKOFF_BASE_US (CLOCK_US_PER_SECOND / 10)
#define BACKOFF_MAX_US (10 * CLOCK_US_PER_SECOND)
#define STEADY_US (60 * CLOCK_US_PER_SECOND) /* after so long a life the next pause is a short one */

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
ended_locked(struct keeper *k, const struct control_end *end)
{
	for (int i = 0; i < k->nspares; i++) {
		if (k->spares[i].pid == end->head.pid) {
			close(k->spares[i].fd);
			k->nspares--;
			memmove(k->spares + i, k->spares + i + 1, (size_t) (k->nspares - i) * sizeof(*k->spares));
			return;
		}
	}
	for (struct keeper_child *child = k->busy; child; child = child->next) {
		if (child->pid == end->head.pid && !child->ended) {
			child->end = *end;
			child->ended = true;
			keeper_ring(child);
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
			keeper_spare_locked(k, message->head.pid, fd, false);
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
	case CONTROL_IDLE:
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
		keeper_ring(child);
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
	pid_t server;

	pthread_mutex_lock(&k->talk);
	k->control = -1;
	pthread_mutex_unlock(&k->talk);
	pthread_mutex_lock(&k->lock);
	stopping = k->stopping;
	server = k->server;
	k->server = 0; /* nobody else kills what may be another's process soon */
	pthread_mutex_unlock(&k->lock);
	close(control);
	/* Without its socket it is of no use; told to end, it is killing what is left of tasks. */
	if (!stopping || !ends_by_itself(server))
		kill(server, SIGKILL);
	while (waitpid(server, &status, 0) < 0 && errno == EINTR)
		;
	keeper_describe(status, how, sizeof(how));
	lost = bury_children(k, how);
	if (!stopping)
		log_event(LOG_LEVEL_ERROR, "the task server has ended", "how", how, "error", k->failure.msg,
		        "runs_lost", LOG_NUM(lost), NULL);
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

void *
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
