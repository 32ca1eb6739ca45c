/*
 * broker.c: one connection to RabbitMQ, for consuming, through rabbitmq-c.
 */
#include "broker.h"

#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "version.h"

#define CHANNEL		1		/* consumes */
#define PROBE		2		/* asks whether a queue exists: the broker closes the channel when it does not */
#define WORDS		3		/* the worker's own queue */

static const struct timeval connect_limit = { .tv_sec = 5 };
static const struct timeval call_limit = { .tv_sec = 10 };

/* 0 when the reply is good; else the message says why. */
static int
check(amqp_rpc_reply_t reply, const char *what, struct error *err)
{
	switch (reply.reply_type) {
	case AMQP_RESPONSE_NORMAL:
		return 0;
	case AMQP_RESPONSE_NONE:
		return error_set(err, "%s: no reply", what);
	case AMQP_RESPONSE_LIBRARY_EXCEPTION:
		return error_set(err, "%s: %s", what, amqp_error_string2(reply.library_error));
	case AMQP_RESPONSE_SERVER_EXCEPTION:
		break;
	}
	if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
		const amqp_connection_close_t *m = reply.reply.decoded;

		return error_set(err, "%s: %d %.*s", what, m->reply_code, (int) m->reply_text.len,
						 (const char *) m->reply_text.bytes);
	}
	if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
		const amqp_channel_close_t *m = reply.reply.decoded;

		return error_set(err, "%s: %d %.*s", what, m->reply_code, (int) m->reply_text.len,
						 (const char *) m->reply_text.bytes);
	}
	return error_set(err, "%s: unexpected method 0x%08x", what, reply.reply.id);
}

static int
log_in(struct broker *b, const struct broker_url *url, struct error *err)
{
	amqp_table_entry_t capabilities[] = {
		{ .key = amqp_cstring_bytes("consumer_cancel_notify"),
		  .value = { .kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1 } },
		{ .key = amqp_cstring_bytes("connection.blocked"),
		  .value = { .kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1 } },
		{ .key = amqp_cstring_bytes("basic.nack"), .value = { .kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1 } },
	};
	amqp_table_entry_t properties[] = {
		{ .key = amqp_cstring_bytes("capabilities"),
		  .value = { .kind = AMQP_FIELD_KIND_TABLE,
					 .value.table = { .num_entries = sizeof(capabilities) / sizeof(capabilities[0]),
									  .entries = capabilities } } },
		{ .key = amqp_cstring_bytes("connection_name"),
		  .value = { .kind = AMQP_FIELD_KIND_UTF8,
					 .value.bytes = amqp_cstring_bytes("jobsched-worker " JOBSCHED_VERSION) } },
	};
	amqp_table_t table = { .num_entries = sizeof(properties) / sizeof(properties[0]), .entries = properties };

	return check(amqp_login_with_properties(b->conn, url->info.vhost, 0, 131072, BROKER_HEARTBEAT, &table,
											AMQP_SASL_METHOD_PLAIN, url->info.user, url->info.password),
				 "login", err);
}

/*
 * amqps: the broker must show a certificate of one of the authorities, made for the host in the URL; both checks are
 * rabbitmq-c's default, and are asked for all the same.
 */
static amqp_socket_t *
new_socket(struct broker *b, const struct broker_url *url, struct error *err)
{
	amqp_socket_t *socket = url->info.ssl ? amqp_ssl_socket_new(b->conn) : amqp_tcp_socket_new(b->conn);
	const char *authorities = broker_url_authorities(url);

	if (!socket) {
		error_set(err, "out of memory");
		return NULL;
	}
	if (!url->info.ssl)
		return socket;
	amqp_ssl_socket_set_verify_peer(socket, 1);
	amqp_ssl_socket_set_verify_hostname(socket, 1);
	/* On failure the connection owns the socket. */
	if (amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST) != AMQP_STATUS_OK) {
		error_set(err, "amqps: TLS 1.2 is not available");
		return NULL;
	}
	if (amqp_ssl_socket_set_cacert(socket, authorities) != AMQP_STATUS_OK) {
		error_set(err, "amqps: certificates of authorities cannot be read from %s", authorities);
		return NULL;
	}
	if (url->certificate && amqp_ssl_socket_set_key(socket, url->certificate, url->key) != AMQP_STATUS_OK) {
		error_set(err, "amqps: certificate %s and key %s cannot be read, or do not belong together", url->certificate,
				  url->key);
		return NULL;
	}
	return socket;
}

