/*
 * wait.c: GET /jobs/{id}?wait=SECONDS.
 *
 * One statement asks for all who wait.  The next comes after 10 ms while jobs end or people come, later and later up to 200 ms
 * when nothing happens, and unless somebody comes never so soon that asking would take more than a tenth of the time.  How long
 * that is does not matter to those whose time is over: the tick looks for them every 200 ms at least.
 */
#include "wait.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "clock.h"
#include "uuid.h"

#define TICK_MIN_US (CLOCK_US_PER_SECOND / 100)
#define TICK_MAX_US (CLOCK_US_PER_SECOND / 5)
#define COST_SHARE 10

struct waits {
	struct db_call call; /* first: of the statement under way */
	struct db *db;
	struct event *tick;
	struct waiters waiting;
	size_t n;
	struct db_text *ids; /* of the statement under way */
	bool asking, ended;
	int64_t pause_us; /* after the statement under way */
	int64_t asked_us; /* when it was sent */
	int64_t ask_us; /* when to ask next, unless it is under way */
};

static void
arm(struct waits *waits)
{
	int64_t us = waits->asking ? TICK_MAX_US : waits->ask_us - clock_boottime_us();
	struct timeval wait = {0};

	if (us > 0)
		wait.tv_usec = us < TICK_MAX_US ? us : TICK_MAX_US;
	event_add(waits->tick, &wait);
}

static void
leave(struct waits *waits, struct exchange *x)
{
	TAILQ_REMOVE(&waits->waiting, x, waiters);
	waits->n--;
	x->over = NULL;
}

static void
on_hurry(void *arg, enum http_hurry why)
{
	struct exchange *x = arg;
	void (*over)(struct exchange * x) = x->over;

	(void) why;
	if (!over)
		return;
	leave(x->api->waits, x);
	over(x);
}

/* Those whose time is over. */
static void
release(struct waits *waits)
{
	int64_t now = clock_boottime_us();
	struct exchange *x, *next;

	for (x = TAILQ_FIRST(&waits->waiting); x; x = next) {
		void (*over)(struct exchange * x) = x->over;

		next = TAILQ_NEXT(x, waiters);
		if (x->until_us > now)
			continue;
		leave(waits, x);
		over(x);
	}
}

/* Somebody who was asked for. */
struct asked {
	char id[UUID_TEXT_SIZE];
	struct exchange *x;
};

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct asked *) a)->id, ((const struct asked *) b)->id);
}

/* Those who were asked for, by id; *n of them.  NULL without memory. */
static struct asked *
sorted(struct waits *waits, size_t *n)
{
	struct asked *all = malloc((waits->n + 1) * sizeof(*all));
	struct exchange *x;

	*n = 0;
	if (!all)
		return NULL;
	TAILQ_FOREACH(x, &waits->waiting, waiters)
	{
		if (!x->asked)
			continue;
		memcpy(all[*n].id, x->id, sizeof(all[*n].id));
		all[(*n)++].x = x;
	}
	qsort(all, *n, sizeof(*all), compare);
	return all;
}

/* The place of the first with this id or a greater one. */
static size_t
find(const struct asked *all, size_t n, const char *id)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t middle = (lo + hi) / 2;

		if (strcmp(all[middle].id, id) < 0)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo;
}

/* Each id comes in one row. */
static void
deliver(struct waits *waits, const struct db_answer *answer)
{
	size_t n = 0, rows = db_answer_rows(answer);
	struct asked *all = rows > 0 ? sorted(waits, &n) : NULL;

	for (size_t row = 0; all && row < rows; row++) {
		const char *id = db_answer_value(answer, row, 0), *job = db_answer_value(answer, row, 1);

		for (size_t i = find(all, n, id); i < n && strcmp(all[i].id, id) == 0; i++) {
			leave(waits, all[i].x);
			if (job)
				answer_tagged(all[i].x, job);
			else
				answer_unknown_job(all[i].x);
		}
	}
	free(all);
}

