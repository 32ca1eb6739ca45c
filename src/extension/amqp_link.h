/*
 * amqp_link.h: one AMQP 0-9-1 connection that never waits: look-up, connect, login, buffers, heartbeats, reconnect.
 *
 * The link knows nothing of channels: its owner is told when the connection is open, gets all frames of channels
 * other than 0, and puts frames of its own into the buffer.  It reconnects for ever, with a delay that grows from 0.2
 * s to 10 s.
 */
#ifndef JOBSCHED_AMQP_LINK_H
#define JOBSCHED_AMQP_LINK_H

#include "postgres.h"

#include "../common/amqp_frame.h"
#include "storage/latch.h"

typedef struct AmqpLink AmqpLink;

/* All are called from within amqp_link_step() (closed also from configure and fail) and must not throw. */
typedef struct AmqpLinkOwner
{
	void		(*opened) (void *arg);	/* logged in: channels can be opened */
	void		(*closed) (void *arg);	/* what was open is no more */
	void		(*frame) (void *arg, const struct amqp_frame *frame);
	void	   *arg;
} AmqpLinkOwner;

extern AmqpLink *amqp_link_create(MemoryContext cxt, const AmqpLinkOwner *owner);

/* See publisher_configure(); true when the URL is another than before. */
extern bool amqp_link_configure(AmqpLink *link, const char *url);
extern void amqp_link_step(AmqpLink *link);
extern bool amqp_link_is_open(const AmqpLink *link);

/* The broker's reason for taking no messages now, or NULL. */
extern const char *amqp_link_blocked(const AmqpLink *link);

/*
 * Where to write up to `size` bytes of whole frames, NULL when the buffer has not that much room (or the link is not
 * open); amqp_link_commit() says how many were written.  amqp_link_method() does both for a method frame.
 */
extern uint8 *amqp_link_reserve(AmqpLink *link, size_t size);
extern void amqp_link_commit(AmqpLink *link, size_t size);
extern bool amqp_link_method(AmqpLink *link, uint16 channel, amqp_method_number_t id, void *method);
extern size_t amqp_link_room(const AmqpLink *link);

/* The connection is of no use: closes it; the next try comes after the delay. */
extern void amqp_link_fail(AmqpLink *link, const char *fmt,...) __attribute__((format(printf, 2, 3)));

/*
 * What people are told, once a change: trouble when the reason is new, well when there was trouble or it is the first
 * time.  The link reports its own troubles itself; well is for the owner to say.
 */
extern void amqp_link_report_trouble(AmqpLink *link, const char *reason);
extern void amqp_link_report_well(AmqpLink *link);

/* "127.0.0.1:5672" (as configured), and the state as in publisher_state(); valid until the next call. */
extern const char *amqp_link_peer(AmqpLink *link);
extern const char *amqp_link_state(AmqpLink *link);

/* A string from the broker as text for logs: cut at `size`, without control characters. */
extern void amqp_link_text(char *out, size_t size, amqp_bytes_t from);

extern int	amqp_link_wait_events(AmqpLink *link, pgsocket *fds, uint32 *events, int max);
extern uint64 amqp_link_wait_generation(const AmqpLink *link);
extern long amqp_link_timeout_ms(const AmqpLink *link);

/* Sends what goes at once and closes.  The memory goes with the context. */
extern void amqp_link_shutdown(AmqpLink *link);

#endif
