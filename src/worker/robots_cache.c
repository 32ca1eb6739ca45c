/*
 * robots_cache.c: asks servers what crawlers may fetch, and remembers what they said.
 *
 * A list, the origin asked about last in front; entries that do not fit go from its end.  Rules are read outside of the
 * lock, so they are counted: the list holds one reference, each reader another.
 */
#include "robots_cache.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "robots.h"
#include "url.h"

struct entry {
	char *origin;
	struct robots *rules;
	int references;
	int64_t until_us;
	struct entry *next;
};

static struct {
	pthread_mutex_t lock;
	struct entry *first;
	int n;
	size_t bytes;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct robots_shelf shelf; /* without functions: there is none */

void
robots_use_shelf(struct robots_shelf use)
{
	shelf = use;
}

static size_t
memory_of(const struct entry *e)
{
	return sizeof(*e) + strlen(e->origin) + robots_memory(e->rules);
}

static void
release_locked(struct entry *e)
{
	if (--e->references > 0)
		return;
	robots_free(e->rules);
	free(e->origin);
	free(e);
}

static void
release(struct entry *e)
{
	pthread_mutex_lock(&cache.lock);
	release_locked(e);
	pthread_mutex_unlock(&cache.lock);
}

/* Takes the entry that *link points to out of the list. */
static void
drop_locked(struct entry **link)
{
	struct entry *e = *link;

	*link = e->next;
	cache.n--;
	cache.bytes -= memory_of(e);
	release_locked(e);
}

/* The origin's entry, referenced, or NULL. */
static struct entry *
find(const char *origin, size_t len)
{
	struct entry *found = NULL;

	pthread_mutex_lock(&cache.lock);
	for (struct entry **link = &cache.first; *link; link = &(*link)->next) {
		struct entry *e = *link;

		if (strlen(e->origin) != len || memcmp(e->origin, origin, len) != 0)
			continue;
		if (e->until_us < clock_boottime_us()) {
			drop_locked(link);
			break;
		}
		*link = e->next;
		e->next = cache.first;
		cache.first = e;
		e->references++;
		found = e;
		break;
	}
	pthread_mutex_unlock(&cache.lock);
	return found;
}

/* Puts the entry in front, in place of another of its origin. */
static void
remember(struct entry *e)
{
	struct entry **link = &cache.first;
	size_t bytes = 0;

	pthread_mutex_lock(&cache.lock);
	e->next = cache.first;
	cache.first = e;
	e->references++;
	cache.n++;
	cache.bytes += memory_of(e);
	for (int n = 0; *link;) {
		bytes += memory_of(*link);
		if (*link != e &&
		        (strcmp((*link)->origin, e->origin) == 0 || n >= ROBOTS_KEPT_ORIGINS ||
		                bytes > ROBOTS_KEPT_BYTES)) {
			bytes -= memory_of(*link);
			drop_locked(link);
			continue;
		}
		n++;
		link = &(*link)->next;
	}
	pthread_mutex_unlock(&cache.lock);
}

void
robots_forget(void)
{
	pthread_mutex_lock(&cache.lock);
	while (cache.first)
		drop_locked(&cache.first);
	pthread_mutex_unlock(&cache.lock);
}

static struct entry *
make_entry(const char *origin, size_t len, const char *text, size_t size, const char *agent, int64_t until_us)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->references = 1;
	e->until_us = until_us;
	e->origin = strndup(origin, len);
	e->rules = robots_parse(text, size, agent);
	if (!e->origin || !e->rules) {
		release(e);
		return NULL;
	}
	return e;
}

/* What the server said: no robots.txt, or too many redirects on the way to it, allows everything. */
static struct entry *
learn(const char *origin, size_t len, const struct fetch_answer *said, const char *agent)
{
	bool rules = said->status >= 200 && said->status < 300 && said->body;
	const char *text = rules ? said->body : "";
	size_t size = rules ? said->size : 0;
	int64_t until_us = clock_boottime_us() + (int64_t) ROBOTS_KEPT_SECONDS * CLOCK_US_PER_SECOND;
	struct entry *e = make_entry(origin, len, text, size, agent, until_us);

	if (!e)
		return NULL;
	remember(e);
	if (shelf.remember)
		shelf.remember(shelf.arg, origin, len, text, size, until_us);
	return e;
}

/* What another process has learnt; NULL: nothing. */
static struct entry *
look_on_shelf(const char *origin, size_t len, const char *agent)
{
	int64_t until_us = 0;
	size_t size = 0;
	char *text = shelf.recall ? shelf.recall(shelf.arg, origin, len, &size, &until_us) : NULL;
	struct entry *e = text ? make_entry(origin, len, text, size, agent, until_us) : NULL;

	if (e)
		remember(e);
	free(text);
	return e;
}

/* Asks the server; *entry is what it said, referenced. */
static enum fetch_end
ask_server(struct fetch *f, const char *agent, const char *url, size_t origin, struct entry **entry,
        struct fetch_answer *answer, struct error *err)
{
	struct fetch_answer said;
	struct fetch_request request = {.body_max = ROBOTS_SIZE_MAX, .redirects_max = FETCH_REDIRECTS_MAX};
	char *robots_url = NULL;
	struct error why = {""};
	enum fetch_end end;

	if (asprintf(&robots_url, "%.*s/robots.txt", (int) origin, url) < 0) {
		error_set(err, "out of memory");
		return FETCH_FAILED;
	}
	request.url = robots_url;
	end = fetch_run(f, &request, &said, &why);
	if (end == FETCH_REFUSED && strcmp(said.reason, "redirects") == 0)
		end = FETCH_DONE;
	if (end == FETCH_DONE && said.status >= 500) {
		answer->retry_after = said.retry_after;
		error_set(err, "%.200s answered %ld: nothing is fetched there until it can be read", robots_url,
		        said.status);
		end = FETCH_FAILED;
	} else if (end == FETCH_DONE) {
		*entry = learn(url, origin, &said, agent);
		if (!*entry) {
			error_set(err, "out of memory");
			end = FETCH_FAILED;
		}
	} else {
		answer->reason = said.reason;
		error_set(err, "%s", why.msg);
	}
	fetch_answer_free(&said);
	free(robots_url);
	return end;
}

enum fetch_end
robots_ask(struct fetch *f, const char *agent, const char *url, struct fetch_answer *answer, struct error *err)
{
	size_t origin = url_origin_length(url);
	struct entry *entry = find(url, origin);
	enum fetch_end end = FETCH_DONE;

	if (!entry)
		entry = look_on_shelf(url, origin, agent);
	if (!entry)
		end = ask_server(f, agent, url, origin, &entry, answer, err);
	if (end != FETCH_DONE)
		return end;
	if (!robots_allows(entry->rules, url + origin)) {
		error_set(err, "%.200s: robots.txt of its server does not allow it", url);
		answer->reason = "robots";
		end = FETCH_REFUSED;
	}
	release(entry);
	return end;
}
