/*
 * fetch_transfer.c: one request with libcurl.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "clock.h"
#include "content_type.h"
#include "fetch_private.h"

/* 7.87: a resolver that hangs does not hold up the end of a transfer (CURLOPT_QUICK_EXIT). */
_Static_assert(LIBCURL_VERSION_NUM >= 0x075700, "libcurl 7.87 or newer is needed");

#define POLL_MS 100 /* how often stop() is asked */
#define KEPT_HEADERS_MAX 16384 /* bytes of names and values that keep_headers keeps */

struct transfer {
	struct fetch *f;
	const struct fetch_request *request;
	const char *url;
	struct fetch_answer *answer;
	char refused_address[80];
	bool opened; /* a socket to an allowed address */
	bool stopped;
	size_t header_bytes;
	size_t room; /* allocated for the answer's body */
	const char *refused; /* reason why the body is not read */
	struct error why;
	bool no_memory;
};

/* The last word on addresses: this one is connected to, wherever it came from. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = arg;

	(void) purpose;
	if (!address_allowed(&to->addr, t->f->policy->allowed)) {
		address_format(&to->addr, t->refused_address, sizeof(t->refused_address));
		return CURL_SOCKET_BAD;
	}
	t->opened = true;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* The number of codings in the header's values, `ignored` not counted; *only names one of them. */
static int
count_codings(CURL *curl, const char *name, const char *ignored, char *only, size_t size)
{
	struct curl_header *header;
	int n = 0;

	for (size_t i = 0; curl_easy_header(curl, name, i, CURLH_HEADER, -1, &header) == CURLHE_OK; i++) {
		for (const char *p = header->value + strspn(header->value, " \t,"); *p; p += strspn(p, " \t,")) {
			size_t len = strcspn(p, " \t,");

			if (strncasecmp(p, ignored, len) != 0 || ignored[len]) {
				snprintf(only, size, "%.*s", (int) (len < 40 ? len : 40), p);
				n++;
			}
			p += len;
		}
	}
	return n;
}

/* Reads what the headers say of the body, before libcurl unpacks any of it. */
static bool
body_is_wanted(struct transfer *t)
{
	const char *type = NULL;
	char coding[64] = "";
	long status = 0;
	int n;

	n = count_codings(t->f->curl, "Transfer-Encoding", "chunked", coding, sizeof(coding));
	if (n == 0)
		n = count_codings(t->f->curl, "Content-Encoding", "identity", coding, sizeof(coding));
	else
		n = 2;
	if (n > 1 ||
	        (n == 1 && strcasecmp(coding, "gzip") != 0 && strcasecmp(coding, "x-gzip") != 0 &&
	                strcasecmp(coding, "deflate") != 0)) {
		char *clean = fetch_clean_copy(coding);

		error_set(&t->why, "content coding \"%s\"%s: one, gzip or deflate, is allowed", clean ? clean : "",
		        n > 1 ? " and more" : "");
		free(clean);
		t->refused = "content_encoding";
		return false;
	}
	curl_easy_getinfo(t->f->curl, CURLINFO_CONTENT_TYPE, &type);
	curl_easy_getinfo(t->f->curl, CURLINFO_RESPONSE_CODE, &status);
	if (t->request->readable && status >= 200 && status < 300 && !content_type_is_readable(type ? type : "")) {
		char *clean = fetch_clean_copy(type ? type : "");

		error_set(&t->why, "content type \"%.100s\" is not HTML, text or JSON", clean ? clean : "");
		free(clean);
		t->refused = "content_type";
		return false;
	}
	return true;
}

static size_t
on_header(char *data, size_t unit, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t size = unit * n;

	t->header_bytes += size;
	if (t->header_bytes > FETCH_HEADERS_MAX) {
		error_set(&t->why, "more than %d bytes of headers", FETCH_HEADERS_MAX);
		t->refused = "headers_too_large";
		return 0;
	}
	/* The line between headers and body. */
	if ((size == 2 && memcmp(data, "\r\n", 2) == 0) || (size == 1 && data[0] == '\n'))
		return body_is_wanted(t) ? size : 0;
	return size;
}

static size_t
on_body(char *data, size_t unit, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct fetch_answer *answer = t->answer;
	size_t take = unit * n;

	if (take > t->request->body_max - answer->size) {
		take = t->request->body_max - answer->size;
		answer->cut = true;
	}
	if (take > t->room - answer->size) {
		size_t room = 2 * t->room + take;
		char *body = realloc(answer->body, room);

		if (!body) {
			t->no_memory = true;
			return 0;
		}
		answer->body = body;
		t->room = room;
	}
	if (take > 0) {
		memcpy(answer->body + answer->size, data, take);
		answer->size += take;
	}
	return answer->cut ? 0 : unit * n;
}

static void
set_method(struct transfer *t)
{
	const char *method = t->request->method;
	CURL *c = t->f->curl;

	if (t->request->body) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) t->request->body_size);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, t->request->body);
	} else if (method && strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	}
	if (method)
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
}

static void
set_options(struct transfer *t, const struct curl_slist *headers, char *message)
{
	const struct fetch_policy *policy = t->f->policy;
	int64_t left_ms = (t->f->until_us - clock_boottime_us()) / 1000 + 1;
	CURL *c = t->f->curl;

	curl_easy_reset(c);
	curl_easy_setopt(c, CURLOPT_URL, t->url);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, message);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L); /* each redirect is checked like the first URL */
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_USERAGENT, policy->user_agent);
	curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	if (policy->ca_file)
		curl_easy_setopt(c, CURLOPT_CAINFO, policy->ca_file);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long) (FETCH_CONNECT_TIMEOUT * 1000));
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, left_ms > 0 ? (long) left_ms : 1L);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	set_method(t);
}

