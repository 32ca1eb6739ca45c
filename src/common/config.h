/*
 * config.h: settings from the environment, then from a .env file in the working directory.
 *
 * A program describes its settings in one table; the same table makes --help and --check-config.
 */
#ifndef JOBSCHED_CONFIG_H
#define JOBSCHED_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "error.h"

enum config_type {
	CONFIG_TEXT, /* char *: malloc'ed, never NULL */
	CONFIG_INT, /* long: min..max */
	CONFIG_SECONDS, /* double: seconds, min..max, fractions allowed */
	CONFIG_BOOL, /* bool: 1 0 true false yes no on off, any case */
	CONFIG_CHOICE /* char *: one of `choices`, compared without case, stored as spelled there */
};

struct config_item {
	const char *name; /* environment variable */
	const char *alias; /* other name that is read when the first is absent, or NULL */
	enum config_type type;
	const char *def; /* default, as text */
	double min, max; /* for numbers */
	const char *choices; /* for CONFIG_CHOICE: "a|b|c" */
	bool secret; /* masked by config_print: whole, or the password inside a URL */
	size_t offset; /* of the field in the program's struct */
	const char *help; /* one line, with the unit */
};

/*
 * Fills the struct at `into` (zeroed by the caller).  dotenv: path of the .env file, NULL for none; a missing file is
 * no error, a bad line is.  The message names variable, value and what is allowed.
 */
int config_load(const struct config_item *items, size_t n, const char *dotenv, void *into, struct error *err);

void config_free(const struct config_item *items, size_t n, void *into);

/* The lines of --help for all items: name, default, meaning. */
void config_help(const struct config_item *items, size_t n, FILE *out);

/* NAME=value lines of what would be used, secrets masked: --check-config. */
void config_print(const struct config_item *items, size_t n, const void *from, FILE *out);

/*
 * An environment in which config_load without a file gives the same values, but those that are secret their defaults: this
 * process's, changed accordingly.  Ends with NULL; malloc'ed, NULL when out of memory.
 */
char **config_environment(const struct config_item *items, size_t n, const void *from);
void config_environment_free(char **environment);

/*
 * A libpq URL or conninfo from DATABASE_URL: SQLAlchemy's "postgresql+driver://" becomes "postgresql://".
 * malloc'ed; NULL when out of memory.
 */
char *config_database_url(const char *value);

#endif
