/*
 * http_evhttp.c: http.h on libevent's evhttp.
 *
 * evhttp reads and writes HTTP; what it leaves out is added here: a limit of connections, a deadline for a whole
 * request (its own timeout starts anew with every byte), an end that waits for the answers, and refusing of requests
 * whose length two parsers could understand differently.
 *
 * evhttp tells nobody when it closes a connection that sent no request.  So every connection's bufferevent is made here
 * and a reference to it kept: once evhttp has let it go its callbacks are gone too, and the sweep gives up the
 * reference, which closes the socket (BEV_OPT_CLOSE_ON_FREE).
 */
#include "http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define SWEEP_INTERVAL_US 100000

/* How far above max_body evhttp still reads a body, so that the handler can refuse it politely. */
#define BODY_SLACK 4

enum peer_state {
	PEER_READING, /* waits for a request, or for the rest of one */
	PEER_HANDLING, /* a handler has the request */
	PEER_WRITING /* the answer is under way */
};

struct peer {
	struct bufferevent *bev;
	enum peer_state state;
	int64_t active_us; /* accepted, answered, or the last answer written (CLOCK_BOOTTIME) */
};

struct http_request {
	struct http_server *server;
	struct evhttp_request *ev;
	enum http_method method;
	bool close; /* the connection ends with the answer */
};

struct http_server {
	struct event_base *base;
	struct evhttp *evhttp;
	struct evhttp_bound_socket *bound; /* NULL once draining */
	struct event *sweep;
	struct http_options options;
	struct peer **peers; /* n_peers of max_connections */
	size_t n_peers;
	struct peer **by_fd; /* the same by socket, n_by_fd places */
	size_t n_by_fd;
	size_t in_flight; /* requests whose answer has not been written whole */
	int port;
	bool paused; /* the listener is, for want of connections or of files */
	void (*drained)(void *arg);
	void *drained_arg;
};

static const struct {
	enum http_method method;
	enum evhttp_cmd_type cmd;
	const char *name;
} methods[] = {
        {HTTP_METHOD_GET, EVHTTP_REQ_GET, "GET"},
        {HTTP_METHOD_HEAD, EVHTTP_REQ_HEAD, "HEAD"},
        {HTTP_METHOD_POST, EVHTTP_REQ_POST, "POST"},
        {HTTP_METHOD_PUT, EVHTTP_REQ_PUT, "PUT"},
        {HTTP_METHOD_PATCH, EVHTTP_REQ_PATCH, "PATCH"},
        {HTTP_METHOD_DELETE, EVHTTP_REQ_DELETE, "DELETE"},
        {HTTP_METHOD_OPTIONS, EVHTTP_REQ_OPTIONS, "OPTIONS"},
        {HTTP_METHOD_OTHER, EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT, "OTHER"},
};

#define N_METHODS (sizeof(methods) / sizeof(methods[0]))

const char *
http_method_name(enum http_method method)
{
	for (size_t i = 0; i < N_METHODS; i++) {
		if (methods[i].method == method)
			return methods[i].name;
	}
	return "OTHER";
}

static enum http_method
method_of(struct evhttp_request *ev)
{
	enum evhttp_cmd_type cmd = evhttp_request_get_command(ev);

	for (size_t i = 0; i < N_METHODS; i++) {
		if (methods[i].cmd & cmd)
			return methods[i].method;
	}
	return HTTP_METHOD_OTHER;
}

enum http_method
http_request_method(const struct http_request *request)
{
	return request->method;
}

const char *
http_request_path(const struct http_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request->ev);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;

	return path && *path ? path : "/";
}

const char *
http_request_header(const struct http_request *request, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(request->ev), name);
}

const char *
http_request_body(struct http_request *request, size_t *len)
{
	struct evbuffer *buffer = evhttp_request_get_input_buffer(request->ev);

	*len = evbuffer_get_length(buffer);
	if (evbuffer_add(buffer, "", 1) < 0)
		return NULL;
	return (const char *) evbuffer_pullup(buffer, -1);
}

/*
 * Connections
 */

static void
peer_free(struct http_server *server, size_t i)
{
	struct peer *peer = server->peers[i];
	int fd = bufferevent_getfd(peer->bev);

	if (fd >= 0 && (size_t) fd < server->n_by_fd && server->by_fd[fd] == peer)
		server->by_fd[fd] = NULL;
	bufferevent_decref(peer->bev);
	free(peer);
	server->peers[i] = server->peers[--server->n_peers];
}

