/*
 * db.h: calls of SQL functions, answered later, over a small pool of connections.
 *
 * One thread, nothing blocks: connecting, name look-up and queries all wait in the event loop.  A connection carries
 * one statement at a time.  Calls of some statements go together: what has arrived while they waited for a connection is
 * one execution, in one transaction, and each call gets its own part of the result.
 */
#ifndef JOBSCHED_API_DB_H
#define JOBSCHED_API_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "error.h"

struct event_base;
struct db;

enum db_statement {
	DB_SUBMIT, /* a body -> created, id, job; together with others */
	DB_SUBMIT_KEYED, /* the same of bodies with a unique_key, with others of that kind */
	DB_SUBMIT_BATCH, /* many bodies -> a row of created, id, job for each, in order */
	DB_GET, /* id uuid -> job, or no columns when there is none; together with others */
	DB_CANCEL, /* id uuid -> job */
	DB_HEALTH, /* -> ready, health */
	DB_WAIT, /* many ids -> rows of id, job for those that have ended, or are unknown (then without job) */

	/* What rest_call() sends: args -> answer, and for some the HTTP status. */
	DB_JOBS, /* query */
	DB_EXECUTIONS, /* id, query */
	DB_EXPLAIN, /* id */
	DB_PAUSE, /* id */
	DB_RESUME, /* id */
	DB_RUN, /* id */
	DB_RETRY, /* id */
	DB_ALTER, /* id, body */
	DB_CANCEL_MANY, /* body */
	DB_RETRY_MANY, /* body */
	DB_SCHEDULES, /* query */
	DB_SCHEDULE, /* name, query */
	DB_PUT_SCHEDULE, /* name, body */
	DB_DELETE_SCHEDULE, /* name */
	DB_PAUSE_SCHEDULE, /* name */
	DB_RESUME_SCHEDULE, /* name */
	DB_RUN_SCHEDULE, /* name */
	DB_QUEUES, /* query */
	DB_QUEUE, /* name */
	DB_PAUSE_QUEUE, /* name */
	DB_RESUME_QUEUE, /* name */
	DB_WORKERS, /* query */
	DB_CRON_NEXT, /* query */
	DB_ARTIFACT, /* id, name, query */
	DB_STATS, /* query */
	DB_HISTORY, /* query */
	DB_METRICS,
	DB_STATEMENTS
};

#define DB_MAX_COLUMNS 3
#define DB_MAX_ARGS 4

enum db_outcome {
	DB_OK, /* committed; columns are set */
	DB_FAILED, /* refused: the error fields are set; nothing was done */
	DB_UNAVAILABLE, /* no connection, or no free one in time: nothing was sent; message says why */
	DB_UNKNOWN /* sent, but no answer came: it may have been done; message says why */
};

/* All pointers are valid during done() only; text is UTF-8, NULL where there is none. */
struct db_answer {
	enum db_outcome outcome;
	const char *columns[DB_MAX_COLUMNS];
	const char *message;
	char sqlstate[6];
	const char *detail;
	const char *hint;
	const char *field; /* PG_DIAG_COLUMN_NAME */
	const void *result; /* for the functions below */
};

/* Rows of an answer that is DB_OK, and a value of one; NULL where there is none. */
size_t db_answer_rows(const struct db_answer *answer);
const char *db_answer_value(const struct db_answer *answer, size_t row, int column);

/* What a batch's item n (from 0) came to; the batch's own answer must be DB_OK. */
void db_answer_item(const struct db_answer *batch, size_t n, struct db_answer *item);

struct db_text {
	const char *bytes; /* UTF-8 without NUL inside; NUL-terminated, except for the items of a batch */
	size_t len;
};

/* Owned by the caller, usually as part of its own struct; in use from db_call_send() to done(). */
struct db_call {
	enum db_statement statement;
	struct db_text param; /* must live until done(); unused when the statement takes none */
	const struct db_text *items; /* of a batch, in place of param */
	size_t n_items;
	const char *key; /* of DB_SUBMIT_KEYED: what it is sorted by */
	const char *args[DB_MAX_ARGS]; /* n_args texts in place of param, for statements that take several */
	int n_args;
	void (*done)(struct db_call *call, const struct db_answer *answer); /* exactly once; may free the call */

	/* For db.c */
	int64_t queued_us, deadline_us;
	bool alone; /* its group failed: once more, without neighbours */
	TAILQ_ENTRY(db_call) link;
};

struct db_options {
	const char *conninfo; /* libpq URL or conninfo; copied */
	long connections; /* size of the pool, at least 1 */
	double timeout; /* seconds from db_call_send() to done(), at most */
};

/* Starts to connect; NULL when the conninfo is wrong. */
struct db *db_new(struct event_base *base, const struct db_options *options, struct error *err);

/*
 * done() comes within the timeout, and at once when the server is known to be away (then before this returns).
 */
void db_call_send(struct db *db, struct db_call *call);

/* Whether any connection is up; *reason (may be NULL) is why none is, valid until the loop runs again. */
bool db_is_up(const struct db *db, const char **reason);

/* The word for a statement in logs and metrics. */
const char *db_statement_name(enum db_statement statement);

struct db_counts {
	int up; /* connections */
	int waiting; /* calls that have not been sent */
	uint64_t statements[DB_STATEMENTS]; /* executions begun since the start, by statement */
	uint64_t calls[DB_STATEMENTS]; /* that these carried */
};

void db_count(const struct db *db, struct db_counts *counts);

/* Closes all; calls still open end as DB_UNAVAILABLE or DB_UNKNOWN. */
void db_free(struct db *db);

#endif
