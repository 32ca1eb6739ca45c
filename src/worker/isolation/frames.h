/*
 * frames.h: messages with a type and a size over a stream socket.
 *
 * No call waits by itself: when the socket is not ready, the caller's `wait` is asked, which polls it together with
 * whatever else may happen.
 */
#ifndef JOBSCHED_WORKER_ISOLATION_FRAMES_H
#define JOBSCHED_WORKER_ISOLATION_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct frames {
	int fd;
	size_t max; /* bytes of the largest frame that is accepted */
	/* Waits until fd may be ready for `events` of poll(2); false: give up. */
	bool (*wait)(void *arg, short events);
	void *arg;

	char *buf;
	size_t start, end, room; /* what has come and was not looked at */
};

/* A frame that came: data are valid until the next call. */
struct frame {
	uint32_t type;
	uint32_t size;
	char *data;
};

void frames_open(struct frames *f, int fd, size_t max, bool (*wait)(void *arg, short events), void *arg);
void frames_free(struct frames *f); /* fd stays open */

/* One frame of n parts, at most FRAMES_PARTS; returns 0, or -1 when the other side has gone or `wait` gave up. */
#define FRAMES_PARTS 3
int frames_send(struct frames *f, uint32_t type, const struct iovec *parts, int n);

enum frames_state {
	FRAMES_ONE, /* there is one */
	FRAMES_NONE, /* not yet */
	FRAMES_END, /* the other side has closed */
	FRAMES_BAD /* it is larger than allowed, or memory is out */
};

/* The next frame, of what is there: never waits. */
enum frames_state frames_look(struct frames *f, struct frame *frame);

/* The same, waiting for it; FRAMES_NONE: `wait` gave up. */
enum frames_state frames_next(struct frames *f, struct frame *frame);

#endif
