/*
 * inbox.c: deliveries from RabbitMQ between their arrival and their settlement.
 */
#include "inbox.h"

#include <stdlib.h>
#include <string.h>

static void
list_init(struct delivery_list *list)
{
	list->head = NULL;
	list->tail = &list->head;
	list->n = 0;
}

static void
list_add(struct delivery_list *list, struct delivery *d)
{
	d->next = NULL;
	*list->tail = d;
	list->tail = &d->next;
	list->n++;
}

static struct delivery *
list_shift(struct delivery_list *list)
{
	struct delivery *d = list->head;

	if (d) {
		list->head = d->next;
		if (!list->head)
			list->tail = &list->head;
		list->n--;
	}
	return d;
}

static void
list_free(struct delivery_list *list)
{
	struct delivery *d;

	while ((d = list_shift(list)))
		free(d);
}

static void
move_all(struct delivery_list *from, struct delivery_list *to, bool requeue)
{
	struct delivery *d;

	while ((d = list_shift(from))) {
		d->requeue = requeue;
		list_add(to, d);
	}
}

void
inbox_init(struct inbox *in)
{
	memset(in, 0, sizeof(*in));
	list_init(&in->waiting);
	list_init(&in->claiming);
	list_init(&in->settled);
	list_init(&in->spare);
}

void
inbox_free(struct inbox *in)
{
	list_free(&in->waiting);
	list_free(&in->claiming);
	list_free(&in->settled);
	list_free(&in->spare);
}

void
inbox_new_connection(struct inbox *in)
{
	in->connection++;
	in->paused = false;
	move_all(&in->waiting, &in->spare, false);
	move_all(&in->settled, &in->spare, false);
}

bool
inbox_put(struct inbox *in, const char *dispatch, uint64_t tag, int64_t now_us)
{
	struct delivery *d = list_shift(&in->spare);

	if (!d)
		d = malloc(sizeof(*d));
	if (!d)
		return false;
	memcpy(d->dispatch, dispatch, sizeof(d->dispatch));
	d->tag = tag;
	d->connection = in->connection;
	d->requeue = false;
	d->since_us = now_us;
	list_add(&in->waiting, d);
	return true;
}

static bool
is_claiming(const struct inbox *in, const char *dispatch)
{
	for (const struct delivery *d = in->claiming.head; d; d = d->next) {
		if (memcmp(d->dispatch, dispatch, sizeof(d->dispatch)) == 0)
			return true;
	}
	return false;
}

int
inbox_take(struct inbox *in, int max)
{
	if (in->waiting.n == 0 || uuid_v4_text(in->token) < 0)
		return 0;
	while (in->waiting.head && in->claiming.n < max) {
		struct delivery *d = list_shift(&in->waiting);

		list_add(is_claiming(in, d->dispatch) ? &in->settled : &in->claiming, d);
	}
	return in->claiming.n;
}

void
inbox_settle(struct inbox *in)
{
	move_all(&in->claiming, &in->settled, false);
}

void
inbox_put_back(struct inbox *in)
{
	struct delivery_list later = in->waiting;

	if (later.n == 0)
		list_init(&later);
	list_init(&in->waiting);
	for (struct delivery *d; (d = list_shift(&in->claiming)); )
		list_add(d->connection == in->connection ? &in->waiting : &in->spare, d);
	move_all(&later, &in->waiting, false);
}

void
inbox_abandon(struct inbox *in)
{
	move_all(&in->claiming, &in->settled, true);
}

void
inbox_give_back(struct inbox *in)
{
	move_all(&in->waiting, &in->settled, true);
}

struct delivery *
inbox_verdicts(struct inbox *in)
{
	struct delivery *first = NULL, *last = NULL, *d;

	/* Nearly sorted already: a duplicate of a claiming dispatch may stand before its elders. */
	while ((d = list_shift(&in->settled))) {
		struct delivery **at = &first;

		if (d->connection != in->connection) {
			list_add(&in->spare, d);
			continue;
		}
		if (last && last->tag < d->tag)
			at = &last->next;
		while (*at && (*at)->tag < d->tag)
			at = &(*at)->next;
		d->next = *at;
		*at = d;
		if (!d->next)
			last = d;
	}
	return first;
}

void
inbox_recycle(struct inbox *in, struct delivery *list)
{
	while (list) {
		struct delivery *next = list->next;

		list_add(&in->spare, list);
		list = next;
	}
}

uint64_t
inbox_lowest_open(const struct inbox *in)
{
	uint64_t lowest = UINT64_MAX;

	for (const struct delivery *d = in->claiming.head; d; d = d->next) {
		if (d->connection == in->connection && d->tag < lowest)
			lowest = d->tag;
	}
	for (const struct delivery *d = in->waiting.head; d; d = d->next) {
		if (d->tag < lowest)
			lowest = d->tag;
	}
	return lowest;
}
