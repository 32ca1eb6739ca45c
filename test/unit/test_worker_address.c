/* sources: src/worker/address.c src/common/error.c */
/*
 * Which addresses a task may visit: what is public, and what CRAWL_ALLOW_PRIVATE opens.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "src/worker/address.h"
#include "tap.h"

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_storage storage = { 0 };
	struct sockaddr_in *four = (struct sockaddr_in *) &storage;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *) &storage;

	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(80);
	} else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(80);
	}
	return storage;
}

static bool
allowed(const char *text, const struct address_list *list)
{
	struct sockaddr_storage a = address(text);

	return address_allowed((const struct sockaddr *) &a, list);
}

static void
public_ones(void)
{
	static const char *const good[] = {
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
		"172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2001:200::1", "2606:4700::1111", "2a00:1450:4001::1", "3fef::1"
	};
	static const char *const bad[] = {
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255",
		"192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
		"239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1",
		"2002:7f00:1::1", "2002:808:808::1", "3fff::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "4000::1",
		"2606:4700::5efe:7f00:1", "2606:4700::200:5efe:7f00:1", "5f00::1", "fd00:ec2::254"
	};
	struct address_list none = { NULL, 0 };
	struct sockaddr_storage unix_socket = { .ss_family = AF_UNIX };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(allowed(good[i], &none), "%s is public", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!allowed(bad[i], &none), "%s is not public", bad[i]);
	ok(!address_allowed((const struct sockaddr *) &unix_socket, &none), "a Unix socket is not public");
}

static void
allow_list(void)
{
	struct address_list list;
	struct error err = { "" };

	is_int(address_list_parse("127.0.0.0/8, ::1,10.1.2.3 192.168.0.0/17", &list, &err), 0, "a list with commas and blanks");
	is_int(list.n, 4, "its four networks");
	ok(allowed("127.1.2.3", &list), "inside of /8");
	ok(allowed("::1", &list), "one IPv6 address");
	ok(!allowed("::2", &list), "its neighbour is not");
	ok(!allowed("::ffff:127.0.0.1", &list), "an IPv4 network does not open the mapped form");
	ok(allowed("10.1.2.3", &list) && !allowed("10.1.2.4", &list), "one IPv4 address and not its neighbour");
	ok(allowed("192.168.127.255", &list) && !allowed("192.168.128.0", &list), "a prefix inside of a byte");
	ok(allowed("8.8.8.8", &list), "what is public stays so");
	address_list_free(&list);

	is_int(address_list_parse("", &list, &err), 0, "an empty list");
	is_int(list.n, 0, "has no networks");
	is_int(address_list_parse("::/0,0.0.0.0/0", &list, &err), 0, "everything");
	ok(allowed("127.0.0.1", &list) && allowed("fe80::1", &list), "opens everything");
	address_list_free(&list);
}

static void
bad_lists(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "localhost", "\"localhost\" is not an IP address or network" },
		{ "10.0.0.0/8,10.0.0", "\"10.0.0\" is not an IP address or network" },
		{ "10.0.0.0/33", "\"10.0.0.0/33\": the prefix must be 0..32" },
		{ "::/129", "\"::/129\": the prefix must be 0..128" },
		{ "10.0.0.0/", "\"10.0.0.0/\": the prefix must be 0..32" },
		{ "10.0.0.0/-1", "\"10.0.0.0/-1\": the prefix must be 0..32" },
		{ "10.0.0.0/8x", "\"10.0.0.0/8x\": the prefix must be 0..32" },
		{ "10.0.0.1/8", "\"10.0.0.1/8\": bits beyond the prefix are set" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address_list list;
		struct error err = { "" };

		is_int(address_list_parse(cases[i].text, &list, &err), -1, "%s is refused", cases[i].text);
		is_str(err.msg, cases[i].message, "%s: the message names the entry", cases[i].text);
	}
}

static void
text(void)
{
	struct sockaddr_storage four = address("10.0.0.1"), six = address("fe80::1");
	char buf[80];

	is_str(address_format((const struct sockaddr *) &four, buf, sizeof(buf)), "10.0.0.1:80", "IPv4 and port");
	is_str(address_format((const struct sockaddr *) &six, buf, sizeof(buf)), "[fe80::1]:80", "IPv6 and port");
}

int
main(void)
{
	public_ones();
	allow_list();
	bad_lists();
	text();
	return done_testing();
}
