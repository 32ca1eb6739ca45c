/*
 * fetch.c: requests of a task, with their redirects.
 */
#include "fetch.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "fetch_private.h"
#include "url.h"
#include "utf8.h"

/* What another host than the one that they were meant for may see of the request's headers. */
static const char *const harmless[] = {"accept:", "accept-language:", "content-type:", "user-agent:"};

char *
fetch_clean_copy(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(UTF8_CLEAN_SIZE(len));

	if (copy)
		utf8_clean(text, len, copy);
	return copy;
}

enum fetch_end
fetch_refuse(struct fetch_answer *answer, const char *reason)
{
	answer->reason = reason;
	return FETCH_REFUSED;
}

struct fetch *
fetch_open(
        const struct fetch_policy *policy, double seconds, bool (*stop)(void *arg), void *stop_arg, struct error *err)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (!f || !(f->curl = curl_easy_init()) || !(f->multi = curl_multi_init())) {
		error_set(err, "out of memory");
		fetch_close(f);
		return NULL;
	}
	f->policy = policy;
	f->stop = stop;
	f->stop_arg = stop_arg;
	f->seconds = seconds;
	f->until_us = clock_boottime_us() + (int64_t) (seconds * 1e6);
	return f;
}

void
fetch_close(struct fetch *f)
{
	if (!f)
		return;
	curl_easy_cleanup(f->curl);
	curl_multi_cleanup(f->multi);
	free(f);
}

static bool
is_harmless(const char *header)
{
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		if (strncasecmp(header, harmless[i], strlen(harmless[i])) == 0)
			return true;
	}
	return false;
}

/* libcurl's form of the request's headers; abroad: only the harmless ones.  Returns 0, or -1 when out of memory. */
static int
list_headers(const struct fetch_request *request, bool abroad, struct curl_slist **list)
{
	*list = NULL;
	for (char *const *h = request->headers; h && *h; h++) {
		struct curl_slist *longer;

		if (abroad && !is_harmless(*h))
			continue;
		longer = curl_slist_append(*list, *h);
		if (!longer) {
			curl_slist_free_all(*list);
			*list = NULL;
			return -1;
		}
		*list = longer;
	}
	return 0;
}

/* One URL of the chain. */
static enum fetch_end
visit(struct fetch *f, const struct fetch_request *request, bool abroad, struct fetch_answer *answer, char **location,
        struct error *err)
{
	struct curl_slist *headers;
	enum fetch_end end;

	*location = NULL;
	if (request->visit) {
		end = request->visit(request->visit_arg, answer->final_url, answer, err);
		if (end != FETCH_DONE)
			return end;
	}
	if (f->stop && f->stop(f->stop_arg))
		return FETCH_STOPPED;
	if (clock_boottime_us() >= f->until_us) {
		error_set(err, "%.200s: the time limit of %g s is over", answer->final_url, f->seconds);
		return FETCH_FAILED;
	}
	if (list_headers(request, abroad, &headers) < 0) {
		error_set(err, "out of memory");
		return FETCH_FAILED;
	}
	end = fetch_transfer(f, request, answer->final_url, headers, answer, location, err);
	curl_slist_free_all(headers);
	return end;
}

enum fetch_end
fetch_run(struct fetch *f, const struct fetch_request *request, struct fetch_answer *answer, struct error *err)
{
	int64_t began_us = clock_boottime_us();
	bool abroad = false;
	enum fetch_end end;

	*answer = (struct fetch_answer){0};
	answer->final_url = strdup(request->url);
	if (!answer->final_url) {
		error_set(err, "out of memory");
		return FETCH_FAILED;
	}
	for (;;) {
		char *location, *next;

		end = visit(f, request, abroad, answer, &location, err);
		if (!location)
			break;
		if (answer->redirects == request->redirects_max) {
			free(location);
			error_set(err, "%.200s: more than %d redirects", request->url, request->redirects_max);
			end = fetch_refuse(answer, "redirects");
			break;
		}
		next = url_normalize(location, answer->final_url, err);
		free(location);
		if (!next) {
			end = fetch_refuse(answer, "bad_url");
			break;
		}
		abroad = abroad || !url_same_origin(answer->final_url, next);
		free(answer->final_url);
		answer->final_url = next;
		answer->redirects++;
	}
	answer->timing.total = (double) (clock_boottime_us() - began_us) / 1e6;
	return end;
}

void
fetch_answer_free(struct fetch_answer *answer)
{
	free(answer->final_url);
	free(answer->content_type);
	free(answer->body);
	json_decref(answer->headers);
	*answer = (struct fetch_answer){0};
}
