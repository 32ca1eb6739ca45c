/*
 * pg.h: one connection to PostgreSQL that never waits without limit.
 *
 * Belongs to one thread.  Connections are made on demand, with backoff between attempts; loss and recovery are logged
 * once each.  Statements are prepared on first use.
 */
#ifndef JOBSCHED_WORKER_PG_H
#define JOBSCHED_WORKER_PG_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "backoff.h"
#include "error.h"

enum pg_status {
	PG_DONE = 0,
	PG_LOST = -1,			/* connection lost, or no answer in time: whether it was done is not known */
	PG_RETRY = -2,			/* not done; the same may succeed later (time-out, deadlock, resources) */
	PG_UNKNOWN = -3,		/* JS002: the worker is not registered (any more) */
	PG_NOT_ADOPTED = -4,	/* JS003: this database is a copy that nobody has adopted */
	PG_BAD_DATA = -5,		/* not done, and will not be: a value is not acceptable */
	PG_REFUSED = -6			/* not done, until somebody mends the database: missing rights or functions */
};

struct pg_statement {
	const char *name;
	const char *sql;
	int nparams;
};

struct pg {
	const char *dsn;			/* libpq URL or conninfo; kept, not copied */
	const char *purpose;		/* "claims", "results": for logs and application_name */
	PGconn *conn;				/* NULL: not connected */
	unsigned prepared;			/* bit n: statement number n is prepared on conn */
	int64_t limit_us;			/* longest wait for one answer */
	struct backoff backoff;
	int64_t retry_at_us;		/* no attempt to connect before */
	bool complained;			/* that it cannot connect */
};

void pg_init(struct pg *pg, const char *dsn, const char *purpose);
void pg_close(struct pg *pg);

bool pg_connected(const struct pg *pg);

/* Connects if it is not connected and an attempt is due; true when connected then. */
bool pg_connect(struct pg *pg);

/* Longest wait between attempts to connect; 5 s at most. */
void pg_set_patience(struct pg *pg, int64_t max_us);

/* The server's own limit for a statement; this side waits half as long again. */
int pg_set_limit(struct pg *pg, int64_t limit_us);

/*
 * Executes statement number n of a table (n < 32) with text parameters.  With PG_DONE *result is to be PQclear'ed.
 * PG_LOST has closed the connection.
 */
enum pg_status pg_execute(struct pg *pg, const struct pg_statement *table, unsigned n, const char *const *params,
						  PGresult **result, struct error *err);

#endif
