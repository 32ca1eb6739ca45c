/*
 * publisher.c: publishes dispatches to RabbitMQ and learns what became of them, without ever waiting.
 *
 * One connection (amqp_link.c) with a channel in confirm mode, and one for words to workers (teller.c).  The broker
 * numbers the publishes of the first from 1 and answers each number: ack, nack, or return followed by ack when no
 * queue took the message.  The window is a ring of the publishes from `oldest` to `next`, in the order of their numbers.  Nothing here outlives a channel:
 * when it ends, the window is forgotten and the epoch tells the scheduler to publish again all that its tables say is
 * still queued.
 */
#include "postgres.h"

#include "../common/backoff.h"
#include "../common/clock.h"
#include "../common/uuid.h"
#include "amqp_link.h"
#include "nodes/pg_list.h"
#include "publisher.h"
#include "teller.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define EXCHANGE "jobsched"
#define CHANNEL 1

#define MESSAGE_ROOM 1024		/* the largest message with the declaration of its queue before it is smaller */
#define CONTROL_ROOM 8192		/* of the buffer, left free for everything but messages */
#define SETUP_MS 10000			/* for the broker to answer when a channel is opened */

/*
 * A publish without an answer for so long leaves the window when its place is needed: one queue that confirms nothing
 * (a quorum queue without its majority) must not stop the others.  The scheduler publishes it again by its own clock.
 */
#define FORGET_MS 5000

typedef enum ChannelState
{
	CHANNEL_NONE,				/* no connection */
	CHANNEL_SETUP,				/* open, confirm.select and exchange.declare sent, the last answer awaited */
	CHANNEL_READY,
	CHANNEL_BROKEN				/* closed by the broker; opened again at retry_at */
} ChannelState;

typedef struct QueueInfo
{
	char		name[256];		/* hash key */
	bool		declared;		/* on this channel */
	uint64		declared_at;	/* number of the first publish after it */
	bool		other_kind;		/* exists with other arguments than ours: used as it is, only bound */
	bool		denied;			/* we may not declare it: only bound */
	bool		bind_denied;	/* nor bind it: somebody else has, we hope */
	bool		missing;		/* a message came back and none has been taken since */
} QueueInfo;

typedef struct PublishInfo
{
	pg_uuid_t	dispatch;
	QueueInfo  *queue;
	int64		sent_at;		/* ms since boot */
	bool		answered;
	bool		returned;
} PublishInfo;

struct Publisher
{
	MemoryContext cxt;
	PublisherEvent event;
	void	   *arg;
	AmqpLink   *link;
	char		queue_type[32];
	PublisherCounters counters;
	uint64		epoch;
	bool		news;			/* the last step made publishing possible: the caller must not sleep on it */

	ChannelState channel;
	int64		retry_at;		/* SETUP: its deadline, ms since boot */
	int64		ready_at;
	struct backoff backoff;
	int64		blocked_at;		/* when the broker was last seen to take nothing */
	char		error[300];		/* why the channel is broken */
	char		text[700];
	Teller		teller;
	bool		skip_exchange;	/* we may not declare it: hope that it exists */

	HTAB	   *queues;			/* all that were ever named */
	List	   *declaring;		/* QueueInfo of declarations without an answer, in their order */

	uint64		oldest;			/* the first publish in the window that may be without an answer */
	uint64		next;			/* the number that the next publish gets */
	PublishInfo window[PUBLISHER_WINDOW];	/* at [number % PUBLISHER_WINDOW] */

	/* basic.return comes as method, header (with the message's id) and body */
	bool		in_return;
	char		return_key[256];
	amqp_pool_t pool;
};

static void queue_declare(Publisher *p, QueueInfo *queue);
static void on_opened(void *arg);
static void on_closed(void *arg);
static void on_frame(void *arg, const struct amqp_frame *frame);

static int64
now_ms(void)
{
	return clock_boottime_us() / 1000;
}

Publisher *
publisher_create(MemoryContext parent, PublisherEvent event, void *arg)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "jobsched publisher", ALLOCSET_DEFAULT_SIZES);
	Publisher  *p = MemoryContextAllocZero(cxt, sizeof(Publisher));
	AmqpLinkOwner owner = {.opened = on_opened, .closed = on_closed, .frame = on_frame, .arg = p};
	HASHCTL		ctl = {.keysize = sizeof(((QueueInfo *) NULL)->name), .entrysize = sizeof(QueueInfo), .hcxt = cxt};

	p->cxt = cxt;
	p->event = event;
	p->arg = arg;
	p->link = amqp_link_create(cxt, &owner);
	p->queues = hash_create("jobsched queues", 16, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	p->backoff = (struct backoff) {.base_us = 200000, .max_us = 10000000};
	p->oldest = p->next = 1;
	init_amqp_pool(&p->pool, 4096);
	return p;
}

