/*
 * complete.c: words that may come next, for the shell's completion: from the tables, without a database.
 */
#include "complete.h"

#include <stdio.h>
#include <string.h>

static const char *const common[] = {"--database", "--output", "--help"};

static void
offer(const char *word, size_t len, const char *begun)
{
	if (strncmp(word, begun, strlen(begun) < len ? strlen(begun) : len) == 0 && strlen(begun) <= len)
		printf("%.*s\n", (int) len, word);
}

static void
offer_choices(const char *choices, const char *begun)
{
	for (const char *p = choices; p;) {
		size_t n = strcspn(p, "|");

		offer(p, n, begun);
		p = p[n] ? p + n + 1 : NULL;
	}
}

/* First words of commands, or the second ones of a group; each once: those of a group follow each other in the table. */
static void
offer_commands(const char *group, const char *begun)
{
	size_t before = 0, group_len = group ? strlen(group) : 0;
	const char *last = "";

	for (const struct command *c = commands; c->name; c++) {
		const char *word = c->name;
		size_t len;

		if (group && (strncmp(word, group, group_len) != 0 || word[group_len] != ' '))
			continue;
		word += group ? group_len + 1 : 0;
		len = strcspn(word, " ");
		if (len != before || strncmp(word, last, len) != 0)
			offer(word, len, begun);
		last = word;
		before = len;
	}
}

static bool
takes_value(const struct command *command, const char *word, const char **choices)
{
	*choices = NULL;
	if (strcmp(word, "-o") == 0 || strcmp(word, "--output") == 0) {
		*choices = "table|json";
		return true;
	}
	if (strcmp(word, "-d") == 0 || strcmp(word, "--database") == 0)
		return true;
	for (const struct option_spec *o = command ? command->options : NULL; o && o->name; o++) {
		if (o->type == OPTION_FLAG)
			continue;
		if ((word[0] == '-' && word[1] == o->letter && o->letter && !word[2]) ||
		        (strncmp(word, "--", 2) == 0 && strcmp(word + 2, o->name) == 0)) {
			*choices = o->choices;
			return true;
		}
	}
	return false;
}

enum cli_exit
complete(int nwords, char **words)
{
	const char *begun = nwords > 0 ? words[nwords - 1] : "", *group = NULL, *choices;
	const struct command *command = NULL;

	/* Up to the word before: which command is it, and is its value wanted? */
	for (int i = 0; i < nwords - 1; i++) {
		if (takes_value(command, words[i], &choices)) {
			if (i == nwords - 2) {
				offer_choices(choices, begun);
				return CLI_OK;
			}
			i++;
			continue;
		}
		if (words[i][0] == '-' || command)
			continue;
		for (const struct command *c = commands; c->name && !command; c++) {
			size_t len = group ? strlen(group) : 0;

			if (!group && strcmp(c->name, words[i]) == 0)
				command = c;
			else if (group && strncmp(c->name, group, len) == 0 && c->name[len] == ' ' &&
			        strcmp(c->name + len + 1, words[i]) == 0)
				command = c;
		}
		if (!command && !group)
			group = words[i];
	}
	if (begun[0] != '-') {
		if (!command)
			offer_commands(group, begun);
		return CLI_OK;
	}
	for (const struct option_spec *o = command ? command->options : NULL; o && o->name; o++) {
		char option[64];

		snprintf(option, sizeof(option), "--%s", o->name);
		offer(option, strlen(option), begun);
	}
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		offer(common[i], strlen(common[i]), begun);
	return CLI_OK;
}
