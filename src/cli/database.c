/*
 * database.c: the connection, and statements on it.
 *
 * SIGINT and SIGTERM cancel the statement that runs, so that it leaves nothing behind, and then end the program.
 */
#include "cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

static PGcancel *volatile canceller; /* of the connection; read by the signal handler */

static void
on_signal(int signo)
{
	PGcancel *cancel = canceller;
	char why[256];

	if (cancel)
		PQcancel(cancel, why, sizeof(why));
	/* SA_RESETHAND: this time it ends the program, with the signal as its status. */
	raise(signo);
}

static void
handle_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int) SA_RESETHAND};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* What libpq says ends with a newline, and has lines. */
static void
print_lines(const char *prefix, const char *text)
{
	while (text && *text) {
		size_t n = strcspn(text, "\n");
		char *line = strndup(text, n), *printable;
		int width;

		printable = line ? width_printable(line, 0, &width) : NULL;
		fprintf(stderr, "%s%s\n", prefix, printable ? printable : "out of memory");
		free(printable);
		free(line);
		text += n + (text[n] == '\n');
	}
}

static void
print_field(const PGresult *result, int field, const char *prefix)
{
	const char *text = PQresultErrorField(result, field);

	if (text && *text)
		print_lines(prefix, text);
}

static void
print_error(PGconn *conn, const PGresult *result)
{
	const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

	if (!result || !PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)) {
		print_lines("jobsched: ", PQerrorMessage(conn));
		return;
	}
	print_field(result, PG_DIAG_MESSAGE_PRIMARY, "jobsched: ");
	print_field(result, PG_DIAG_MESSAGE_DETAIL, "DETAIL: ");
	print_field(result, PG_DIAG_MESSAGE_HINT, "HINT: ");
	if (state && (strcmp(state, "3F000") == 0 || strcmp(state, "42883") == 0 || strcmp(state, "42P01") == 0))
		fprintf(stderr,
		        "HINT: Is this the database where the extension was created, and is it of this version?\n");
	else if (state && strcmp(state, "42501") == 0)
		fprintf(stderr,
		        "HINT: The role needs jobsched_submitter, jobsched_viewer or jobsched_admin, whichever may do "
		        "this.\n");
}

static void
on_notice(void *arg, const PGresult *result)
{
	(void) arg;
	print_field(result, PG_DIAG_MESSAGE_PRIMARY, "jobsched: ");
}

/* libpq's own variables fill in what the URL does not say; a later keyword wins over an earlier one. */
static bool
connect_once(struct cli *cli)
{
	const char *keywords[] = {"fallback_application_name", "client_encoding", "connect_timeout", "dbname", NULL};
	const char *values[] = {"jobsched", "UTF8", getenv("PGCONNECT_TIMEOUT") ? NULL : "10", NULL, NULL};
	char *url;
	PGresult *result;

	if (cli->conn)
		return true;
	url = cli->database ? config_database_url(cli->database) : NULL;
	values[3] = url;
	cli->conn = PQconnectdbParams(keywords, values, 1);
	free(url);
	if (PQstatus(cli->conn) != CONNECTION_OK) {
		print_error(cli->conn, NULL);
		return false;
	}
	PQsetNoticeReceiver(cli->conn, on_notice, NULL);
	canceller = PQgetCancel(cli->conn);
	handle_signals();
	result = PQexec(cli->conn, "SET datestyle = ISO; SET intervalstyle = postgres; SET bytea_output = hex");
	if (PQresultStatus(result) != PGRES_COMMAND_OK) {
		print_error(cli->conn, result);
		PQclear(result);
		return false;
	}
	PQclear(result);
	return true;
}

PGresult *
database_query(struct cli *cli, const char *sql, int nparams, const char *const *params)
{
	PGresult *result;

	if (!connect_once(cli))
		return NULL;
	result = PQexecParams(cli->conn, sql, nparams, NULL, params, NULL, NULL, 0);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	print_error(cli->conn, result);
	PQclear(result);
	return NULL;
}

char *
database_value(struct cli *cli, const char *sql, int nparams, const char *const *params)
{
	PGresult *result = database_query(cli, sql, nparams, params);
	char *value = NULL;

	if (result && PQntuples(result) == 1 && !PQgetisnull(result, 0, 0)) {
		value = strdup(PQgetvalue(result, 0, 0));
		if (!value)
			fprintf(stderr, "jobsched: out of memory\n");
	}
	PQclear(result);
	return value;
}

void
database_close(struct cli *cli)
{
	PGcancel *cancel = canceller;

	canceller = NULL;
	PQfreeCancel(cancel);
	PQfinish(cli->conn);
	cli->conn = NULL;
}
