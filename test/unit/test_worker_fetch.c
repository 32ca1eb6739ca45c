/* sources: src/worker/fetch.c src/worker/fetch_transfer.c src/worker/robots_cache.c src/worker/robots.c src/worker/url.c src/worker/address.c src/worker/content_type.c src/common/utf8.c src/common/error.c src/common/clock.c */
/* libs: -lcurl -lidn2 -ljansson -lz -pthread */
/*
 * Requests to a server that plays tricks: names whose address changes, resolvers that hang, headers and bodies without
 * end, redirects to where nobody may go; and how fast a transfer ends when it is told to.
 *
 * The names ending in .test are resolved here, in place of the C library's getaddrinfo; the server is a thread that
 * listens on 127.0.0.1 and 127.0.0.2, of which only the first may be visited.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "src/common/clock.h"
#include "src/worker/fetch.h"
#include "src/worker/robots_cache.h"
#include "src/worker/url.h"
#include "tap.h"

static int port;
static atomic_int lookups, inside_requests, robots_requests;
static atomic_bool resolver_hangs;
static struct address_list allowed;
static struct fetch_policy policy = { .allowed = &allowed, .user_agent = "jobsched/1.0" };

/* ---- names ---- */

static struct addrinfo *
answer_with(const char *address, const char *service, struct addrinfo *next)
{
	struct addrinfo *a = calloc(1, sizeof(*a));
	struct sockaddr_in *sa = calloc(1, sizeof(*sa));

	sa->sin_family = AF_INET;
	sa->sin_port = htons((in_port_t) atoi(service ? service : "0"));
	inet_pton(AF_INET, address, &sa->sin_addr);
	a->ai_family = AF_INET;
	a->ai_socktype = SOCK_STREAM;
	a->ai_protocol = IPPROTO_TCP;
	a->ai_addrlen = sizeof(*sa);
	a->ai_addr = (struct sockaddr *) sa;
	a->ai_next = next;
	return a;
}

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	int n = atomic_fetch_add(&lookups, 1);

	(void) hints;
	if (strcmp(name, "changes.test") == 0)
		*out = answer_with(n == 0 ? "127.0.0.1" : "127.0.0.2", service, NULL);
	else if (strcmp(name, "inside.test") == 0)
		*out = answer_with("127.0.0.2", service, NULL);
	else if (strcmp(name, "both.test") == 0)
		*out = answer_with("127.0.0.2", service, answer_with("127.0.0.1", service, NULL));
	else if (strcmp(name, "outside.test") == 0 || strcmp(name, "other.test") == 0)
		*out = answer_with("127.0.0.1", service, NULL);
	else if (strcmp(name, "hangs.test") == 0) {
		for (int i = 0; i < 500 && atomic_load(&resolver_hangs); i++)
			usleep(10000);
		return EAI_AGAIN;
	} else {
		return EAI_NONAME;
	}
	return 0;
}

void
freeaddrinfo(struct addrinfo *a)
{
	while (a) {
		struct addrinfo *next = a->ai_next;

		free(a->ai_addr);
		free(a);
		a = next;
	}
}

/* ---- the server ---- */

