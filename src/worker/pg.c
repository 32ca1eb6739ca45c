/*
 * pg.c: one connection to PostgreSQL that never waits without limit.
 */
#include "pg.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"

#define BACKOFF_US		(5 * CLOCK_US_PER_SECOND)
#define LIMIT_US		(10 * CLOCK_US_PER_SECOND)	/* until the lease is known */

void
pg_init(struct pg *pg, const char *dsn, const char *purpose)
{
	memset(pg, 0, sizeof(*pg));
	pg->dsn = dsn;
	pg->purpose = purpose;
	pg->limit_us = LIMIT_US;
	pg->backoff.base_us = CLOCK_US_PER_SECOND / 10;
	pg->backoff.max_us = BACKOFF_US;
}

void
pg_close(struct pg *pg)
{
	PQfinish(pg->conn);
	pg->conn = NULL;
	pg->prepared = 0;
}

bool
pg_connected(const struct pg *pg)
{
	return pg->conn != NULL;
}

/* One line of a message that libpq ends with a newline. */
static void
copy_message(char *to, size_t size, const char *from)
{
	size_t len;

	snprintf(to, size, "%s", from ? from : "");
	len = strlen(to);
	while (len > 0 && to[len - 1] == '\n')
		to[--len] = '\0';
}

/* Waits until the answer of what was sent is whole.  False: lost, or too late. */
static bool
wait_for_answer(struct pg *pg, struct error *err)
{
	int64_t until_us = clock_boottime_us() + pg->limit_us * 3 / 2;

	for (;;) {
		int unsent = PQflush(pg->conn);
		struct pollfd fd = { .fd = PQsocket(pg->conn), .events = POLLIN };
		int64_t left_us = until_us - clock_boottime_us();
		int ready;

		if (unsent < 0)
			break;
		if (!PQisBusy(pg->conn))
			return true;
		if (left_us <= 0) {
			error_set(err, "no answer within %lld ms", (long long) (pg->limit_us * 3 / 2000));
			return false;
		}
		if (unsent)
			fd.events |= POLLOUT;
		ready = poll(&fd, 1, (int) (left_us / 1000) + 1);
		if (ready < 0 && errno != EINTR)
			break;
		if (ready > 0 && (fd.revents & (POLLIN | POLLHUP | POLLERR)) && !PQconsumeInput(pg->conn))
			break;
	}
	copy_message(err->msg, sizeof(err->msg), PQerrorMessage(pg->conn));
	return false;
}

static enum pg_status
classify(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (!state)
		return PG_LOST;
	if (strcmp(state, "JS002") == 0)
		return PG_UNKNOWN;
	if (strcmp(state, "JS003") == 0)
		return PG_NOT_ADOPTED;
	/* the server goes away, or is a standby: another connection may reach the right one */
	if (strncmp(state, "57P", 3) == 0 || strncmp(state, "08", 2) == 0 || strcmp(state, "25006") == 0)
		return PG_LOST;
	if (strncmp(state, "57", 2) == 0 || strncmp(state, "40", 2) == 0 || strncmp(state, "53", 2) == 0
		|| strcmp(state, "55P03") == 0)
		return PG_RETRY;
	if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 || strncmp(state, "54", 2) == 0
		|| strcmp(state, "JS001") == 0)
		return PG_BAD_DATA;
	return PG_REFUSED;
}

/* The answer to what was sent; with PG_DONE into *result. */
static enum pg_status
receive(struct pg *pg, PGresult **result, struct error *err)
{
	enum pg_status status = PG_DONE;
	PGresult *first, *more;

	*result = NULL;
	if (!wait_for_answer(pg, err))
		return PG_LOST;
	first = PQgetResult(pg->conn);
	while ((more = PQgetResult(pg->conn)))
		PQclear(more);
	if (!first) {
		copy_message(err->msg, sizeof(err->msg), PQerrorMessage(pg->conn));
		return PG_LOST;
	}
	if (PQresultStatus(first) != PGRES_TUPLES_OK && PQresultStatus(first) != PGRES_COMMAND_OK) {
		const char *text = PQresultErrorField(first, PG_DIAG_MESSAGE_PRIMARY);
		const char *hint = PQresultErrorField(first, PG_DIAG_MESSAGE_HINT);
		const char *state = PQresultErrorField(first, PG_DIAG_SQLSTATE);

		status = classify(first);
		if (text)
			error_set(err, "%s%s%s (SQLSTATE %s)", text, hint ? "; " : "", hint ? hint : "", state ? state : "?");
		else
			copy_message(err->msg, sizeof(err->msg), PQresultErrorMessage(first));
		PQclear(first);
		return status;
	}
	*result = first;
	return PG_DONE;
}

static enum pg_status
lose(struct pg *pg, const struct error *err)
{
	log_event(LOG_LEVEL_WARNING, "database connection lost", "connection", pg->purpose, "error", err->msg, NULL);
	pg_close(pg);
	pg->complained = true;
	return PG_LOST;
}

