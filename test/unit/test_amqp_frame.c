/* Frames out and in again, and what a hostile or broken peer may send. */
/* sources: src/common/amqp_frame.c */
/* libs: -lrabbitmq */

#include <stdlib.h>

#include "amqp_frame.h"
#include "tap.h"

static void test_method_round_trip(amqp_pool_t *pool)
{
	uint8_t buf[256];
	struct amqp_frame frame;
	amqp_basic_ack_t ack = {.delivery_tag = 0x0102030405060708ULL, .multiple = 1}, *back;
	long n = amqp_frame_put_method(buf, sizeof(buf), 1, AMQP_BASIC_ACK_METHOD, &ack);

	is_int(n, 8 + 4 + 9, "basic.ack takes 21 bytes");
	ok(memcmp(buf, "\x01\x00\x01\x00\x00\x00\x0d\x00\x3c\x00\x50\x01\x02\x03\x04\x05\x06\x07\x08\x01\xce", 21) == 0,
	   "as the specification writes it");
	is_int(amqp_frame_parse(buf, sizeof(buf), 4096, &frame), n, "read back whole");
	is_int(frame.type, AMQP_FRAME_METHOD, "type");
	is_int(frame.channel, 1, "channel");
	is_int(frame.method, AMQP_BASIC_ACK_METHOD, "method");
	back = amqp_frame_method(&frame, pool);
	ok(back && back->delivery_tag == ack.delivery_tag && back->multiple, "tag and flag survive");

	for (long cut = 0; cut < n; cut++)
		if (amqp_frame_parse(buf, (size_t)cut, 4096, &frame) != 0)
			return (void)ok(false, "%ld of %ld bytes are not a frame yet", cut, n);
	ok(true, "no part of it is taken for a frame");
	for (size_t room = 0; room < (size_t)n; room++) {
		uint8_t *small = malloc(room + 1);
		long got = amqp_frame_put_method(small, room, 1, AMQP_BASIC_ACK_METHOD, &ack);

		free(small);
		if (got != -1)
			return (void)ok(false, "does not fit %zu bytes", room);
	}
	ok(true, "never writes past the room it has");
}

static void test_message(amqp_pool_t *pool)
{
	static const char body[] = "{\"dispatch\":\"01234567-89ab-cdef-0123-456789abcdef\"}";
	uint8_t buf[512];
	struct amqp_frame frame;
	amqp_basic_publish_t publish = {.exchange = amqp_cstring_bytes("jobsched"),
		.routing_key = amqp_cstring_bytes("jobs"), .mandatory = 1}, *method;
	amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG,
		.message_id = amqp_cstring_bytes("an id"), .delivery_mode = 1}, *header;
	uint64_t size = 0;
	long n = amqp_frame_put_message(buf, sizeof(buf), 1, &publish, &properties, body, sizeof(body) - 1), at, took;

	ok(n > 0, "a message is written");
	at = amqp_frame_parse(buf, (size_t)n, 4096, &frame);
	method = amqp_frame_method(&frame, pool);
	ok(method && method->mandatory && method->routing_key.len == 4, "first its method");
	at += amqp_frame_parse(buf + at, (size_t)(n - at), 4096, &frame);
	is_int(frame.type, AMQP_FRAME_HEADER, "then its header");
	header = amqp_frame_properties(&frame, pool, &size);
	ok(header && header->message_id.len == 5 && header->delivery_mode == 1, "with the properties");
	is_int(size, sizeof(body) - 1, "and the size of the body");
	took = amqp_frame_parse(buf + at, (size_t)(n - at), 4096, &frame);
	ok(frame.type == AMQP_FRAME_BODY && frame.size == sizeof(body) - 1 && memcmp(frame.payload, body, frame.size) == 0,
	   "then the body");
	is_int(at + took, n, "and nothing else");
	for (size_t room = 0; room < (size_t)n; room++)
		if (amqp_frame_put_message(buf, room, 1, &publish, &properties, body, sizeof(body) - 1) != -1)
			return (void)ok(false, "does not fit %zu bytes", room);
	ok(true, "all or nothing");
}