static void
say(int fd, const char *text)
{
	(void) !send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Until the client goes away; without pause many at a time. */
static void
repeat(int fd, const char *text, useconds_t pause)
{
	char many[16384];
	size_t len = strlen(text), n = 0;

	do {
		memcpy(many + n, text, len);
		n += len;
	} while (pause == 0 && len > 0 && n + len <= sizeof(many));
	while (send(fd, many, n, MSG_NOSIGNAL) > 0) {
		if (pause)
			usleep(pause);
	}
}

/* size zeros, compressed `times` times. */
static unsigned char *
zipped(size_t size, int times, size_t *len)
{
	unsigned char *in = calloc(1, size), *out = NULL;

	for (int i = 0; i < times; i++) {
		z_stream z = { 0 };

		*len = size + 1000;
		out = malloc(*len);
		deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
		z.next_in = in;
		z.avail_in = (uInt) size;
		z.next_out = out;
		z.avail_out = (uInt) *len;
		deflate(&z, Z_FINISH);
		*len = size = z.total_out;
		deflateEnd(&z);
		free(in);
		in = out;
	}
	return out;
}

static void
say_zipped(int fd, const char *coding, size_t size, int times)
{
	size_t len = 0;
	unsigned char *data = zipped(size, times, &len);
	char head[200];

	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%s\r\nContent-Length: %zu\r\n\r\n", coding, len);
	say(fd, head);
	(void) !send(fd, data, len, MSG_NOSIGNAL);
	free(data);
}

static void
redirect(int fd, const char *to)
{
	char text[500];

	snprintf(text, sizeof(text), "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n", to);
	say(fd, text);
}

#define OK_TEXT		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

/* false: the connection ends. */
static bool
serve(int fd, const char *path, const char *request)
{
	char text[700];

	if (strcmp(path, "/ok") == 0) {
		say(fd, OK_TEXT "Content-Length: 2\r\n\r\nok");
		return true;
	}
	if (strcmp(path, "/robots.txt") == 0) {
		atomic_fetch_add(&robots_requests, 1);
		say(fd, OK_TEXT "Content-Length: 33\r\n\r\nUser-agent: *\nDisallow: /private\n");
		return true;
	}
	if (strcmp(path, "/echo") == 0) {
		snprintf(text, sizeof(text), OK_TEXT "Content-Length: %zu\r\n\r\n", strlen(request));
		say(fd, text);
		say(fd, request);
		return true;
	}
	if (strncmp(path, "/to?", 4) == 0) {
		redirect(fd, path + 4);
		return true;
	}
	if (strcmp(path, "/loop") == 0) {
		redirect(fd, "/loop");
		return true;
	}
	if (strcmp(path, "/count/0") == 0)
		redirect(fd, "/ok");
	else if (strncmp(path, "/count/", 7) == 0) {
		snprintf(text, sizeof(text), "/count/%d", atoi(path + 7) - 1);
		redirect(fd, text);
		return true;
	} else if (strcmp(path, "/silent") == 0)
		usleep(3000000);
	else if (strcmp(path, "/drip") == 0) {
		say(fd, OK_TEXT "\r\n");
		repeat(fd, "x", 50000);
	} else if (strcmp(path, "/drip-head") == 0) {
		say(fd, "HTTP/1.1 200 OK\r\n");
		repeat(fd, "X: y\r\n", 50000);
	} else if (strcmp(path, "/endless") == 0) {
		say(fd, OK_TEXT "\r\n");
		repeat(fd, "0123456789012345678901234567890123456789012345678901234567890123", 0);
	} else if (strcmp(path, "/endless-chunks") == 0) {
		say(fd, OK_TEXT "Transfer-Encoding: chunked\r\n\r\n");
		repeat(fd, "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n10\r\n0123456789abcdef\r\n3\r\nghi\r\n", 0);
	} else if (strcmp(path, "/endless-head") == 0) {
		say(fd, "HTTP/1.1 200 OK\r\n");
		repeat(fd, "X-Header: 0123456789012345678901234567890123456789\r\n", 0);
	} else if (strcmp(path, "/endless-100") == 0)
		repeat(fd, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0);
	else if (strcmp(path, "/gzip") == 0)
		say_zipped(fd, "Content-Encoding: gzip", 1000, 1);
	else if (strcmp(path, "/bomb") == 0)
		say_zipped(fd, "Content-Encoding: gzip", 5000000, 1);
	else if (strcmp(path, "/bomb-twice") == 0)
		say_zipped(fd, "Content-Encoding: gzip, gzip", 5000000, 2);
	else if (strcmp(path, "/bomb-two-lines") == 0)
		say_zipped(fd, "Content-Encoding: gzip\r\nContent-Encoding: gzip", 5000000, 2);
	else if (strcmp(path, "/bomb-transfer") == 0)
		say_zipped(fd, "Transfer-Encoding: gzip, chunked", 1000, 1);
	else if (strcmp(path, "/brotli") == 0)
		say_zipped(fd, "Content-Encoding: br", 1000, 1);
	else if (strcmp(path, "/nonsense") == 0)
		say(fd, "SSH-2.0-OpenSSH_9.2\r\n");
	else if (strcmp(path, "/short") == 0)
		say(fd, OK_TEXT "Content-Length: 100\r\n\r\nshort");
	else if (strcmp(path, "/image") == 0)
		say(fd, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(path, "/404-image") == 0)
		say(fd, "HTTP/1.1 404 No\r\nContent-Type: image/png\r\nContent-Length: 1\r\n\r\nx");
	else if (strcmp(path, "/later") == 0)
		say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(path, "/much-later") == 0)
		say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(path, "/earlier") == 0)
		say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(path, "/date") == 0) {
		time_t then = time(NULL) + 100;
		struct tm tm;

		strftime(text, sizeof(text), "HTTP/1.1 429 Slow\r\nRetry-After: %a, %d %b %Y %H:%M:%S GMT\r\nContent-Length: 0\r\n\r\n", gmtime_r(&then, &tm));
		say(fd, text);
	} else
		say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	return false;
}

