/*
 * broker.h: one connection to RabbitMQ, for consuming.
 *
 * Belongs to one thread.  Every call is limited in time, except the sending of acknowledgements, which the AMQP
 * heartbeat bounds.  After a failure the connection is of no use: broker_close.
 */
#ifndef JOBSCHED_WORKER_BROKER_H
#define JOBSCHED_WORKER_BROKER_H

#include <amqp.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker_url.h"
#include "error.h"

#define BROKER_EXCHANGE		"jobsched"
#define BROKER_HEARTBEAT	10			/* seconds; after two without a sign the broker delivers to others */

struct broker {
	amqp_connection_state_t conn;	/* NULL: not connected */
	bool listening;				/* the channel of broker_listen is open */
};

enum broker_event {
	BROKER_NOTHING,				/* no more to read now */
	BROKER_DELIVERY,
	BROKER_CANCELLED,			/* the broker ended a consumer (its queue was deleted) */
	BROKER_WORD,				/* something came to the queue of broker_listen */
	BROKER_DEAF,				/* that queue was deleted */
	BROKER_OTHER,				/* something that means nothing here */
	BROKER_LOST
};

struct broker_delivery {
	uint64_t tag;
	int queue;					/* number, as given to broker_consume */
	amqp_envelope_t envelope;	/* amqp_destroy_envelope */
};

/* Connects, logs in, opens the channel, declares the exchange. */
int broker_open(struct broker *b, const struct broker_url *url, int prefetch, struct error *err);

/* polite: closes the connection as AMQP wants it, which may take a second; else the socket just closes. */
void broker_close(struct broker *b, bool polite);

/* Declares the queue when it is absent, binds it, consumes it under the number. */
int broker_consume(struct broker *b, const char *queue, int number, struct error *err);
int broker_cancel(struct broker *b, int number, struct error *err);

/*
 * Makes the queue that belongs to this connection alone, bound under its name, and consumes it; one that was made so
 * before goes.  1: done; 0: the broker refuses (the message says why), the connection goes on; -1: failure.
 */
int broker_listen(struct broker *b, const char *queue, struct error *err);

/* Reads one event without waiting.  BROKER_CANCELLED: d->queue is the number. */
enum broker_event broker_read(struct broker *b, struct broker_delivery *d, struct error *err);

/* What has been read from the socket already is not seen by poll. */
bool broker_has_buffered(const struct broker *b);
int broker_socket(const struct broker *b);

int broker_ack(struct broker *b, uint64_t tag, bool and_all_before, struct error *err);
int broker_give_back(struct broker *b, uint64_t tag, struct error *err);
int broker_discard(struct broker *b, uint64_t tag, struct error *err);

#endif