static void test_hostile(amqp_pool_t *pool)
{
	static const struct {
		const char *what, *bytes;
		size_t len;
		long want;
	} cases[] = {
		{"a heartbeat", "\x08\0\0\0\0\0\0\xce", 8, 8},
		{"an HTTP server", "HTTP/1.1 400 Bad Request\r\n", 26, -1},
		{"a server of another AMQP version", "AMQP\0\1\0\0", 8, -1},
		{"a frame over the limit", "\x01\0\0\0\0\x10\x00", 7, -1},
		{"a size of 4 GiB", "\x01\0\0\xff\xff\xff\xff", 7, -1},
		{"a wrong end mark", "\x08\0\0\0\0\0\0\xcd", 8, -1},
		{"a method without its number", "\x01\0\0\0\0\0\2\0\x0a\xce", 10, -1},
		{"nothing", "", 0, 0},
	};
	/* basic.return whose reply text claims more bytes than there are */
	static const uint8_t cut[] = "\x01\0\1\0\0\0\x08\0\x3c\0\x32\1\x38\xff" "x\xce";
	static const uint8_t unknown[] = "\x01\0\1\0\0\0\4\0\x77\0\x77\xce";
	static const uint8_t short_header[] = "\x02\0\1\0\0\0\4\0\x3c\0\0\xce";
	struct amqp_frame frame;
	uint64_t size;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(amqp_frame_parse((const uint8_t *)cases[i].bytes, cases[i].len, 4096, &frame), cases[i].want, "%s",
		       cases[i].what);
	is_int(amqp_frame_parse(cut, sizeof(cut) - 1, 4096, &frame), sizeof(cut) - 1, "a frame with a cut string inside");
	ok(amqp_frame_method(&frame, pool) == NULL, "is not decoded");
	is_int(amqp_frame_parse(unknown, sizeof(unknown) - 1, 4096, &frame), sizeof(unknown) - 1, "an unknown method");
	ok(amqp_frame_method(&frame, pool) == NULL, "is not decoded");
	ok(amqp_frame_properties(&frame, pool, &size) == NULL, "nor taken for a header");
	is_int(amqp_frame_parse(short_header, sizeof(short_header) - 1, 4096, &frame), sizeof(short_header) - 1,
	       "a header too short");
	ok(amqp_frame_properties(&frame, pool, &size) == NULL, "is not decoded");
}

/* Random changes to good frames: whatever comes, no read past the end (ASan watches). */
static void test_noise(amqp_pool_t *pool)
{
	amqp_basic_return_t returned = {.reply_code = 312, .reply_text = amqp_cstring_bytes("NO_ROUTE"),
		.exchange = amqp_cstring_bytes("jobsched"), .routing_key = amqp_cstring_bytes("jobs")};
	uint8_t good[256];
	long n = amqp_frame_put_method(good, sizeof(good), 1, AMQP_BASIC_RETURN_METHOD, &returned);
	unsigned int seed = 1;

	for (int round = 0; round < 20000; round++) {
		uint8_t *copy = malloc((size_t)n);	/* its own block, so that one byte too many is seen */
		struct amqp_frame frame;
		uint64_t size;

		memcpy(copy, good, (size_t)n);
		for (int i = 0; i < 3; i++)
			copy[(size_t)rand_r(&seed) % (size_t)n] = (uint8_t)rand_r(&seed);
		if (amqp_frame_parse(copy, (size_t)n, 4096, &frame) > 0) {
			amqp_frame_method(&frame, pool);
			amqp_frame_properties(&frame, pool, &size);
		}
		recycle_amqp_pool(pool);
		free(copy);
	}
	ok(true, "20,000 damaged frames");
}

int main(void)
{
	amqp_pool_t pool;
	uint8_t buf[8];
	char name[300] = {0};

	init_amqp_pool(&pool, 4096);
	test_method_round_trip(&pool);
	test_message(&pool);
	test_hostile(&pool);
	test_noise(&pool);
	is_int(amqp_frame_put_heartbeat(buf, 8), 8, "a heartbeat is 8 bytes");
	is_int(amqp_frame_put_heartbeat(buf, 7), -1, "and needs them");
	memset(name, 'q', 255);
	ok(amqp_frame_is_shortstr(name), "255 bytes are a short string");
	name[255] = 'q';
	ok(!amqp_frame_is_shortstr(name), "256 are not");
	empty_amqp_pool(&pool);
	return done_testing();
}
