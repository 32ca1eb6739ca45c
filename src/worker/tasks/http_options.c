/*
 * http_options.c: the payload of http_request.
 */
#include "http_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../fetch.h"
#include "../url.h"

#define OWN_HEADERS 4 /* that are added to the payload's */

static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

static const char *const fields[] = {
        "url", "method", "headers", "body", "json", "expect", "timeout", "redirects", "save"};

/* They belong to the connection, or decide how the message is read, or which site it is for. */
static const char *const forbidden[] = {"accept-encoding", "connection", "content-length", "expect", "host",
        "http2-settings", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int
add_header(struct http_options *o, const char *name, const char *value, struct error *err)
{
	/* libcurl's way to send a header without a value, and ("Name:") to send none. */
	const char *colon = !value ? ":" : value[0] ? ": " : ";";
	char *header;

	if (asprintf(&header, "%s%s%s", name, colon, value ? value : "") < 0)
		return error_set(err, "out of memory");
	o->headers[o->nheaders++] = header;
	return 0;
}

static bool
has_header(const struct http_options *o, const char *name)
{
	size_t len = strlen(name);

	for (char *const *h = o->headers; *h; h++) {
		if (strncasecmp(*h, name, len) == 0 && strchr(":;", (*h)[len]))
			return true;
	}
	return false;
}

static int
check_header(const struct http_options *o, const char *name, const json_t *value, struct error *err)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *text = json_string_value(value);

	if (!name[0] || strspn(name, token) != strlen(name))
		return error_set(err, "payload.headers: \"%.100s\" is no name of a header", name);
	for (size_t i = 0; i < COUNT(forbidden); i++) {
		if (strcasecmp(name, forbidden[i]) == 0)
			return error_set(err, "payload.headers: %s is set by the worker", name);
	}
	if (strncasecmp(name, "proxy-", 6) == 0)
		return error_set(err, "payload.headers: %s is not allowed", name);
	if (has_header(o, name))
		return error_set(err, "payload.headers: %s is there twice", name);
	if (!text)
		return error_set(err, "payload.headers: %s: a string is needed", name);
	if (strlen(text) != json_string_length(value))
		return error_set(err, "payload.headers: %s: control characters are not allowed", name);
	for (const unsigned char *p = (const unsigned char *) text; *p; p++) {
		if ((*p < ' ' && *p != '\t') || *p == 0x7F)
			return error_set(err, "payload.headers: %s: control characters are not allowed", name);
	}
	return 0;
}

static int
read_headers(struct http_options *o, const json_t *headers, struct error *err)
{
	const char *name;
	json_t *value;
	size_t bytes = 0;

	if (headers && !json_is_object(headers))
		return error_set(err, "payload.headers: an object of names and values is needed");
	if (json_object_size(headers) > HTTP_HEADERS_MAX)
		return error_set(err, "payload.headers: more than %d", HTTP_HEADERS_MAX);
	o->headers = calloc(json_object_size(headers) + OWN_HEADERS + 1, sizeof(*o->headers));
	if (!o->headers)
		return error_set(err, "out of memory");
	/* Iteration does not change the object, but jansson's macro wants it so. */
	json_object_foreach((json_t *) (size_t) headers, name, value)
	{
		if (check_header(o, name, value, err) < 0)
			return -1;
		bytes += strlen(name) + json_string_length(value);
		if (bytes > HTTP_VALUES_MAX)
			return error_set(err, "payload.headers: more than %d bytes", HTTP_VALUES_MAX);
		if (add_header(o, name, json_string_value(value), err) < 0)
			return -1;
	}
	return 0;
}

static int
read_method(struct http_options *o, const json_t *method, bool has_body, struct error *err)
{
	const char *text = method ? json_string_value(method) : has_body ? "POST" : "GET";

	for (size_t i = 0; text && i < COUNT(methods); i++) {
		if (strcasecmp(text, methods[i]) == 0)
			o->method = methods[i];
	}
	if (!o->method)
		return error_set(err, "payload.method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS is needed");
	if (has_body && (strcmp(o->method, "GET") == 0 || strcmp(o->method, "HEAD") == 0))
		return error_set(err, "payload.method: %s has no body", o->method);
	return 0;
}

/* The body, and the headers that it wants. */
static int
read_body(struct http_options *o, const json_t *body, const json_t *json, struct error *err)
{
	const char *type = NULL;

	if (body && json)
		return error_set(err, "payload.body: there is payload.json too, one of them is allowed");
	if (body) {
		if (!json_is_string(body))
			return error_set(err, "payload.body: a string is needed (payload.json takes JSON)");
		o->body_size = json_string_length(body);
		o->body = malloc(o->body_size + 1);
		if (o->body)
			memcpy(o->body, json_string_value(body), o->body_size + 1);
		type = "text/plain; charset=utf-8";
	} else if (json) {
		o->body = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
		o->body_size = o->body ? strlen(o->body) : 0;
		type = "application/json";
	} else if (strcmp(o->method, "POST") == 0 || strcmp(o->method, "PUT") == 0 || strcmp(o->method, "PATCH") == 0) {
		o->body = strdup("");
	} else {
		return 0;
	}
	if (!o->body)
		return error_set(err, "out of memory");
	if (!has_header(o, "Content-Type") && add_header(o, "Content-Type", type, err) < 0)
		return -1;
	/* libcurl would wait for leave to send a large body. */
	return add_header(o, "Expect", NULL, err);
}

