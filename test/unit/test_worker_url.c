/* sources: src/worker/url.c src/common/error.c */
/* libs: -lcurl -lidn2 */
/*
 * URLs in one spelling each: normal and canonical form, redirects, and all that is refused.
 */
#include <stdlib.h>

#include "src/worker/url.h"
#include "tap.h"

static void
normal_forms(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "http://example.com", "http://example.com/" },
		{ "HTTP://User-Agent.EXAMPLE.com/A", "http://user-agent.example.com/A" },
		{ "  https://example.com/ \n", "https://example.com/" },
		{ "http://example.com:80/", "http://example.com/" },
		{ "https://example.com:443/", "https://example.com/" },
		{ "http://example.com:443/", "http://example.com:443/" },
		{ "http://example.com:/", "http://example.com/" },
		{ "http://example.com:0080/", "http://example.com/" },
		{ "http://example.com#top", "http://example.com/" },
		{ "http://example.com/a?x=1#top", "http://example.com/a?x=1" },
		{ "http://example.com?x", "http://example.com/?x" },
		{ "http://example.com/?", "http://example.com/" },
		/* dot segments, also when they are encoded */
		{ "http://example.com/a/./b/../c", "http://example.com/a/c" },
		{ "http://example.com/../../etc/passwd", "http://example.com/etc/passwd" },
		{ "http://example.com/a/%2e%2E/%2e/b/..", "http://example.com/" },
		{ "http://example.com/a//b", "http://example.com/a//b" },
		{ "http://example.com/a/..?x=../y", "http://example.com/?x=../y" },
		/* percent encoding */
		{ "http://example.com/%7Euser/%41%2d%5f", "http://example.com/~user/A-_" },
		{ "http://example.com/a%2fb%3f%c3%a4", "http://example.com/a%2Fb%3F%C3%A4" },
		{ "http://example.com/100%/%zz/%4", "http://example.com/100%25/%25zz/%254" },
		{ "http://example.com/a b|\"<>\\^`{}", "http://example.com/a%20b%7C%22%3C%3E%5C%5E%60%7B%7D" },
		{ "http://example.com/!$&'()*+,;=:@[]", "http://example.com/!$&'()*+,;=:@[]" },
		{ "http://example.com/\xC3\xA4?\xC3\xB6", "http://example.com/%C3%A4?%C3%B6" },
		{ "http://example.com/?q=a b&r=%20+%2B", "http://example.com/?q=a+b&r=%20+%2B" },
		{ "http://example.com/?a?b=/c", "http://example.com/?a?b=/c" },
		/* host names */
		{ "http://B\xC3\xBC" "CHER.example/", "http://xn--bcher-kva.example/" },
		{ "http://fa\xC3\x9F.de/", "http://xn--fa-hia.de/" },
		{ "http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/" },
		{ "http://b%C3%BCcher.example/", "http://xn--bcher-kva.example/" },
		{ "http://a\xE3\x80\x82" "b/", "http://a.b/" },
		{ "http://my_host.a--b.example./", "http://my_host.a--b.example./" },
		/* addresses */
		{ "http://127.0.0.1/", "http://127.0.0.1/" },
		{ "http://2130706433/", "http://127.0.0.1/" },
		{ "http://0x7f000001/", "http://127.0.0.1/" },
		{ "http://0X7F.1/", "http://127.0.0.1/" },
		{ "http://017700000001/", "http://127.0.0.1/" },
		{ "http://0177.0.0.01/", "http://127.0.0.1/" },
		{ "http://127.1/", "http://127.0.0.1/" },
		{ "http://127.0.1:8080/", "http://127.0.0.1:8080/" },
		{ "http://0/", "http://0.0.0.0/" },
		{ "http://10.0xff/", "http://10.0.0.255/" },
		{ "http://%31%32%37.0.0.1/", "http://127.0.0.1/" },
		{ "http://\xEF\xBC\x91\xEF\xBC\x92\xEF\xBC\x97.0.0.1/", "http://127.0.0.1/" },
		{ "http://\xE2\x91\xA0\xE2\x91\xA1\xE2\x91\xA6.0.0.1/", "http://127.0.0.1/" },
		{ "http://127\xE3\x80\x82" "0\xE3\x80\x82" "0\xE3\x80\x82" "1/", "http://127.0.0.1/" },
		{ "http://[::1]/", "http://[::1]/" },
		{ "http://[0:0:0:0:0:0:0:1]:80/", "http://[::1]/" },
		{ "http://[2001:DB8:0:0:0::A]/", "http://[2001:db8::a]/" },
		{ "http://[::ffff:7f00:1]/", "http://[::ffff:127.0.0.1]/" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { "" };
		char *got = url_normalize(cases[i].in, NULL, &err), *again;

		if (!is_str(got, cases[i].out, "%s", cases[i].in))
			diag("%s", err.msg);
		again = got ? url_normalize(got, NULL, &err) : NULL;
		is_str(again, got, "%s stays as it is", cases[i].out);
		free(got);
		free(again);
	}
}

