/*
 * blob_kind.h: what a kind of store implements; blob.c does for all of them what is the same (keys, size, SHA-256).
 */
#ifndef JOBSCHED_BLOB_KIND_H
#define JOBSCHED_BLOB_KIND_H

#include <openssl/evp.h>

#include "blob.h"

/* Keys are checked before these are called, and content_type is never NULL. */
struct blob_kind {
	/* Bytes up to put_max go through put, more through a writer; 0: put is NULL. */
	size_t put_max;
	int (*put)(struct blob_store *store, const struct blob_object *object, const void *data, size_t size,
	        struct error *err);

	/* The writer and the reader are made and freed by the kind; its struct begins with the base. */
	int (*writer_open)(struct blob_store *store, const struct blob_object *object, struct blob_writer **writer,
	        struct error *err);
	int (*writer_write)(struct blob_writer *writer, const void *data, size_t size, struct error *err);
	int (*writer_commit)(struct blob_writer *writer, struct error *err); /* frees nothing */
	void (*writer_free)(struct blob_writer *writer); /* what is not committed goes away */

	int (*reader_open)(struct blob_store *store, const struct blob_object *object, struct blob_reader **reader,
	        struct error *err);
	ssize_t (*reader_read)(struct blob_reader *reader, void *buf, size_t size, struct error *err);
	void (*reader_free)(struct blob_reader *reader);

	int (*stat)(
	        struct blob_store *store, const struct blob_object *object, struct blob_info *info, struct error *err);
	int (*check)(struct blob_store *store, struct error *err);
	void (*close)(struct blob_store *store);
};

struct blob_store {
	const struct blob_kind *kind;
};

struct blob_writer {
	struct blob_store *store;
	EVP_MD_CTX *sha256;
	uint64_t size; /* bytes written so far */
	int failed; /* enum blob_result of the write that failed, else 0 */
	struct error why;
};

struct blob_reader {
	struct blob_store *store;
	EVP_MD_CTX *sha256; /* NULL: nothing is expected */
	uint64_t size; /* of the object, set by reader_open */
	bool damaged; /* it was not what was expected */
	char expected[BLOB_SHA256_SIZE];
	char key[BLOB_KEY_MAX + 1];
};

#endif
