/*
 * session.h: what the two threads with a database connection have in common: when to try again, and what to do about
 * errors.
 */
#ifndef JOBSCHED_WORKER_SESSION_H
#define JOBSCHED_WORKER_SESSION_H

#include "hub.h"
#include "store.h"

struct session {
	struct hub *hub;
	struct store store;
	enum metrics_link link;
	bool up;					/* the hub knows that it is connected */
	int64_t pause_until_us;		/* after an error: nothing is sent before */
	struct backoff backoff;
	enum pg_status trouble;		/* the last error, so that it is logged once */
};

void session_init(struct session *s, struct hub *h, const char *dsn, const char *purpose, enum metrics_link link);
void session_free(struct session *s);

/* Nothing can be sent before this time; 0: now. */
int64_t session_blocked_until(const struct session *s);

/* Connects if need be, and keeps the server's limit for a statement at a third of the lease; false: not now. */
bool session_ready(struct session *s);

/* After every call: logs an error once, waits before the next when it makes sense, tells the hub.  Returns status. */
enum pg_status session_note(struct session *s, const char *call, const char *worker, enum pg_status status,
							const struct error *err);

#endif
