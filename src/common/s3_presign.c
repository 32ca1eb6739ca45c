/*
 * s3_presign.c: signing URLs.
 */
#include "s3_presign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX_SIZE (2 * SHA256_DIGEST_LENGTH + 1)

struct digest {
	unsigned char bytes[SHA256_DIGEST_LENGTH];
};

static int
hmac(const void *key, size_t key_len, const char *text, struct digest *out)
{
	unsigned len = 0;

	return HMAC(EVP_sha256(), key, (int) key_len, (const unsigned char *) text, strlen(text), out->bytes, &len) &&
	                len == sizeof(out->bytes)
	        ? 0
	        : -1;
}

static void
to_hex(const struct digest *digest, char out[HEX_SIZE])
{
	for (size_t i = 0; i < sizeof(digest->bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", digest->bytes[i]);
}

/* The key of a day, region and service signs the text. */
static int
sign(const struct s3_presign *p, const char *day, const char *text, char out[HEX_SIZE])
{
	struct digest digest;
	char *first = NULL;
	int rc = -1;

	if (asprintf(&first, "AWS4%s", p->secret_key) < 0)
		return -1;
	if (hmac(first, strlen(first), day, &digest) == 0 &&
	        hmac(digest.bytes, sizeof(digest.bytes), p->region, &digest) == 0 &&
	        hmac(digest.bytes, sizeof(digest.bytes), "s3", &digest) == 0 &&
	        hmac(digest.bytes, sizeof(digest.bytes), "aws4_request", &digest) == 0 &&
	        hmac(digest.bytes, sizeof(digest.bytes), text, &digest) == 0) {
		to_hex(&digest, out);
		rc = 0;
	}
	free(first);
	return rc;
}

/* All of the query but the signature, in the order of the names. */
static char *
make_query(const struct s3_presign *p, const char *day, const char *moment)
{
	char *scope = NULL, *credential = NULL, *disposition = NULL, *query = NULL;

	if (asprintf(&scope, "%s/%s/%s/s3/aws4_request", p->access_key, day, p->region) < 0)
		return NULL;
	credential = malloc(3 * strlen(scope) + 1);
	disposition = malloc(3 * strlen(p->disposition ? p->disposition : "") + 1);
	if (credential && disposition &&
	        asprintf(&query,
	                "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s&X-Amz-Date=%s&X-Amz-Expires=%ld"
	                "&X-Amz-SignedHeaders=host%s%s",
	                s3_escape(scope, false, credential), moment, p->seconds,
	                p->disposition ? "&response-content-disposition=" : "",
	                p->disposition ? s3_escape(p->disposition, false, disposition) : "") < 0)
		query = NULL;
	free(scope);
	free(credential);
	free(disposition);
	return query;
}

static char *
presign_v4(const struct s3_presign *p, const char *url)
{
	const char *host = strstr(url, "://") + 3, *path = strchr(host, '/');
	char day[16], moment[32], hex[HEX_SIZE];
	char *query, *request = NULL, *text = NULL, *signed_url = NULL;
	struct digest digest;
	struct tm utc;

	gmtime_r(&p->now, &utc);
	strftime(day, sizeof(day), "%Y%m%d", &utc);
	strftime(moment, sizeof(moment), "%Y%m%dT%H%M%SZ", &utc);
	query = make_query(p, day, moment);
	if (!query ||
	        asprintf(&request, "GET\n%s\n%s\nhost:%.*s\n\nhost\nUNSIGNED-PAYLOAD", path, query, (int) (path - host),
	                host) < 0) {
		free(query);
		return NULL;
	}
	SHA256((const unsigned char *) request, strlen(request), digest.bytes);
	to_hex(&digest, hex);
	free(request);
	if (asprintf(&text, "AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", moment, day, p->region, hex) < 0)
		text = NULL;
	if (!text || sign(p, day, text, hex) < 0 ||
	        asprintf(&signed_url, "%s?%s&X-Amz-Signature=%s", url, query, hex) < 0)
		signed_url = NULL;
	free(text);
	free(query);
	return signed_url;
}

static char *
presign_v2(const struct s3_presign *p, const char *url)
{
	static const struct s3_query none;
	char expires[32], signature[32], escaped[3 * sizeof(signature)];
	char *key = malloc(3 * strlen(p->access_key) + 1), *signed_url = NULL;
	char *text;

	snprintf(expires, sizeof(expires), "%lld", (long long) p->now + p->seconds);
	text = s3_v2_string_to_sign(p->place, "GET", "", "", expires, p->key, &none);
	if (!key || !text || s3_v2_sign(p->secret_key, text, signature) < 0 ||
	        asprintf(&signed_url, "%s?AWSAccessKeyId=%s&Expires=%s&Signature=%s", url,
	                s3_escape(p->access_key, false, key), expires, s3_escape(signature, false, escaped)) < 0)
		signed_url = NULL;
	free(text);
	free(key);
	return signed_url;
}

char *
s3_presign(const struct s3_presign *p)
{
	static const struct s3_query none;
	char *url = s3_url(p->place, p->key, &none), *signed_url;

	if (!url)
		return NULL;
	signed_url = p->place->v2 ? presign_v2(p, url) : presign_v4(p, url);
	free(url);
	return signed_url;
}
