/*
 * http_options.h: the payload of http_request.
 */
#ifndef JOBSCHED_TASKS_HTTP_OPTIONS_H
#define JOBSCHED_TASKS_HTTP_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define HTTP_HEADERS_MAX 64 /* headers in a payload */
#define HTTP_VALUES_MAX 16384 /* bytes of their names and values */
#define HTTP_TIMEOUT_MAX 300.0 /* seconds */
#define HTTP_TIMEOUT_MIN 0.1

struct http_options {
	char *url; /* in normal form */
	const char *method; /* one of a fixed list */
	char **headers; /* "Name: value", the last NULL */
	size_t nheaders;
	char *body; /* NULL: none */
	size_t body_size;
	const json_t *expect; /* borrowed from the payload; NULL: 2xx */
	double timeout; /* seconds */
	int redirects; /* that are followed */
	bool save; /* the answer's body becomes an artifact */
	bool url_is_bad; /* why reading failed */
};

/*
 * Reads and checks everything; the message names the field.  idempotency_key: sent with methods that change something,
 * unless the payload has its own.  payload outlives *options; http_options_free also after a failure.
 */
int http_options_read(
        const json_t *payload, const char *idempotency_key, struct http_options *options, struct error *err);
void http_options_free(struct http_options *options);

/* Is this the status that the payload expects? */
bool http_options_expect(const struct http_options *options, long status);

#endif
