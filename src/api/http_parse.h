/*
 * http_parse.h: read HTTP/1.1 requests (RFC 9112), strictly and without I/O.
 *
 * What two parsers could understand differently is refused, not guessed: bare CR or LF, NUL and other control characters,
 * folded headers, blanks before a colon, a length that is given twice, is none, or stands beside chunks, no Host or two.
 *
 * Everything is read in place: texts become NUL-terminated where they stand, and are named by their offset, because the
 * buffer may move while more arrives.
 */
#ifndef JOBSCHED_API_HTTP_PARSE_H
#define JOBSCHED_API_HTTP_PARSE_H

#include "http.h"
#include "problem.h"

#define HTTP_MAX_LINE 8192 /* bytes of the request line */
#define HTTP_MAX_FIELDS 100 /* header lines */

#define HTTP_CHUNKED (-1)

enum http_parsed {
	HTTP_MORE, /* needs bytes that are not there yet */
	HTTP_DONE,
	HTTP_BAD /* *problem says what to answer; the connection is to be closed */
};

/* The request line and the headers.  All zero but the fields before the first byte. */
struct http_head {
	enum http_method method; /* 0: the request line has not been read */
	bool http10;
	bool keep_alive; /* the client would like to go on */
	bool expects_continue;
	uint32_t path, query, host; /* offsets; host is 0 when there is none */
	int64_t length; /* of the body, or HTTP_CHUNKED */
	size_t size; /* of the head, once it is whole */
	uint32_t n_fields;

	/* For http_head_read() */
	size_t line, seen; /* where the line begins that is being read, and how far it has been looked at */
	unsigned blank_lines, hosts, lengths, encodings;
	bool absolute, closes, stays;

	struct http_field {
		uint32_t name, value;
	} fields[HTTP_MAX_FIELDS]; /* last: need not be zero */
};

/*
 * bytes[0..len) is all that has arrived since the last request's end; what was there at the call before must be the same.
 * HTTP_DONE: head->size bytes were the head.
 */
enum http_parsed http_head_read(
        struct http_head *head, char *bytes, size_t len, size_t max_header, struct problem *problem);

/* The value of a header, NULL when it was not sent; of several the first. */
const char *http_head_field(const struct http_head *head, const char *bytes, const char *name);

/* A body in chunks.  All zero before the first byte. */
struct http_chunks {
	int state;
	int64_t left; /* of the chunk */
	unsigned digits; /* of its size */
	size_t extra; /* bytes of extensions and trailers so far */
};

/*
 * Takes up to len bytes at `raw`, and appends what of them is body at body + *body_len, which may overlap them from below.
 * *used is how many were taken: all, except when HTTP_DONE.
 */
enum http_parsed http_chunks_read(struct http_chunks *chunks, const char *raw, size_t len, size_t *used, char *body,
        size_t *body_len, size_t max_body, struct problem *problem);

/* The 413 for a body of so many bytes, or of more than are allowed when size is negative; always returns HTTP_BAD. */
enum http_parsed http_body_too_large(int64_t size, size_t max_body, struct problem *problem);

#endif
