/*
 * blob_s3v2.c: whole objects with Signature V2, sent by libs3.
 *
 * Debian's libs3 2.0 signs with V2 only, which AWS refuses for newer buckets; Swift, Ceph and others take it.  It knows
 * no multipart uploads: their requests are s3_request.c's, also with V2.  Its requests run in a context of their own
 * and are looked at at least every POLL_MS, so that a task that is told to stop does not wait for the server.
 */
#include <libs3.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>

#include "clock.h"
#include "s3.h"

#define POLL_MS 200

/* One request. */
struct call {
	const struct blob_object *object;
	bool done;
	struct s3_answer *a;
	int64_t moved_us; /* when a byte went or came last */

	const char *from; /* to send */
	size_t left;

	char *into; /* to receive, exactly room bytes */
	size_t room, got;
	bool too_long;

	uint64_t length; /* of the answer */
	char etag[S3_ETAG_MAX];
};

int
s3_v2_setup(struct error *err)
{
	if (S3_initialize("jobsched", S3_INIT_ALL, NULL) != S3StatusOK)
		return error_set(err, "libs3 cannot be initialised");
	return 0;
}

void
s3_v2_cleanup(void)
{
	S3_deinitialize();
}

/* ---- libs3's callbacks ---- */

static S3Status
on_properties(const S3ResponseProperties *p, void *arg)
{
	struct call *c = arg;

	c->moved_us = clock_boottime_us();
	c->length = p->contentLength;
	if (p->eTag && strlen(p->eTag) < sizeof(c->etag))
		snprintf(c->etag, sizeof(c->etag), "%s", p->eTag);
	return S3StatusOK;
}

static int
on_send(int size, char *buf, void *arg)
{
	struct call *c = arg;
	size_t take = (size_t) size < c->left ? (size_t) size : c->left;

	c->moved_us = clock_boottime_us();
	memcpy(buf, c->from, take);
	c->from += take;
	c->left -= take;
	return (int) take;
}

static S3Status
on_receive(int size, const char *data, void *arg)
{
	struct call *c = arg;

	c->moved_us = clock_boottime_us();
	if ((size_t) size > c->room - c->got) {
		c->too_long = true;
		return S3StatusAbortedByCallback;
	}
	memcpy(c->into + c->got, data, (size_t) size);
	c->got += (size_t) size;
	return S3StatusOK;
}

/* libs3 hands on no HTTP status, only its name for what happened. */
static void
understand(struct call *c, S3Status status, const S3ErrorDetails *details)
{
	const char *name = S3_get_status_name(status);
	const char *message = details && details->message ? details->message : "";

	switch (status) {
	case S3StatusOK:
		s3_answer_ok(c->a);
		break;
	case S3StatusHttpErrorNotFound:
		s3_answer_error(c->a, 404, "", message);
		break;
	case S3StatusHttpErrorForbidden:
		s3_answer_error(c->a, 403, "", message);
		break;
	case S3StatusHttpErrorConflict:
		s3_answer_error(c->a, 409, "", message);
		break;
	case S3StatusHttpErrorBadRequest:
		s3_answer_error(c->a, 400, "", message);
		break;
	case S3StatusHttpErrorMovedTemporarily:
		s3_answer_error(c->a, 307, "", message);
		break;
	case S3StatusHttpErrorUnknown:
	case S3StatusErrorUnknown:
		/* ServiceUnavailable is one, so are the answers of proxies */
		s3_answer_failed(c->a, true, "the server answered an error that libs3 does not know%s%.300s",
		        message[0] ? ": " : "", message);
		break;
	case S3StatusServerFailedVerification:
		s3_answer_failed(c->a, false, "the server's certificate cannot be verified");
		c->a->result = BLOB_REFUSED;
		break;
	case S3StatusNameLookupError:
	case S3StatusFailedToConnect:
	case S3StatusConnectionFailed:
		s3_answer_failed(c->a, true, "%s",
		        status == S3StatusNameLookupError           ? "the server's name cannot be resolved"
		                : status == S3StatusFailedToConnect ? "no connection to the server"
		                                                    : "the connection to the server failed");
		break;
	default:
		if (strncmp(name, "Error", 5) == 0)
			s3_answer_error(c->a, 0, name + 5, message);
		else
			s3_answer_failed(c->a, S3_status_is_retryable(status) || status == S3StatusInternalError,
			        "libs3: %s", name);
	}
}

static void
on_complete(S3Status status, const S3ErrorDetails *details, void *arg)
{
	struct call *c = arg;

	c->done = true;
	understand(c, status, details);
}

/* ---- running one request ---- */

