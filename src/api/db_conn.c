/*
 * db_conn.c: one connection to Postgres, from name look-up to answer.
 *
 * A result counts only when the server is ready again: in the extended protocol CommandComplete comes before the
 * commit, so that a connection lost between the two leaves the outcome unknown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "db_internal.h"

#define CONNECT_LIMIT_US (5 * CLOCK_US_PER_SECOND)
#define BACKOFF_BASE_US (CLOCK_US_PER_SECOND / 10)
#define BACKOFF_MAX_US (5 * CLOCK_US_PER_SECOND)

static void advance(struct db_conn *conn);
static void on_io(evutil_socket_t fd, short what, void *arg);

bool
db_conn_is_up(const struct db_conn *conn)
{
	return conn->state >= CONN_IDLE;
}

static void
timer_set(struct db_conn *conn, int64_t us)
{
	struct timeval wait = {us / CLOCK_US_PER_SECOND, us % CLOCK_US_PER_SECOND};

	event_add(conn->timer, &wait);
}

/* libpq may use another socket after every PQconnectPoll; once connected it stays. */
static int
io_wait(struct db_conn *conn, short events)
{
	if (conn->io && conn->io_events == events && event_get_fd(conn->io) == PQsocket(conn->pg) &&
	        conn->state > CONN_CONNECTING)
		return 0;
	if (conn->io)
		event_free(conn->io);
	conn->io_events = events;
	conn->io = event_new(conn->db->base, PQsocket(conn->pg), (short) (events | EV_PERSIST), on_io, conn);
	return conn->io && event_add(conn->io, NULL) == 0 ? 0 : -1;
}

/* Gives up the connection or the attempt; what the call's outcome is depends on how far it had come. */
static void
give_up(struct db_conn *conn, const char *reason, const char *message)
{
	bool was_up = db_conn_is_up(conn);
	struct db_calls calls = TAILQ_HEAD_INITIALIZER(calls);
	struct db_resolver *resolver = conn->resolver;
	PGresult *result = conn->result;
	PGconn *pg = conn->pg;
	bool sent = conn->state == CONN_BUSY;
	struct db_answer answer = {.outcome = sent ? DB_UNKNOWN : DB_UNAVAILABLE, .message = message};

	event_del(conn->timer);
	if (conn->io)
		event_free(conn->io);
	conn->io = NULL;
	conn->resolver = NULL;
	TAILQ_CONCAT(&calls, &conn->calls, link);
	conn->result = NULL;
	conn->pg = NULL;
	memset(conn->prepared, 0, sizeof(conn->prepared));
	conn->state = CONN_DOWN;

	db_conn_failed(conn, reason, was_up);
	/* An error with a SQLSTATE is the server's word that the statement did nothing. */
	if (result && PQresultStatus(result) != PGRES_TUPLES_OK && PQresultErrorField(result, PG_DIAG_SQLSTATE))
		db_answer_from_result(result, &answer);
	db_calls_finish(&calls, &answer);
	/* Last, since reason may point into any of them. */
	PQclear(result);
	PQfinish(pg);
	db_resolver_free(resolver);
}

static void
fail(struct db_conn *conn, const char *reason)
{
	give_up(conn, reason, "the connection to the database was lost");
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct db_conn *conn = arg;

	(void) fd;
	(void) what;
	switch (conn->state) {
	case CONN_DOWN:
		db_conn_start(conn);
		break;
	case CONN_RESOLVING:
		fail(conn, "looking up the host name took too long");
		break;
	case CONN_CONNECTING:
	case CONN_SETUP:
		fail(conn, "connecting took too long");
		break;
	case CONN_PREPARING:
	case CONN_BUSY:
		give_up(conn, "the server did not answer in time", "the database did not answer in time");
		break;
	case CONN_IDLE:
		break;
	}
}

/* Warnings of the server; without a receiver libpq would print them. */
static void
on_notice(void *arg, const PGresult *result)
{
	(void) arg;
	log_event(LOG_LEVEL_DEBUG, "database notice", "message", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
	        NULL);
}

