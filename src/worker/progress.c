/*
 * progress.c: what running tasks say about how far they are.
 */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub.h"
#include "log.h"

static void
remove_locked(struct runs *r, struct run_progress *p)
{
	if (!p->waiting)
		return;
	if (p->prev)
		p->prev->next = p->next;
	else
		r->reported = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->waiting = false;
}

static void
add_locked(struct runs *r, struct run_progress *p)
{
	if (p->waiting)
		return;
	p->prev = NULL;
	p->next = r->reported;
	if (r->reported)
		r->reported->prev = p;
	r->reported = p;
	p->waiting = true;
}

void
progress_report(struct hub *h, struct run *run, double percent, const char *text)
{
	char number[32];

	if (!h) {
		snprintf(number, sizeof(number), "%.4g", percent);
		log_event(LOG_LEVEL_INFO, "progress", "name", run->name, "percent", percent < 0 ? NULL : number, "text",
		        text, NULL);
		return;
	}
	hub_lock(h);
	if (!run->progress)
		run->progress = calloc(1, sizeof(*run->progress));
	if (run->progress) {
		bool first = !h->runs.reported;

		run->progress->run = run;
		run->progress->percent = percent;
		snprintf(run->progress->text, sizeof(run->progress->text), "%s", text ? text : "");
		add_locked(&h->runs, run->progress);
		if (first)
			pthread_cond_signal(&h->results);
	}
	hub_unlock(h);
}

int
progress_take_locked(struct runs *r, struct progress_report *out)
{
	int n = 0;

	while (r->reported && n < PROGRESS_MAX) {
		struct run_progress *p = r->reported;
		struct progress_report *to = &out[n];

		remove_locked(r, p);
		if (p->run->dispatch->dropped)
			continue;
		memcpy(to->dispatch, p->run->dispatch->id, sizeof(to->dispatch));
		memcpy(to->token, p->run->dispatch->token, sizeof(to->token));
		to->run = p->run->index;
		to->percent = p->percent;
		memcpy(to->text, p->text, sizeof(to->text));
		n++;
	}
	return n;
}

void
progress_forget_locked(struct runs *r, struct run *run)
{
	if (!run->progress)
		return;
	remove_locked(r, run->progress);
	free(run->progress);
	run->progress = NULL;
}
