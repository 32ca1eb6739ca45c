/*
 * http_answer.c: write answers, from memory or from a file.
 *
 * An answer is written at once as far as the socket takes it; what is left waits in `out` for the socket.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "http_internal.h"

#define ZIP_FROM 1024 /* bytes of a body that is worth compressing */
#define ZIP_LEVEL 1 /* the loop serves nobody else meanwhile */

/*
 * Sending
 */

void
http_flush(struct http_request *r)
{
	while (!r->broken && evbuffer_get_length(r->out) > 0) {
		int n = evbuffer_write(r->out, r->fd);

		if (n > 0) {
			if (r->deadline_us && r->state != HTTP_READING)
				r->deadline_us = clock_boottime_us() + r->server->read_timeout_us;
		} else if (n == 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
			event_add(&r->writable, NULL);
			return;
		} else {
			r->broken = true;
		}
	}
}

/* For an answer that is complete; the request may be gone afterwards. */
static void
send_out(struct http_request *r)
{
	if (!event_pending(&r->writable, EV_WRITE, NULL))
		http_flush(r);
	if (r->broken)
		evbuffer_drain(r->out, evbuffer_get_length(r->out));
	if (evbuffer_get_length(r->out) == 0)
		http_answered(r);
}

void
http_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct http_request *r = arg;
	size_t before = evbuffer_get_length(r->out);

	(void) fd;
	(void) what;
	http_flush(r);
	if (before > 0 && evbuffer_get_length(r->out) == before)
		r->broken = true; /* a file that became shorter: nothing will ever be sent */
	if (r->state == HTTP_WRITING)
		send_out(r);
	/* Else it was the rest of 100 Continue; that the connection is broken is seen when it is read. */
}

/*
 * The head of an answer
 */

struct head_text {
	struct evbuffer *out;
	size_t len;
	char bytes[2048];
};

static void
put(struct head_text *h, const char *bytes, size_t len)
{
	if (len > sizeof(h->bytes) - h->len) {
		evbuffer_add(h->out, h->bytes, h->len);
		h->len = 0;
	}
	if (len > sizeof(h->bytes)) {
		evbuffer_add(h->out, bytes, len);
	} else {
		memcpy(h->bytes + h->len, bytes, len);
		h->len += len;
	}
}

#define PUT(h, literal) put((h), (literal), sizeof(literal) - 1)

static void
put_number(struct head_text *h, int64_t n)
{
	char text[24];

	put(h, text, (size_t) snprintf(text, sizeof(text), "%lld", (long long) n));
}

static void
put_header(struct head_text *h, const char *name, const char *value)
{
	put(h, name, strlen(name));
	PUT(h, ": ");
	for (;;) {
		size_t n = 0;

		while ((unsigned char) value[n] >= ' ' && value[n] != 0x7F)
			n++;
		put(h, value, n);
		if (!value[n])
			break;
		value += n + 1;
	}
	PUT(h, "\r\n");
}

/* IMF-fixdate (RFC 9110, 5.6.7), in English whatever the locale. */
static const char *
date(struct http_server *server)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = time(NULL);
	struct tm tm;

	if (now != server->date_s && gmtime_r(&now, &tm)) {
		server->date_s = now;
		snprintf(server->date, sizeof(server->date), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
		        days + (size_t) 3 * tm.tm_wday, tm.tm_mday % 100, months + (size_t) 3 * tm.tm_mon,
		        (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
	}
	return server->date;
}

static const char *
reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 202:
		return "Accepted";
	case 204:
		return "No Content";
	case 302:
		return "Found";
	case 303:
		return "See Other";
	case 304:
		return "Not Modified";
	case 307:
		return "Temporary Redirect";
	case 308:
		return "Permanent Redirect";
	default:
		return problem_title(status);
	}
}

/* size: of the body; encoding: headers about it, or NULL. */
static void
put_head(struct http_request *r, const struct http_response *response, size_t size, const char *encoding)
{
	struct http_server *server = r->server;
	struct head_text h = {.out = r->out};
	const char *now = date(server), *text = reason(response->status);

	PUT(&h, "HTTP/1.1 ");
	put_number(&h, response->status);
	PUT(&h, " ");
	put(&h, text, strlen(text));
	PUT(&h, "\r\nDate: ");
	put(&h, now, strlen(now));
	PUT(&h, "\r\n");
	if (response->content_type)
		put_header(&h, "Content-Type", response->content_type);
	if (response->status != 204 && response->status != 304) {
		PUT(&h, "Content-Length: ");
		put_number(&h, (int64_t) size);
		PUT(&h, "\r\n");
	}
	if (encoding)
		put(&h, encoding, strlen(encoding));
	for (size_t i = 0; i < HTTP_MAX_HEADERS && response->headers[i].name; i++)
		put_header(&h, response->headers[i].name, response->headers[i].value);
	if (server->options.common_headers)
		put(&h, server->options.common_headers, strlen(server->options.common_headers));
	if (r->closing)
		PUT(&h, "Connection: close\r\n");
	else if (r->head.http10)
		PUT(&h, "Connection: keep-alive\r\n");
	PUT(&h, "\r\n");
	evbuffer_add(r->out, h.bytes, h.len);
}

