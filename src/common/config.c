/*
 * config.c: settings from the environment and a .env file, by a table.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* The .env file in memory: names and values point into the text. */
struct dotenv {
	char *text;
	struct pair {
		const char *name;
		const char *value;
	} * pairs;
	size_t n;
};

static void *
field_of(void *base, const struct config_item *item)
{
	return (char *) base + item->offset;
}

static const void *
field_of_const(const void *base, const struct config_item *item)
{
	return (const char *) base + item->offset;
}

static int
read_file(const char *path, char **text, struct error *err)
{
	size_t len = 0, size = 4096;
	char *buf = NULL;
	FILE *f = fopen(path, "re");

	*text = NULL;
	if (!f)
		return errno == ENOENT ? 0 : error_set(err, "%s: cannot be read: %s", path, strerror(errno));

	buf = malloc(size);
	while (buf) {
		size_t n = fread(buf + len, 1, size - len - 1, f);

		len += n;
		if (n == 0)
			break;
		if (size - len < 2) {
			char *bigger = realloc(buf, size * 2);

			if (!bigger)
				free(buf);
			buf = bigger;
			size *= 2;
		}
	}
	if (!buf || ferror(f)) {
		int reason = buf ? errno : ENOMEM;

		free(buf);
		fclose(f);
		return error_set(err, "%s: cannot be read: %s", path, strerror(reason));
	}
	fclose(f);
	buf[len] = '\0';
	if (memchr(buf, '\0', len)) {
		free(buf);
		return error_set(err, "%s: contains a NUL byte", path);
	}
	*text = buf;
	return 0;
}

