/*
 * exec_file.c: reads and checks EXEC_TASKS_FILE: one JSON object, a member an entry.
 *
 * Checks go from outside in, and every message begins with the place: resize.argv[0], or the line when it is no JSON.
 */
#include "exec_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobsched_task.h"

#define FILE_MAX (1024 * 1024) /* bytes */
#define NAME_MAX_BYTES 255 /* of an entry or a task */
#define STDERR_MAX 8000 /* bytes: what fits into an execution's error */
#define YEAR (365 * 86400.0) /* seconds */
#define MIB ((size_t) 1024 * 1024)

#define DEFAULT_GRACE 5.0 /* seconds */
#define DEFAULT_STDERR 4000 /* bytes */

/* What is being read, for messages: the entry's name and the field. */
struct place {
	const char *entry;
	const char *field;
	struct error *err;
};

static const char field_names[] =
        "argv, mode, tasks, summary, directory, environment, pass_environment, timeout, grace, "
        "max_result, max_stderr, max_memory_mib, processes, runs_per_process";

/* 1..255 bytes without control characters, as the database takes names of tasks. */
static bool
name_allowed(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char) name[i] < 0x20 || name[i] == 0x7F)
			return false;
	}
	return len >= 1 && len <= NAME_MAX_BYTES;
}

static bool
variable_allowed(const char *name, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	return len > 0 && strspn(name, letters) >= len && !(name[0] >= '0' && name[0] <= '9') &&
	        strncmp(name, "JOBSCHED_", 9) != 0;
}

static int
refuse_variable(const struct place *at, const char *name)
{
	return error_set(at->err,
	        "%s.%s: \"%s\" is no variable's name (A-Z a-z 0-9 _, no digit first, not JOBSCHED_...)", at->entry,
	        at->field, name);
}

static int
no_memory(const struct place *at)
{
	return error_set(at->err, "%s.%s: out of memory", at->entry, at->field);
}

/* An array of text, as an array that ends with NULL. */
static int
read_texts(const struct place *at, const json_t *value, const char ***out)
{
	size_t i, n = json_array_size(value);
	const char **texts;
	json_t *item;

	if (!json_is_array(value))
		return error_set(at->err, "%s.%s: an array of strings is needed", at->entry, at->field);
	texts = calloc(n + 1, sizeof(*texts));
	if (!texts)
		return no_memory(at);
	*out = texts;
	json_array_foreach(value, i, item)
	{
		texts[i] = json_string_value(item);
		if (!texts[i])
			return error_set(at->err, "%s.%s[%zu]: a string is needed", at->entry, at->field, i);
	}
	return 0;
}

static int
read_text(const struct place *at, const json_t *value, const char **out)
{
	*out = json_string_value(value);
	return *out ? 0 : error_set(at->err, "%s.%s: a string is needed", at->entry, at->field);
}

static int
read_seconds(const struct place *at, const json_t *value, double max, double *out)
{
	*out = json_number_value(value);
	if (!json_is_number(value) || !(*out >= 0 && *out <= max))
		return error_set(at->err, "%s.%s: a number of seconds, 0..%.0f, is needed", at->entry, at->field, max);
	return 0;
}

static int
read_integer(const struct place *at, const json_t *value, long long min, long long max, long long *out)
{
	*out = json_integer_value(value);
	if (!json_is_integer(value) || *out < min || *out > max)
		return error_set(at->err, "%s.%s: an integer, %lld..%lld, is needed", at->entry, at->field, min, max);
	return 0;
}

static int
read_argv(const struct place *at, const json_t *value, struct exec_command *c)
{
	if (read_texts(at, value, &c->argv) < 0)
		return -1;
	if (!c->argv[0] || c->argv[0][0] != '/')
		return error_set(at->err, "%s.argv[0]: the absolute path of a program is needed", at->entry);
	return 0;
}

static int
read_tasks(const struct place *at, const json_t *value, struct exec_command *c)
{
	if (read_texts(at, value, &c->tasks) < 0)
		return -1;
	if (!c->tasks[0])
		return error_set(at->err, "%s.tasks: at least one name is needed", at->entry);
	for (int i = 0; c->tasks[i]; i++) {
		if (!name_allowed(c->tasks[i]))
			return error_set(at->err, "%s.tasks[%d]: 1..%d bytes without control characters are allowed",
			        at->entry, i, NAME_MAX_BYTES);
	}
	return 0;
}

