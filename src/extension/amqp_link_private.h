/*
 * amqp_link_private.h: what the files of the link share.
 *
 *	 amqp_link.c	 states: look-up, connect, fail, wait
 *	 amqp_link_io.c	 bytes: the two buffers, frames in and out, heartbeats
 *	 amqp_login.c	 the URL, and the methods of channel 0: login, close, blocked
 */
#ifndef JOBSCHED_AMQP_LINK_PRIVATE_H
#define JOBSCHED_AMQP_LINK_PRIVATE_H

#include "amqp_link.h"

#include "../common/backoff.h"
#include "../common/clock.h"
#include "resolver.h"

/* Bytes. */
#define FRAME_MAX		32768		/* what we ask for; ours are far smaller */
#define IN_SIZE			65536		/* holds one frame of any size that the broker may send */
#define OUT_SIZE		262144

#define LOGIN_MS		10000		/* from the TCP connection to the open one */

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
	int64		heartbeat_ms;	/* agreed with the broker */
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

/* Milliseconds of a clock that never jumps. */
static inline int64
now_ms(void)
{
	return clock_boottime_us() / 1000;
}

/*
 * All of these may end the connection (amqp_link_fail()): look at link->state afterwards, it is below LINK_START
 * then.
 */
extern void amqp_link_read(AmqpLink *link);
extern void amqp_link_beat(AmqpLink *link);
extern void amqp_link_write(AmqpLink *link);
extern void amqp_login_handle(AmqpLink *link, const struct amqp_frame *frame);

/* Tries to send what there is before the connection is closed anyway; its failure is no news. */
extern void amqp_link_write_last(AmqpLink *link);

/* Fills link->parsed and link->info from link->url.  Returns why the URL cannot be used, or NULL. */
extern const char *amqp_login_parse_url(AmqpLink *link);

#endif
