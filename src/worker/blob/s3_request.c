/*
 * s3_request.c: one HTTP request to an S3 server with libcurl.
 *
 * libcurl makes Signature V4 itself, of the URL as it is and of the headers given; the body's SHA-256 is one of them.
 * The server checks it, and Content-MD5, against what arrives.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "s3.h"

_Static_assert(LIBCURL_VERSION_NUM >= 0x075800, "libcurl 7.88 or newer is needed (CURLOPT_AWS_SIGV4 as S3 wants it)");

#define CONNECT_TIMEOUT 10.0 /* seconds, at most */
#define ERROR_BODY_MAX 8192 /* bytes kept of an answer that is no success */

/* One attempt. */
struct transfer {
	struct s3 *s3;
	const struct blob_object *object;
	struct s3_request *r;
	CURL *curl;
	struct curl_slist *headers;
	bool no_memory;
	bool stopped;
	bool too_long; /* the body is longer than what was asked for */
	size_t sent; /* bytes of the request's body */
	char error_body[ERROR_BODY_MAX];
	size_t error_len;
	char message[CURL_ERROR_SIZE];
};

/* ---- headers ---- */

void
s3_content_type(const char *type, char out[S3_TYPE_MAX])
{
	size_t len = 0;

	for (; len < S3_TYPE_MAX - 1 && type[len]; len++)
		out[len] = (char) ((unsigned char) type[len] < 0x20 || (unsigned char) type[len] >= 0x7F ? '?'
		                                                                                         : type[len]);
	out[len] = '\0';
}

void
s3_content_md5(const void *data, size_t size, char out[S3_MD5_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	out[0] = '\0';
	if (EVP_Digest(data, size, digest, &len, EVP_md5(), NULL) == 1 && len == 16)
		EVP_EncodeBlock((unsigned char *) out, digest, (int) len);
}

__attribute__((format(printf, 2, 3))) static void
add_header(struct transfer *t, const char *fmt, ...)
{
	char *line = NULL;
	struct curl_slist *more = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) >= 0)
		more = curl_slist_append(t->headers, line);
	va_end(ap);
	free(line);
	if (more)
		t->headers = more;
	else
		t->no_memory = true;
}

static void
add_sha256(struct transfer *t)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
	unsigned len = 0;

	if (EVP_Digest(t->r->body ? t->r->body : "", t->r->size, digest, &len, EVP_sha256(), NULL) != 1)
		t->no_memory = true;
	for (unsigned i = 0; i < len; i++)
		snprintf(hex + (size_t) i * 2, 3, "%02x", digest[i]);
	add_header(t, "x-amz-content-sha256: %s", hex);
}

static void
add_v2_signature(struct transfer *t, const char *md5, const char *type)
{
	char date[64], signature[32];
	struct tm tm;
	time_t now = time(NULL);
	char *text;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm); /* no setlocale in the worker: English names */
	text = s3_v2_string_to_sign(&t->s3->place, t->r->method, md5, type, date, t->object->key, &t->r->query);
	if (!text || s3_v2_sign(t->s3->secret_key, text, signature) < 0) {
		t->no_memory = true;
	} else {
		add_header(t, "Date: %s", date);
		add_header(t, "Authorization: AWS %s:%s", t->s3->access_key, signature);
	}
	free(text);
}

static void
add_headers(struct transfer *t)
{
	const struct s3_request *r = t->r;
	char md5[S3_MD5_SIZE] = "", type[S3_TYPE_MAX] = "";

	if (r->body) {
		s3_content_md5(r->body, r->size, md5);
		s3_content_type(r->content_type, type);
		add_header(t, "Content-Type: %s", type);
		if (md5[0])
			add_header(t, "Content-MD5: %s", md5);
	}
	if (r->range) {
		add_header(t, "Range: bytes=%llu-%llu", (unsigned long long) r->range->offset,
		        (unsigned long long) (r->range->offset + r->range->size - 1));
		if (r->range->etag)
			add_header(t, "If-Match: %s", r->range->etag);
	}
	if (t->s3->place.v2)
		add_v2_signature(t, md5, type);
	else
		add_sha256(t);
}

/* ---- libcurl's callbacks ---- */

static size_t
on_send(char *buf, size_t unit, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t left = t->r->size - t->sent, take = unit * n < left ? unit * n : left;

	memcpy(buf, (const char *) t->r->body + t->sent, take);
	t->sent += take;
	return take;
}

/* A kept connection turned out to be closed: all of the body again. */
static int
on_rewind(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;

	if (origin != SEEK_SET || offset < 0 || (size_t) offset > t->r->size)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (size_t) offset;
	return CURL_SEEKFUNC_OK;
}

static long
status_of(const struct transfer *t)
{
	long status = 0;

	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t
on_body(char *data, size_t unit, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct s3_request *r = t->r;
	long status = status_of(t);
	size_t size = unit * n;

	if (status < 200 || status > 299) {
		size_t room = ERROR_BODY_MAX - t->error_len, take = size < room ? size : room;

		memcpy(t->error_body + t->error_len, data, take);
		t->error_len += take;
		return size;
	}
	if (!r->into)
		return size;
	if (size > r->room - r->got) {
		t->too_long = true;
		return 0;
	}
	memcpy(r->into + r->got, data, size);
	r->got += size;
	return size;
}

static size_t
on_header(char *line, size_t unit, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = unit * n;

	if (len > 5 && strncasecmp(line, "etag:", 5) == 0) {
		const char *from = line + 5, *to = line + len;

		while (from < to && (*from == ' ' || *from == '\t'))
			from++;
		while (to > from && strchr(" \t\r\n", to[-1]))
			to--;
		if ((size_t) (to - from) < sizeof(t->r->etag))
			snprintf(t->r->etag, sizeof(t->r->etag), "%.*s", (int) (to - from), from);
	}
	return len;
}

static int
on_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t upload_total, curl_off_t upload_now)
{
	struct transfer *t = arg;

	(void) total;
	(void) now;
	(void) upload_total;
	(void) upload_now;
	t->stopped = t->object->stop && t->object->stop(t->object->stop_arg);
	return t->stopped;
}

