/*
 * usage.c: what --help says, and what is said when the command line cannot be understood.
 */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum cli_exit
usage_error(const char *command, const char *fmt, ...)
{
	char text[512], *printable;
	va_list ap;
	int width;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printable = width_printable(text, 0, &width);
	fprintf(stderr, "jobsched: %s\nTry \"jobsched%s%s --help\".\n", printable ? printable : "out of memory",
	        command ? " " : "", command ? command : "");
	free(printable);
	return CLI_USAGE;
}

void
usage_program(void)
{
	printf("Usage: jobsched [-d URL] [-o table|json] COMMAND [ARGUMENT...]\n"
	       "Submits jobs to jobsched, and shows and changes them.\n\n"
	       "Commands:\n");
	for (const struct command *c = commands; c->name; c++)
		printf("  %-16s %s\n", c->name, c->summary);
	printf("\n\"jobsched COMMAND --help\" tells more about each.\n\n"
	       "Options, before or after the command:\n"
	       "  -d, --database URL   libpq URL or keyword=value list; else DATABASE_URL, else PGHOST, PGDATABASE\n"
	       "                       and the like, as for psql\n"
	       "  -o, --output FORMAT  table (default), or json: what the REST API answers about jobs, schedules,\n"
	       "                       queues and workers\n"
	       "  -h, --help           this text, or a command's\n"
	       "  -V, --version        the version\n\n"
	       "TIME is RFC 3339 (2027-01-31T09:00:00Z, 2027-01-31 09:00+01:00), seconds since 1970, now, or from\n"
	       "now: +10m, -1h30m.  DURATION is 90 or 90s, 500ms, 5m, 1h30m, 2d, 1w.  PAYLOAD is JSON: the argument\n"
	       "itself, @FILE to read a file, - to read standard input.\n\n"
	       "Exit codes: 0 done; 1 refused, not found, the database is away, or what was waited for did not\n"
	       "succeed; 2 the command line is wrong.  Colours are used on terminals, unless NO_COLOR is set.\n");
}

static void
print_option(const struct option_spec *o)
{
	char left[64];

	snprintf(left, sizeof(left), "%c%c%s--%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
	        o->letter ? ", " : "  ", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	printf("  %-26s %s", left, o->help);
	if (o->choices) {
		printf(": ");
		for (const char *p = o->choices; *p; p++) {
			if (*p == '|')
				printf(", ");
			else
				putchar(*p);
		}
	}
	putchar('\n');
}

void
usage_command(const struct command *command)
{
	printf("Usage: jobsched %s%s%s%s\n%s.\n", command->name, command->options ? " [OPTION...]" : "",
	        *command->words ? " " : "", command->words, command->summary);
	if (command->help)
		printf("\n%s", command->help);
	printf("\nOptions:\n");
	for (const struct option_spec *o = command->options; o && o->name; o++)
		print_option(o);
	printf("  -d, --database URL         the database; else DATABASE_URL, else PGHOST, PGDATABASE and the like\n"
	       "  -o, --output FORMAT        table or json\n"
	       "  -h, --help                 this text\n\n"
	       "\"jobsched --help\" tells how times, durations and payloads are written, and what the exit codes "
	       "mean.\n");
}
