/*
 * db_internal.h: what db.c (queue and pool), db_conn.c (one connection), db_statement.c (SQL) and db_resolve.c (names)
 * share.
 */
#ifndef JOBSCHED_API_DB_INTERNAL_H
#define JOBSCHED_API_DB_INTERNAL_H

#include <event2/event.h>
#include <libpq-fe.h>

#include "backoff.h"
#include "db.h"

TAILQ_HEAD(db_calls, db_call);

enum conn_state {
	CONN_DOWN, /* waits for its timer, or for the pool to be up */
	CONN_RESOLVING, /* host names */
	CONN_CONNECTING, /* PQconnectPoll */
	CONN_SETUP, /* session settings */
	CONN_IDLE,
	CONN_PREPARING, /* the statement that `calls` need */
	CONN_BUSY /* executing for `calls` */
};

/* Parameters of an execution; the values point into calls and buf. */
struct db_params {
	int n;
	const char *values[DB_MAX_ARGS];
	int lengths[DB_MAX_ARGS], formats[DB_MAX_ARGS];
	char *buf; /* grows, and is used again */
	size_t size;
};

struct db_conn {
	struct db *db;
	int number; /* place in the pool */
	enum conn_state state;
	PGconn *pg; /* from CONN_CONNECTING on */
	struct event *io; /* on the socket of pg */
	short io_events; /* that io waits for */
	struct event *timer; /* limit of connecting or of a call, or the wait before the next attempt */
	struct backoff backoff;
	struct db_resolver *resolver; /* in CONN_RESOLVING */
	enum db_statement statement; /* of calls */
	struct db_calls calls; /* in CONN_PREPARING and CONN_BUSY: all that share the execution */
	int n_calls;
	int64_t deadline_us; /* of the oldest of them */
	struct db_params params;
	PGresult *result; /* of the statement under way, kept until the server is ready again */
	bool prepared[DB_STATEMENTS];
};

struct db {
	struct event_base *base;
	struct db_conn *conns;
	int n_conns;
	char *conninfo;
	int64_t timeout_us;
	struct db_calls queues[DB_STATEMENTS]; /* not sent yet, oldest first */
	struct event *queue_timer; /* for the oldest */
	struct event *dispatch; /* active when the queues are to be looked at before the loop waits */
	char group_lock_timeout[16]; /* milliseconds that a group may wait for a lock */
	bool failed; /* the last attempt to connect failed and none is up */
	bool announced_up; /* what the log has said last */
	bool closing;
	uint64_t n_executions[DB_STATEMENTS], n_calls[DB_STATEMENTS]; /* so far */
	char reason[512]; /* why the last attempt or connection failed */
};

/* db.c: what a connection tells its pool */

/* Idle: first time after connecting, or when an execution is over. */
void db_conn_ready(struct db_conn *conn);

/* An attempt failed, or a connection broke; the reason may end with a newline and have many lines. */
void db_conn_failed(struct db_conn *conn, const char *reason, bool was_up);

/* Ends the calls, each with this answer. */
void db_calls_finish(struct db_calls *calls, const struct db_answer *answer);

/* Back into the queue: nothing was done, and each shall be tried without the others. */
void db_calls_separate(struct db *db, struct db_calls *calls);

/* Longest run of one statement on the server: what is left of a call's time when it has waited as long as it may. */
int64_t db_statement_timeout_us(const struct db *db);

/* db_conn.c */

int db_conn_init(struct db_conn *conn, struct db *db, int number);
void db_conn_start(struct db_conn *conn); /* in CONN_DOWN: connect now */
void db_conn_retry_after(struct db_conn *conn, int64_t delay_us); /* in CONN_DOWN */
void db_conn_execute(struct db_conn *conn); /* in CONN_IDLE, with statement, calls and n_calls set */
void db_conn_close(struct db_conn *conn);
bool db_conn_is_up(const struct db_conn *conn);

/* db_statement.c */

extern const char db_setup_sql[]; /* one format argument: the statement timeout, long, in milliseconds */
const char *db_statement_sql(enum db_statement statement);
int db_statement_group(enum db_statement statement); /* most calls in an execution */
int db_statement_lanes(enum db_statement statement); /* most connections that execute it at once */

/* 0, or -1 when out of memory. */
int db_statement_bind(
        enum db_statement statement, const struct db_calls *calls, const char *lock_timeout, struct db_params *params);

/* Turns a result into an answer that points into it. */
void db_answer_from_result(const PGresult *result, struct db_answer *answer);

/* The part of a group's good result that is the n-th call's; *row is 0 at first, and remembers. */
void db_answer_of_call(const PGresult *result, const struct db_call *call, int n, int *row, struct db_answer *answer);

/* An error of the whole execution that says nothing about any of its calls, or the same of all. */
bool db_error_is_shared(const struct db_answer *answer);

/* db_resolve.c */

/*
 * Makes keywords and values for PQconnectStartParams in which every host name has its address beside it (hostaddr),
 * since libpq would look it up with a call that blocks.  Calls done() once, never from within this function.
 */
struct db_resolver *db_resolve(struct event_base *base, const char *conninfo,
        void (*done)(void *arg, const char *const *keywords, const char *const *values, const char *problem),
        void *arg);

/* Also valid inside done(), after which the keywords are gone. */
void db_resolver_free(struct db_resolver *resolver);

#endif
