/*
 * s3_writer.c: writing objects to an S3 server.
 *
 * An object of at most S3_PART_SIZE bytes is one request, which is why a writer keeps that much before it sends
 * anything.  A larger one is a multipart upload: nobody sees it before its last request, and an upload that is not
 * completed is aborted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3.h"

#define FIRST_ROOM ((size_t) 64 * 1024)
#define ABORT_SECONDS 5

struct s3_writer {
	struct blob_writer base;
	struct s3 *s3;
	struct blob_object object;
	char key[BLOB_KEY_MAX + 1];
	char content_type[S3_TYPE_MAX];
	char *buf; /* what has not been sent: n bytes of room */
	size_t n, room;
	char upload_id[S3_UPLOAD_ID_MAX + 1]; /* "" before the upload */
	char **etags; /* of the parts sent */
	int nparts;
	uint64_t sent; /* bytes in them */
};

int
s3_put(struct blob_store *store, const struct blob_object *object, const void *data, size_t size, struct error *err)
{
	struct s3 *s3 = (struct s3 *) store;
	struct s3_try t = {.s3 = s3, .method = "PUT", .object = object};

	do
		s3->dialect->put(s3, object, data ? data : "", size, &t.answer);
	while (s3_try_again(&t));
	return s3_try_result(&t, err);
}

static int
no_memory(const struct s3_writer *w, struct error *err)
{
	error_set(err, "%s: out of memory", w->key);
	return BLOB_FAILED;
}

int
s3_writer_open(
        struct blob_store *store, const struct blob_object *object, struct blob_writer **writer, struct error *err)
{
	struct s3_writer *w = calloc(1, sizeof(*w));

	if (!w) {
		error_set(err, "%s: out of memory", object->key);
		return BLOB_FAILED;
	}
	w->s3 = (struct s3 *) store;
	snprintf(w->key, sizeof(w->key), "%s", object->key);
	s3_content_type(object->content_type, w->content_type);
	w->object = *object;
	w->object.key = w->key;
	w->object.content_type = w->content_type;
	*writer = &w->base;
	return BLOB_OK;
}

/* ---- the four requests of an upload ---- */

static int
begin_upload(struct s3_writer *w, struct error *err)
{
	char xml[8192];
	struct s3_request r = {.method = "POST",
	        .query.uploads = true,
	        .content_type = w->content_type,
	        .body = "",
	        .into = xml,
	        .room = sizeof(xml)};
	struct s3_try t = {.s3 = w->s3, .method = "begin upload of", .object = &w->object};

	do {
		s3_send(w->s3, &w->object, &r, &t.answer);
		if (t.answer.result == BLOB_OK &&
		        (!s3_xml_text(xml, r.got, "InitiateMultipartUploadResult", "UploadId", w->upload_id,
		                 sizeof(w->upload_id)) ||
		                !w->upload_id[0]))
			s3_answer_failed(&t.answer, true, "the answer names no UploadId");
	} while (s3_try_again(&t));
	return s3_try_result(&t, err);
}

static int
send_part(struct s3_writer *w, const void *data, size_t size, struct error *err)
{
	struct s3_request r = {.method = "PUT",
	        .query.upload_id = w->upload_id,
	        .query.part = w->nparts + 1,
	        .content_type = "application/octet-stream",
	        .body = data,
	        .size = size};
	char method[32];
	struct s3_try t = {.s3 = w->s3, .method = method, .object = &w->object};
	char **etags;

	if (w->nparts == S3_PARTS_MAX) {
		error_set(err, "%s: larger than %d parts of %zu MiB", w->key, S3_PARTS_MAX, S3_PART_SIZE >> 20);
		return BLOB_REFUSED;
	}
	snprintf(method, sizeof(method), "PUT part %d of", r.query.part);
	do {
		s3_send(w->s3, &w->object, &r, &t.answer);
		if (t.answer.result == BLOB_OK && !r.etag[0])
			s3_answer_failed(&t.answer, true, "the answer has no ETag");
	} while (s3_try_again(&t));
	if (t.answer.result != BLOB_OK)
		return s3_try_result(&t, err);
	etags = realloc(w->etags, ((size_t) w->nparts + 1) * sizeof(*etags));
	if (!etags)
		return no_memory(w, err);
	w->etags = etags;
	w->etags[w->nparts] = strdup(r.etag);
	if (!w->etags[w->nparts])
		return no_memory(w, err);
	w->nparts++;
	w->sent += size;
	return BLOB_OK;
}