static char *
skip_blanks(char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* Undoes the quotes in place; only double quotes know escapes.  Returns what follows the closing one, NULL if none. */
static char *
unquote(char *p)
{
	char quote = *p;
	char *out = p;

	for (char *in = p + 1; *in; in++) {
		if (*in == quote) {
			*out = '\0';
			return in + 1;
		}
		if (*in == '\\' && quote == '"' && in[1]) {
			in++;
			if (*in == 'n')
				*out++ = '\n';
			else if (*in == 't')
				*out++ = '\t';
			else
				*out++ = *in;
		} else {
			*out++ = *in;
		}
	}
	return NULL;
}

/* NAME=value, NAME="value", NAME='value', with or without "export "; " #" starts a comment outside of quotes. */
static int
parse_line(char *line, struct pair *pair, const char **problem)
{
	char *name = line, *p, *end, *value;

	if (strncmp(name, "export", 6) == 0 && (name[6] == ' ' || name[6] == '\t'))
		name = skip_blanks(name + 6);
	if (!isalpha((unsigned char) *name) && *name != '_') {
		*problem = "does not begin with a name";
		return -1;
	}
	p = name;
	while (isalnum((unsigned char) *p) || *p == '_')
		p++;
	end = p;
	p = skip_blanks(p);
	if (*p != '=') {
		*problem = "has no \"=\" after the name";
		return -1;
	}
	*end = '\0';
	value = skip_blanks(p + 1);

	if (*value == '"' || *value == '\'') {
		char *rest = unquote(value);

		if (!rest) {
			*problem = "has no closing quote";
			return -1;
		}
		rest = skip_blanks(rest);
		if (*rest && *rest != '#') {
			*problem = "has text after the closing quote";
			return -1;
		}
	} else {
		for (p = value; *p; p++) {
			if (*p == '#' && (p == value || p[-1] == ' ' || p[-1] == '\t'))
				break;
		}
		while (p > value && (p[-1] == ' ' || p[-1] == '\t'))
			p--;
		*p = '\0';
	}
	pair->name = name;
	pair->value = value;
	return 0;
}

static void
dotenv_free(struct dotenv *env)
{
	free(env->pairs);
	free(env->text);
	memset(env, 0, sizeof(*env));
}

static int
dotenv_read(const char *path, struct dotenv *env, struct error *err)
{
	size_t size = 0;
	int number = 0;

	memset(env, 0, sizeof(*env));
	if (read_file(path, &env->text, err) < 0)
		return -1;
	if (!env->text)
		return 0;

	for (char *line = env->text; line;) {
		char *next = strchr(line, '\n');
		const char *problem;
		size_t len;

		number++;
		if (next)
			*next++ = '\0';
		len = strlen(line);
		if (len > 0 && line[len - 1] == '\r')
			line[len - 1] = '\0';
		if (number == 1 && strncmp(line, "\xEF\xBB\xBF", 3) == 0)
			line += 3;
		line = skip_blanks(line);
		if (*line && *line != '#') {
			if (env->n == size) {
				struct pair *bigger;

				size = size ? size * 2 : 32;
				bigger = realloc(env->pairs, size * sizeof(*bigger));
				if (!bigger) {
					dotenv_free(env);
					return error_set(err, "out of memory");
				}
				env->pairs = bigger;
			}
			/* The line itself may hold a secret and is not shown. */
			if (parse_line(line, &env->pairs[env->n], &problem) < 0) {
				dotenv_free(env);
				return error_set(err, "%s line %d %s; allowed: NAME=value, NAME=\"value\", # comment",
				        path, number, problem);
			}
			env->n++;
		}
		line = next;
	}
	return 0;
}

/* The last line wins, as when a shell reads the file. */
static const char *
dotenv_get(const struct dotenv *env, const char *name)
{
	for (size_t i = env->n; i > 0; i--) {
		if (strcmp(env->pairs[i - 1].name, name) == 0)
			return env->pairs[i - 1].value;
	}
	return NULL;
}

/* Where the value comes from also says by which name to complain about it. */
static const char *
lookup(const struct config_item *item, const struct dotenv *env, const char **name)
{
	const char *value;

	*name = item->name;
	if ((value = getenv(item->name)) != NULL)
		return value;
	if (item->alias && (value = getenv(item->alias)) != NULL) {
		*name = item->alias;
		return value;
	}
	if ((value = dotenv_get(env, item->name)) != NULL)
		return value;
	if (item->alias && (value = dotenv_get(env, item->alias)) != NULL) {
		*name = item->alias;
		return value;
	}
	return item->def ? item->def : "";
}

static int
refuse(const struct config_item *item, const char *name, const char *value, const char *allowed, struct error *err)
{
	if (item->secret)
		return error_set(err, "%s has a bad value (not shown); allowed: %s", name, allowed);
	return error_set(err, "%s is \"%.200s\"; allowed: %s", name, value, allowed);
}

static int
parse_bool(const char *value, bool *out)
{
	static const char *const yes[] = {"1", "true", "yes", "on"};
	static const char *const no[] = {"0", "false", "no", "off"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(value, yes[i]) == 0) {
			*out = true;
			return 0;
		}
		if (strcasecmp(value, no[i]) == 0) {
			*out = false;
			return 0;
		}
	}
	return -1;
}

static int
parse_int(const struct config_item *item, const char *value, long *out)
{
	const char *digits = *value == '-' || *value == '+' ? value + 1 : value;
	char *end;

	if (!isdigit((unsigned char) *digits))
		return -1;
	errno = 0;
	*out = strtol(value, &end, 10);
	return *end || errno || (double) *out < item->min || (double) *out > item->max ? -1 : 0;
}

/* Only decimal notation: strtod alone would take "inf", "nan" and hexadecimal. */
static int
parse_seconds(const struct config_item *item, const char *value, double *out)
{
	char *end;

	if (*value == '\0' || strspn(value, "0123456789.+-eE") != strlen(value))
		return -1;
	errno = 0;
	*out = strtod(value, &end);
	return *end || (errno && fabs(*out) > 1) || !(*out >= item->min && *out <= item->max) ? -1 : 0;
}

