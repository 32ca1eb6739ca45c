/*
 * machine.c: which process this is on its machine, and whether another one has ended.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* The beginning of a file, up to its first line's end; false: it cannot be read. */
static bool
read_line(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, out, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return true;
}

/* State letter and start time from /proc/PID/stat: "pid (name) S ppid ... starttime ...", proc(5). */
static bool
read_stat(long pid, char *state, long long *started)
{
	char path[40], line[1024];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if (!read_line(path, line, sizeof(line)))
		return false;
	p = strrchr(line, ')'); /* the name may hold anything */
	if (!p || p[1] != ' ' || !p[2])
		return false;
	*state = p[2];
	p += 2;
	for (int field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return false;
		p++;
	}
	*started = strtoll(p, NULL, 10);
	return true;
}

void
machine_self(struct machine_process *self)
{
	char boot[40], name_space[32], state;
	ssize_t n;

	memset(self, 0, sizeof(*self));
	self->pid = (long) getpid();
	n = readlink("/proc/self/ns/pid", name_space, sizeof(name_space) - 1); /* "pid:[4026531836]" */
	if (n <= 0 || !read_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot)) ||
	        !read_stat(self->pid, &state, &self->started))
		return;
	name_space[n] = '\0';
	snprintf(self->machine, sizeof(self->machine), "%s/%ld", boot,
	        strtol(name_space + strcspn(name_space, "0123456789"), NULL, 10));
}

bool
machine_process_ended(const struct machine_process *other, const struct machine_process *self)
{
	long long started;
	char state;

	if (!self->machine[0] || strcmp(other->machine, self->machine) != 0 || other->pid <= 0)
		return false;
	if (kill((pid_t) other->pid, 0) < 0 && errno == ESRCH)
		return true;
	/* The pid is in use; where /proc hides other users' processes, by whom is not known. */
	if (!read_stat(other->pid, &state, &started))
		return false;
	return state == 'Z' || state == 'X' || started != other->started;
}