static void *
connection(void *arg)
{
	int fd = (int) (long) arg;
	char request[20000], path[10000];
	struct sockaddr_in here;
	socklen_t size = sizeof(here);
	bool more = true;

	getsockname(fd, (struct sockaddr *) &here, &size);
	if (here.sin_addr.s_addr != htonl(INADDR_LOOPBACK))
		atomic_fetch_add(&inside_requests, 1);
	while (more) {
		size_t len = 0;

		request[0] = '\0';
		while (len < sizeof(request) - 1 && !strstr(request, "\r\n\r\n")) {
			ssize_t n = recv(fd, request + len, sizeof(request) - 1 - len, 0);

			if (n <= 0)
				break;
			len += (size_t) n;
			request[len] = '\0';
		}
		if (sscanf(request, "%*s %9999s", path) != 1)
			break;
		more = serve(fd, path, request);
	}
	close(fd);
	return NULL;
}

static void *
server(void *arg)
{
	int listener = (int) (long) arg, fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, connection, (void *) (long) fd);
		pthread_detach(thread);
	}
	return NULL;
}

static void
start_server(const char *address)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((in_port_t) port) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	pthread_t thread;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	inet_pton(AF_INET, address, &sa.sin_addr);
	if (bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 || listen(fd, 100) < 0)
		abort();
	getsockname(fd, (struct sockaddr *) &sa, &len);
	port = ntohs(sa.sin_port);
	pthread_create(&thread, NULL, server, (void *) (long) fd);
	pthread_detach(thread);
}

/* ---- the tests ---- */

static struct fetch_answer answer;
static struct error err;
static double took;

static char *
url_of(const char *host, const char *path)
{
	static char text[10000];

	snprintf(text, sizeof(text), "http://%s:%d%s", host, port, path);
	return text;
}

/* stop: seconds after which the transfer is told to stop, 0: never */
static bool
stop_at(void *arg)
{
	return clock_boottime_us() >= *(int64_t *) arg;
}

static enum fetch_end
get(const char *host, const char *path, double seconds, double stop)
{
	int64_t begin = clock_boottime_us(), stop_us = begin + (int64_t) (stop * 1e6);
	struct fetch_request request = { .url = url_of(host, path), .body_max = FETCH_BODY_MAX, .redirects_max = 5, .readable = true };
	struct fetch *f = fetch_open(&policy, seconds, stop > 0 ? stop_at : NULL, &stop_us, &err);
	enum fetch_end end;

	fetch_answer_free(&answer);
	end = fetch_run(f, &request, &answer, &err);
	fetch_close(f);
	took = (double) (clock_boottime_us() - begin) / 1e6;
	return end;
}