int
broker_open(struct broker *b, const struct broker_url *url, int prefetch, struct error *err)
{
	struct timeval limit = connect_limit;
	amqp_socket_t *socket;
	int status;

	b->conn = amqp_new_connection();
	if (!b->conn)
		return error_set(err, "out of memory");
	socket = new_socket(b, url, err);
	if (!socket)
		goto failed;
	amqp_set_handshake_timeout(b->conn, &call_limit);
	amqp_set_rpc_timeout(b->conn, &call_limit);
	status = amqp_socket_open_noblock(socket, url->info.host, url->info.port, &limit);
	if (status != AMQP_STATUS_OK) {
		error_set(err, "connect to %s:%d: %s", url->info.host, url->info.port, amqp_error_string2(status));
		goto failed;
	}
	if (log_in(b, url, err) < 0)
		goto failed;
	amqp_channel_open(b->conn, CHANNEL);
	if (check(amqp_get_rpc_reply(b->conn), "open channel", err) < 0)
		goto failed;
	amqp_basic_qos(b->conn, CHANNEL, 0, (uint16_t) prefetch, 0);
	if (check(amqp_get_rpc_reply(b->conn), "set prefetch", err) < 0)
		goto failed;
	amqp_exchange_declare(b->conn, CHANNEL, amqp_cstring_bytes(BROKER_EXCHANGE), amqp_cstring_bytes("direct"), 0, 1,
						  0, 0, amqp_empty_table);
	if (check(amqp_get_rpc_reply(b->conn), "declare exchange " BROKER_EXCHANGE, err) < 0)
		goto failed;
	return 0;

failed:
	broker_close(b, false);
	return -1;
}

void
broker_close(struct broker *b, bool polite)
{
	struct timeval limit = { .tv_sec = 1 };

	if (!b->conn)
		return;
	if (polite) {
		amqp_set_rpc_timeout(b->conn, &limit);
		amqp_connection_close(b->conn, AMQP_REPLY_SUCCESS);
	}
	amqp_destroy_connection(b->conn);
	b->conn = NULL;
	b->listening = false;
}

/* The broker has closed the channel, which is answered; the connection goes on.  False: it does not. */
static bool
channel_was_closed(struct broker *b, amqp_channel_t channel, const amqp_rpc_reply_t *reply)
{
	amqp_channel_close_ok_t ok = { 0 };

	return reply->reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply->reply.id == AMQP_CHANNEL_CLOSE_METHOD
		&& amqp_send_method(b->conn, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok) == AMQP_STATUS_OK;
}

/*
 * Whoever declares a queue must give the arguments it was made with, and its type is the scheduler's affair: so it is
 * asked for first, and made only when it is absent.  1: it exists, 0: it does not, -1: failure.
 */
static int
queue_exists(struct broker *b, const char *queue, struct error *err)
{
	amqp_rpc_reply_t reply;

	amqp_channel_open(b->conn, PROBE);
	if (check(amqp_get_rpc_reply(b->conn), "open channel", err) < 0)
		return -1;
	amqp_queue_declare(b->conn, PROBE, amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table);
	reply = amqp_get_rpc_reply(b->conn);
	if (reply.reply_type == AMQP_RESPONSE_NORMAL)
		return check(amqp_channel_close(b->conn, PROBE, AMQP_REPLY_SUCCESS), "close channel", err) < 0 ? -1 : 1;
	if (!channel_was_closed(b, PROBE, &reply))
		return check(reply, queue, err);
	if (((const amqp_channel_close_t *) reply.reply.decoded)->reply_code == AMQP_NOT_FOUND)
		return 0;
	return check(reply, queue, err);
}

/* The consumer's tag is the queue's number. */
static amqp_bytes_t
consumer_tag(int number, char buf[16])
{
	snprintf(buf, 16, "q%d", number);
	return amqp_cstring_bytes(buf);
}

static int
queue_number(amqp_bytes_t tag)
{
	char text[16] = "";

	if (tag.len < 2 || tag.len >= sizeof(text))
		return -1;
	memcpy(text, tag.bytes, tag.len);
	return atoi(text + 1);
}

int
broker_consume(struct broker *b, const char *queue, int number, struct error *err)
{
	amqp_bytes_t name = amqp_cstring_bytes(queue);
	char tag[16];
	int exists = queue_exists(b, queue, err);

	if (exists < 0)
		return -1;
	if (!exists) {
		amqp_queue_declare(b->conn, CHANNEL, name, 0, 1, 0, 0, amqp_empty_table);
		if (check(amqp_get_rpc_reply(b->conn), queue, err) < 0)
			return -1;
	}
	amqp_queue_bind(b->conn, CHANNEL, name, amqp_cstring_bytes(BROKER_EXCHANGE), name, amqp_empty_table);
	if (check(amqp_get_rpc_reply(b->conn), queue, err) < 0)
		return -1;
	amqp_basic_consume(b->conn, CHANNEL, name, consumer_tag(number, tag), 0, 0, 0, amqp_empty_table);
	return check(amqp_get_rpc_reply(b->conn), queue, err);
}

int
broker_cancel(struct broker *b, int number, struct error *err)
{
	char tag[16];

	amqp_basic_cancel(b->conn, CHANNEL, consumer_tag(number, tag));
	return check(amqp_get_rpc_reply(b->conn), "cancel consumer", err);
}

