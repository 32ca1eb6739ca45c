/*
 * teller.c: a message to the queue jobsched.worker.<id>, which the worker has declared for itself.
 */
#include "teller.h"

#include "../common/uuid.h"

#define ROOM 1024				/* more than opening the channel and the message take */

void
teller_tell(Teller *teller, AmqpLink *link, const char *exchange, const pg_uuid_t *worker)
{
	static const char body[] = "{}";
	char		id[UUID_TEXT_SIZE];
	char		queue[sizeof("jobsched.worker.") + UUID_TEXT_LEN];
	amqp_channel_open_t open = {0};
	amqp_basic_publish_t publish = {.exchange = amqp_cstring_bytes(exchange)};
	amqp_basic_properties_t properties = {
		._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_TYPE_FLAG,
		.content_type = amqp_cstring_bytes("application/json"),
		.delivery_mode = 1,
		.type = amqp_cstring_bytes("jobsched.orders"),
	};
	uint8	   *out;
	long		size;

	/* Publishing on a channel that is not open would end the connection. */
	if (!teller->open)
		teller->open = amqp_link_room(link) >= 2 * ROOM && amqp_link_method(link, TELLER_CHANNEL, AMQP_CHANNEL_OPEN_METHOD, &open);
	if (!teller->open)
		return;
	snprintf(queue, sizeof(queue), "jobsched.worker.%s", uuid_to_text(worker->data, id));
	publish.routing_key = amqp_cstring_bytes(queue);
	out = amqp_link_reserve(link, ROOM);
	if (out == NULL)
		return;
	size = amqp_frame_put_message(out, ROOM, TELLER_CHANNEL, &publish, &properties, body, sizeof(body) - 1);
	if (size > 0)
		amqp_link_commit(link, (size_t) size);
}

/* The broker may refuse what was told, and closes the channel then: the next word opens it again. */
void
teller_frame(Teller *teller, AmqpLink *link, const struct amqp_frame *frame)
{
	amqp_channel_close_ok_t ok = {0};

	if (frame->type != AMQP_FRAME_METHOD || frame->method != AMQP_CHANNEL_CLOSE_METHOD)
		return;
	amqp_link_method(link, TELLER_CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
	teller->open = false;
}
