/* The HTTP server's answers, from memory and from files; clients that go, take nothing, or come at the end. */
/* sources: src/api/http_server.c src/api/http_connection.c src/api/http_answer.c src/api/http_parse.c src/api/problem.c src/api/listen.c src/common/log.c src/common/clock.c src/common/error.c src/common/utf8.c */
/* libs: -ljansson -levent -lz -pthread */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "src/api/http.h"
#include "src/common/clock.h"
#include "tap.h"

#define LARGE (20 * 1024 * 1024)

static struct event_base *base;
static struct http_server *server;

/* What the handler did and saw. */
static struct http_request *waiting;
static int hurried;
static enum http_hurry hurry_why;
static bool drained;

static void
on_hurry(void *arg, enum http_hurry why)
{
	(void) arg;
	hurried++;
	hurry_why = why;
}

/* A piece that shows where it stands in the whole. */
static char
byte_at(size_t i)
{
	return (char) ('a' + i / 1000 % 26);
}

static void
answer_file(struct http_request *request, const char *content, size_t promised)
{
	struct http_response response = {.status = 200, .content_type = "application/octet-stream"};
	char path[] = "/tmp/jobsched-file-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	if (content)
		ok(write(fd, content, strlen(content)) == (ssize_t) strlen(content), "a file");
	else if (promised > 0)
		for (size_t i = 0; i < LARGE; i += 1000)
			if (pwrite(fd, (char[1]){byte_at(i)}, 1, (off_t) i) < 0)
				break;
	if (!content && promised > 0 && ftruncate(fd, LARGE) < 0)
		diag("ftruncate: %s", strerror(errno));
	http_respond_file(request, &response, fd, promised);
}

static void
handle(struct http_request *request, void *arg)
{
	const char *path = http_request_path(request);
	struct http_response response = {.status = 200, .content_type = "text/plain"};
	static char text[5000];
	size_t len;

	(void) arg;
	memset(text, 'x', sizeof(text));
	if (strcmp(path, "/echo") == 0) {
		response.body = http_request_body(request, &len);
		response.body_len = len;
		http_response_add(&response, "X-Evil", "a\r\nSet-Cookie: b\x01\x7f");
		http_respond(request, &response);
	} else if (strcmp(path, "/text") == 0) {
		response.body = text;
		response.body_len = sizeof(text);
		http_respond(request, &response);
	} else if (strcmp(path, "/wait") == 0) {
		waiting = request;
		hurried = 0;
		http_request_on_hurry(request, on_hurry, NULL);
	} else if (strcmp(path, "/file") == 0) {
		answer_file(request, NULL, LARGE);
	} else if (strcmp(path, "/empty-file") == 0) {
		answer_file(request, NULL, 0);
	} else if (strcmp(path, "/shrunk-file") == 0) {
		answer_file(request, "short", 1000);
	} else {
		response.status = 204;
		response.content_type = NULL;
		http_respond(request, &response);
	}
}

static void
admit(struct http_request *request, void *arg)
{
	struct http_response response = {.status = 403};

	(void) arg;
	if (strcmp(http_request_path(request), "/secret") == 0)
		http_respond(request, &response);
}