/* ---- handles, which keep their connections ---- */

static CURL *
take_handle(struct s3 *s3)
{
	CURL *curl = NULL;

	pthread_mutex_lock(&s3->lock);
	if (s3->nidle > 0)
		curl = s3->idle[--s3->nidle];
	pthread_mutex_unlock(&s3->lock);
	return curl ? curl : curl_easy_init();
}

static void
give_handle(struct s3 *s3, CURL *curl)
{
	curl_easy_reset(curl); /* forgets options, keys among them, not connections */
	pthread_mutex_lock(&s3->lock);
	if (s3->nidle < S3_IDLE_MAX) {
		s3->idle[s3->nidle++] = curl;
		curl = NULL;
	}
	pthread_mutex_unlock(&s3->lock);
	curl_easy_cleanup(curl);
}

/* ---- the request ---- */

static void
set_method(const struct transfer *t)
{
	CURL *c = t->curl;
	const struct s3_request *r = t->r;

	if (r->body) {
		/* an upload is the form that can be sent again from the start; PUT or POST is only its name */
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t) r->size);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_send);
		curl_easy_setopt(c, CURLOPT_READDATA, t);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_rewind);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
	}
	if (strcmp(r->method, "HEAD") == 0)
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, r->method);
}

static void
set_options(struct transfer *t, const char *url)
{
	const struct s3 *s3 = t->s3;
	double connect = s3->timeout < CONNECT_TIMEOUT ? s3->timeout : CONNECT_TIMEOUT;
	CURL *c = t->curl;

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->message);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "jobsched/1.0");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long) (connect * 1000) + 1);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, t->r->seconds);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long) (s3->timeout + 0.999));
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
	if (s3->ca_file)
		curl_easy_setopt(c, CURLOPT_CAINFO, s3->ca_file);
	if (!s3->place.v2) {
		char provider[128];

		snprintf(provider, sizeof(provider), "aws:amz:%s:s3", s3->region);
		curl_easy_setopt(c, CURLOPT_AWS_SIGV4, provider);
		curl_easy_setopt(c, CURLOPT_USERNAME, s3->access_key);
		curl_easy_setopt(c, CURLOPT_PASSWORD, s3->secret_key);
	}
	set_method(t);
}

static void
understand(struct transfer *t, CURLcode code, struct s3_answer *a)
{
	struct s3_request *r = t->r;
	long status = status_of(t);
	curl_off_t n = 0;

	if (t->stopped) {
		s3_answer_stopped(a);
	} else if (t->too_long) {
		s3_answer_failed(a, false, "the server sends more than was asked for");
	} else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
		s3_answer_failed(a, false, "%s", t->message[0] ? t->message : curl_easy_strerror(code));
		a->result = BLOB_REFUSED;
	} else if (code != CURLE_OK) {
		s3_answer_failed(a, true, "%s", t->message[0] ? t->message : curl_easy_strerror(code));
	} else if (status < 200 || status > 299) {
		s3_answer_error_body(a, status, t->error_body, t->error_len);
		if (curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &n) == CURLE_OK)
			a->wait = (long) n;
	} else if (r->range && r->got != r->range->size) {
		s3_answer_failed(a, true, "%zu bytes came, %zu were asked for", r->got, r->range->size);
	} else {
		curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &n);
		r->length = n > 0 ? (uint64_t) n : 0;
		s3_answer_ok(a);
	}
}

void
s3_send(struct s3 *s3, const struct blob_object *object, struct s3_request *r, struct s3_answer *a)
{
	struct transfer *t = calloc(1, sizeof(*t));
	char *url = s3_url(&s3->place, object->key, &r->query);

	r->got = 0;
	r->etag[0] = '\0';
	if (t && url) {
		t->s3 = s3;
		t->object = object;
		t->r = r;
		add_headers(t);
		t->curl = take_handle(s3);
	}
	if (!t || !url || t->no_memory || !t->curl) {
		s3_answer_failed(a, false, "out of memory");
	} else if (object->stop && object->stop(object->stop_arg)) {
		s3_answer_stopped(a);
	} else {
		set_options(t, url);
		understand(t, curl_easy_perform(t->curl), a);
	}
	free(url);
	if (t) {
		if (t->curl)
			give_handle(s3, t->curl);
		curl_slist_free_all(t->headers);
		free(t);
	}
}

/* ---- whole objects with Signature V4 ---- */

static void
v4_put(struct s3 *s3, const struct blob_object *object, const void *data, size_t size, struct s3_answer *a)
{
	struct s3_request r = {.method = "PUT", .content_type = object->content_type, .body = data, .size = size};

	s3_send(s3, object, &r, a);
}

static void
v4_get(struct s3 *s3, const struct blob_object *object, const struct s3_range *range, struct s3_answer *a)
{
	struct s3_request r = {.method = "GET", .range = range, .into = range->into, .room = range->size};

	s3_send(s3, object, &r, a);
}

static void
v4_head(struct s3 *s3, const struct blob_object *object, uint64_t *size, char etag[S3_ETAG_MAX], struct s3_answer *a)
{
	struct s3_request r = {.method = "HEAD"};

	s3_send(s3, object, &r, a);
	*size = r.length;
	memcpy(etag, r.etag, S3_ETAG_MAX);
}

const struct s3_dialect s3_v4 = {.put = v4_put, .get = v4_get, .head = v4_head};
