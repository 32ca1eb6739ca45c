/*
 * fetch.c: gets a page with libcurl.
 */
#include "fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "utf8.h"

_Static_assert(LIBCURL_VERSION_NUM >= 0x075500, "libcurl 7.85 or newer is needed (CURLOPT_PROTOCOLS_STR)");

/* One request of a chain of redirects. */
struct transfer {
	struct fetch *f;
	CURL *curl;
	char refused[80];		/* the address that may not be visited */
	bool stopped;
	bool unreadable;		/* a body of a content type that nobody reads */
	bool no_memory;
};

static bool
type_is(const char *content_type, const char *type)
{
	size_t len = strlen(type);

	return strncasecmp(content_type, type, len) == 0 && strchr("; \t", content_type[len]) != NULL;
}

bool
fetch_is_html(const char *content_type)
{
	return type_is(content_type, "text/html") || type_is(content_type, "application/xhtml+xml");
}

bool
fetch_is_readable(const char *content_type)
{
	const char *end = content_type + strcspn(content_type, "; \t");

	if (strncasecmp(content_type, "text/", 5) == 0 || fetch_is_html(content_type)
		|| type_is(content_type, "application/json"))
		return true;
	return end - content_type > 5 && strncasecmp(end - 5, "+json", 5) == 0;
}

static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = arg;

	(void) purpose;
	if (!address_allowed(&to->addr, t->f->allowed)) {
		address_format(&to->addr, t->refused, sizeof(t->refused));
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static int
on_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t upload_total, curl_off_t upload_now)
{
	struct transfer *t = arg;

	(void) total;
	(void) now;
	(void) upload_total;
	(void) upload_now;
	t->stopped = t->f->stop && t->f->stop(t->f->stop_arg);
	return t->stopped;
}

static size_t
on_body(char *data, size_t unit, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct fetch *f = t->f;
	size_t take = unit * n;

	if (f->size == 0) {
		const char *type = NULL;
		long status = 0;

		curl_easy_getinfo(t->curl, CURLINFO_CONTENT_TYPE, &type);
		curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
		if (status >= 200 && status < 300 && !fetch_is_readable(type ? type : "")) {
			t->unreadable = true;
			return 0;
		}
	}
	if (take > FETCH_BODY_MAX - f->size) {
		take = FETCH_BODY_MAX - f->size;
		f->cut = true;
	}
	if (take > 0) {
		char *body = realloc(f->body, f->size + take);

		if (!body) {
			t->no_memory = true;
			return 0;
		}
		memcpy(body + f->size, data, take);
		f->body = body;
		f->size += take;
	}
	return f->cut ? 0 : unit * n;
}

/* What servers say need not be UTF-8. */
static char *
clean_copy(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(UTF8_CLEAN_SIZE(len));

	if (copy)
		utf8_clean(text, len, copy);
	return copy;
}

/* Normalises the URL; refuses what is not plain http or https. */
static char *
check_url(const char *url, struct error *err)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *normal = NULL, *copy = NULL;
	CURLUcode code;

	if (!u) {
		error_set(err, "out of memory");
		return NULL;
	}
	code = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_DISALLOW_USER | CURLU_URLENCODE);
	if (code == CURLUE_USER_NOT_ALLOWED) {
		error_set(err, "URL: a user name or password in it is not allowed");
		goto out;
	}
	if (code != CURLUE_OK) {
		error_set(err, "URL %.200s: %s", url, curl_url_strerror(code));
		goto out;
	}
	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK
		|| (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
		error_set(err, "URL %.200s: only http and https are allowed", url);
		goto out;
	}
	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(u, CURLUPART_URL, &normal, 0) == CURLUE_OK)
		copy = clean_copy(normal);
	if (!copy)
		error_set(err, "out of memory");
out:
	curl_free(normal);
	curl_free(scheme);
	curl_url_cleanup(u);
	return copy;
}

static void
set_options(struct transfer *t, const char *url, double seconds, char *message)
{
	CURL *c = t->curl;

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, message);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);	/* each redirect is checked like the first URL */
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "jobsched/1.0 (crawl_url)");
	curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long) (FETCH_CONNECT_TIMEOUT * 1000));
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long) (seconds * 1000) + 1);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
}

