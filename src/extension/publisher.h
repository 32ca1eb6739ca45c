/*
 * publisher.h: publishes dispatches to RabbitMQ and learns what became of them, without ever waiting.
 *
 * The owner's loop is: publisher_step(), publish what is due, publisher_step() again to send it, then wait on its own
 * latch together with publisher_wait_events() for at most publisher_timeout_ms().  All calls return at once; none
 * throws an ERROR (except out of memory) or waits for the network, the broker or a name server.  What goes wrong is a
 * state (publisher_state()), is logged once when it changes, and is tried again for ever.
 */
#ifndef JOBSCHED_PUBLISHER_H
#define JOBSCHED_PUBLISHER_H

#include "postgres.h"

#include "storage/latch.h"
#include "utils/uuid.h"

/* Publishes that may be without an answer at a time. */
#define PUBLISHER_WINDOW 1024

/* The most that publisher_wait_events() returns. */
#define PUBLISHER_MAX_SOCKETS 16

typedef struct Publisher Publisher;

typedef struct PublisherCounters
{
	uint64		published;		/* messages put into the buffer for the broker */
	uint64		confirmed;		/* reported with ok */
	uint64		nacked;			/* refused by the broker, reported with !ok */
	uint64		returned;		/* no queue took it, reported with !ok */
	uint64		reconnects;		/* connections after the first, and channels opened anew */
} PublisherCounters;

/*
 * The answer to one publish.  ok: the broker has it.  !ok: nacked or returned; publish it again, with a delay that
 * grows when it keeps happening (when it was returned, its queue and binding have been declared again already).
 * Called from within publisher_step() only; must not throw.  A publish whose connection ends gets no answer: see
 * publisher_epoch().
 */
typedef void (*PublisherEvent) (void *arg, const pg_uuid_t *dispatch, bool ok);

/* Lives in its own context below `parent`, which must live as long as the process (TopMemoryContext). */
extern Publisher *publisher_create(MemoryContext parent, PublisherEvent event, void *arg);

/*
 * url: amqp://user:password@host:port/vhost, percent-encoded; no or an empty vhost is "/"; whatever follows a '?' is
 * ignored.  queue_type: x-queue-type of the queues that are declared, "classic" or "quorum"; NULL or "": the broker's
 * default.  Both are copied.  Call it as often as wanted: nothing happens unless one of them has changed; then the
 * connection starts anew.  NULL or "" as url: not configured.
 */
extern void publisher_configure(Publisher *p, const char *url, const char *queue_type);

/* Connected, in confirm mode, not blocked by the broker, and one publish more fits the window and the buffer. */
extern bool publisher_ready(const Publisher *p);

/*
 * Queues one message to `queue` (1..255 bytes), declaring that first when this connection has not yet;
 * publisher_step() sends it.  False when not publisher_ready(): the caller keeps the dispatch and publishes it later.
 */
extern bool publisher_publish(Publisher *p, const pg_uuid_t *dispatch, const char *queue);

/* One word to a worker's own queue, which is not waited for: it is lost when the queue is not there, or nothing can be sent now. */
extern void publisher_tell(Publisher *p, const pg_uuid_t *worker);

/* Makes sure that the durable queue and its binding exist, now if connected, else when connected next. */
extern void publisher_declare(Publisher *p, const char *queue);

/* Moves on whatever can move without waiting: resolve, connect, log in, send, read answers.  Call it in every turn. */
extern void publisher_step(Publisher *p);

/*
 * The sockets to wait for, with WL_SOCKET_* events; returns their number, at most max.  Valid until the next call of
 * any other function here.  The sockets themselves (not the events) are the same as long as
 * publisher_wait_generation() is: a WaitEventSet must be made anew when that has changed, even if the descriptors
 * have the same numbers.
 */
extern int publisher_wait_events(Publisher *p, pgsocket *fds, uint32 *events, int max);
extern uint64 publisher_wait_generation(const Publisher *p);

/*
 * Milliseconds until it wants publisher_step() without any socket activity; 0: now; -1: never.  0 also after a step
 * that made publishing possible, so that a caller who looked before that step takes another turn.
 */
extern long publisher_timeout_ms(const Publisher *p);

/*
 * Grows when publishing becomes possible again after everything unanswered was forgotten (a new connection or
 * channel): all dispatches still queued are to be published again then.  0 until the first connection.
 */
extern uint64 publisher_epoch(const Publisher *p);

/*
 * One line for people, without secrets, valid until the next call: "connected to 127.0.0.1:5672", "connecting to …",
 * "blocked by broker: …", "not connected: <last error>, next try in N s", "bad url: …", "not configured".
 */
extern const char *publisher_state(Publisher *p);

extern const PublisherCounters *publisher_counters(const Publisher *p);

/* Publishes without an answer yet; at most, since answers come out of order. */
extern uint32 publisher_unconfirmed(const Publisher *p);

/* Sends what goes at once, closes and frees all.  Safe in on_proc_exit and in any state; p is gone afterwards. */
extern void publisher_shutdown(Publisher *p);

#endif
