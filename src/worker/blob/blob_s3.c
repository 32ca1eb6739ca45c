/*
 * blob_s3.c: blobs as objects in a bucket of an S3 server.
 */
#include <ctype.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3.h"

#define READ_SIZE ((size_t) 4 * 1024 * 1024) /* bytes of one request of a reader */
#define CHECK_KEY "jobs/none" /* no object has it */

/* ---- reading: one range after the other, so that each can be tried again ---- */

struct s3_reader {
	struct blob_reader base;
	struct s3 *s3;
	struct blob_object object;
	char key[BLOB_KEY_MAX + 1];
	char etag[S3_ETAG_MAX];
	uint64_t next; /* offset of the next request */
	char *buf;
	size_t room, n, taken; /* buf has n bytes, of which the caller has taken some */
};

int
s3_head(struct s3 *s3, const struct blob_object *object, uint64_t *size, char etag[S3_ETAG_MAX], struct error *err)
{
	struct s3_try t = {.s3 = s3, .method = "HEAD", .object = object};

	do
		s3->dialect->head(s3, object, size, etag, &t.answer);
	while (s3_try_again(&t));
	return s3_try_result(&t, err);
}

static int
s3_reader_open(
        struct blob_store *store, const struct blob_object *object, struct blob_reader **reader, struct error *err)
{
	struct s3_reader *r = calloc(1, sizeof(*r));
	int rc;

	if (!r) {
		error_set(err, "%s: out of memory", object->key);
		return BLOB_FAILED;
	}
	r->s3 = (struct s3 *) store;
	snprintf(r->key, sizeof(r->key), "%s", object->key);
	r->object = *object;
	r->object.key = r->key;
	rc = s3_head(r->s3, object, &r->base.size, r->etag, err);
	if (rc == BLOB_OK) {
		r->room = r->base.size < READ_SIZE ? (size_t) r->base.size : READ_SIZE;
		r->buf = malloc(r->room + 1);
		if (!r->buf)
			rc = error_set(err, "%s: out of memory", object->key);
	}
	if (rc < 0) {
		free(r);
		return rc;
	}
	*reader = &r->base;
	return BLOB_OK;
}

static int
fill(struct s3_reader *r, struct error *err)
{
	uint64_t left = r->base.size - r->next;
	struct s3_range range = {.offset = r->next,
	        .into = r->buf,
	        .size = left < r->room ? (size_t) left : r->room,
	        .etag = r->etag[0] ? r->etag : NULL};
	struct s3_try t = {.s3 = r->s3, .method = "GET", .object = &r->object};

	do
		r->s3->dialect->get(r->s3, &r->object, &range, &t.answer);
	while (s3_try_again(&t));
	if (t.answer.result == BLOB_OK) {
		r->n = range.size;
		r->taken = 0;
		r->next += range.size;
	}
	return s3_try_result(&t, err);
}

static ssize_t
s3_reader_read(struct blob_reader *reader, void *buf, size_t size, struct error *err)
{
	struct s3_reader *r = (struct s3_reader *) reader;
	size_t take;

	if (r->taken == r->n) {
		int rc;

		if (r->next == r->base.size)
			return 0;
		rc = fill(r, err);
		if (rc < 0)
			return rc;
	}
	take = r->n - r->taken < size ? r->n - r->taken : size;
	memcpy(buf, r->buf + r->taken, take);
	r->taken += take;
	return (ssize_t) take;
}

static void
s3_reader_free(struct blob_reader *reader)
{
	struct s3_reader *r = (struct s3_reader *) reader;

	free(r->buf);
	free(r);
}

static int
s3_stat(struct blob_store *store, const struct blob_object *object, struct blob_info *info, struct error *err)
{
	char etag[S3_ETAG_MAX];

	return s3_head((struct s3 *) store, object, &info->size, etag, err);
}

/* ---- the store ---- */

/*
 * Asks for an object that is not there: the answer "no such key" shows that address, bucket, keys and clock are right,
 * and so does "access denied" where the key may write and read but not list.  Keys that may do nothing at all are found
 * out by the first run.
 */
