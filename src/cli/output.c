/*
 * output.c: answers as tables, whose columns are as wide as what is in them, or as JSON, which the server made.
 */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_COLUMNS 60 /* of a cell in a table; a record shows all */
#define MOST_PARAMS 16

/* pg_type.h is not for clients. */
#define TYPE_BOOL 16
#define TYPE_INT8 20
#define TYPE_INT2 21
#define TYPE_INT4 23
#define TYPE_FLOAT4 700
#define TYPE_FLOAT8 701
#define TYPE_TIMESTAMPTZ 1184
#define TYPE_NUMERIC 1700

#define BOLD "\033[1m"
#define PLAIN "\033[0m"

static bool
is_number(Oid type)
{
	return type == TYPE_INT8 || type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_FLOAT4 ||
	        type == TYPE_FLOAT8 || type == TYPE_NUMERIC;
}

/* What a cell shows; malloc'ed.  Times without their fractions in a table, where they would be half of each line. */
static char *
cell(const PGresult *result, int row, int column, bool whole, int *width)
{
	const char *value = PQgetvalue(result, row, column);
	Oid type = PQftype(result, column);
	char time[64];

	if (PQgetisnull(result, row, column))
		value = "";
	else if (type == TYPE_BOOL)
		value = *value == 't' ? "yes" : "no";
	else if (type == TYPE_TIMESTAMPTZ && !whole && strlen(value) < sizeof(time) && strchr(value, '.')) {
		size_t n = strcspn(value, "."), fraction = 1 + strspn(value + n + 1, "0123456789");

		memcpy(time, value, n);
		snprintf(time + n, sizeof(time) - n, "%s", value + n + fraction);
		value = time;
	}
	return width_printable(value, whole ? 0 : MOST_COLUMNS, width);
}

/* For a column called status. */
static const char *
color_of(const char *status)
{
	static const struct {
		const char *status, *color;
	} colors[] = {{"succeeded", "\033[32m"}, {"running", "\033[36m"}, {"failed", "\033[31m"}, {"lost", "\033[31m"},
	        {"expired", "\033[31m"}, {"retrying", "\033[33m"}, {"cancelling", "\033[33m"},
	        {"cancelled", "\033[33m"}, {"paused", "\033[33m"}};

	for (size_t i = 0; i < sizeof(colors) / sizeof(colors[0]); i++) {
		if (strcmp(colors[i].status, status) == 0)
			return colors[i].color;
	}
	return NULL;
}

static void
pad(int n)
{
	if (n > 0)
		printf("%*s", n, "");
}

/* `last`: nothing follows in the line. */
static void
print_cell(const char *text, int width, int column_width, bool right, bool last, const char *color)
{
	if (right)
		pad(column_width - width);
	if (color)
		printf("%s%s" PLAIN, color, text);
	else
		fputs(text, stdout);
	if (!right && !last)
		pad(column_width - width);
	fputs(last ? "\n" : "  ", stdout);
}

static void
print_table(const struct cli *cli, const PGresult *result, int *widths, bool head)
{
	int rows = PQntuples(result), columns = PQnfields(result), width;

	for (int c = 0; c < columns; c++) {
		for (int r = head ? -1 : 0; r < rows; r++) {
			char *text = r < 0 ? width_printable(PQfname(result, c), 0, &width)
			                   : cell(result, r, c, false, &width);

			if (text && width > widths[c])
				widths[c] = width;
			free(text);
		}
	}
	for (int r = head ? -1 : 0; r < rows; r++) {
		int last = columns - 1;

		while (r >= 0 && last > 0 && PQgetlength(result, r, last) == 0)
			last--;
		for (int c = 0; c <= last; c++) {
			char *text = r < 0 ? width_printable(PQfname(result, c), 0, &width)
			                   : cell(result, r, c, false, &width);
			const char *color = NULL;

			if (cli->color && r < 0)
				color = BOLD;
			else if (cli->color && text && strcmp(PQfname(result, c), "status") == 0)
				color = color_of(text);
			print_cell(text ? text : "?", text ? width : 1, widths[c], is_number(PQftype(result, c)),
			        c == last, color);
			free(text);
		}
	}
}

void
output_rows(const struct cli *cli, PGresult *result)
{
	int rows = PQntuples(result);

	if (cli->json) {
		fputs(rows > 0 ? "[\n" : "[", stdout);
		for (int r = 0; r < rows; r++)
			printf("  %s%s\n", PQgetvalue(result, r, 0), r < rows - 1 ? "," : "");
		fputs("]\n", stdout);
	} else {
		int *widths = calloc((size_t) PQnfields(result) + 1, sizeof(*widths));

		if (widths)
			print_table(cli, result, widths, true);
		free(widths);
	}
}

