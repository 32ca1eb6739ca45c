/*
 * runs.c: the runs that this worker holds.
 */
#include "runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hub.h"
#include "log.h"
#include "pool.h"
#include "progress.h"
#include "registry.h"

/*
 * Results of a dispatch that still has runs under way wait this long for company: each part of a dispatch that is
 * finished by itself costs a rewrite of its row.
 */
#define GATHER_US	10000
#define GATHER_MAX	512

static void
list_append(struct run_list *list, struct run *run)
{
	run->next = NULL;
	run->prev = list->tail;
	if (list->tail)
		list->tail->next = run;
	else
		list->head = run;
	list->tail = run;
	list->n++;
}

static void
list_remove(struct run_list *list, struct run *run)
{
	if (run->prev)
		run->prev->next = run->next;
	else
		list->head = run->next;
	if (run->next)
		run->next->prev = run->prev;
	else
		list->tail = run->prev;
	run->next = run->prev = NULL;
	list->n--;
}

int
runs_init(struct runs *r, int threads, double task_timeout, struct error *err)
{
	memset(r, 0, sizeof(*r));
	r->task_timeout = task_timeout;
	r->threads = r->idle = threads;
	r->means = calloc((size_t) registry_count(), sizeof(*r->means));
	return r->means ? 0 : error_set(err, "out of memory");
}

static size_t
outcome_bytes(const struct outcome *out)
{
	return (out->error ? strlen(out->error) : 0) + (out->result ? strlen(out->result) : 0)
		+ (out->artifacts ? strlen(out->artifacts) : 0);
}

void
runs_free_outcome(struct outcome *out)
{
	free(out->error);
	free(out->artifacts);
	if (out->result != out->small)
		free(out->result);
	out->error = out->artifacts = out->result = NULL;
}

struct batch *
batch_new(int nruns, int ndispatches)
{
	size_t runs = (size_t) nruns * sizeof(struct run);
	struct batch *b = calloc(1, sizeof(*b) + runs + (size_t) ndispatches * sizeof(struct dispatch));

	if (!b)
		return NULL;
	b->runs = (struct run *) (b + 1);
	b->nruns = nruns;
	b->dispatches = (struct dispatch *) ((char *) b->runs + runs);
	b->ndispatches = ndispatches;
	return b;
}

void
batch_free(struct batch *b)
{
	for (int i = 0; i < b->nruns; i++)
		runs_free_outcome(&b->runs[i].out);
	if (b->free_memory)
		b->free_memory(b->memory);
	free(b);
}

void
runs_free(struct runs *r)
{
	while (r->held) {
		struct dispatch *d = r->held;

		r->held = d->next;
		if (--d->batch->open == 0)
			batch_free(d->batch);
	}
	free(r->means);
}

/* A run is done with.  Returns its batch when that was the last, for the caller to free. */
static struct batch *
forget_locked(struct hub *h, struct run *run)
{
	struct runs *r = &h->runs;
	struct dispatch *d = run->dispatch;

	if (run->state == RUN_ENDED || run->state == RUN_FINISHING) {
		r->unrecorded--;
		r->unrecorded_bytes -= outcome_bytes(&run->out);
	}
	if (run->state == RUN_RELEASING)
		d->unended--;
	runs_free_outcome(&run->out);
	run->state = RUN_SETTLED;
	if (--d->open > 0)
		return NULL;

	if (d->prev)
		d->prev->next = d->next;
	else
		r->held = d->next;
	if (d->next)
		d->next->prev = d->prev;
	r->nheld--;
	return --d->batch->open > 0 ? NULL : d->batch;
}

/* The run's end is known and waits to be recorded. */
static void
ended_locked(struct hub *h, struct run *run)
{
	struct runs *r = &h->runs;

	run->state = RUN_ENDED;
	list_append(&r->ended, run);
	r->unrecorded++;
	r->unrecorded_bytes += outcome_bytes(&run->out);
	if (r->ended.n == 1)
		r->ended_since_us = run->ended_us;
	if (--run->dispatch->unended == 0)
		r->complete = true;
	if (run->dispatch->unended == 0 || r->ended.n == 1 || r->ended.n == GATHER_MAX)
		pthread_cond_signal(&h->results);
}

