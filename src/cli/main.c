/*
 * main.c: jobsched, the command line of the job scheduler.
 *
 * The words before the first one that is no option name the command; what follows is parsed by its table.  A command is
 * a few statements whose answers are printed: what may be done and what it means is up to the functions in the database.
 */
#include "cli.h"

#include <getopt.h>
#include <locale.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "complete.h"
#include "version.h"

/* Options of every command, behind its own ones in the tables of getopt. */
enum {
	COMMON_DATABASE = CLI_MAX_OPTIONS,
	COMMON_OUTPUT,
	COMMON_HELP,
	COMMON_VERSION,
	COMMON_END
};

static const struct option common[] = {{"database", required_argument, NULL, COMMON_DATABASE},
        {"output", required_argument, NULL, COMMON_OUTPUT}, {"help", no_argument, NULL, COMMON_HELP},
        {"version", no_argument, NULL, COMMON_VERSION}};

#define N_COMMON (sizeof(common) / sizeof(common[0]))

/* What getopt_long() needs for a command; NULL: for the words before it. */
struct parser {
	struct option longs[CLI_MAX_OPTIONS + N_COMMON + 1];
	char letters[2 * CLI_MAX_OPTIONS + 16];
};

static void
parser_setup(struct parser *p, const struct command *command, const char *order)
{
	const struct option_spec *options = command ? command->options : NULL;
	size_t n = 0, len = strlen(order);

	memset(p, 0, sizeof(*p));
	memcpy(p->letters, order, len);
	for (; options && options[n].name; n++) {
		bool flag = options[n].type == OPTION_FLAG;

		p->longs[n] = (struct option){options[n].name, flag ? no_argument : required_argument, NULL, (int) n};
		if (options[n].letter) {
			p->letters[len++] = options[n].letter;
			if (!flag)
				p->letters[len++] = ':';
		}
	}
	memcpy(p->longs + n, common, sizeof(common));
	memcpy(p->letters + len, "d:o:hV", sizeof("d:o:hV"));
}

/* The index of an option, in the command's table or COMMON_*, from what getopt_long() returned; -1: it has complained. */
static int
option_index(const struct command *command, int c)
{
	if (c < COMMON_END)
		return c;
	for (int i = 0; command && command->options && command->options[i].name; i++) {
		if (command->options[i].letter == c)
			return i;
	}
	switch (c) {
	case 'd':
		return COMMON_DATABASE;
	case 'o':
		return COMMON_OUTPUT;
	case 'h':
		return COMMON_HELP;
	case 'V':
		return COMMON_VERSION;
	default:
		return -1;
	}
}

/* The value of an option in the form that statements take; NULL after a complaint. */
static char *
convert(const struct command *command, const struct option_spec *o, const char *text)
{
	const char *why = "out of memory";
	char *value = NULL;

	switch (o->type) {
	case OPTION_FLAG:
		return strdup("");
	case OPTION_TEXT:
		value = strdup(text);
		break;
	case OPTION_INTEGER:
		value = value_integer(text, &why);
		break;
	case OPTION_DURATION:
		value = value_duration(text, &why);
		break;
	case OPTION_TIME:
		value = value_time(text, &why);
		break;
	case OPTION_CHOICE:
		if (value_is_choice(text, o->choices)) {
			value = strdup(text);
		} else {
			usage_error(command->name, "--%s: \"%.100s\": allowed: %s", o->name, text, o->choices);
			return NULL;
		}
	}
	if (!value)
		usage_error(command->name, "--%s: \"%.100s\": %s", o->name, text, why);
	return value;
}

/* What the command line says, and what it costs. */
struct invocation {
	struct cli cli;
	struct args args;
	char *owned[CLI_MAX_OPTIONS]; /* the values of args.option */
	bool help;
};

/* 0, 2 after a complaint, or 1: all is said. */
static int
take_option(struct invocation *in, const struct command *command, int index)
{
	if (index < 0 || (index < COMMON_DATABASE && !command))
		return usage_error(command ? command->name : NULL, "the command line is not understood");
	if (index < COMMON_DATABASE) {
		free(in->owned[index]);
		in->owned[index] = convert(command, &command->options[index], optarg);
		in->args.option[index] = in->owned[index];
		return in->owned[index] ? 0 : 2;
	}
	switch (index) {
	case COMMON_DATABASE:
		in->cli.database = optarg;
		return 0;
	case COMMON_OUTPUT:
		if (!value_is_choice(optarg, "table|json"))
			return usage_error(
			        command ? command->name : NULL, "--output: \"%.100s\": allowed: table, json", optarg);
		in->cli.json = strcmp(optarg, "json") == 0;
		return 0;
	case COMMON_HELP:
		in->help = true;
		return 0;
	default:
		printf("jobsched " JOBSCHED_VERSION "\n");
		return 1;
	}
}