/* Lets go of what evhttp has let go of, and hangs up on those who are too slow. */
static void
sweep_peers(struct http_server *server)
{
	int64_t limit = clock_boottime_us() - (int64_t) (server->options.read_timeout * 1e6);

	for (size_t i = server->n_peers; i > 0; i--) {
		struct peer *peer = server->peers[i - 1];
		bufferevent_event_cb alive = NULL;

		bufferevent_getcb(peer->bev, NULL, NULL, &alive, NULL);
		if (!alive)
			peer_free(server, i - 1);
		else if (peer->state != PEER_HANDLING && peer->active_us < limit && bufferevent_getfd(peer->bev) >= 0)
			shutdown(bufferevent_getfd(peer->bev),
			        SHUT_RDWR); /* evhttp sees the end and frees the connection */
	}
}

static void
listener_pause(struct http_server *server, const char *reason)
{
	if (!server->paused && server->bound) {
		evconnlistener_disable(evhttp_bound_socket_get_listener(server->bound));
		server->paused = true;
		log_event(LOG_LEVEL_WARNING, "not accepting connections", "reason", reason, "open",
		        LOG_NUM(server->n_peers), NULL);
	}
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *server = arg;

	(void) fd;
	(void) what;
	sweep_peers(server);
	if (server->paused && server->bound && server->n_peers < (size_t) server->options.max_connections) {
		server->paused = false;
		evconnlistener_enable(evhttp_bound_socket_get_listener(server->bound));
		log_event(LOG_LEVEL_INFO, "accepting connections again", "open", LOG_NUM(server->n_peers), NULL);
	}
}

static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	int reason = EVUTIL_SOCKET_ERROR();

	(void) listener;
	/* Out of files or memory: the waiting connection would wake the loop for ever. */
	listener_pause(arg, strerror(reason));
}

/* evhttp asks for the bufferevent of a connection just accepted. */
static struct bufferevent *
on_connection(struct event_base *base, void *arg)
{
	struct http_server *server = arg;
	struct bufferevent *bev;
	struct peer *peer;

	/* Before the new one comes in: it has no callbacks yet and would be taken for one that evhttp has let go. */
	if (server->n_peers + 1 >= (size_t) server->options.max_connections)
		sweep_peers(server);
	bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	peer = calloc(1, sizeof(*peer));
	if (!bev || !peer || server->n_peers >= (size_t) server->options.max_connections) {
		free(peer);
		return bev;
	}
	peer->bev = bev;
	peer->active_us = clock_boottime_us();
	bufferevent_incref(bev);
	server->peers[server->n_peers++] = peer;
	if (server->n_peers >= (size_t) server->options.max_connections)
		listener_pause(server, "API_MAX_CONNECTIONS reached");
	return bev;
}

static bool
by_fd_grow(struct http_server *server, size_t fd)
{
	size_t n = fd * 2 + 64;
	struct peer **bigger = realloc(server->by_fd, n * sizeof(struct peer *));

	if (!bigger)
		return false;
	memset(bigger + server->n_by_fd, 0, (n - server->n_by_fd) * sizeof(struct peer *));
	server->by_fd = bigger;
	server->n_by_fd = n;
	return true;
}

/* The peer of a connection, by its socket; searched for only when its first request comes. */
static struct peer *
peer_of(struct http_server *server, struct evhttp_connection *connection)
{
	struct bufferevent *bev = connection ? evhttp_connection_get_bufferevent(connection) : NULL;
	int fd = bev ? bufferevent_getfd(bev) : -1;

	if (fd < 0 || ((size_t) fd >= server->n_by_fd && !by_fd_grow(server, (size_t) fd)))
		return NULL;
	if (!server->by_fd[fd] || server->by_fd[fd]->bev != bev) {
		server->by_fd[fd] = NULL;
		for (size_t i = server->n_peers; i > 0; i--) {
			if (server->peers[i - 1]->bev == bev) {
				server->by_fd[fd] = server->peers[i - 1];
				break;
			}
		}
	}
	return server->by_fd[fd];
}

/*
 * Requests
 */

