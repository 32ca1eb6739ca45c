/*
 * http_internal.h: what http_server.c (all connections), http_connection.c (one, and its requests) and http_answer.c (answers)
 * share.
 */
#ifndef JOBSCHED_API_HTTP_INTERNAL_H
#define JOBSCHED_API_HTTP_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>
#include <zlib.h>

#include "http_parse.h"

enum http_state {
	HTTP_READING, /* waits for a request, or for the rest of one */
	HTTP_HANDLING, /* a handler has the request */
	HTTP_WRITING, /* the answer is complete and under way */
	HTTP_LINGERING /* answered and half closed; what the client still sends is read over, so that it gets to see the answer */
};

/*
 * A connection, with the one request that it has at a time.  The bytes in `in`:
 *
 *	head | body so far | a NUL, once the body is whole | what has arrived beyond it
 *	     ^ head.size   ^ body_end                       ^ rest                     ^ in_len
 *
 * While the request is read, `rest` is where the undecoded bytes of a chunked body begin, and else body_end.
 */
struct http_request {
	struct http_server *server;
	TAILQ_ENTRY(http_request) link;
	int fd;
	enum http_state state;
	int64_t deadline_us; /* CLOCK_BOOTTIME; 0: none */
	int64_t since_us; /* HTTP_READING: since when; who has been at it for longest makes room for others */
	struct event readable, writable;

	char *in;
	size_t in_len, in_size, body_end, rest;
	struct http_head head;
	struct http_chunks chunks;
	bool admitted; /* options.admit has been asked, and 100 Continue sent if wanted */

	struct evbuffer *out;
	bool closing; /* the connection ends with the answer */
	bool lingers; /* and then something may still come */
	bool eof; /* the client has closed its side */
	bool broken; /* nothing can be sent any more */
	bool in_loop; /* http_connection.c is at work on it: it is freed there */
	bool dead; /* to be freed */

	void (*hurry)(void *arg, enum http_hurry why);
	void *hurry_arg;
};

TAILQ_HEAD(http_requests, http_request);

struct http_server {
	struct event_base *base;
	struct http_options options;
	int64_t read_timeout_us;
	int fd; /* listens; -1 once draining */
	int port;
	struct event *acceptable, *sweep;
	bool paused; /* not accepting, for want of connections or of files */
	bool sweeping;
	int64_t warned_us; /* when the log last said that none are accepted */
	struct http_requests all;
	size_t n_all;
	size_t in_flight; /* requests in HTTP_HANDLING and HTTP_WRITING */
	void (*drained)(void *arg);
	void *drained_arg;
	char date[40]; /* of the answers, made once a second */
	int64_t date_s;
	z_stream zip; /* for gzip, made when first needed */
	bool has_zip;
};

/* http_server.c */

/* Calls drained() when it is asked for and no request is under way. */
void http_check_drained(struct http_server *server);

/* http_connection.c */

/* Takes over fd. */
void http_connection_new(struct http_server *server, int fd);
void http_connection_free(struct http_request *request);

/* Its deadline is over. */
void http_connection_time_out(struct http_request *request);

/* The server is to end: what has arrived by now is answered too; who has sent nothing has no claim. */
void http_connection_drain(struct http_request *request);

/* The answer has been written whole, or cannot be: the next request, or the end of the connection. */
void http_answered(struct http_request *request);

/* http_answer.c */

void http_on_writable(evutil_socket_t fd, short what, void *request);

/* Answers a request that no handler gets, and ends the connection. */
void http_refuse(struct http_request *request, const struct problem *problem);

/* Bytes of the answer, as far as they go now.  Sets `broken`. */
void http_flush(struct http_request *request);

void http_answer_cleanup(struct http_server *server);

#endif
