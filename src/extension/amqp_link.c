/*
 * amqp_link.c: one AMQP 0-9-1 connection that never waits.
 *
 * rabbitmq-c codes the methods, but its own socket functions wait (amqp_basic_publish without limit when the broker
 * takes nothing in), and a process of Postgres that sleeps there answers neither a shutdown nor the barrier of DROP
 * DATABASE. So the socket is ours: every step does what the socket and the clock allow now and returns.
 *
 *	 WAITING -> LOOKUP -> CONNECTING -> START -> TUNE -> OPENING -> OPEN
 *	    ^----------- any failure: back with a growing delay ---------'
 *
 * START, TUNE, OPENING name the method of the broker that is awaited: connection.start, .tune, .open-ok.
 */
#include "postgres.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "amqp_link_private.h"
#include "storage/fd.h"

#define CONNECT_MS		5000		/* for one address */
#define BACKOFF_MIN_US	200000
#define BACKOFF_MAX_US	10000000
#define WELL_MS			5000		/* open for so long: the next delay is the first one again */

static void link_try(AmqpLink *link);
static void link_connect(AmqpLink *link);
static void link_connected(AmqpLink *link);
static void link_address_failed(AmqpLink *link, int error);
static void link_close(AmqpLink *link);

AmqpLink *
amqp_link_create(MemoryContext cxt, const AmqpLinkOwner *owner)
{
	AmqpLink   *link = MemoryContextAllocZero(cxt, sizeof(AmqpLink));

	link->cxt = cxt;
	link->owner = *owner;
	link->fd = PGINVALID_SOCKET;
	link->backoff = (struct backoff) {.base_us = BACKOFF_MIN_US, .max_us = BACKOFF_MAX_US};
	link->in = MemoryContextAlloc(cxt, IN_SIZE);
	link->out = MemoryContextAlloc(cxt, OUT_SIZE);
	link->resolver = resolver_create(cxt);
	init_amqp_pool(&link->pool, 4096);
	strlcpy(link->error, "not configured", sizeof(link->error));
	return link;
}

/* ---- configuration ---- */

bool
amqp_link_configure(AmqpLink *link, const char *url)
{
	const char *problem;

	if (url == NULL)
		url = "";
	if (link->url != NULL && strcmp(link->url, url) == 0)
		return false;
	link_close(link);
	if (link->url != NULL)
		pfree(link->url);
	if (link->parsed != NULL)
		pfree(link->parsed);
	link->parsed = NULL;
	link->url = MemoryContextStrdup(link->cxt, url);
	link->state = LINK_IDLE;
	link->peer[0] = '\0';
	backoff_reset(&link->backoff);
	if (url[0] == '\0')
	{
		strlcpy(link->error, "not configured", sizeof(link->error));
		return true;
	}
	problem = amqp_login_parse_url(link);
	if (problem != NULL)
	{
		snprintf(link->error, sizeof(link->error), "bad url: %s", problem);
		amqp_link_report_trouble(link, link->error);
		return true;
	}
	snprintf(link->peer, sizeof(link->peer), strchr(link->info.host, ':') ? "[%s]:%d" : "%s:%d", link->info.host,
			 link->info.port);
	link->error[0] = '\0';
	link->was_well = false;
	link->state = LINK_WAITING;
	link->deadline = now_ms();
	return true;
}

/* ---- connecting ---- */

void
amqp_link_step(AmqpLink *link)
{
	if (link->state == LINK_WAITING && now_ms() >= link->deadline)
	{
		link->state = LINK_LOOKUP;
		link->address = 0;
		resolver_start(link->resolver, link->info.host, (uint16) link->info.port);
	}
	if (link->state == LINK_LOOKUP || link->state == LINK_CONNECTING)
		link_try(link);
	if (link->state >= LINK_START)
		amqp_link_read(link);
	if (link->state >= LINK_START)
		amqp_link_beat(link);
	if (link->state >= LINK_START)
		amqp_link_write(link);
}

