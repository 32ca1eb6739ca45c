/*
 * amqp_link.c: one AMQP 0-9-1 connection that never waits.
 *
 * rabbitmq-c codes the methods, but its own socket functions wait (amqp_basic_publish without limit when the broker takes
 * nothing in), and a process of Postgres that sleeps there answers neither a shutdown nor the barrier of DROP DATABASE.
 * So the socket is ours: every step does what the socket and the clock allow now and returns.
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

#include "../common/backoff.h"
#include "../common/clock.h"
#include "amqp_link.h"
#include "miscadmin.h"
#include "resolver.h"
#include "storage/fd.h"

#define FRAME_MAX		(32 * 1024) /* what we ask for; ours are far smaller */
#define IN_SIZE			(64 * 1024) /* holds one frame of any size that the broker may send */
#define OUT_SIZE		(256 * 1024)
#define READS_A_STEP	16			/* so that a chatty broker cannot keep the caller in one step */

#define CONNECT_MS		5000		/* for one address */
#define LOGIN_MS		10000		/* from the TCP connection to the open one */
#define BACKOFF_MIN_US	200000
#define BACKOFF_MAX_US	10000000
#define WELL_MS			5000		/* open for so long: the next delay is the first one again */

/* We send something every half of it; silence for twice of it means that the broker is gone. */
#define HEARTBEAT_S		30

typedef enum LinkState
{
	LINK_IDLE,					/* not configured, or with a bad URL: `error` says which */
	LINK_WAITING,
	LINK_LOOKUP,
	LINK_CONNECTING,
	LINK_START,
	LINK_TUNE,
	LINK_OPENING,
	LINK_OPEN
} LinkState;

struct AmqpLink
{
	MemoryContext cxt;
	AmqpLinkOwner owner;
	LinkState	state;
	uint64		generation;

	/* configuration: info points into parsed */
	char	   *url;
	char	   *parsed;
	struct amqp_connection_info info;

	Resolver   *resolver;
	int			address;		/* index of the address that is tried */
	pgsocket	fd;
	int64		deadline;		/* of the state, ms since boot; WAITING: when the next try is */
	int64		opened_at;		/* ms since boot */
	int64		last_sent,
				last_heard;
	int			heartbeat_ms;	/* agreed with the broker */
	struct backoff backoff;

	uint8	   *in;
	size_t		in_start,
				in_end;
	uint8	   *out;
	size_t		out_start,
				out_end;
	amqp_pool_t pool;			/* of the method being decoded */

	bool		is_blocked;
	char		blocked[200];
	char		error[300];		/* the last failure */
	char		reported[300];	/* the trouble that the log has been told of; empty: all is well */
	bool		was_well;
	char		peer[300];
	char		text[700];		/* what amqp_link_state() returned */
};

static void link_try(AmqpLink *link);
static void link_connect(AmqpLink *link);
static void link_connected(AmqpLink *link);
static void link_address_failed(AmqpLink *link, int error);
static void link_close(AmqpLink *link);
static void link_read(AmqpLink *link);
static void link_handle(AmqpLink *link, const struct amqp_frame *frame);
static void link_handle_connection(AmqpLink *link, const struct amqp_frame *frame);
static void link_send_start_ok(AmqpLink *link, const amqp_connection_start_t *start);
static void link_send_tune_ok(AmqpLink *link, const amqp_connection_tune_t *tune);
static void link_write(AmqpLink *link);
static void link_beat(AmqpLink *link);

static int64
now_ms(void)
{
	return clock_boottime_us() / 1000;
}

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

