/*
 * s3_url.c: the pure parts of speaking S3.
 */
#include "s3_url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHA1_SIZE 20

/* Takes an absolute URL apart; only scheme, host and port may be there. */
static int
take_apart(struct s3_place *place, const char *url, struct error *err)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL, *more = NULL;
	CURLUcode code;
	int n, rc = -1;

	if (!u)
		return error_set(err, "out of memory");
	code = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_DISALLOW_USER);
	if (code == CURLUE_USER_NOT_ALLOWED) {
		error_set(err, "keys do not belong here");
		goto out;
	}
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_HOST, &host, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_PATH, &path, 0);
	if (code != CURLUE_OK) {
		error_set(err, "%s", curl_url_strerror(code));
		goto out;
	}
	if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) {
		error_set(err, "the scheme is %s", scheme);
		goto out;
	}
	if (strcmp(path, "/") != 0 || curl_url_get(u, CURLUPART_QUERY, &more, 0) == CURLUE_OK ||
	        curl_url_get(u, CURLUPART_FRAGMENT, &more, 0) == CURLUE_OK) {
		error_set(err, "there is something after the host");
		goto out;
	}
	place->tls = strcmp(scheme, "https") == 0;
	/* no port when it is the scheme's own, since clients leave it out of the Host header, which is signed */
	if (curl_url_get(u, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT) == CURLUE_OK)
		n = snprintf(place->host, sizeof(place->host), "%s:%s", host, port);
	else
		n = snprintf(place->host, sizeof(place->host), "%s", host);
	if (n >= (int) sizeof(place->host)) {
		error_set(err, "the host is longer than %d bytes", S3_HOST_MAX);
		goto out;
	}
	rc = 0;
out:
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(path);
	curl_free(more);
	curl_url_cleanup(u);
	return rc;
}

int
s3_place_endpoint(struct s3_place *place, const char *endpoint, bool secure, const char *region, struct error *err)
{
	char url[S3_HOST_MAX + 64];
	const char *scheme = secure ? "https" : "http";
	int n;

	if (endpoint[0] == '\0')
		n = snprintf(url, sizeof(url), "%s://s3.%s.amazonaws.com/", scheme, region);
	else if (strstr(endpoint, "://"))
		n = snprintf(url, sizeof(url), "%s", endpoint);
	else
		n = snprintf(url, sizeof(url), "%s://%s", scheme, endpoint);
	if (n >= (int) sizeof(url))
		return error_set(err, "longer than %d bytes", S3_HOST_MAX);
	return take_apart(place, url, err);
}

/* In a host name buckets follow DNS; in a path servers also take what AWS took long ago. */
int
s3_place_bucket(struct s3_place *place, const char *bucket, struct error *err)
{
	static const char dns[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
	static const char any[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz0123456789-.";
	size_t max = place->virtual_host ? 63 : 255, len = strlen(bucket);
	const char *letters = place->virtual_host ? dns : any;

	if (len < 3 || len > max || strspn(bucket, letters) != len || !isalnum((unsigned char) bucket[0]) ||
	        strstr(bucket, ".."))
		return error_set(err, "3..%zu of %s are needed, a letter or digit first", max,
		        place->virtual_host ? "a-z 0-9 - ." : "A-Z a-z 0-9 - . _");
	memcpy(place->bucket, bucket, len + 1);
	return 0;
}

char *
s3_escape(const char *text, bool keep_slash, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	char *to = out;

	for (const unsigned char *p = (const unsigned char *) text; *p; p++) {
		if ((*p < 0x80 && isalnum(*p)) || strchr("-_.~", *p) || (keep_slash && *p == '/')) {
			*to++ = (char) *p;
		} else {
			*to++ = '%';
			*to++ = hex[*p >> 4];
			*to++ = hex[*p & 15];
		}
	}
	*to = '\0';
	return out;
}

/* In the order of their names, as both signatures want them.  V4 signs "uploads=", V2 "uploads" and raw values. */
static void
format_query(const struct s3_query *query, bool v2, bool escape, char *out, size_t size)
{
	char id[3 * S3_UPLOAD_ID_MAX + 1];

	out[0] = '\0';
	if (query->uploads) {
		snprintf(out, size, v2 ? "?uploads" : "?uploads=");
	} else if (query->upload_id) {
		const char *text = escape ? s3_escape(query->upload_id, false, id) : query->upload_id;

		if (query->part > 0)
			snprintf(out, size, "?partNumber=%d&uploadId=%s", query->part, text);
		else
			snprintf(out, size, "?uploadId=%s", text);
	}
}

char *
s3_url(const struct s3_place *place, const char *key, const struct s3_query *query)
{
	const char *scheme = place->tls ? "https" : "http";
	char *path = malloc(3 * strlen(key) + 1), *url = NULL;
	char tail[3 * S3_UPLOAD_ID_MAX + 64];
	int n;

	if (!path)
		return NULL;
	s3_escape(key, true, path);
	format_query(query, place->v2, true, tail, sizeof(tail));
	if (place->virtual_host)
		n = asprintf(&url, "%s://%s.%s/%s%s", scheme, place->bucket, place->host, path, tail);
	else
		n = asprintf(&url, "%s://%s/%s/%s%s", scheme, place->host, place->bucket, path, tail);
	free(path);
	return n < 0 ? NULL : url;
}

char *
s3_v2_string_to_sign(const struct s3_place *place, const char *method, const char *content_md5,
        const char *content_type, const char *date, const char *key, const struct s3_query *query)
{
	char *path = malloc(3 * strlen(key) + 1), *text = NULL;
	char tail[S3_UPLOAD_ID_MAX + 64];
	int n;

	if (!path)
		return NULL;
	format_query(query, true, false, tail, sizeof(tail));
	n = asprintf(&text, "%s\n%s\n%s\n%s\n/%s/%s%s", method, content_md5, content_type, date, place->bucket,
	        s3_escape(key, true, path), tail);
	free(path);
	return n < 0 ? NULL : text;
}

int
s3_v2_sign(const char *secret_key, const char *text, char *out)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!HMAC(EVP_sha1(), secret_key, (int) strlen(secret_key), (const unsigned char *) text, strlen(text), digest,
	            &len) ||
	        len != SHA1_SIZE)
		return -1;
	EVP_EncodeBlock((unsigned char *) out, digest, SHA1_SIZE);
	return 0;
}
