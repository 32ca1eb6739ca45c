/* sources: src/worker/isolation/census.c */
/*
 * Whose processes are whose: children, grandchildren, orphans, and those of others.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/worker/isolation/census.h"
#include "tap.h"

static pid_t child; /* the only known one */

static bool
is_child(void *arg, pid_t pid)
{
	(void) arg;
	return pid == child;
}

__attribute__((noreturn)) static void
wait_for_ever(void)
{
	/* When the test dies so do they. */
	alarm(60);
	for (;;)
		pause();
}

/* What the child starts tells its pid here. */
static int pids[2];

static pid_t
told(void)
{
	pid_t pid = 0;

	if (read(pids[0], &pid, sizeof(pid)) != (ssize_t) sizeof(pid))
		abort();
	return pid;
}

static void
tell(void)
{
	pid_t pid = getpid();

	if (write(pids[1], &pid, sizeof(pid)) != (ssize_t) sizeof(pid))
		abort();
}

/* Starts a process that a process started which has ended, in a session of its own if wanted. */
static void
start_orphan(bool session)
{
	pid_t between = fork();

	if (between == 0) {
		if (session)
			setsid();
		if (fork() == 0) {
			tell();
			wait_for_ever();
		}
		_exit(0);
	}
	waitpid(between, NULL, 0);
}

__attribute__((noreturn)) static void
child_main(void)
{
	setsid();
	if (fork() == 0) {
		tell();
		wait_for_ever();
	}
	tell();
	wait_for_ever();
}

static void
open_files(int most)
{
	struct rlimit limit = {(rlim_t) most, 1000};

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		abort();
}

static pid_t
root_of(const struct census *c, pid_t pid)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->list[i].pid == pid)
			return c->list[i].root;
	}
	return -2;
}

int
main(void)
{
	struct census c = {.seen = 0};
	pid_t grandchild, orphan, daemon, stranger;

	if (pipe(pids) < 0)
		abort();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	child = fork();
	if (child == 0)
		child_main();
	grandchild = told();
	if (grandchild == child)
		grandchild = told();
	else
		told();
	stranger = fork();
	if (stranger == 0) {
		tell();
		start_orphan(false);
		start_orphan(true);
		_exit(0);
	}
	told();
	orphan = told();
	daemon = told();
	waitpid(stranger, NULL, 0);

	ok(census_stale(&c), "before the first look all is new");
	is_int(census_take(&c, getpid(), is_child, NULL), 0, "looks");
	is_int(root_of(&c, child), child, "a child is its own root");
	is_int(root_of(&c, grandchild), child, "its child comes from it");
	is_int(root_of(&c, orphan), -1, "an orphan of nobody's session comes from no child");
	is_int(root_of(&c, daemon), -1, "nor does a daemon");
	is_int(root_of(&c, getpid()), 0, "this one is another's");
	is_int(root_of(&c, 1), 0, "and so is the first");

	/* The grandchild is in the child's session: alone, it is still counted for it. */
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	census_take(&c, getpid(), is_child, NULL);
	is_int(root_of(&c, grandchild), child, "an orphan comes from the child whose session it is in");
	child = 0;
	census_take(&c, getpid(), is_child, NULL);
	is_int(root_of(&c, grandchild), -1, "and when that is gone, from none");

	c.news = true;
	ok(census_stale(&c), "news stay until the next look");
	census_take(&c, getpid(), is_child, NULL);
	c.seen = 41;
	c.news = false;
	census_forked(&c, 42);
	ok(!c.news, "the server's own next pid is no news");
	census_forked(&c, 44);
	ok(c.news, "one left out is");

	/* One descriptor more: the directory can be opened, and nothing in it. */
	open_files(dup(0) + 2);
	is_int(census_take(&c, getpid(), is_child, NULL), -1, "without descriptors it cannot look");
	open_files(1000);
	ok(census_stale(&c), "and has to look again");
	is_int(census_take(&c, getpid(), is_child, NULL), 0, "which it then can");

	kill(grandchild, SIGKILL);
	kill(orphan, SIGKILL);
	kill(daemon, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	census_free(&c);
	return done_testing();
}