void
publisher_configure(Publisher *p, const char *url, const char *queue_type)
{
	HASH_SEQ_STATUS all;
	QueueInfo  *queue;

	if (queue_type == NULL)
		queue_type = "";
	if (strcmp(p->queue_type, queue_type) != 0)
	{
		strlcpy(p->queue_type, queue_type, sizeof(p->queue_type));
		amqp_link_configure(p->link, NULL);	/* ends the connection, so that the next line makes a new one */
	}
	if (!amqp_link_configure(p->link, url))
		return;

	/* another broker may allow what this one did not */
	p->skip_exchange = false;
	hash_seq_init(&all, p->queues);
	while ((queue = hash_seq_search(&all)) != NULL)
		queue->other_kind = queue->denied = queue->bind_denied = queue->missing = false;
}

/* ---- the channel ---- */

/* Opens the channel: three requests in one go, the answer to the last one makes it ready. */
static void
channel_open(Publisher *p)
{
	amqp_channel_open_t open = {0};
	amqp_confirm_select_t confirm = {0};
	amqp_exchange_declare_t declare = {
		.exchange = amqp_cstring_bytes(EXCHANGE),
		.type = amqp_cstring_bytes("direct"),
		.passive = p->skip_exchange,
		.durable = 1,
	};

	amqp_link_method(p->link, CHANNEL, AMQP_CHANNEL_OPEN_METHOD, &open);
	amqp_link_method(p->link, CHANNEL, AMQP_CONFIRM_SELECT_METHOD, &confirm);
	amqp_link_method(p->link, CHANNEL, AMQP_EXCHANGE_DECLARE_METHOD, &declare);
	p->channel = CHANNEL_SETUP;
	p->retry_at = now_ms() + SETUP_MS;
}

static void
channel_ready(Publisher *p)
{
	HASH_SEQ_STATUS all;
	QueueInfo  *queue;

	if (p->epoch++ > 0)
		p->counters.reconnects++;
	p->channel = CHANNEL_READY;
	p->ready_at = now_ms();
	amqp_link_report_well(p->link);
	hash_seq_init(&all, p->queues);
	while ((queue = hash_seq_search(&all)) != NULL)
		queue_declare(p, queue);
}

/* Forgets all that ended with the channel. */
static void
channel_forget(Publisher *p)
{
	HASH_SEQ_STATUS all;
	QueueInfo  *queue;

	if (p->channel == CHANNEL_READY && now_ms() - p->ready_at >= 5000)
		backoff_reset(&p->backoff);
	hash_seq_init(&all, p->queues);
	while ((queue = hash_seq_search(&all)) != NULL)
		queue->declared = false;
	list_free(p->declaring);
	p->declaring = NIL;
	p->oldest = p->next = 1;
	p->in_return = false;
}

static void
on_opened(void *arg)
{
	channel_open(arg);
}

static void
on_closed(void *arg)
{
	Publisher  *p = arg;

	channel_forget(p);
	p->channel = CHANNEL_NONE;
	p->teller = (Teller) {0};
}