static void
refused(const char *host, const char *path, const char *reason, const char *what)
{
	is_int(get(host, path, 10, 0), FETCH_REFUSED, "%s: refused", what);
	is_str(answer.reason, reason, "%s: reason", what);
	ok(err.msg[0] && strstr(err.msg, "http"), "%s: the message names the URL", what);
	if (strcmp(reason, "address_refused") == 0)
		ok(atomic_load(&inside_requests) == 0 && strstr(err.msg, "127.0.0.2"), "%s: nothing was sent there", what);
}

static void
addresses(void)
{
	char to[200];

	is_int(get("outside.test", "/ok", 10, 0), FETCH_DONE, "a name of an address that may be visited");
	is_int(answer.status, 200, "its status");
	is_int(answer.size, 2, "its body");
	is_str(answer.content_type, "text/plain", "its type");
	refused("inside.test", "/ok", "address_refused", "a name of an address that may not");
	refused("127.0.0.2", "/ok", "address_refused", "the address itself");

	atomic_store(&lookups, 0);
	is_int(get("changes.test", "/ok", 10, 0), FETCH_DONE, "a name that changes its address: the first time it is a good one");
	refused("changes.test", "/ok", "address_refused", "the second time it is not");
	is_int(get("both.test", "/ok", 10, 0), FETCH_DONE, "a name with a bad and a good address: the good one is used");

	snprintf(to, sizeof(to), "/to?http://inside.test:%d/ok", port);
	refused("outside.test", to, "address_refused", "a redirect to a bad name");
	snprintf(to, sizeof(to), "/to?http://127.0.0.2:%d/ok", port);
	refused("outside.test", to, "address_refused", "a redirect to a bad address");
	snprintf(to, sizeof(to), "/to?http://2130706434:%d/ok", port);
	refused("outside.test", to, "address_refused", "a redirect to a bad address as a number");
	snprintf(to, sizeof(to), "/to?http://outside.test:%d/to?http://inside.test:%d/", port, port);
	refused("outside.test", to, "address_refused", "a redirect to a redirect to a bad name");
	refused("outside.test", "/to?file:///etc/passwd", "bad_url", "a redirect to a file");
	refused("outside.test", "/to?gopher://127.0.0.1:70/_x", "bad_url", "a redirect to gopher");
	refused("outside.test", "/to?http://u:p@outside.test/", "bad_url", "a redirect with a password");
	refused("outside.test", "/loop", "redirects", "a redirect to itself");
	refused("outside.test", "/count/5", "redirects", "six redirects");
	is_int(get("outside.test", "/count/4", 10, 0), FETCH_DONE, "five redirects");
	is_int(answer.redirects, 5, "are counted");
	is_str(answer.final_url, url_of("outside.test", "/ok"), "and end somewhere");
	is_int(get("unknown.test", "/", 10, 0), FETCH_FAILED, "a name that nobody knows may be known later");
}

static void
limits(void)
{
	static const char *const endless[] = { "/endless", "/endless-chunks", "/bomb" };

	for (size_t i = 0; i < sizeof(endless) / sizeof(endless[0]); i++) {
		is_int(get("outside.test", endless[i], 60, 0), FETCH_DONE, "%s", endless[i]);
		is_int(answer.size, FETCH_BODY_MAX, "%s: is cut", endless[i]);
		ok(answer.cut && took < 30, "%s: said so, and soon", endless[i]);
	}
	is_int(get("outside.test", "/gzip", 10, 0), FETCH_DONE, "a compressed body");
	is_int(answer.size, 1000, "is unpacked");
	ok(!answer.cut, "and whole");
	refused("outside.test", "/bomb-twice", "content_encoding", "compressed twice");
	refused("outside.test", "/bomb-two-lines", "content_encoding", "compressed twice, said in two lines");
	refused("outside.test", "/bomb-transfer", "content_encoding", "compressed for the transfer");
	refused("outside.test", "/brotli", "content_encoding", "compressed as nobody asked for");
	refused("outside.test", "/endless-head", "headers_too_large", "headers without end");
	refused("outside.test", "/endless-100", "headers_too_large", "interim answers without end");
	refused("outside.test", "/image", "content_type", "an image");
	is_int(get("outside.test", "/404-image", 10, 0), FETCH_DONE, "what is no success may have any type");
	is_int(get("outside.test", "/nonsense", 10, 0), FETCH_FAILED, "what is not HTTP");
	is_int(get("outside.test", "/short", 10, 0), FETCH_FAILED, "a body that ends too early");
	is_int(get("outside.test", "/drip", 0.5, 0), FETCH_FAILED, "a body that drips");
	ok(took < 10, "ends when its time is over (%.2f s)", took);
	is_int(get("outside.test", "/drip-head", 0.5, 0), FETCH_FAILED, "headers that drip");
	ok(took < 10, "end when their time is over (%.2f s)", took);
}

