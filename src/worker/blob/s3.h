/*
 * s3.h: what the files of the S3 store share.
 *
 *	blob_s3.c		the store: whole objects, reading, the check at start
 *	s3_writer.c		objects written piece by piece; multipart uploads
 *	s3_request.c	one HTTP request with libcurl, signed with V4 by libcurl or with V2
 *	blob_s3v2.c		whole objects with Signature V2, sent by libs3 (which knows no multipart uploads)
 *	s3_answer.c		what an answer means, and whether to try again
 *	common/s3_url.c	URLs and what V2 signs
 *
 * Every function that sends makes one attempt and fills a struct s3_answer; its caller repeats it:
 *
 *	struct s3_try t = { .s3 = s3, .method = "GET", .object = object };
 *
 *	do
 *		... send, filling t.answer ...
 *	while (s3_try_again(&t));
 *	return s3_try_result(&t, err);
 */
#ifndef JOBSCHED_S3_H
#define JOBSCHED_S3_H

#include <curl/curl.h>
#include <pthread.h>

#include "backoff.h"
#include "blob_kind.h"
#include "s3_url.h"

#define S3_PART_SIZE ((size_t) 16 * 1024 * 1024) /* objects up to this size are one request */
#define S3_PARTS_MAX 10000 /* S3's limit */
#define S3_IDLE_MAX 16 /* connections kept for the next request */
#define S3_TYPE_MAX 128 /* bytes of a content type with NUL, libs3's limit */
#define S3_ETAG_MAX 256 /* bytes with NUL */
#define S3_MD5_SIZE 25 /* bytes of base64 with NUL */

struct s3_dialect;

struct s3 {
	struct blob_store base;
	struct s3_place place;
	const struct s3_dialect *dialect;
	char *access_key;
	char *secret_key;
	char *region;
	char *ca_file; /* authorities for https; NULL: the system's */
	double timeout; /* seconds without a byte until a request is given up */
	int retries; /* attempts after the first */
	pthread_mutex_t lock; /* guards what follows */
	CURL *idle[S3_IDLE_MAX];
	int nidle;
};

/* What became of one attempt. */
struct s3_answer {
	int result; /* enum blob_result */
	bool again; /* the same request may succeed when it is sent again */
	bool slow; /* the server wants fewer requests */
	long wait; /* seconds that it asks to wait, or 0 */
	char code[64]; /* S3's error code, "" when there is none */
	char text[512]; /* for people */
};

struct s3_try {
	const struct s3 *s3;
	const char *method; /* for messages */
	const struct blob_object *object;
	int retries_left; /* set by the first s3_try_again */
	int attempts;
	struct backoff backoff;
	struct s3_answer answer;
};

/* True when another attempt should be made, after waiting for its time. */
bool s3_try_again(struct s3_try *t);

/* The result, and in *err what failed where. */
int s3_try_result(const struct s3_try *t, struct error *err);

/* ---- s3_answer.c: filling it ---- */

void s3_answer_ok(struct s3_answer *a);

/* No answer from the server, or none that can be used. */
void s3_answer_failed(struct s3_answer *a, bool again, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void s3_answer_stopped(struct s3_answer *a);

/* S3's error code ("" when unknown) and the HTTP status (0 when unknown). */
void s3_answer_error(struct s3_answer *a, long status, const char *code, const char *message);

/* The same from the body of an answer, which may be anything. */
void s3_answer_error_body(struct s3_answer *a, long status, const char *body, size_t len);

/* Text of the element `child` of the root element `root`; false when there is no such thing or it does not fit. */
bool s3_xml_text(const char *xml, size_t len, const char *root, const char *child, char *out, size_t size);

/* ---- the two dialects: one attempt each ---- */

/* A range of an object. */
struct s3_range {
	uint64_t offset;
	char *into;
	size_t size; /* exactly so many bytes are wanted */
	const char *etag; /* of the object that is meant */
};

struct s3_dialect {
	void (*put)(
	        struct s3 *s3, const struct blob_object *object, const void *data, size_t size, struct s3_answer *a);
	void (*get)(struct s3 *s3, const struct blob_object *object, const struct s3_range *range, struct s3_answer *a);
	void (*head)(struct s3 *s3, const struct blob_object *object, uint64_t *size, char etag[S3_ETAG_MAX],
	        struct s3_answer *a);
};

extern const struct s3_dialect s3_v4; /* s3_request.c */
extern const struct s3_dialect s3_v2; /* blob_s3v2.c */

int s3_v2_setup(struct error *err); /* before the first request, while there is one thread */
void s3_v2_cleanup(void);

/* ---- s3_request.c ---- */

struct s3_request {
	const char *method; /* GET, HEAD, PUT, POST, DELETE */
	struct s3_query query;
	const char *content_type; /* of the body; NULL without one */
	const void *body; /* NULL: none */
	size_t size;
	const struct s3_range *range; /* NULL: all */
	char *into; /* the body of a good answer; NULL: not wanted */
	size_t room;
	long seconds; /* for all of it, 0: as long as bytes move */

	/* a good answer's */
	size_t got; /* bytes in `into` */
	uint64_t length; /* Content-Length */
	char etag[S3_ETAG_MAX];
};

void s3_send(struct s3 *s3, const struct blob_object *object, struct s3_request *r, struct s3_answer *a);

/* What may stand in a header, cut to what libs3 takes. */
void s3_content_type(const char *type, char out[S3_TYPE_MAX]);

/* Base64 of MD5, for Content-MD5; "" where MD5 is not allowed (FIPS). */
void s3_content_md5(const void *data, size_t size, char out[S3_MD5_SIZE]);

/* ---- s3_writer.c ---- */

int s3_writer_open(
        struct blob_store *store, const struct blob_object *object, struct blob_writer **writer, struct error *err);
int s3_writer_write(struct blob_writer *writer, const void *data, size_t size, struct error *err);
int s3_writer_commit(struct blob_writer *writer, struct error *err);
void s3_writer_free(struct blob_writer *writer);

/* One object in one request, tried again when that helps. */
int s3_put(
        struct blob_store *store, const struct blob_object *object, const void *data, size_t size, struct error *err);

/* Size and tag of an object. */
int s3_head(struct s3 *s3, const struct blob_object *object, uint64_t *size, char etag[S3_ETAG_MAX], struct error *err);

#endif