void
runs_add(struct hub *h, struct batch *b)
{
	struct runs *r = &h->runs;
	int64_t now_us = clock_boottime_us();

	hub_lock(h);
	b->open = b->ndispatches;
	for (int i = 0; i < b->ndispatches; i++) {
		struct dispatch *d = &b->dispatches[i];
		double seconds = 0;

		d->batch = b;
		d->open = d->unended = d->n;
		d->next = r->held;
		d->prev = NULL;
		if (r->held)
			r->held->prev = d;
		r->held = d;
		r->nheld++;
		for (int n = 0; n < d->n; n++) {
			struct run *run = &d->runs[n];

			run->dispatch = d;
			run->state = RUN_READY;
			run->ready_us = now_us;
			if (run->timeout <= 0)
				run->timeout = r->task_timeout;
			run->expected = run->task < 0 ? 0 : backlog_expected(&r->means[run->task]);
			run->out.retry_us = -1;
			list_append(&r->ready, run);
			seconds += run->expected;
		}
		r->ready_seconds += seconds;
		backlog_mean_add(&r->dispatch_mean, seconds);
	}
	if (b->nruns >= r->idle)
		pthread_cond_broadcast(&h->work);
	else
		for (int i = 0; i < b->nruns; i++)
			pthread_cond_signal(&h->work);
	hub_unlock(h);
}

static void
take_ready_locked(struct runs *r, struct run *run)
{
	list_remove(&r->ready, run);
	r->ready_seconds = r->ready.n ? r->ready_seconds - run->expected : 0;
}

/*
 * Stopped because the lease ran out: neither an end of the job nor a failure.  The database takes the run back by itself,
 * because no heartbeat lists it any more.
 */
static bool
gave_up_lapsed(const struct run *run)
{
	unsigned stop = atomic_load(&run->stop);

	return run->out.end == RUN_CANCELLED && (stop & RUN_STOP_LAPSED) && !(stop & RUN_STOP_CANCELLED);
}

struct run *
runs_next(struct hub *h, struct pool_slot *slot, struct run *ended)
{
	struct runs *r = &h->runs;
	struct batch *garbage = NULL;
	struct run *run = NULL;
	int64_t now_us = ended ? ended->ended_us : clock_boottime_us();

	hub_lock(h);
	if (ended) {
		r->running--;
		r->idle++;
		r->moved_us = now_us;
		ended->slot = NULL;
		progress_forget_locked(r, ended);
		h->metrics.crashes += ended->crashed;
		if (ended->task >= 0 && !atomic_load_explicit(&ended->stop, memory_order_relaxed)) {
			r->news = r->news || !r->means[ended->task].known;
			backlog_mean_add(&r->means[ended->task], (double) (ended->ended_us - ended->started_us) / 1e6);
		}
		if (ended->dispatch->dropped || gave_up_lapsed(ended)) {
			ended->dispatch->unended--;
			h->metrics.stale_results += ended->dispatch->dropped;
			garbage = forget_locked(h, ended);
			hub_check_drained_locked(h);
		} else {
			ended_locked(h, ended);
		}
	}

	while (h->phase < HUB_FLUSHING) {
		if (h->phase == HUB_RUNNING && r->ready.head && hub_lease_fresh_locked(h, now_us)) {
			run = r->ready.head;
			take_ready_locked(r, run);
			run->state = RUN_RUNNING;
			run->slot = slot;
			run->started_us = now_us;
			run->deadline_us = run->timeout > 0 ? now_us + (int64_t) (run->timeout * 1e6) : INT64_MAX;
			r->idle--;
			r->running++;
			r->moved_us = now_us;
			hub_resume_locked(h, now_us);
			break;
		}
		hub_resume_locked(h, now_us);
		hub_wait_locked(h, &h->work, INT64_MAX);
		now_us = clock_boottime_us();
	}
	hub_unlock(h);

	if (garbage)
		batch_free(garbage);
	return run;
}

int64_t
runs_due_locked(const struct runs *r)
{
	if (r->ended.n == 0)
		return INT64_MAX;
	return r->complete || r->ended.n >= GATHER_MAX ? 0 : r->ended_since_us + GATHER_US;
}

int
runs_take_ended_locked(struct runs *r, struct run **out, int max, size_t max_bytes)
{
	size_t bytes = 0;
	int n = 0;

	while (r->ended.head && n < max && (n == 0 || bytes < max_bytes)) {
		struct run *run = r->ended.head;

		list_remove(&r->ended, run);
		run->state = RUN_FINISHING;
		bytes += outcome_bytes(&run->out);
		out[n++] = run;
	}
	if (r->ended.n == 0)
		r->complete = false;
	return n;
}

int
runs_take_stale_locked(struct runs *r, struct run **out, int max, int64_t before_us)
{
	int n = 0;

	while (r->ready.head && n < max && r->ready.head->ready_us <= before_us) {
		struct run *run = r->ready.head;

		take_ready_locked(r, run);
		run->state = RUN_RELEASING;
		out[n++] = run;
	}
	return n;
}