static void
stopping(void)
{
	static const char *const paths[] = { "/drip", "/drip-head", "/silent" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		is_int(get("outside.test", paths[i], 20, 0.3), FETCH_STOPPED, "%s is told to stop", paths[i]);
		ok(took < 10, "and does soon (%.2f s)", took);
	}
	atomic_store(&resolver_hangs, true);
	is_int(get("hangs.test", "/", 20, 0.3), FETCH_STOPPED, "also while a name server says nothing");
	ok(took < 4.5, "soon (%.2f s)", took); /* it would answer after 5 s */
	is_int(get("hangs.test", "/", 0.5, 0), FETCH_FAILED, "whose time is limited too");
	ok(took < 4.5, "%.2f s", took);
	atomic_store(&resolver_hangs, false);
}

static void
waiting(void)
{
	get("outside.test", "/later", 10, 0);
	is_int(answer.retry_after, 120, "Retry-After in seconds");
	get("outside.test", "/date", 10, 0);
	ok(answer.retry_after >= 95 && answer.retry_after <= 100, "Retry-After as a date: %ld", answer.retry_after);
	get("outside.test", "/earlier", 10, 0);
	is_int(answer.retry_after, 0, "a date that is over");
	get("outside.test", "/much-later", 10, 0);
	is_int(answer.retry_after, FETCH_RETRY_AFTER_MAX, "no more than a day");
}

/* What is sent, and to whom. */
static void
headers(void)
{
	char *const list[] = { "Authorization: Bearer secret", "Accept: text/x", NULL };
	struct fetch_request request = { .headers = list, .body_max = 10000, .redirects_max = 5, .keep_headers = true };
	struct fetch *f;
	char to[200];

	setenv("http_proxy", "http://127.0.0.2:9", 1);
	setenv("ALL_PROXY", "http://127.0.0.2:9", 1);
	f = fetch_open(&policy, 10, NULL, NULL, &err);

	fetch_answer_free(&answer);
	request.url = url_of("outside.test", "/echo");
	is_int(fetch_run(f, &request, &answer, &err), FETCH_DONE, "a request with headers, and a proxy in the environment");
	ok(memmem(answer.body, answer.size, "Bearer secret", 13) && memmem(answer.body, answer.size, "text/x", 6), "the headers are sent");
	ok(memmem(answer.body, answer.size, "User-Agent: jobsched/1.0\r\n", 26) && memmem(answer.body, answer.size, "gzip, deflate\r\n", 15),
	   "and those that the fetch adds");
	is_str(json_string_value(json_object_get(answer.headers, "content-type")), "text/plain", "the answer's are kept");

	fetch_answer_free(&answer);
	snprintf(to, sizeof(to), "/to?http://outside.test:%d/echo", port);
	request.url = url_of("outside.test", to);
	fetch_run(f, &request, &answer, &err);
	ok(memmem(answer.body, answer.size, "Bearer secret", 13), "a redirect on the same server keeps them");

	fetch_answer_free(&answer);
	snprintf(to, sizeof(to), "/to?http://other.test:%d/to?http://outside.test:%d/echo", port, port);
	request.url = url_of("outside.test", to);
	fetch_run(f, &request, &answer, &err);
	is_int(answer.redirects, 2, "a redirect to another server and back");
	ok(!memmem(answer.body, answer.size, "Bearer secret", 13), "loses the secret ones");
	ok(memmem(answer.body, answer.size, "text/x", 6), "and keeps the harmless ones");

	fetch_answer_free(&answer);
	request = (struct fetch_request) { .url = url_of("outside.test", "/loop"), .method = "POST", .body = "x=y", .body_size = 3, .body_max = 10 };
	is_int(fetch_run(f, &request, &answer, &err), FETCH_DONE, "where no redirects are wanted");
	is_int(answer.status, 302, "one is the answer");
	fetch_close(f);
}

