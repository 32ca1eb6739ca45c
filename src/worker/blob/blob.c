/*
 * blob.c: what all blob stores have in common.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "blob_kind.h"

#define COPY_SIZE ((size_t) 256 * 1024) /* bytes read from a file at once */

/* Relative, and no part empty or beginning with a dot: a key never leaves its store. */
static bool
key_allowed(const char *key)
{
	size_t len = strlen(key);

	if (len == 0 || len > BLOB_KEY_MAX || key[len - 1] == '/')
		return false;
	for (const char *p = key; *p; p++) {
		if ((p == key || p[-1] == '/') && (*p == '/' || *p == '.'))
			return false;
		if ((unsigned char) *p < 0x20 || *p == 0x7F)
			return false;
	}
	return true;
}

/* The object as a kind sees it. */
static int
check_object(struct blob_object *out, const struct blob_object *object, struct error *err)
{
	*out = *object;
	if (!out->content_type)
		out->content_type = "application/octet-stream";
	if (!key_allowed(out->key)) {
		error_set(err, "blob key %s is not allowed", out->key);
		return BLOB_REFUSED;
	}
	return BLOB_OK;
}

static int
sha256_start(EVP_MD_CTX **ctx, struct error *err)
{
	*ctx = EVP_MD_CTX_new();
	if (!*ctx || EVP_DigestInit_ex(*ctx, EVP_sha256(), NULL) != 1) {
		error_set(err, "SHA-256 cannot be computed");
		return BLOB_FAILED;
	}
	return BLOB_OK;
}

static int
sha256_end(EVP_MD_CTX *ctx, char out[BLOB_SHA256_SIZE], struct error *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_DigestFinal_ex(ctx, digest, &len) != 1 || len != 32) {
		error_set(err, "SHA-256 cannot be computed");
		return BLOB_FAILED;
	}
	for (unsigned i = 0; i < len; i++)
		snprintf(out + (size_t) i * 2, 3, "%02x", digest[i]);
	return BLOB_OK;
}

static int
put_whole(struct blob_store *store, const struct blob_object *object, const void *data, size_t size,
        struct blob_info *info, struct error *err)
{
	EVP_MD_CTX *sha256 = NULL;
	struct blob_info done = {.size = size};
	int rc = sha256_start(&sha256, err);

	if (rc == BLOB_OK && EVP_DigestUpdate(sha256, data, size) != 1) {
		error_set(err, "SHA-256 cannot be computed");
		rc = BLOB_FAILED;
	}
	if (rc == BLOB_OK)
		rc = sha256_end(sha256, done.sha256, err);
	if (rc == BLOB_OK)
		rc = store->kind->put(store, object, data, size, err);
	EVP_MD_CTX_free(sha256);
	if (rc == BLOB_OK && info)
		*info = done;
	return rc;
}

int
blob_put(struct blob_store *store, const struct blob_object *object, const void *data, size_t size,
        struct blob_info *info, struct error *err)
{
	struct blob_object checked;
	struct blob_writer *writer;
	int rc = check_object(&checked, object, err);

	if (rc < 0)
		return rc;
	if (store->kind->put && size <= store->kind->put_max)
		return put_whole(store, &checked, data, size, info, err);
	rc = blob_writer_open(store, &checked, &writer, err);
	if (rc < 0)
		return rc;
	blob_writer_write(writer, data, size, NULL); /* commit says why it failed */
	return blob_writer_commit(writer, info, err);
}

int
blob_put_file(
        struct blob_store *store, const struct blob_object *object, int fd, struct blob_info *info, struct error *err)
{
	struct blob_writer *writer;
	char *buf = malloc(COPY_SIZE);
	ssize_t n;
	int rc;

	if (!buf) {
		error_set(err, "%s: out of memory", object->key);
		return BLOB_FAILED;
	}
	rc = blob_writer_open(store, object, &writer, err);
	if (rc < 0)
		goto out;
	do {
		n = read(fd, buf, COPY_SIZE);
		if (n > 0 && blob_writer_write(writer, buf, (size_t) n, NULL) < 0)
			break;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0) {
		error_set(err, "%s: the file that it is made of cannot be read: %s", object->key, strerror(errno));
		blob_writer_abort(writer);
		rc = BLOB_FAILED;
		goto out;
	}
	rc = blob_writer_commit(writer, info, err);
out:
	free(buf);
	return rc;
}

int
blob_writer_open(
        struct blob_store *store, const struct blob_object *object, struct blob_writer **writer, struct error *err)
{
	struct blob_object checked;
	int rc = check_object(&checked, object, err);

