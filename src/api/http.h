/*
 * http.h: the HTTP server as the rest of the API sees it.
 *
 * HTTP/1.1 and 1.0, one thread, in the loop of libevent.  What is not HTTP, or too large, or too slow, never gets to a
 * handler: the server answers it by itself (http_parse.h says what it takes).
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

/* One complete request that waits for its answer; owned by the server, gone once it is answered. */
struct http_request;

/* Texts live as long as the request. */
enum http_method http_request_method(const struct http_request *request);

/* The path as sent, without query.  Its %XX are right, and once decoded (http_decode) it is UTF-8 without NUL. */
const char *http_request_path(const struct http_request *request);

/* What follows the "?", as sent, and as good as the path; "" when there is none. */
const char *http_request_query(const struct http_request *request);

/* NULL when the header was not sent; of several the first. */
const char *http_request_header(const struct http_request *request, const char *name);

/* Whether the client takes an answer with "Content-Encoding: gzip". */
bool http_request_takes_gzip(const struct http_request *request);

/* Host and port that the client meant to reach, from the target or the header Host; NULL in HTTP/1.0 without either. */
const char *http_request_host(const struct http_request *request);

/* The body, NUL-terminated after *len bytes (it may contain NULs too). */
const char *http_request_body(const struct http_request *request, size_t *len);

/*
 * Takes %XX out of len bytes of a path or query, and with `plus` reads + as a blank, into out (len + 1 bytes).  Returns
 * strlen(out), or -1 when an escape is malformed or the result is no UTF-8 without NUL: never for what a request has.
 */
long http_decode(const char *text, size_t len, bool plus, char *out);

/*
 * The next name=value of a query: *query moves behind it.  Both are decoded into buf, which has strlen of the whole query
 * + 2 bytes; a name without "=" has the value "".  False at the end.
 */
bool http_next_param(const char **query, char *buf, const char **name, const char **value);

#define HTTP_MAX_HEADERS 12

struct http_response {
	int status;
	const char *content_type; /* NULL: no body */
	const char *body; /* body_len bytes, copied; sent with gzip when that is worth it and the client takes it */
	size_t body_len;
	bool body_stays; /* the body outlives the server: it is sent as it is, without a copy */
	struct {
		const char *name, *value;
	} headers[HTTP_MAX_HEADERS]; /* further headers, ended by a NULL name; control characters are left out */
};

/* The next free place among the headers. */
void http_response_add(struct http_response *response, const char *name, const char *value);

/*
 * Answers and forgets the request, exactly once; also right when the client has gone meanwhile.
 * HEAD gets the headers only.
 */
void http_respond(struct http_request *request, const struct http_response *response);

/* The same with `size` bytes of a file from its beginning as body (and response->body unused).  Closes fd. */
void http_respond_file(struct http_request *request, const struct http_response *response, int fd, size_t size);

enum http_hurry {
	HTTP_CLIENT_GONE, /* it has closed its side of the connection (it may still listen), or the connection broke */
	HTTP_DRAINING /* the server is to end */
};

/*
 * For answers that wait for something: hurry(arg, why) is called at most once, when the answer should come now or not at
 * all.  The request still has to be answered, in hurry() or later.  May be called before this returns.
 */
void http_request_on_hurry(struct http_request *request, void (*hurry)(void *arg, enum http_hurry why), void *arg);

struct http_options {
	struct listen_address address;
	size_t max_header; /* bytes of request line and headers */
	size_t max_body; /* bytes */
	long max_connections; /* at this number the one that has been idle or slow for longest makes room */
	double read_timeout; /* seconds in which a request must have arrived whole, and a connection may be idle */
	const char
	        *common_headers; /* lines that stand in every answer, each with its \r\n; lives as long as the server */
	void (*handler)(struct http_request *request, void *arg);
	/* Or NULL: sees a request whose body has not come whole yet, without it, and may answer; then the body is not read. */
	void (*admit)(struct http_request *request, void *arg);
	/* Or NULL: told of answers that no handler gave. */
	void (*refused)(int status, void *arg);
	void *arg;
};

/* Listens at once.  The options are copied. */
struct http_server *http_server_new(struct event_base *base, const struct http_options *options, struct error *err);

/* The port listened on: what the kernel chose when 0 was asked for. */
int http_server_port(const struct http_server *server);

/* Connections that are open now. */
size_t http_server_connections(const struct http_server *server);

/*
 * No new connections; requests that have arrived are answered, with "Connection: close".  Calls done(arg) once the last
 * answer has been written, perhaps before it returns.
 */
void http_server_drain(struct http_server *server, void (*done)(void *arg), void *arg);

/* Closes what is still open; no request may be waiting in a handler. */
void http_server_free(struct http_server *server);

#endif
