/*
 * db.c: the queues of calls and the pool of connections.
 *
 * Calls gather only while there is no connection for them: an idle one takes at once whatever the clients have sent by
 * then, which is all that the loop has read before it waits again.
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
#define GROUP_LOCK_SHARE 0.1
#define GROUP_BYTES (4 * 1024 * 1024) /* of a group's calls: more saves nothing, and the server takes 1 GiB at most */

int64_t
db_statement_timeout_us(const struct db *db)
{
	return (int64_t) ((double) db->timeout_us * STATEMENT_SHARE);
}

void
db_calls_finish(struct db_calls *calls, const struct db_answer *answer)
{
	struct db_call *call;

	while ((call = TAILQ_FIRST(calls)) != NULL) {
		TAILQ_REMOVE(calls, call, link);
		call->done(call, answer);
	}
}

static void
refuse(struct db_calls *calls, const char *why)
{
	struct db_answer answer = {.outcome = DB_UNAVAILABLE, .message = why};

	db_calls_finish(calls, &answer);
}

/* The oldest of the queued calls; NULL when there are none. */
static struct db_call *
queue_oldest(const struct db *db)
{
	struct db_call *oldest = NULL;

	for (int i = 0; i < DB_STATEMENTS; i++) {
		struct db_call *first = TAILQ_FIRST(&db->queues[i]);

		if (first && (!oldest || first->queued_us < oldest->queued_us))
			oldest = first;
	}
	return oldest;
}

static int64_t
queue_wait_us(const struct db *db)
{
	return (int64_t) ((double) db->timeout_us * WAIT_SHARE);
}

static void
queue_arm(struct db *db)
{
	const struct db_call *first = queue_oldest(db);
	struct timeval wait = {0, 0};
	int64_t left;

	if (!first) {
		event_del(db->queue_timer);
		return;
	}
	left = first->queued_us + queue_wait_us(db) - clock_boottime_us();
	if (left > 0) {
		wait.tv_sec = left / CLOCK_US_PER_SECOND;
		wait.tv_usec = left % CLOCK_US_PER_SECOND;
	}
	event_add(db->queue_timer, &wait);
}

/* Handlers of refused calls may send new ones: what is in the queues now is taken out first. */
static void
queue_refuse(struct db *db, int64_t queued_before_us, const char *why)
{
	struct db_calls refused = TAILQ_HEAD_INITIALIZER(refused);
	struct db_call *call;

	while ((call = queue_oldest(db)) != NULL && call->queued_us <= queued_before_us) {
		TAILQ_REMOVE(&db->queues[call->statement], call, link);
		TAILQ_INSERT_TAIL(&refused, call, link);
	}
	queue_arm(db);
	refuse(&refused, why);
}