static void
connect_poll(struct db_conn *conn)
{
	char setup[512];

	switch (PQconnectPoll(conn->pg)) {
	case PGRES_POLLING_READING:
		if (io_wait(conn, EV_READ) < 0)
			fail(conn, "out of memory");
		return;
	case PGRES_POLLING_WRITING:
		if (io_wait(conn, EV_WRITE) < 0)
			fail(conn, "out of memory");
		return;
	case PGRES_POLLING_OK:
		break;
	default:
		fail(conn, PQerrorMessage(conn->pg));
		return;
	}
	PQsetNoticeReceiver(conn->pg, on_notice, NULL);
	conn->state = CONN_SETUP;
	snprintf(setup, sizeof(setup), db_setup_sql, (long) (db_statement_timeout_us(conn->db) / 1000));
	if (PQsetnonblocking(conn->pg, 1) < 0 || !PQsendQuery(conn->pg, setup))
		fail(conn, PQerrorMessage(conn->pg));
	else
		advance(conn);
}

static void
on_resolved(void *arg, const char *const *keywords, const char *const *values, const char *problem)
{
	struct db_conn *conn = arg;

	if (problem) {
		fail(conn, problem);
		return;
	}
	conn->pg = PQconnectStartParams(keywords, values, 0);
	db_resolver_free(conn->resolver);
	conn->resolver = NULL;
	if (!conn->pg) {
		fail(conn, "out of memory");
		return;
	}
	conn->state = CONN_CONNECTING;
	/* The state before the first PQconnectPoll counts as PGRES_POLLING_WRITING. */
	if (PQstatus(conn->pg) == CONNECTION_BAD)
		fail(conn, PQerrorMessage(conn->pg));
	else if (io_wait(conn, EV_WRITE) < 0)
		fail(conn, "out of memory");
}

void
db_conn_start(struct db_conn *conn)
{
	event_del(conn->timer);
	conn->state = CONN_RESOLVING;
	timer_set(conn, CONNECT_LIMIT_US);
	conn->resolver = db_resolve(conn->db->base, conn->db->conninfo, on_resolved, conn);
	if (!conn->resolver)
		fail(conn, "out of memory");
}

void
db_conn_retry_after(struct db_conn *conn, int64_t delay_us)
{
	timer_set(conn, delay_us);
}

static void
execute(struct db_conn *conn)
{
	const struct db_params *params = &conn->params;
	const char *name = db_statement_name(conn->statement);
	int sent;

	if (conn->prepared[conn->statement]) {
		conn->state = CONN_BUSY;
		sent = PQsendQueryPrepared(
		        conn->pg, name, params->n, params->values, params->lengths, params->formats, 0);
	} else {
		conn->state = CONN_PREPARING;
		sent = PQsendPrepare(conn->pg, name, db_statement_sql(conn->statement), 0, NULL);
	}
	if (!sent) {
		/* Refused by libpq itself: the server has not seen it. */
		conn->state = CONN_PREPARING;
		fail(conn, PQerrorMessage(conn->pg));
		return;
	}
	advance(conn);
}

/* Calls that could go together, however few there were: what keeps one waiting must not hold up those that come after. */
static bool
is_group(const struct db_conn *conn)
{
	const struct db_call *first = TAILQ_FIRST(&conn->calls);

	return first && !first->alone && db_statement_group(conn->statement) > 1;
}

void
db_conn_execute(struct db_conn *conn)
{
	int64_t left = conn->deadline_us - clock_boottime_us();
	const char *lock_timeout = is_group(conn) ? conn->db->group_lock_timeout : "0";

	if (db_statement_bind(conn->statement, &conn->calls, lock_timeout, &conn->params) < 0) {
		conn->state = CONN_PREPARING;
		fail(conn, "out of memory");
		return;
	}
	timer_set(conn, left > 1000 ? left : 1000);
	execute(conn);
}

/*
 * Each call its part of the result.  One that a lock has kept waiting had only a group's patience: it gets its own.
 */
static void
deliver(struct db *db, struct db_calls *calls, bool group, const PGresult *result)
{
	struct db_calls again = TAILQ_HEAD_INITIALIZER(again);
	struct db_call *call;
	int n = 0, row = 0;

	while ((call = TAILQ_FIRST(calls)) != NULL) {
		struct db_answer answer;

		TAILQ_REMOVE(calls, call, link);
		db_answer_of_call(result, call, n++, &row, &answer);
		if (group && strcmp(answer.sqlstate, "55P03") == 0)
			TAILQ_INSERT_TAIL(&again, call, link);
		else
			call->done(call, &answer);
	}
	db_calls_separate(db, &again);
}

static void
setup_done(struct db_conn *conn, PGresult *result, bool good)
{
	if (!good) {
		conn->result = result;
		fail(conn, result ? PQresultErrorMessage(result) : "no answer to the session's settings");
		return;
	}
	PQclear(result);
	event_del(conn->timer);
	conn->state = CONN_IDLE;
	backoff_reset(&conn->backoff);
	db_conn_ready(conn);
}