/* Why the URL cannot be used, or NULL. */
static const char *
link_parse_url(AmqpLink *link)
{
	char	   *path,
			   *query;

	link->parsed = MemoryContextStrdup(link->cxt, link->url);
	path = strstr(link->parsed, "://");
	path = path != NULL ? strchr(path + 3, '/') : NULL;
	query = path != NULL ? strchr(path, '?') : NULL;
	if (query != NULL)
		*query = '\0';

	memset(&link->info, 0, sizeof(link->info));
	if (amqp_parse_url(link->parsed, &link->info) != AMQP_STATUS_OK)
		return "it must look like amqp://user:password@host:port/vhost, with special characters percent-encoded";
	if (link->info.ssl)
		return "amqps:// is not supported by the scheduler, use amqp://";
	if (link->info.host[0] == '\0')
		return "it names no host";
	if (link->info.vhost[0] == '\0')
		link->info.vhost = "/";
	if (!amqp_frame_is_shortstr(link->info.vhost))
		return "the virtual host is longer than 255 bytes";
	if (strlen(link->info.user) + strlen(link->info.password) > 2048)
		return "user and password are longer than 2048 bytes";
	return NULL;
}

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
	problem = link_parse_url(link);
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
		link_read(link);
	if (link->state >= LINK_START)
		link_beat(link);
	if (link->state >= LINK_START)
		link_write(link);
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
	link->heartbeat_ms = HEARTBEAT_S * 1000;
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

/* ---- reading ---- */

