/*
 * consumer.c: the thread that owns the connection to RabbitMQ.
 *
 * Deliveries go into the inbox, verdicts come out of it.  A delivery that nobody has claimed after two seconds is given
 * back and consuming stops, so that other workers get it; it begins again when this worker could use work.
 */
#include "consumer.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "thread.h"

#define HOLD_US		(2 * CLOCK_US_PER_SECOND)	/* longest time that a delivery waits here unclaimed */
#define LISTEN_US	(10 * CLOCK_US_PER_SECOND)	/* between attempts to have a queue of its own */
#define TICK_US		(5 * CLOCK_US_PER_SECOND)	/* longest sleep: AMQP heartbeats are sent while reading */

/* What the inbox wants from the broker now. */
struct plan {
	bool consume;
	bool over;					/* draining, and all is settled */
	struct delivery *verdicts;
	char worker[UUID_TEXT_SIZE];	/* this registration */
	uint64_t lowest_open;		/* tags below it are all settled */
	int64_t next_us;			/* when to look again */
};

static void
make_plan(struct consumer *c, struct plan *plan)
{
	struct hub *h = c->hub;
	struct inbox *in = &h->inbox;
	int64_t now_us = clock_boottime_us();

	hub_lock(h);
	if (h->phase >= HUB_DRAINING || (in->waiting.head && now_us - in->waiting.head->since_us >= HOLD_US))
		in->paused = true;
	else if (in->paused)
		in->paused = hub_admit_locked(h, now_us) <= 0;
	if (in->paused)
		inbox_give_back(in);
	plan->consume = !in->paused;
	memcpy(plan->worker, h->worker, sizeof(plan->worker));
	plan->verdicts = inbox_verdicts(in);
	plan->lowest_open = inbox_lowest_open(in);
	plan->over = h->claims_over || h->phase >= HUB_FLUSHING;
	plan->next_us = in->waiting.head ? in->waiting.head->since_us + HOLD_US : INT64_MAX;
	hub_unlock(h);
	if (plan->next_us > now_us + TICK_US)
		plan->next_us = now_us + TICK_US;
}

static void
lose(struct consumer *c, const char *event, const struct error *err)
{
	if (!c->complained)
		log_event(LOG_LEVEL_WARNING, event, "host", c->url.info.host, "port",
				  LOG_NUM(c->url.info.port), "error", err->msg, NULL);
	c->complained = true;
	c->consuming = false;
	c->listening[0] = '\0';
	broker_close(&c->broker, false);
	hub_link(c->hub, METRICS_BROKER, false);
	c->retry_at_us = clock_boottime_us() + backoff_next_us(&c->backoff, backoff_random());
	hub_lock(c->hub);
	inbox_new_connection(&c->hub->inbox);
	hub_unlock(c->hub);
}

static int
start_consuming(struct consumer *c, struct error *err)
{
	for (int i = 0; i < c->settings->nqueues; i++) {
		if (broker_consume(&c->broker, c->settings->queues[i], i, err) < 0)
			return -1;
	}
	c->consuming = true;
	return 0;
}

static int
stop_consuming(struct consumer *c, struct error *err)
{
	for (int i = 0; i < c->settings->nqueues; i++) {
		if (broker_cancel(&c->broker, i, err) < 0)
			return -1;
	}
	c->consuming = false;
	return 0;
}

/* Words reach a worker in a queue of its own; without it, it hears the same with its next heartbeat. */
static int
listen_for_words(struct consumer *c, const char *worker, struct error *err)
{
	char queue[sizeof("jobsched.worker.") + UUID_TEXT_SIZE];
	int rc;

	if (!worker[0] || strcmp(c->listening, worker) == 0 || clock_boottime_us() < c->listen_at_us)
		return 0;
	snprintf(queue, sizeof(queue), "jobsched.worker.%s", worker);
	rc = broker_listen(&c->broker, queue, err);
	if (rc < 0)
		return -1;
	if (rc > 0) {
		memcpy(c->listening, worker, sizeof(c->listening));
	} else {
		if (!c->listen_complained)
			log_event(LOG_LEVEL_WARNING, "no queue of its own, cancelling takes until the next heartbeat", "error",
					  err->msg, NULL);
		c->listen_complained = true;
		c->listen_at_us = clock_boottime_us() + LISTEN_US;
	}
	return 0;
}

