/*
 * notes.c: what tasks in processes want to find again.  A list, the one used last in front.
 */
#include "notes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

struct note {
	struct note *next;
	int64_t until_us;
	size_t size;
	char *data; /* in the same allocation, as the key */
	char key[];
};

struct notes {
	pthread_mutex_t lock;
	struct note *first;
	int n;
	size_t bytes;
};

static size_t
memory_of(const struct note *note)
{
	return sizeof(*note) + strlen(note->key) + 1 + note->size + 1;
}

static void
drop_locked(struct notes *n, struct note **link)
{
	struct note *note = *link;

	*link = note->next;
	n->n--;
	n->bytes -= memory_of(note);
	free(note);
}

/* The link to the note of that key; its end when there is none. */
static struct note **
find_locked(struct notes *n, const char *key)
{
	struct note **link = &n->first;

	while (*link && strcmp((*link)->key, key) != 0)
		link = &(*link)->next;
	return link;
}

static void
drop_last_locked(struct notes *n)
{
	struct note **link = &n->first;

	while ((*link)->next)
		link = &(*link)->next;
	drop_locked(n, link);
}

struct notes *
notes_new(void)
{
	struct notes *n = calloc(1, sizeof(*n));

	if (n)
		pthread_mutex_init(&n->lock, NULL);
	return n;
}

void
notes_free(struct notes *n)
{
	if (!n)
		return;
	while (n->first)
		drop_locked(n, &n->first);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

void
notes_put(struct notes *n, const char *key, const void *data, size_t size, int64_t until_us)
{
	size_t key_size = strlen(key) + 1;
	struct note *note, **old;

	if (size > NOTES_BYTES || sizeof(*note) + key_size + size + 1 > NOTES_BYTES)
		return;
	note = malloc(sizeof(*note) + key_size + size + 1);
	if (!note)
		return;
	memcpy(note->key, key, key_size);
	note->data = note->key + key_size;
	if (size > 0)
		memcpy(note->data, data, size);
	note->data[size] = '\0';
	note->size = size;
	note->until_us = until_us;

	pthread_mutex_lock(&n->lock);
	old = find_locked(n, key);
	if (*old)
		drop_locked(n, old);
	note->next = n->first;
	n->first = note;
	n->n++;
	n->bytes += memory_of(note);
	while (n->n > NOTES_MAX || n->bytes > NOTES_BYTES)
		drop_last_locked(n);
	pthread_mutex_unlock(&n->lock);
}

char *
notes_get(struct notes *n, const char *key, size_t *size, int64_t *until_us)
{
	struct note **link, *note;
	char *copy = NULL;

	pthread_mutex_lock(&n->lock);
	link = find_locked(n, key);
	note = *link;
	if (note && note->until_us <= clock_boottime_us()) {
		drop_locked(n, link);
	} else if (note) {
		*link = note->next;
		note->next = n->first;
		n->first = note;
		copy = malloc(note->size + 1);
		if (copy)
			memcpy(copy, note->data, note->size + 1);
		*size = note->size;
		*until_us = note->until_us;
	}
	pthread_mutex_unlock(&n->lock);
	return copy;
}
