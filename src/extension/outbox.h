/*
 * outbox.h: the queued dispatches that this scheduler answers for, and when each is to be published (again).
 *
 * Confirms are remembered here and nowhere else: after a start, or when the broker was away, everything is published
 * again, and the guard of claim drops the duplicates.
 */
#ifndef JOBSCHED_OUTBOX_H
#define JOBSCHED_OUTBOX_H

#include "jobsched.h"

#include "utils/uuid.h"

#include "metrics.h"
#include "publisher.h"
#include "queues.h"

typedef struct Outbox Outbox;

/* The publisher is made, and given the URL, by the caller; events of it come to outbox_answered(). */
extern Outbox *outbox_create(MemoryContext parent);

/*
 * A dispatch was inserted and has committed, or was found in the table: it is published as soon as possible.  waited_from: since when
 * its first run was waited for.
 */
extern void outbox_add(Outbox *outbox, const pg_uuid_t *dispatch, int16 queue, TimestampTz waited_from);

/* PublisherEvent, with the outbox as arg. */
extern void outbox_answered(void *outbox, const pg_uuid_t *dispatch, bool ok);

/* Publishes what is due, as far as the publisher takes it.  Returns how many messages had been sent before. */
extern int	outbox_flush(Outbox *outbox, Publisher *publisher, const Queues *queues);

/*
 * The dispatches that are 'queued' now, one outbox_seen() each between begin and end: others are forgotten, unknown
 * ones added, and those that have waited long are made due.  now: when the reading began; hurry: a worker is silent that
 * may hold messages.
 */
extern void outbox_begin(Outbox *outbox);
extern void outbox_seen(Outbox *outbox, const pg_uuid_t *dispatch, int16 queue);
extern void outbox_end(Outbox *outbox, TimestampTz now, bool hurry);

extern void outbox_forget(Outbox *outbox);

/* How long it took until first publishes were confirmed. */
extern const Histogram *outbox_confirms(const Outbox *outbox);

#endif
