/*
 * url.c: URLs of the web, in one spelling each.  libcurl takes them apart and libidn2 knows host names; here is what
 * neither does.
 */
#include "url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hex.h"

/* Parameters that say where a visitor came from, and never what is shown. */
static const char *const tracking[] = {"_branch_match_id", "_gl", "_hsenc", "_hsmi", "_openstat", "dclid", "dm_i",
        "fbclid", "gbraid", "gclid", "gclsrc", "igsh", "igshid", "li_fat_id", "mc_cid", "mc_eid", "mkt_tok", "msclkid",
        "oly_anon_id", "oly_enc_id", "rb_clickid", "s_cid", "srsltid", "ttclid", "twclid", "vero_conv", "vero_id",
        "wbraid", "wickedid", "yclid"};

struct parameter {
	const char *text; /* "name=value" */
	size_t len;
	size_t name_len;
	size_t position; /* among the URL's parameters */
};

static bool
is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

/* What may stand in a path or query as it is, besides the unreserved ones. */
static bool
is_plain(unsigned char c)
{
	return c && strchr("!$&'()*+,;=:@/?[]", c);
}

size_t
url_encode(const char *in, size_t len, const char *also, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	char *to = out;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char) in[i];
		bool encoded = false;

		if (c == '%' && len - i > 2 && hex_digit(in[i + 1]) >= 0 && hex_digit(in[i + 2]) >= 0) {
			c = (unsigned char) (hex_digit(in[i + 1]) * 16 + hex_digit(in[i + 2]));
			encoded = true;
			i += 2;
		}
		if (is_unreserved(c) || (!encoded && is_plain(c) && !strchr(also, c))) {
			*to++ = (char) c;
		} else {
			*to++ = '%';
			*to++ = digits[c >> 4];
			*to++ = digits[c & 15];
		}
	}
	*to = '\0';
	return (size_t) (to - out);
}

/* "[0:0::1]" as "[::1]", malloc'ed; NULL when it is none. */
static char *
normal_ipv6(const char *host)
{
	char inside[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN], *normal;
	size_t len = strlen(host);
	struct in6_addr address;

	if (len < 2 || len - 2 >= sizeof(inside))
		return NULL;
	memcpy(inside, host + 1, len - 2);
	inside[len - 2] = '\0';
	if (inet_pton(AF_INET6, inside, &address) != 1 || !inet_ntop(AF_INET6, &address, text, sizeof(text)) ||
	        asprintf(&normal, "[%s]", text) < 0)
		return NULL;
	return normal;
}

/* The host as it is looked up, malloc'ed; NULL after filling *err. */
static char *
normal_host(const char *host, struct error *err)
{
	char *ascii = NULL, *copy;
	int rc;

	if (host[0] == '[') {
		copy = normal_ipv6(host);
		if (!copy)
			error_set(err, "the host %.100s is no IPv6 address", host);
		return copy;
	}
	if (strchr(host, '%')) {
		/* "%2531" was decoded to "%31", which would be decoded once more. */
		error_set(err, "the host %.100s holds a percent sign", host);
		return NULL;
	}
	rc = idn2_to_ascii_8z(host, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc == IDN2_OK) {
		copy = strdup(ascii);
		idn2_free(ascii);
	} else {
		/* Names that the domain system knows and IDNA does not allow, such as "a--b" or "x_y". */
		for (const char *p = host; *p; p++) {
			if ((unsigned char) *p >= 0x80) {
				error_set(err, "the host name %.100s: %s", host, idn2_strerror(rc));
				return NULL;
			}
		}
		copy = strdup(host);
	}
	if (!copy) {
		error_set(err, "out of memory");
		return NULL;
	}
	for (char *p = copy; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char) (*p - 'A' + 'a');
	}
	/* Also what mapping left empty: without a host the path's first part would be read as one. */
	if (copy[0] == '\0' || copy[0] == '.' || strstr(copy, "..")) {
		error_set(err, "the host name \"%.100s\" has an empty part", host);
		free(copy);
		return NULL;
	}
	return copy;
}

/* A host whose last label is a number would be an IPv4 address to some and a name to others. */
static bool
is_ambiguous(const char *host)
{
	const char *label = strrchr(host, '.');
	struct in_addr address;
	size_t len = strlen(host);

	if (host[0] == '[' || inet_pton(AF_INET, host, &address) == 1)
		return false;
	if (label && label[1] == '\0') {
		/* "1.2.3.4." */
		for (label = host + len - 1; label > host && label[-1] != '.'; label--)
			;
	} else {
		label = label ? label + 1 : host;
	}
	len = strcspn(label, ".");
	if (strncasecmp(label, "0x", 2) == 0)
		return strspn(label + 2, "0123456789abcdefABCDEF") == len - 2;
	return strspn(label, "0123456789") == len;
}

