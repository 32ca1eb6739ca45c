/*
 * amqp_frame.h: AMQP 0-9-1 frames to and from memory, without any I/O.
 *
 * A frame is type (1 byte), channel (2), payload size (4), payload, end mark 0xCE.  Payloads of methods and
 * properties are coded by rabbitmq-c (amqp_framing.h has a struct for each); this adds the frames around them, for
 * programs that own their socket and must never wait in a library.
 */
#ifndef JOBSCHED_AMQP_FRAME_H
#define JOBSCHED_AMQP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <amqp.h>
#include <amqp_framing.h>

/* Bytes around a payload. */
#define AMQP_FRAME_OVERHEAD 8

/* What a client sends first: "AMQP" 0 0 9 1. */
#define AMQP_FRAME_GREETING "AMQP\0\0\x09\x01"
#define AMQP_FRAME_GREETING_SIZE 8

/* One received frame; payload points into the buffer that was parsed. */
struct amqp_frame {
	uint8_t type;			/* AMQP_FRAME_METHOD, _HEADER, _BODY or _HEARTBEAT */
	uint16_t channel;
	const uint8_t *payload;
	size_t size;			/* of payload */
	amqp_method_number_t method;	/* class << 16 | method; 0 unless type is AMQP_FRAME_METHOD */
};

/*
 * The first frame in `len` bytes at `in`.  Returns the bytes it takes, 0 when it has not arrived whole, -1 when this
 * is no AMQP frame or one of more than `frame_max` bytes (overhead included).
 */
long amqp_frame_parse(const uint8_t *in, size_t len, size_t frame_max, struct amqp_frame *frame);

/*
 * The method's struct, in memory of `pool`, its strings pointing into the frame; NULL when it is not a (known,
 * complete) method.
 */
void *amqp_frame_method(const struct amqp_frame *frame, amqp_pool_t *pool);

/*
 * The properties in a header frame of class basic, as above, and the size of the body that follows; NULL when
 * malformed.
 */
amqp_basic_properties_t *amqp_frame_properties(const struct amqp_frame *frame, amqp_pool_t *pool, uint64_t *body_size);

/* Each writes one frame and returns its bytes, or -1 when it needs more than `size`. */
long amqp_frame_put_method(uint8_t *out, size_t size, uint16_t channel, amqp_method_number_t id, void *method);
long amqp_frame_put_header(uint8_t *out, size_t size, uint16_t channel, uint64_t body_size,
			   amqp_basic_properties_t *properties);
long amqp_frame_put_body(uint8_t *out, size_t size, uint16_t channel, const void *body, size_t len);
long amqp_frame_put_heartbeat(uint8_t *out, size_t size);

/*
 * A whole message: basic.publish, header and one body frame (len must fit the negotiated frame_max).  All or nothing:
 * returns the bytes, or -1 when they are more than `size`.
 */
long amqp_frame_put_message(uint8_t *out, size_t size, uint16_t channel, amqp_basic_publish_t *publish,
			    amqp_basic_properties_t *properties, const void *body, size_t len);

/* true when the NUL-terminated text can be an AMQP short string: at most 255 bytes. */
bool amqp_frame_is_shortstr(const char *text);

#endif
