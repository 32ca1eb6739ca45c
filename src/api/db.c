/*
 * db.c: the queue of calls and the pool of connections.
 *
 * A call's time is divided so that its outcome is nearly always known when the time is over: it may wait for a free
 * connection for 40 % of it, and the server ends the statement by itself after 50 % (statement_timeout).  Only when
 * even that brings no answer is the connection dropped and the outcome unknown.
 *
 * While no connection is up one of them keeps trying, the others follow when it has come through; calls fail at once as
 * soon as an attempt has failed.
 */
#include "db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "db_internal.h"

#define WAIT_SHARE 0.4
#define STATEMENT_SHARE 0.5

int64_t
db_statement_timeout_us(const struct db *db)
{
	return (int64_t) ((double) db->timeout_us * STATEMENT_SHARE);
}

void
db_call_finish(struct db_call *call, const struct db_answer *answer)
{
	call->done(call, answer);
}

static void
refuse(struct db_call *call, const char *why)
{
	struct db_answer answer = {.outcome = DB_UNAVAILABLE, .message = why};

	db_call_finish(call, &answer);
}

static void
queue_arm(struct db *db)
{
	struct db_call *first = TAILQ_FIRST(&db->queue);
	struct timeval wait = {0, 0};
	int64_t left;

	if (!first) {
		event_del(db->queue_timer);
		return;
	}
	left = first->queued_us + (int64_t) ((double) db->timeout_us * WAIT_SHARE) - clock_boottime_us();
	if (left > 0) {
		wait.tv_sec = left / CLOCK_US_PER_SECOND;
		wait.tv_usec = left % CLOCK_US_PER_SECOND;
	}
	event_add(db->queue_timer, &wait);
}

/* Handlers of refused calls may send new ones: what is in the queue now is taken out first. */
static void
queue_refuse(struct db *db, int64_t queued_before_us, const char *why)
{
	struct db_calls refused = TAILQ_HEAD_INITIALIZER(refused);
	struct db_call *call;

	while ((call = TAILQ_FIRST(&db->queue)) != NULL && call->queued_us <= queued_before_us) {
		TAILQ_REMOVE(&db->queue, call, link);
		TAILQ_INSERT_TAIL(&refused, call, link);
	}
	queue_arm(db);
	while ((call = TAILQ_FIRST(&refused)) != NULL) {
		TAILQ_REMOVE(&refused, call, link);
		refuse(call, why);
	}
}

static void
on_queue_timer(evutil_socket_t fd, short what, void *arg)
{
	struct db *db = arg;

	(void) fd;
	(void) what;
	queue_refuse(db, clock_boottime_us() - (int64_t) ((double) db->timeout_us * WAIT_SHARE),
	        db_is_up(db, NULL) ? "all connections to the database are busy" : "no connection to the database yet");
}

static struct db_conn *
find_conn(struct db *db, enum conn_state state)
{
	for (int i = 0; i < db->n_conns; i++) {
		if (db->conns[i].state == state)
			return &db->conns[i];
	}
	return NULL;
}

static int
count_up(const struct db *db)
{
	int up = 0;

	for (int i = 0; i < db->n_conns; i++) {
		if (db_conn_is_up(&db->conns[i]))
			up++;
	}
	return up;
}

bool
db_is_up(const struct db *db, const char **reason)
{
	if (reason)
		*reason = db->reason;
	return count_up(db) > 0;
}

void
db_call_send(struct db *db, struct db_call *call)
{
	struct db_conn *conn;

	if (db->closing || db->failed) {
		refuse(call, db->closing ? "the API is stopping" : "no connection to the database");
		return;
	}
	call->queued_us = clock_boottime_us();
	call->deadline_us = call->queued_us + db->timeout_us;

	/* A free connection and calls that wait never exist together. */
	conn = find_conn(db, CONN_IDLE);
	if (conn) {
		db_conn_execute(conn, call);
		return;
	}
	TAILQ_INSERT_TAIL(&db->queue, call, link);
	if (TAILQ_FIRST(&db->queue) == call)
		queue_arm(db);
}