static void
on_queue_timer(evutil_socket_t fd, short what, void *arg)
{
	struct db *db = arg;

	(void) fd;
	(void) what;
	queue_refuse(db, clock_boottime_us() - queue_wait_us(db),
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
db_count(const struct db *db, struct db_counts *counts)
{
	const struct db_call *call;

	memset(counts, 0, sizeof(*counts));
	counts->up = count_up(db);
	for (int i = 0; i < DB_STATEMENTS; i++) {
		TAILQ_FOREACH(call, &db->queues[i], link)
		{
			counts->waiting++;
		}
		counts->statements[i] = db->n_executions[i];
		counts->calls[i] = db->n_calls[i];
	}
}

static int
count_groups(const struct db *db, enum db_statement statement)
{
	int n = 0;

	for (int i = 0; i < db->n_conns; i++) {
		const struct db_conn *conn = &db->conns[i];
		const struct db_call *first = TAILQ_FIRST(&conn->calls);

		if (first && conn->statement == statement && !first->alone)
			n++;
	}
	return n;
}

/* The call that has waited longest among those that may go now. */
static struct db_call *
next_call(const struct db *db)
{
	struct db_call *next = NULL;

	for (int i = 0; i < DB_STATEMENTS; i++) {
		struct db_call *first = TAILQ_FIRST(&db->queues[i]);

		if (first && (!next || first->queued_us < next->queued_us) &&
		        (first->alone || count_groups(db, first->statement) < db_statement_lanes(first->statement)))
			next = first;
	}
	return next;
}

/* Keyed calls lock their keys in the order of the keys, so that no two groups wait for each other. */
static void
insert_by_key(struct db_calls *calls, struct db_call *call)
{
	struct db_call *before = TAILQ_LAST(calls, db_calls);

	while (before && strcmp(before->key, call->key) > 0)
		before = TAILQ_PREV(before, db_calls, link);
	if (before)
		TAILQ_INSERT_AFTER(calls, before, call, link);
	else
		TAILQ_INSERT_HEAD(calls, call, link);
}

/* Takes `first` from its queue, with those that can go with it. */
static void
take_group(struct db *db, struct db_call *first, struct db_conn *conn)
{
	enum db_statement statement = first->statement;
	int most = first->alone ? 1 : db_statement_group(statement);
	struct db_call *call;
	size_t bytes = 0;

	conn->statement = statement;
	conn->deadline_us = first->deadline_us;
	for (conn->n_calls = 0; conn->n_calls < most; conn->n_calls++) {
		call = TAILQ_FIRST(&db->queues[statement]);
		if (!call || (call->alone && call != first))
			break;
		bytes += call->param.len;
		if (conn->n_calls > 0 && bytes > GROUP_BYTES)
			break;
		TAILQ_REMOVE(&db->queues[statement], call, link);
		if (statement == DB_SUBMIT_KEYED)
			insert_by_key(&conn->calls, call);
		else
			TAILQ_INSERT_TAIL(&conn->calls, call, link);
	}
}

/* Sends what can be sent. */
static void
dispatch(struct db *db)
{
	struct db_conn *conn;
	struct db_call *first;

	while ((conn = find_conn(db, CONN_IDLE)) != NULL && (first = next_call(db)) != NULL) {
		take_group(db, first, conn);
		db->n_executions[conn->statement]++;
		db->n_calls[conn->statement] += (uint64_t) conn->n_calls;
		queue_arm(db);
		db_conn_execute(conn);
	}
}

static void
on_dispatch(evutil_socket_t fd, short what, void *arg)
{
	(void) fd;
	(void) what;
	dispatch(arg);
}

void
db_call_send(struct db *db, struct db_call *call)
{
	struct db_calls *queue = &db->queues[call->statement];

	if (db->closing || db->failed) {
		struct db_answer answer = {.outcome = DB_UNAVAILABLE,
		        .message = db->closing ? "the API is stopping" : "no connection to the database"};

		call->done(call, &answer);
		return;
	}
	call->queued_us = clock_boottime_us();
	call->deadline_us = call->queued_us + db->timeout_us;
	call->alone = false;
	TAILQ_INSERT_TAIL(queue, call, link);
	if (TAILQ_FIRST(queue) == call) {
		if (queue_oldest(db) == call)
			queue_arm(db);
		if (find_conn(db, CONN_IDLE))
			event_active(db->dispatch, 0, 0);
	}
}

void
db_calls_separate(struct db *db, struct db_calls *calls)
{
	struct db_call *call;

	while ((call = TAILQ_LAST(calls, db_calls)) != NULL) {
		struct db_call *place;

		TAILQ_REMOVE(calls, call, link);
		call->alone = true;
		TAILQ_FOREACH(place, &db->queues[call->statement], link)
		{
			if (place->queued_us > call->queued_us)
				break;
		}
		if (place)
			TAILQ_INSERT_BEFORE(place, call, link);
		else
			TAILQ_INSERT_TAIL(&db->queues[call->statement], call, link);
		event_active(db->dispatch, 0, 0);
	}
	queue_arm(db);
}

void
db_conn_ready(struct db_conn *conn)
{
	struct db *db = conn->db;

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
	dispatch(db);
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
		for (int i = 0; i < DB_STATEMENTS; i++)
			TAILQ_INIT(&db->queues[i]);
		db->base = base;
		db->timeout_us = (int64_t) (options->timeout * 1e6);
		db->conninfo = strdup(options->conninfo);
		snprintf(db->group_lock_timeout, sizeof(db->group_lock_timeout), "%d",
		        (int) (options->timeout * 1e3 * GROUP_LOCK_SHARE) + 1);
		db->queue_timer = event_new(base, -1, 0, on_queue_timer, db);
		db->dispatch = event_new(base, -1, 0, on_dispatch, db);
		db->conns = calloc((size_t) options->connections, sizeof(struct db_conn));
	}
	if (!db || !db->conninfo || !db->queue_timer || !db->dispatch || !db->conns)
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
	if (db->queue_timer && db->dispatch) {
		queue_refuse(db, INT64_MAX, "the API is stopping");
		for (int i = 0; i < db->n_conns; i++)
			db_conn_close(&db->conns[i]);
	}
	if (db->queue_timer)
		event_free(db->queue_timer);
	if (db->dispatch)
		event_free(db->dispatch);
	free(db->conns);
	free(db->conninfo);
	free(db);
}
