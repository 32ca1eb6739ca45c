/*
 * outbox.c: publishes dispatches, and publishes them again.
 *
 * guard: model M_NO_UNCONFIRMED, M_NO_REPUBLISH_ON_START, M_NO_REPUBLISH_ON_RECONNECT, D_REPUBLISH_ONLY_WHEN_EMPTY
 *
 * The n-th publish of a dispatch is repeated when it was not confirmed within 5 s * 2^(n-1), or when it was confirmed
 * and nobody has claimed the dispatch within 30 s * 2^(n-1); both at most 5 minutes, and at most 2 s while a worker is
 * silent that may have the message.  What is due is known to the second (outbox_end); only new ones, refused ones and
 * those of a new connection must not wait for that.
 */
#include "outbox.h"

#include "lib/ilist.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define UNCONFIRMED_WAIT (5 * USECS_PER_SEC)
#define UNCLAIMED_WAIT (30 * USECS_PER_SEC)
#define HURRIED_WAIT (2 * USECS_PER_SEC)
#define LONGEST_WAIT (300 * USECS_PER_SEC)

typedef struct OutboxEntry
{
	pg_uuid_t	dispatch;
	int16		queue;
	bool		todo;			/* in the list of those to publish */
	uint32		seen;			/* round of outbox_begin() */
	int			publishes;		/* since it is known or the broker came back */
	bool		sent;			/* at all, by this process */
	TimestampTz sent_at;
	TimestampTz again_at;
	TimestampTz waited_from;	/* DT_NOBEGIN: not known, or its confirm has been counted */
	dlist_node	node;			/* in todo */
} OutboxEntry;

struct Outbox
{
	MemoryContext parent;
	MemoryContext context;
	HTAB	   *entries;
	dlist_head	todo;
	uint32		round;
	uint64		epoch;			/* of the publisher, when last flushed */
	Histogram	confirms;
};

static void
make_entries(Outbox *outbox)
{
	HASHCTL		ctl = {.keysize = sizeof(pg_uuid_t), .entrysize = sizeof(OutboxEntry)};

	outbox->context = AllocSetContextCreate(outbox->parent, "jobsched outbox", ALLOCSET_DEFAULT_SIZES);
	ctl.hcxt = outbox->context;
	outbox->entries = hash_create("jobsched outbox", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	dlist_init(&outbox->todo);
}

Outbox *
outbox_create(MemoryContext parent)
{
	Outbox	   *outbox = MemoryContextAllocZero(parent, sizeof(Outbox));

	outbox->parent = parent;
	make_entries(outbox);
	return outbox;
}

void
outbox_forget(Outbox *outbox)
{
	MemoryContextDelete(outbox->context);
	make_entries(outbox);
}

static void
put_todo(Outbox *outbox, OutboxEntry *entry)
{
	if (!entry->todo)
		dlist_push_tail(&outbox->todo, &entry->node);
	entry->todo = true;
}

static OutboxEntry *
enter(Outbox *outbox, const pg_uuid_t *dispatch, int16 queue)
{
	bool		found;
	OutboxEntry *entry = hash_search(outbox->entries, dispatch, HASH_ENTER, &found);

	if (!found)
	{
		memset((char *) entry + sizeof(pg_uuid_t), 0, sizeof(OutboxEntry) - sizeof(pg_uuid_t));
		entry->queue = queue;
		entry->waited_from = DT_NOBEGIN;
		entry->seen = outbox->round;
		put_todo(outbox, entry);
	}
	return entry;
}

void
outbox_add(Outbox *outbox, const pg_uuid_t *dispatch, int16 queue, TimestampTz waited_from)
{
	enter(outbox, dispatch, queue)->waited_from = waited_from;
}

static TimestampTz
wait_until(const OutboxEntry *entry, int64 first)
{
	int			doublings = Min(Max(entry->publishes - 1, 0), 10);

	return entry->sent_at + Min(first << doublings, LONGEST_WAIT);
}

void
outbox_answered(void *arg, const pg_uuid_t *dispatch, bool ok)
{
	Outbox	   *outbox = arg;
	OutboxEntry *entry = hash_search(outbox->entries, dispatch, HASH_FIND, NULL);

	/* Refused: tried again like what is unconfirmed. */
	if (entry == NULL || !ok)
		return;
	entry->again_at = wait_until(entry, UNCLAIMED_WAIT);
	if (entry->waited_from != DT_NOBEGIN)
		metrics_observe(&outbox->confirms, metrics_latency_limits, GetCurrentTimestamp() - entry->waited_from);
	entry->waited_from = DT_NOBEGIN;
}

const Histogram *
outbox_confirms(const Outbox *outbox)
{
	return &outbox->confirms;
}

static void
publish_all_again(Outbox *outbox)
{
	HASH_SEQ_STATUS scan;
	OutboxEntry *entry;

	hash_seq_init(&scan, outbox->entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		entry->publishes = 0;
		put_todo(outbox, entry);
	}
}

int
outbox_flush(Outbox *outbox, Publisher *publisher, const Queues *queues)
{
	int			again = 0;

	if (publisher_epoch(publisher) != outbox->epoch)
	{
		outbox->epoch = publisher_epoch(publisher);
		publish_all_again(outbox);
	}
	while (!dlist_is_empty(&outbox->todo) && publisher_ready(publisher))
	{
		OutboxEntry *entry = dlist_container(OutboxEntry, node, dlist_head_node(&outbox->todo));
		const Queue *queue = queues_find(queues, entry->queue);

		/* A queue that is gone: what is left of its dispatches is forgotten at the next reading. */
		if (queue != NULL && !publisher_publish(publisher, &entry->dispatch, queue->name))
			break;
		dlist_delete(&entry->node);
		entry->todo = false;
		if (entry->sent)
			again++;
		entry->sent = true;
		entry->publishes++;
		entry->sent_at = GetCurrentTimestamp();
		entry->again_at = wait_until(entry, UNCONFIRMED_WAIT);
	}
	return again;
}

void
outbox_begin(Outbox *outbox)
{
	outbox->round++;
}

void
outbox_seen(Outbox *outbox, const pg_uuid_t *dispatch, int16 queue)
{
	enter(outbox, dispatch, queue)->seen = outbox->round;
}

void
outbox_end(Outbox *outbox, TimestampTz now, bool hurry)
{
	HASH_SEQ_STATUS scan;
	OutboxEntry *entry;

	hash_seq_init(&scan, outbox->entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->seen != outbox->round)
		{
			if (entry->todo)
				dlist_delete(&entry->node);
			hash_search(outbox->entries, &entry->dispatch, HASH_REMOVE, NULL);
		}
		else if (!entry->todo && (entry->again_at <= now || (hurry && entry->sent_at + HURRIED_WAIT <= now)))
			put_todo(outbox, entry);
	}
}