	*writer = NULL;
	if (rc < 0)
		return rc;
	rc = store->kind->writer_open(store, &checked, writer, err);
	if (rc < 0)
		return rc;
	(*writer)->store = store;
	rc = sha256_start(&(*writer)->sha256, err);
	if (rc < 0) {
		blob_writer_abort(*writer);
		*writer = NULL;
	}
	return rc;
}

int
blob_writer_write(struct blob_writer *writer, const void *data, size_t size, struct error *err)
{
	if (writer->failed == BLOB_OK && size > 0) {
		if (EVP_DigestUpdate(writer->sha256, data, size) != 1) {
			error_set(&writer->why, "SHA-256 cannot be computed");
			writer->failed = BLOB_FAILED;
		} else {
			writer->failed = writer->store->kind->writer_write(writer, data, size, &writer->why);
		}
		writer->size += size;
	}
	if (writer->failed < 0)
		error_set(err, "%s", writer->why.msg);
	return writer->failed;
}

int
blob_writer_commit(struct blob_writer *writer, struct blob_info *info, struct error *err)
{
	struct blob_info done = {.size = writer->size};
	int rc = writer->failed;

	if (rc < 0)
		error_set(err, "%s", writer->why.msg);
	if (rc == BLOB_OK)
		rc = sha256_end(writer->sha256, done.sha256, err);
	if (rc == BLOB_OK)
		rc = writer->store->kind->writer_commit(writer, err);
	blob_writer_abort(writer);
	if (rc == BLOB_OK && info)
		*info = done;
	return rc;
}

void
blob_writer_abort(struct blob_writer *writer)
{
	if (!writer)
		return;
	EVP_MD_CTX_free(writer->sha256);
	writer->store->kind->writer_free(writer);
}

int
blob_reader_open(
        struct blob_store *store, const struct blob_object *object, struct blob_reader **reader, struct error *err)
{
	struct blob_object checked;
	int rc = check_object(&checked, object, err);

	*reader = NULL;
	if (rc < 0)
		return rc;
	rc = store->kind->reader_open(store, &checked, reader, err);
	if (rc < 0)
		return rc;
	(*reader)->store = store;
	snprintf((*reader)->key, sizeof((*reader)->key), "%s", checked.key);
	if (checked.sha256) {
		snprintf((*reader)->expected, sizeof((*reader)->expected), "%s", checked.sha256);
		rc = sha256_start(&(*reader)->sha256, err);
		if (rc < 0) {
			blob_reader_close(*reader);
			*reader = NULL;
		}
	}
	return rc;
}

/* At the end of the object. */
static int
check_sha256(struct blob_reader *reader, struct error *err)
{
	char found[BLOB_SHA256_SIZE];

	if (reader->sha256) {
		int rc = sha256_end(reader->sha256, found, err);

		if (rc < 0)
			return rc;
		EVP_MD_CTX_free(reader->sha256);
		reader->sha256 = NULL;
		reader->damaged = strcasecmp(found, reader->expected) != 0;
	}
	if (reader->damaged) {
		error_set(err, "%s is damaged: its SHA-256 is not %s", reader->key, reader->expected);
		return BLOB_FAILED;
	}
	return BLOB_OK;
}

ssize_t
blob_reader_read(struct blob_reader *reader, void *buf, size_t size, struct error *err)
{
	ssize_t n = size > 0 ? reader->store->kind->reader_read(reader, buf, size, err) : 0;

	if (n > 0 && reader->sha256 && EVP_DigestUpdate(reader->sha256, buf, (size_t) n) != 1) {
		error_set(err, "SHA-256 cannot be computed");
		return BLOB_FAILED;
	}
	if (n == 0 && size > 0)
		return check_sha256(reader, err);
	return n;
}

uint64_t
blob_reader_size(const struct blob_reader *reader)
{
	return reader->size;
}

void
blob_reader_close(struct blob_reader *reader)
{
	if (!reader)
		return;
	EVP_MD_CTX_free(reader->sha256);
	reader->store->kind->reader_free(reader);
}

int
blob_stat(struct blob_store *store, const struct blob_object *object, struct blob_info *info, struct error *err)
{
	struct blob_object checked;
	struct blob_info found = {0};
	int rc = check_object(&checked, object, err);

	if (rc == BLOB_OK)
		rc = store->kind->stat(store, &checked, &found, err);
	if (rc == BLOB_OK && info)
		*info = found;
	return rc;
}

int
blob_check(struct blob_store *store, struct error *err)
{
	return store->kind->check(store, err);
}

void
blob_close(struct blob_store *store)
{
	if (store)
		store->kind->close(store);
}