/* The broker refuses something for good: learn from it where we can live without, and open the channel again later. */
static void
channel_closed(Publisher *p, const amqp_channel_close_t *closed)
{
	amqp_channel_close_ok_t ok = {0};
	QueueInfo  *culprit = p->declaring != NIL ? linitial(p->declaring) : NULL;
	amqp_method_number_t method = (amqp_method_number_t) closed->class_id << 16 | closed->method_id;
	bool		refused = closed->reply_code == AMQP_ACCESS_REFUSED;
	char		reason[200];

	amqp_link_text(reason, sizeof(reason), closed->reply_text);
	snprintf(p->error, sizeof(p->error), "the broker closed the channel: %s", reason);
	if (method == AMQP_QUEUE_DECLARE_METHOD && culprit != NULL &&
		closed->reply_code == AMQP_PRECONDITION_FAILED)
		culprit->other_kind = true;
	else if (method == AMQP_QUEUE_DECLARE_METHOD && culprit != NULL && refused)
		culprit->denied = true;
	else if (method == AMQP_QUEUE_BIND_METHOD && culprit != NULL && refused)
		culprit->bind_denied = true;
	else if (method == AMQP_EXCHANGE_DECLARE_METHOD && refused)
		p->skip_exchange = true;
	else
		culprit = NULL;
	if (culprit != NULL)
		ereport(LOG, errmsg("jobsched: queue \"%s\" is used as it is: %s", culprit->name, reason));
	else
		amqp_link_report_trouble(p->link, p->error);

	amqp_link_method(p->link, CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
	channel_forget(p);
	p->channel = CHANNEL_BROKEN;
	p->retry_at = now_ms() + backoff_next_us(&p->backoff, backoff_random()) / 1000;
}

/* ---- queues ---- */

static QueueInfo *
queue_find(Publisher *p, const char *name)
{
	bool		found;
	QueueInfo  *queue;

	if (name[0] == '\0' || !amqp_frame_is_shortstr(name))
		return NULL;
	queue = hash_search(p->queues, name, HASH_ENTER, &found);
	if (!found)
		memset((char *) queue + sizeof(queue->name), 0, sizeof(*queue) - sizeof(queue->name));
	return queue;
}

/* Its requests go out in order with the publishes, so nothing waits for the answers. */
static void
queue_declare(Publisher *p, QueueInfo *queue)
{
	amqp_table_entry_t type = {
		.key = amqp_cstring_bytes("x-queue-type"),
		.value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(p->queue_type)},
	};
	amqp_queue_declare_t declare = {
		.queue = amqp_cstring_bytes(queue->name),
		.durable = 1,
		.arguments = {.num_entries = p->queue_type[0] != '\0' ? 1 : 0, .entries = &type},
	};
	amqp_queue_bind_t bind = {
		.queue = declare.queue,
		.exchange = amqp_cstring_bytes(EXCHANGE),
		.routing_key = declare.queue,
	};
	MemoryContext old;

	if (amqp_link_room(p->link) < CONTROL_ROOM + MESSAGE_ROOM)
		return;					/* the next publish tries again */
	queue->declared = true;
	queue->declared_at = p->next;
	if (queue->bind_denied)
		return;
	if (!queue->denied && !queue->other_kind)
		amqp_link_method(p->link, CHANNEL, AMQP_QUEUE_DECLARE_METHOD, &declare);
	amqp_link_method(p->link, CHANNEL, AMQP_QUEUE_BIND_METHOD, &bind);
	old = MemoryContextSwitchTo(p->cxt);
	p->declaring = lappend(p->declaring, queue);
	MemoryContextSwitchTo(old);
}

void
publisher_declare(Publisher *p, const char *name)
{
	QueueInfo  *queue = queue_find(p, name);

	if (queue != NULL && !queue->declared && p->channel == CHANNEL_READY)
		queue_declare(p, queue);
}

/* ---- publishing ---- */

bool
publisher_ready(const Publisher *p)
{
	return p->channel == CHANNEL_READY && amqp_link_blocked(p->link) == NULL &&
		amqp_link_room(p->link) >= CONTROL_ROOM + 2 * MESSAGE_ROOM &&
		(p->next - p->oldest < PUBLISHER_WINDOW ||
		 now_ms() - Max(p->window[p->oldest % PUBLISHER_WINDOW].sent_at, p->blocked_at) >= FORGET_MS);
}

/* Moves the window's start past what has an answer. */
static void
window_advance(Publisher *p)
{
	while (p->oldest < p->next && p->window[p->oldest % PUBLISHER_WINDOW].answered)
		p->oldest++;
}