static void
link_read(AmqpLink *link)
{
	for (int i = 0; i < READS_A_STEP; i++)
	{
		struct amqp_frame frame;
		ssize_t		got;
		long		size;

		if (link->in_start > 0)
		{
			memmove(link->in, link->in + link->in_start, link->in_end - link->in_start);
			link->in_end -= link->in_start;
			link->in_start = 0;
		}
		got = recv(link->fd, link->in + link->in_end, IN_SIZE - link->in_end, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (got < 0)
		{
			amqp_link_fail(link, "lost the connection to %s: %s", link->peer, strerror(errno));
			return;
		}
		if (got == 0)
		{
			amqp_link_fail(link, "%s closed the connection", link->peer);
			return;
		}
		link->in_end += (size_t) got;
		link->last_heard = now_ms();

		while ((size = amqp_frame_parse(link->in + link->in_start, link->in_end - link->in_start, FRAME_MAX, &frame)) > 0)
		{
			link->in_start += (size_t) size;	/* first: whatever the handler does, the frame is not seen twice */
			link_handle(link, &frame);
			recycle_amqp_pool(&link->pool);
			if (link->state < LINK_START)
				return;			/* closed by the handler */
		}
		if (size < 0)
		{
			amqp_link_fail(link, "%s does not speak AMQP 0-9-1", link->peer);
			return;
		}
	}
}

static void
link_handle(AmqpLink *link, const struct amqp_frame *frame)
{
	if (frame->type == AMQP_FRAME_HEARTBEAT)
		return;
	if (frame->channel != 0)
	{
		if (link->state == LINK_OPEN)
			link->owner.frame(link->owner.arg, frame);
		return;
	}
	if (frame->type == AMQP_FRAME_METHOD)
		link_handle_connection(link, frame);
}

static void
link_handle_connection(AmqpLink *link, const struct amqp_frame *frame)
{
	void	   *method = amqp_frame_method(frame, &link->pool);
	char		reason[200];

	if (method == NULL)
	{
		amqp_link_fail(link, "%s sent an unknown method 0x%08X", link->peer, (unsigned int) frame->method);
		return;
	}
	switch (frame->method)
	{
		case AMQP_CONNECTION_START_METHOD:
			if (link->state == LINK_START)
				link_send_start_ok(link, method);
			break;
		case AMQP_CONNECTION_SECURE_METHOD:
			amqp_link_fail(link, "%s wants another way of login than PLAIN", link->peer);
			break;
		case AMQP_CONNECTION_TUNE_METHOD:
			if (link->state == LINK_TUNE)
				link_send_tune_ok(link, method);
			break;
		case AMQP_CONNECTION_OPEN_OK_METHOD:
			if (link->state == LINK_OPENING)
			{
				link->state = LINK_OPEN;
				link->opened_at = now_ms();
				link->owner.opened(link->owner.arg);
			}
			break;
		case AMQP_CONNECTION_CLOSE_METHOD:
			{
				amqp_connection_close_ok_t ok = {0};

				amqp_link_text(reason, sizeof(reason), ((amqp_connection_close_t *) method)->reply_text);
				amqp_link_method(link, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
				link_write(link);
				amqp_link_fail(link, "%s closed the connection: %s", link->peer, reason);
				break;
			}
		case AMQP_CONNECTION_BLOCKED_METHOD:
			amqp_link_text(link->blocked, sizeof(link->blocked), ((amqp_connection_blocked_t *) method)->reason);
			link->is_blocked = true;
			ereport(LOG, errmsg("jobsched: the broker at %s takes no messages: %s", link->peer, link->blocked));
			break;
		case AMQP_CONNECTION_UNBLOCKED_METHOD:
			link->is_blocked = false;
			ereport(LOG, errmsg("jobsched: the broker at %s takes messages again", link->peer));
			break;
		default:
			break;
	}
}

/* ---- login ---- */

static void
link_send_start_ok(AmqpLink *link, const amqp_connection_start_t *start)
{
	static const char *const wanted[] = {"authentication_failure_close", "basic.nack", "connection.blocked", "publisher_confirms"};
	amqp_table_entry_t capabilities[lengthof(wanted)];
	amqp_table_entry_t properties[3];
	char		name[64];
	char		response[2048 + 3];
	char		mechanisms[256];
	size_t		user = strlen(link->info.user),
				password = strlen(link->info.password);
	amqp_connection_start_ok_t ok = {
		.client_properties = {.num_entries = lengthof(properties), .entries = properties},
		.mechanism = amqp_cstring_bytes("PLAIN"),
		.response = {.len = user + password + 2, .bytes = response},
		.locale = amqp_cstring_bytes("en_US"),
	};

	amqp_link_text(mechanisms, sizeof(mechanisms), start->mechanisms);
	if (strstr(mechanisms, "PLAIN") == NULL)
	{
		amqp_link_fail(link, "%s offers no login with PLAIN, only: %s", link->peer, mechanisms);
		return;
	}
	for (size_t i = 0; i < lengthof(wanted); i++)
	{
		capabilities[i].key = amqp_cstring_bytes(wanted[i]);
		capabilities[i].value.kind = AMQP_FIELD_KIND_BOOLEAN;
		capabilities[i].value.value.boolean = 1;
	}
	snprintf(name, sizeof(name), "jobsched scheduler, pid %d", MyProcPid);
	properties[0].key = amqp_cstring_bytes("product");
	properties[0].value.kind = AMQP_FIELD_KIND_UTF8;
	properties[0].value.value.bytes = amqp_cstring_bytes("jobsched");
	properties[1].key = amqp_cstring_bytes("connection_name");
	properties[1].value.kind = AMQP_FIELD_KIND_UTF8;
	properties[1].value.value.bytes = amqp_cstring_bytes(name);
	properties[2].key = amqp_cstring_bytes("capabilities");
	properties[2].value.kind = AMQP_FIELD_KIND_TABLE;
	properties[2].value.value.table = (amqp_table_t) {.num_entries = lengthof(wanted), .entries = capabilities};

	response[0] = '\0';
	memcpy(response + 1, link->info.user, user);
	response[1 + user] = '\0';
	memcpy(response + 2 + user, link->info.password, password);
	amqp_link_method(link, 0, AMQP_CONNECTION_START_OK_METHOD, &ok);
	link->state = LINK_TUNE;
}

static void
link_send_tune_ok(AmqpLink *link, const amqp_connection_tune_t *tune)
{
	amqp_connection_tune_ok_t ok = {
		.channel_max = tune->channel_max,
		.frame_max = tune->frame_max == 0 ? FRAME_MAX : Min(tune->frame_max, FRAME_MAX),
		.heartbeat = tune->heartbeat == 0 ? HEARTBEAT_S : Min(tune->heartbeat, HEARTBEAT_S),
	};
	amqp_connection_open_t open = {.virtual_host = amqp_cstring_bytes(link->info.vhost)};

	link->heartbeat_ms = ok.heartbeat * 1000;
	amqp_link_method(link, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &ok);
	amqp_link_method(link, 0, AMQP_CONNECTION_OPEN_METHOD, &open);
	link->state = LINK_OPENING;
}

/* ---- writing ---- */

static void
link_write(AmqpLink *link)
{
	while (link->out_start < link->out_end)
	{
		ssize_t		sent = send(link->fd, link->out + link->out_start, link->out_end - link->out_start,
								MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (sent < 0)
		{
			amqp_link_fail(link, "lost the connection to %s: %s", link->peer, strerror(errno));
			return;
		}
		link->out_start += (size_t) sent;
		link->last_sent = now_ms();
	}
	link->out_start = link->out_end = 0;
}

/* Deadlines of login and silence, and our own sign of life. */
static void
link_beat(AmqpLink *link)
{
	int64		now = now_ms();

	if (link->state != LINK_OPEN)
	{
		if (now >= link->deadline)
			amqp_link_fail(link, "%s did not answer the login within %d s", link->peer, LOGIN_MS / 1000);
		return;
	}
	if (now - link->last_heard >= 2 * link->heartbeat_ms)
		amqp_link_fail(link, "%s has been silent for %d s", link->peer, 2 * link->heartbeat_ms / 1000);
	else if (now - link->last_sent >= link->heartbeat_ms / 2 && link->out_start == link->out_end)
		link->out_end = (size_t) amqp_frame_put_heartbeat(link->out, OUT_SIZE);
}

size_t
amqp_link_room(const AmqpLink *link)
{
	return OUT_SIZE - (link->out_end - link->out_start);
}

uint8 *
amqp_link_reserve(AmqpLink *link, size_t size)
{
	if (link->state < LINK_START || amqp_link_room(link) < size)
		return NULL;
	if (OUT_SIZE - link->out_end < size)
	{
		memmove(link->out, link->out + link->out_start, link->out_end - link->out_start);
		link->out_end -= link->out_start;
		link->out_start = 0;
	}
	return link->out + link->out_end;
}

void
amqp_link_commit(AmqpLink *link, size_t size)
{
	Assert(size <= OUT_SIZE - link->out_end);
	link->out_end += size;
}

bool
amqp_link_method(AmqpLink *link, uint16 channel, amqp_method_number_t id, void *method)
{
	size_t		room = Min(amqp_link_room(link), 4096);
	uint8	   *out = amqp_link_reserve(link, room);
	long		size = out != NULL ? amqp_frame_put_method(out, room, channel, id, method) : -1;

	if (size < 0)
		return false;
	amqp_link_commit(link, (size_t) size);
	return true;
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

void
amqp_link_text(char *out, size_t size, amqp_bytes_t from)
{
	size_t		n = Min(from.len, size - 1);

	for (size_t i = 0; i < n; i++)
	{
		unsigned char c = ((const unsigned char *) from.bytes)[i];

		out[i] = c < 0x20 || c >= 0x7f ? '?' : (char) c;
	}
	out[n] = '\0';
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
			snprintf(link->text, sizeof(link->text), link->error[0] != '\0' ? "connecting to %s, last: %s" : "connecting to %s",
					 link->peer, link->error);
			break;
		case LINK_OPEN:
			snprintf(link->text, sizeof(link->text), link->is_blocked ? "blocked by broker: %s" : "connected to %s",
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
		(void) send(link->fd, link->out + link->out_start, link->out_end - link->out_start, MSG_DONTWAIT | MSG_NOSIGNAL);
		link->state = LINK_OPENING;	/* the owner is not told any more */
	}
	link_close(link);
	link->state = LINK_IDLE;
	empty_amqp_pool(&link->pool);
}
