/*
 * fetch.h: asks a server that a user named, without letting the user reach what only this machine can.
 *
 * Only http and https, in URLs of url.h's normal form; every address is checked when its socket is opened, redirects
 * included, so that neither a name server nor a redirect can lead inside; each redirect is read and checked here, never
 * followed by the library; no proxy, cookies, .netrc or credentials from the environment; HTTP/1.1; no more than one
 * content coding, gzip or deflate, so that no small answer costs much to unpack.
 */
#ifndef JOBSCHED_WORKER_FETCH_H
#define JOBSCHED_WORKER_FETCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "address.h"
#include "error.h"

#define FETCH_BODY_MAX 512000 /* bytes read of a body, after decompression */
#define FETCH_REDIRECTS_MAX 5
#define FETCH_TIMEOUT 30.0 /* seconds for all of it, unless the caller says otherwise */
#define FETCH_CONNECT_TIMEOUT 10.0 /* seconds for one name and connection */
#define FETCH_HEADERS_MAX 262144 /* bytes of headers of one response */
#define FETCH_RETRY_AFTER_MAX 86400 /* seconds: longest wait that a server may ask for */

enum fetch_end {
	FETCH_DONE, /* a response, of any status */
	FETCH_FAILED, /* another attempt may succeed: name, connection, time-out, transfer */
	FETCH_REFUSED, /* it will not: URL, address, redirects, content; see reason */
	FETCH_STOPPED /* stop() said so */
};

/* What the owner of the worker allows; kept as long as it runs. */
struct fetch_policy {
	const struct address_list *allowed; /* private addresses that may be visited */
	const char *user_agent;
	const char *ca_file; /* certificates of authorities; NULL: the system's */
};

struct fetch_timing { /* seconds since the last request began; `total` since the first one */
	double dns; /* the name is resolved */
	double connect; /* the connection stands */
	double tls; /* and is encrypted; 0: it is not */
	double first_byte;
	double total;
};

struct fetch_answer {
	long status;
	char *final_url; /* after redirects */
	char *content_type; /* "" when there is none */
	char *body; /* size bytes; NULL when there are none */
	size_t size;
	bool cut; /* there is more than body_max */
	json_t *headers; /* with keep_headers: {"lower-case-name": "value"}, else NULL */
	long retry_after; /* seconds that the server asks to wait, 0 when it does not */
	int redirects; /* that were followed */
	struct fetch_timing timing;
	const char *reason; /* with FETCH_REFUSED: a short word */
};

struct fetch_request {
	const char *url; /* in normal form */
	const char *method; /* NULL: GET */
	char *const *headers; /* "Name: value", the last NULL; or NULL */
	const char *body; /* NULL: none */
	size_t body_size;
	size_t body_max; /* of the answer's body, after decompression */
	int redirects_max; /* 0: a redirect is an answer like any other; else only with GET and HEAD */
	bool readable; /* a success that is neither HTML nor text nor JSON is refused */
	bool keep_headers;
	/* Asked before each URL that is visited; may use the same fetch; NULL: none.  FETCH_DONE lets it go on. */
	enum fetch_end (*visit)(void *arg, const char *url, struct fetch_answer *answer, struct error *err);
	void *visit_arg;
};

/* Requests of one task, one after the other, on the same connections and under one time limit. */
struct fetch;

/*
 * stop: asked about ten times a second.  seconds: the limit for all requests.  NULL after filling *err.  One thread.
 */
struct fetch *fetch_open(
        const struct fetch_policy *policy, double seconds, bool (*stop)(void *arg), void *stop_arg, struct error *err);
void fetch_close(struct fetch *f);

/* Fills *answer (zeroed by this call), also partly when it fails; the caller frees it with fetch_answer_free. */
enum fetch_end fetch_run(
        struct fetch *f, const struct fetch_request *request, struct fetch_answer *answer, struct error *err);
void fetch_answer_free(struct fetch_answer *answer);

#endif