/* 200, "2xx" */
static bool
is_status(const json_t *status)
{
	const char *text = json_string_value(status);

	if (json_is_integer(status))
		return json_integer_value(status) >= 100 && json_integer_value(status) <= 599;
	return text && text[0] >= '1' && text[0] <= '5' && strcasecmp(text + 1, "xx") == 0;
}

static int
read_expect(struct http_options *o, const json_t *expect, struct error *err)
{
	const json_t *status;
	size_t i;
	bool good = !expect || is_status(expect) || (json_is_array(expect) && json_array_size(expect) > 0);

	json_array_foreach(expect, i, status) good = good && is_status(status);
	if (!good)
		return error_set(err,
		        "payload.expect: a status 100..599, a class such as \"2xx\", or an array of them is needed");
	o->expect = expect;
	return 0;
}

static int
read_limits(
        struct http_options *o, const json_t *timeout, const json_t *redirects, const json_t *save, struct error *err)
{
	bool follows = strcmp(o->method, "GET") == 0 || strcmp(o->method, "HEAD") == 0;

	o->timeout = timeout ? json_number_value(timeout) : FETCH_TIMEOUT;
	if (!(o->timeout >= HTTP_TIMEOUT_MIN && o->timeout <= HTTP_TIMEOUT_MAX))
		return error_set(
		        err, "payload.timeout: seconds, %g..%g, are needed", HTTP_TIMEOUT_MIN, HTTP_TIMEOUT_MAX);
	if (redirects &&
	        (!json_is_integer(redirects) || json_integer_value(redirects) < 0 ||
	                json_integer_value(redirects) > FETCH_REDIRECTS_MAX))
		return error_set(err, "payload.redirects: a number 0..%d is needed", FETCH_REDIRECTS_MAX);
	if (redirects && json_integer_value(redirects) > 0 && !follows)
		return error_set(err, "payload.redirects: %s does not follow any", o->method);
	if (redirects)
		o->redirects = (int) json_integer_value(redirects);
	else
		o->redirects = follows ? FETCH_REDIRECTS_MAX : 0;
	if (save && !json_is_boolean(save))
		return error_set(err, "payload.save: true or false is needed");
	o->save = json_is_true(save);
	return 0;
}

static int
check_fields(const json_t *payload, struct error *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(payload))
		return error_set(err, "payload: an object is needed");
	json_object_foreach((json_t *) (size_t) payload, name, value)
	{
		bool known = false;

		for (size_t i = 0; i < COUNT(fields); i++)
			known = known || strcmp(name, fields[i]) == 0;
		if (!known)
			return error_set(err,
			        "payload.%.100s: there is no such field; known are url, method, headers, body, json, "
			        "expect, timeout, redirects, save",
			        name);
	}
	return 0;
}

int
http_options_read(const json_t *payload, const char *idempotency_key, struct http_options *options, struct error *err)
{
	const json_t *body = json_object_get(payload, "body"), *json = json_object_get(payload, "json");
	const char *url = json_string_value(json_object_get(payload, "url"));
	struct error why = {""};
	bool safe;

	memset(options, 0, sizeof(*options));
	if (check_fields(payload, err) < 0)
		return -1;
	if (!url)
		return error_set(err, "payload.url: a URL is needed");
	options->url = url_normalize(url, NULL, &why);
	if (!options->url) {
		options->url_is_bad = true;
		return error_set(err, "payload.url: %s", why.msg);
	}
	if (read_method(options, json_object_get(payload, "method"), body || json, err) < 0 ||
	        read_headers(options, json_object_get(payload, "headers"), err) < 0 ||
	        read_body(options, body, json, err) < 0 ||
	        read_expect(options, json_object_get(payload, "expect"), err) < 0 ||
	        read_limits(options, json_object_get(payload, "timeout"), json_object_get(payload, "redirects"),
	                json_object_get(payload, "save"), err) < 0)
		return -1;
	safe = strcmp(options->method, "GET") == 0 || strcmp(options->method, "HEAD") == 0 ||
	        strcmp(options->method, "OPTIONS") == 0;
	if (!safe && !has_header(options, "Idempotency-Key"))
		return add_header(options, "Idempotency-Key", idempotency_key, err);
	return 0;
}

void
http_options_free(struct http_options *options)
{
	for (size_t i = 0; i < options->nheaders; i++)
		free(options->headers[i]);
	free(options->headers);
	free(options->body);
	free(options->url);
	memset(options, 0, sizeof(*options));
}

bool
http_options_expect(const struct http_options *options, long status)
{
	const json_t *expect = options->expect, *one;
	size_t i = 0, n = json_is_array(expect) ? json_array_size(expect) : 1;

	if (!expect)
		return status >= 200 && status < 300;
	for (; i < n; i++) {
		one = json_is_array(expect) ? json_array_get(expect, i) : expect;
		if (json_is_integer(one) ? json_integer_value(one) == status
		                         : json_string_value(one)[0] - '0' == status / 100)
			return true;
	}
	return false;
}
