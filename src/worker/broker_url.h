/*
 * broker_url.h: RABBITMQ_URL: amqp[s]://user:password@host:port/vhost?cacertfile=...&certfile=...&keyfile=...
 *
 * The query has the names of RabbitMQ's own clients; what it holds beyond these (heartbeat, ...) is ignored.
 */
#ifndef JOBSCHED_WORKER_BROKER_URL_H
#define JOBSCHED_WORKER_BROKER_URL_H

#include <amqp.h>

#include "error.h"

struct broker_url {
	char *text;					/* the parsed copy, which everything here points into */
	struct amqp_connection_info info;
	const char *authorities;	/* file of certificates; NULL: not given */
	const char *certificate;	/* of this client, with its key; both or none */
	const char *key;
};

/* The message names RABBITMQ_URL and never shows it.  Files are looked at, too. */
int broker_url_parse(const char *url, struct broker_url *parsed, struct error *err);
void broker_url_free(struct broker_url *parsed);

/* What is given, or SSL_CERT_FILE, or the system's. */
const char *broker_url_authorities(const struct broker_url *url);

#endif
