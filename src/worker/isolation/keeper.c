/*
 * keeper.c: what pool threads have from the task server, and what they say to it.
 */
#include "keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "keeper_private.h"
#include "log.h"
#include "notes.h"
#include "../thread.h"

#define SEND_MS 10000 /* a server that does not listen for so long is killed */

/* ---- for pool threads ---- */

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

void
keeper_ring(const struct keeper_child *child)
{
	eventfd_write(child->wake_fd, 1);
}

static void
keeper_assign_locked(struct keeper *k, struct keeper_child *child, pid_t pid, int fd)
{
	child->pid = pid;
	child->fd = fd;
	child->next = k->busy;
	k->busy = child;
}

void
keeper_spare_locked(struct keeper *k, pid_t pid, int fd, bool used)
{
	struct keeper_child *child = k->waiting;

	if (child) {
		k->waiting = child->next;
		if (!k->waiting)
			k->waiting_end = &k->waiting;
		keeper_assign_locked(k, child, pid, fd);
		keeper_ring(child);
	} else if (k->nspares < k->room) {
		/* The last one is taken first: one that has served, which costs no fork. */
		int at = used ? k->nspares : 0;

		memmove(k->spares + at + 1, k->spares + at, (size_t) (k->nspares - at) * sizeof(*k->spares));
		k->spares[at] = (struct spare){pid, fd};
		k->nspares++;
	} else {
		close(fd); /* it ends */
	}
}

void
keeper_take(struct keeper *k, struct keeper_child *child, int wake_fd)
{
	*child = (struct keeper_child){.wake_fd = wake_fd, .fd = -1};
	pthread_mutex_lock(&k->lock);
	if (k->nspares > 0) {
		const struct spare *spare = &k->spares[--k->nspares];

		keeper_assign_locked(k, child, spare->pid, spare->fd);
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

void
keeper_return(struct keeper *k, struct keeper_child *child)
{
	say(k, CONTROL_IDLE, child->pid);
	pthread_mutex_lock(&k->lock);
	remove_locked(&k->busy, child);
	if (!child->ended) {
		keeper_spare_locked(k, child->pid, child->fd, true);
		child->fd = -1;
	}
	pthread_mutex_unlock(&k->lock);
	if (child->fd >= 0)
		close(child->fd);
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

/* ---- its beginning and end ---- */

static void
keeper_free(struct keeper *k)
{
	pthread_mutex_destroy(&k->lock);
	pthread_mutex_destroy(&k->talk);
	pthread_cond_destroy(&k->started);
	settings_environment_free(k->environment);
	free(k->spares);
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
	/* All that can have had a run, and those that a server makes ahead. */
	k->room = (int) settings->threads + KEEPER_SPARES_MAX;
	k->spares = calloc((size_t) k->room, sizeof(*k->spares));
	if (k->stop_fd < 0 || !k->environment || !k->notes || !k->spares) {
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