static void
refused(void)
{
	static const struct {
		const char *in, *message;
	} cases[] = {
		{ "", "URL: it is empty" },
		{ " \t", "URL: it is empty" },
		{ "example.com", "URL example.com: http:// or https:// must stand before it" },
		{ "//example.com/", "URL //example.com/: http:// or https:// must stand before it" },
		{ "/a", "URL /a: http:// or https:// must stand before it" },
		{ "http:example.com", "URL http:example.com: two slashes must follow the scheme" },
		{ "http:\\\\example.com", "URL http:\\\\example.com: two slashes must follow the scheme" },
		{ "ftp://example.com/", "URL ftp://example.com/: only http and https are allowed, not ftp" },
		{ "file:///etc/passwd", "URL file:///etc/passwd: only http and https are allowed, not file" },
		{ "gopher://127.0.0.1:25/_HELO", "URL gopher://127.0.0.1:25/_HELO: only http and https are allowed, not gopher" },
		{ "dict://127.0.0.1:11211/stat", "URL dict://127.0.0.1:11211/stat: only http and https are allowed, not dict" },
		{ "javascript:alert(1)", "URL javascript:alert(1): only http and https are allowed" },
		{ "data:text/html,x", "URL data:text/html,x: only http and https are allowed" },
		{ "http://user@example.com/", "URL http://***@example.com/: a user name or password in it is not allowed" },
		{ "http://u:p@example.com/", "URL http://***@example.com/: a user name or password in it is not allowed" },
		{ "http://@example.com/", "URL http://***@example.com/: a user name or password in it is not allowed" },
		{ "http://example.com\\@127.0.0.1/", "URL http://***@127.0.0.1/: a user name or password in it is not allowed" },
		{ "http://example.com:80@127.0.0.1/", "URL http://***@127.0.0.1/: a user name or password in it is not allowed" },
		{ "http://[fe80::1%25eth0]/", "URL http://[fe80::1%25eth0]/: the IPv6 zone eth0 is not allowed" },
		{ "http://[fe80::1%eth0]/", "URL http://[fe80::1%eth0]/: the IPv6 zone eth0 is not allowed" },
		{ "http://example.com:0/", "URL http://example.com:0/: port 0 is not allowed" },
		{ "http://256.1.1.1/", "URL http://256.1.1.1/: the host 256.1.1.1 ends in a number, but is no IPv4 address" },
		{ "http://4294967296/", "URL http://4294967296/: the host 4294967296 ends in a number, but is no IPv4 address" },
		{ "http://127.0.0.1./", "URL http://127.0.0.1./: the host 127.0.0.1. ends in a number, but is no IPv4 address" },
		{ "http://1.2.3.4.5/", "URL http://1.2.3.4.5/: the host 1.2.3.4.5 ends in a number, but is no IPv4 address" },
		{ "http://%2531.a/", "URL http://%2531.a/: the host %31.a holds a percent sign" },
		{ "http://a.0x7f/", "URL http://a.0x7f/: the host a.0x7f ends in a number, but is no IPv4 address" },
	};
	static const char *const bad[] = {
		"http://", "http:///", "http://?x", "http://example.com:99999/", "http://example.com:-1/", "http://example.com:8a/",
		"http://a b/", "http://a%00b/", "http://a%0d%0ab/", "http://a%2fb/", "http://a%40b/", "http://[::1", "http://[::g]/",
		"http://[127.0.0.1]/", "http://example.com/\tx", "http://example.com/\r\nHost: x", "http://a\xF0\x9F\x98\x80.example/",
		"http://\xEF\xBB\xBF/127.0.0.1", "http://\xC2\xAD/x", "http://\xE2\x80\x8B:80/y", "http://.a/", "http://a..b/", "http://../",
		"http://\xFF\xFE/", "http://a<b>/", "http://a\"b/",
	};
	char long_one[URL_MAX + 32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { "" };
		char *got = url_normalize(cases[i].in, NULL, &err);

		ok(!got, "\"%s\" is refused", cases[i].in);
		is_str(err.msg, cases[i].message, "and the message says why");
		free(got);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = { "" };
		char *got = url_normalize(bad[i], NULL, &err);

		if (!ok(!got && strncmp(err.msg, "URL http://", 11) == 0, "bad URL %zu is refused and named", i))
			diag("%s: got %s, message %s", bad[i], got, err.msg);
		free(got);
	}
	for (int extra = 0; extra < 2; extra++) {
		struct error err = { "" };
		char *got;

		memset(long_one, 'a', sizeof(long_one));
		memcpy(long_one, "http://example.com/", 19);
		long_one[URL_MAX + extra] = '\0';
		got = url_normalize(long_one, NULL, &err);
		ok(extra ? !got : got != NULL, "%d bytes are %s", URL_MAX + extra, extra ? "too many" : "allowed");
		free(got);
	}
}