static void
wait_for_network(S3RequestContext *context)
{
	fd_set in, out, except;
	int max = -1;
	int64_t ms = S3_get_request_context_timeout(context);
	struct timeval tv = {0};

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	if (ms < 0 || ms > POLL_MS)
		ms = POLL_MS;
	/* descriptors beyond FD_SETSIZE are left out: then it is a short sleep */
	S3_get_request_context_fdsets(context, &in, &out, &except, &max);
	if (max < 0 && ms > 20)
		ms = 20;
	tv.tv_usec = (suseconds_t) ms * 1000;
	select(max + 1, &in, &out, &except, &tv);
}

static void
run(const struct s3 *s3, S3RequestContext *context, struct call *c)
{
	int left = 1;

	c->moved_us = clock_boottime_us();
	while (!c->done && S3_runonce_request_context(context, &left) == S3StatusOK && left > 0) {
		if (c->object->stop && c->object->stop(c->object->stop_arg)) {
			S3_destroy_request_context(context);
			s3_answer_stopped(c->a);
			return;
		}
		if (clock_boottime_us() - c->moved_us > (int64_t) (s3->timeout * 1e6)) {
			S3_destroy_request_context(context);
			s3_answer_failed(c->a, true, "no byte within %g s", s3->timeout);
			return;
		}
		wait_for_network(context);
	}
	S3_destroy_request_context(context);
	if (!c->done)
		s3_answer_failed(c->a, true, "libs3 did not run the request");
	if (c->too_long)
		s3_answer_failed(c->a, false, "the server sends more than was asked for");
}

static S3BucketContext
bucket_of(const struct s3 *s3)
{
	return (S3BucketContext){
	        .hostName = s3->place.host,
	        .bucketName = s3->place.bucket,
	        .protocol = s3->place.tls ? S3ProtocolHTTPS : S3ProtocolHTTP,
	        .uriStyle = s3->place.virtual_host ? S3UriStyleVirtualHost : S3UriStylePath,
	        .accessKeyId = s3->access_key,
	        .secretAccessKey = s3->secret_key,
	};
}

static S3RequestContext *
open_context(struct s3_answer *a)
{
	S3RequestContext *context = NULL;

	if (S3_create_request_context(&context) == S3StatusOK)
		return context;
	s3_answer_failed(a, false, "out of memory");
	return NULL;
}

static void
v2_put(struct s3 *s3, const struct blob_object *object, const void *data, size_t size, struct s3_answer *a)
{
	const S3PutObjectHandler handler = {{on_properties, on_complete}, on_send};
	S3BucketContext bucket = bucket_of(s3);
	char md5[S3_MD5_SIZE], type[S3_TYPE_MAX];
	S3PutProperties properties = {.contentType = type, .expires = -1};
	struct call c = {.object = object, .a = a, .from = data, .left = size};
	S3RequestContext *context = open_context(a);

	if (!context)
		return;
	s3_content_type(object->content_type, type);
	s3_content_md5(data, size, md5);
	if (md5[0])
		properties.md5 = md5;
	S3_put_object(&bucket, object->key, size, &properties, context, &handler, &c);
	run(s3, context, &c);
}

static void
v2_get(struct s3 *s3, const struct blob_object *object, const struct s3_range *range, struct s3_answer *a)
{
	const S3GetObjectHandler handler = {{on_properties, on_complete}, on_receive};
	S3BucketContext bucket = bucket_of(s3);
	S3GetConditions conditions = {.ifModifiedSince = -1, .ifNotModifiedSince = -1, .ifMatchETag = range->etag};
	struct call c = {.object = object, .a = a, .into = range->into, .room = range->size};
	S3RequestContext *context = open_context(a);

	if (!context)
		return;
	S3_get_object(&bucket, object->key, &conditions, range->offset, range->size, context, &handler, &c);
	run(s3, context, &c);
	if (a->result == BLOB_OK && c.got != range->size)
		s3_answer_failed(a, true, "%zu bytes came, %zu were asked for", c.got, range->size);
}

static void
v2_head(struct s3 *s3, const struct blob_object *object, uint64_t *size, char etag[S3_ETAG_MAX], struct s3_answer *a)
{
	const S3ResponseHandler handler = {on_properties, on_complete};
	S3BucketContext bucket = bucket_of(s3);
	struct call c = {.object = object, .a = a};
	S3RequestContext *context = open_context(a);

	if (!context)
		return;
	S3_head_object(&bucket, object->key, context, &handler, &c);
	run(s3, context, &c);
	*size = c.length;
	memcpy(etag, c.etag, S3_ETAG_MAX);
}

const struct s3_dialect s3_v2 = {.put = v2_put, .get = v2_get, .head = v2_head};
