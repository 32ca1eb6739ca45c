/*
 * amqp_link_io.c: the bytes of a link: frames in, frames out, heartbeats.
 */
#include "postgres.h"

#include <errno.h>
#include <sys/socket.h>

#include "amqp_link_private.h"

#define READS_A_STEP 16			/* so that a chatty broker cannot keep the caller in one step */

static void link_handle(AmqpLink *link, const struct amqp_frame *frame);

/* ---- reading ---- */

void
amqp_link_read(AmqpLink *link)
{
	for (int i = 0; i < READS_A_STEP; i++)
	{
		struct amqp_frame frame;
		ssize_t		got;
		long		size;

		if (link->in_start > 0)
		{
			memmove(link->in, link->in + link->in_start, link->in_end - link->in_start);
			link->in_end -= link->in_start;
			link->in_start = 0;
		}
		got = recv(link->fd, link->in + link->in_end, IN_SIZE - link->in_end, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (got < 0)
		{
			amqp_link_fail(link, "lost the connection to %s: %s", link->peer, strerror(errno));
			return;
		}
		if (got == 0)
		{
			amqp_link_fail(link, "%s closed the connection", link->peer);
			return;
		}
		link->in_end += (size_t) got;
		link->last_heard = now_ms();

		while ((size = amqp_frame_parse(link->in + link->in_start, link->in_end - link->in_start, FRAME_MAX,
										&frame)) > 0)
		{
			link->in_start += (size_t) size;	/* first: whatever the handler does, the frame is not seen twice */
			link_handle(link, &frame);
			recycle_amqp_pool(&link->pool);
			if (link->state < LINK_START)
				return;			/* closed by the handler */
		}
		if (size < 0)
		{
			amqp_link_fail(link, "%s does not speak AMQP 0-9-1", link->peer);
			return;
		}
	}
}

static void
link_handle(AmqpLink *link, const struct amqp_frame *frame)
{
	if (frame->type == AMQP_FRAME_HEARTBEAT)
		return;
	if (frame->channel != 0)
	{
		if (link->state == LINK_OPEN)
			link->owner.frame(link->owner.arg, frame);
		return;
	}
	if (frame->type == AMQP_FRAME_METHOD)
		amqp_login_handle(link, frame);
}

/* ---- writing ---- */

void
amqp_link_write(AmqpLink *link)
{
	while (link->out_start < link->out_end)
	{
		ssize_t		sent = send(link->fd, link->out + link->out_start, link->out_end - link->out_start,
								MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (sent < 0)
		{
			amqp_link_fail(link, "lost the connection to %s: %s", link->peer, strerror(errno));
			return;
		}
		link->out_start += (size_t) sent;
		link->last_sent = now_ms();
	}
	link->out_start = link->out_end = 0;
}

void
amqp_link_write_last(AmqpLink *link)
{
	(void) send(link->fd, link->out + link->out_start, link->out_end - link->out_start, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Deadlines of login and silence, and our own sign of life. */
void
amqp_link_beat(AmqpLink *link)
{
	int64		now = now_ms();

	if (link->state != LINK_OPEN)
	{
		if (now >= link->deadline)
			amqp_link_fail(link, "%s did not answer the login within %d s", link->peer, LOGIN_MS / 1000);
		return;
	}
	if (now - link->last_heard >= 2 * link->heartbeat_ms)
		amqp_link_fail(link, "%s has been silent for %d s", link->peer, (int) (2 * link->heartbeat_ms / 1000));
	else if (now - link->last_sent >= link->heartbeat_ms / 2 && link->out_start == link->out_end)
		link->out_end = (size_t) amqp_frame_put_heartbeat(link->out, OUT_SIZE);
}

size_t
amqp_link_room(const AmqpLink *link)
{
	return OUT_SIZE - (link->out_end - link->out_start);
}

uint8 *
amqp_link_reserve(AmqpLink *link, size_t size)
{
	if (link->state < LINK_START || amqp_link_room(link) < size)
		return NULL;
	if (OUT_SIZE - link->out_end < size)
	{
		memmove(link->out, link->out + link->out_start, link->out_end - link->out_start);
		link->out_end -= link->out_start;
		link->out_start = 0;
	}
	return link->out + link->out_end;
}

void
amqp_link_commit(AmqpLink *link, size_t size)
{
	Assert(size <= OUT_SIZE - link->out_end);
	link->out_end += size;
}

bool
amqp_link_method(AmqpLink *link, uint16 channel, amqp_method_number_t id, void *method)
{
	size_t		room = Min(amqp_link_room(link), 4096);
	uint8	   *out = amqp_link_reserve(link, room);
	long		size = out != NULL ? amqp_frame_put_method(out, room, channel, id, method) : -1;

	if (size < 0)
		return false;
	amqp_link_commit(link, (size_t) size);
	return true;
}

void
amqp_link_text(char *out, size_t size, amqp_bytes_t from)
{
	size_t		n = Min(from.len, size - 1);

	for (size_t i = 0; i < n; i++)
	{
		unsigned char c = ((const unsigned char *) from.bytes)[i];

		out[i] = c < 0x20 || c >= 0x7f ? '?' : (char) c;
	}
	out[n] = '\0';
}