void
pg_set_patience(struct pg *pg, int64_t max_us)
{
	pg->backoff.max_us = max_us < BACKOFF_US ? max_us : BACKOFF_US;
}

int
pg_set_limit(struct pg *pg, int64_t limit_us)
{
	char milliseconds[24];
	const char *const params[] = { milliseconds };
	PGresult *result = NULL;
	struct error err = { "" };

	pg->limit_us = limit_us;
	if (!pg->conn)
		return 0;
	snprintf(milliseconds, sizeof(milliseconds), "%lld", (long long) (limit_us / 1000));
	if (!PQsendQueryParams(pg->conn, "SELECT pg_catalog.set_config('statement_timeout', $1, false)", 1, NULL, params,
						   NULL, NULL, 0)
		|| receive(pg, &result, &err) != PG_DONE) {
		lose(pg, &err);
		return -1;
	}
	PQclear(result);
	return 0;
}

static PGconn *
open_connection(const struct pg *pg)
{
	char name[64];
	/* Before dbname: the URL has the last word.  After it: what this program relies on. */
	const char *const keys[] = {
		"connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "fallback_application_name",
		"dbname", "client_encoding", NULL
	};
	const char *const values[] = { "5", "10", "5", "3", name, pg->dsn, "UTF8", NULL };

	snprintf(name, sizeof(name), "jobsched-worker (%s)", pg->purpose);
	return PQconnectdbParams(keys, values, 1);
}

static void
ignore_notice(void *arg, const PGresult *result)
{
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	(void) arg;
	log_event(LOG_LEVEL_DEBUG, "database notice", "message", text, NULL);
}

bool
pg_connect(struct pg *pg)
{
	struct error err = { "" };
	PGresult *result;

	if (pg->conn)
		return true;
	if (clock_boottime_us() < pg->retry_at_us)
		return false;

	pg->conn = open_connection(pg);
	if (PQstatus(pg->conn) != CONNECTION_OK) {
		copy_message(err.msg, sizeof(err.msg), PQerrorMessage(pg->conn));
		goto failed;
	}
	PQsetNoticeReceiver(pg->conn, ignore_notice, NULL);
	/* Timestamps must read back as they were printed, and name a run alike for every worker. */
	result = PQexec(pg->conn, "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET jit = off;"
					" SET default_transaction_isolation = 'read committed'");
	if (PQresultStatus(result) != PGRES_COMMAND_OK) {
		copy_message(err.msg, sizeof(err.msg), PQresultErrorMessage(result));
		PQclear(result);
		goto failed;
	}
	PQclear(result);
	if (PQsetnonblocking(pg->conn, 1) < 0) {
		copy_message(err.msg, sizeof(err.msg), PQerrorMessage(pg->conn));
		goto failed;
	}
	if (pg_set_limit(pg, pg->limit_us) < 0) {
		pg->retry_at_us = clock_boottime_us() + backoff_next_us(&pg->backoff, backoff_random());
		return false;
	}
	log_event(LOG_LEVEL_INFO, pg->complained ? "database connection is back" : "database connected", "connection",
			  pg->purpose, "host", PQhost(pg->conn), "port", PQport(pg->conn), "database", PQdb(pg->conn), NULL);
	pg->complained = false;
	backoff_reset(&pg->backoff);
	return true;

failed:
	if (!pg->complained)
		log_event(LOG_LEVEL_WARNING, "database cannot be reached, trying again for ever", "connection", pg->purpose,
				  "error", err.msg, NULL);
	pg->complained = true;
	pg_close(pg);
	pg->retry_at_us = clock_boottime_us() + backoff_next_us(&pg->backoff, backoff_random());
	return false;
}

enum pg_status
pg_execute(struct pg *pg, const struct pg_statement *table, unsigned n, const char *const *params, PGresult **result,
		   struct error *err)
{
	const struct pg_statement *statement = &table[n];
	enum pg_status status;

	*result = NULL;
	err->msg[0] = '\0';
	for (int i = 0; i < statement->nparams; i++) {
		if (!params[i]) {
			error_set(err, "out of memory");
			return PG_RETRY;
		}
	}
	if (!(pg->prepared & 1u << n)) {
		status = PG_LOST;
		if (PQsendPrepare(pg->conn, statement->name, statement->sql, statement->nparams, NULL))
			status = receive(pg, result, err);
		PQclear(*result);
		*result = NULL;
		if (status == PG_LOST)
			return lose(pg, err);
		if (status != PG_DONE)
			return status;
		pg->prepared |= 1u << n;
	}
	status = PG_LOST;
	if (PQsendQueryPrepared(pg->conn, statement->name, statement->nparams, params, NULL, NULL, 0))
		status = receive(pg, result, err);
	else
		copy_message(err->msg, sizeof(err->msg), PQerrorMessage(pg->conn));
	return status == PG_LOST ? lose(pg, err) : status;
}
