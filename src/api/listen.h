/*
 * listen.h: the address in API_LISTEN.
 */
#ifndef JOBSCHED_API_LISTEN_H
#define JOBSCHED_API_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

#include "error.h"

struct listen_address {
	struct sockaddr_storage addr;
	socklen_t len;
};

/*
 * "127.0.0.1:8000", "[::1]:8000", "localhost:8000"; port 0 lets the kernel choose.  The host is a numeric address or
 * "localhost" (127.0.0.1): nothing is looked up.
 */
int listen_parse(const char *text, struct listen_address *out, struct error *err);

/* Can only this machine reach it? */
bool listen_is_loopback(const struct listen_address *address);

/* "127.0.0.1" or "::1", into out[64]; returns out. */
char *listen_host(const struct listen_address *address, char *out);

int listen_port(const struct listen_address *address);

#endif