static int
send_verdicts(struct consumer *c, const struct plan *plan, struct error *err)
{
	const struct delivery *last = NULL;
	bool only_acks = true;

	for (const struct delivery *d = plan->verdicts; d; d = d->next) {
		only_acks = only_acks && !d->requeue;
		last = d;
	}
	if (last && only_acks && last->tag < plan->lowest_open)
		return broker_ack(&c->broker, last->tag, true, err);
	for (const struct delivery *d = plan->verdicts; d; d = d->next) {
		int rc = d->requeue ? broker_give_back(&c->broker, d->tag, err) : broker_ack(&c->broker, d->tag, false, err);

		if (rc < 0)
			return -1;
	}
	return 0;
}

/* {"dispatch": "<uuid>"} -> uuid in lower case; false when it is not that. */
static bool
read_dispatch(const amqp_bytes_t *body, char uuid[UUID_TEXT_SIZE])
{
	json_t *object = json_loadb(body->bytes, body->len, 0, NULL);
	const char *text = json_string_value(json_object_get(object, "dispatch"));
	uint8_t bytes[UUID_BYTES];
	bool good = text && uuid_from_text(text, strlen(text), bytes) == 0;

	if (good)
		uuid_to_text(bytes, uuid);
	json_decref(object);
	return good;
}

static int
take_delivery(struct consumer *c, const struct broker_delivery *d, struct error *err)
{
	char dispatch[UUID_TEXT_SIZE];
	bool kept;

	if (!read_dispatch(&d->envelope.message.body, dispatch)) {
		log_event(LOG_LEVEL_WARNING, "message is not a dispatch, thrown away", "queue",
				  d->queue >= 0 && d->queue < c->settings->nqueues ? c->settings->queues[d->queue] : "?", "bytes",
				  LOG_NUM(d->envelope.message.body.len), NULL);
		return broker_discard(&c->broker, d->tag, err);
	}
	hub_lock(c->hub);
	kept = inbox_put(&c->hub->inbox, dispatch, d->tag, clock_boottime_us());
	hub_unlock(c->hub);
	return kept ? 0 : broker_give_back(&c->broker, d->tag, err);
}

/* Reads all that is there. */
static int
read_events(struct consumer *c, struct error *err)
{
	struct broker_delivery d;
	int deliveries = 0;

	for (;;) {
		enum broker_event event = broker_read(&c->broker, &d, err);
		int rc = 0;

		if (event == BROKER_LOST)
			return -1;
		if (event == BROKER_NOTHING)
			break;
		if (event == BROKER_DELIVERY) {
			rc = take_delivery(c, &d, err);
			amqp_destroy_envelope(&d.envelope);
			deliveries++;
		} else if (event == BROKER_WORD) {
			hub_orders(c->hub);
		} else if (event == BROKER_DEAF) {
			c->listening[0] = '\0';
		} else if (event == BROKER_CANCELLED && c->consuming && d.queue >= 0 && d.queue < c->settings->nqueues) {
			log_event(LOG_LEVEL_WARNING, "queue was deleted, making it again", "queue", c->settings->queues[d.queue],
					  NULL);
			rc = broker_consume(&c->broker, c->settings->queues[d.queue], d.queue, err);
		}
		if (rc < 0)
			return -1;
	}
	if (deliveries > 0) {
		hub_lock(c->hub);
		hub_resume_locked(c->hub, clock_boottime_us());
		hub_unlock(c->hub);
	}
	return 0;
}

