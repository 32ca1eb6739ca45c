/*
 * claimer.c: the thread that registers this worker, claims dispatches and gives back what it cannot start.
 *
 * One call is under way at a time; what arrives meanwhile goes into the next, so that under load a call carries many
 * dispatches and at rest one goes out at once.  An unanswered claim is repeated with its token before anything else is
 * claimed; the heartbeat lists it meanwhile.
 */
#include "claimer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "thread.h"
#include "version.h"

#define STALE_US	CLOCK_US_PER_SECOND		/* a run that has waited so long for a thread is given back */

enum step { WAIT, CONNECT, REGISTER, LOOK, CLAIM, RELEASE, FORGET, STOP };

static bool
same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Ready runs that will not be started here soon. */
static int
take_stale_locked(struct claimer *c, int64_t now_us)
{
	struct hub *h = c->session.hub;
	int64_t before_us = h->phase == HUB_RUNNING ? now_us - STALE_US : INT64_MAX;

	c->nstale = runs_take_stale_locked(&h->runs, c->stale, CLAIMER_RELEASE_MAX, before_us);
	memcpy(c->stale_worker, h->worker, sizeof(c->stale_worker));
	return c->nstale;
}

static int
take_deliveries_locked(struct claimer *c, int64_t now_us)
{
	struct hub *h = c->session.hub;
	int n = hub_admit_locked(h, now_us);

	memcpy(c->claim_worker, h->worker, sizeof(c->claim_worker));
	return n > 0 ? inbox_take(&h->inbox, n) : 0;
}

static enum step
next_step_locked(struct claimer *c, int64_t now_us, int64_t *until_us)
{
	struct hub *h = c->session.hub;

	*until_us = INT64_MAX;
	if (h->phase == HUB_CLOSING)
		return STOP;

	/* What was begun in a name that is not used any more. */
	if (h->inbox.claiming.n > 0 && !same(c->claim_worker, h->worker)) {
		inbox_abandon(&h->inbox);
		hub_wake_consumer(h);
		hub_check_drained_locked(h);
	}
	if (c->nstale > 0 && !same(c->stale_worker, h->worker))
		return FORGET;
	if (h->phase >= HUB_DRAINING && h->inbox.claiming.n == 0 && !h->claims_over) {
		h->claims_over = true;
		hub_wake_consumer(h);
	}

	if (now_us < session_blocked_until(&c->session)) {
		*until_us = session_blocked_until(&c->session);
		return WAIT;
	}
	if (!pg_connected(&c->session.store.pg))
		return CONNECT;
	if (!h->worker[0])
		return h->phase == HUB_RUNNING ? REGISTER : WAIT;
	if (c->newcomer && h->phase == HUB_RUNNING)
		return LOOK;
	if (h->inbox.claiming.n > 0)
		return CLAIM;
	if (c->nstale > 0 || take_stale_locked(c, now_us) > 0)
		return RELEASE;
	if (take_deliveries_locked(c, now_us) > 0)
		return CLAIM;
	if (h->runs.ready.head)
		*until_us = h->runs.ready.head->ready_us + STALE_US;
	return WAIT;
}

static void
register_worker(struct claimer *c)
{
	const struct settings *s = c->settings;
	char id[UUID_TEXT_SIZE] = "", host[256] = "", *info;
	struct error err = { "" };
	int64_t sent_us = clock_boottime_us(), lease_us = 0;
	enum pg_status status;
	json_t *object;

	gethostname(host, sizeof(host) - 1);
	object = json_pack("{s:s, s:I, s:s, s:s, s:I}", "host", host, "pid", (json_int_t) c->self.pid, "version",
					   JOBSCHED_VERSION, "machine", c->self.machine, "started", (json_int_t) c->self.started);
	info = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	status = store_register(&c->session.store, s->worker_id, s->queues, s->nqueues, s->threads, info ? info : "{}",
							id, &lease_us, &err);
	free(info);
	if (status == PG_BAD_DATA)
		status = PG_REFUSED;	/* nothing to do about it here but to ask again */
	if (session_note(&c->session, "register_worker", "", status, &err) != PG_DONE)
		return;
	hub_registered(c->session.hub, id, sent_us, lease_us);
	c->newcomer = true;
	log_event(LOG_LEVEL_INFO, "registered", "worker_id", s->worker_id, "worker", id, "threads", LOG_NUM(s->threads),
			  "lease_ms", LOG_NUM(lease_us / 1000), NULL);
}

/*
 * What a process held that ended on this machine without saying so is taken back at once, so that a restart costs no
 * lease.  Somebody else with the same label is no trouble for the database, but for people who read it.
 */
