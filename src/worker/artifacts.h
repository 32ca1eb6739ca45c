/*
 * artifacts.h: what a run writes to the blob store, and the manifest of it.
 *
 * One struct artifacts belongs to one attempt and to the thread that looks after it.  A name stands once in the
 * manifest, and an artifact only when it is whole and safe.
 */
#ifndef JOBSCHED_WORKER_ARTIFACTS_H
#define JOBSCHED_WORKER_ARTIFACTS_H

#include <jansson.h>

#include "blob/blob.h"

struct artifacts {
	struct blob_store *store;
	const char *job_id; /* with run_at, attempt and token: where in the store */
	const char *run_at; /* RFC 3339 */
	const char *token;
	int attempt;
	bool (*stop)(void *arg); /* as in struct blob_object */
	void *stop_arg;
	json_t *manifest; /* array, or NULL */
	struct artifact_writer *writers; /* open ones */
};

struct artifact_writer;

/* Names: 1..100 of A-Z a-z 0-9 . _ -, no dot first. */
bool artifact_name_allowed(const char *name);

/* All return 0 or a negative enum blob_result after filling *err. */
int artifacts_put(struct artifacts *a, const char *name, const char *content_type, const void *data, size_t size,
        struct error *err);
int artifacts_put_file(struct artifacts *a, const char *name, const char *content_type, int fd, struct error *err);

/* A writer ends with commit, which frees it whatever it returns, or with abort. */
int artifacts_create(struct artifacts *a, const char *name, const char *content_type, struct artifact_writer **writer,
        struct error *err);
int artifact_write(struct artifact_writer *writer, const void *data, size_t size, struct error *err);
int artifact_commit(struct artifact_writer *writer, struct error *err);
void artifact_abort(struct artifact_writer *writer);

/* For reading: one of this attempt by its name, or any by its key (which has slashes). */
int artifacts_open(struct artifacts *a, const char *what, struct blob_reader **reader, struct error *err);

/* Aborts what is open.  The manifest as JSON, malloc'ed; NULL when it is empty. */
char *artifacts_close(struct artifacts *a);

#endif