bool
publisher_publish(Publisher *p, const pg_uuid_t *dispatch, const char *name)
{
	char		id[UUID_TEXT_SIZE];
	char		body[sizeof("{\"dispatch\":\"\"}") + UUID_TEXT_LEN];
	amqp_basic_publish_t publish = {
		.exchange = amqp_cstring_bytes(EXCHANGE),
		.routing_key = amqp_cstring_bytes(name),
		.mandatory = 1,
	};
	amqp_basic_properties_t properties = {
		._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
			AMQP_BASIC_TYPE_FLAG,
		.content_type = amqp_cstring_bytes("application/json"),
		.delivery_mode = 1,
		.message_id = amqp_cstring_bytes(uuid_to_text(dispatch->data, id)),
		.type = amqp_cstring_bytes("jobsched.dispatch"),
	};
	QueueInfo  *queue;
	uint8	   *out;
	long		size;

	if (!publisher_ready(p))
		return false;
	queue = queue_find(p, name);
	if (queue == NULL)
		return false;
	if (!queue->declared)
		queue_declare(p, queue);

	snprintf(body, sizeof(body), "{\"dispatch\":\"%s\"}", id);
	out = amqp_link_reserve(p->link, MESSAGE_ROOM);
	if (out == NULL)
		return false;
	size = amqp_frame_put_message(out, MESSAGE_ROOM, CHANNEL, &publish, &properties, body, sizeof(body) - 1);
	if (size < 0)
		return false;
	amqp_link_commit(p->link, (size_t) size);

	if (p->next - p->oldest == PUBLISHER_WINDOW)
	{
		p->oldest++;
		window_advance(p);
	}
	p->window[p->next++ % PUBLISHER_WINDOW] = (PublishInfo) {
		.dispatch = *dispatch,
		.queue = queue,
		.sent_at = now_ms(),
	};
	p->counters.published++;
	return true;
}

void
publisher_tell(Publisher *p, const pg_uuid_t *worker)
{
	if (publisher_ready(p))
		teller_tell(&p->teller, p->link, EXCHANGE, worker);
}

/* ---- answers ---- */

static void
publish_answered(Publisher *p, PublishInfo *publish, bool ack)
{
	bool		ok = ack && !publish->returned;

	if (publish->answered)
		return;
	publish->answered = true;
	if (ok)
	{
		p->counters.confirmed++;
		publish->queue->missing = false;
	}
	else if (!ack)
		p->counters.nacked++;
	else
		p->counters.returned++;
	p->event(p->arg, &publish->dispatch, ok);
}

/* basic.ack and basic.nack: one number, or all up to it (0: all). */
static void
on_answer(Publisher *p, uint64 number, bool multiple, bool ack)
{
	if (number == 0 && multiple)
		number = p->next - 1;
	if (number >= p->next || (number == 0 && p->next > 1))
	{
		amqp_link_fail(p->link, "%s confirmed a publish that was never made", amqp_link_peer(p->link));
		return;
	}
	for (uint64 n = multiple ? p->oldest : Max(number, p->oldest); n <= number; n++)
		publish_answered(p, &p->window[n % PUBLISHER_WINDOW], ack);
	window_advance(p);
}

/*
 * A message came back because no queue took it: somebody has deleted the queue or the binding.  Its ack follows, and
 * is reported as !ok; by then the queue is declared again, once for all that were under way.
 */
static void
on_returned(Publisher *p, const amqp_basic_properties_t *properties)
{
	QueueInfo  *queue = queue_find(p, p->return_key);
	pg_uuid_t	dispatch = {{0}};
	uint64		n = p->next;

	if (properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG &&
		uuid_from_text(properties->message_id.bytes, properties->message_id.len, dispatch.data) == 0)
	{
		for (n = p->oldest; n < p->next; n++)
		{
			PublishInfo *publish = &p->window[n % PUBLISHER_WINDOW];

			if (publish->answered || publish->returned || memcmp(&publish->dispatch, &dispatch, sizeof(dispatch)) != 0)
				continue;
			publish->returned = true;
			break;
		}
	}
	if (queue == NULL || n < queue->declared_at)
		return;
	if (!queue->missing)
		ereport(LOG, errmsg("jobsched: the broker has no queue \"%s\" bound to exchange \"%s\": declaring it again",
							queue->name, EXCHANGE));
	queue->missing = true;
	queue->other_kind = false;	/* it is gone */
	queue_declare(p, queue);
}

