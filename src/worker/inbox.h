/*
 * inbox.h: deliveries from RabbitMQ between their arrival and their settlement.
 *
 *	consumer: inbox_put ──► waiting ──inbox_take──► claiming ──inbox_settle──► settled ──inbox_verdicts──► consumer
 *	                           └───────────────── inbox_give_back ────────────────┘
 *
 * A delivery tag means something only on the connection that it came on: every delivery carries the number of its
 * connection, and verdicts on those of a dead connection are thrown away (the broker delivers again by itself).
 * All functions are called with the hub's lock held.
 */
#ifndef JOBSCHED_WORKER_INBOX_H
#define JOBSCHED_WORKER_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uuid.h"

struct delivery {
	char dispatch[UUID_TEXT_SIZE];
	uint64_t tag;
	unsigned connection;		/* number of the AMQP connection */
	bool requeue;				/* verdict: give back instead of acknowledge */
	int64_t since_us;			/* arrival, clock_boottime_us() */
	struct delivery *next;
};

struct delivery_list {
	struct delivery *head, **tail;
	int n;
};

struct inbox {
	struct delivery_list waiting;	/* oldest first */
	struct delivery_list claiming;	/* in a claim that is not answered yet */
	char token[UUID_TEXT_SIZE];		/* of that claim */
	struct delivery_list settled;	/* to be acknowledged or requeued */
	struct delivery_list spare;		/* for reuse */
	unsigned connection;			/* number of the current AMQP connection */
	bool paused;					/* the consumer has stopped consuming until work is wanted */
};

void inbox_init(struct inbox *in);
void inbox_free(struct inbox *in);

/* A new AMQP connection: what waits is from the old one, and is forgotten. */
void inbox_new_connection(struct inbox *in);

/* false: out of memory. */
bool inbox_put(struct inbox *in, const char *dispatch, uint64_t tag, int64_t now_us);

/* Moves the oldest `max` to claiming under a new token, each dispatch once.  Returns their number. */
int inbox_take(struct inbox *in, int max);

/* The claim is answered: acknowledge. */
void inbox_settle(struct inbox *in);

/* The claim did not happen: what was claiming waits again, at the front. */
void inbox_put_back(struct inbox *in);

/* Requeues what was claiming: whether it is claimed is not known, and in a name that is not used any more. */
void inbox_abandon(struct inbox *in);

/* Requeues what waits. */
void inbox_give_back(struct inbox *in);

/* All settled deliveries of the current connection, by tag; the caller gives them back with inbox_recycle. */
struct delivery *inbox_verdicts(struct inbox *in);
void inbox_recycle(struct inbox *in, struct delivery *list);

/* Lowest tag of the current connection that is not settled, or UINT64_MAX. */
uint64_t inbox_lowest_open(const struct inbox *in);

#endif
