/* HTTP as it comes from friend and foe: what is taken, what is refused with which status, and that no split matters. */
/* sources: src/api/http_parse.c src/api/problem.c src/common/error.c src/common/utf8.c */
/* libs: -ljansson */
#include <stdlib.h>

#include "src/api/http_parse.h"
#include "tap.h"

#define MAX_HEADER 16384

static struct http_head head;
static struct problem problem;
static char *bytes;

/* One line of it. */
static const char *
shown(const char *text)
{
	static char line[72];

	snprintf(line, sizeof(line), "%s", text);
	for (char *c = line; *c; c++)
		*c = *c < ' ' || *c == '#' ? '.' : *c;
	return line;
}

/* As bytes that come one by one, or all at once; the memory is of the exact size, and moves. */
static enum http_parsed
feed(const char *text, size_t len, size_t step)
{
	enum http_parsed parsed = HTTP_MORE;

	memset(&head, 0, sizeof(head));
	free(bytes);
	bytes = NULL;
	for (size_t n = 0; n < len && parsed == HTTP_MORE;) {
		size_t more = len - n < step ? len - n : step;
		char *moved = malloc(n + more);

		if (n > 0)
			memcpy(moved, bytes, n);
		memcpy(moved + n, text + n, more);
		free(bytes);
		bytes = moved;
		n += more;
		parsed = http_head_read(&head, bytes, n, MAX_HEADER, &problem);
	}
	return parsed;
}

static void
takes(const char *text, enum http_method method, const char *path, const char *query, const char *host)
{
	for (size_t step = 1; step < 1000; step += 999 - 1) {
		if (!is_int(feed(text, strlen(text), step), HTTP_DONE, "takes %s", shown(text))) {
			diag("%d %s", problem.status, problem.detail);
			continue;
		}
		is_int(head.method, method, "method");
		is_str(bytes + head.path, path, "path");
		is_str(bytes + head.query, query, "query");
		is_str(head.host ? bytes + head.host : NULL, host, "host");
		is_int(head.size, strlen(text), "all of it");
	}
}

static void
refuses_bytes(const char *text, size_t len, int status, const char *part)
{
	for (size_t step = 1; step < 100000; step += 99999 - 1) {
		if (is_int(feed(text, len, step), HTTP_BAD, "refuses %s", shown(text))) {
			is_int(problem.status, status, "with %d", status);
			if (!ok(strstr(problem.detail, part) != NULL, "saying \"%s\"", part))
				diag("%s", problem.detail);
		}
	}
}

static void
refuses(const char *text, int status, const char *part)
{
	refuses_bytes(text, strlen(text), status, part);
}

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST

static void
request_lines(void)
{
	takes(GET "\r\n", HTTP_METHOD_GET, "/", "", "a");
	takes("POST /jobs?x=1&y=%20 HTTP/1.1\r\nHost: h:8000\r\n\r\n", HTTP_METHOD_POST, "/jobs", "x=1&y=%20",
	        "h:8000");
	takes("\r\nDELETE /a%2Fb? HTTP/1.1\r\nhOST:   [::1]:1  \r\n\r\n", HTTP_METHOD_DELETE, "/a%2Fb", "", "[::1]:1");
	takes("HEAD http://other:1/x?q HTTP/1.1\r\n" HOST "\r\n", HTTP_METHOD_HEAD, "/x", "q", "other:1");
	takes("GET HTTPS://o HTTP/1.1\r\n" HOST "\r\n", HTTP_METHOD_GET, "/", "", "o");
	takes("GET http://o?q=/ HTTP/1.1\r\n" HOST "\r\n", HTTP_METHOD_GET, "/", "q=/", "o");
	takes("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", HTTP_METHOD_OPTIONS, "*", "", "a");
	takes("BREW / HTTP/1.1\r\n" HOST "\r\n", HTTP_METHOD_OTHER, "/", "", "a");
	takes("get / HTTP/1.1\r\n" HOST "\r\n", HTTP_METHOD_OTHER, "/", "", "a");
	takes("GET /{}|\"<>^` HTTP/1.0\r\n\r\n", HTTP_METHOD_GET, "/{}|\"<>^`", "", NULL);
	takes("GET //x/../y HTTP/1.1\r\n" HOST "\r\n", HTTP_METHOD_GET, "//x/../y", "", "a");
	takes("GET /%C3%BC HTTP/1.1\r\n" HOST "\r\n", HTTP_METHOD_GET, "/%C3%BC", "", "a");

	refuses("\r\n\r\nGET / HTTP/1.1\r\n", 400, "empty lines");
	refuses(" GET / HTTP/1.1\r\n", 400, "no method");
	refuses("GET\r\n", 400, "no method");
	refuses("GET  / HTTP/1.1\r\n", 400, "target");
	refuses("GET\t/ HTTP/1.1\r\n", 400, "no method");
	refuses("GET /\r\n", 400, "target");
	refuses("GET / \r\n", 400, "does not end with");
	refuses("GET / HTTP/1.1 \r\n", 400, "does not end with");
	refuses("GET /a b HTTP/1.1\r\n", 400, "does not end with");
	refuses("GET /\xC3\xBC HTTP/1.1\r\n", 400, "target");
	refuses("GET /#x HTTP/1.1\r\n", 400, "target");
	refuses("GET x HTTP/1.1\r\n", 400, "neither a path");
	refuses("GET * HTTP/1.1\r\n", 400, "neither a path");
	refuses("CONNECT a:1 HTTP/1.1\r\n", 400, "neither a path");
	refuses("GET ftp://a/ HTTP/1.1\r\n", 400, "neither a path");
	refuses("GET http:///x HTTP/1.1\r\n", 400, "whose host");
	refuses("GET http://u@h/ HTTP/1.1\r\n", 400, "whose host");
	refuses("GET http://h:x/ HTTP/1.1\r\n", 400, "whose host");
	refuses("GET / http/1.1\r\n", 400, "does not end with");
	refuses("GET / HTTP/11\r\n", 400, "does not end with");
	refuses("GET / HTTP/1.10\r\n", 400, "does not end with");
	refuses("GET / HTTP/2.0\r\n", 505, "HTTP/2.0");
	refuses("GET / HTTP/1.2\r\n", 505, "HTTP/1.2");
	refuses("GET / HTTP/0.9\r\n", 505, "HTTP/0.9");
	refuses("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/2.0");
	refuses("GET /%00 HTTP/1.1\r\n", 400, "path has a malformed");
	refuses("GET /%4 HTTP/1.1\r\n", 400, "path has a malformed");
	refuses("GET /%zz HTTP/1.1\r\n", 400, "path has a malformed");
	refuses("GET /%ff HTTP/1.1\r\n", 400, "path has a malformed");
	refuses("GET /%c0%af HTTP/1.1\r\n", 400, "path has a malformed");
	refuses("GET /?a=%E0%80%80 HTTP/1.1\r\n", 400, "query has a malformed");
	refuses_bytes("GET /\0 HTTP/1.1\r\n", 18, 400, "target");
	refuses("GET / HTTP/1.1\n", 400, "bare LF");
	refuses("GET / HTTP/1.1\rX\r\n", 400, "does not end with");
	refuses("\x16\x03\x01\x02\r\n", 400, "no method");
}

