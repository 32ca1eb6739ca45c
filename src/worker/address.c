/*
 * address.c: which IP addresses a task may visit on a user's behalf.
 */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not public, IPv4 (IANA IPv4 Special-Purpose Address Registry, plus multicast). */
static const struct address_range private4[] = {
	{ AF_INET, 8, { 0 } },						/* this network */
	{ AF_INET, 8, { 10 } },						/* private */
	{ AF_INET, 10, { 100, 64 } },				/* shared, carrier-grade NAT */
	{ AF_INET, 8, { 127 } },					/* loopback */
	{ AF_INET, 16, { 169, 254 } },				/* link-local, cloud metadata */
	{ AF_INET, 12, { 172, 16 } },				/* private */
	{ AF_INET, 24, { 192, 0, 0 } },				/* IETF protocols */
	{ AF_INET, 24, { 192, 0, 2 } },				/* documentation */
	{ AF_INET, 24, { 192, 88, 99 } },			/* 6to4 relays */
	{ AF_INET, 16, { 192, 168 } },				/* private */
	{ AF_INET, 15, { 198, 18 } },				/* benchmarks */
	{ AF_INET, 24, { 198, 51, 100 } },			/* documentation */
	{ AF_INET, 24, { 203, 0, 113 } },			/* documentation */
	{ AF_INET, 4, { 224 } },					/* multicast */
	{ AF_INET, 4, { 240 } },					/* reserved, broadcast */
};

/* IPv6: only global unicast is public at all ... */
static const struct address_range global6 = { AF_INET6, 3, { 0x20 } };

/* ... and of that not these. */
static const struct address_range private6[] = {
	{ AF_INET6, 23, { 0x20, 0x01 } },				/* IETF protocols, Teredo */
	{ AF_INET6, 32, { 0x20, 0x01, 0x0d, 0xb8 } },	/* documentation */
	{ AF_INET6, 16, { 0x20, 0x02 } },				/* 6to4 */
	{ AF_INET6, 20, { 0x3f, 0xff } },				/* documentation */
};

/* ISATAP (RFC 5214): the last four bytes of an address with one of these in bytes 8..11 are IPv4. */
static const unsigned char isatap[][4] = { { 0x00, 0x00, 0x5e, 0xfe }, { 0x02, 0x00, 0x5e, 0xfe } };

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static bool
in_range(const unsigned char *bytes, const struct address_range *range)
{
	int whole = range->prefix / 8, bits = range->prefix % 8;

	if (memcmp(bytes, range->bytes, (size_t) whole) != 0)
		return false;
	return bits == 0 || ((bytes[whole] ^ range->bytes[whole]) >> (8 - bits)) == 0;
}

/* The address in network order; NULL when it is neither IPv4 nor IPv6. */
static const unsigned char *
bytes_of(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return (const unsigned char *) &((const struct sockaddr_in *) sa)->sin_addr;
	if (sa->sa_family == AF_INET6)
		return (const unsigned char *) &((const struct sockaddr_in6 *) sa)->sin6_addr;
	return NULL;
}

bool
address_is_public(const struct sockaddr *sa)
{
	const unsigned char *bytes = bytes_of(sa);
	const struct address_range *ranges = private4;
	size_t n = COUNT(private4);

	if (!bytes)
		return false;
	if (sa->sa_family == AF_INET6) {
		if (!in_range(bytes, &global6))
			return false;
		for (size_t i = 0; i < COUNT(isatap); i++) {
			if (memcmp(bytes + 8, isatap[i], sizeof(isatap[i])) == 0)
				return false;
		}
		ranges = private6;
		n = COUNT(private6);
	}
	for (size_t i = 0; i < n; i++) {
		if (in_range(bytes, &ranges[i]))
			return false;
	}
	return true;
}

bool
address_allowed(const struct sockaddr *sa, const struct address_list *list)
{
	const unsigned char *bytes = bytes_of(sa);

	for (size_t i = 0; bytes && i < list->n; i++) {
		if (list->ranges[i].family == sa->sa_family && in_range(bytes, &list->ranges[i]))
			return true;
	}
	return address_is_public(sa);
}

const char *
address_format(const struct sockaddr *sa, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN] = "";
	const unsigned char *bytes = bytes_of(sa);

	if (!bytes || !inet_ntop(sa->sa_family, bytes, text, sizeof(text)))
		snprintf(buf, size, "address family %d", sa->sa_family);
	else if (sa->sa_family == AF_INET)
		snprintf(buf, size, "%s:%u", text, ntohs(((const struct sockaddr_in *) sa)->sin_port));
	else
		snprintf(buf, size, "[%s]:%u", text, ntohs(((const struct sockaddr_in6 *) sa)->sin6_port));
	return buf;
}

static int
parse_range(const char *entry, struct address_range *range, struct error *err)
{
	char address[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(entry, '/');
	size_t len = slash ? (size_t) (slash - entry) : strlen(entry);
	struct address_range masked;
	int most;

	memset(range, 0, sizeof(*range));
	if (len >= sizeof(address))
		return error_set(err, "\"%s\" is not an IP address or network", entry);
	memcpy(address, entry, len);
	address[len] = '\0';
	if (inet_pton(AF_INET, address, range->bytes) == 1)
		range->family = AF_INET;
	else if (inet_pton(AF_INET6, address, range->bytes) == 1)
		range->family = AF_INET6;
	else
		return error_set(err, "\"%s\" is not an IP address or network", entry);

	most = range->family == AF_INET ? 32 : 128;
	range->prefix = most;
	if (slash) {
		char *end;
		long prefix = strtol(slash + 1, &end, 10);

		if (slash[1] < '0' || slash[1] > '9' || *end || prefix > most)
			return error_set(err, "\"%s\": the prefix must be 0..%d", entry, most);
		range->prefix = (int) prefix;
	}
	masked = *range;
	for (int bit = range->prefix; bit < most; bit++)
		masked.bytes[bit / 8] &= (unsigned char) ~(0x80 >> bit % 8);
	if (memcmp(&masked, range, sizeof(masked)) != 0)
		return error_set(err, "\"%s\": bits beyond the prefix are set", entry);
	return 0;
}

int
address_list_parse(const char *text, struct address_list *list, struct error *err)
{
	char *copy = strdup(text), *state = NULL;
	int rc = -1;

	list->ranges = NULL;
	list->n = 0;
	if (!copy)
		return error_set(err, "out of memory");
	for (char *entry = strtok_r(copy, ", \t", &state); entry; entry = strtok_r(NULL, ", \t", &state)) {
		struct address_range *more = realloc(list->ranges, (list->n + 1) * sizeof(*more));

		if (!more) {
			error_set(err, "out of memory");
			goto out;
		}
		list->ranges = more;
		if (parse_range(entry, &list->ranges[list->n], err) < 0)
			goto out;
		list->n++;
	}
	rc = 0;
out:
	free(copy);
	if (rc < 0)
		address_list_free(list);
	return rc;
}

void
address_list_free(struct address_list *list)
{
	free(list->ranges);
	list->ranges = NULL;
	list->n = 0;
}
