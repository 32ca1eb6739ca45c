/*
 * resolver.h: host names to addresses without waiting (c-ares): /etc/hosts, then DNS as /etc/resolv.conf says.
 *
 * Numeric addresses need no look-up.  Answers are kept: a look-up within RESOLVER_FRESH_MS of the last good one for
 * the same host is answered from memory, and so is one that fails, so that a dead name server does not cut off a
 * broker whose address is known.
 */
#ifndef JOBSCHED_RESOLVER_H
#define JOBSCHED_RESOLVER_H

#include "postgres.h"

#include <sys/socket.h>

#include "storage/latch.h"

#define RESOLVER_MAX_ADDRESSES 8
#define RESOLVER_MAX_SOCKETS 16
#define RESOLVER_FRESH_MS 30000
#define RESOLVER_DEADLINE_MS 10000	/* for one look-up */

typedef struct Resolver Resolver;

typedef struct ResolverAddress
{
	struct sockaddr_storage addr;	/* with the port */
	socklen_t	len;
} ResolverAddress;

typedef enum ResolverResult
{
	RESOLVER_WORKING,			/* call resolver_step() when a socket is ready or the time is over */
	RESOLVER_DONE,				/* resolver_addresses() has at least one */
	RESOLVER_FAILED				/* resolver_error() says why */
} ResolverResult;

extern Resolver *resolver_create(MemoryContext parent);

/* Begins a look-up and ends one that is under way; then call resolver_step(). */
extern void resolver_start(Resolver *r, const char *host, uint16 port);
extern ResolverResult resolver_step(Resolver *r);
extern const ResolverAddress *resolver_addresses(const Resolver *r, int *count);
extern const char *resolver_error(const Resolver *r);

/* While working: sockets with WL_SOCKET_* events (they come and go with every step), and the time to the next step. */
extern int	resolver_wait_events(Resolver *r, pgsocket *fds, uint32 *events, int max);
extern long resolver_timeout_ms(const Resolver *r);

/* Ends a look-up that is under way and closes its sockets; what is known stays. */
extern void resolver_stop(Resolver *r);

#endif
