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

#include "blob_kind.h"

struct file_store {
	struct blob_store base;
	int dir; /* descriptor of BLOB_DIR: a later chdir does not matter */
	atomic_ulong temporary; /* number of the next temporary file */
	char path[]; /* BLOB_DIR, for messages */
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

/* The directory at one step of the key; a descriptor, or -1. */
static int
enter(int parent, const char *name, bool make)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT || !make)
		return fd;
	if (mkdirat(parent, name, 0750) < 0 && errno != EEXIST)
		return -1;
	if (fsync(parent) < 0)
		return -1;
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opens the directory of the key, made when absent if `make` says so; *name points at the key's last part. */
static int
open_parent(const struct file_store *s, const char *key, bool make, const char **name)
{
	char copy[BLOB_KEY_MAX + 1];
	int fd = fcntl(s->dir, F_DUPFD_CLOEXEC, 0);
	char *part = copy, *slash;

	snprintf(copy, sizeof(copy), "%s", key);
	while (fd >= 0 && (slash = strchr(part, '/'))) {
		int next, saved;

		*slash = '\0';
		next = enter(fd, part, make);
		saved = errno;
		close(fd);
		errno = saved;
		fd = next;
		part = slash + 1;
	}
	*name = key + (part - copy);
	return fd;
}

/* ---- writing ---- */

struct file_writer {
	struct blob_writer base;
	const struct file_store *s;
	int parent, fd;
	char key[BLOB_KEY_MAX + 1];
	char temporary[64]; /* "" when there is none */
};

static int
cannot(const struct file_store *s, const char *key, const char *what, struct error *err)
{
	error_set(err, "%s/%s cannot be %s: %s", s->path, key, what, strerror(errno));
	return BLOB_FAILED;
}

static void
file_writer_free(struct blob_writer *writer)
{
	struct file_writer *w = (struct file_writer *) writer;

	if (w->fd >= 0)
		close(w->fd);
	if (w->temporary[0])
		unlinkat(w->parent, w->temporary, 0);
	if (w->parent >= 0)
		close(w->parent);
	free(w);
}

static int
file_writer_open(
        struct blob_store *store, const struct blob_object *object, struct blob_writer **writer, struct error *err)
{
	struct file_store *s = (struct file_store *) store;
	struct file_writer *w = calloc(1, sizeof(*w));
	char temporary[sizeof(w->temporary)];
	const char *name;
	int rc;

	if (!w) {
		error_set(err, "%s: out of memory", object->key);
		return BLOB_FAILED;
	}
	w->s = s;
	w->fd = -1;
	snprintf(w->key, sizeof(w->key), "%s", object->key);
	w->parent = open_parent(s, object->key, true, &name);
	if (w->parent >= 0) {
		snprintf(temporary, sizeof(temporary), ".%ld-%lu.tmp", (long) getpid(),
		        atomic_fetch_add(&s->temporary, 1));
		w->fd = openat(w->parent, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	}
	if (w->fd < 0) {
		rc = cannot(s, object->key, "opened", err);
		file_writer_free(&w->base);
		return rc;
	}
	memcpy(w->temporary, temporary, sizeof(temporary));
	*writer = &w->base;
	return BLOB_OK;
}

static int
file_writer_write(struct blob_writer *writer, const void *data, size_t size, struct error *err)
{
	struct file_writer *w = (struct file_writer *) writer;

	return write_all(w->fd, data, size) < 0 ? cannot(w->s, w->key, "written", err) : BLOB_OK;
}

static int
file_writer_commit(struct blob_writer *writer, struct error *err)
{
	struct file_writer *w = (struct file_writer *) writer;
	const char *slash = strrchr(w->key, '/');

	if (fsync(w->fd) < 0 || renameat(w->parent, w->temporary, w->parent, slash ? slash + 1 : w->key) < 0)
		return cannot(w->s, w->key, "written", err);
	w->temporary[0] = '\0';
	return fsync(w->parent) < 0 ? cannot(w->s, w->key, "written", err) : BLOB_OK;
}

/* ---- reading ---- */

struct file_reader {
	struct blob_reader base;
	const struct file_store *s;
	int fd;
};

/* Opens what is there under the key; *size is its size. */
static int
open_object(const struct file_store *s, const char *key, int *fd, uint64_t *size, struct error *err)
{
	const char *name;
	int parent = open_parent(s, key, false, &name);
	struct stat st;

	*fd = parent < 0 ? -1 : openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0) {
		bool missing = errno == ENOENT || errno == ENOTDIR;
		int rc = cannot(s, key, "opened", err);

		if (parent >= 0)
			close(parent);
		return missing ? BLOB_MISSING : rc;
	}
	close(parent);
	if (fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		error_set(err, "%s/%s is not a file", s->path, key);
		close(*fd);
		return BLOB_MISSING;
	}
	*size = (uint64_t) st.st_size;
	return BLOB_OK;
}

static int
file_reader_open(
        struct blob_store *store, const struct blob_object *object, struct blob_reader **reader, struct error *err)
{
	struct file_reader *r = calloc(1, sizeof(*r));
	int rc;

	if (!r) {
		error_set(err, "%s: out of memory", object->key);
		return BLOB_FAILED;
	}
	r->s = (struct file_store *) store;
	rc = open_object(r->s, object->key, &r->fd, &r->base.size, err);
	if (rc < 0) {
		free(r);
		return rc;
	}
	*reader = &r->base;
	return BLOB_OK;
}

static ssize_t
file_reader_read(struct blob_reader *reader, void *buf, size_t size, struct error *err)
{
	struct file_reader *r = (struct file_reader *) reader;
	ssize_t n;

	do
		n = read(r->fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? cannot(r->s, reader->key, "read", err) : n;
}

static void
file_reader_free(struct blob_reader *reader)
{
	struct file_reader *r = (struct file_reader *) reader;

	close(r->fd);
	free(r);
}

static int
file_stat(struct blob_store *store, const struct blob_object *object, struct blob_info *info, struct error *err)
{
	int fd, rc = open_object((struct file_store *) store, object->key, &fd, &info->size, err);

	if (rc == BLOB_OK)
		close(fd);
	return rc;
}

/* ---- the store ---- */

static int
file_check(struct blob_store *store, struct error *err)
{
	struct file_store *s = (struct file_store *) store;

	if (faccessat(s->dir, ".", W_OK | X_OK, 0) == 0)
		return BLOB_OK;
	error_set(err, "BLOB_DIR=%s: %s; a directory that this user may write is needed", s->path, strerror(errno));
	return BLOB_REFUSED;
}

static void
file_close(struct blob_store *store)
{
	struct file_store *s = (struct file_store *) store;

	close(s->dir);
	free(s);
}

static const struct blob_kind file_kind = {
        .writer_open = file_writer_open,
        .writer_write = file_writer_write,
        .writer_commit = file_writer_commit,
        .writer_free = file_writer_free,
        .reader_open = file_reader_open,
        .reader_read = file_reader_read,
        .reader_free = file_reader_free,
        .stat = file_stat,
        .check = file_check,
        .close = file_close,
};

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
	if (s->dir < 0) {
		error_set(err, "BLOB_DIR=%s: %s; a directory that this user may write is needed", dir, strerror(errno));
		free(s);
		return NULL;
	}
	if (file_check(&s->base, err) < 0) {
		file_close(&s->base);
		return NULL;
	}
	return &s->base;
}
