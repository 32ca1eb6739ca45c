/*
 * teller.h: words to workers, on a channel of their own without confirms: nobody waits for them.
 */
#ifndef JOBSCHED_TELLER_H
#define JOBSCHED_TELLER_H

#include "postgres.h"

#include "utils/uuid.h"

#include "amqp_link.h"

#define TELLER_CHANNEL 2

/* Zeroed: the channel is not open; so again when the link has closed. */
typedef struct Teller
{
	bool		open;
} Teller;

/* That the worker should ask for orders; lost when its queue is not there, or there is no room. */
extern void teller_tell(Teller *teller, AmqpLink *link, const char *exchange, const pg_uuid_t *worker);

/* A frame of TELLER_CHANNEL. */
extern void teller_frame(Teller *teller, AmqpLink *link, const struct amqp_frame *frame);

#endif
