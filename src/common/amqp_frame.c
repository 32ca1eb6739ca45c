/*
 * amqp_frame.c: AMQP 0-9-1 frames to and from memory, without any I/O.
 */
#include "amqp_frame.h"

#include <string.h>

#define HEAD_SIZE 7		/* type, channel, payload size */

static uint8_t *put_u16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
	return at + 2;
}

static uint8_t *put_u32(uint8_t *at, uint32_t v)
{
	return put_u16(put_u16(at, (uint16_t)(v >> 16)), (uint16_t)v);
}

static uint32_t get_u16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get_u32(const uint8_t *at)
{
	return get_u16(at) << 16 | get_u16(at + 2);
}

static amqp_bytes_t bytes_of(const uint8_t *at, size_t len)
{
	/* amqp_bytes_t has no const form; the decoders only read */
	return (amqp_bytes_t){.len = len, .bytes = (void *)(uintptr_t)at};
}

/* Puts head and end mark around a payload that already stands in its place. */
static long close_frame(uint8_t *out, uint8_t type, uint16_t channel, size_t payload)
{
	out[0] = type;
	put_u32(put_u16(out + 1, channel), (uint32_t)payload);
	out[HEAD_SIZE + payload] = AMQP_FRAME_END;
	return (long)(payload + AMQP_FRAME_OVERHEAD);
}

long amqp_frame_parse(const uint8_t *in, size_t len, size_t frame_max, struct amqp_frame *frame)
{
	size_t size;

	if (len == 0)
		return 0;
	/* refuse at the first byte what does not speak AMQP: its "size" would make us wait for ever */
	if (in[0] != AMQP_FRAME_METHOD && in[0] != AMQP_FRAME_HEADER && in[0] != AMQP_FRAME_BODY &&
	    in[0] != AMQP_FRAME_HEARTBEAT)
		return -1;
	if (len < HEAD_SIZE)
		return 0;
	size = get_u32(in + 3);
	if (size > frame_max || size + AMQP_FRAME_OVERHEAD > frame_max)
		return -1;
	if (len < size + AMQP_FRAME_OVERHEAD)
		return 0;
	if (in[HEAD_SIZE + size] != AMQP_FRAME_END || (in[0] == AMQP_FRAME_METHOD && size < 4))
		return -1;

	frame->type = in[0];
	frame->channel = (uint16_t)get_u16(in + 1);
	frame->payload = in + HEAD_SIZE;
	frame->size = size;
	frame->method = in[0] == AMQP_FRAME_METHOD ? get_u32(frame->payload) : 0;
	return (long)(size + AMQP_FRAME_OVERHEAD);
}

void *amqp_frame_method(const struct amqp_frame *frame, amqp_pool_t *pool)
{
	void *decoded = NULL;

	if (frame->type != AMQP_FRAME_METHOD)
		return NULL;
	if (amqp_decode_method(frame->method, pool, bytes_of(frame->payload + 4, frame->size - 4), &decoded) < 0)
		return NULL;
	return decoded;
}

amqp_basic_properties_t *amqp_frame_properties(const struct amqp_frame *frame, amqp_pool_t *pool, uint64_t *body_size)
{
	void *decoded = NULL;

	if (frame->type != AMQP_FRAME_HEADER || frame->size < 12 || get_u16(frame->payload) != AMQP_BASIC_CLASS)
		return NULL;
	if (amqp_decode_properties(AMQP_BASIC_CLASS, pool, bytes_of(frame->payload + 12, frame->size - 12), &decoded) < 0)
		return NULL;
	*body_size = (uint64_t)get_u32(frame->payload + 4) << 32 | get_u32(frame->payload + 8);
	return decoded;
}

long amqp_frame_put_method(uint8_t *out, size_t size, uint16_t channel, amqp_method_number_t id, void *method)
{
	int n;

	if (size < AMQP_FRAME_OVERHEAD + 4)
		return -1;
	n = amqp_encode_method(id, method, bytes_of(out + HEAD_SIZE + 4, size - AMQP_FRAME_OVERHEAD - 4));
	if (n < 0)
		return -1;
	put_u32(out + HEAD_SIZE, id);
	return close_frame(out, AMQP_FRAME_METHOD, channel, (size_t)n + 4);
}

long amqp_frame_put_header(uint8_t *out, size_t size, uint16_t channel, uint64_t body_size,
			   amqp_basic_properties_t *properties)
{
	uint8_t *at = out + HEAD_SIZE;
	int n;

	if (size < AMQP_FRAME_OVERHEAD + 12)
		return -1;
	n = amqp_encode_properties(AMQP_BASIC_CLASS, properties, bytes_of(at + 12, size - AMQP_FRAME_OVERHEAD - 12));
	if (n < 0)
		return -1;
	at = put_u16(at, AMQP_BASIC_CLASS);
	at = put_u16(at, 0);	/* weight, unused */
	at = put_u32(at, (uint32_t)(body_size >> 32));
	put_u32(at, (uint32_t)body_size);
	return close_frame(out, AMQP_FRAME_HEADER, channel, (size_t)n + 12);
}

long amqp_frame_put_body(uint8_t *out, size_t size, uint16_t channel, const void *body, size_t len)
{
	if (size < AMQP_FRAME_OVERHEAD || size - AMQP_FRAME_OVERHEAD < len)
		return -1;
	memcpy(out + HEAD_SIZE, body, len);
	return close_frame(out, AMQP_FRAME_BODY, channel, len);
}

long amqp_frame_put_heartbeat(uint8_t *out, size_t size)
{
	if (size < AMQP_FRAME_OVERHEAD)
		return -1;
	return close_frame(out, AMQP_FRAME_HEARTBEAT, 0, 0);
}

long amqp_frame_put_message(uint8_t *out, size_t size, uint16_t channel, amqp_basic_publish_t *publish,
			    amqp_basic_properties_t *properties, const void *body, size_t len)
{
	long method, header, content;

	method = amqp_frame_put_method(out, size, channel, AMQP_BASIC_PUBLISH_METHOD, publish);
	if (method < 0)
		return -1;
	header = amqp_frame_put_header(out + method, size - (size_t)method, channel, len, properties);
	if (header < 0)
		return -1;
	content = amqp_frame_put_body(out + method + header, size - (size_t)(method + header), channel, body, len);
	if (content < 0)
		return -1;
	return method + header + content;
}

bool amqp_frame_is_shortstr(const char *text)
{
	return strnlen(text, 256) <= 255;
}
