/*
 * jobspec.c: check the shape of jobs given as JSON.
 *
 * jansson reads and judges each job; the text that has passed goes to the database as it came.
 */
#include "jobspec.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jobspec_internal.h"

/* Kinds of JSON values, as bits. */
enum {
	KIND_STRING = 1,
	KIND_INTEGER = 2, /* of 32 bits */
	KIND_NUMBER = 4,
	KIND_OBJECT = 8,
	KIND_ARRAY = 16
};

/* null is the same as absent, except for these two: a required field, and a payload, where JSON null could be meant. */
enum {
	FIELD_REQUIRED = 1,
	FIELD_NOT_NULL = 2,
	FIELD_ONLY_ONCE = 4, /* required with frequency "once", forbidden with "cron" */
	FIELD_ONLY_CRON = 8 /* the other way round */
};

/* RFC 3339, 5.6: "0" stands for a digit; 't', 'z' and a blank for 'T' are allowed there too.  Ranges are for SQL. */
static bool
is_rfc3339(const char *text)
{
	for (const char *form = "0000-00-00T00:00:00"; *form; form++, text++) {
		bool fits = *form == '0' ? isdigit((unsigned char) *text)
		        : *form == 'T'   ? *text && strchr("Tt ", *text)
		                         : *text == *form;

		if (!fits)
			return false;
	}
	if (*text == '.') {
		size_t digits = strspn(text + 1, "0123456789");

		if (digits == 0)
			return false;
		text += 1 + digits;
	}
	if (*text == 'Z' || *text == 'z')
		return text[1] == '\0';
	return (*text == '+' || *text == '-') && isdigit((unsigned char) text[1]) && isdigit((unsigned char) text[2]) &&
	        text[3] == ':' && isdigit((unsigned char) text[4]) && isdigit((unsigned char) text[5]) &&
	        text[6] == '\0';
}

static const struct field {
	const char *name;
	unsigned kinds;
	unsigned flags;
	const char *allowed;
	bool (*form)(const char *text); /* of a string, when not every string will do */
} fields[] = {
        {"name", KIND_STRING, FIELD_REQUIRED, "a string, the task's name", NULL},
        {"payload", KIND_OBJECT | KIND_ARRAY | KIND_STRING, FIELD_NOT_NULL, "an object, an array or a string", NULL},
        {"frequency", KIND_STRING, FIELD_REQUIRED, "\"once\" or \"cron\"", NULL},
        {"next_run_time", KIND_NUMBER | KIND_STRING, FIELD_ONLY_ONCE,
                "a number of seconds since 1970, or a string with an RFC 3339 time such as \"2026-11-24T21:30:00Z\"",
                is_rfc3339},
        {"cron", KIND_STRING, FIELD_ONLY_CRON, "a string with a cron expression such as \"*/5 * * * *\"", NULL},
        {"time_zone", KIND_STRING, 0, "a string with a time zone's name such as \"Europe/Berlin\"", NULL},
        {"max_retries", KIND_INTEGER, 0, "an integer", NULL},
        {"queue", KIND_STRING, 0, "a string, the queue's name", NULL},
        {"priority", KIND_INTEGER, 0, "an integer", NULL},
        {"timeout", KIND_NUMBER, 0, "a number of seconds", NULL},
        {"unique_key", KIND_STRING, 0, "a string", NULL},
        {"traceparent", KIND_STRING, 0, "a string", NULL},
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static const char all_fields[] =
        "name, payload, frequency, next_run_time, cron, time_zone, max_retries, queue, priority, timeout, unique_key, "
        "traceparent";

static bool
is_integer32(const struct json_document *doc, const json_t *value)
{
	double number = json_number_value(value);

	if (!json_is_integer(value) && !(doc->only_reals && json_is_real(value)))
		return false;
	return number >= INT32_MIN && number <= INT32_MAX && number == (double) (int32_t) number;
}

static bool
is_kind(const struct json_document *doc, const json_t *value, unsigned kinds)
{
	return ((kinds & KIND_STRING) && json_is_string(value)) ||
	        ((kinds & KIND_INTEGER) && is_integer32(doc, value)) ||
	        ((kinds & KIND_NUMBER) && json_is_number(value)) || ((kinds & KIND_OBJECT) && json_is_object(value)) ||
	        ((kinds & KIND_ARRAY) && json_is_array(value));
}

static const struct field *
find_field(const char *name)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	}
	return NULL;
}