static void
fields(void)
{
	static const char several[] = GET "A:\r\nB:b\r\nC: \t c d \t \r\nD: \xFF\r\nb: 2\r\n\r\n";

	is_int(feed(several, sizeof(several) - 1, 1), HTTP_DONE, "takes headers");
	is_str(http_head_field(&head, bytes, "a"), "", "an empty header");
	is_str(http_head_field(&head, bytes, "B"), "b", "the first of two");
	is_str(http_head_field(&head, bytes, "c"), "c d", "without the blanks around it");
	is_str(http_head_field(&head, bytes, "d"), "\xFF", "bytes above 127 pass");
	is_str(http_head_field(&head, bytes, "e"), NULL, "one that was not sent");

	refuses(GET " X: folded\r\n\r\n", 400, "folded");
	refuses(GET "X: a\r\n\tfolded\r\n\r\n", 400, "folded");
	refuses("GET / HTTP/1.1\r\n X: first\r\n\r\n", 400, "folded");
	refuses(GET "X : a\r\n\r\n", 400, "blank after its name");
	refuses(GET ": a\r\n\r\n", 400, "no name");
	refuses(GET "X\r\n\r\n", 400, "not \"Name: value\"");
	refuses(GET "X(y): a\r\n\r\n", 400, "not \"Name: value\"");
	refuses(GET "X\xC3\xBC: a\r\n\r\n", 400, "not \"Name: value\"");
	refuses(GET "X: a\x01\r\n\r\n", 400, "header X holds a control character");
	refuses(GET "X: a\x7F\r\n\r\n", 400, "control character");
	refuses(GET "X: a\rY: b\r\n\r\n", 400, "control character");
	refuses_bytes(GET "X: a\0b\r\n\r\n", sizeof(GET) - 1 + 10, 400, "control character");
	refuses_bytes(GET "X\0: a\r\n\r\n", sizeof(GET) - 1 + 9, 400, "not \"Name: value\"");
	refuses(GET "X: a\n\r\n", 400, "bare LF");
	refuses(GET "X: a\r\n\n", 400, "bare LF");
	refuses(GET "X: a\r\r\n\r\n", 400, "control character");

	refuses("GET / HTTP/1.1\r\n\r\n", 400, "no header Host");
	refuses(GET HOST "\r\n", 400, "Host is given more than once");
	refuses("GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400, "Host is given more than once");
	refuses("GET http://x/ HTTP/1.1\r\n\r\n", 400, "no header Host");
	refuses("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Host is not");
	refuses("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "Host is not");
	refuses("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, "Host is not");
	refuses("GET / HTTP/1.1\r\nHost: u@b\r\n\r\n", 400, "Host is not");
	refuses("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "Host is not");
	refuses(GET "Expect: tea\r\n\r\n", 417, "allowed: 100-continue");
}

static void
lengths(void)
{
	static const struct {
		const char *text;
		int64_t length;
	} good[] = {{"", 0}, {"Content-Length: 0\r\n", 0}, {"Content-length:5\r\n", 5}, {"Content-Length: 007\r\n", 7},
	        {"Content-Length: 999999999999999999\r\n", 999999999999999999},
	        {"Transfer-Encoding: Chunked\r\n", HTTP_CHUNKED}};
	char text[256];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), GET "%s\r\n", good[i].text);
		is_int(feed(text, strlen(text), 7), HTTP_DONE, "takes %s", shown(good[i].text));
		is_int(head.length, good[i].length, "length");
	}
	refuses(GET "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "more than once");
	refuses(GET "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400, "more than once");
	refuses(GET "Content-Length: 5, 5\r\n\r\n", 400, "not a number");
	refuses(GET "Content-Length: +5\r\n\r\n", 400, "not a number");
	refuses(GET "Content-Length: -5\r\n\r\n", 400, "not a number");
	refuses(GET "Content-Length: 0x5\r\n\r\n", 400, "not a number");
	refuses(GET "Content-Length: 5 5\r\n\r\n", 400, "not a number");
	refuses(GET "Content-Length:\r\n\r\n", 400, "not a number");
	refuses(GET "Content-Length: 18446744073709551621\r\n\r\n", 413, "beyond all bounds");
	refuses(GET "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "both");
	refuses(GET "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400, "both");
	refuses(GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "more than once");
	refuses(GET "Transfer-Encoding: xchunked\r\n\r\n", 501, "not understood");
	refuses(GET "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "not understood");
	refuses(GET "Transfer-Encoding: chunked, identity\r\n\r\n", 501, "not understood");
	refuses(GET "Transfer-Encoding:\x0B"
	            "chunked\r\n\r\n",
	        400, "control character");
	refuses("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "not for HTTP/1.0");
}

static void
going_on(void)
{
	static const struct {
		const char *text;
		bool goes_on;
	} cases[] = {{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true}, {"GET / HTTP/1.0\r\n\r\n", false},
	        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true}, {GET "Connection: close\r\n\r\n", false},
	        {GET "Connection: x, CLOSE ,y\r\n\r\n", false}, {GET "Connection: closed\r\n\r\n", true},
	        {GET "Connection: keep-alive, close\r\n\r\n", false},
	        {GET "Connection: x\r\nConnection: close\r\n\r\n", false}, {GET "Connection: ,,\r\n\r\n", true}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		feed(cases[i].text, strlen(cases[i].text), 1000);
		is_int(head.keep_alive, cases[i].goes_on, "%s%s", shown(cases[i].text),
		        cases[i].goes_on ? "goes on" : "ends");
	}
	feed(GET "Expect: 100-Continue\r\n\r\n", sizeof(GET "Expect: 100-Continue\r\n\r\n") - 1, 1000);
	is_int(head.expects_continue, true, "100-continue");
	feed("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
	        sizeof("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n") - 1, 1000);
	is_int(head.expects_continue, false, "not in HTTP/1.0");
}

static void
limits(void)
{
	static char text[MAX_HEADER * 2];
	size_t n;

	n = (size_t) snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_MAX_LINE - 15, 0);
	is_int(feed(text, n, 1000), HTTP_DONE, "a first line of 8 KiB");
	n = (size_t) snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_MAX_LINE, 0);
	refuses_bytes(text, n, 414, "first line is too long");
	n = (size_t) snprintf(text, sizeof(text), "GET /%0*d", HTTP_MAX_LINE, 0);
	refuses_bytes(text, n, 414, "first line is too long");
	n = (size_t) snprintf(text, sizeof(text), GET "X: %0*d\r\n\r\n", MAX_HEADER - 100, 0);
	is_int(feed(text, n, 1000), HTTP_DONE, "headers of nearly 16 KiB");
	n = (size_t) snprintf(text, sizeof(text), GET "X: %0*d\r\n\r\n", MAX_HEADER, 0);
	refuses_bytes(text, n, 431, "up to 16384 bytes");
	n = (size_t) snprintf(text, sizeof(text), GET);
	for (int i = 0; i < HTTP_MAX_FIELDS; i++)
		n += (size_t) snprintf(text + n, sizeof(text) - n, "X: 1\r\n");
	refuses_bytes(text, n, 431, "more than 100 headers");
}

static void
query(void)
{
	static const struct {
		const char *query, *params;
	} cases[] = {{"", ""}, {"a=1", "a:1;"}, {"a=1&b=2&a=3", "a:1;b:2;a:3;"}, {"a", "a:;"}, {"&&a=&=b&", "a:;:b;"},
	        {"a+b=c+d%2B%26%3D", "a b:c d+&=;"}, {"%C3%BC=%C3%BC", "\xC3\xBC:\xC3\xBC;"}, {"a=b=c", "a:b=c;"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *buf = malloc(strlen(cases[i].query) + 2), found[100] = "";
		const char *rest = cases[i].query, *name, *value;

		while (http_next_param(&rest, buf, &name, &value))
			snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s:%s;", name, value);
		is_str(found, cases[i].params, "the parameters of \"%s\"", cases[i].query);
		free(buf);
	}
}

/* The body of chunks, decoded in place as the server does it, in steps; NULL when refused. */
static const char *
unchunk(const char *text, size_t len, size_t step, size_t max, size_t *left)
{
	static char body[8192];
	struct http_chunks chunks;
	size_t body_len = 0, used, n = 0;

	memset(&chunks, 0, sizeof(chunks));
	while (n < len) {
		size_t more = len - n < step ? len - n : step;
		enum http_parsed parsed;

		memcpy(body + body_len, text + n, more);
		n += more;
		parsed = http_chunks_read(&chunks, body + body_len, more, &used, body, &body_len, max, &problem);
		if (parsed == HTTP_BAD)
			return NULL;
		if (parsed == HTTP_DONE) {
			*left = len - n + more - used;
			body[body_len] = '\0';
			return body;
		}
		if (used != more)
			return "stopped too early";
	}
	*left = 0;
	return "not the end";
}

static void
chunks(void)
{
	static const struct {
		const char *text, *body;
		int status;
	} cases[] = {{"0\r\n\r\n", "", 0}, {"5\r\nhello\r\n0\r\n\r\n", "hello", 0},
	        {"1\r\na\r\n2\r\nbc\r\n00\r\n\r\n", "abc", 0},
	        {"A;x=\"y\"\r\n0123456789\r\n0;z\r\nT: 1\r\nU:\r\n\r\n", "0123456789", 0},
	        {"0000000000000003\r\nabc\r\n0\r\n\r\n", "abc", 0}, {"4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", 0},
	        {"00000000000000003\r\nabc", NULL, 400}, {"g\r\n", NULL, 400}, {"\r\n", NULL, 400},
	        {" 5\r\n", NULL, 400}, {"5 \r\n", NULL, 400}, {"5\n", NULL, 400}, {"0x5\r\n", NULL, 400},
	        {"-1\r\n", NULL, 400}, {"+1\r\n", NULL, 400}, {"5\rhello", NULL, 400}, {"3\r\nabcd\r\n", NULL, 400},
	        {"3\r\nabc\n", NULL, 400}, {"3\r\nabc\rX", NULL, 400}, {"5;a\nb", NULL, 400}, {"5;a\rb", NULL, 400},
	        {"5;\x01", NULL, 400}, {"0\r\nX: \x01", NULL, 400}, {"0\r\n\rX", NULL, 400}, {"0\r\n\n", NULL, 400},
	        {"0\r\nX\n", NULL, 400}, {"ffffffffffffffff\r\n", NULL, 413}, {"1001\r\n", NULL, 413},
	        {"800\r\n", "not the end", 0}, {"5\r\nhel", "not the end", 0}};
	static char text[10000];
	size_t left, n = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t step = 1; step < 1000; step += 998) {
			is_str(unchunk(cases[i].text, strlen(cases[i].text), step, 4096, &left), cases[i].body,
			        "chunks %zu in steps of %zu", i, step);
			if (cases[i].status)
				is_int(problem.status, cases[i].status, "status");
		}
	}
	is_str(unchunk("1\r\na\r\n0\r\n\r\nGET", 14, 100, 4096, &left), "a", "with the next request behind it");
	is_int(left, 3, "which is left");
	is_str(unchunk("3\r\nabc\r\n2\r\n", 11, 100, 4, &left), NULL, "chunks that are together too large");
	is_int(problem.status, 413, "413");
	n = (size_t) snprintf(text, sizeof(text), "1;%04100d\r\n", 0);
	is_str(unchunk(text, n, 1000, 4096, &left), NULL, "an extension without end");
	n = (size_t) snprintf(text, sizeof(text), "0\r\nX: %04100d\r\n", 0);
	is_str(unchunk(text, n, 1000, 4096, &left), NULL, "a trailer without end");
}

int
main(void)
{
	request_lines();
	fields();
	lengths();
	going_on();
	limits();
	query();
	chunks();
	free(bytes);
	return done_testing();
}
