/*
 * frames.c: messages with a type and a size over a stream socket.
 */
#include "frames.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FIRST_ROOM 4096
#define MORE_ROOM (256 * 1024) /* asked of the socket at once while a large frame comes */

struct head {
	uint32_t type;
	uint32_t size;
};

void
frames_open(struct frames *f, int fd, size_t max, bool (*wait)(void *arg, short events), void *arg)
{
	*f = (struct frames){.fd = fd, .max = max, .wait = wait, .arg = arg};
}

void
frames_free(struct frames *f)
{
	free(f->buf);
	f->buf = NULL;
	f->start = f->end = f->room = 0;
}

/* ---- sending ---- */

/* What is left of the parts after n bytes have gone. */
static void
advance(struct msghdr *msg, size_t n)
{
	while (msg->msg_iovlen > 0 && n >= msg->msg_iov->iov_len) {
		n -= msg->msg_iov->iov_len;
		msg->msg_iov++;
		msg->msg_iovlen--;
	}
	if (msg->msg_iovlen > 0) {
		msg->msg_iov->iov_base = (char *) msg->msg_iov->iov_base + n;
		msg->msg_iov->iov_len -= n;
	}
}

int
frames_send(struct frames *f, uint32_t type, const struct iovec *parts, int n)
{
	struct head head = {type, 0};
	struct iovec all[FRAMES_PARTS + 1] = {{&head, sizeof(head)}};
	struct msghdr msg = {.msg_iov = all, .msg_iovlen = (size_t) n + 1};

	for (int i = 0; i < n; i++) {
		all[i + 1] = parts[i];
		head.size += (uint32_t) parts[i].iov_len;
	}
	while (advance(&msg, 0), msg.msg_iovlen > 0) {
		ssize_t sent = sendmsg(f->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent >= 0)
			advance(&msg, (size_t) sent);
		else if (errno == EAGAIN ? !f->wait(f->arg, POLLOUT) : errno != EINTR)
			return -1;
	}
	return 0;
}

/* ---- receiving ---- */

/* Room for `need` bytes from start on, which moves to the beginning of the buffer. */
static int
make_room(struct frames *f, size_t need)
{
	size_t room = f->room ? f->room : FIRST_ROOM;

	if (f->start > 0) {
		memmove(f->buf, f->buf + f->start, f->end - f->start);
		f->end -= f->start;
		f->start = 0;
	}
	while (room < need)
		room *= 2;
	if (room > f->room) {
		char *more = realloc(f->buf, room);

		if (!more)
			return -1;
		f->buf = more;
		f->room = room;
	}
	return 0;
}

static enum frames_state
receive(struct frames *f)
{
	for (;;) {
		size_t room = f->room - f->end;
		ssize_t n = recv(f->fd, f->buf + f->end, room < MORE_ROOM ? room : MORE_ROOM, MSG_DONTWAIT);

		if (n > 0) {
			f->end += (size_t) n;
			return FRAMES_ONE;
		}
		if (n == 0 || (errno != EINTR && errno != EAGAIN))
			return FRAMES_END;
		if (errno == EAGAIN)
			return FRAMES_NONE;
	}
}

enum frames_state
frames_look(struct frames *f, struct frame *frame)
{
	for (;;) {
		size_t there = f->end - f->start, need = sizeof(struct head);
		enum frames_state state;
		struct head head;

		if (there >= need) {
			memcpy(&head, f->buf + f->start, sizeof(head));
			if (head.size > f->max)
				return FRAMES_BAD;
			need += head.size;
			if (there >= need) {
				*frame = (struct frame){head.type, head.size, f->buf + f->start + sizeof(head)};
				f->start += need;
				return FRAMES_ONE;
			}
		}
		if (f->start + need > f->room && make_room(f, need) < 0)
			return FRAMES_BAD;
		state = receive(f);
		if (state != FRAMES_ONE)
			return state;
	}
}

enum frames_state
frames_next(struct frames *f, struct frame *frame)
{
	enum frames_state state;

	while ((state = frames_look(f, frame)) == FRAMES_NONE) {
		if (!f->wait(f->arg, POLLIN))
			break;
	}
	return state;
}
