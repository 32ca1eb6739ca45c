/*
 * resolver.c: host names to addresses without waiting.
 *
 * getaddrinfo() may sleep for half a minute in poll() inside libc, deaf to everything that Postgres wants from a
 * process; c-ares does the same work on sockets that the caller waits for together with its latch.
 */
#include "postgres.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include "../common/clock.h"
#include "resolver.h"
#include "storage/fd.h"

struct Resolver
{
	char		host[256];
	uint16		port;
	ares_channel channel;		/* NULL when no look-up is under way */
	bool		answered;		/* the callback has been called */
	bool		reserved_fd;
	int64		deadline;		/* of the look-up, ms since boot */
	char		error[160];

	ResolverAddress addresses[RESOLVER_MAX_ADDRESSES];
	int			count;			/* 0: nothing known for host */
	int64		resolved_at;	/* ms since boot */
};

static int64 now_ms(void);
static void set_port(ResolverAddress *address, uint16 port);
static bool parse_numeric(Resolver *r);
static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info);
static void process_sockets(Resolver *r);

Resolver *
resolver_create(MemoryContext parent)
{
	return MemoryContextAllocZero(parent, sizeof(Resolver));
}

void
resolver_start(Resolver *r, const char *host, uint16 port)
{
	struct ares_options options = {.timeout = 2000, .tries = 3};
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	int			status;

	resolver_stop(r);
	if (strcmp(r->host, host) != 0)
	{
		strlcpy(r->host, host, sizeof(r->host));
		r->count = 0;
	}
	r->port = port;
	r->error[0] = '\0';
	r->answered = true;
	if (strlen(host) >= sizeof(r->host))
	{
		r->count = 0;
		snprintf(r->error, sizeof(r->error), "host name of %zu bytes is too long", strlen(host));
		return;
	}
	if (parse_numeric(r) || (r->count > 0 && now_ms() - r->resolved_at < RESOLVER_FRESH_MS))
		return;

	if (!AcquireExternalFD())
	{
		snprintf(r->error, sizeof(r->error), "no file descriptor is free");
		return;
	}
	r->reserved_fd = true;

	/* A channel for each look-up: it reads resolv.conf as it is now, and keeps no sockets open in between. */
	status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status == ARES_SUCCESS)
		status = ares_init_options(&r->channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
	if (status != ARES_SUCCESS)
	{
		r->channel = NULL;
		snprintf(r->error, sizeof(r->error), "%s", ares_strerror(status));
		resolver_stop(r);
		return;
	}
	r->answered = false;
	r->deadline = now_ms() + RESOLVER_DEADLINE_MS;
	ares_getaddrinfo(r->channel, r->host, NULL, &hints, on_answer, r);
}

ResolverResult
resolver_step(Resolver *r)
{
	if (r->channel != NULL)
	{
		if (!r->answered)
			process_sockets(r);
		if (!r->answered && now_ms() >= r->deadline)
		{
			resolver_stop(r);
			snprintf(r->error, sizeof(r->error), "no answer from a name server within %d s",
					 RESOLVER_DEADLINE_MS / 1000);
		}
		if (!r->answered)
			return RESOLVER_WORKING;
		resolver_stop(r);
	}
	return r->count > 0 ? RESOLVER_DONE : RESOLVER_FAILED;
}

const ResolverAddress *
resolver_addresses(const Resolver *r, int *count)
{
	*count = r->count;
	return r->addresses;
}

const char *
resolver_error(const Resolver *r)
{
	return r->error;
}

int
resolver_wait_events(Resolver *r, pgsocket *fds, uint32 *events, int max)
{
	ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
	int			bits;
	int			n = 0;

	if (r->channel == NULL)
		return 0;
	bits = ares_getsock(r->channel, sockets, ARES_GETSOCK_MAXNUM);
	for (int i = 0; i < ARES_GETSOCK_MAXNUM && n < max; i++)
	{
		uint32		wanted = 0;

		if (ARES_GETSOCK_READABLE(bits, i))
			wanted |= WL_SOCKET_READABLE;
		if (ARES_GETSOCK_WRITABLE(bits, i))
			wanted |= WL_SOCKET_WRITEABLE;
		if (wanted == 0)
			continue;
		fds[n] = sockets[i];
		events[n++] = wanted;
	}
	return n;
}