void
output_record(const struct cli *cli, PGresult *result)
{
	int most = 0, width;

	if (cli->json) {
		printf("%s\n", PQgetvalue(result, 0, 0));
		return;
	}
	for (int c = 0; c < PQnfields(result); c++) {
		if ((int) strlen(PQfname(result, c)) > most)
			most = (int) strlen(PQfname(result, c));
	}
	for (int c = 0; c < PQnfields(result); c++) {
		char *text;
		const char *color = NULL;

		if (PQgetisnull(result, 0, c))
			continue;
		text = cell(result, 0, c, true, &width);
		if (cli->color && text && strcmp(PQfname(result, c), "status") == 0)
			color = color_of(text);
		printf("%s%-*s%s  ", cli->color ? BOLD : "", most, PQfname(result, c), cli->color ? PLAIN : "");
		print_cell(text ? text : "?", width, 0, false, true, color);
		free(text);
	}
}

void
output_lines(const struct cli *cli, PGresult *result, struct output_stream *stream, bool head)
{
	if (cli->json) {
		for (int r = 0; r < PQntuples(result); r++)
			printf("%s\n", PQgetvalue(result, r, 0));
	} else {
		print_table(cli, result, stream->width, head);
	}
	fflush(stdout);
}

bool
output_append(PGresult **all, const PGresult *page, int skip)
{
	int columns = PQnfields(page) - skip;
	bool good = true;

	if (!*all) {
		PGresAttDesc *names = calloc((size_t) columns, sizeof(*names));

		for (int c = 0; names && c < columns; c++) {
			names[c].name = PQfname(page, c + skip);
			names[c].typid = PQftype(page, c + skip);
		}
		*all = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
		good = names && *all && PQsetResultAttrs(*all, columns, names);
		free(names);
	}
	for (int r = 0; good && r < PQntuples(page); r++) {
		int n = PQntuples(*all);

		if (PQgetisnull(page, r, skip))
			continue;
		for (int c = 0; good && c < columns; c++) {
			bool null = PQgetisnull(page, r, c + skip);

			good = PQsetvalue(*all, n, c, null ? NULL : PQgetvalue(page, r, c + skip),
			        null ? -1 : PQgetlength(page, r, c + skip));
		}
	}
	if (!good)
		fprintf(stderr, "jobsched: out of memory\n");
	return good;
}

enum cli_exit
output_pages(struct cli *cli, const struct query *query, int nparams, const char *const *params, const char *cursor,
        long limit, long page)
{
	const char *all_params[MOST_PARAMS];
	char *next = cursor ? strdup(cursor) : NULL;
	PGresult *all = NULL;
	bool good = true, more = true;

	for (int i = 0; i < nparams; i++)
		all_params[2 + i] = params[i];
	while (good && more) {
		long left = limit - (all ? PQntuples(all) : 0);
		char size[24];
		PGresult *result;

		snprintf(size, sizeof(size), "%ld", left < page ? left : page);
		all_params[0] = next;
		all_params[1] = size;
		result = database_query(cli, cli->json ? query->json : query->table, 2 + nparams, all_params);
		good = result && output_append(&all, result, 1);
		free(next);
		next = good && !PQgetisnull(result, 0, 0) ? strdup(PQgetvalue(result, 0, 0)) : NULL;
		PQclear(result);
		more = good && next && PQntuples(all) < limit;
	}
	free(next);
	if (good)
		output_rows(cli, all);
	PQclear(all);
	return good ? CLI_OK : CLI_FAILED;
}

static enum cli_exit
output(struct cli *cli, const struct query *query, int nparams, const char *const *params,
        void (*print)(const struct cli *cli, PGresult *result))
{
	PGresult *result = database_query(cli, cli->json ? query->json : query->table, nparams, params);

	if (!result)
		return CLI_FAILED;
	print(cli, result);
	PQclear(result);
	return CLI_OK;
}

enum cli_exit
output_query(struct cli *cli, const struct query *query, int nparams, const char *const *params)
{
	return output(cli, query, nparams, params, output_rows);
}

enum cli_exit
output_one(struct cli *cli, const struct query *query, int nparams, const char *const *params)
{
	return output(cli, query, nparams, params, output_record);
}