/* The options in argv (argv[0] is no option); order "+": up to the first other word. */
static int
take_options(struct invocation *in, const struct command *command, int argc, char **argv, const char *order)
{
	struct parser parser;
	int c, rc = 0;

	parser_setup(&parser, command, order);
	optind = 0; /* getopt begins anew */
	opterr = 0;
	while (rc == 0 && (c = getopt_long(argc, argv, parser.letters, parser.longs, NULL)) != -1) {
		if (c == '?' || c == ':') {
			const char *word =
			        optopt > ' ' && optopt < 127 && argv[optind - 1][1] != '-' ? NULL : argv[optind - 1];

			rc = word ? usage_error(command ? command->name : NULL,
			                    "option \"%.100s\" is unknown, or lacks its value, or takes none", word)
			          : usage_error(command ? command->name : NULL,
			                    "option -%c is unknown or lacks its value", optopt);
		} else {
			rc = take_option(in, command, option_index(command, c));
		}
	}
	return rc;
}

/* "queue" of "queue pause": is it the first word of some command? */
static bool
is_group(const char *word)
{
	size_t len = strlen(word);

	for (const struct command *c = commands; c->name; c++) {
		if (strncmp(c->name, word, len) == 0 && c->name[len] == ' ')
			return true;
	}
	return false;
}

/* The command in argv[0], argv[1]; *taken: of how many words its name is. */
static const struct command *
find_command(int argc, char **argv, int *taken)
{
	for (const struct command *c = commands; c->name; c++) {
		const char *blank = strchr(c->name, ' ');
		size_t len = blank ? (size_t) (blank - c->name) : strlen(c->name);

		if (strlen(argv[0]) != len || strncmp(argv[0], c->name, len) != 0)
			continue;
		*taken = blank ? 2 : 1;
		if (!blank || (argc > 1 && strcmp(argv[1], blank + 1) == 0))
			return c;
	}
	return NULL;
}

static enum cli_exit
unknown_command(int argc, char **argv)
{
	bool group = is_group(argv[0]);
	bool help = group && argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
	FILE *out = help ? stdout : stderr;
	size_t len = strlen(argv[0]);

	if (!group)
		return usage_error(NULL, "there is no command \"%.100s\"", argv[0]);
	if (!help)
		fprintf(stderr,
		        argc > 1 ? "jobsched: there is no command \"%s %.100s\"; there are\n"
		                 : "jobsched: \"%s\" is not all of a command; there are\n",
		        argv[0], argc > 1 ? argv[1] : "");
	for (const struct command *c = commands; c->name; c++) {
		if (strncmp(c->name, argv[0], len) == 0 && c->name[len] == ' ')
			fprintf(out, "  jobsched %-16s %s\n", c->name, c->summary);
	}
	return help ? CLI_OK : CLI_USAGE;
}

static int
run(struct invocation *in, int argc, char **argv)
{
	const struct command *command;
	int taken = 1, words, rc = take_options(in, NULL, argc, argv, "+");

	if (rc != 0)
		return rc == 1 ? CLI_OK : rc;
	argc -= optind;
	argv += optind;
	if (in->help || argc == 0) {
		if (in->help)
			usage_program();
		return in->help ? CLI_OK : usage_error(NULL, "no command; what shall be done?");
	}
	if (strcmp(argv[0], COMPLETE_WORD) == 0)
		return complete(argc - 1, argv + 1);
	command = find_command(argc, argv, &taken);
	if (!command)
		return unknown_command(argc, argv);
	argc -= taken - 1;
	argv += taken - 1;
	rc = take_options(in, command, argc, argv, "");
	if (rc != 0)
		return rc == 1 ? CLI_OK : rc;
	if (in->help) {
		usage_command(command);
		return CLI_OK;
	}
	words = argc - optind;
	in->args.word = (const char *const *) argv + optind;
	in->args.nwords = words;
	if (words < command->min_words)
		return usage_error(command->name, "%s: something is missing: %s", command->name, command->words);
	if (command->max_words >= 0 && words > command->max_words)
		return usage_error(
		        command->name, "%s: \"%.100s\" is too much", command->name, in->args.word[command->max_words]);
	return command->run(&in->cli, &in->args);
}

/* Names and payloads are UTF-8, whatever the user's locale says. */
static void
locale_setup(void)
{
	if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
}

static bool
wants_color(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && *term && strcmp(term, "dumb") != 0;
}

int
main(int argc, char **argv)
{
	struct invocation in = {.help = false};
	const char *url = getenv("DATABASE_URL");
	int code;

	locale_setup();
	in.cli.database = url && *url ? url : NULL;
	in.cli.color = wants_color();
	code = run(&in, argc, argv);
	database_close(&in.cli);
	for (int i = 0; i < CLI_MAX_OPTIONS; i++)
		free(in.owned[i]);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "jobsched: standard output cannot be written\n");
		return CLI_FAILED;
	}
	return code;
}
