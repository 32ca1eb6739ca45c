/*
 * http_connection.c: one connection, and the requests that come over it.
 *
 * It is always in one state (enum http_state).  Its socket is read in all of them, as far as there is room, so that a client
 * that goes away is noticed; but only in HTTP_READING the bytes are made into a request, so answers go out in the order of
 * the requests.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "http_internal.h"

#define FIRST_SIZE 4096 /* bytes of a connection's buffer at first */
#define KEPT_SIZE 65536 /* a larger buffer is given back after the request */
#define LINGER_US 2000000
#define LINGER_BODIES 8 /* of the largest size: so much is read over for the sake of a refused request */

static void on_readable(evutil_socket_t fd, short what, void *arg);

/*
 * Its beginning and end
 */

void
http_connection_new(struct http_server *server, int fd)
{
	struct http_request *r = calloc(1, sizeof(*r));
	struct evbuffer *out = evbuffer_new();
	int on = 1;

	if (!r || !out) {
		free(r);
		if (out)
			evbuffer_free(out);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	evbuffer_set_flags(out, EVBUFFER_FLAG_DRAINS_TO_FD); /* sendfile */
	r->server = server;
	r->fd = fd;
	r->out = out;
	r->since_us = clock_boottime_us();
	r->deadline_us = r->since_us + server->read_timeout_us;
	event_assign(&r->readable, server->base, fd, EV_READ | EV_PERSIST, on_readable, r);
	event_assign(&r->writable, server->base, fd, EV_WRITE, http_on_writable, r);
	event_add(&r->readable, NULL);
	TAILQ_INSERT_TAIL(&server->all, r, link);
	server->n_all++;
}

void
http_connection_free(struct http_request *r)
{
	struct http_server *server = r->server;

	if (r->state == HTTP_HANDLING || r->state == HTTP_WRITING)
		server->in_flight--;
	TAILQ_REMOVE(&server->all, r, link);
	server->n_all--;
	event_del(&r->readable);
	event_del(&r->writable);
	close(r->fd);
	evbuffer_free(r->out);
	free(r->in);
	free(r);
	http_check_drained(server);
}

/* Now, or when those up the stack that are at work on it are done. */
static void
end_connection(struct http_request *r)
{
	if (r->in_loop)
		r->dead = true;
	else
		http_connection_free(r);
}

/*
 * Requests
 */

/* Room for at least one byte and a NUL; false when it cannot or need not be had. */
static bool
has_room(struct http_request *r)
{
	size_t size = r->in_size ? r->in_size * 2 : FIRST_SIZE;
	char *bigger;

	if (r->in_size - r->in_len >= 2)
		return true;
	if (r->in_size > 0 && r->state != HTTP_READING)
		return false;
	bigger = realloc(r->in, size);
	if (!bigger)
		return false;
	r->in = bigger;
	r->in_size = size;
	return true;
}

/* What was read of the last request goes; what came after it moves to the front. */
static void
next_request(struct http_request *r)
{
	size_t left = r->in_len - r->rest;

	if (r->in) {
		memmove(r->in, r->in + r->rest, left);
		if (left == 0 && r->in_size > KEPT_SIZE) {
			free(r->in);
			r->in = NULL;
			r->in_size = 0;
		}
	}
	r->in_len = left;
	r->rest = r->body_end = 0;
	memset(&r->head, 0, offsetof(struct http_head, fields));
	memset(&r->chunks, 0, sizeof(r->chunks));
	r->admitted = false;
	r->hurry = NULL;
	r->state = HTTP_READING;
	r->since_us = clock_boottime_us();
	r->deadline_us = r->since_us + r->server->read_timeout_us;
}

static enum http_parsed
read_body(struct http_request *r, struct problem *problem)
{
	size_t max = r->server->options.max_body, used, len;
	enum http_parsed parsed;

	if (r->head.length != HTTP_CHUNKED) {
		if ((uint64_t) r->head.length > max)
			return http_body_too_large(r->head.length, max, problem);
		r->body_end = r->rest = r->head.size + (size_t) r->head.length;
		return r->in_len >= r->body_end ? HTTP_DONE : HTTP_MORE;
	}
	len = r->body_end - r->head.size;
	parsed = http_chunks_read(
	        &r->chunks, r->in + r->rest, r->in_len - r->rest, &used, r->in + r->head.size, &len, max, problem);
	r->body_end = r->head.size + len;
	r->rest += used;
	if (parsed == HTTP_MORE)
		r->in_len = r->rest = r->body_end;
	return parsed;
}

/* The next step towards a request in `in`. */
static enum http_parsed
read_request(struct http_request *r, struct problem *problem)
{
	enum http_parsed parsed;

	if (r->head.size == 0) {
		if (r->in_len == 0)
			return HTTP_MORE;
		parsed = http_head_read(&r->head, r->in, r->in_len, r->server->options.max_header, problem);
		if (parsed != HTTP_DONE)
			return parsed;
		r->body_end = r->rest = r->head.size;
	}
	return read_body(r, problem);
}

/* The head is there and the body is not: is it wanted at all?  If not, the request has been answered. */
static void
admit(struct http_request *r)
{
	struct http_server *server = r->server;
	int64_t deadline_us = r->deadline_us;

	r->admitted = true;
	if (server->options.admit) {
		r->state = HTTP_HANDLING;
		r->deadline_us = 0;
		server->in_flight++;
		r->closing = r->lingers = true;
		server->options.admit(r, server->options.arg);
		if (r->state != HTTP_HANDLING || r->dead)
			return;
		r->closing = r->lingers = false;
		server->in_flight--;
		r->deadline_us = deadline_us;
		r->state = HTTP_READING;
	}
	if (r->head.expects_continue) {
		evbuffer_add(r->out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
		http_flush(r);
	}
}

/* The body gets its NUL, and what follows it makes place. */
static void
close_body(struct http_request *r)
{
	/* One byte is always free (has_room); undecoded chunks leave more. */
	if (r->rest == r->body_end) {
		memmove(r->in + r->rest + 1, r->in + r->rest, r->in_len - r->rest);
		r->in_len++;
		r->rest++;
	}
	r->in[r->body_end] = '\0';
}

/* Handles what has arrived, one request after the other, until one is not whole or its answer has to be waited for. */
static void
work(struct http_request *r)
{
	struct problem problem;

	if (r->in_loop)
		return;
	r->in_loop = true;
	while (r->state == HTTP_READING && !r->dead) {
		enum http_parsed parsed = r->broken ? HTTP_MORE : read_request(r, &problem);

		if (parsed == HTTP_MORE && r->head.size > 0 && !r->admitted && !r->broken)
			admit(r);
		if (r->state != HTTP_READING || r->dead)
			break;
		if (parsed == HTTP_MORE) {
			if (r->broken || (r->eof && r->in_len == 0)) {
				r->dead = true;
				break;
			}
			if (!r->eof)
				break;
			problem_set(&problem, 400, "bad-request", NULL,
			        "the connection was closed before the request was complete");
			parsed = HTTP_BAD;
		}
		r->state = HTTP_HANDLING;
		r->deadline_us = 0;
		r->server->in_flight++;
		if (parsed == HTTP_BAD) {
			http_refuse(r, &problem);
			continue;
		}
		close_body(r);
		r->closing = !r->head.keep_alive || r->server->fd < 0;
		r->server->options.handler(r, r->server->options.arg);
	}
	r->in_loop = false;
	if (r->dead)
		http_connection_free(r);
}

void
http_answered(struct http_request *r)
{
	struct http_server *server = r->server;

	if (r->broken || (r->closing && (r->eof || !r->lingers))) {
		end_connection(r);
		return;
	}
	server->in_flight--;
	if (r->closing) {
		shutdown(r->fd, SHUT_WR);
		r->state = HTTP_LINGERING;
		r->in_len = 0;
		r->since_us = clock_boottime_us();
		r->deadline_us = r->since_us + LINGER_US;
		event_add(&r->readable, NULL);
		http_check_drained(server);
		return;
	}
	next_request(r);
	if (!r->eof && !event_pending(&r->readable, EV_READ, NULL))
		event_add(&r->readable, NULL);
	http_check_drained(server);
	if (r->in_len > 0 || r->eof)
		work(r);
}

static void
tell_hurry(struct http_request *r, enum http_hurry why)
{
	void (*hurry)(void *arg, enum http_hurry why) = r->hurry;

	r->hurry = NULL;
	if (hurry)
		hurry(r->hurry_arg, why);
}

void
http_request_on_hurry(struct http_request *r, void (*hurry)(void *arg, enum http_hurry why), void *arg)
{
	r->hurry = hurry;
	r->hurry_arg = arg;
	if (r->eof || r->broken)
		tell_hurry(r, HTTP_CLIENT_GONE);
	else if (r->server->fd < 0)
		tell_hurry(r, HTTP_DRAINING);
}

/*
 * What happens to it
 */

/* The client has closed its side, or the connection is broken. */
static void
on_gone(struct http_request *r)
{
	event_del(&r->readable);
	switch (r->state) {
	case HTTP_READING:
		work(r);
		break;
	case HTTP_HANDLING:
		tell_hurry(r, HTTP_CLIENT_GONE);
		break;
	case HTTP_WRITING:
		if (r->broken)
			end_connection(r);
		break;
	case HTTP_LINGERING:
		end_connection(r);
		break;
	}
}

/* One read.  False when there was nothing. */
static bool
read_some(struct http_request *r)
{
	char scrap[16384];
	bool over = r->state == HTTP_LINGERING;
	ssize_t n;

	if (!over && !has_room(r)) {
		/* Later; or, when it is memory that is short, not at all. */
		if (r->state == HTTP_READING)
			r->broken = true;
		else
			event_del(&r->readable);
		return false;
	}
	n = over ? recv(r->fd, scrap, sizeof(scrap), 0) : recv(r->fd, r->in + r->in_len, r->in_size - r->in_len - 1, 0);
	if (n > 0)
		r->in_len += (size_t) n;
	if (over && r->in_len > LINGER_BODIES * r->server->options.max_body)
		r->broken = true;
	if (n == 0)
		r->eof = true;
	else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		r->eof = r->broken = true;
	return n > 0;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct http_request *r = arg;
	bool some;

	(void) fd;
	(void) what;
	some = !r->broken && !r->eof && read_some(r);
	if (r->broken || r->eof)
		on_gone(r);
	else if (some && r->state == HTTP_READING)
		work(r);
}

/* Too late: says so when half a request has come, and hangs up. */
void
http_connection_time_out(struct http_request *r)
{
	struct problem problem;

	if (r->state != HTTP_READING || r->in_len == 0) {
		http_connection_free(r);
		return;
	}
	problem_set(&problem, 408, "request-timeout", NULL, "the request has not arrived whole within %g seconds",
	        r->server->options.read_timeout);
	r->state = HTTP_HANDLING;
	r->server->in_flight++;
	http_refuse(r, &problem);
}

void
http_connection_drain(struct http_request *r)
{
	if (r->state == HTTP_HANDLING) {
		r->closing = true;
		tell_hurry(r, HTTP_DRAINING);
	} else if (r->state == HTTP_READING) {
		if (read_some(r))
			work(r);
		else if (r->in_len == 0)
			http_connection_free(r);
	}
}

/*
 * What handlers ask
 */

enum http_method
http_request_method(const struct http_request *r)
{
	return r->head.method;
}

const char *
http_request_path(const struct http_request *r)
{
	return r->in + r->head.path;
}

const char *
http_request_query(const struct http_request *r)
{
	return r->in + r->head.query;
}

const char *
http_request_header(const struct http_request *r, const char *name)
{
	return http_head_field(&r->head, r->in, name);
}

const char *
http_request_host(const struct http_request *r)
{
	return r->head.host ? r->in + r->head.host : NULL;
}

const char *
http_request_body(const struct http_request *r, size_t *len)
{
	*len = r->body_end - r->head.size;
	return r->in + r->head.size;
}