static void
robots(void)
{
	struct fetch *f = fetch_open(&policy, 10, NULL, NULL, &err);
	char *url = strdup(url_of("outside.test", "/private/x"));

	atomic_store(&robots_requests, 0);
	fetch_answer_free(&answer);
	for (int i = 0; i < 3; i++)
		is_int(robots_ask(f, "jobsched", url, &answer, &err), FETCH_REFUSED, "robots.txt forbids a path");
	is_str(answer.reason, "robots", "with its reason");
	is_int(robots_ask(f, "jobsched", url_of("outside.test", "/public"), &answer, &err), FETCH_DONE, "and allows another");
	is_int(atomic_load(&robots_requests), 1, "it is read once");
	is_int(robots_ask(f, "jobsched", url_of("other.test", "/public"), &answer, &err), FETCH_DONE, "another host");
	is_int(atomic_load(&robots_requests), 2, "has its own");
	for (int i = 0; i < ROBOTS_KEPT_ORIGINS; i++) {
		char origin[60];

		/* Every subtly other spelling of the host is another origin; url.h would make them one. */
		snprintf(origin, sizeof(origin), "http://OUTSIDE.test:%d", port);
		for (int bit = 0; bit < 10; bit++)
			origin[8 + bit + (bit > 5)] ^= (char) (i >> bit & 1 ? 0x20 : 0);
		strcat(origin, "/x");
		if (robots_ask(f, "jobsched", origin, &answer, &err) != FETCH_DONE)
			diag("%s: %s", origin, err.msg);
	}
	atomic_store(&robots_requests, 0);
	robots_ask(f, "jobsched", url, &answer, &err);
	is_int(atomic_load(&robots_requests), 1, "what was not asked for is forgotten when there are %d others", ROBOTS_KEPT_ORIGINS);
	robots_forget();
	free(url);
	fetch_close(f);
}

/* Threads that ask, forget and evict at the same time: a race would be seen by a sanitizer. */
static void *
ask_often(void *arg)
{
	struct fetch_answer mine = { 0 };
	struct error mine_err;
	struct fetch *f = fetch_open(&policy, 30, NULL, NULL, &mine_err);
	intptr_t wrong = 0;

	for (int i = 0; i < 40; i++) {
		char url[100];

		snprintf(url, sizeof(url), "http://%s.test:%d/%s", i % 2 ? "outside" : "other", port, i % 3 ? "private" : "x");
		wrong += robots_ask(f, "jobsched", url, &mine, &mine_err) != (i % 3 ? FETCH_REFUSED : FETCH_DONE);
		if (arg && i % 10 == 9)
			robots_forget();
	}
	fetch_close(f);
	return (void *) wrong;
}

static void
many_ask(void)
{
	pthread_t threads[6];
	intptr_t wrong = 0;

	for (size_t i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, ask_often, i == 0 ? &port : NULL);
	for (size_t i = 0; i < 6; i++) {
		void *result;

		pthread_join(threads[i], &result);
		wrong += (intptr_t) result;
	}
	is_int(wrong, 0, "six threads ask about robots.txt, one of them forgets it now and then");
	robots_forget();
}

int
main(void)
{
	curl_global_init(CURL_GLOBAL_ALL);
	address_list_parse("127.0.0.1", &allowed, &err);
	start_server("127.0.0.1");
	start_server("127.0.0.2");
	addresses();
	limits();
	stopping();
	waiting();
	headers();
	robots();
	many_ask();
	fetch_answer_free(&answer);
	address_list_free(&allowed);
	curl_global_cleanup();
	return done_testing();
}