static void
redirects(void)
{
	static const struct {
		const char *location, *out;
	} cases[] = {
		{ "/c", "http://example.com:8080/c" },
		{ "c?d", "http://example.com:8080/a/c?d" },
		{ "../../../c", "http://example.com:8080/c" },
		{ "?x=2", "http://example.com:8080/a/b?x=2" },
		{ "//other.example/x", "http://other.example/x" },
		{ "https://example.com/", "https://example.com/" },
		{ "/\xC3\xA4 b", "http://example.com:8080/%C3%A4%20b" },
		{ "//0x7f.1/", "http://127.0.0.1/" },
		{ "file:///etc/passwd", NULL },
		{ "gopher://127.0.0.1/", NULL },
		{ "ftp://example.com/", NULL },
		{ "//u@example.com/", NULL },
		{ "http://u:p@example.com/", NULL },
		{ "javascript:alert(1)", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { "" };
		char *got = url_normalize(cases[i].location, "http://example.com:8080/a/b?x=1", &err);

		is_str(got, cases[i].out, "redirect to \"%s\"", cases[i].location);
		free(got);
	}
}

static void
canonical_forms(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "http://example.com/?b=2&a=1", "http://example.com/?a=1&b=2" },
		{ "http://example.com/?b&a&c=", "http://example.com/?a&b&c=" },
		{ "http://example.com/?a=2&b=0&a=1&a", "http://example.com/?a=2&a=1&a&b=0" },
		{ "http://example.com/?ab=1&a=2&a-b=3", "http://example.com/?a=2&a-b=3&ab=1" },
		{ "http://example.com/?&&a=1&", "http://example.com/?a=1" },
		{ "http://example.com/?&", "http://example.com/" },
		{ "http://example.com/?utm_source=x&utm_medium=y", "http://example.com/" },
		{ "http://example.com/?UTM_Source=x&id=7&fbclid=z&gclid=1&msclkid", "http://example.com/?id=7" },
		{ "http://example.com/?utm=1&xutm_a=2&gclids=3", "http://example.com/?gclids=3&utm=1&xutm_a=2" },
		{ "http://example.com/?%75tm_source=x&%61=1", "http://example.com/?a=1" },
		{ "http://example.com/?q=a%26b&p=%3D", "http://example.com/?p=%3D&q=a%26b" },
		{ "http://example.com/a;b=2;a=1", "http://example.com/a;b=2;a=1" },
		{ "HTTP://B\xC3\xBC" "cher.example:80/x/../?b=1&utm_id=2&a=%7e#f", "http://xn--bcher-kva.example/?a=~&b=1" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { "" };
		char *got = url_canonicalize(cases[i].in, &err), *again;

		is_str(got, cases[i].out, "%s", cases[i].in);
		again = url_canonicalize(got ? got : "", &err);
		is_str(again, got, "and stays as it is");
		free(got);
		free(again);
	}
}

static void
origins(void)
{
	is_int(url_origin_length("http://a:8080/b?c"), 13, "the origin is scheme, host and port");
	ok(url_same_origin("http://a/", "http://a/b"), "two pages of one origin");
	ok(!url_same_origin("http://a/", "https://a/"), "another scheme is another origin");
	ok(!url_same_origin("http://a/", "http://a:8080/"), "and another port");
	ok(!url_same_origin("http://a/", "http://ab/"), "and another host");
}

int
main(void)
{
	normal_forms();
	refused();
	redirects();
	canonical_forms();
	origins();
	return done_testing();
}