static void
look_at_neighbours(struct claimer *c)
{
	struct hub *h = c->session.hub;
	struct store *store = &c->session.store;
	struct store_neighbour *list = NULL;
	struct error err = { "" };
	char worker[UUID_TEXT_SIZE];
	int64_t lease_us;
	enum pg_status status;
	int n = 0;

	hub_lock(h);
	memcpy(worker, h->worker, sizeof(worker));
	lease_us = h->lease_us;
	hub_unlock(h);
	status = session_note(&c->session, "neighbours", worker, store_neighbours(store, worker, &list, &n, &err), &err);
	for (int i = 0; status == PG_DONE && i < n; i++) {
		const struct store_neighbour *other = &list[i];

		if (machine_process_ended(&other->process, &c->self)) {
			status = store_unregister(store, other->worker, &err);
			if (session_note(&c->session, "unregister_worker", worker, status, &err) == PG_DONE)
				log_event(LOG_LEVEL_INFO, "a worker on this machine ended without a word: its runs are taken back",
						  "worker_id", other->label, "worker", other->worker, "pid", LOG_NUM(other->process.pid), NULL);
		} else if (same(other->label, c->settings->worker_id) && other->silent * 1e6 < (double) lease_us) {
			log_event(LOG_LEVEL_WARNING, "another worker has the same WORKER_ID", "worker_id", other->label, "worker",
					  other->worker, "host", other->host, "pid", LOG_NUM(other->process.pid), NULL);
		}
	}
	free(list);
	c->newcomer = status == PG_LOST || status == PG_RETRY;
}

static void
count_claim(struct hub *h, enum pg_status status, const struct batch *batch)
{
	hub_lock(h);
	if (status == PG_DONE) {
		h->metrics.claims++;
		h->metrics.dispatches_asked += (uint64_t) h->inbox.claiming.n;
		h->metrics.dispatches_claimed += batch ? (uint64_t) batch->ndispatches : 0;
		h->metrics.runs_claimed += batch ? (uint64_t) batch->nruns : 0;
	}
	hub_unlock(h);
}

static void
claim(struct claimer *c)
{
	struct hub *h = c->session.hub;
	struct batch *batch = NULL;
	struct error err = { "" };
	enum pg_status status;

	/* Only this thread changes `claiming`, so that it may be read without the lock. */
	status = store_claim(&c->session.store, c->claim_worker, h->inbox.token, &h->inbox.claiming, &batch, &err);
	session_note(&c->session, "claim", c->claim_worker, status, &err);
	if (status == PG_LOST)
		return;
	count_claim(h, status, batch);
	if (batch)
		runs_add(h, batch);		/* before it is settled: the heartbeat sees it in one place or the other */
	hub_lock(h);
	if (status == PG_DONE || status == PG_BAD_DATA)
		inbox_settle(&h->inbox);
	else
		inbox_put_back(&h->inbox);
	hub_check_drained_locked(h);
	hub_unlock(h);
	hub_wake_consumer(h);
}

static void
release(struct claimer *c)
{
	struct error err = { "" };
	enum pg_status status = store_release(&c->session.store, c->stale_worker, c->stale, c->nstale, &err);

	if (session_note(&c->session, "release", c->stale_worker, status, &err) == PG_DONE) {
		log_event(LOG_LEVEL_INFO, "gave back runs that did not start", "runs", LOG_NUM(c->nstale), NULL);
		runs_settle(c->session.hub, c->stale, c->nstale);
		c->nstale = 0;
	}
}

/* The process ends: what it still holds is taken back at once. */
static void
unregister(struct claimer *c)
{
	struct hub *h = c->session.hub;
	char worker[UUID_TEXT_SIZE];
	struct error err = { "" };
	enum pg_status status;

	hub_lock(h);
	memcpy(worker, h->worker, sizeof(worker));
	hub_unlock(h);
	if (!worker[0]) {
		c->farewell = true;
		return;
	}
	c->session.store.pg.retry_at_us = 0;
	if (!pg_connect(&c->session.store.pg))
		return;
	status = store_unregister(&c->session.store, worker, &err);
	if (status != PG_DONE)
		log_event(LOG_LEVEL_WARNING, "unregister_worker failed", "error", err.msg, NULL);
	c->farewell = status == PG_DONE || status == PG_UNKNOWN;
}

static void *
claimer_main(void *arg)
{
	struct claimer *c = arg;
	struct hub *h = c->session.hub;
	enum step step;

	do {
		int64_t until_us;

		hub_busy(h, HUB_CLAIMER, false);
		hub_lock(h);
		while ((step = next_step_locked(c, clock_boottime_us(), &until_us)) == WAIT)
			hub_wait_locked(h, &h->claims, until_us);
		hub_unlock(h);
		hub_busy(h, HUB_CLAIMER, true);

		if (step == FORGET) {
			for (int i = 0; i < c->nstale; i++)
				c->stale[i]->lost = true;
			runs_settle(h, c->stale, c->nstale);
			c->nstale = 0;
		} else if (step != STOP && session_ready(&c->session)) {
			if (step == REGISTER)
				register_worker(c);
			else if (step == LOOK)
				look_at_neighbours(c);
			else if (step == CLAIM)
				claim(c);
			else if (step == RELEASE)
				release(c);
		}
	} while (step != STOP);
	unregister(c);
	hub_busy(h, HUB_CLAIMER, false);
	return NULL;
}

int
claimer_start(struct claimer *c, struct hub *h, const struct settings *settings, struct error *err)
{
	memset(c, 0, sizeof(*c));
	c->settings = settings;
	machine_self(&c->self);
	session_init(&c->session, h, settings->dsn, "claims", METRICS_CLAIMS);
	return thread_start(&c->thread, "claimer", claimer_main, c, err);
}

void
claimer_free(struct claimer *c)
{
	session_free(&c->session);
}