static void
check_drained(struct http_server *server)
{
	if (server->drained && server->in_flight == 0) {
		void (*drained)(void *) = server->drained;

		server->drained = NULL;
		drained(server->drained_arg);
	}
}

/* The answer is with the kernel. */
static void
on_written(struct evhttp_request *ev, void *arg)
{
	struct http_server *server = arg;
	struct peer *peer = peer_of(server, evhttp_request_get_connection(ev));

	if (peer) {
		peer->active_us = clock_boottime_us();
		peer->state = PEER_READING;
	}
	server->in_flight--;
	check_drained(server);
}

/* The connection ends; an answer that was under way is not going to be written any more. */
static void
on_closed(struct evhttp_connection *connection, void *arg)
{
	struct http_server *server = arg;
	struct peer *peer = peer_of(server, connection);

	if (peer && peer->state == PEER_WRITING) {
		peer->state = PEER_READING;
		server->in_flight--;
		check_drained(server);
	}
}

/*
 * RFC 9112, 6.3: a message whose length can be read in two ways must not be followed by another on the same connection.
 * Returns what is wrong, or NULL.
 */
static const char *
ambiguous_length(struct evhttp_request *ev)
{
	const struct evkeyval *header;
	unsigned lengths = 0, encodings = 0;

	for (header = evhttp_request_get_input_headers(ev)->tqh_first; header; header = header->next.tqe_next) {
		if (strcasecmp(header->key, "Content-Length") == 0) {
			if (*header->value == '\0' || strspn(header->value, "0123456789") != strlen(header->value))
				return "Content-Length is not a number";
			lengths++;
		} else if (strcasecmp(header->key, "Transfer-Encoding") == 0) {
			if (strcasecmp(header->value, "chunked") != 0)
				return "Transfer-Encoding is not chunked";
			encodings++;
		}
	}
	if (lengths > 1)
		return "Content-Length is given more than once";
	if (encodings > 1)
		return "Transfer-Encoding is given more than once";
	if (lengths && encodings)
		return "both Content-Length and Transfer-Encoding are given";
	return NULL;
}

static void
respond_malformed(struct http_request *request, const char *detail)
{
	char body[256];
	struct http_response response = {.status = 400, .content_type = "application/problem+json", .body = body};
	int n = snprintf(body, sizeof(body),
	        "{\"type\":\"urn:jobsched:problem:bad-request\",\"title\":\"Bad Request\","
	        "\"status\":400,\"detail\":\"%s\"}\n",
	        detail);

	response.body_len = (size_t) n;
	request->close = true;
	http_respond(request, &response);
}

static void
on_request(struct evhttp_request *ev, void *arg)
{
	struct http_server *server = arg;
	struct http_request *request = calloc(1, sizeof(*request));
	struct evhttp_connection *connection = evhttp_request_get_connection(ev);
	struct peer *peer = peer_of(server, connection);
	const char *problem;

	if (!request) {
		evhttp_send_error(ev, 503, NULL);
		return;
	}
	request->server = server;
	request->ev = ev;
	request->method = method_of(ev);
	server->in_flight++;
	if (peer)
		peer->state = PEER_HANDLING;
	evhttp_connection_set_closecb(connection, on_closed, server);

	problem = ambiguous_length(ev);
	if (problem) {
		respond_malformed(request, problem);
		return;
	}
	/* evhttp does not read the body of these: what follows would be taken for the next request. */
	if (request->method == HTTP_METHOD_HEAD || request->method == HTTP_METHOD_OTHER) {
		if (http_request_header(request, "Content-Length") || http_request_header(request, "Transfer-Encoding"))
			request->close = true;
	}
	server->options.handler(request, server->options.arg);
}