/* Finds value among "a|b|c" without regard to case; a copy as it is spelled there, NULL when it is not one of them. */
static char *
find_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *p = choices; p;) {
		size_t n = strcspn(p, "|");

		if (n == len && strncasecmp(p, value, n) == 0)
			return strndup(p, n);
		p = p[n] ? p + n + 1 : NULL;
	}
	return NULL;
}

static int
set_field(const struct config_item *item, const char *name, const char *value, void *field, struct error *err)
{
	char allowed[256];

	switch (item->type) {
	case CONFIG_TEXT:
		if ((*(char **) field = strdup(value)) == NULL)
			return error_set(err, "out of memory");
		return 0;
	case CONFIG_INT:
		if (parse_int(item, value, (long *) field) == 0)
			return 0;
		snprintf(allowed, sizeof(allowed), "a whole number from %.0f to %.0f", item->min, item->max);
		break;
	case CONFIG_SECONDS:
		if (parse_seconds(item, value, (double *) field) == 0)
			return 0;
		snprintf(allowed, sizeof(allowed), "seconds from %.10g to %.10g, fractions allowed", item->min,
		        item->max);
		break;
	case CONFIG_BOOL:
		if (parse_bool(value, (bool *) field) == 0)
			return 0;
		snprintf(allowed, sizeof(allowed), "1, 0, true, false, yes, no, on, off");
		break;
	case CONFIG_CHOICE:
		if ((*(char **) field = find_choice(item->choices, value)) != NULL)
			return 0;
		snprintf(allowed, sizeof(allowed), "%s", item->choices);
		for (char *p = allowed; (p = strchr(p, '|')) != NULL;)
			*p = ' ';
		break;
	}
	return refuse(item, name, value, allowed, err);
}

int
config_load(const struct config_item *items, size_t n, const char *dotenv, void *into, struct error *err)
{
	struct dotenv env = {0};
	int rc = 0;

	if (dotenv && dotenv_read(dotenv, &env, err) < 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		const char *name, *value = lookup(&items[i], &env, &name);

		rc = set_field(&items[i], name, value, field_of(into, &items[i]), err);
	}
	dotenv_free(&env);
	if (rc < 0)
		config_free(items, n, into);
	return rc;
}

void
config_free(const struct config_item *items, size_t n, void *into)
{
	for (size_t i = 0; i < n; i++) {
		if (items[i].type == CONFIG_TEXT || items[i].type == CONFIG_CHOICE) {
			char **field = field_of(into, &items[i]);

			free(*field);
			*field = NULL;
		}
	}
}

void
config_help(const struct config_item *items, size_t n, FILE *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct config_item *item = &items[i];

		fprintf(out, "  %-24s %s\n", item->name, item->help);
		fprintf(out, "  %-24s ", "");
		if (item->type == CONFIG_INT || item->type == CONFIG_SECONDS)
			fprintf(out, "%.10g to %.10g, ", item->min, item->max);
		else if (item->type == CONFIG_CHOICE)
			fprintf(out, "%s, ", item->choices);
		fprintf(out, "default: %s", item->def && *item->def ? item->def : "none");
		if (item->alias)
			fprintf(out, "; also read as %s", item->alias);
		fputc('\n', out);
	}
}

/* Passwords stand before the "@" and, in libpq's URLs, may stand in a parameter too: "?password=", "&sslpassword=". */
static void
print_masked(const char *value, FILE *out)
{
	const char *host = strstr(value, "://");
	const char *p, *at, *colon;
	size_t authority;

	if (!host) {
		fputs(*value ? "***" : "", out);
		return;
	}
	host += 3;
	authority = strcspn(host, "/?#");
	at = NULL;
	/* A password that should have been percent-encoded may hold any of "/?#@": the last "@" is the safe end. */
	if ((p = strrchr(host, '@')) != NULL && (size_t) (p - host) >= authority)
		authority = (size_t) (p - host) + 1;
	for (size_t i = 0; i < authority; i++) {
		if (host[i] == '@')
			at = host + i;
	}
	colon = at ? memchr(host, ':', (size_t) (at - host)) : NULL;
	if (colon) {
		fwrite(value, 1, (size_t) (colon - value) + 1, out);
		fputs("***", out);
		p = at;
	} else {
		p = value;
	}
	while (*p) {
		size_t n = strcspn(p, "&?");

		if (p[n])
			n++;
		fwrite(p, 1, n, out);
		p += n;
		n = strcspn(p, "=&");
		if (p[n] == '=' && n >= 8 && strncasecmp(p + n - 8, "password", 8) == 0) {
			fwrite(p, 1, n + 1, out);
			fputs("***", out);
			p += strcspn(p, "&");
		}
	}
}