int
broker_listen(struct broker *b, const char *queue, struct error *err)
{
	amqp_bytes_t name = amqp_cstring_bytes(queue);
	amqp_rpc_reply_t reply;

	if (b->listening && check(amqp_channel_close(b->conn, WORDS, AMQP_REPLY_SUCCESS), "close channel", err) < 0)
		return -1;
	b->listening = false;
	amqp_channel_open(b->conn, WORDS);
	if (check(amqp_get_rpc_reply(b->conn), "open channel", err) < 0)
		return -1;
	amqp_queue_declare(b->conn, WORDS, name, 0, 0, 1, 1, amqp_empty_table);
	reply = amqp_get_rpc_reply(b->conn);
	if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
		amqp_queue_bind(b->conn, WORDS, name, amqp_cstring_bytes(BROKER_EXCHANGE), name, amqp_empty_table);
		reply = amqp_get_rpc_reply(b->conn);
	}
	if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
		amqp_basic_consume(b->conn, WORDS, name, amqp_cstring_bytes("words"), 0, 1, 1, amqp_empty_table);
		reply = amqp_get_rpc_reply(b->conn);
	}
	b->listening = check(reply, queue, err) == 0;
	if (b->listening)
		return 1;
	return channel_was_closed(b, WORDS, &reply) ? 0 : -1;
}

/* What came was not a delivery. */
static enum broker_event
read_method(struct broker *b, struct broker_delivery *d, struct error *err)
{
	struct timeval now = { 0 };
	amqp_frame_t frame;
	int status = amqp_simple_wait_frame_noblock(b->conn, &frame, &now);
	amqp_rpc_reply_t reply = { .reply_type = AMQP_RESPONSE_SERVER_EXCEPTION };

	if (status == AMQP_STATUS_TIMEOUT)
		return BROKER_NOTHING;
	if (status != AMQP_STATUS_OK) {
		error_set(err, "%s", amqp_error_string2(status));
		return BROKER_LOST;
	}
	if (frame.frame_type != AMQP_FRAME_METHOD)
		return BROKER_OTHER;
	switch (frame.payload.method.id) {
	case AMQP_BASIC_CANCEL_METHOD:
		if (frame.channel == WORDS)
			return BROKER_DEAF;
		d->queue = queue_number(((const amqp_basic_cancel_t *) frame.payload.method.decoded)->consumer_tag);
		return BROKER_CANCELLED;
	case AMQP_CHANNEL_CLOSE_METHOD:
	case AMQP_CONNECTION_CLOSE_METHOD:
		reply.reply = frame.payload.method;
		check(reply, "closed by the broker", err);
		return BROKER_LOST;
	default:
		return BROKER_OTHER;	/* such as connection.blocked, which concerns publishers */
	}
}

enum broker_event
broker_read(struct broker *b, struct broker_delivery *d, struct error *err)
{
	struct timeval now = { 0 };
	amqp_rpc_reply_t reply;

	amqp_maybe_release_buffers(b->conn);
	reply = amqp_consume_message(b->conn, &d->envelope, &now, 0);
	if (reply.reply_type == AMQP_RESPONSE_NORMAL && d->envelope.channel == WORDS) {
		amqp_destroy_envelope(&d->envelope);
		return BROKER_WORD;
	}
	if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
		d->tag = d->envelope.delivery_tag;
		d->queue = queue_number(d->envelope.consumer_tag);
		return BROKER_DELIVERY;
	}
	if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION && reply.library_error == AMQP_STATUS_TIMEOUT)
		return BROKER_NOTHING;
	if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION && reply.library_error == AMQP_STATUS_UNEXPECTED_STATE)
		return read_method(b, d, err);
	check(reply, "read", err);
	return BROKER_LOST;
}

bool
broker_has_buffered(const struct broker *b)
{
	return amqp_frames_enqueued(b->conn) || amqp_data_in_buffer(b->conn);
}

int
broker_socket(const struct broker *b)
{
	return amqp_get_sockfd(b->conn);
}

static int
sent(int status, const char *what, struct error *err)
{
	return status == AMQP_STATUS_OK ? 0 : error_set(err, "%s: %s", what, amqp_error_string2(status));
}

int
broker_ack(struct broker *b, uint64_t tag, bool and_all_before, struct error *err)
{
	return sent(amqp_basic_ack(b->conn, CHANNEL, tag, and_all_before), "acknowledge", err);
}

int
broker_give_back(struct broker *b, uint64_t tag, struct error *err)
{
	return sent(amqp_basic_reject(b->conn, CHANNEL, tag, 1), "requeue", err);
}

int
broker_discard(struct broker *b, uint64_t tag, struct error *err)
{
	return sent(amqp_basic_reject(b->conn, CHANNEL, tag, 0), "reject", err);
}
