/*
 * consumer.h: the thread that owns the connection to RabbitMQ.
 */
#ifndef JOBSCHED_WORKER_CONSUMER_H
#define JOBSCHED_WORKER_CONSUMER_H

#include <pthread.h>

#include "backoff.h"
#include "broker.h"
#include "hub.h"
#include "settings.h"

struct consumer {
	struct hub *hub;
	const struct settings *settings;
	pthread_t thread;
	struct broker_url url;
	struct broker broker;
	char listening[UUID_TEXT_SIZE];	/* whose own queue is consumed; "": nobody's */
	int64_t listen_at_us;		/* not trying that before */
	bool listen_complained;
	bool consuming;				/* basic.consume is in force for the queues */
	struct backoff backoff;
	int64_t retry_at_us;		/* no attempt to connect before */
	bool complained;
};

int consumer_start(struct consumer *c, struct hub *h, const struct settings *settings, struct error *err);

/* After the thread has ended. */
void consumer_free(struct consumer *c);

#endif
