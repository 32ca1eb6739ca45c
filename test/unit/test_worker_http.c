/* sources: src/worker/tasks/http_options.c src/worker/url.c src/common/error.c */
/* libs: -lcurl -lidn2 -ljansson */
/*
 * The payload of http_request: what is sent for it, and what is wrong with it.
 */
#include <stdlib.h>

#include "src/worker/tasks/http_options.h"
#include "tap.h"

static json_t *payload;
static struct http_options options;

static int
read_payload(const char *text, struct error *err)
{
	json_error_t error;

	payload = json_loads(text, JSON_DECODE_ANY, &error);
	if (!payload)
		diag("%s: %s", text, error.text);
	return http_options_read(payload, "job/time", &options, err);
}

static void
forget(void)
{
	http_options_free(&options);
	json_decref(payload);
}

/* "Name: value|Name: value" */
static const char *
headers(void)
{
	static char text[1000];

	text[0] = '\0';
	for (size_t i = 0; i < options.nheaders; i++) {
		strcat(text, i ? "|" : "");
		strcat(text, options.headers[i]);
	}
	return text;
}

static void
good(void)
{
	static const struct {
		const char *text, *method, *headers, *body;
	} cases[] = {
		{ "{\"url\": \"http://a\"}", "GET", "", NULL },
		{ "{\"url\": \"http://a\", \"method\": \"head\"}", "HEAD", "", NULL },
		{ "{\"url\": \"http://a\", \"method\": \"OPTIONS\"}", "OPTIONS", "", NULL },
		{ "{\"url\": \"http://a\", \"method\": \"DELETE\"}", "DELETE", "Idempotency-Key: job/time", NULL },
		{ "{\"url\": \"http://a\", \"method\": \"POST\"}", "POST", "Content-Type:|Expect:|Idempotency-Key: job/time", "" },
		{ "{\"url\": \"http://a\", \"body\": \"x\xC3\xA4\"}", "POST", "Content-Type: text/plain; charset=utf-8|Expect:|Idempotency-Key: job/time", "x\xC3\xA4" },
		{ "{\"url\": \"http://a\", \"json\": {\"a\": [1, null]}}", "POST", "Content-Type: application/json|Expect:|Idempotency-Key: job/time", "{\"a\":[1,null]}" },
		{ "{\"url\": \"http://a\", \"json\": null, \"method\": \"PUT\"}", "PUT", "Content-Type: application/json|Expect:|Idempotency-Key: job/time", "null" },
		{ "{\"url\": \"http://a\", \"body\": \"\", \"headers\": {\"content-TYPE\": \"a/b\", \"X\": \"\", \"idempotency-key\": \"k\"}}", "POST",
		  "content-TYPE: a/b|X;|idempotency-key: k|Expect:", "" },
		{ "{\"url\": \"http://a\", \"headers\": {\"Cookie\": \"a=b\", \"User-Agent\": \"x\", \"Authorization\": \"Bearer t\"}}", "GET",
		  "Cookie: a=b|User-Agent: x|Authorization: Bearer t", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { "" };

		if (!ok(read_payload(cases[i].text, &err) == 0, "%s", cases[i].text))
			diag("%s", err.msg);
		is_str(options.url, "http://a/", "its URL");
		is_str(options.method, cases[i].method, "its method");
		is_str(headers(), cases[i].headers, "its headers");
		is_str(options.body, cases[i].body, "its body");
		is_int(options.body_size, cases[i].body ? strlen(cases[i].body) : 0, "and the body's size");
		is_int(options.redirects, strcmp(cases[i].method, "GET") == 0 || strcmp(cases[i].method, "HEAD") == 0 ? 5 : 0, "redirects");
		ok(options.timeout == 30 && !options.save, "and what is not said");
		forget();
	}
}

static void
bad(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "[]", "payload: an object is needed" },
		{ "\"http://a\"", "payload: an object is needed" },
		{ "{}", "payload.url: a URL is needed" },
		{ "{\"url\": 1}", "payload.url: a URL is needed" },
		{ "{\"url\": \"ftp://a/\"}", "payload.url: URL ftp://a/: only http and https are allowed, not ftp" },
		{ "{\"url\": \"http://a\", \"verb\": 1}", "payload.verb: there is no such field; known are url, method, headers, body, json, expect, timeout, redirects, save" },
		{ "{\"url\": \"http://a\", \"method\": \"TRACE\"}", "payload.method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS is needed" },
		{ "{\"url\": \"http://a\", \"method\": \"CONNECT\"}", "payload.method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS is needed" },
		{ "{\"url\": \"http://a\", \"method\": \"GET x\"}", "payload.method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS is needed" },
		{ "{\"url\": \"http://a\", \"method\": 1}", "payload.method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS is needed" },
		{ "{\"url\": \"http://a\", \"method\": \"get\", \"body\": \"\"}", "payload.method: GET has no body" },
		{ "{\"url\": \"http://a\", \"method\": \"HEAD\", \"json\": 1}", "payload.method: HEAD has no body" },
		{ "{\"url\": \"http://a\", \"body\": {}}", "payload.body: a string is needed (payload.json takes JSON)" },
		{ "{\"url\": \"http://a\", \"body\": \"\", \"json\": 1}", "payload.body: there is payload.json too, one of them is allowed" },
		{ "{\"url\": \"http://a\", \"headers\": []}", "payload.headers: an object of names and values is needed" },
		{ "{\"url\": \"http://a\", \"headers\": {\"A\": 1}}", "payload.headers: A: a string is needed" },
		{ "{\"url\": \"http://a\", \"headers\": {\"A B\": \"\"}}", "payload.headers: \"A B\" is no name of a header" },
		{ "{\"url\": \"http://a\", \"headers\": {\"A:\": \"\"}}", "payload.headers: \"A:\" is no name of a header" },
		{ "{\"url\": \"http://a\", \"headers\": {\"\": \"\"}}", "payload.headers: \"\" is no name of a header" },
		{ "{\"url\": \"http://a\", \"headers\": {\"A\": \"x\\r\\nHost: b\"}}", "payload.headers: A: control characters are not allowed" },
		{ "{\"url\": \"http://a\", \"headers\": {\"A\": \"\\u007f\"}}", "payload.headers: A: control characters are not allowed" },
		{ "{\"url\": \"http://a\", \"headers\": {\"A\": \"1\", \"a\": \"2\"}}", "payload.headers: a is there twice" },
		{ "{\"url\": \"http://a\", \"headers\": {\"host\": \"b\"}}", "payload.headers: host is set by the worker" },
		{ "{\"url\": \"http://a\", \"headers\": {\"Content-Length\": \"1\"}}", "payload.headers: Content-Length is set by the worker" },
		{ "{\"url\": \"http://a\", \"headers\": {\"Transfer-Encoding\": \"chunked\"}}", "payload.headers: Transfer-Encoding is set by the worker" },
		{ "{\"url\": \"http://a\", \"headers\": {\"Connection\": \"x\"}}", "payload.headers: Connection is set by the worker" },
		{ "{\"url\": \"http://a\", \"headers\": {\"Upgrade\": \"h2c\"}}", "payload.headers: Upgrade is set by the worker" },
		{ "{\"url\": \"http://a\", \"headers\": {\"Proxy-Authorization\": \"x\"}}", "payload.headers: Proxy-Authorization is not allowed" },
		{ "{\"url\": \"http://a\", \"expect\": \"ok\"}", "payload.expect: a status 100..599, a class such as \"2xx\", or an array of them is needed" },
		{ "{\"url\": \"http://a\", \"expect\": 99}", "payload.expect: a status 100..599, a class such as \"2xx\", or an array of them is needed" },
		{ "{\"url\": \"http://a\", \"expect\": []}", "payload.expect: a status 100..599, a class such as \"2xx\", or an array of them is needed" },
		{ "{\"url\": \"http://a\", \"expect\": [200, \"6xx\"]}", "payload.expect: a status 100..599, a class such as \"2xx\", or an array of them is needed" },
		{ "{\"url\": \"http://a\", \"timeout\": 0}", "payload.timeout: seconds, 0.1..300, are needed" },
		{ "{\"url\": \"http://a\", \"timeout\": 301}", "payload.timeout: seconds, 0.1..300, are needed" },
		{ "{\"url\": \"http://a\", \"timeout\": \"1\"}", "payload.timeout: seconds, 0.1..300, are needed" },
		{ "{\"url\": \"http://a\", \"redirects\": 6}", "payload.redirects: a number 0..5 is needed" },
		{ "{\"url\": \"http://a\", \"redirects\": 1.5}", "payload.redirects: a number 0..5 is needed" },
		{ "{\"url\": \"http://a\", \"redirects\": 1, \"body\": \"\"}", "payload.redirects: POST does not follow any" },
		{ "{\"url\": \"http://a\", \"save\": 1}", "payload.save: true or false is needed" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { "" };

		is_int(read_payload(cases[i].text, &err), -1, "%s is refused", cases[i].text);
		is_str(err.msg, cases[i].message, "and the message names the field");
		is_int(options.url_is_bad, strstr(cases[i].text, "ftp") != NULL, "a bad URL has a reason of its own");
		forget();
	}
}

static void
expected(void)
{
	static const struct {
		const char *expect, *wanted, *unwanted;
	} cases[] = {
		{ NULL, "200 204 299", "199 300 404 500" },
		{ "404", "404", "200 403" },
		{ "\"3xx\"", "300 399", "200 400" },
		{ "[200, 410, \"5XX\"]", "200 410 500 599", "201 404 411" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { "" };
		char text[200];

		snprintf(text, sizeof(text), "{\"url\": \"http://a\"%s%s}", cases[i].expect ? ", \"expect\": " : "", cases[i].expect ? cases[i].expect : "");
		is_int(read_payload(text, &err), 0, "%s", text);
		for (const char *p = cases[i].wanted; *p; p += strspn(p, " 0123456789") > 4 ? 4 : strlen(p))
			ok(http_options_expect(&options, strtol(p, NULL, 10)), "%.3s is expected", p);
		for (const char *p = cases[i].unwanted; *p; p += strspn(p, " 0123456789") > 4 ? 4 : strlen(p))
			ok(!http_options_expect(&options, strtol(p, NULL, 10)), "%.3s is not", p);
		forget();
	}
}

int
main(void)
{
	good();
	bad();
	expected();
	return done_testing();
}
