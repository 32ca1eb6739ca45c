/*
 * http_server.c: takes connections in, and lets them go.
 *
 * Deadlines are looked at by a sweep ten times a second while there are connections.  What happens on a connection is in
 * http_connection.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "http_internal.h"
#include "log.h"

#define SWEEP_INTERVAL_US 100000
#define BACKLOG 1024
#define WARN_EVERY_US 10000000
#define ROOM_AFTER_US 1000000 /* how long a connection may have been idle or slow before another takes its place */

void
http_check_drained(struct http_server *server)
{
	if (server->drained && server->in_flight == 0) {
		void (*drained)(void *) = server->drained;

		server->drained = NULL;
		drained(server->drained_arg);
	}
}

/*
 * Taking in
 */

static void
start_sweeping(struct http_server *server)
{
	struct timeval interval = {0, SWEEP_INTERVAL_US};

	if (!server->sweeping) {
		server->sweeping = true;
		event_add(server->sweep, &interval);
	}
}

/* The connection that has waited for its request, or the rest of it, for longest, if that is long. */
static struct http_request *
slowest(const struct http_server *server)
{
	int64_t oldest_us = clock_boottime_us() - ROOM_AFTER_US;
	struct http_request *r, *oldest = NULL;

	for (r = TAILQ_FIRST(&server->all); r; r = TAILQ_NEXT(r, link)) {
		if ((r->state == HTTP_READING || r->state == HTTP_LINGERING) && !r->in_loop &&
		        r->since_us < oldest_us) {
			oldest = r;
			oldest_us = r->since_us;
		}
	}
	return oldest;
}

static void
pause_accepting(struct http_server *server, const char *reason)
{
	int64_t now_us = clock_boottime_us();

	server->paused = true;
	event_del(server->acceptable);
	start_sweeping(server);
	if (now_us - server->warned_us > WARN_EVERY_US) {
		server->warned_us = now_us;
		log_event(LOG_LEVEL_WARNING, "not accepting connections", "reason", reason, "open",
		        LOG_NUM(server->n_all), NULL);
	}
}

static void
on_acceptable(evutil_socket_t listener, short what, void *arg)
{
	struct http_server *server = arg;

	(void) what;
	for (int i = 0; i < 64; i++) {
		struct http_request *oldest = NULL;
		int fd;

		if (server->n_all >= (size_t) server->options.max_connections) {
			oldest = slowest(server);
			if (!oldest) {
				pause_accepting(server, "API_MAX_CONNECTIONS reached");
				return;
			}
		}
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			if (oldest)
				http_connection_free(oldest);
			http_connection_new(server, fd);
			start_sweeping(server);
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			/* The connection that waits would wake the loop for ever. */
			pause_accepting(server, strerror(errno));
			return;
		}
		/* Else that one has gone already. */
	}
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *server = arg;
	int64_t now_us = clock_boottime_us();
	struct http_request *r, *next;

	(void) fd;
	(void) what;
	for (r = TAILQ_FIRST(&server->all); r; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->deadline_us && r->deadline_us < now_us)
			http_connection_time_out(r);
	}
	if (server->paused && server->fd >= 0) {
		if (server->n_all < (size_t) server->options.max_connections || slowest(server)) {
			server->paused = false;
			event_add(server->acceptable, NULL);
		}
	}
	if (server->n_all == 0 && !server->paused) {
		event_del(server->sweep);
		server->sweeping = false;
	}
}

/*
 * The server
 */

static int
listen_on(struct http_server *server, struct error *err)
{
	const struct listen_address *address = &server->options.address;
	struct listen_address bound = {.len = sizeof(bound.addr)};
	int on = 1;

	server->fd = socket(address->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->fd >= 0)
		setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (server->fd < 0 || bind(server->fd, (const struct sockaddr *) &address->addr, address->len) < 0 ||
	        listen(server->fd, BACKLOG) < 0 ||
	        getsockname(server->fd, (struct sockaddr *) &bound.addr, &bound.len) < 0) {
		char host[64];

		return error_set(err, "cannot listen on %s port %d: %s", listen_host(address, host),
		        listen_port(address), strerror(errno));
	}
	server->port = listen_port(&bound);
	return 0;
}

struct http_server *
http_server_new(struct event_base *base, const struct http_options *options, struct error *err)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (!server) {
		error_set(err, "out of memory");
		return NULL;
	}
	server->base = base;
	server->options = *options;
	server->read_timeout_us = (int64_t) (options->read_timeout * 1e6);
	server->fd = -1;
	TAILQ_INIT(&server->all);
	if (listen_on(server, err) < 0) {
		http_server_free(server);
		return NULL;
	}
	server->acceptable = event_new(base, server->fd, EV_READ | EV_PERSIST, on_acceptable, server);
	server->sweep = event_new(base, -1, EV_PERSIST, on_sweep, server);
	if (!server->acceptable || !server->sweep || event_add(server->acceptable, NULL) < 0) {
		error_set(err, "out of memory");
		http_server_free(server);
		return NULL;
	}
	return server;
}

int
http_server_port(const struct http_server *server)
{
	return server->port;
}

size_t
http_server_connections(const struct http_server *server)
{
	return server->n_all;
}

void
http_server_drain(struct http_server *server, void (*done)(void *arg), void *arg)
{
	if (server->fd >= 0) {
		/* Those that the kernel has taken in already are not turned away. */
		if (!server->paused)
			on_acceptable(server->fd, EV_READ, server);
		event_del(server->acceptable);
		close(server->fd);
		server->fd = -1;
	}
	/* Answering one may end others: each goes to the end of the list before it is looked at. */
	for (size_t n = server->n_all; n > 0 && !TAILQ_EMPTY(&server->all); n--) {
		struct http_request *r = TAILQ_FIRST(&server->all);

		TAILQ_REMOVE(&server->all, r, link);
		TAILQ_INSERT_TAIL(&server->all, r, link);
		http_connection_drain(r);
	}
	server->drained = done;
	server->drained_arg = arg;
	http_check_drained(server);
}

void
http_server_free(struct http_server *server)
{
	if (!server)
		return;
	server->drained = NULL;
	while (!TAILQ_EMPTY(&server->all))
		http_connection_free(TAILQ_FIRST(&server->all));
	if (server->acceptable)
		event_free(server->acceptable);
	if (server->sweep)
		event_free(server->sweep);
	if (server->fd >= 0)
		close(server->fd);
	http_answer_cleanup(server);
	free(server);
}
