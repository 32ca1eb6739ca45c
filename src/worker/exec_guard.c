/*
 * exec_guard.c: ends the commands of a worker that has died.
 */
#include "exec_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

/* What goes through the pipe: written whole, since it is shorter than PIPE_BUF. */
struct note {
	pid_t group;
	int there; /* 1: made, 0: gone */
};

struct groups {
	pid_t *list;
	size_t n, room;
};

static void
remember(struct groups *g, pid_t group)
{
	if (g->n == g->room) {
		size_t room = g->room ? g->room * 2 : 64;
		pid_t *list = realloc(g->list, room * sizeof(*list));

		if (!list)
			return; /* its leader still has its death signal */
		g->list = list;
		g->room = room;
	}
	g->list[g->n++] = group;
}

static void
forget(struct groups *g, pid_t group)
{
	for (size_t i = 0; i < g->n; i++) {
		if (g->list[i] == group) {
			g->list[i] = g->list[--g->n];
			return;
		}
	}
}

static ssize_t
read_note(int fd, struct note *note)
{
	ssize_t got;

	do {
		got = read(fd, note, sizeof(*note));
	} while (got < 0 && errno == EINTR);
	return got;
}

/*
 * Holds nothing of the worker's open, so that nobody waits for it; a signal to the worker's group or control group does
 * not end it, the worker's end does.
 */
__attribute__((noreturn)) static void
guard_main(int fd)
{
	struct groups groups = {NULL, 0, 0};
	struct note note;
	sigset_t all;
	int null;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_NAME, "jobsched-guard");
	null = open("/dev/null", O_RDWR);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	if (fd != STDERR_FILENO + 1) {
		dup2(fd, STDERR_FILENO + 1);
		fd = STDERR_FILENO + 1;
	}
	close_range((unsigned) fd + 1, ~0U, 0);
	if (chdir("/") < 0)
		_exit(1);

	while (read_note(fd, &note) == (ssize_t) sizeof(note)) {
		if (note.there)
			remember(&groups, note.group);
		else
			forget(&groups, note.group);
	}
	for (size_t i = 0; i < groups.n; i++)
		kill(-groups.list[i], SIGKILL);
	_exit(0);
}

int
exec_guard_start(struct exec_guard *guard, struct error *err)
{
	int fds[2];

	guard->pid = 0;
	guard->fd = -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_set(err, "pipe of the guard: %s", strerror(errno));
	guard->pid = fork();
	if (guard->pid == 0) {
		close(fds[1]);
		guard_main(fds[0]);
	}
	close(fds[0]);
	if (guard->pid < 0) {
		error_set(err, "the guard of commands cannot be started: %s", strerror(errno));
		close(fds[1]);
		guard->pid = 0;
		return -1;
	}
	guard->fd = fds[1];
	return 0;
}

static void
tell(const struct exec_guard *guard, pid_t group, bool there)
{
	struct note note = {group, there};
	ssize_t put;

	if (guard->fd < 0)
		return;
	do {
		put = write(guard->fd, &note, sizeof(note));
	} while (put < 0 && errno == EINTR);
	if (put < 0 && there)
		log_event(LOG_LEVEL_WARNING, "the guard of commands is gone: what they started will outlive the worker",
		        "error", strerror(errno), NULL);
}

void
exec_guard_add(const struct exec_guard *guard, pid_t group)
{
	tell(guard, group, true);
}

void
exec_guard_remove(const struct exec_guard *guard, pid_t group)
{
	tell(guard, group, false);
}

void
exec_guard_stop(struct exec_guard *guard)
{
	if (guard->pid <= 0)
		return;
	close(guard->fd);
	while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		;
	guard->pid = 0;
	guard->fd = -1;
}