void
http_respond(struct http_request *request, const struct http_response *response)
{
	struct http_server *server = request->server;
	struct evhttp_request *ev = request->ev;
	struct evkeyvalq *headers = evhttp_request_get_output_headers(ev);
	struct evbuffer *buffer = evhttp_request_get_output_buffer(ev);
	char length[24];
	struct peer *peer;

	if (response->content_type) {
		evhttp_add_header(headers, "Content-Type", response->content_type);
		if (request->method == HTTP_METHOD_HEAD) {
			/* evhttp would send the body too. */
			snprintf(length, sizeof(length), "%zu", response->body_len);
			evhttp_add_header(headers, "Content-Length", length);
		} else {
			evbuffer_add(buffer, response->body, response->body_len);
		}
	}
	for (size_t i = 0; i < HTTP_MAX_HEADERS && response->headers[i].name; i++)
		evhttp_add_header(headers, response->headers[i].name, response->headers[i].value);
	if (request->close || !server->bound)
		evhttp_add_header(headers, "Connection", "close");
	free(request);

	peer = peer_of(server, evhttp_request_get_connection(ev));
	if (peer) {
		peer->state = PEER_WRITING;
		peer->active_us = clock_boottime_us();
		evhttp_request_set_on_complete_cb(ev, on_written, server);
	} else {
		/* The client has gone; evhttp only frees the request. */
		server->in_flight--;
		check_drained(server);
	}
	evhttp_send_reply(ev, response->status, NULL, NULL);
}

/*
 * The server
 */

static struct evconnlistener *
bind_listener(struct http_server *server, struct error *err)
{
	const struct listen_address *address = &server->options.address;
	unsigned flags = LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE;
	struct evconnlistener *listener;
	struct listen_address bound = {.len = sizeof(bound.addr)};

	listener = evconnlistener_new_bind(
	        server->base, NULL, NULL, flags, 1024, (const struct sockaddr *) &address->addr, (int) address->len);
	if (!listener) {
		char host[64];

		error_set(err, "cannot listen on %s port %d: %s", listen_host(address, host), listen_port(address),
		        strerror(errno));
		return NULL;
	}
	if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *) &bound.addr, &bound.len) == 0)
		server->port = listen_port(&bound);
	evconnlistener_set_error_cb(listener, on_accept_error);
	return listener;
}

struct http_server *
http_server_new(struct event_base *base, const struct http_options *options, struct error *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	struct timeval interval = {0, SWEEP_INTERVAL_US};
	struct evconnlistener *listener;
	ev_uint16_t allowed = 0;

	if (!server)
		goto no_memory;
	server->base = base;
	server->options = *options;
	server->peers = calloc((size_t) options->max_connections, sizeof(struct peer *));
	server->evhttp = evhttp_new(base);
	server->sweep = event_new(base, -1, EV_PERSIST, on_sweep, server);
	if (!server->peers || !server->evhttp || !server->sweep)
		goto no_memory;

	for (size_t i = 0; i < N_METHODS; i++)
		allowed = (ev_uint16_t) (allowed | methods[i].cmd);
	evhttp_set_allowed_methods(server->evhttp, allowed);
	evhttp_set_max_headers_size(server->evhttp, (ev_ssize_t) options->max_header);
	evhttp_set_max_body_size(server->evhttp, (ev_ssize_t) options->max_body * BODY_SLACK);
	evhttp_set_timeout(server->evhttp, options->read_timeout < 1 ? 1 : (int) options->read_timeout);
	evhttp_set_flags(server->evhttp, EVHTTP_SERVER_LINGERING_CLOSE);
	evhttp_set_bevcb(server->evhttp, on_connection, server);
	evhttp_set_gencb(server->evhttp, on_request, server);

	listener = bind_listener(server, err);
	if (!listener) {
		http_server_free(server);
		return NULL;
	}
	server->bound = evhttp_bind_listener(server->evhttp, listener);
	if (!server->bound) {
		evconnlistener_free(listener);
		goto no_memory;
	}
	event_add(server->sweep, &interval);
	return server;

no_memory:
	error_set(err, "out of memory");
	http_server_free(server);
	return NULL;
}

int
http_server_port(const struct http_server *server)
{
	return server->port;
}

void
http_server_drain(struct http_server *server, void (*done)(void *arg), void *arg)
{
	if (server->bound) {
		evhttp_del_accept_socket(server->evhttp, server->bound);
		server->bound = NULL;
	}
	server->drained = done;
	server->drained_arg = arg;
	check_drained(server);
}

void
http_server_free(struct http_server *server)
{
	if (!server)
		return;
	server->drained = NULL;
	if (server->evhttp)
		evhttp_free(server->evhttp);
	while (server->peers && server->n_peers > 0)
		peer_free(server, server->n_peers - 1);
	if (server->sweep)
		event_free(server->sweep);
	free(server->by_fd);
	free(server->peers);
	free(server);
}