static void
on_method(Publisher *p, const struct amqp_frame *frame)
{
	void	   *method = amqp_frame_method(frame, &p->pool);

	if (method == NULL)
	{
		amqp_link_fail(p->link, "%s sent an unknown method 0x%08X", amqp_link_peer(p->link),
					   (unsigned int) frame->method);
		return;
	}
	switch (frame->method)
	{
		case AMQP_BASIC_ACK_METHOD:
			{
				amqp_basic_ack_t *ack = method;

				on_answer(p, ack->delivery_tag, ack->multiple, true);
				break;
			}
		case AMQP_BASIC_NACK_METHOD:
			{
				amqp_basic_nack_t *nack = method;

				on_answer(p, nack->delivery_tag, nack->multiple, false);
				break;
			}
		case AMQP_BASIC_RETURN_METHOD:
			{
				amqp_basic_return_t *returned = method;

				p->in_return = true;
				strlcpy(p->return_key, "", sizeof(p->return_key));
				if (returned->routing_key.len < sizeof(p->return_key))
				{
					memcpy(p->return_key, returned->routing_key.bytes, returned->routing_key.len);
					p->return_key[returned->routing_key.len] = '\0';
				}
				break;
			}
		case AMQP_QUEUE_BIND_OK_METHOD:
			p->declaring = list_delete_first(p->declaring);
			break;
		case AMQP_EXCHANGE_DECLARE_OK_METHOD:
			if (p->channel == CHANNEL_SETUP)
				channel_ready(p);
			break;
		case AMQP_CHANNEL_CLOSE_METHOD:
			channel_closed(p, method);
			break;
		default:
			break;				/* the other answers bring no news */
	}
}

static void
on_frame(void *arg, const struct amqp_frame *frame)
{
	Publisher  *p = arg;

	if (frame->channel == TELLER_CHANNEL)
	{
		teller_frame(&p->teller, p->link, frame);
		return;
	}
	if (p->channel != CHANNEL_SETUP && p->channel != CHANNEL_READY)
		return;					/* what the broker sent before it knew */
	if (frame->type == AMQP_FRAME_METHOD)
		on_method(p, frame);
	else if (frame->type == AMQP_FRAME_HEADER && p->in_return)
	{
		uint64		body_size;
		amqp_basic_properties_t *properties = amqp_frame_properties(frame, &p->pool, &body_size);

		p->in_return = false;	/* the body says nothing new: it is ignored */
		if (properties != NULL)
			on_returned(p, properties);
	}
	recycle_amqp_pool(&p->pool);
}

/* ---- the loop ---- */

void
publisher_step(Publisher *p)
{
	bool		was_ready = publisher_ready(p);
	uint64		epoch = p->epoch;

	if (amqp_link_blocked(p->link) != NULL)
		p->blocked_at = now_ms();
	if (p->channel == CHANNEL_BROKEN && now_ms() >= p->retry_at)
		channel_open(p);
	else if (p->channel == CHANNEL_SETUP && now_ms() >= p->retry_at)
		amqp_link_fail(p->link, "%s did not open a channel within %d s", amqp_link_peer(p->link), SETUP_MS / 1000);
	amqp_link_step(p->link);
	p->news = p->epoch != epoch || (!was_ready && publisher_ready(p));
}

int
publisher_wait_events(Publisher *p, pgsocket *fds, uint32 *events, int max)
{
	return amqp_link_wait_events(p->link, fds, events, max);
}

uint64
publisher_wait_generation(const Publisher *p)
{
	return amqp_link_wait_generation(p->link);
}

long
publisher_timeout_ms(const Publisher *p)
{
	long		timeout = amqp_link_timeout_ms(p->link);

	if (p->news)
		return 0;
	if (p->channel == CHANNEL_BROKEN || p->channel == CHANNEL_SETUP)
		timeout = Min(timeout, (long) Max(p->retry_at - now_ms(), 0));
	return timeout;
}

uint64
publisher_epoch(const Publisher *p)
{
	return p->epoch;
}

const char *
publisher_state(Publisher *p)
{
	const char *link = amqp_link_state(p->link);

	if (p->channel == CHANNEL_SETUP)
		snprintf(p->text, sizeof(p->text), "%s, opening a channel", link);
	else if (p->channel == CHANNEL_BROKEN)
		snprintf(p->text, sizeof(p->text), "%s, but %s, next try in %ld s", link, p->error,
				 (long) ((Max(p->retry_at - now_ms(), 0) + 999) / 1000));
	else
		return link;
	return p->text;
}

uint32
publisher_unconfirmed(const Publisher *p)
{
	return (uint32) (p->next - p->oldest);
}

const PublisherCounters *
publisher_counters(const Publisher *p)
{
	return &p->counters;
}

void
publisher_shutdown(Publisher *p)
{
	amqp_link_shutdown(p->link);
	empty_amqp_pool(&p->pool);
	MemoryContextDelete(p->cxt);
}
