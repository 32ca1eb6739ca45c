/*
 * finisher.c: the thread that records how runs ended, and keeps the lease.
 *
 * One call is under way at a time and carries all that ended meanwhile.  When its answer is lost the very same call is
 * repeated after a heartbeat; the claim token decides then, so that results wait in memory for as long as it takes.
 */
#include "finisher.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "registry.h"
#include "thread.h"

#define PROGRESS_US	CLOCK_US_PER_SECOND			/* shortest time between reports of progress */
#define NEWS_US		(CLOCK_US_PER_SECOND / 5)	/* shortest time between heartbeats that bring news or ask for orders */

enum step { WAIT, CONNECT, BEAT, FINISH, PROGRESS, FORGET, STOP };

/* ---- heartbeat ---- */

/* All that is held or being claimed.  The worker's id into `worker`; their number, or -1 when out of memory. */
static int
list_pairs(struct finisher *f, char *worker)
{
	struct hub *h = f->session.hub;
	int n = 0, need;

	hub_lock(h);
	memcpy(worker, h->worker, sizeof(h->worker));
	need = h->runs.nheld + h->inbox.claiming.n;
	if (need > f->pairs_size) {
		struct store_pair *more = realloc(f->pairs, (size_t) need * 2 * sizeof(struct store_pair));

		if (!more) {
			hub_unlock(h);
			return -1;
		}
		f->pairs = more;
		f->pairs_size = need * 2;
	}
	for (const struct dispatch *d = h->runs.held; d; d = d->next) {
		if (d->dropped)
			continue;
		memcpy(f->pairs[n].dispatch, d->id, UUID_TEXT_SIZE);
		memcpy(f->pairs[n].token, d->token, UUID_TEXT_SIZE);
		f->pairs[n++].claiming = false;
	}
	for (const struct delivery *d = h->inbox.claiming.head; d; d = d->next) {
		memcpy(f->pairs[n].dispatch, d->dispatch, UUID_TEXT_SIZE);
		memcpy(f->pairs[n].token, h->inbox.token, UUID_TEXT_SIZE);
		f->pairs[n++].claiming = true;
	}
	hub_unlock(h);
	return n;
}