static char *
get_part(CURLU *u, CURLUPart part)
{
	char *text = NULL;

	return curl_url_get(u, part, &text, 0) == CURLUE_OK ? text : NULL;
}

/* What is refused whatever stands in the other parts. */
static int
check_parts(CURLU *u, struct error *err)
{
	char *scheme = get_part(u, CURLUPART_SCHEME), *user = get_part(u, CURLUPART_USER);
	char *password = get_part(u, CURLUPART_PASSWORD), *zone = get_part(u, CURLUPART_ZONEID);
	char *port = get_part(u, CURLUPART_PORT), *host = get_part(u, CURLUPART_HOST);
	int rc = 0;

	if (!scheme || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		rc = error_set(err, "only http and https are allowed, not %.100s", scheme ? scheme : "none");
	else if (user || password)
		rc = error_set(err, "a user name or password in it is not allowed");
	else if (zone)
		rc = error_set(err, "the IPv6 zone %.100s is not allowed", zone);
	else if (port && strtol(port, NULL, 10) == 0)
		rc = error_set(err, "port 0 is not allowed");
	else if (!host || !host[0])
		rc = error_set(err, "it names no host");
	curl_free(scheme);
	curl_free(user);
	curl_free(password);
	curl_free(zone);
	curl_free(port);
	curl_free(host);
	return rc;
}

/* Puts host, path and query into normal form: what libcurl does not do, before it does the rest. */
static char *
rebuild(CURLU *u, struct error *err)
{
	char *scheme = get_part(u, CURLUPART_SCHEME), *given = get_part(u, CURLUPART_HOST);
	char *port = get_part(u, CURLUPART_PORT), *path = get_part(u, CURLUPART_PATH);
	char *query = get_part(u, CURLUPART_QUERY);
	char *host = given ? normal_host(given, err) : NULL, *text = NULL;
	size_t size;

	if (!host || !scheme)
		goto out;
	size = strlen(scheme) + strlen(host) + (port ? strlen(port) : 0) + 3 * strlen(path ? path : "") +
	        3 * strlen(query ? query : "") + 16;
	text = malloc(size);
	if (!text) {
		error_set(err, "out of memory");
	} else {
		size_t len =
		        (size_t) snprintf(text, size, "%s://%s%s%s", scheme, host, port ? ":" : "", port ? port : "");

		if (path)
			len += url_encode(path, strlen(path), "", text + len);
		if (query) {
			text[len++] = '?';
			url_encode(query, strlen(query), "", text + len);
		}
	}
out:
	free(host);
	curl_free(scheme);
	curl_free(given);
	curl_free(port);
	curl_free(path);
	curl_free(query);
	return text;
}

static const char *
explain(const char *text, CURLUcode code)
{
	size_t scheme = strcspn(text, ":/?#");

	if (code == CURLUE_BAD_SCHEME)
		return "http:// or https:// must stand before it";
	if (code != CURLUE_BAD_SLASHES)
		return curl_url_strerror(code);
	if ((scheme == 4 && strncasecmp(text, "http", 4) == 0) || (scheme == 5 && strncasecmp(text, "https", 5) == 0))
		return "two slashes must follow the scheme";
	return "only http and https are allowed";
}

/* Both readings of a URL: as given, relative to base, and then in what rebuild() made of it. */
static char *
normalize(CURLU *u, const char *text, const char *base, struct error *err)
{
	const unsigned flags = CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE;
	char *built = NULL, *got = NULL, *normal = NULL, *host = NULL;
	CURLUcode code = CURLUE_OK;

	if (base)
		code = curl_url_set(u, CURLUPART_URL, base, 0);
	if (code == CURLUE_OK)
		code = curl_url_set(u, CURLUPART_URL, text, flags | CURLU_PATH_AS_IS);
	if (code == CURLUE_OK) {
		if (check_parts(u, err) < 0 || !(built = rebuild(u, err)))
			return NULL;
		code = curl_url_set(u, CURLUPART_URL, built, flags);
		free(built);
	}
	if (code == CURLUE_OK)
		code = curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_URL, &got, CURLU_NO_DEFAULT_PORT);
	if (code != CURLUE_OK) {
		error_set(err, "%s", explain(text, code));
		goto out;
	}
	/* Again, since mapping a name may have brought dots, digits or more. */
	host = get_part(u, CURLUPART_HOST);
	if (check_parts(u, err) < 0)
		goto out;
	if (is_ambiguous(host)) {
		error_set(err, "the host %.100s ends in a number, but is no IPv4 address", host);
		goto out;
	}
	if (strlen(got) > URL_MAX) {
		error_set(err, "longer than %d bytes", URL_MAX);
		goto out;
	}
	normal = strdup(got);
	if (!normal)
		error_set(err, "out of memory");
out:
	curl_free(host);
	curl_free(got);
	return normal;
}

