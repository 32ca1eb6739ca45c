/*
 * fetch.h: gets a page from a server that a user named, without letting the user reach what only this machine can.
 *
 * Only http and https; no user name in the URL; every address is checked when its socket is opened, redirects
 * included, so that neither a name server nor a redirect can lead inside; no proxy, cookies or credentials from the
 * environment.
 */
#ifndef JOBSCHED_WORKER_FETCH_H
#define JOBSCHED_WORKER_FETCH_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"
#include "error.h"

#define FETCH_BODY_MAX			512000	/* bytes read of a body, after decompression */
#define FETCH_REDIRECTS_MAX		5
#define FETCH_TIMEOUT			30.0	/* seconds for all of it */
#define FETCH_CONNECT_TIMEOUT	10.0	/* seconds for one connection */

enum fetch_end {
	FETCH_DONE,				/* a response, of any status */
	FETCH_FAILED,			/* another attempt may succeed: name, connection, time-out, transfer */
	FETCH_REFUSED,			/* it will not: URL, scheme, address, redirects, content type */
	FETCH_STOPPED			/* stop() said so */
};

struct fetch {
	/* set by the caller */
	const struct address_list *allowed;	/* private addresses that may be visited */
	bool (*stop)(void *arg);			/* asked about once a second */
	void *stop_arg;
	double seconds;						/* time limit, at most FETCH_TIMEOUT is used; <= 0: that */

	/* the response; the caller frees with fetch_free */
	long status;
	char *final_url;					/* after redirects */
	char *content_type;					/* "" when there is none */
	char *body;							/* size bytes */
	size_t size;
	bool cut;							/* there is more than FETCH_BODY_MAX */
	long retry_after;					/* seconds that the server asks to wait, 0 when it does not */
	const char *reason;					/* with FETCH_REFUSED: a short word */
};

enum fetch_end fetch_get(struct fetch *f, const char *url, struct error *err);
void fetch_free(struct fetch *f);

/* "text/html; charset=utf-8" is HTML, text/ and JSON are readable. */
bool fetch_is_html(const char *content_type);
bool fetch_is_readable(const char *content_type);

#endif
