/*
 * fetch_private.h: between fetch.c (chains of redirects) and fetch_transfer.c (one request).
 */
#ifndef JOBSCHED_WORKER_FETCH_PRIVATE_H
#define JOBSCHED_WORKER_FETCH_PRIVATE_H

#include <curl/curl.h>
#include <stdint.h>

#include "fetch.h"

struct fetch {
	const struct fetch_policy *policy;
	bool (*stop)(void *arg);
	void *stop_arg;
	double seconds;
	int64_t until_us; /* clock_boottime_us() */
	CURL *curl; /* keeps the connections and names of earlier requests */
	CURLM *multi;
};

/*
 * One request to `url`, with those headers.  *location: where it redirects to, as the server wrote it, malloc'ed; NULL
 * when it does not.  What the answer held before is freed.
 */
enum fetch_end fetch_transfer(struct fetch *f, const struct fetch_request *request, const char *url,
        const struct curl_slist *headers, struct fetch_answer *answer, char **location, struct error *err);

/* Sets the answer's reason; returns FETCH_REFUSED. */
enum fetch_end fetch_refuse(struct fetch_answer *answer, const char *reason);

/* What servers say need not be UTF-8: a malloc'ed copy that is. */
char *fetch_clean_copy(const char *text);

#endif
