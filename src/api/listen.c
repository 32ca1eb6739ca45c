/*
 * listen.c: parse API_LISTEN.
 */
#include "listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const char allowed[] =
        "host:port with a numeric address, such as 127.0.0.1:8000, [::1]:8000 or localhost:8000";

static int
parse_port(const char *text)
{
	int port = 0;

	if (*text == '\0' || strlen(text) > 5)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		port = port * 10 + (*text - '0');
	}
	return port <= 65535 ? port : -1;
}

bool
listen_is_loopback(const struct listen_address *address)
{
	if (address->addr.ss_family == AF_INET)
		return (ntohl(((const struct sockaddr_in *) &address->addr)->sin_addr.s_addr) >> 24) == 127;
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) &address->addr)->sin6_addr);
}

int
listen_parse(const char *text, struct listen_address *out, struct error *err)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *) &out->addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) &out->addr;
	const char *colon = strrchr(text, ':');
	char host[64];
	size_t len;
	int port;

	memset(out, 0, sizeof(*out));
	port = colon ? parse_port(colon + 1) : -1;
	if (port < 0)
		return error_set(err, "API_LISTEN is \"%.200s\"; allowed: %s", text, allowed);

	len = (size_t) (colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		return error_set(err, "API_LISTEN has no usable host; allowed: %s", allowed);
	memcpy(host, text, len);
	host[len] = '\0';

	if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t) port);
		out->len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t) port);
		out->len = sizeof(*v6);
	} else {
		return error_set(err, "API_LISTEN host is \"%s\"; allowed: %s", host, allowed);
	}
	return 0;
}

char *
listen_host(const struct listen_address *address, char *out)
{
	const void *bytes = address->addr.ss_family == AF_INET
	        ? (const void *) &((const struct sockaddr_in *) &address->addr)->sin_addr
	        : (const void *) &((const struct sockaddr_in6 *) &address->addr)->sin6_addr;

	if (!inet_ntop(address->addr.ss_family, bytes, out, 64))
		out[0] = '\0';
	return out;
}

int
listen_port(const struct listen_address *address)
{
	return ntohs(address->addr.ss_family == AF_INET ? ((const struct sockaddr_in *) &address->addr)->sin_port
	                                                : ((const struct sockaddr_in6 *) &address->addr)->sin6_port);
}