/* The server is ready for the next statement: what the last one brought is final. */
static void
complete(struct db_conn *conn)
{
	PGresult *result = conn->result;
	bool good = result && (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK);
	bool executed = conn->state == CONN_BUSY;
	struct db_calls calls = TAILQ_HEAD_INITIALIZER(calls);
	struct db_answer failure = {.outcome = DB_UNKNOWN, .message = "the database gave no result"};
	bool group = is_group(conn);

	conn->result = NULL;
	if (conn->state == CONN_SETUP) {
		setup_done(conn, result, good);
		return;
	}
	if (conn->state == CONN_PREPARING && good) {
		PQclear(result);
		conn->prepared[conn->statement] = true;
		execute(conn);
		return;
	}
	event_del(conn->timer);
	TAILQ_CONCAT(&calls, &conn->calls, link);
	if (result && !good)
		db_answer_from_result(result, &failure);

	/* A standby that was a primary cannot serve; another connection may lead to the new primary. */
	if (strcmp(failure.sqlstate, "25006") == 0) {
		db_calls_finish(&calls, &failure);
		conn->result = result;
		fail(conn, PQresultErrorMessage(result));
		return;
	}
	if (executed && group && failure.outcome == DB_FAILED && !db_error_is_shared(&failure))
		db_calls_separate(conn->db, &calls);

	/* First the server gets what has gathered, then the answers are written. */
	conn->state = CONN_IDLE;
	db_conn_ready(conn);
	if (good)
		deliver(conn->db, &calls, group, result);
	else
		db_calls_finish(&calls, &failure);
	PQclear(result);
}

/* Keeps the first error, or else the last result. */
static void
collect(struct db_conn *conn, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (conn->result && PQresultStatus(conn->result) != PGRES_TUPLES_OK &&
	        PQresultStatus(conn->result) != PGRES_COMMAND_OK) {
		PQclear(result);
		return;
	}
	/* An error without SQLSTATE is libpq's own: the connection is gone, and the bad status will be seen. */
	if (status == PGRES_FATAL_ERROR && !PQresultErrorField(result, PG_DIAG_SQLSTATE)) {
		PQclear(result);
		return;
	}
	PQclear(conn->result);
	conn->result = result;
}

/* Sends what is left to send, takes what has come, and goes on when the statement under way is complete. */
static void
advance(struct db_conn *conn)
{
	int left = PQflush(conn->pg);

	if (left < 0 || io_wait(conn, left ? EV_READ | EV_WRITE : EV_READ) < 0) {
		fail(conn, left < 0 ? PQerrorMessage(conn->pg) : "out of memory");
		return;
	}
	if (conn->state == CONN_IDLE) {
		PGnotify *notify;

		while ((notify = PQnotifies(conn->pg)) != NULL)
			PQfreemem(notify);
		/* FATAL out of the blue (57P01 and the like) becomes a result only when asked for. */
		if (PQstatus(conn->pg) == CONNECTION_BAD)
			fail(conn, PQerrorMessage(conn->pg));
		return;
	}
	while (!PQisBusy(conn->pg)) {
		PGresult *result = PQgetResult(conn->pg);

		if (!result) {
			if (PQstatus(conn->pg) == CONNECTION_BAD)
				fail(conn, PQerrorMessage(conn->pg));
			else
				complete(conn);
			return;
		}
		collect(conn, result);
	}
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct db_conn *conn = arg;

	(void) fd;
	if (conn->state == CONN_CONNECTING) {
		connect_poll(conn);
		return;
	}
	if ((what & EV_READ) && !PQconsumeInput(conn->pg)) {
		/* A last result may have come with the end of the connection: let advance() find both. */
		if (conn->state == CONN_IDLE || PQisBusy(conn->pg)) {
			fail(conn, PQerrorMessage(conn->pg));
			return;
		}
	}
	advance(conn);
}

int
db_conn_init(struct db_conn *conn, struct db *db, int number)
{
	conn->db = db;
	conn->number = number;
	conn->state = CONN_DOWN;
	TAILQ_INIT(&conn->calls);
	conn->backoff.base_us = BACKOFF_BASE_US;
	conn->backoff.max_us = BACKOFF_MAX_US;
	conn->timer = event_new(db->base, -1, 0, on_timer, conn);
	return conn->timer ? 0 : -1;
}

void
db_conn_close(struct db_conn *conn)
{
	if (conn->state != CONN_DOWN)
		fail(conn, "the API is stopping");
	event_free(conn->timer);
	free(conn->params.buf);
}