static void
refuse(struct waits *waits, const struct db_answer *answer)
{
	struct exchange *x, *next;

	for (x = TAILQ_FIRST(&waits->waiting); x; x = next) {
		next = TAILQ_NEXT(x, waiters);
		if (!x->asked)
			continue;
		leave(waits, x);
		answer_db_problem(x, answer);
	}
}

static void
on_asked(struct db_call *call, const struct db_answer *answer)
{
	struct waits *waits = (struct waits *) call;
	int64_t now_us = clock_boottime_us(), took_us = now_us - waits->asked_us;

	waits->asking = false;
	if (answer->outcome == DB_OK && db_answer_rows(answer) > 0)
		waits->pause_us = TICK_MIN_US;
	waits->ask_us = now_us + (waits->pause_us > took_us * COST_SHARE ? waits->pause_us : took_us * COST_SHARE);
	if (answer->outcome == DB_OK)
		deliver(waits, answer);
	else
		refuse(waits, answer);
	release(waits);
	if (waits->n > 0 && !waits->ended)
		arm(waits);
	if (waits->pause_us * 2 <= TICK_MAX_US)
		waits->pause_us *= 2;
	else
		waits->pause_us = TICK_MAX_US;
}

static void
ask(struct waits *waits)
{
	struct exchange *x;
	char *copy;
	size_t n = 0;

	free(waits->ids);
	waits->ids = malloc(waits->n * (sizeof(*waits->ids) + UUID_TEXT_SIZE));
	if (!waits->ids) {
		waits->ask_us = clock_boottime_us() + TICK_MAX_US;
		return;
	}
	/* Who waits may go before the statement is sent. */
	copy = (char *) (waits->ids + waits->n);
	TAILQ_FOREACH(x, &waits->waiting, waiters)
	{
		x->asked = true;
		waits->ids[n].bytes = memcpy(copy, x->id, UUID_TEXT_SIZE);
		waits->ids[n++].len = UUID_TEXT_LEN;
		copy += UUID_TEXT_SIZE;
	}
	memset(&waits->call, 0, sizeof(waits->call));
	waits->call.statement = DB_WAIT;
	waits->call.items = waits->ids;
	waits->call.n_items = n;
	waits->call.done = on_asked;
	waits->asking = true;
	waits->asked_us = clock_boottime_us();
	db_call_send(waits->db, &waits->call);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct waits *waits = arg;

	(void) fd;
	(void) what;
	release(waits);
	if (waits->n > 0 && !waits->asking && clock_boottime_us() >= waits->ask_us)
		ask(waits);
	if (waits->n > 0)
		arm(waits);
}

struct waits *
waits_new(struct event_base *base, struct db *db)
{
	struct waits *waits = calloc(1, sizeof(*waits));

	if (!waits)
		return NULL;
	waits->db = db;
	waits->pause_us = TICK_MIN_US;
	TAILQ_INIT(&waits->waiting);
	waits->tick = event_new(base, -1, 0, on_tick, waits);
	if (!waits->tick) {
		free(waits);
		return NULL;
	}
	return waits;
}

void
waits_end(struct waits *waits)
{
	struct exchange *x;

	if (!waits)
		return;
	waits->ended = true;
	event_del(waits->tick);
	while ((x = TAILQ_FIRST(&waits->waiting)) != NULL)
		on_hurry(x, HTTP_DRAINING);
}

void
waits_free(struct waits *waits)
{
	if (!waits)
		return;
	event_free(waits->tick);
	free(waits->ids);
	free(waits);
}

void
waits_add(struct waits *waits, struct exchange *x, double seconds, void (*over)(struct exchange *x))
{
	x->over = over;
	x->waited = true;
	x->asked = false;
	x->until_us = clock_boottime_us() + (int64_t) (seconds * 1e6);
	TAILQ_INSERT_TAIL(&waits->waiting, x, waiters);
	waits->n++;
	waits->pause_us = TICK_MIN_US;
	waits->ask_us = waits->asked_us + TICK_MIN_US;
	arm(waits);
	http_request_on_hurry(x->request, on_hurry, x);
}