static void
count_locked(struct metrics *m, const struct run *run)
{
	if (run->state == RUN_FINISHING && run->lost)
		m->stale_results++;
	else if (run->state == RUN_FINISHING)
		metrics_recorded_locked(m, run);
	else if (!run->lost)
		m->runs_released++;
}

void
runs_settle(struct hub *h, struct run **list, int n)
{
	hub_lock(h);
	for (int i = 0; i < n; i++) {
		struct batch *garbage;

		count_locked(&h->metrics, list[i]);
		garbage = forget_locked(h, list[i]);
		if (garbage)
			batch_free(garbage);
	}
	hub_resume_locked(h, clock_boottime_us());
	hub_check_drained_locked(h);
	hub_unlock(h);
}

void
runs_replace_outcome(struct hub *h, struct run *run, const char *reason, char *error)
{
	struct outcome *out = &run->out;

	hub_lock(h);
	h->runs.unrecorded_bytes -= outcome_bytes(out);
	runs_free_outcome(out);
	out->end = RUN_PERMANENT;
	out->error = error;
	out->retry_us = -1;
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	h->runs.unrecorded_bytes += outcome_bytes(out);
	hub_unlock(h);
}

static struct dispatch *
find_locked(struct runs *r, const char *dispatch, const char *token)
{
	for (struct dispatch *d = r->held; d; d = d->next) {
		if (strcmp(d->id, dispatch) == 0 && strcmp(d->token, token) == 0)
			return d;
	}
	return NULL;
}

static void
stop_locked(struct run *run, enum run_stop why)
{
	atomic_fetch_or(&run->stop, (unsigned) why);
	if (run->slot)
		pool_wake(run->slot);
}

void
runs_cancel(struct hub *h, const char *dispatch, const char *token, int index)
{
	struct dispatch *d;

	hub_lock(h);
	d = find_locked(&h->runs, dispatch, token);
	for (int i = 0; d && i < d->n; i++) {
		struct run *run = &d->runs[i];

		if (run->index != index)
			continue;
		if (run->state == RUN_READY) {
			take_ready_locked(&h->runs, run);
			run->out.end = RUN_CANCELLED;
			run->ended_us = clock_boottime_us();
			ended_locked(h, run);
		} else if (run->state == RUN_RUNNING) {
			if (!(atomic_load(&run->stop) & RUN_STOP_CANCELLED))
				h->metrics.cancels++;
			stop_locked(run, RUN_STOP_CANCELLED);
		}
	}
	hub_unlock(h);
}

/*
 * Runs that nobody works on are forgotten; running tasks are told to stop and are forgotten when they end; those in an
 * unanswered finish or release when the answer comes.
 */
static void
drop_locked(struct hub *h, struct dispatch *d)
{
	struct runs *r = &h->runs;
	struct batch *garbage = NULL;

	if (d->dropped)
		return;
	d->dropped = true;
	for (int i = 0, n = d->n; i < n && !garbage; i++) {
		struct run *run = &d->runs[i];

		switch (run->state) {
		case RUN_READY:
			take_ready_locked(r, run);
			run->state = RUN_RELEASING;
			garbage = forget_locked(h, run);
			break;
		case RUN_ENDED:
			list_remove(&r->ended, run);
			h->metrics.stale_results++;
			garbage = forget_locked(h, run);
			break;
		case RUN_RUNNING:
			stop_locked(run, RUN_STOP_DROPPED);
			break;
		case RUN_RELEASING:
		case RUN_FINISHING:
		case RUN_SETTLED:
			break;
		}
	}
	if (r->ended.n == 0)
		r->complete = false;
	if (garbage)
		batch_free(garbage);
}

void
runs_drop(struct hub *h, const char *dispatch, const char *token)
{
	struct dispatch *d;

	hub_lock(h);
	d = find_locked(&h->runs, dispatch, token);
	if (d && !d->dropped) {
		log_event(LOG_LEVEL_WARNING, "dispatch is not this worker's any more", "dispatch", dispatch, "runs",
				  LOG_NUM(d->open), NULL);
		drop_locked(h, d);
	}
	hub_check_drained_locked(h);
	hub_unlock(h);
}

void
runs_drop_all_locked(struct hub *h)
{
	struct dispatch *next;

	for (struct dispatch *d = h->runs.held; d; d = next) {
		next = d->next;
		drop_locked(h, d);
	}
	hub_check_drained_locked(h);
}

void
runs_lapse_locked(struct hub *h)
{
	for (struct dispatch *d = h->runs.held; d; d = d->next) {
		for (int i = 0; i < d->n; i++) {
			if (d->runs[i].state == RUN_RUNNING)
				stop_locked(&d->runs[i], RUN_STOP_LAPSED);
		}
	}
}