static int
read_environment(const struct place *at, const json_t *value, struct exec_command *c)
{
	const char *name;
	json_t *item;
	size_t n = 0;

	if (!json_is_object(value))
		return error_set(at->err, "%s.%s: an object of names and strings is needed", at->entry, at->field);
	c->set = calloc(json_object_size(value) + 1, sizeof(*c->set));
	if (!c->set)
		return no_memory(at);
	json_object_foreach((json_t *) value, name, item)
	{
		if (!variable_allowed(name, strlen(name)))
			return refuse_variable(at, name);
		if (!json_is_string(item))
			return error_set(at->err, "%s.%s.%s: a string is needed", at->entry, at->field, name);
		if (asprintf(&c->set[n], "%s=%s", name, json_string_value(item)) < 0) {
			c->set[n] = NULL;
			return no_memory(at);
		}
		n++;
	}
	return 0;
}

static int
read_pass(const struct place *at, const json_t *value, struct exec_command *c)
{
	if (read_texts(at, value, &c->pass) < 0)
		return -1;
	for (int i = 0; c->pass[i]; i++) {
		if (!variable_allowed(c->pass[i], strlen(c->pass[i])))
			return refuse_variable(at, c->pass[i]);
	}
	return 0;
}

static int
read_mode(const struct place *at, const json_t *value, struct exec_command *c)
{
	const char *text = json_string_value(value);

	if (text && strcmp(text, "once") == 0)
		c->mode = EXEC_ONCE;
	else if (text && strcmp(text, "lines") == 0)
		c->mode = EXEC_LINES;
	else
		return error_set(at->err, "%s.mode: \"once\" or \"lines\" is needed", at->entry);
	return 0;
}

static int
read_directory(const struct place *at, const json_t *value, struct exec_command *c)
{
	if (read_text(at, value, &c->directory) < 0)
		return -1;
	if (c->directory[0] != '/')
		return error_set(at->err, "%s.directory: an absolute path is needed", at->entry);
	return 0;
}

static int
read_field(const struct place *at, const json_t *value, struct exec_command *c)
{
	const char *field = at->field;
	long long number = 0;
	int rc;

	if (strcmp(field, "argv") == 0)
		return read_argv(at, value, c);
	if (strcmp(field, "mode") == 0)
		return read_mode(at, value, c);
	if (strcmp(field, "tasks") == 0)
		return read_tasks(at, value, c);
	if (strcmp(field, "summary") == 0)
		return read_text(at, value, &c->summary);
	if (strcmp(field, "directory") == 0)
		return read_directory(at, value, c);
	if (strcmp(field, "environment") == 0)
		return read_environment(at, value, c);
	if (strcmp(field, "pass_environment") == 0)
		return read_pass(at, value, c);
	if (strcmp(field, "timeout") == 0)
		return read_seconds(at, value, YEAR, &c->timeout);
	if (strcmp(field, "grace") == 0)
		return read_seconds(at, value, 3600, &c->grace);
	if (strcmp(field, "max_result") == 0) {
		rc = read_integer(at, value, 1, (long long) TASK_RESULT_MAX, &number);
		c->max_result = (size_t) number;
		return rc;
	}
	if (strcmp(field, "max_stderr") == 0) {
		rc = read_integer(at, value, 0, STDERR_MAX, &number);
		c->max_stderr = (size_t) number;
		return rc;
	}
	if (strcmp(field, "max_memory_mib") == 0) {
		rc = read_integer(at, value, 1, 1024 * 1024, &number);
		c->max_memory = (size_t) number * MIB;
		return rc;
	}
	if (strcmp(field, "processes") == 0) {
		rc = read_integer(at, value, 1, 1000, &number);
		c->processes = (int) number;
		return rc;
	}
	if (strcmp(field, "runs_per_process") == 0) {
		rc = read_integer(at, value, 1, 1000000000, &number);
		c->runs_per_process = (long) number;
		return rc;
	}
	return error_set(at->err, "%s.%s: there is no such field; allowed are %s", at->entry, field, field_names);
}

static int
read_entry(const char *name, const json_t *value, struct exec_command *c, struct error *err)
{
	struct place at = {name, "argv", err};
	const char *field;
	json_t *item;

	*c = (struct exec_command){.name = name,
	        .directory = "/",
	        .grace = DEFAULT_GRACE,
	        .max_result = TASK_RESULT_MAX,
	        .max_stderr = DEFAULT_STDERR};
	if (!name_allowed(name))
		return error_set(
		        err, "entry \"%s\": a name is 1..%d bytes without control characters", name, NAME_MAX_BYTES);
	if (!json_is_object(value))
		return error_set(err, "%s: an object is needed, such as {\"argv\": [\"/path/of/program\"]}", name);
	json_object_foreach((json_t *) value, field, item)
	{
		at.field = field;
		if (read_field(&at, item, c) < 0)
			return -1;
	}
	if (!c->argv)
		return error_set(err, "%s.argv: it is missing", name);
	if (c->mode == EXEC_ONCE && c->processes)
		return error_set(err, "%s.processes: only with \"mode\": \"lines\"", name);
	if (c->mode == EXEC_ONCE && c->runs_per_process)
		return error_set(err, "%s.runs_per_process: only with \"mode\": \"lines\"", name);

	at.field = "tasks";
	if (!c->tasks) {
		c->tasks = calloc(2, sizeof(*c->tasks));
		if (!c->tasks)
			return no_memory(&at);
		c->tasks[0] = name;
	}
	if (!c->pass && !(c->pass = calloc(1, sizeof(*c->pass))))
		return no_memory(&at);
	if (!c->set && !(c->set = calloc(1, sizeof(*c->set))))
		return no_memory(&at);
	if (!c->summary)
		c->summary = c->argv[0];
	return 0;
}

