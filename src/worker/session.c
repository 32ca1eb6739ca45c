/*
 * session.c: what the two threads with a database connection have in common.
 */
#include "session.h"

#include <string.h>

#include "clock.h"
#include "log.h"

void
session_init(struct session *s, struct hub *h, const char *dsn, const char *purpose, enum metrics_link link)
{
	memset(s, 0, sizeof(*s));
	s->hub = h;
	s->link = link;
	s->backoff.base_us = CLOCK_US_PER_SECOND / 10;
	s->backoff.max_us = 5 * CLOCK_US_PER_SECOND;
	store_init(&s->store, dsn, purpose);
}

void
session_free(struct session *s)
{
	store_free(&s->store);
}

int64_t
session_blocked_until(const struct session *s)
{
	if (!pg_connected(&s->store.pg) && s->store.pg.retry_at_us > s->pause_until_us)
		return s->store.pg.retry_at_us;
	return s->pause_until_us;
}

static void
set_up(struct session *s, bool up)
{
	if (s->up != up)
		hub_link(s->hub, s->link, up);
	s->up = up;
}

static void
lost(struct session *s)
{
	set_up(s, false);
	hub_database_lost(s->hub);
}

bool
session_ready(struct session *s)
{
	int64_t lease_us;

	hub_lock(s->hub);
	lease_us = s->hub->lease_us;
	hub_unlock(s->hub);
	/* After a start of the server leases are respected for one lease: the worker must be back by then. */
	if (lease_us > 0)
		pg_set_patience(&s->store.pg, lease_us / 4);
	if (!pg_connect(&s->store.pg))
		return false;
	if (lease_us > 0 && s->store.pg.limit_us != lease_us / 3 && pg_set_limit(&s->store.pg, lease_us / 3) < 0) {
		lost(s);
		return false;
	}
	set_up(s, true);
	return true;
}

enum pg_status
session_note(struct session *s, const char *call, const char *worker, enum pg_status status, const struct error *err)
{
	switch (status) {
	case PG_DONE:
		if (s->trouble != PG_DONE)
			log_event(LOG_LEVEL_INFO, "database answers again", "call", call, NULL);
		s->trouble = PG_DONE;
		backoff_reset(&s->backoff);
		return status;
	case PG_LOST:			/* pg.c has logged it */
		lost(s);
		return status;
	case PG_UNKNOWN:
		hub_unregistered(s->hub, worker);
		return status;
	case PG_BAD_DATA:		/* the caller's affair */
		log_event(LOG_LEVEL_ERROR, "database refuses a value", "call", call, "error", err->msg, NULL);
		return status;
	case PG_NOT_ADOPTED:
	case PG_RETRY:
	case PG_REFUSED:
		if (s->trouble != status)
			log_event(LOG_LEVEL_ERROR, "database refuses, trying again for ever", "call", call, "error", err->msg,
					  NULL);
		s->trouble = status;
		s->pause_until_us = clock_boottime_us() + backoff_next_us(&s->backoff, backoff_random());
		return status;
	}
	return status;
}
