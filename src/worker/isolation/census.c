/*
 * census.c: which processes have come from a task.
 */
#include "census.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 10000 /* generations; more only when pids were used anew while looking */

/* Reads a small file of /proc whole; "" when it is not there any more, or, with -1, cannot be opened. */
static int
read_small(int dir, const char *path, char *buf, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 && errno != ENOENT && errno != ESRCH ? -1 : 0;
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return rc;
}

void
census_forked(struct census *c, pid_t pid)
{
	if (pid != c->seen + 1)
		c->news = true;
	c->seen = pid;
}

/* "0.20 0.18 0.12 1/80 11206": the last pid that was given away in this name space; 0: not known. */
static pid_t
last_pid(void)
{
	char text[128];
	const char *last;

	read_small(AT_FDCWD, "/proc/loadavg", text, sizeof(text));
	last = strrchr(text, ' ');
	return last ? (pid_t) strtol(last, NULL, 10) : 0;
}

bool
census_stale(struct census *c)
{
	if (last_pid() != c->seen)
		c->news = true;
	return c->news;
}

static int
add(struct census *c, int proc, const char *name)
{
	char path[280], text[512];
	struct census_entry entry = {0};
	const char *rest;

	snprintf(path, sizeof(path), "%s/stat", name);
	if (read_small(proc, path, text, sizeof(text)) < 0)
		return -1;
	/* pid (name) state ppid pgrp session: the name may hold anything. */
	rest = strrchr(text, ')');
	entry.pid = (pid_t) strtol(name, NULL, 10);
	if (!rest || sscanf(rest, ") %*c %d %*d %d", &entry.parent, &entry.session) != 2)
		return 0;
	if (c->n == c->room) {
		size_t room = c->room ? c->room * 2 : 256;
		struct census_entry *list = realloc(c->list, room * sizeof(*list));

		if (!list)
			return -1;
		c->list = list;
		c->room = room;
	}
	c->list[c->n++] = entry;
	return 0;
}

static int
by_pid(const void *a, const void *b)
{
	const struct census_entry *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static const struct census_entry *
find(const struct census *c, pid_t pid)
{
	struct census_entry key = {.pid = pid};

	return c->n ? bsearch(&key, c->list, c->n, sizeof(key), by_pid) : NULL;
}

/* Follows the parents up to the server. */
static pid_t
root_of(const struct census *c, const struct census_entry *entry, pid_t server, bool (*is_child)(void *, pid_t),
        void *arg)
{
	for (int depth = 0; entry && depth < DEPTH_MAX; depth++) {
		if (entry->parent == server) {
			if (is_child(arg, entry->pid))
				return entry->pid;
			return is_child(arg, entry->session) ? entry->session : -1;
		}
		entry = find(c, entry->parent);
	}
	return 0;
}

int
census_take(struct census *c, pid_t server, bool (*is_child)(void *arg, pid_t pid), void *arg)
{
	const struct dirent *entry;
	DIR *proc;
	int rc = 0;

	/* Before looking: what is forked meanwhile is looked at next time. */
	c->seen = last_pid();
	c->news = false;
	c->n = 0;
	proc = opendir("/proc");
	if (!proc) {
		c->news = true;
		return -1;
	}
	while (rc == 0 && (entry = readdir(proc)) != NULL) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			rc = add(c, dirfd(proc), entry->d_name);
	}
	closedir(proc);
	c->news = rc < 0;
	if (c->n)
		qsort(c->list, c->n, sizeof(*c->list), by_pid);
	for (size_t i = 0; i < c->n; i++)
		c->list[i].root = root_of(c, &c->list[i], server, is_child, arg);
	return rc;
}

void
census_free(struct census *c)
{
	free(c->list);
	*c = (struct census){.seen = 0};
}
