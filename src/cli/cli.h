/*
 * cli.h: what the commands of `jobsched` are made of.
 *
 * A command describes its arguments in one table (struct command).  The same table parses the command line, prints --help
 * and completes words in the shell.  Values arrive checked, as texts that its statements take as parameters.
 */
#ifndef JOBSCHED_CLI_H
#define JOBSCHED_CLI_H

#include <libpq-fe.h>
#include <stdbool.h>

/* Exit codes. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1, /* refused, not found, database away; what was waited for did not succeed */
	CLI_USAGE = 2
};

enum option_type {
	OPTION_FLAG, /* no value; "" when given */
	OPTION_TEXT,
	OPTION_INTEGER, /* decimal, int4 */
	OPTION_DURATION, /* seconds, decimal */
	OPTION_TIME, /* for TIME_PARAM() */
	OPTION_CHOICE /* one of `choices`, "a|b|c" */
};

struct option_spec {
	const char *name; /* without the dashes */
	char letter; /* '\0': none */
	enum option_type type;
	const char *arg; /* name of the value in --help */
	const char *help; /* one line */
	const char *choices;
};

#define CLI_MAX_OPTIONS 32

/* What the command line says; NULL: not given. */
struct args {
	const char *option[CLI_MAX_OPTIONS]; /* by the index in the command's table */
	const char *const *word; /* positional */
	int nwords;
};

struct cli {
	const char *database; /* -d, DATABASE_URL, or NULL: libpq's own variables */
	bool json;
	bool color;
	PGconn *conn; /* made by the first query */
};

struct command {
	const char *name; /* "submit", "queue pause" */
	const char *words; /* positional arguments, as --help shows them */
	int min_words, max_words; /* max -1: any number */
	const struct option_spec *options; /* up to one without a name; NULL: none */
	enum cli_exit (*run)(struct cli *cli, const struct args *args);
	const char *summary; /* one line */
	const char *help; /* what else there is to say: lines */
};

/* The table of commands, up to one without a name. */
extern const struct command commands[];

/* ---- usage.c ---- */

/* "jobsched: ..." on standard error, and where to read more; returns CLI_USAGE. */
enum cli_exit usage_error(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void usage_program(void);
void usage_command(const struct command *command);

/* ---- database.c ---- */

/*
 * Runs one statement with text parameters (NULL: a null).  NULL after an error, which has been printed; else to be PQclear'ed.
 * Connects first when that has not been done.
 */
PGresult *database_query(struct cli *cli, const char *sql, int nparams, const char *const *params);

/* The same for a statement with one column and one row; malloc'ed, NULL after an error (or a null). */
char *database_value(struct cli *cli, const char *sql, int nparams, const char *const *params);

void database_close(struct cli *cli);

/* A value of type OPTION_TIME as a timestamptz, parameter number n ("3"). */
#define TIME_PARAM(n)                                                                             \
	"CASE left($" n ", 1) WHEN '+' THEN clock_timestamp() + make_interval(secs => substr($" n \
	", 2)::float8) WHEN '@' THEN to_timestamp(substr($" n ", 2)::float8) ELSE $" n "::timestamptz END"

#define DURATION_PARAM(n) "make_interval(secs => $" n "::float8)"

/* Rows as JSON, one column: the second form of each query that prints something. */
#define AS_JSON(query) "SELECT row_to_json(r) FROM (" query ") r"

/* A query in both its forms. */
struct query {
	const char *table, *json;
};

/* For output_pages(): `call` answers JSON with an array in `field`, of which a table shows `columns` of the record x(`types`). */
#define PAGES(call, field, columns, types)                                                                           \
	{                                                                                                            \
		"SELECT p.r ->> 'next_cursor', j.* FROM (SELECT " call " AS r) p LEFT JOIN LATERAL (SELECT " columns \
		" FROM json_to_recordset(p.r -> '" field "') AS x(" types ")) j ON true",                            \
		        "SELECT p.r ->> 'next_cursor', j.value FROM (SELECT " call                                   \
		        " AS r) p LEFT JOIN LATERAL json_array_elements(p.r -> '" field "') j ON true"               \
	}

#define QUERY(text)                 \
	{                           \
		text, AS_JSON(text) \
	}

/* ---- output.c ---- */

/* All rows: a table with a head, or a JSON array. */
void output_rows(const struct cli *cli, PGresult *result);

/* One row: a line for each column, or a JSON object. */
void output_record(const struct cli *cli, PGresult *result);

/* Rows of a table without a head, or JSON objects, a line each, with columns at least as wide as before; for what goes on and on. */
struct output_stream {
	int width[32];
};
void output_lines(const struct cli *cli, PGresult *result, struct output_stream *stream, bool head);

/*
 * Appends the rows of a page, without its first `skip` columns, to *all (NULL: a new result).  A row whose next column is null is
 * none: it only carries what was skipped.  false: out of memory, which has been said.
 */
bool output_append(PGresult **all, const PGresult *page, int skip);

/*
 * Prints rows that come in pages of at most `page`, up to `limit` in all.  The query's first column is the cursor of the next page
 * (null: there is none), $1 the cursor, $2 the size of the page, and $3... what params has.
 */
enum cli_exit output_pages(struct cli *cli, const struct query *query, int nparams, const char *const *params,
        const char *cursor, long limit, long page);

/* Runs it in the form that is wanted and prints all rows; the other one: its only row, as a record. */
enum cli_exit output_query(struct cli *cli, const struct query *query, int nparams, const char *const *params);
enum cli_exit output_one(struct cli *cli, const struct query *query, int nparams, const char *const *params);

/* ---- width.c ---- */

/*
 * A text for a terminal: one line, at most `most` columns wide (0: any), control characters and what is not UTF-8 made visible.
 * malloc'ed; *width: its columns.
 */
char *width_printable(const char *text, int most, int *width);

/* ---- values.c ---- */

/* Each checks a value and gives it the form in struct args, malloc'ed; NULL: `why` says what is allowed. */
char *value_integer(const char *text, const char **why);
char *value_duration(const char *text, const char **why);
char *value_time(const char *text, const char **why);
bool value_is_choice(const char *text, const char *choices);

/* "-": all of standard input; "@path": the file; else the text.  malloc'ed; NULL: an error has been printed. */
char *value_payload(const char *text);

/* ---- commands that others use ---- */

/* Prints a job as `get` does; `id` as the user gave it. */
enum cli_exit job_show(struct cli *cli, const char *id);

/* Waits for the end of a job; *status is malloc'ed.  `seconds`: text, NULL: for ever. */
enum cli_exit job_wait(struct cli *cli, const char *id, const char *seconds, char **status);

#endif
