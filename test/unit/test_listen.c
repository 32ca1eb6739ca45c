/* API_LISTEN: which addresses are taken. */
/* sources: src/api/listen.c src/common/error.c */
#include "src/api/listen.h"
#include "tap.h"

static void
takes(const char *text, const char *host, int port, bool loopback)
{
	struct listen_address a;
	struct error err = {""};
	char out[64];

	if (!is_int(listen_parse(text, &a, &err), 0, "takes %s", text)) {
		diag("%s", err.msg);
		return;
	}
	is_str(listen_host(&a, out), host, "host");
	is_int(listen_port(&a), port, "port");
	is_int(listen_is_loopback(&a), loopback, "loopback or not");
}

static void
refuses(const char *text)
{
	struct listen_address a;
	struct error err = {""};

	ok(listen_parse(text, &a, &err) == -1 && strstr(err.msg, "API_LISTEN") && strstr(err.msg, "allowed"),
	        "refuses %s", text);
}

int
main(void)
{
	takes("127.0.0.1:8000", "127.0.0.1", 8000, true);
	takes("127.9.8.7:1", "127.9.8.7", 1, true);
	takes("[::1]:65535", "::1", 65535, true);
	takes("localhost:0", "127.0.0.1", 0, true);
	takes("0.0.0.0:8000", "0.0.0.0", 8000, false);
	takes("192.0.2.1:8000", "192.0.2.1", 8000, false);
	takes("[::]:8000", "::", 8000, false);
	takes("[2001:db8::1]:8000", "2001:db8::1", 8000, false);
	refuses("example.com:8000");
	refuses(":8000");
	refuses("127.0.0.1");
	refuses("127.0.0.1:");
	refuses("127.0.0.1:65536");
	refuses("127.0.0.1:80x");
	refuses("127.0.0.1:-1");
	refuses("");
	refuses("[]:1");
	return done_testing();
}
