/*
 * http.h: the HTTP server as the rest of the API sees it.
 *
 * The library behind it (http_evhttp.c) is nobody else's business.  Everything runs in the thread of the event loop.
 */
#ifndef JOBSCHED_API_HTTP_H
#define JOBSCHED_API_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "listen.h"

struct event_base;

/* Bits, so that a route can say which ones it knows. */
enum http_method {
	HTTP_METHOD_GET = 1,
	HTTP_METHOD_HEAD = 2,
	HTTP_METHOD_POST = 4,
	HTTP_METHOD_PUT = 8,
	HTTP_METHOD_PATCH = 16,
	HTTP_METHOD_DELETE = 32,
	HTTP_METHOD_OPTIONS = 64,
	HTTP_METHOD_OTHER = 128
};

const char *http_method_name(enum http_method method);

/* One complete request that waits for its answer; owned by the server, gone when http_respond() has been called. */
struct http_request;

enum http_method http_request_method(const struct http_request *request);

/* The path as sent, without query, "/" when empty; lives as long as the request. */
const char *http_request_path(const struct http_request *request);

/* NULL when the header was not sent; of several the first. */
const char *http_request_header(const struct http_request *request, const char *name);

/* The body, NUL-terminated after *len bytes (it may contain NULs too); NULL when out of memory. */
const char *http_request_body(struct http_request *request, size_t *len);

#define HTTP_MAX_HEADERS 4

struct http_response {
	int status;
	const char *content_type; /* NULL: no body */
	const char *body; /* body_len bytes, copied */
	size_t body_len;
	struct {
		const char *name, *value;
	} headers[HTTP_MAX_HEADERS]; /* further headers, ended by a NULL name */
};

/*
 * Answers and forgets the request, exactly once; also right when the client has gone meanwhile.
 * HEAD gets the headers only.
 */
void http_respond(struct http_request *request, const struct http_response *response);

struct http_options {
	struct listen_address address;
	size_t max_header; /* bytes of request line and headers */
	size_t max_body; /* bytes; up to this the handler decides, far above it the server refuses by itself */
	long max_connections; /* at this number new ones wait in the kernel's queue */
	double read_timeout; /* seconds in which a request must have arrived whole, and a connection may be idle */
	void (*handler)(struct http_request *request, void *arg);
	void *arg;
};

/* Listens at once.  The options are copied. */
struct http_server *http_server_new(struct event_base *base, const struct http_options *options, struct error *err);

/* The port listened on: what the kernel chose when 0 was asked for. */
int http_server_port(const struct http_server *server);

/*
 * No new connections; requests that have arrived are answered, with "Connection: close".  Calls done(arg) once the last
 * answer has been written, perhaps before it returns.
 */
void http_server_drain(struct http_server *server, void (*done)(void *arg), void *arg);

/* Closes what is still open; no request may be waiting in a handler. */
void http_server_free(struct http_server *server);

#endif