static int
bad_field(struct problem *problem, const struct field *field, const json_t *value)
{
	char shown[128];

	json_text_show(value, shown, sizeof(shown));
	return problem_set(problem, 422, "invalid-field", field->name, "%s is %s; allowed: %s", field->name, shown,
	        field->allowed);
}

static int
check_known(const struct json_document *doc, struct problem *problem)
{
	const char *name;
	json_t *value;

	json_object_foreach(doc->root, name, value)
	{
		const struct field *field = find_field(name);

		if (!field)
			return problem_set(problem, 422, "unknown-field", name, "unknown field \"%.60s\"; allowed: %s",
			        name, all_fields);
		if (json_is_null(value) && !(field->flags & (FIELD_REQUIRED | FIELD_NOT_NULL)))
			continue;
		if (!is_kind(doc, value, field->kinds) ||
		        (field->form && json_is_string(value) && !field->form(json_string_value(value))))
			return bad_field(problem, field, value);
	}
	return 0;
}

static bool
is_given(const json_t *root, const char *name)
{
	const json_t *value = json_object_get(root, name);

	return value && !json_is_null(value);
}

static int
check_complete(const json_t *root, struct problem *problem)
{
	const char *frequency = json_string_value(json_object_get(root, "frequency"));
	bool once;

	for (size_t i = 0; i < N_FIELDS; i++) {
		if ((fields[i].flags & FIELD_REQUIRED) && !json_object_get(root, fields[i].name))
			return problem_set(problem, 422, "missing-field", fields[i].name, "%s is missing; allowed: %s",
			        fields[i].name, fields[i].allowed);
	}
	once = strcmp(frequency, "once") == 0;
	if (!once && strcmp(frequency, "cron") != 0)
		return bad_field(problem, find_field("frequency"), json_object_get(root, "frequency"));

	for (size_t i = 0; i < N_FIELDS; i++) {
		unsigned needed = once ? FIELD_ONLY_ONCE : FIELD_ONLY_CRON;
		unsigned forbidden = once ? FIELD_ONLY_CRON : FIELD_ONLY_ONCE;

		if ((fields[i].flags & needed) && !is_given(root, fields[i].name))
			return problem_set(problem, 422, "missing-field", fields[i].name,
			        "%s is missing, which frequency \"%s\" needs; allowed: %s", fields[i].name, frequency,
			        fields[i].allowed);
		if ((fields[i].flags & forbidden) && is_given(root, fields[i].name))
			return problem_set(problem, 422, "invalid-field", fields[i].name,
			        "%s is given with frequency \"%s\"; allowed: only with frequency \"%s\"",
			        fields[i].name, frequency, once ? "cron" : "once");
	}
	return 0;
}

int
jobspec_check_job(const struct json_document *doc, const char *what, struct problem *problem)
{
	if (!json_is_object(doc->root)) {
		char shown[128];

		json_text_show(doc->root, shown, sizeof(shown));
		return problem_set(
		        problem, 422, "not-an-object", NULL, "%s is %s; allowed: a JSON object", what, shown);
	}
	if (check_known(doc, problem) < 0)
		return -1;
	return check_complete(doc->root, problem);
}

int
jobspec_copy_key(const json_t *job, char **key, struct problem *problem)
{
	const char *text = json_string_value(json_object_get(job, "unique_key"));

	*key = NULL;
	if (!text)
		return 0;
	*key = strdup(text);
	return *key ? 0 : problem_set(problem, 503, "unavailable", NULL, "out of memory");
}

int
jobspec_check(const char *body, size_t len, char **key, struct problem *problem)
{
	struct json_place place = {body, len, 0};
	struct json_document doc;
	int rc;

	*key = NULL;
	if (json_text_peek(&place) == '\0' && place.offset == len)
		return problem_set(problem, 400, "not-json", NULL, "the body is empty; allowed: a JSON object");
	if (json_text_read(&place, &doc, problem) < 0)
		return -1;
	rc = json_text_end(&place, problem);
	if (rc == 0)
		rc = jobspec_check_job(&doc, "the body", problem);
	if (rc == 0)
		rc = jobspec_copy_key(doc.root, key, problem);
	json_decref(doc.root);
	return rc;
}
