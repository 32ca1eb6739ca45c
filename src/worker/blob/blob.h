/*
 * blob.h: where artifacts are kept.
 *
 * A store keeps bytes under keys such as jobs/<job_id>/<run_at>/<attempt>-<claim_token>/<name>.  The claim token
 * makes the key unique to one claim: a worker that lost its run cannot overwrite what its successor stored.  Calls
 * are thread-safe.
 */
#ifndef JOBSCHED_BLOB_H
#define JOBSCHED_BLOB_H

#include <stddef.h>

#include "error.h"

#define BLOB_KEY_MAX	512			/* bytes of a key, without NUL */

struct blob_store;

/* One kind of store. */
struct blob_kind {
	/* Returns when the bytes are durable; an object of that key is replaced whole. */
	int (*put)(struct blob_store *store, const char *key, const char *content_type, const void *data, size_t size,
			   struct error *err);
	void (*close)(struct blob_store *store);
};

struct blob_store {
	const struct blob_kind *kind;
};

/* Files below dir, which is made when absent.  NULL after filling *err. */
struct blob_store *blob_file_open(const char *dir, struct error *err);

int blob_put(struct blob_store *store, const char *key, const char *content_type, const void *data, size_t size,
			 struct error *err);

/* NULL is allowed. */
void blob_close(struct blob_store *store);

#endif