/* Drives the transfer to its end, or until stop() says so. */
static CURLcode
perform(struct transfer *t)
{
	struct fetch *f = t->f;
	CURLcode code = CURLE_OK;
	int running = 1;

	if (curl_multi_add_handle(f->multi, f->curl) != CURLM_OK)
		return CURLE_OUT_OF_MEMORY;
	while (running) {
		if (curl_multi_perform(f->multi, &running) != CURLM_OK) {
			code = CURLE_FAILED_INIT;
			break;
		}
		if (!running)
			break;
		if (f->stop && f->stop(f->stop_arg)) {
			t->stopped = true;
			break;
		}
		curl_multi_poll(f->multi, NULL, 0, POLL_MS, NULL);
	}
	if (!running) {
		int left;
		const CURLMsg *message = curl_multi_info_read(f->multi, &left);

		code = message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_FAILED_INIT;
	}
	curl_multi_remove_handle(f->multi, f->curl);
	return code;
}

static enum fetch_end
explain(const struct transfer *t, CURLcode code, const char *message, struct error *err)
{
	if (t->stopped)
		return FETCH_STOPPED;
	if (t->refused_address[0] && !t->opened) {
		error_set(err,
		        "%.200s: address %s is private: it is not visited (CRAWL_ALLOW_PRIVATE lists those that may "
		        "be)",
		        t->url, t->refused_address);
		return fetch_refuse(t->answer, "address_refused");
	}
	if (t->refused) {
		error_set(err, "%.200s: %s", t->url, t->why.msg);
		return fetch_refuse(t->answer, t->refused);
	}
	if (t->no_memory)
		error_set(err, "out of memory");
	else
		error_set(err, "%.200s: %s", t->url, message[0] ? message : curl_easy_strerror(code));
	return FETCH_FAILED;
}

/* {"lower-case-name": "value"}: values of one name joined by commas, what is too much left out; NULL: out of memory. */
static json_t *
collect_headers(CURL *curl)
{
	json_t *headers = json_object();
	struct curl_header *header = NULL;
	size_t bytes = 0;

	while (headers && (header = curl_easy_nextheader(curl, CURLH_HEADER, -1, header))) {
		char *name = fetch_clean_copy(header->name), *value = fetch_clean_copy(header->value);
		const char *before = NULL;
		int rc = -1;

		if (name && value) {
			for (char *p = name; *p; p++) {
				if (*p >= 'A' && *p <= 'Z')
					*p = (char) (*p - 'A' + 'a');
			}
			before = json_string_value(json_object_get(headers, name));
			bytes += strlen(name) + strlen(value);
			if (bytes > KEPT_HEADERS_MAX)
				rc = 0;
			else if (before)
				rc = json_object_set_new(headers, name, json_sprintf("%s, %s", before, value));
			else
				rc = json_object_set_new(headers, name, json_string(value));
		}
		free(name);
		free(value);
		if (rc < 0) {
			json_decref(headers);
			headers = NULL;
		}
	}
	return headers;
}

static double
seconds_of(CURL *curl, CURLINFO info)
{
	curl_off_t us = 0;

	curl_easy_getinfo(curl, info, &us);
	return (double) us / 1e6;
}

/* Copies what libcurl knows of the response; returns 0, or -1 when out of memory. */
static int
fill_answer(struct transfer *t, char **location)
{
	struct fetch_answer *answer = t->answer;
	CURL *curl = t->f->curl;
	const char *type = NULL;
	struct curl_header *header;
	curl_off_t wait = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
	curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait);
	if (wait > FETCH_RETRY_AFTER_MAX)
		wait = FETCH_RETRY_AFTER_MAX;
	answer->retry_after = wait > 0 ? (long) wait : 0;
	answer->timing = (struct fetch_timing){.dns = seconds_of(curl, CURLINFO_NAMELOOKUP_TIME_T),
	        .connect = seconds_of(curl, CURLINFO_CONNECT_TIME_T),
	        .tls = seconds_of(curl, CURLINFO_APPCONNECT_TIME_T),
	        .first_byte = seconds_of(curl, CURLINFO_STARTTRANSFER_TIME_T)};
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	answer->content_type = fetch_clean_copy(type ? type : "");
	if (!answer->content_type)
		return -1;
	if (t->request->keep_headers && !(answer->headers = collect_headers(curl)))
		return -1;
	if (t->request->redirects_max > 0 &&
	        (answer->status == 301 || answer->status == 302 || answer->status == 303 || answer->status == 307 ||
	                answer->status == 308) &&
	        curl_easy_header(curl, "Location", 0, CURLH_HEADER, -1, &header) == CURLHE_OK) {
		*location = strdup(header->value);
		if (!*location)
			return -1;
	}
	return 0;
}

enum fetch_end
fetch_transfer(struct fetch *f, const struct fetch_request *request, const char *url, const struct curl_slist *headers,
        struct fetch_answer *answer, char **location, struct error *err)
{
	struct transfer t = {.f = f, .request = request, .url = url, .answer = answer};
	char message[CURL_ERROR_SIZE] = "";
	enum fetch_end end = FETCH_DONE;
	CURLcode code;

	*location = NULL;
	free(answer->content_type);
	free(answer->body);
	json_decref(answer->headers);
	answer->content_type = answer->body = NULL;
	answer->headers = NULL;
	answer->size = 0;
	answer->cut = false;

	set_options(&t, headers, message);
	code = perform(&t);
	if (t.stopped || (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && answer->cut))) {
		end = explain(&t, code, message, err);
	} else if (fill_answer(&t, location) < 0) {
		error_set(err, "out of memory");
		end = FETCH_FAILED;
	}
	curl_easy_reset(f->curl); /* its options point into this frame */
	return end;
}
