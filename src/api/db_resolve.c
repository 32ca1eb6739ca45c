/*
 * db_resolve.c: host names of the database, looked up without blocking.
 *
 * libpq's PQconnectPoll calls getaddrinfo(), which may take half a minute when a name server is away; all requests
 * would wait for it.  So names are resolved here (evdns: /etc/hosts and the name servers of /etc/resolv.conf, read anew
 * each time) and libpq gets hostaddr; host stays, for certificates and .pgpass.  A name with several addresses becomes
 * several entries, which libpq tries in order.
 */
#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_internal.h"

#define MAX_ENTRIES 32
#define MAX_HOST 256

struct entry {
	char host[MAX_HOST];
	char addr[INET6_ADDRSTRLEN]; /* empty: libpq needs none (socket directory, numeric) */
	char port[16];
};

struct db_resolver {
	struct event_base *base;
	struct evdns_base *dns;
	struct evdns_getaddrinfo_request *request;
	struct event *later; /* done() is never called from within db_resolve() */
	PQconninfoOption *options;
	char *hosts, *ports; /* as configured, comma lists; NULL when hostaddr is given or no host is */
	int n_hosts, next; /* position of the next host to look up */
	struct entry *entries;
	int n_entries;
	char problem[512];
	char *host_list, *addr_list, *port_list;
	void (*done)(void *arg, const char *const *keywords, const char *const *values, const char *problem);
	void *arg;
};

static void look_up_next(struct db_resolver *r);

static const char *
option(const struct db_resolver *r, const char *keyword, const char *env)
{
	for (const PQconninfoOption *o = r->options; o->keyword; o++) {
		if (strcmp(o->keyword, keyword) == 0 && o->val && *o->val)
			return o->val;
	}
	return env ? getenv(env) : NULL;
}

/* The i-th part of a comma list into out; libpq uses a single port for all hosts. */
static void
list_part(const char *list, int i, bool single_for_all, char *out, size_t size)
{
	size_t n;

	if (single_for_all && !strchr(list, ','))
		i = 0;
	while (i-- > 0 && list) {
		list = strchr(list, ',');
		if (list)
			list++;
	}
	n = list ? strcspn(list, ",") : 0;
	if (n >= size)
		n = size - 1;
	if (n > 0)
		memcpy(out, list, n);
	out[n] = '\0';
}

static bool
is_name(const char *host)
{
	struct in6_addr bytes;

	return *host && *host != '/' && *host != '@' && inet_pton(AF_INET, host, &bytes) != 1 &&
	        inet_pton(AF_INET6, host, &bytes) != 1 && !strchr(host, '%');
}

static void
add_entry(struct db_resolver *r, const char *host, const char *addr, const char *port)
{
	struct entry *entry;

	if (r->n_entries >= MAX_ENTRIES)
		return;
	entry = &r->entries[r->n_entries++];
	snprintf(entry->host, sizeof(entry->host), "%s", host);
	snprintf(entry->addr, sizeof(entry->addr), "%s", addr);
	snprintf(entry->port, sizeof(entry->port), "%s", port);
}

static char *
join(const struct db_resolver *r, size_t offset)
{
	char *list = malloc((size_t) r->n_entries * MAX_HOST + 1);
	size_t len = 0;

	if (!list)
		return NULL;
	list[0] = '\0';
	for (int i = 0; i < r->n_entries; i++)
		len += (size_t) sprintf(list + len, "%s%s", i ? "," : "", (const char *) &r->entries[i] + offset);
	return list;
}

static void
finish(struct db_resolver *r)
{
	const char *keywords[64], *values[64];
	int n = 0;

	if (r->hosts && r->n_entries == 0) {
		r->done(r->arg, NULL, NULL, r->problem);
		return;
	}
	keywords[n] = "fallback_application_name";
	values[n++] = "jobsched-api";
	if (r->hosts) {
		r->host_list = join(r, offsetof(struct entry, host));
		r->addr_list = join(r, offsetof(struct entry, addr));
		r->port_list = join(r, offsetof(struct entry, port));
		if (!r->host_list || !r->addr_list || !r->port_list) {
			r->done(r->arg, NULL, NULL, "out of memory");
			return;
		}
		keywords[n] = "host";
		values[n++] = r->host_list;
		keywords[n] = "hostaddr";
		values[n++] = r->addr_list;
		if (r->ports) {
			keywords[n] = "port";
			values[n++] = r->port_list;
		}
	}
	for (const PQconninfoOption *o = r->options; o->keyword && n < 63; o++) {
		if (!o->val || (r->hosts && (strcmp(o->keyword, "host") == 0 || strcmp(o->keyword, "port") == 0)))
			continue;
		keywords[n] = o->keyword;
		values[n++] = o->val;
	}
	keywords[n] = NULL;
	values[n] = NULL;
	r->done(r->arg, keywords, values, NULL);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	(void) fd;
	(void) what;
	look_up_next(arg);
}