/* {"running": 3, "waiting": 10, "means": {"echo": 0.000012}}; malloc'ed, NULL when out of memory. */
static char *
describe_load(struct hub *h)
{
	json_t *means = json_object(), *load;
	char *text;

	hub_lock(h);
	for (int i = 0; i < registry_count(); i++) {
		if (h->runs.means[i].known)
			json_object_set_new(means, registry_get(i)->name, json_real(h->runs.means[i].seconds));
	}
	h->runs.news = false;
	load = json_pack("{s:i, s:i, s:o}", "running", h->runs.running, "waiting", h->runs.ready.n, "means", means);
	hub_unlock(h);
	text = load ? json_dumps(load, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
	json_decref(load);
	return text;
}

static void
obey(struct hub *h, const struct store_command *command)
{
	const struct store_pair *pair = command->pair;

	if (command->run >= 0)
		runs_cancel(h, pair->dispatch, pair->token, command->run);
	else if (!pair->claiming)	/* its claim was unanswered when this was asked: it may have been claimed since */
		runs_drop(h, pair->dispatch, pair->token);
}

static void
beat(struct finisher *f)
{
	struct hub *h = f->session.hub;
	char worker[UUID_TEXT_SIZE];
	struct store_command *commands = NULL;
	int ncommands = 0, npairs = list_pairs(f, worker);
	int64_t sent_us = clock_boottime_us(), lease_us = 0, every_us;
	struct error err = { "" };
	enum pg_status status;
	char *load = describe_load(h);

	hub_lock(h);
	h->orders = false;
	every_us = (int64_t) (f->settings->heartbeat * 1e6);
	if (h->lease_us > 0 && every_us > h->lease_us / 3)
		every_us = h->lease_us / 3;
	hub_unlock(h);
	f->beat_at_us = sent_us + every_us;
	f->news_at_us = sent_us + NEWS_US;
	if (npairs < 0 || !load) {
		error_set(&err, "out of memory");
		status = PG_RETRY;
	} else {
		status = store_heartbeat(&f->session.store, worker, f->pairs, npairs, load, &lease_us, &commands, &ncommands,
								 &err);
	}
	if (status == PG_BAD_DATA)
		status = PG_REFUSED;
	if (session_note(&f->session, "heartbeat", worker, status, &err) == PG_DONE) {
		hub_beat(h, worker, sent_us, lease_us);
		for (int i = 0; i < ncommands; i++)
			obey(h, &commands[i]);
	}
	free(commands);
	free(load);
}

/* ---- finish ---- */

/* The first n of pending are done with. */
static void
settle(struct finisher *f, int n)
{
	runs_settle(f->session.hub, f->pending, n);
	memmove(f->pending, f->pending + n, (size_t) (f->npending - n) * sizeof(struct run *));
	f->npending -= n;
}

/* The database cannot store what this run left: that is its end. */
static void
reject(struct finisher *f, struct run *run, const struct error *why)
{
	char *text = NULL;

	if (asprintf(&text, "the database refuses the result: %s", why->msg) < 0)
		text = NULL;
	runs_replace_outcome(f->session.hub, run, "result_rejected", text);
}

/* One run of the batch cannot be stored, so each is sent alone: the others are recorded, the bad one fails. */
static void
finish_each(struct finisher *f)
{
	while (f->npending > 0) {
		struct error err = { "" };
		int lost = 0;
		enum pg_status status = store_finish(&f->session.store, f->pending_worker, f->pending, 1, &lost, &err);

		if (status == PG_BAD_DATA) {
			reject(f, f->pending[0], &err);
			status = store_finish(&f->session.store, f->pending_worker, f->pending, 1, &lost, &err);
		}
		session_note(&f->session, "finish", f->pending_worker, status, &err);
		if (status != PG_DONE && status != PG_BAD_DATA)
			return;
		settle(f, 1);
	}
}

static void
finish(struct finisher *f)
{
	struct error err = { "" };
	int lost = 0;
	enum pg_status status = store_finish(&f->session.store, f->pending_worker, f->pending, f->npending, &lost, &err);

	session_note(&f->session, "finish", f->pending_worker, status, &err);
	if (status == PG_BAD_DATA)
		finish_each(f);
	if (status != PG_DONE)
		return;
	if (lost > 0)
		log_event(LOG_LEVEL_WARNING, "results were not recorded, the runs had been taken over", "runs", LOG_NUM(lost),
				  NULL);
	settle(f, f->npending);
}

/* What fails is not sent again: the next report is newer. */
static void
report_progress(struct finisher *f)
{
	struct error err = { "" };
	enum pg_status status = store_progress(&f->session.store, f->pending_worker, f->progress, f->nprogress, &err);

	session_note(&f->session, "report_progress", f->pending_worker, status, &err);
}

/* ---- the thread ---- */

static enum step
next_step_locked(struct finisher *f, int64_t now_us, int64_t *until_us)
{
	struct hub *h = f->session.hub;
	int64_t due_us = runs_due_locked(&h->runs);
	bool hurry = h->runs.news || h->orders;
	int64_t beat_at_us = hurry && f->news_at_us < f->beat_at_us ? f->news_at_us : f->beat_at_us;

	*until_us = INT64_MAX;
	if (h->phase == HUB_CLOSING || (h->phase == HUB_FLUSHING && f->npending == 0 && h->runs.ended.n == 0))
		return STOP;
	if (f->npending > 0 && strcmp(f->pending_worker, h->worker) != 0)
		return FORGET;
	if (now_us < session_blocked_until(&f->session)) {
		*until_us = session_blocked_until(&f->session);
		return WAIT;
	}
	if (!pg_connected(&f->session.store.pg))
		return CONNECT;
	if (!h->worker[0])
		return WAIT;
	if (now_us >= beat_at_us || h->beat_us <= h->lost_us)
		return BEAT;
	if (f->npending > 0)
		return FINISH;
	if (due_us <= now_us || (h->phase == HUB_FLUSHING && h->runs.ended.n > 0)) {
		f->npending = runs_take_ended_locked(&h->runs, f->pending, FINISHER_RUNS_MAX, FINISHER_BYTES_MAX);
		memcpy(f->pending_worker, h->worker, sizeof(f->pending_worker));
		return FINISH;
	}
	*until_us = due_us < beat_at_us ? due_us : beat_at_us;
	if (h->runs.reported && now_us >= f->progress_at_us) {
		f->nprogress = progress_take_locked(&h->runs, f->progress);
		f->progress_at_us = now_us + PROGRESS_US;
		memcpy(f->pending_worker, h->worker, sizeof(f->pending_worker));
		return f->nprogress > 0 ? PROGRESS : WAIT;
	}
	if (h->runs.reported && f->progress_at_us < *until_us)
		*until_us = f->progress_at_us;
	return WAIT;
}

static void *
finisher_main(void *arg)
{
	struct finisher *f = arg;
	struct hub *h = f->session.hub;
	enum step step;

	do {
		int64_t until_us;

		hub_busy(h, HUB_FINISHER, false);
		hub_lock(h);
		while ((step = next_step_locked(f, clock_boottime_us(), &until_us)) == WAIT)
			hub_wait_locked(h, &h->results, until_us);
		hub_unlock(h);
		hub_busy(h, HUB_FINISHER, true);

		if (step == FORGET) {
			for (int i = 0; i < f->npending; i++)
				f->pending[i]->lost = true;
			settle(f, f->npending);
		} else if (step != STOP && session_ready(&f->session)) {
			if (step == BEAT)
				beat(f);
			else if (step == FINISH)
				finish(f);
			else if (step == PROGRESS)
				report_progress(f);
		}
	} while (step != STOP);
	hub_busy(h, HUB_FINISHER, false);
	return NULL;
}

int
finisher_start(struct finisher *f, struct hub *h, const struct settings *settings, struct error *err)
{
	memset(f, 0, sizeof(*f));
	f->settings = settings;
	session_init(&f->session, h, settings->dsn, "results", METRICS_RESULTS);
	return thread_start(&f->thread, "finisher", finisher_main, f, err);
}

void
finisher_free(struct finisher *f)
{
	session_free(&f->session);
	free(f->pairs);
}
