/*
 * task_artifact.c: writing and reading artifacts: the third part of jobsched_task.h.
 *
 * What is open is on a list, so that what a task forgets does not outlive it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blob/blob.h"
#include "task_context.h"

struct task_writer {
	struct task_context *task;
	void *handle;
	struct task_writer *next;
};

struct task_reader {
	struct task_context *task;
	void *handle;
	uint64_t size;
	struct task_reader *next;
};

_Static_assert((int) TASK_ARTIFACT_FAILED == (int) BLOB_FAILED && (int) TASK_ARTIFACT_REFUSED == (int) BLOB_REFUSED &&
                (int) TASK_ARTIFACT_MISSING == (int) BLOB_MISSING && (int) TASK_ARTIFACT_STOPPED == (int) BLOB_STOPPED,
        "results of tasks and of the blob store are the same numbers");

const char *
task_artifact_error(const struct task_context *task)
{
	return task->artifact_error.msg;
}

static int
out_of_memory(struct task_context *task, const char *name)
{
	error_set(&task->artifact_error, "artifact %s: out of memory", name);
	return TASK_ARTIFACT_FAILED;
}

/* ---- writing ---- */

int
task_artifact(struct task_context *task, const char *name, const char *content_type, const void *data, size_t size)
{
	return task->host->put(task, name, content_type, data, size, &task->artifact_error);
}

int
task_artifact_file(struct task_context *task, const char *name, const char *content_type, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0) {
		error_set(&task->artifact_error, "artifact %s: %s cannot be opened: %s", name, path, strerror(errno));
		return TASK_ARTIFACT_FAILED;
	}
	rc = task->host->put_file(task, name, content_type, fd, &task->artifact_error);
	close(fd);
	return rc;
}

int
task_writer_open(struct task_context *task, const char *name, const char *content_type, struct task_writer **writer)
{
	struct task_writer *w = calloc(1, sizeof(*w));
	int rc;

	*writer = NULL;
	if (!w)
		return out_of_memory(task, name);
	rc = task->host->create(task, name, content_type, &w->handle, &task->artifact_error);
	if (rc < 0) {
		free(w);
		return rc;
	}
	w->task = task;
	w->next = task->writers;
	task->writers = w;
	*writer = w;
	return 0;
}

int
task_writer_write(struct task_writer *writer, const void *data, size_t size)
{
	struct task_context *task = writer->task;

	return task->host->write(task, writer->handle, data, size, &task->artifact_error);
}

static void
writer_unlink(struct task_writer *writer)
{
	struct task_writer **at = &writer->task->writers;

	while (*at != writer)
		at = &(*at)->next;
	*at = writer->next;
}

int
task_writer_commit(struct task_writer *writer)
{
	struct task_context *task = writer->task;
	int rc = task->host->commit(task, writer->handle, &task->artifact_error);

	writer_unlink(writer);
	free(writer);
	return rc;
}

void
task_writer_abort(struct task_writer *writer)
{
	if (!writer)
		return;
	writer->task->host->abort(writer->task, writer->handle);
	writer_unlink(writer);
	free(writer);
}

/* ---- reading ---- */

int
task_reader_open(struct task_context *task, const char *what, struct task_reader **reader)
{
	struct task_reader *r = calloc(1, sizeof(*r));
	int rc;

	*reader = NULL;
	if (!r)
		return out_of_memory(task, what);
	rc = task->host->open(task, what, &r->handle, &r->size, &task->artifact_error);
	if (rc < 0) {
		free(r);
		return rc;
	}
	r->task = task;
	r->next = task->readers;
	task->readers = r;
	*reader = r;
	return 0;
}

uint64_t
task_reader_size(const struct task_reader *reader)
{
	return reader->size;
}

ssize_t
task_reader_read(struct task_reader *reader, void *buf, size_t size)
{
	struct task_context *task = reader->task;

	return task->host->read(task, reader->handle, buf, size, &task->artifact_error);
}

void
task_reader_close(struct task_reader *reader)
{
	struct task_reader **at;

	if (!reader)
		return;
	reader->task->host->close(reader->task, reader->handle);
	for (at = &reader->task->readers; *at != reader;)
		at = &(*at)->next;
	*at = reader->next;
	free(reader);
}

void
task_close_artifacts(struct task_context *task)
{
	struct task_writer *writer;
	struct task_reader *reader;

	while ((writer = task->writers) != NULL) {
		task->writers = writer->next;
		task->host->abort(task, writer->handle);
		free(writer);
	}
	while ((reader = task->readers) != NULL) {
		task->readers = reader->next;
		task->host->close(task, reader->handle);
		free(reader);
	}
}