static void
go_on_later(struct db_resolver *r)
{
	struct timeval now = {0, 0};

	event_add(r->later, &now);
}

static void
on_addresses(int failed, struct evutil_addrinfo *found, void *arg)
{
	struct db_resolver *r = arg;
	char host[MAX_HOST], port[16];

	if (failed == EVUTIL_EAI_CANCEL)
		return;
	r->request = NULL;
	list_part(r->hosts, r->next, false, host, sizeof(host));
	list_part(r->ports ? r->ports : "", r->next, true, port, sizeof(port));
	if (failed)
		snprintf(r->problem, sizeof(r->problem), "host name \"%.200s\" was not found: %s", host,
		        evutil_gai_strerror(failed));
	for (struct evutil_addrinfo *a = failed ? NULL : found; a; a = a->ai_next) {
		char text[INET6_ADDRSTRLEN];
		const void *bytes;

		if (a->ai_family == AF_INET)
			bytes = &((struct sockaddr_in *) a->ai_addr)->sin_addr;
		else if (a->ai_family == AF_INET6)
			bytes = &((struct sockaddr_in6 *) a->ai_addr)->sin6_addr;
		else
			continue;
		if (inet_ntop(a->ai_family, bytes, text, sizeof(text)))
			add_entry(r, host, text, port);
	}
	if (found)
		evutil_freeaddrinfo(found);
	r->next++;
	/* evdns may call back at once, from within evdns_getaddrinfo(). */
	go_on_later(r);
}

static void
look_up_next(struct db_resolver *r)
{
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	char host[MAX_HOST], port[16];

	while (r->hosts && r->next < r->n_hosts) {
		list_part(r->hosts, r->next, false, host, sizeof(host));
		if (is_name(host)) {
			struct evdns_getaddrinfo_request *request;

			if (!r->dns) {
				r->dns = evdns_base_new(r->base, 0);
				if (!r->dns) {
					r->done(r->arg, NULL, NULL, "out of memory");
					return;
				}
				evdns_base_resolv_conf_parse(r->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
				/* So that the next host of a list has its turn within the time for connecting. */
				evdns_base_set_option(r->dns, "timeout", "1");
				evdns_base_set_option(r->dns, "attempts", "2");
			}
			request = evdns_getaddrinfo(r->dns, host, NULL, &hints, on_addresses, r);
			if (request)
				r->request = request;
			return;
		}
		list_part(r->ports ? r->ports : "", r->next, true, port, sizeof(port));
		add_entry(r, host, *host && *host != '/' && *host != '@' ? host : "", port);
		r->next++;
	}
	finish(r);
}

struct db_resolver *
db_resolve(struct event_base *base, const char *conninfo,
        void (*done)(void *arg, const char *const *keywords, const char *const *values, const char *problem), void *arg)
{
	struct db_resolver *r = calloc(1, sizeof(*r));
	const char *host, *port;

	if (!r)
		return NULL;
	r->base = base;
	r->done = done;
	r->arg = arg;
	r->options = PQconninfoParse(conninfo, NULL);
	r->entries = calloc(MAX_ENTRIES, sizeof(struct entry));
	r->later = event_new(base, -1, 0, on_later, r);
	if (!r->options || !r->entries || !r->later)
		goto no_memory;

	host = option(r, "hostaddr", "PGHOSTADDR") || option(r, "service", "PGSERVICE") ? NULL
	                                                                                : option(r, "host", "PGHOST");
	if (host) {
		port = option(r, "port", NULL);
		r->hosts = strdup(host);
		r->ports = port ? strdup(port) : NULL;
		if (!r->hosts || (port && !r->ports))
			goto no_memory;
		r->n_hosts = 1;
		for (const char *p = host; (p = strchr(p, ',')) != NULL; p++)
			r->n_hosts++;
	}
	go_on_later(r);
	return r;

no_memory:
	db_resolver_free(r);
	return NULL;
}

void
db_resolver_free(struct db_resolver *r)
{
	if (!r)
		return;
	if (r->request)
		evdns_getaddrinfo_cancel(r->request);
	if (r->dns)
		evdns_base_free(r->dns, 1);
	if (r->later)
		event_free(r->later);
	PQconninfoFree(r->options);
	free(r->hosts);
	free(r->ports);
	free(r->entries);
	free(r->host_list);
	free(r->addr_list);
	free(r->port_list);
	free(r);
}
