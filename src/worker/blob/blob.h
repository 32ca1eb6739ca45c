/*
 * blob.h: where artifacts are kept.
 *
 * A store keeps bytes under keys such as jobs/<job_id>/<run_at>/<attempt>-<claim_token>/<name>.  The claim token
 * makes the key unique to one claim: a worker that lost its run cannot overwrite what its successor stored, and
 * nothing links to what it left behind.
 *
 * Calls on a store are thread-safe; a writer or a reader belongs to one thread at a time.  What fails returns one of
 * enum blob_result after filling *err with a text that names key or bucket, never a secret.
 */
#ifndef JOBSCHED_BLOB_H
#define JOBSCHED_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

#define BLOB_KEY_MAX 512 /* bytes of a key, without NUL */
#define BLOB_SHA256_SIZE 65 /* 64 hexadecimal digits, lower case, and NUL */

enum blob_result {
	BLOB_OK = 0,
	BLOB_FAILED = -1, /* another attempt may succeed: the server is away or slow, the disk is full */
	BLOB_REFUSED = -2, /* somebody must change something first: wrong secret, no such bucket, key not allowed */
	BLOB_MISSING = -3, /* no object of that key */
	BLOB_STOPPED = -4 /* stop() said so */
};

struct blob_store;
struct blob_writer;
struct blob_reader;

/* What a call is about.  Everything is copied but stop_arg, which must live as long as the call, writer or reader. */
struct blob_object {
	const char *key; /* relative, no part of it empty or beginning with a dot */
	const char *content_type; /* of what is written; NULL: application/octet-stream */
	const char *sha256; /* what a reader expects, checked at the end of the object; NULL: not checked */
	bool (*stop)(void *arg); /* asked about once a second while a server is waited for; NULL: never stop */
	void *stop_arg;
};

/* What is in the store. */
struct blob_info {
	uint64_t size; /* bytes */
	char sha256[BLOB_SHA256_SIZE]; /* of all bytes; "" from blob_stat, which does not read them */
};

/* Files below dir, which is made when absent.  NULL after filling *err. */
struct blob_store *blob_file_open(const char *dir, struct error *err);

/* An S3 server.  The texts are copied. */
struct blob_s3_config {
	const char *endpoint; /* host, host:port or URL; "": AWS */
	bool secure; /* https when endpoint has no scheme */
	const char *bucket;
	const char *access_key;
	const char *secret_key;
	const char *region;
	bool virtual_host; /* the bucket is part of the host's name, not of the path */
	bool v2; /* Signature V2 instead of V4 */
	const char *ca_file; /* authorities for https, PEM; NULL: the system's */
	double timeout; /* seconds without a byte until a request is given up */
	int retries; /* how often a request that failed is sent again */
};

/* Objects of a bucket, which must exist.  While there is one thread.  NULL after filling *err, which names the setting. */
struct blob_store *blob_s3_open(const struct blob_s3_config *config, struct error *err);

/* Whether the values can be meant; nothing is sent. */
int blob_s3_check_config(const struct blob_s3_config *config, struct error *err);

/* NULL is allowed.  All writers and readers have ended. */
void blob_close(struct blob_store *store);

/*
 * Stores bytes: from memory, from the file at fd (from where it stands to its end), or piece by piece.  An object of
 * that key is replaced whole, and never seen in part.  Success means that the bytes are safe: synced, or confirmed by
 * the server.  *info (may be NULL) is filled then.
 */
int blob_put(struct blob_store *store, const struct blob_object *object, const void *data, size_t size,
        struct blob_info *info, struct error *err);
int blob_put_file(
        struct blob_store *store, const struct blob_object *object, int fd, struct blob_info *info, struct error *err);

/*
 * A writer ends with commit, which frees it whatever it returns, or with abort.  After a write has failed, commit fails
 * with the same text.  Memory: at most 16 MiB a writer, whatever the size of the object.
 */
int blob_writer_open(
        struct blob_store *store, const struct blob_object *object, struct blob_writer **writer, struct error *err);
int blob_writer_write(struct blob_writer *writer, const void *data, size_t size, struct error *err);
int blob_writer_commit(struct blob_writer *writer, struct blob_info *info, struct error *err);
void blob_writer_abort(struct blob_writer *writer); /* NULL is allowed */

/*
 * Reads an object from its beginning.  blob_reader_read returns the number of bytes (1..size), 0 at the end, or a negative
 * enum blob_result; BLOB_FAILED also when the object is not what object->sha256 says.
 */
int blob_reader_open(
        struct blob_store *store, const struct blob_object *object, struct blob_reader **reader, struct error *err);
ssize_t blob_reader_read(struct blob_reader *reader, void *buf, size_t size, struct error *err);
uint64_t blob_reader_size(const struct blob_reader *reader); /* bytes of the whole object */
void blob_reader_close(struct blob_reader *reader); /* NULL is allowed */

/* Size of the object, or BLOB_MISSING. */
int blob_stat(struct blob_store *store, const struct blob_object *object, struct blob_info *info, struct error *err);

/*
 * Whether the store can be used, asked of it when the worker starts: BLOB_REFUSED when the configuration cannot work,
 * BLOB_FAILED when the server does not answer now.
 */
int blob_check(struct blob_store *store, struct error *err);

#endif
