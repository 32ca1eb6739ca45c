/*
 * problem.c: write errors as JSON.
 */
#include "problem.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

static const struct {
	int status;
	const char *title;
} titles[] = {
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
};

const char *
problem_title(int status)
{
	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
		if (titles[i].status == status)
			return titles[i].title;
	}
	return "Error";
}

int
problem_set(struct problem *p, int status, const char *type, const char *field, const char *fmt, ...)
{
	char text[sizeof(p->detail) * 2];
	struct error cut;
	va_list args;

	memset(p, 0, sizeof(*p));
	p->status = status;
	p->type = type;
	snprintf(p->field, sizeof(p->field), "%s", field ? field : "");
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	error_set(&cut, "%s", text);
	snprintf(p->detail, sizeof(p->detail), "%.*s", (int) sizeof(p->detail) - 1, cut.msg);
	return -1;
}

/* What is not UTF-8 (a message cut in the middle of a character) loses its end. */
static json_t *
text_value(const char *text)
{
	size_t len = strlen(text);
	json_t *value = json_stringn(text, len);

	for (int i = 0; !value && i < 4 && len > 0; i++)
		value = json_stringn(text, --len);
	return value ? value : json_string("(not UTF-8)");
}

char *
problem_json(const struct problem *p)
{
	json_t *object = json_object();
	char type[96], *text, *line = NULL;

	snprintf(type, sizeof(type), "urn:jobsched:problem:%s", p->type);
	json_object_set_new(object, "type", json_string(type));
	json_object_set_new(object, "title", json_string(problem_title(p->status)));
	json_object_set_new(object, "status", json_integer(p->status));
	json_object_set_new(object, "detail", text_value(p->detail));
	if (*p->field)
		json_object_set_new(object, "field", text_value(p->field));
	if (*p->sqlstate)
		json_object_set_new(object, "sqlstate", text_value(p->sqlstate));
	if (*p->hint)
		json_object_set_new(object, "hint", text_value(p->hint));

	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (text) {
		size_t len = strlen(text);

		line = realloc(text, len + 2);
		if (!line) {
			free(text);
			return NULL;
		}
		memcpy(line + len, "\n", 2);
	}
	return line;
}