static enum fetch_end
refuse(struct fetch *f, const char *reason)
{
	f->reason = reason;
	return FETCH_REFUSED;
}

static enum fetch_end
explain(const struct transfer *t, const char *url, CURLcode code, const char *message, struct error *err)
{
	if (t->stopped)
		return FETCH_STOPPED;
	if (t->refused[0]) {
		error_set(err,
				  "%.200s: address %s is private: it is not visited (CRAWL_ALLOW_PRIVATE lists those that may be)",
				  url, t->refused);
		return refuse(t->f, "address_refused");
	}
	if (t->unreadable) {
		const char *type = NULL;

		curl_easy_getinfo(t->curl, CURLINFO_CONTENT_TYPE, &type);
		error_set(err, "%.200s: content type \"%.100s\" is not HTML, text or JSON", url, type ? type : "");
		return refuse(t->f, "content_type");
	}
	if (t->no_memory)
		error_set(err, "out of memory");
	else
		error_set(err, "%.200s: %s", url, message[0] ? message : curl_easy_strerror(code));
	return FETCH_FAILED;
}

/* One request; *next is where it redirects to, or NULL. */
static enum fetch_end
get_one(struct transfer *t, const char *url, double seconds, char **next, struct error *err)
{
	struct fetch *f = t->f;
	char message[CURL_ERROR_SIZE] = "";
	const char *text = NULL;
	curl_off_t wait = 0;
	CURLcode code;

	*next = NULL;
	free(f->body);
	f->body = NULL;
	f->size = 0;
	f->cut = false;
	set_options(t, url, seconds, message);
	code = curl_easy_perform(t->curl);
	if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && f->cut))
		return explain(t, url, code, message, err);

	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &f->status);
	curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &wait);
	f->retry_after = (long) wait;
	free(f->content_type);
	curl_easy_getinfo(t->curl, CURLINFO_CONTENT_TYPE, &text);
	f->content_type = clean_copy(text ? text : "");
	text = NULL;
	curl_easy_getinfo(t->curl, CURLINFO_REDIRECT_URL, &text);
	if (text)
		*next = strdup(text);
	if (!f->content_type || (text && !*next)) {
		error_set(err, "out of memory");
		return FETCH_FAILED;
	}
	return FETCH_DONE;
}

enum fetch_end
fetch_get(struct fetch *f, const char *url, struct error *err)
{
	double seconds = f->seconds > 0 && f->seconds < FETCH_TIMEOUT ? f->seconds : FETCH_TIMEOUT;
	int64_t until_us = clock_boottime_us() + (int64_t) (seconds * 1e6);
	struct transfer t = { .f = f, .curl = curl_easy_init() };
	char *next = NULL;
	enum fetch_end end = FETCH_FAILED;

	if (!t.curl) {
		error_set(err, "out of memory");
		return FETCH_FAILED;
	}
	for (int redirects = 0; ; redirects++) {
		double left = (double) (until_us - clock_boottime_us()) / 1e6;

		free(f->final_url);
		f->final_url = check_url(next ? next : url, err);
		free(next);
		next = NULL;
		if (!f->final_url) {
			end = refuse(f, "bad_url");
			break;
		}
		if (left <= 0) {
			error_set(err, "%.200s: the time limit of %g s is over", f->final_url, seconds);
			end = FETCH_FAILED;
			break;
		}
		end = get_one(&t, f->final_url, left, &next, err);
		if (end != FETCH_DONE || !next)
			break;
		if (redirects == FETCH_REDIRECTS_MAX) {
			error_set(err, "%.200s: more than %d redirects", url, FETCH_REDIRECTS_MAX);
			end = refuse(f, "redirects");
			break;
		}
	}
	free(next);
	curl_easy_cleanup(t.curl);
	return end;
}

void
fetch_free(struct fetch *f)
{
	free(f->final_url);
	free(f->content_type);
	free(f->body);
	f->final_url = f->content_type = f->body = NULL;
}
