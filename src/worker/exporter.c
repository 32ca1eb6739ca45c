/*
 * exporter.c: metrics and health over HTTP, through libmicrohttpd.
 *
 * Few connections and short waits, so that whoever can reach the port cannot take much: no descriptors that the worker
 * needs, and its lock only for as long as it takes to copy the numbers.
 */
#include "exporter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"

#define CONNECTIONS		16
#define IDLE_SECONDS	5
#define MEMORY			((size_t) 16 * 1024)	/* a connection, for the request */

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} addr;
	socklen_t len;
};

/* "1.2.3.4:80", "[::1]:80"; false when it is neither. */
static bool
parse(const char *text, struct address *out)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	bool v6 = text[0] == '[';
	size_t len;
	char *end;
	long port;

	memset(out, 0, sizeof(*out));
	if (!colon || colon[1] < '0' || colon[1] > '9')
		return false;
	port = strtol(colon + 1, &end, 10);
	len = (size_t) (colon - text);
	if (*end || port < 1 || port > 65535 || len < 2 || len >= sizeof(host) || (v6 && text[len - 1] != ']'))
		return false;
	memcpy(host, text + v6, len - (v6 ? 2 : 0));
	host[len - (v6 ? 2 : 0)] = '\0';
	if (v6) {
		out->addr.v6.sin6_family = AF_INET6;
		out->addr.v6.sin6_port = htons((uint16_t) port);
		out->len = sizeof(out->addr.v6);
		return inet_pton(AF_INET6, host, &out->addr.v6.sin6_addr) == 1;
	}
	out->addr.v4.sin_family = AF_INET;
	out->addr.v4.sin_port = htons((uint16_t) port);
	out->len = sizeof(out->addr.v4);
	return inet_pton(AF_INET, host, &out->addr.v4.sin_addr) == 1;
}

int
exporter_check(const char *listen, struct error *err)
{
	struct address address;

	if (!listen[0] || parse(listen, &address))
		return 0;
	return error_set(err, "an address and a port such as 127.0.0.1:9187 or [::]:9187 are allowed");
}

/* Of malloc'ed text, which is taken over. */
static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned status, const char *type, char *text)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	if (!text)
		return MHD_NO;
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* Healthy: it may start tasks and hears from the broker. */
static unsigned
health(struct hub *h, char **text)
{
	bool fresh, broker;
	enum hub_phase phase;

	hub_lock(h);
	fresh = hub_lease_fresh_locked(h, clock_boottime_us());
	broker = h->metrics.links[METRICS_BROKER].up;
	phase = h->phase;
	hub_unlock(h);
	if (asprintf(text, "lease %s, broker %s%s\n", fresh ? "fresh" : "not fresh", broker ? "connected" : "not connected",
				 phase == HUB_RUNNING ? "" : ", draining") < 0)
		*text = NULL;
	return fresh && broker && phase == HUB_RUNNING ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static enum MHD_Result
handle(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
	   const char *data, size_t *data_size, void **request)
{
	static const char plain[] = "text/plain; charset=utf-8";
	struct exporter *e = arg;
	char *text = NULL;
	unsigned status;

	(void) version;
	(void) data;
	(void) request;
	if (*data_size > 0)
		return MHD_NO;		/* nobody sends a body to these */
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, plain, strdup("only GET and HEAD\n"));
	if (strcmp(url, "/metrics") == 0)
		return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
					  metrics_text(e->hub, e->worker_id));
	if (strcmp(url, "/healthz") == 0) {
		status = health(e->hub, &text);
		return answer(connection, status, plain, text);
	}
	return answer(connection, MHD_HTTP_NOT_FOUND, plain, strdup("there are /metrics and /healthz\n"));
}

int
exporter_start(struct exporter *e, struct hub *h, const char *listen, const char *worker_id, struct error *err)
{
	struct address address;

	memset(e, 0, sizeof(*e));
	e->hub = h;
	e->worker_id = worker_id;
	if (!listen[0])
		return 0;
	if (!parse(listen, &address))
		return exporter_check(listen, err);
	errno = 0;
	e->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | (address.addr.any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0),
								 0, NULL, NULL, handle, e, MHD_OPTION_SOCK_ADDR, &address.addr.any,
								 MHD_OPTION_CONNECTION_LIMIT, (unsigned) CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
								 (unsigned) IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY, MHD_OPTION_END);
	if (!e->daemon)
		return error_set(err, "METRICS_LISTEN=%s: %s", listen, errno ? strerror(errno) : "cannot be served");
	return 0;
}

void
exporter_stop(struct exporter *e)
{
	if (e->daemon)
		MHD_stop_daemon(e->daemon);
	e->daemon = NULL;
}