static int
s3_check(struct blob_store *store, struct error *err)
{
	struct s3 *s3 = (struct s3 *) store;
	struct blob_object object = {.key = CHECK_KEY};
	char byte;
	struct s3_range range = {.into = &byte, .size = 1};
	struct s3_try t = {.s3 = s3, .method = "GET", .object = &object, .attempts = 1};

	s3->dialect->get(s3, &object, &range, &t.answer);
	if (strcmp(t.answer.code, "NoSuchKey") == 0 || strcmp(t.answer.code, "AccessDenied") == 0)
		return BLOB_OK;
	if (t.answer.result == BLOB_OK || t.answer.result == BLOB_MISSING)
		s3_answer_error(&t.answer, 400, "", "what no S3 server says here; check S3_ENDPOINT");
	return s3_try_result(&t, err);
}

static void
s3_close(struct blob_store *store)
{
	struct s3 *s3 = (struct s3 *) store;

	for (int i = 0; i < s3->nidle; i++)
		curl_easy_cleanup(s3->idle[i]);
	if (s3->place.v2)
		s3_v2_cleanup();
	pthread_mutex_destroy(&s3->lock);
	free(s3->access_key);
	free(s3->secret_key);
	free(s3->region);
	free(s3->ca_file);
	free(s3);
}

static const struct blob_kind s3_kind = {
        .put_max = S3_PART_SIZE,
        .put = s3_put,
        .writer_open = s3_writer_open,
        .writer_write = s3_writer_write,
        .writer_commit = s3_writer_commit,
        .writer_free = s3_writer_free,
        .reader_open = s3_reader_open,
        .reader_read = s3_reader_read,
        .reader_free = s3_reader_free,
        .stat = s3_stat,
        .check = s3_check,
        .close = s3_close,
};

static bool
printable(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++) {
		if ((unsigned char) *text <= ' ' || (unsigned char) *text >= 0x7F)
			return false;
	}
	return true;
}

static int
check_config(const struct blob_s3_config *c, struct s3_place *place, struct error *err)
{
	struct error why = {""};

	if (!c->region[0] ||
	        strspn(c->region, "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDEFGHIJKLMNOPQRSTUVWXYZ") !=
	                strlen(c->region) ||
	        strlen(c->region) > 64)
		return error_set(err, "S3_REGION=%s: 1..64 letters, digits, - and _ are needed", c->region);
	place->virtual_host = c->virtual_host;
	place->v2 = c->v2;
	if (s3_place_endpoint(place, c->endpoint, c->secure, c->region, &why) < 0)
		return error_set(err, "S3_ENDPOINT=%s: %s; host, host:port or http(s)://host:port is needed",
		        c->endpoint, why.msg);
	if (s3_place_bucket(place, c->bucket, &why) < 0)
		return error_set(err, "S3_BUCKET=%s: %s", c->bucket, why.msg);
	if (!printable(c->access_key))
		return error_set(err, "S3_ACCESS_KEY=%s: printable ASCII without blanks is needed", c->access_key);
	if (!printable(c->secret_key))
		return error_set(err, "S3_SECRET_KEY: %s: printable ASCII without blanks is needed",
		        c->secret_key[0] ? "this value is not allowed" : "empty");
	return 0;
}

int
blob_s3_check_config(const struct blob_s3_config *config, struct error *err)
{
	struct s3_place place = {0};

	return check_config(config, &place, err);
}

struct blob_store *
blob_s3_open(const struct blob_s3_config *config, struct error *err)
{
	struct s3 *s3 = calloc(1, sizeof(*s3));

	if (!s3) {
		error_set(err, "out of memory");
		return NULL;
	}
	s3->base.kind = &s3_kind;
	pthread_mutex_init(&s3->lock, NULL);
	if (check_config(config, &s3->place, err) < 0 || (config->v2 && s3_v2_setup(err) < 0)) {
		s3->place.v2 = false;
		s3_close(&s3->base);
		return NULL;
	}
	s3->dialect = config->v2 ? &s3_v2 : &s3_v4;
	s3->timeout = config->timeout;
	s3->retries = config->retries;
	s3->access_key = strdup(config->access_key);
	s3->secret_key = strdup(config->secret_key);
	s3->region = strdup(config->region);
	if (config->ca_file)
		s3->ca_file = strdup(config->ca_file);
	if (!s3->access_key || !s3->secret_key || !s3->region || (config->ca_file && !s3->ca_file)) {
		error_set(err, "out of memory");
		s3_close(&s3->base);
		return NULL;
	}
	xmlInitParser();
	return &s3->base;
}