/* The list of parts; the tags are the server's own words, with quotes. */
static char *
list_parts(const struct s3_writer *w, size_t *len)
{
	char *xml = NULL;
	FILE *out = open_memstream(&xml, len);

	if (!out)
		return NULL;
	fputs("<CompleteMultipartUpload>", out);
	for (int i = 0; i < w->nparts; i++) {
		fprintf(out, "<Part><PartNumber>%d</PartNumber><ETag>", i + 1);
		for (const char *p = w->etags[i]; *p; p++) {
			switch (*p) {
			case '<':
				fputs("&lt;", out);
				break;
			case '&':
				fputs("&amp;", out);
				break;
			case '"':
				fputs("&quot;", out);
				break;
			default:
				fputc(*p, out);
			}
		}
		fputs("</ETag></Part>", out);
	}
	fputs("</CompleteMultipartUpload>", out);
	if (fclose(out) != 0) {
		free(xml);
		return NULL;
	}
	return xml;
}

/* An error may come with status 200, because the server began to answer before it knew. */
static void
check_completed(const char *xml, size_t len, struct s3_answer *a)
{
	char text[2048];

	if (!s3_xml_text(xml, len, "CompleteMultipartUploadResult", "ETag", text, sizeof(text)))
		s3_answer_error_body(a, 500, xml, len);
}

static int
complete_upload(struct s3_writer *w, struct error *err)
{
	char answer[8192], etag[S3_ETAG_MAX];
	struct s3_request r = {.method = "POST",
	        .query.upload_id = w->upload_id,
	        .content_type = "application/xml",
	        .into = answer,
	        .room = sizeof(answer)};
	struct s3_try t = {.s3 = w->s3, .method = "complete upload of", .object = &w->object};
	char *xml = list_parts(w, &r.size);
	uint64_t size = 0;

	r.body = xml;
	if (!xml)
		return no_memory(w, err);
	do {
		s3_send(w->s3, &w->object, &r, &t.answer);
		if (t.answer.result == BLOB_OK)
			check_completed(answer, r.got, &t.answer);
	} while (s3_try_again(&t));
	free(xml);
	/* Its answer was lost, and it is gone when asked again: was it completed? */
	if (strcmp(t.answer.code, "NoSuchUpload") == 0 && t.attempts > 1 &&
	        s3_head(w->s3, &w->object, &size, etag, NULL) == BLOB_OK && size == w->sent)
		s3_answer_ok(&t.answer);
	if (t.answer.result == BLOB_OK)
		w->upload_id[0] = '\0';
	return s3_try_result(&t, err);
}

/* Best effort, once: what is left over a lifecycle rule of the bucket removes. */
static void
abort_upload(struct s3_writer *w)
{
	struct s3_request r = {.method = "DELETE", .query.upload_id = w->upload_id, .seconds = ABORT_SECONDS};
	struct blob_object object = {.key = w->key};
	struct s3_answer answer;

	s3_send(w->s3, &object, &r, &answer);
}

/* ---- the writer ---- */

static int
send_buffer(struct s3_writer *w, struct error *err)
{
	int rc = send_part(w, w->buf, w->n, err);

	w->n = 0;
	return rc;
}

static int
keep(struct s3_writer *w, const char *data, size_t size, struct error *err)
{
	size_t need = w->n + size, room = w->room > 0 ? w->room : FIRST_ROOM;

	while (room < need)
		room *= 2;
	if (room > w->room) {
		char *buf = realloc(w->buf, room);

		if (!buf)
			return no_memory(w, err);
		w->buf = buf;
		w->room = room;
	}
	memcpy(w->buf + w->n, data, size);
	w->n = need;
	return BLOB_OK;
}

int
s3_writer_write(struct blob_writer *writer, const void *data, size_t size, struct error *err)
{
	struct s3_writer *w = (struct s3_writer *) writer;
	const char *from = data;

	while (size > 0) {
		size_t take;
		int rc = BLOB_OK;

		if (!w->upload_id[0] && w->n + size > S3_PART_SIZE)
			rc = begin_upload(w, err);
		if (rc == BLOB_OK && w->n == S3_PART_SIZE)
			rc = send_buffer(w, err);
		if (rc < 0)
			return rc;
		take = S3_PART_SIZE - w->n < size ? S3_PART_SIZE - w->n : size;
		if (take == S3_PART_SIZE && w->upload_id[0])
			rc = send_part(w, from, take, err);
		else
			rc = keep(w, from, take, err);
		if (rc < 0)
			return rc;
		from += take;
		size -= take;
	}
	return BLOB_OK;
}

int
s3_writer_commit(struct blob_writer *writer, struct error *err)
{
	struct s3_writer *w = (struct s3_writer *) writer;
	int rc = BLOB_OK;

	if (!w->upload_id[0])
		return s3_put(&w->s3->base, &w->object, w->buf, w->n, err);
	if (w->n > 0)
		rc = send_buffer(w, err);
	return rc < 0 ? rc : complete_upload(w, err);
}

void
s3_writer_free(struct blob_writer *writer)
{
	struct s3_writer *w = (struct s3_writer *) writer;

	if (w->upload_id[0])
		abort_upload(w);
	for (int i = 0; i < w->nparts; i++)
		free(w->etags[i]);
	free(w->etags);
	free(w->buf);
	free(w);
}