static void
sleep_until(const struct consumer *c, int64_t until_us)
{
	struct pollfd fds[2] = { { .fd = c->hub->consumer_fd, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	int64_t wait_us = until_us - clock_boottime_us();
	uint64_t count;

	if (c->broker.conn) {
		if (broker_has_buffered(&c->broker))
			wait_us = 0;
		fds[1].fd = broker_socket(&c->broker);
	}
	hub_busy(c->hub, HUB_CONSUMER, false);
	if (poll(fds, 2, wait_us > 0 ? (int) (wait_us / 1000) + 1 : 0) > 0 && (fds[0].revents & POLLIN))
		while (read(c->hub->consumer_fd, &count, sizeof(count)) < 0 && errno == EINTR)
			;
	hub_busy(c->hub, HUB_CONSUMER, true);
}

static void
connect_broker(struct consumer *c)
{
	struct error err = { "" };

	if (broker_open(&c->broker, &c->url, c->settings->prefetch, &err) < 0) {
		lose(c, "broker cannot be reached, trying again for ever", &err);
		return;
	}
	log_event(LOG_LEVEL_INFO, c->complained ? "broker connection is back" : "broker connected", "host",
			  c->url.info.host, "port", LOG_NUM(c->url.info.port), "vhost", c->url.info.vhost, "queues",
			  c->settings->rabbitmq_queue, "prefetch", LOG_NUM(c->settings->prefetch), NULL);
	c->complained = false;
	backoff_reset(&c->backoff);
	hub_link(c->hub, METRICS_BROKER, true);
}

/* false: the thread ends. */
static bool
consume_once(struct consumer *c)
{
	struct plan plan;
	struct error err = { "" };
	int rc = 0;

	make_plan(c, &plan);
	if (!c->broker.conn) {
		hub_lock(c->hub);
		inbox_recycle(&c->hub->inbox, plan.verdicts);
		hub_unlock(c->hub);
		if (!plan.consume && hub_phase(c->hub) >= HUB_DRAINING)
			return false;
		if (clock_boottime_us() >= c->retry_at_us)
			connect_broker(c);
		else
			sleep_until(c, c->retry_at_us);
		return true;
	}

	/* Cancel first: what is given back while consuming would come straight back. */
	if (c->consuming != plan.consume)
		rc = plan.consume ? start_consuming(c, &err) : stop_consuming(c, &err);
	if (rc == 0)
		rc = listen_for_words(c, plan.worker, &err);
	if (rc == 0)
		rc = send_verdicts(c, &plan, &err);
	hub_lock(c->hub);
	inbox_recycle(&c->hub->inbox, plan.verdicts);
	hub_unlock(c->hub);
	if (rc == 0)
		rc = read_events(c, &err);
	if (rc < 0) {
		lose(c, "broker connection lost, trying again for ever", &err);
		return true;
	}
	if (plan.over)
		return false;
	sleep_until(c, plan.next_us);
	return true;
}

static void *
consumer_main(void *arg)
{
	struct consumer *c = arg;

	while (consume_once(c))
		;
	broker_close(&c->broker, true);		/* what is not settled goes back to its queue */
	hub_link(c->hub, METRICS_BROKER, false);
	hub_busy(c->hub, HUB_CONSUMER, false);
	return NULL;
}

int
consumer_start(struct consumer *c, struct hub *h, const struct settings *settings, struct error *err)
{
	memset(c, 0, sizeof(*c));
	c->hub = h;
	c->settings = settings;
	c->backoff.base_us = CLOCK_US_PER_SECOND / 10;
	c->backoff.max_us = 10 * CLOCK_US_PER_SECOND;
	if (broker_url_parse(settings->rabbitmq_url, &c->url, err) < 0)
		return -1;
	return thread_start(&c->thread, "consumer", consumer_main, c, err);
}

void
consumer_free(struct consumer *c)
{
	broker_url_free(&c->url);
}
