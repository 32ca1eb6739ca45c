/*
 * json_text.c: read JSON with jansson.
 */
#include "json_text.h"

#include <stdio.h>
#include <string.h>

/* jansson counts lines and columns from the beginning of what it was given. */
static void
locate(const struct json_place *place, int *line, int *column)
{
	const char *end = place->whole + place->offset;
	int before = 0, characters = 0;

	for (const char *p = place->whole; p < end; p++) {
		if (*p == '\n') {
			before++;
			characters = 0;
		} else if (((unsigned char) *p & 0xC0) != 0x80) {
			characters++;
		}
	}
	if (*line == 1)
		*column += characters;
	*line += before;
}

static int
bad_json(const struct json_place *place, const json_error_t *error, struct problem *problem)
{
	int line = error->line, column = error->column;

	locate(place, &line, &column);
	switch (json_error_code(error)) {
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return problem_set(problem, 422, "nul-character", NULL,
		        "line %d, column %d: \\u0000 cannot be stored in a JSON value "
		        "of the database; allowed: any other character",
		        line, column);
	case json_error_duplicate_key:
		return problem_set(problem, 400, "not-json", NULL,
		        "line %d, column %d: %s; allowed: each key once in an object", line, column, error->text);
	case json_error_stack_overflow:
		return problem_set(problem, 400, "not-json", NULL,
		        "the JSON is nested too deeply; allowed: up to %d levels", JSON_PARSER_MAX_DEPTH);
	case json_error_numeric_overflow:
		return problem_set(problem, 422, "number-too-large", NULL,
		        "line %d, column %d: a number is too large; allowed: up to "
		        "1.79e308 in absolute value",
		        line, column);
	case json_error_out_of_memory:
		return problem_set(problem, 503, "unavailable", NULL, "out of memory");
	default:
		return problem_set(problem, 400, "not-json", NULL, "the body is not JSON: line %d, column %d: %s", line,
		        column, error->text);
	}
}

char
json_text_peek(struct json_place *place)
{
	place->offset += strspn(place->whole + place->offset, " \t\r\n");
	return place->whole[place->offset];
}

static int
expected(const struct json_place *place, const char *what, struct problem *problem)
{
	int line = 1, column = 1;

	locate(place, &line, &column);
	return problem_set(problem, 400, "not-json", NULL, "the body is not JSON: line %d, column %d: %s expected",
	        line, column, what);
}

int
json_text_expect(struct json_place *place, char wanted, const char *what, struct problem *problem)
{
	if (json_text_peek(place) != wanted)
		return expected(place, what, problem);
	place->offset++;
	return 0;
}

int
json_text_end(struct json_place *place, struct problem *problem)
{
	json_text_peek(place);
	return place->offset == place->len ? 0 : expected(place, "end of file", problem);
}

int
json_text_read(struct json_place *place, struct json_document *doc, struct problem *problem)
{
	size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK;
	const char *text = place->whole + place->offset;
	size_t len = place->len - place->offset;
	json_error_t error;

	doc->only_reals = false;
	doc->root = json_loadb(text, len, flags, &error);
	/* Integers beyond 64 bits are JSON and fit into jsonb, but not into jansson's integers. */
	if (!doc->root && json_error_code(&error) == json_error_numeric_overflow) {
		doc->only_reals = true;
		doc->root = json_loadb(text, len, flags | JSON_DECODE_INT_AS_REAL, &error);
	}
	if (!doc->root)
		return bad_json(place, &error, problem);
	place->offset += (size_t) error.position;
	return 0;
}

/* The value as the client wrote it, short. */
void
json_text_show(const json_t *value, char *out, size_t size)
{
	char text[96];
	size_t n = json_dumpb(value, text, sizeof(text) - 1, JSON_ENCODE_ANY | JSON_COMPACT);

	if (n == (size_t) -1 || n == 0) {
		snprintf(out, size, "(not shown)");
	} else if (n < sizeof(text)) {
		text[n] = '\0';
		snprintf(out, size, "%s", text);
	} else {
		snprintf(out, size, "%s of %zu bytes",
		        json_is_string(value)           ? "a string"
		                : json_is_array(value)  ? "an array"
		                : json_is_object(value) ? "an object"
		                                        : "a number",
		        n);
	}
}
