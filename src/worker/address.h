/*
 * address.h: which IP addresses a task may visit on a user's behalf.
 *
 * Public means: globally reachable by the IANA special-purpose registries (RFC 6890 and its updates).  Everything
 * that hides an IPv4 address in an IPv6 one (mapped, compatible, 6to4, NAT64, Teredo, ISATAP) is not public, since it may
 * lead inside.
 */
#ifndef JOBSCHED_WORKER_ADDRESS_H
#define JOBSCHED_WORKER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "error.h"

/* One range; IPv4 in the first four bytes. */
struct address_range {
	int family;					/* AF_INET or AF_INET6 */
	int prefix;					/* leading bits that count */
	unsigned char bytes[16];
};

struct address_list {
	struct address_range *ranges;	/* malloc'ed */
	size_t n;
};

/*
 * A comma list of networks ("127.0.0.0/8, ::1, 10.1.2.3/32"; without a prefix: that one address).  "" is an empty list.
 * Bits beyond the prefix must be 0.  On failure the message names the entry.
 */
int address_list_parse(const char *text, struct address_list *list, struct error *err);
void address_list_free(struct address_list *list);

bool address_is_public(const struct sockaddr *sa);

/* Public, or in the list. */
bool address_allowed(const struct sockaddr *sa, const struct address_list *list);

/* Numeric text, with a port "[::1]:80" / "127.0.0.1:80"; returns buf. */
const char *address_format(const struct sockaddr *sa, char *buf, size_t size);

#endif