static void
link_try(AmqpLink *link)
{
	if (link->state == LINK_LOOKUP)
	{
		link->generation++;		/* the look-up's sockets come and go unseen */
		switch (resolver_step(link->resolver))
		{
			case RESOLVER_WORKING:
				return;
			case RESOLVER_FAILED:
				amqp_link_fail(link, "cannot look up host \"%s\": %s", link->info.host, resolver_error(link->resolver));
				return;
			case RESOLVER_DONE:
				link_connect(link);
				break;
		}
	}
	if (link->state == LINK_CONNECTING)
	{
		struct pollfd polled = {.fd = link->fd, .events = POLLOUT};
		int			error = 0;
		socklen_t	size = sizeof(error);

		if (poll(&polled, 1, 0) > 0)
		{
			if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
				error = errno;
			if (error == 0)
				link_connected(link);
			else
				link_address_failed(link, error);
		}
		else if (now_ms() >= link->deadline)
			link_address_failed(link, ETIMEDOUT);
	}
}

/* Begins to connect to the address that is next. */
static void
link_connect(AmqpLink *link)
{
	int			count;
	const ResolverAddress *address = resolver_addresses(link->resolver, &count) + link->address;

	if (!AcquireExternalFD())
	{
		amqp_link_fail(link, "no file descriptor is free");
		return;
	}
	link->fd = socket(address->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (link->fd == PGINVALID_SOCKET)
	{
		int			error = errno;

		ReleaseExternalFD();
		link_address_failed(link, error);
		return;
	}
	link->generation++;
	link->state = LINK_CONNECTING;
	link->deadline = now_ms() + CONNECT_MS;
	if (connect(link->fd, (const struct sockaddr *) &address->addr, address->len) != 0 &&
		errno != EINPROGRESS && errno != EINTR)
		link_address_failed(link, errno);
}

/* TCP is up: greet, and wait for connection.start. */
static void
link_connected(AmqpLink *link)
{
	int			on = 1;

	(void) setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	link->in_start = link->in_end = link->out_start = link->out_end = 0;
	link->is_blocked = false;
	link->heartbeat_ms = INT64CONST(1000) * HEARTBEAT_S;
	link->last_heard = link->last_sent = now_ms();
	link->deadline = link->last_heard + LOGIN_MS;
	link->state = LINK_START;
	memcpy(link->out, AMQP_FRAME_GREETING, AMQP_FRAME_GREETING_SIZE);
	link->out_end = AMQP_FRAME_GREETING_SIZE;
}

/* The next address of the host is tried at once, the first one again after the delay. */
static void
link_address_failed(AmqpLink *link, int error)
{
	int			count;

	(void) resolver_addresses(link->resolver, &count);
	if (++link->address < count)
	{
		link_close(link);
		link->state = LINK_LOOKUP;	/* the answer is there: resolver_step() gives it again */
		link->deadline = now_ms();
	}
	else
		amqp_link_fail(link, "cannot connect to %s: %s", link->peer, strerror(error));
}

void
amqp_link_fail(AmqpLink *link, const char *fmt,...)
{
	va_list		args;

	if (link->state == LINK_IDLE || link->state == LINK_WAITING)
		return;					/* has failed already */
	if (link->state == LINK_OPEN && now_ms() - link->opened_at >= WELL_MS)
		backoff_reset(&link->backoff);
	va_start(args, fmt);
	vsnprintf(link->error, sizeof(link->error), fmt, args);
	va_end(args);
	link_close(link);
	link->state = LINK_WAITING;
	link->deadline = now_ms() + backoff_next_us(&link->backoff, backoff_random()) / 1000;
	amqp_link_report_trouble(link, link->error);
}

/* Closes whatever is open; the caller sets the next state. */
static void
link_close(AmqpLink *link)
{
	bool		was_open = link->state == LINK_OPEN;

	resolver_stop(link->resolver);
	if (link->fd != PGINVALID_SOCKET)
	{
		close(link->fd);
		ReleaseExternalFD();
		link->fd = PGINVALID_SOCKET;
	}
	link->generation++;
	link->in_start = link->in_end = link->out_start = link->out_end = 0;
	link->is_blocked = false;
	link->state = LINK_WAITING;
	link->deadline = now_ms();
	if (was_open)
		link->owner.closed(link->owner.arg);
}

/* ---- what others ask ---- */

bool
amqp_link_is_open(const AmqpLink *link)
{
	return link->state == LINK_OPEN;
}

const char *
amqp_link_blocked(const AmqpLink *link)
{
	return link->is_blocked ? link->blocked : NULL;
}

const char *
amqp_link_peer(AmqpLink *link)
{
	return link->peer;
}

void
amqp_link_report_trouble(AmqpLink *link, const char *reason)
{
	if (strcmp(link->reported, reason) == 0)
		return;
	strlcpy(link->reported, reason, sizeof(link->reported));
	ereport(LOG, errmsg("jobsched: publishing to RabbitMQ is not possible: %s", reason));
}

void
amqp_link_report_well(AmqpLink *link)
{
	if (!link->was_well || link->reported[0] != '\0')
		ereport(LOG, errmsg("jobsched: connected to RabbitMQ at %s", link->peer));
	link->was_well = true;
	link->reported[0] = '\0';
}

const char *
amqp_link_state(AmqpLink *link)
{
	switch (link->state)
	{
		case LINK_IDLE:
			return link->error;
		case LINK_WAITING:
			if (link->error[0] != '\0')
			{
				snprintf(link->text, sizeof(link->text), "not connected: %s, next try in %ld s", link->error,
						 (long) ((Max(link->deadline - now_ms(), 0) + 999) / 1000));
				break;
			}
			/* FALLTHROUGH */
		case LINK_LOOKUP:
		case LINK_CONNECTING:
		case LINK_START:
		case LINK_TUNE:
		case LINK_OPENING:
			snprintf(link->text, sizeof(link->text), "connecting to %s%s%s", link->peer,
					 link->error[0] != '\0' ? ", last: " : "", link->error);
			break;
		case LINK_OPEN:
			snprintf(link->text, sizeof(link->text), "%s %s", link->is_blocked ? "blocked by broker:" : "connected to",
					 link->is_blocked ? link->blocked : link->peer);
			break;
	}
	return link->text;
}

int
amqp_link_wait_events(AmqpLink *link, pgsocket *fds, uint32 *events, int max)
{
	if (link->state == LINK_LOOKUP)
		return resolver_wait_events(link->resolver, fds, events, max);
	if (link->fd == PGINVALID_SOCKET || max < 1)
		return 0;
	fds[0] = link->fd;
	if (link->state == LINK_CONNECTING)
		events[0] = WL_SOCKET_WRITEABLE;
	else
		events[0] = WL_SOCKET_READABLE | (link->out_start < link->out_end ? WL_SOCKET_WRITEABLE : 0);
	return 1;
}

uint64
amqp_link_wait_generation(const AmqpLink *link)
{
	return link->generation;
}

long
amqp_link_timeout_ms(const AmqpLink *link)
{
	int64		until = link->deadline;
	int64		now = now_ms();

	if (link->state == LINK_IDLE)
		return -1;
	if (link->state == LINK_LOOKUP)
		return resolver_timeout_ms(link->resolver);
	if (link->state == LINK_OPEN)
	{
		until = link->last_heard + 2 * link->heartbeat_ms;
		/* with bytes waiting for the socket it is the socket that wakes us */
		if (link->out_start == link->out_end)
			until = Min(until, link->last_sent + link->heartbeat_ms / 2);
	}
	return (long) Max(until - now, 0);
}

void
amqp_link_shutdown(AmqpLink *link)
{
	link->owner.closed = NULL;
	if (link->state == LINK_OPEN)
	{
		amqp_connection_close_t bye = {.reply_code = AMQP_REPLY_SUCCESS, .reply_text = amqp_cstring_bytes("shutdown")};

		amqp_link_method(link, 0, AMQP_CONNECTION_CLOSE_METHOD, &bye);
		amqp_link_write_last(link);
		link->state = LINK_OPENING;	/* the owner is not told any more */
	}
	link_close(link);
	link->state = LINK_IDLE;
	empty_amqp_pool(&link->pool);
}