static void
pump(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static int
client(void)
{
	struct listen_address address;
	struct error err;
	char text[32];
	int fd = socket(AF_INET, SOCK_STREAM, 0), small = 65536;

	snprintf(text, sizeof(text), "127.0.0.1:%d", http_server_port(server));
	listen_parse(text, &address, &err);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (connect(fd, (const struct sockaddr *) &address.addr, address.len) < 0)
		diag("connect: %s", strerror(errno));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

#define ROUNDS 50 /* turns of the server that a moment has at least: its time may pass while others use the processor */

/* What comes until the server closes, or is silent for a moment, or `wanted` bytes are there; the reason in *how. */
enum {
	CLOSED,
	SILENT,
	RESET,
	FULL
};

static size_t
receive(int fd, char *buf, size_t wanted, int *how)
{
	int64_t deadline = clock_boottime_us() + 300000;
	size_t len = 0;

	*how = SILENT;
	for (int rounds = 0; rounds < ROUNDS || clock_boottime_us() < deadline; rounds++) {
		ssize_t n;

		pump();
		n = recv(fd, buf + len, wanted - len, 0);
		if (n > 0) {
			len += (size_t) n;
			deadline = clock_boottime_us() + 300000;
			rounds = 0;
			if (len == wanted) {
				*how = FULL;
				break;
			}
		} else if (n == 0 || errno != EAGAIN) {
			*how = n == 0 ? CLOSED : RESET;
			break;
		}
	}
	return len;
}

static char answer[64 * 1024];
static int how;

/* The answer to a request on a connection of its own. */
static const char *
ask(const char *request)
{
	int fd = client();

	ok(send(fd, request, strlen(request), 0) == (ssize_t) strlen(request), "%.*s", (int) strcspn(request, "\r"),
	        request);
	answer[receive(fd, answer, sizeof(answer) - 1, &how)] = '\0';
	close(fd);
	pump();
	return answer;
}

static const char *
body_of(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");

	return end ? end + 4 : "(no head)";
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void
whole(void)
{
	char *zipped;
	unsigned char plain[6000];
	z_stream z = {0};
	const char *body, *length;

	ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
	is_str(body_of(answer), "hello", "a body comes and goes");
	ok(strstr(answer, "\r\nX-Evil: aSet-Cookie: b\r\n"), "a header stays a header");
	ok(strstr(answer, "\r\nX-Common: yes\r\n") && strstr(answer, "\r\nDate: ") && strstr(answer, " GMT\r\n"),
	        "with what all have");
	is_int(how, SILENT, "the connection stays");
	ask("POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhello");
	is_str(body_of(answer), "he", "as long as it says");
	is_int(how, CLOSED, "HTTP/1.0 ends");
	ask("POST /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	ok(how == SILENT && strstr(answer, "\r\nConnection: keep-alive\r\n"), "unless it wants to stay");
	ask(GET("/nothing"));
	ok(strncmp(answer, "HTTP/1.1 204 No Content\r\n", 25) == 0 && !strstr(answer, "Content-Length"),
	        "no body, no length");

	ask(GET("/text"));
	ok(strlen(body_of(answer)) == 5000 && strstr(answer, "\r\nVary: Accept-Encoding\r\n") &&
	                !strstr(answer, "Content-Encoding"),
	        "text");
	ask("GET /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br, gzip;q=0\r\n\r\n");
	is_int(strlen(body_of(answer)), 5000, "gzip is not wanted");
	ask("GET /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br, GZIP;q=0.5\r\n\r\n");
	ok(strstr(answer, "\r\nContent-Encoding: gzip\r\n"), "gzip is");
	body = body_of(answer);
	length = strstr(answer, "\r\nContent-Length: ");
	inflateInit2(&z, 15 + 16);
	z.next_in = (Bytef *) body;
	z.avail_in = (uInt) (length ? atoi(length + 18) : 0);
	z.next_out = plain;
	z.avail_out = sizeof(plain);
	ok(inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == 5000 && plain[4999] == 'x', "and is the same text");
	inflateEnd(&z);
	zipped = strndup(length ? length : "", 30);
	ask("HEAD /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
	ok(strstr(answer, zipped) && *body_of(answer) == '\0', "HEAD says the same and sends nothing");
	free(zipped);
}

static void
put(int fd, const char *text)
{
	if (send(fd, text, strlen(text), 0) != (ssize_t) strlen(text))
		diag("send: %s", strerror(errno));
}

/* Requests whose head comes before the body. */
static void
bodies(void)
{
	int fd = client();

	put(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
	answer[receive(fd, answer, sizeof(answer) - 1, &how)] = '\0';
	is_str(answer, "HTTP/1.1 100 Continue\r\n\r\n", "who is asked for the body");
	put(fd, "helloGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
	answer[receive(fd, answer, sizeof(answer) - 1, &how)] = '\0';
	ok(strncmp(body_of(answer), "helloHTTP/1.1 204", 17) == 0, "sends it, and goes on");
	close(fd);
	ask("POST /secret HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\nExpect: 100-continue\r\n\r\n");
	ok(strncmp(answer, "HTTP/1.1 403", 12) == 0 && how == CLOSED && strstr(answer, "\r\nConnection: close\r\n"),
	        "who may not send it hears so at once");
	fd = client();
	put(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 100; i++) {
		put(fd, "1\r\nx\r\n");
		pump();
	}
	put(fd, "0\r\n\r\n");
	answer[receive(fd, answer, sizeof(answer) - 1, &how)] = '\0';
	is_int(strlen(body_of(answer)), 100, "a body that comes in small chunks");
	close(fd);
	fd = client();
	put(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
	for (int i = 0; i < 100; i++) {
		char piece[1000];

		memset(piece, 'a' + i % 26, sizeof(piece));
		send(fd, piece, sizeof(piece), 0);
		pump();
	}
	answer[receive(fd, answer, 60000, &how)] = '\0';
	ok(strncmp(body_of(answer) + 999, "abb", 3) == 0, "and in large pieces");
	close(fd);
	pump();
}

/* Is the whole file coming? */
static bool
is_large(int fd)
{
	static char buf[LARGE + 1000];
	size_t len = receive(fd, buf, sizeof(buf), &how), n = 0;
	const char *from = body_of(buf);
	bool good = true;

	for (; n < LARGE && from + n < buf + len; n++)
		good = good && (n % 1000 != 0 || from[n] == byte_at(n));
	return good && n == LARGE;
}

static void
large(void)
{
	int fd = client();

	send(fd, GET("/file"), sizeof(GET("/file")) - 1, 0);
	ok(is_large(fd), "a large file");
	close(fd);
	pump();
	ask("HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n");
	ok(strstr(answer, "Content-Length: 20971520\r\n") && *body_of(answer) == '\0', "HEAD of a file");
	ask(GET("/empty-file"));
	ok(strstr(answer, "Content-Length: 0\r\n") && how == SILENT, "an empty file");
	ask(GET("/shrunk-file"));
	ok(how == CLOSED || how == RESET, "a file that is shorter than it was: the connection ends");
}

static void
pump_until(int64_t us, const int *what)
{
	int64_t deadline = clock_boottime_us() + us;

	for (int rounds = 0; !*what && (rounds < ROUNDS || clock_boottime_us() < deadline); rounds++) {
		pump();
		usleep(1000);
	}
}

static void
answer_waiting(void)
{
	struct http_response response = {.status = 200, .content_type = "text/plain", .body = "now", .body_len = 3};

	http_respond(waiting, &response);
	waiting = NULL;
}

static void
hurry(void)
{
	static const int nothing;
	int fd = client();

	send(fd, GET("/wait"), sizeof(GET("/wait")) - 1, 0);
	pump_until(50000, &hurried);
	ok(waiting && !hurried, "a client that waits");
	shutdown(fd, SHUT_WR);
	pump_until(20000000, &hurried);
	ok(hurried == 1 && hurry_why == HTTP_CLIENT_GONE, "one that closes its side is in a hurry");
	answer_waiting();
	answer[receive(fd, answer, sizeof(answer) - 1, &how)] = '\0';
	ok(strcmp(body_of(answer), "now") == 0 && how == CLOSED, "and still gets its answer");
	close(fd);

	fd = client();
	send(fd, GET("/wait"), sizeof(GET("/wait")) - 1, 0);
	pump();
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	close(fd);
	hurried = 0;
	pump_until(20000000, &hurried);
	ok(hurried == 1 && hurry_why == HTTP_CLIENT_GONE && waiting, "one that resets the connection too");
	pump();
	answer_waiting();

	fd = client();
	send(fd, GET("/file"), sizeof(GET("/file")) - 1, 0);
	pump_until(50000, &nothing);
	is_int(http_server_connections(server), 1, "one that takes nothing is left alone");
	for (int i = 0; i < 200 && http_server_connections(server) > 0; i++)
		pump_until(100000, &nothing);
	is_int(http_server_connections(server), 0, "for the read timeout");
	close(fd);
}

static void
on_drained(void *arg)
{
	(void) arg;
	drained = true;
}

static void
drain(void)
{
	int idle = client(), busy = client(), late = client();

	send(busy, GET("/wait") GET("/nothing"), sizeof(GET("/wait") GET("/nothing")) - 1, 0);
	hurried = 0;
	pump_until(100000, &hurried);
	send(late, GET("/nothing"), sizeof(GET("/nothing")) - 1, 0);
	http_server_drain(server, on_drained, NULL);
	ok(hurried == 1 && hurry_why == HTTP_DRAINING, "at the end who waits is in a hurry");
	ok(!drained, "and waited for");
	answer[receive(late, answer, sizeof(answer) - 1, &how)] = '\0';
	ok(strncmp(answer, "HTTP/1.1 204", 12) == 0 && how == CLOSED, "what has come by then is answered");
	ok(receive(idle, answer, sizeof(answer) - 1, &how) == 0 && how == CLOSED, "who sent nothing goes");
	answer_waiting();
	answer[receive(busy, answer, sizeof(answer) - 1, &how)] = '\0';
	ok(strncmp(body_of(answer), "now", 3) == 0 && strstr(answer, "\r\nConnection: close\r\n") && how == CLOSED,
	        "the last answer says that it is");
	ok(drained, "then it is done");
	close(idle);
	close(busy);
	close(late);
}

int
main(void)
{
	struct http_options options = {.max_header = 16384,
	        .max_body = 1048576,
	        .max_connections = 10,
	        .read_timeout = 1,
	        .common_headers = "X-Common: yes\r\n",
	        .handler = handle,
	        .admit = admit};
	struct error err = {""};

	base = event_base_new();
	listen_parse("127.0.0.1:0", &options.address, &err);
	server = http_server_new(base, &options, &err);
	if (!ok(server != NULL, "a server")) {
		diag("%s", err.msg);
		return done_testing();
	}
	whole();
	bodies();
	large();
	hurry();
	drain();
	http_server_free(server);
	event_base_free(base);
	return done_testing();
}