/* Names the URL, but not what stands before an "@" in it: that may be a password. */
static void
complain(const char *text, const struct error *why, struct error *err)
{
	const char *slashes = strstr(text, "//");
	const char *host = slashes ? slashes + 2 : text;
	const char *at = memrchr(host, '@', strcspn(host, "/?#"));

	if (at)
		error_set(
		        err, "URL %.*s***%.200s: %s", (int) (host - text < 20 ? host - text : 20), text, at, why->msg);
	else
		error_set(err, "URL %.200s: %s", text, why->msg);
}

char *
url_normalize(const char *text, const char *base, struct error *err)
{
	static const char blanks[] = " \t\r\n\f";
	struct error why = {""};
	char *trimmed, *normal = NULL;
	size_t len;
	CURLU *u;

	text += strspn(text, blanks);
	len = strlen(text);
	while (len > 0 && strchr(blanks, text[len - 1]))
		len--;
	if (len == 0) {
		error_set(err, "URL: it is empty");
		return NULL;
	}
	if (len > URL_MAX) {
		error_set(err, "URL %.60s...: longer than %d bytes", text, URL_MAX);
		return NULL;
	}
	trimmed = strndup(text, len);
	u = curl_url();
	if (!trimmed || !u)
		error_set(err, "out of memory");
	else if (!(normal = normalize(u, trimmed, base, &why)))
		complain(trimmed, &why, err);
	free(trimmed);
	curl_url_cleanup(u);
	return normal;
}

static bool
is_tracking(const struct parameter *p)
{
	if (p->name_len >= 4 && strncasecmp(p->text, "utm_", 4) == 0)
		return true;
	for (size_t i = 0; i < sizeof(tracking) / sizeof(tracking[0]); i++) {
		if (strlen(tracking[i]) == p->name_len && strncasecmp(p->text, tracking[i], p->name_len) == 0)
			return true;
	}
	return false;
}

static int
compare_parameters(const void *a, const void *b)
{
	const struct parameter *x = a, *y = b;
	size_t common = x->name_len < y->name_len ? x->name_len : y->name_len;
	int rc = memcmp(x->text, y->text, common);

	if (rc != 0)
		return rc;
	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return x->position < y->position ? -1 : 1;
}

/* Writes the query's parameters, sorted, over the '?' and what follows it in url. */
static int
sort_query(char *url, char *question)
{
	char *query = strdup(question + 1), *to = question;
	struct parameter *list = calloc(strlen(question) + 1, sizeof(*list));
	size_t n = 0;

	if (!query || !list) {
		free(query);
		free(list);
		return -1;
	}
	for (const char *p = query; *p; p += strspn(p, "&")) {
		size_t len = strcspn(p, "&");
		const char *equals = memchr(p, '=', len);

		list[n] = (struct parameter){p, len, equals ? (size_t) (equals - p) : len, n};
		if (len > 0 && !is_tracking(&list[n]))
			n++;
		p += len;
	}
	if (n > 1)
		qsort(list, n, sizeof(*list), compare_parameters);
	for (size_t i = 0; i < n; i++) {
		*to++ = i == 0 ? '?' : '&';
		memcpy(to, list[i].text, list[i].len);
		to += list[i].len;
	}
	*to = '\0';
	free(query);
	free(list);
	return (int) (to - url);
}

char *
url_canonicalize(const char *text, struct error *err)
{
	char *url = url_normalize(text, NULL, err);
	char *question = url ? strchr(url, '?') : NULL;

	if (question && sort_query(url, question) < 0) {
		error_set(err, "out of memory");
		free(url);
		return NULL;
	}
	return url;
}

size_t
url_origin_length(const char *url)
{
	const char *host = strstr(url, "://");

	return host ? (size_t) (host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

bool
url_same_origin(const char *a, const char *b)
{
	size_t len = url_origin_length(a);

	return len == url_origin_length(b) && strncmp(a, b, len) == 0;
}