void
db_conn_ready(struct db_conn *conn)
{
	struct db *db = conn->db;
	struct db_call *call;

	db->failed = false;
	if (!db->announced_up) {
		const char *host = PQhost(conn->pg);

		log_event(LOG_LEVEL_INFO, "database connected", "host", host, "port", PQport(conn->pg), "dbname",
		        PQdb(conn->pg), "user", PQuser(conn->pg), NULL);
		db->announced_up = true;
		for (int i = 0; i < db->n_conns; i++) {
			if (db->conns[i].state == CONN_DOWN)
				db_conn_start(&db->conns[i]);
		}
	}
	call = TAILQ_FIRST(&db->queue);
	if (call) {
		TAILQ_REMOVE(&db->queue, call, link);
		queue_arm(db);
		db_conn_execute(conn, call);
	}
}

/* The first line that says something; libpq joins a line for every address it has tried. */
static void
remember_reason(struct db *db, const char *reason)
{
	size_t n;

	reason += strspn(reason, " \t\r\n");
	n = strcspn(reason, "\r\n");
	snprintf(db->reason, sizeof(db->reason), "%.*s", (int) (n < 500 ? n : 500), reason);
}

void
db_conn_failed(struct db_conn *conn, const char *reason, bool was_up)
{
	struct db *db = conn->db;
	char before[sizeof(db->reason)];
	bool trying = false;

	if (db->closing)
		return;
	memcpy(before, db->reason, sizeof(before));
	remember_reason(db, reason);

	if (count_up(db) > 0) {
		log_event(LOG_LEVEL_DEBUG, "database connection failed", "number", LOG_NUM(conn->number), "reason",
		        db->reason, NULL);
		db_conn_retry_after(conn, backoff_next_us(&conn->backoff, backoff_random()));
		return;
	}

	if (db->announced_up) {
		log_event(LOG_LEVEL_ERROR, "database lost", "reason", db->reason, NULL);
		db->announced_up = false;
	} else if (!was_up && (!db->failed || strcmp(before, db->reason) != 0)) {
		log_event(LOG_LEVEL_ERROR, "database unavailable", "reason", db->reason, NULL);
	}

	for (int i = 0; i < db->n_conns; i++) {
		struct db_conn *other = &db->conns[i];

		if (other != conn && (other->state != CONN_DOWN || event_pending(other->timer, EV_TIMEOUT, NULL)))
			trying = true;
	}
	if (!trying)
		db_conn_retry_after(conn, backoff_next_us(&conn->backoff, backoff_random()));
	/* A server that has only dropped its sessions is back with the first attempt: calls may wait for that one. */
	if (was_up)
		return;
	db->failed = true;
	queue_refuse(db, INT64_MAX, "no connection to the database");
}

struct db *
db_new(struct event_base *base, const struct db_options *options, struct error *err)
{
	struct db *db = calloc(1, sizeof(*db));
	PQconninfoOption *parsed;
	char *problem = NULL;

	/* Looked at here for the message only; it may hold a password, which libpq's message could quote. */
	parsed = PQconninfoParse(options->conninfo, &problem);
	PQfreemem(problem);
	if (!parsed) {
		free(db);
		error_set(err,
		        "DATABASE_URL cannot be understood (its value is not shown); allowed: "
		        "postgresql://user:password"
		        "@host:port/database with percent-encoded parts, or libpq's keyword=value form");
		return NULL;
	}
	PQconninfoFree(parsed);

	if (db) {
		TAILQ_INIT(&db->queue);
		db->base = base;
		db->timeout_us = (int64_t) (options->timeout * 1e6);
		db->conninfo = strdup(options->conninfo);
		db->queue_timer = event_new(base, -1, 0, on_queue_timer, db);
		db->conns = calloc((size_t) options->connections, sizeof(struct db_conn));
	}
	if (!db || !db->conninfo || !db->queue_timer || !db->conns)
		goto no_memory;
	for (; db->n_conns < options->connections; db->n_conns++) {
		if (db_conn_init(&db->conns[db->n_conns], db, db->n_conns) < 0)
			goto no_memory;
	}
	db_conn_start(&db->conns[0]);
	return db;

no_memory:
	error_set(err, "out of memory");
	db_free(db);
	return NULL;
}

void
db_free(struct db *db)
{
	if (!db)
		return;
	db->closing = true;
	if (db->queue_timer) {
		queue_refuse(db, INT64_MAX, "the API is stopping");
		for (int i = 0; i < db->n_conns; i++)
			db_conn_close(&db->conns[i]);
		event_free(db->queue_timer);
	}
	free(db->conns);
	free(db->conninfo);
	free(db);
}