void
http_response_add(struct http_response *response, const char *name, const char *value)
{
	for (size_t i = 0; i < HTTP_MAX_HEADERS; i++) {
		if (!response->headers[i].name) {
			response->headers[i].name = name;
			response->headers[i].value = value;
			return;
		}
	}
}

/*
 * gzip
 */

/* Is "gzip" in Accept-Encoding, with a weight that is not 0? */
bool
http_request_takes_gzip(const struct http_request *r)
{
	const char *accept = http_request_header(r, "Accept-Encoding");

	while (accept && *accept) {
		size_t n, name;

		accept += strspn(accept, " \t,");
		n = strcspn(accept, ",");
		name = strcspn(accept, ",; \t");
		if (name == 4 && strncasecmp(accept, "gzip", 4) == 0) {
			const char *q = memchr(accept, '=', n);

			return !q || strspn(q + 1, "0.") != strcspn(q + 1, ", \t");
		}
		accept += n;
	}
	return false;
}

static bool
is_text(const char *type)
{
	return strncmp(type, "text/", 5) == 0 || strstr(type, "json") || strstr(type, "javascript") ||
	        strstr(type, "svg");
}

/* The body compressed, malloc'ed; NULL when that cannot be done. */
static char *
zip(struct http_server *server, const char *body, size_t len, size_t *zipped_len)
{
	z_stream *z = &server->zip;
	uLong bound;
	char *out;

	if (!server->has_zip) {
		if (deflateInit2(z, ZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
			return NULL;
		server->has_zip = true;
	}
	deflateReset(z);
	bound = deflateBound(z, (uLong) len);
	out = malloc(bound);
	if (!out)
		return NULL;
	z->next_in = (Bytef *) body;
	z->avail_in = (uInt) len;
	z->next_out = (Bytef *) out;
	z->avail_out = (uInt) bound;
	if (deflate(z, Z_FINISH) != Z_STREAM_END) {
		free(out);
		return NULL;
	}
	*zipped_len = z->total_out;
	return out;
}

void
http_answer_cleanup(struct http_server *server)
{
	if (server->has_zip)
		deflateEnd(&server->zip);
}

static void
free_zipped(const void *bytes, size_t len, void *arg)
{
	(void) len;
	(void) arg;
	free((void *) bytes);
}

/*
 * Answers
 */

/* The answer is complete, and has to be taken in time. */
static void
answer_is_whole(struct http_request *r)
{
	r->state = HTTP_WRITING;
	r->hurry = NULL;
	r->deadline_us = clock_boottime_us() + r->server->read_timeout_us;
	send_out(r);
}

void
http_respond(struct http_request *r, const struct http_response *response)
{
	size_t len = response->content_type ? response->body_len : 0, zipped_len = 0;
	const char *encoding = NULL;
	char *zipped = NULL;
	bool sends_body = r->head.method != HTTP_METHOD_HEAD && len > 0;

	if (len >= ZIP_FROM && !response->body_stays && is_text(response->content_type)) {
		encoding = "Vary: Accept-Encoding\r\n";
		if (r->head.size > 0 && http_request_takes_gzip(r))
			zipped = zip(r->server, response->body, len, &zipped_len);
		if (zipped) {
			encoding = "Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\n";
			len = zipped_len;
		}
	}
	put_head(r, response, len, encoding);
	if (zipped && sends_body)
		evbuffer_add_reference(r->out, zipped, len, free_zipped, NULL);
	else if (sends_body && response->body_stays)
		evbuffer_add_reference(r->out, response->body, len, NULL, NULL);
	else if (sends_body)
		evbuffer_add(r->out, response->body, len);
	if (zipped && !sends_body)
		free(zipped);
	answer_is_whole(r);
}

void
http_respond_file(struct http_request *r, const struct http_response *response, int fd, size_t size)
{
	put_head(r, response, size, NULL);
	if (r->head.method == HTTP_METHOD_HEAD || size == 0 || evbuffer_add_file(r->out, fd, 0, (ev_off_t) size) < 0) {
		close(fd);
		if (r->head.method != HTTP_METHOD_HEAD && size > 0)
			r->closing = r->broken = true;
	}
	answer_is_whole(r);
}

void
http_refuse(struct http_request *r, const struct problem *problem)
{
	struct http_response response = {.status = problem->status, .content_type = PROBLEM_CONTENT_TYPE};
	char *json = problem_json(problem);

	r->closing = r->lingers = true;
	if (r->server->options.refused)
		r->server->options.refused(problem->status, r->server->options.arg);
	if (json) {
		response.body = json;
		response.body_len = strlen(json);
	} else {
		response.content_type = NULL;
	}
	http_respond(r, &response);
	free(json);
}