/* No task is served twice. */
static int
check_tasks(const struct exec_commands *commands, int upto, struct error *err)
{
	const struct exec_command *c = &commands->list[upto];

	for (int i = 0; c->tasks && c->tasks[i]; i++) {
		for (int other = 0; other <= upto; other++) {
			const struct exec_command *o = &commands->list[other];

			for (int k = 0; o->tasks[k] && !(other == upto && k >= i); k++) {
				if (strcmp(o->tasks[k], c->tasks[i]) == 0)
					return error_set(err, "%s.tasks[%d]: %s serves the task %s already", c->name, i,
					        o->name, c->tasks[i]);
			}
		}
	}
	return 0;
}

int
exec_file_parse(const char *text, size_t len, struct exec_commands *commands, struct error *err)
{
	json_error_t why;
	const char *name;
	json_t *value;

	memset(commands, 0, sizeof(*commands));
	commands->root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (!commands->root)
		return error_set(err, "line %d, column %d: %s", why.line, why.column, why.text);
	if (!json_is_object(commands->root)) {
		error_set(err, "an object is needed: {\"name\": {\"argv\": [\"/path/of/program\"]}}");
		goto failed;
	}
	commands->list = calloc(json_object_size(commands->root) + 1, sizeof(*commands->list));
	if (!commands->list) {
		error_set(err, "out of memory");
		goto failed;
	}
	json_object_foreach(commands->root, name, value)
	{
		if (read_entry(name, value, &commands->list[commands->n++], err) < 0 ||
		        check_tasks(commands, commands->n - 1, err) < 0)
			goto failed;
	}
	return 0;
failed:
	exec_commands_free(commands);
	return -1;
}

/* Whoever may write it decides what the worker's user runs. */
static int
check_owner(int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, "it is not a regular file");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return error_set(err, "it belongs to user %u; it must be root's or that of the worker's user (%u)",
		        (unsigned) st.st_uid, (unsigned) geteuid());
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(err, "its mode is %04o; nobody but its owner may write it (chmod go-w)",
		        (unsigned) st.st_mode & 07777);
	if (st.st_size > FILE_MAX)
		return error_set(err, "it is %lld bytes large; %d are allowed", (long long) st.st_size, FILE_MAX);
	return 0;
}

int
exec_file_load(const char *path, struct exec_commands *commands, struct error *err)
{
	char *text = NULL;
	size_t len = 0;
	ssize_t got = 0;
	int fd, rc = -1;

	memset(commands, 0, sizeof(*commands));
	/* O_NONBLOCK: a FIFO is refused, not waited for */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_set(err, "%s", strerror(errno));
	if (check_owner(fd, err) < 0)
		goto out;
	text = malloc(FILE_MAX + 1);
	if (!text) {
		error_set(err, "out of memory");
		goto out;
	}
	while (len <= FILE_MAX && (got = read(fd, text + len, FILE_MAX + 1 - len)) > 0)
		len += (size_t) got;
	if (got < 0)
		error_set(err, "%s", strerror(errno));
	else if (len > FILE_MAX)
		error_set(err, "it is larger than %d bytes", FILE_MAX);
	else
		rc = exec_file_parse(text, len, commands, err);
out:
	free(text);
	close(fd);
	return rc;
}

void
exec_commands_free(struct exec_commands *commands)
{
	for (int i = 0; commands->list && i < commands->n; i++) {
		struct exec_command *c = &commands->list[i];

		for (int k = 0; c->set && c->set[k]; k++)
			free(c->set[k]);
		free(c->set);
		free(c->argv);
		free(c->pass);
		free(c->tasks);
	}
	free(commands->list);
	json_decref(commands->root);
	memset(commands, 0, sizeof(*commands));
}

const struct exec_command *
exec_commands_find(const struct exec_commands *commands, const char *name)
{
	for (int i = 0; i < commands->n; i++) {
		if (strcmp(commands->list[i].name, name) == 0)
			return &commands->list[i];
	}
	return NULL;
}
