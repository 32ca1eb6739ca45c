/*
 * blob_file.c: blobs as files below a directory.
 *
 * The bytes go to a temporary file in the directory of the key, which is synced and then renamed: a reader sees all
 * of an object or nothing, also after a power failure.  Directories that had to be made are synced too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob.h"

struct file_store {
	struct blob_store base;
	int dir;				/* descriptor of BLOB_DIR: a later chdir does not matter */
	atomic_ulong temporary;		/* number of the next temporary file */
	char path[];			/* BLOB_DIR, for messages */
};

static int
write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		data += n;
		size -= (size_t) n;
	}
	return 0;
}

/* The directory at one step of the key, made when absent; a descriptor, or -1. */
static int
enter(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (mkdirat(parent, name, 0750) < 0 && errno != EEXIST)
		return -1;
	if (fsync(parent) < 0)
		return -1;
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opens the directory of the key; *name points at its last part. */
static int
open_parent(const struct file_store *s, char *key, const char **name)
{
	int fd = fcntl(s->dir, F_DUPFD_CLOEXEC, 0);
	char *part = key, *slash;

	while (fd >= 0 && (slash = strchr(part, '/'))) {
		int next;

		*slash = '\0';
		next = enter(fd, part);
		*slash = '/';
		close(fd);
		fd = next;
		part = slash + 1;
	}
	*name = part;
	return fd;
}

static int
file_put(struct blob_store *store, const char *key, const char *content_type, const void *data, size_t size,
		 struct error *err)
{
	struct file_store *s = (struct file_store *) store;
	char copy[BLOB_KEY_MAX + 1], temporary[64];
	const char *name = "", *step = "cannot be opened";
	int parent, fd = -1, rc = -1;

	(void) content_type;	/* kept in the execution's manifest */
	temporary[0] = '\0';
	snprintf(copy, sizeof(copy), "%s", key);
	parent = open_parent(s, copy, &name);
	if (parent < 0)
		goto out;

	snprintf(temporary, sizeof(temporary), ".%ld-%lu.tmp", (long) getpid(), atomic_fetch_add(&s->temporary, 1));
	fd = openat(parent, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		goto out;
	step = "cannot be written";
	if (write_all(fd, data, size) < 0 || fsync(fd) < 0)
		goto out;
	if (renameat(parent, temporary, parent, name) < 0)
		goto out;
	temporary[0] = '\0';
	if (fsync(parent) < 0)
		goto out;
	rc = 0;
out:
	if (rc < 0)
		error_set(err, "%s/%s %s: %s", s->path, key, step, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (parent >= 0) {
		if (temporary[0])
			unlinkat(parent, temporary, 0);
		close(parent);
	}
	return rc;
}

static void
file_close(struct blob_store *store)
{
	struct file_store *s = (struct file_store *) store;

	close(s->dir);
	free(s);
}

static const struct blob_kind file_kind = { .put = file_put, .close = file_close };

struct blob_store *
blob_file_open(const char *dir, struct error *err)
{
	struct file_store *s = calloc(1, sizeof(*s) + strlen(dir) + 1);

	if (!s) {
		error_set(err, "out of memory");
		return NULL;
	}
	s->base.kind = &file_kind;
	memcpy(s->path, dir, strlen(dir) + 1);
	if (mkdir(dir, 0750) < 0 && errno != EEXIST) {
		error_set(err, "BLOB_DIR=%s: cannot be made: %s", dir, strerror(errno));
		free(s);
		return NULL;
	}
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0 || faccessat(s->dir, ".", W_OK | X_OK, 0) < 0) {
		error_set(err, "BLOB_DIR=%s: %s; a directory that this user may write is needed", dir, strerror(errno));
		if (s->dir >= 0)
			close(s->dir);
		free(s);
		return NULL;
	}
	return &s->base;
}
