/*
 * exec_answer.c: reads what commands answer.
 *
 * jansson checks the text, but the result is passed on as it came: a parsed 0.1 would be written 0.10000000000000001,
 * and an integer beyond 64 bits not at all.
 */
#include "exec_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

/* Numbers are only looked at: as a double each of them has a place. */
#define CHECK_FLAGS (JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL)

#define SHOWN 160 /* bytes of a bad line that a message shows */

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ---- text of valid JSON ---- */

/* Behind the string whose first quote is at p. */
static const char *
skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++) {
		if (*p == '\\')
			p++;
	}
	return p < end ? p + 1 : end;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && blank(*p))
		p++;
	return p;
}

static const char *
skip_value(const char *p, const char *end)
{
	int depth = 0;

	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (depth > 0 && (*p == '}' || *p == ']')) {
			depth--;
			p++;
		} else if (depth > 0) {
			p++;
			continue;
		} else {
			/* a number, true, false or null */
			while (p < end && !blank(*p) && !strchr(",}]", *p))
				p++;
		}
		if (depth == 0)
			break;
	}
	return p;
}

const char *
exec_answer_member(const char *object, size_t len, const char *name, size_t *value_len)
{
	const char *p = skip_blanks(object, object + len), *end = object + len, *found = NULL;
	size_t name_len = strlen(name);

	for (p++; p < end; p++) {
		const char *key, *value;
		size_t key_len;

		key = skip_blanks(p, end);
		if (key >= end || *key != '"')
			break;
		p = skip_string(key, end);
		key_len = (size_t) (p - key) - 2;
		value = skip_blanks(p, end);
		value = skip_blanks(value + 1, end);
		p = skip_value(value, end);
		if (key_len == name_len && memcmp(key + 1, name, name_len) == 0) {
			found = value;
			*value_len = (size_t) (p - value);
		}
		p = skip_blanks(p, end);
	}
	return found;
}

char *
exec_answer_check(const char *text, size_t len, struct error *err)
{
	json_error_t why;
	json_t *value;
	char *copy;

	while (len > 0 && blank(text[len - 1]))
		len--;
	while (len > 0 && blank(*text)) {
		text++;
		len--;
	}
	if (len == 0) {
		error_set(err, "it is empty");
		return NULL;
	}
	value = json_loadb(text, len, CHECK_FLAGS, &why);
	if (!value) {
		error_set(err, "line %d, column %d: %s", why.line, why.column, why.text);
		return NULL;
	}
	json_decref(value);
	copy = malloc(len + 1);
	if (!copy) {
		error_set(err, "out of memory");
		return NULL;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

/* ---- a line ---- */

static int
refuse(const char *line, size_t len, struct error *err, const char *why)
{
	char shown[UTF8_CLEAN_SIZE(SHOWN)];

	utf8_clean(line, len < SHOWN ? len : SHOWN, shown);
	return error_set(err, "%s: %s%s", why, shown, len > SHOWN ? "..." : "");
}

static int
read_error(const char *line, size_t len, struct exec_answer *a, struct error *err)
{
	const json_t *retry = json_object_get(a->root, "retry");
	const json_t *after = json_object_get(a->root, "retry_after");
	const json_t *reason = json_object_get(a->root, "reason");
	const json_t *traceback = json_object_get(a->root, "traceback");

	a->error = json_string_value(json_object_get(a->root, "error"));
	a->reason = json_string_value(reason);
	a->traceback = json_string_value(traceback);
	a->retry = !json_is_false(retry);
	a->retry_after = json_is_number(after) ? json_number_value(after) : -1;
	if (!a->error)
		return refuse(line, len, err, "error is no string");
	if (retry && !json_is_boolean(retry))
		return refuse(line, len, err, "retry is neither true nor false");
	if (after && !json_is_null(after) && !(a->retry_after >= 0))
		return refuse(line, len, err, "retry_after is no number of 0 or more");
	if (reason && !json_is_null(reason) && !a->reason)
		return refuse(line, len, err, "reason is no string");
	if (traceback && !json_is_null(traceback) && !a->traceback)
		return refuse(line, len, err, "traceback is no string");
	return 0;
}

static int
read_progress(const char *line, size_t len, struct exec_answer *a, struct error *err)
{
	const json_t *percent = json_object_get(a->root, "progress");
	const json_t *text = json_object_get(a->root, "text");

	a->progress = true;
	a->percent = json_is_number(percent) ? json_number_value(percent) : -1;
	a->text = json_string_value(text);
	if (!json_is_null(percent) && !(json_is_number(percent) && a->percent >= 0 && a->percent <= 100))
		return refuse(line, len, err, "progress is neither 0..100 nor null");
	if (text && !json_is_null(text) && !a->text)
		return refuse(line, len, err, "text is no string");
	return 0;
}

int
exec_answer_parse(const char *line, size_t len, long long id, struct exec_answer *answer, struct error *err)
{
	json_error_t why;
	char text[JSON_ERROR_TEXT_LENGTH + 64];
	const char *result;
	size_t result_len = 0;

	*answer = (struct exec_answer){.retry = true, .retry_after = -1};
	answer->root = json_loadb(line, len, CHECK_FLAGS | JSON_REJECT_DUPLICATES, &why);
	if (!answer->root) {
		snprintf(text, sizeof(text), "column %d: %s", why.column, why.text);
		return refuse(line, len, err, text);
	}
	if (!json_is_object(answer->root)) {
		refuse(line, len, err, "it is no object");
		goto failed;
	}
	if (json_number_value(json_object_get(answer->root, "id")) != (double) id) {
		snprintf(text, sizeof(text), "its id is not that of the request, %lld", id);
		refuse(line, len, err, text);
		goto failed;
	}
	if (!!json_object_get(answer->root, "result") + !!json_object_get(answer->root, "error") +
	                !!json_object_get(answer->root, "progress") !=
	        1) {
		refuse(line, len, err, "one of result, error and progress is needed");
		goto failed;
	}
	if (json_object_get(answer->root, "error")) {
		if (read_error(line, len, answer, err) < 0)
			goto failed;
		return 0;
	}
	if (json_object_get(answer->root, "progress")) {
		if (read_progress(line, len, answer, err) < 0)
			goto failed;
		return 0;
	}
	result = exec_answer_member(line, len, "result", &result_len);
	answer->result = result ? strndup(result, result_len) : NULL;
	if (!answer->result) {
		refuse(line, len, err, result ? "out of memory" : "\"result\" must be spelled without escapes");
		goto failed;
	}
	return 0;
failed:
	exec_answer_free(answer);
	return -1;
}

void
exec_answer_free(struct exec_answer *answer)
{
	json_decref(answer->root);
	free(answer->result);
	answer->root = NULL;
	answer->result = NULL;
}

char *
exec_answer_request(const json_t *head, const char *payload)
{
	char *text = json_dumps(head, JSON_COMPACT | JSON_REAL_PRECISION(9)), *line = NULL;

	/* {"id":1,...} loses its brace and goes on */
	if (text && asprintf(&line, "%.*s,\"payload\":%s}\n", (int) strlen(text) - 1, text, payload) < 0)
		line = NULL;
	free(text);
	/* A newline in JSON text can only be a blank between two tokens. */
	for (char *p = line; p && p[0] && p[1]; p++) {
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	}
	return line;
}
