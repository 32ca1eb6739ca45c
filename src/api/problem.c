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
#include "utf8.h"

static const struct {
	int status;
	const char *title;
} titles[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
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

/* A name that was cut in the middle of a character is no UTF-8. */
static json_t *
text_value(const char *text)
{
	char clean[UTF8_CLEAN_SIZE(sizeof(((struct problem *) NULL)->detail))];

	utf8_clean(text, strlen(text), clean);
	return json_string(clean);
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
