/* sources: src/worker/isolation/frames.c */
/*
 * Messages between the worker and the process of a task: whole, in pieces, too large, cut off.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/worker/isolation/frames.h"
#include "tap.h"

#define MAX ((size_t) 1024 * 1024)

static struct frames from, to;
static int waits; /* how often the sender waited */
static struct frame got;
static enum frames_state state;

/* The sender waits: the receiver takes what is there. */
static bool
let_receive(void *arg, short events)
{
	(void) arg;
	(void) events;
	waits++;
	state = frames_look(&to, &got);
	return state == FRAMES_NONE;
}

static bool
give_up(void *arg, short events)
{
	(void) arg;
	waits += events == POLLIN;
	return false;
}

static void
connect_both(void)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		abort();
	waits = 0;
	frames_open(&from, fds[0], MAX, let_receive, NULL);
	frames_open(&to, fds[1], MAX, give_up, NULL);
}

static void
disconnect(void)
{
	close(from.fd);
	close(to.fd);
	frames_free(&from);
	frames_free(&to);
}

static int
send_text(uint32_t type, const char *text)
{
	struct iovec part = {(void *) text, strlen(text)};

	return frames_send(&from, type, &part, 1);
}

static void
whole(void)
{
	struct iovec parts[] = {{"ab", 2}, {"", 0}, {"cde", 3}};

	connect_both();
	is_int(frames_look(&to, &got), FRAMES_NONE, "nothing has come");
	is_int(frames_next(&to, &got), FRAMES_NONE, "who waits may give up");
	is_int(waits, 1, "having been asked");
	send_text(7, "");
	frames_send(&from, 8, parts, 3);
	send_text(9, "x");
	is_int(frames_look(&to, &got), FRAMES_ONE, "a frame");
	ok(got.type == 7 && got.size == 0, "without data");
	is_int(frames_look(&to, &got), FRAMES_ONE, "the next, that came with it");
	ok(got.type == 8 && got.size == 5 && memcmp(got.data, "abcde", 5) == 0, "of three parts, one of them empty");
	is_int(frames_look(&to, &got), FRAMES_ONE, "and the last");
	is_int(frames_look(&to, &got), FRAMES_NONE, "no more");
	send_text(1, "last words");
	close(from.fd);
	is_int(frames_next(&to, &got), FRAMES_ONE, "what was sent before the other side closed");
	is_int(frames_next(&to, &got), FRAMES_END, "then the end");
	from.fd = open("/dev/null", O_RDONLY);
	disconnect();
}

static void
large(void)
{
	char *data = malloc(MAX + 1);
	struct iovec part = {data, MAX};

	if (!data)
		abort();
	memset(data, 'x', MAX + 1);
	data[MAX - 1] = 'y';
	connect_both();
	is_int(frames_send(&from, 3, &part, 1), 0, "a large frame is sent in pieces");
	ok(waits > 1, "as the other side takes them");
	if (state != FRAMES_ONE)
		state = frames_next(&to, &got);
	ok(state == FRAMES_ONE && got.size == MAX && memcmp(got.data, data, MAX) == 0, "and comes whole");
	part.iov_len = MAX + 1;
	is_int(frames_send(&from, 3, &part, 1), -1, "one that is larger than allowed");
	is_int(state, FRAMES_BAD, "is refused");
	disconnect();
	free(data);
}

static void
cut_off(void)
{
	connect_both();
	if (write(from.fd, "\1\0\0\0\12\0\0\0abc", 11) != 11)
		abort();
	is_int(frames_look(&to, &got), FRAMES_NONE, "a part of a frame is not one");
	close(from.fd);
	is_int(frames_look(&to, &got), FRAMES_END, "and when the other side has closed it never will be");
	from.fd = open("/dev/null", O_RDONLY);
	disconnect();

	connect_both();
	if (write(from.fd, "\376\376\376\376\376\376\376\376", 8) != 8)
		abort();
	is_int(frames_look(&to, &got), FRAMES_BAD, "garbage claims to be too large");
	close(to.fd);
	is_int(send_text(1, "x"), -1, "nobody is there to be told");
	to.fd = open("/dev/null", O_RDONLY);
	disconnect();
}

int
main(void)
{
	whole();
	large();
	cut_off();
	return done_testing();
}