void
config_print(const struct config_item *items, size_t n, const void *from, FILE *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct config_item *item = &items[i];
		const void *field = field_of_const(from, item);

		fprintf(out, "%s=", item->name);
		switch (item->type) {
		case CONFIG_TEXT:
		case CONFIG_CHOICE:
			if (item->secret)
				print_masked(*(char *const *) field, out);
			else
				fputs(*(char *const *) field, out);
			break;
		case CONFIG_INT:
			fprintf(out, "%ld", *(const long *) field);
			break;
		case CONFIG_SECONDS:
			fprintf(out, "%.10g", *(const double *) field);
			break;
		case CONFIG_BOOL:
			fputs(*(const bool *) field ? "true" : "false", out);
			break;
		}
		fputc('\n', out);
	}
}

static bool
names(const char *variable, const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len > 0 && strncmp(variable, name, len) == 0 && variable[len] == '=';
}

static bool
is_item(const struct config_item *items, size_t n, const char *variable)
{
	for (size_t i = 0; i < n; i++) {
		if (names(variable, items[i].name) || names(variable, items[i].alias))
			return true;
	}
	return false;
}

/* NAME=value, malloc'ed. */
static char *
assignment(const struct config_item *item, const void *field)
{
	char *text = NULL;
	int rc = -1;

	switch (item->type) {
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
		rc = asprintf(&text, "%s=%s", item->name, *(char *const *) field);
		break;
	case CONFIG_INT:
		rc = asprintf(&text, "%s=%ld", item->name, *(const long *) field);
		break;
	case CONFIG_SECONDS:
		rc = asprintf(&text, "%s=%.17g", item->name, *(const double *) field);
		break;
	case CONFIG_BOOL:
		rc = asprintf(&text, "%s=%s", item->name, *(const bool *) field ? "true" : "false");
		break;
	}
	return rc < 0 ? NULL : text;
}

char **
config_environment(const struct config_item *items, size_t n, const void *from)
{
	size_t room = n + 1, count = 0;
	char **environment;

	for (char **variable = environ; *variable; variable++)
		room++;
	environment = calloc(room, sizeof(*environment));
	for (char **variable = environ; environment && *variable; variable++) {
		if (is_item(items, n, *variable))
			continue;
		if ((environment[count++] = strdup(*variable)) == NULL)
			goto out_of_memory;
	}
	for (size_t i = 0; environment && i < n; i++) {
		if (items[i].secret)
			continue;
		if ((environment[count++] = assignment(&items[i], field_of_const(from, &items[i]))) == NULL)
			goto out_of_memory;
	}
	return environment;
out_of_memory:
	config_environment_free(environment);
	return NULL;
}

void
config_environment_free(char **environment)
{
	for (char **variable = environment; variable && *variable; variable++)
		free(*variable);
	free(environment);
}

char *
config_database_url(const char *value)
{
	static const char plain[] = "postgresql://";
	const char *rest = strstr(value, "://");
	char *url;

	if (!rest || (strncmp(value, "postgresql+", 11) != 0 && strncmp(value, "postgres+", 9) != 0))
		return strdup(value);
	rest += 3;
	url = malloc(sizeof(plain) + strlen(rest));
	if (url) {
		memcpy(url, plain, sizeof(plain) - 1);
		memcpy(url + sizeof(plain) - 1, rest, strlen(rest) + 1);
	}
	return url;
}