long
resolver_timeout_ms(const Resolver *r)
{
	struct timeval limit,
				when;
	int64		left;

	if (r->channel == NULL || r->answered)
		return 0;
	left = Max(r->deadline - now_ms(), 0);
	limit = (struct timeval) {.tv_sec = left / 1000, .tv_usec = (left % 1000) * 1000};
	when = *ares_timeout(r->channel, &limit, &when);
	return (long) (when.tv_sec * 1000 + (when.tv_usec + 999) / 1000);
}

void
resolver_stop(Resolver *r)
{
	if (r->channel != NULL)
	{
		ares_destroy(r->channel);	/* calls on_answer() if it has not been called */
		r->channel = NULL;
		ares_library_cleanup();
	}
	if (r->reserved_fd)
		ReleaseExternalFD();
	r->reserved_fd = false;
}

static int64
now_ms(void)
{
	return clock_boottime_us() / 1000;
}

static void
set_port(ResolverAddress *address, uint16 port)
{
	if (address->addr.ss_family == AF_INET6)
		((struct sockaddr_in6 *) &address->addr)->sin6_port = htons(port);
	else
		((struct sockaddr_in *) &address->addr)->sin_port = htons(port);
}

static bool
parse_numeric(Resolver *r)
{
	ResolverAddress *first = &r->addresses[0];
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, r->host, &v4.sin_addr) == 1)
	{
		memcpy(&first->addr, &v4, sizeof(v4));
		first->len = sizeof(v4);
	}
	else if (inet_pton(AF_INET6, r->host, &v6.sin6_addr) == 1)
	{
		memcpy(&first->addr, &v6, sizeof(v6));
		first->len = sizeof(v6);
	}
	else
	{
		for (int i = 0; i < r->count; i++)
			set_port(&r->addresses[i], r->port);
		return false;
	}
	set_port(first, r->port);
	r->count = 1;
	return true;
}

static void
on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	Resolver   *r = arg;
	int			n = 0;

	(void) timeouts;
	r->answered = true;
	if (status != ARES_SUCCESS)
	{
		snprintf(r->error, sizeof(r->error), "%s", ares_strerror(status));
		return;
	}
	for (struct ares_addrinfo_node *node = info->nodes; node && n < RESOLVER_MAX_ADDRESSES; node = node->ai_next)
	{
		if ((node->ai_family != AF_INET && node->ai_family != AF_INET6) ||
			(size_t) node->ai_addrlen > sizeof(r->addresses[n].addr))
			continue;
		memset(&r->addresses[n], 0, sizeof(r->addresses[n]));
		memcpy(&r->addresses[n].addr, node->ai_addr, node->ai_addrlen);
		r->addresses[n].len = node->ai_addrlen;
		set_port(&r->addresses[n++], r->port);
	}
	ares_freeaddrinfo(info);
	if (n == 0)
	{
		snprintf(r->error, sizeof(r->error), "the name has no address");
		return;
	}
	r->count = n;
	r->resolved_at = now_ms();
}

/* Lets c-ares use the sockets that are ready now, and notice its timeouts. */
static void
process_sockets(Resolver *r)
{
	pgsocket	fds[RESOLVER_MAX_SOCKETS];
	uint32		events[RESOLVER_MAX_SOCKETS];
	struct pollfd polled[RESOLVER_MAX_SOCKETS];
	int			n = resolver_wait_events(r, fds, events, RESOLVER_MAX_SOCKETS);

	for (int i = 0; i < n; i++)
	{
		polled[i] = (struct pollfd) {.fd = fds[i]};
		if (events[i] & WL_SOCKET_READABLE)
			polled[i].events |= POLLIN;
		if (events[i] & WL_SOCKET_WRITEABLE)
			polled[i].events |= POLLOUT;
	}
	if (n > 0 && poll(polled, (nfds_t) n, 0) > 0)
	{
		for (int i = 0; i < n && !r->answered; i++)
		{
			if (polled[i].revents != 0)
				ares_process_fd(r->channel,
								(polled[i].revents & (POLLIN | POLLERR | POLLHUP)) ? fds[i] : ARES_SOCKET_BAD,
								(polled[i].revents & POLLOUT) ? fds[i] : ARES_SOCKET_BAD);
		}
	}
	if (!r->answered)
		ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}
