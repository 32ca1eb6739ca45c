/*
 * s3_url.h: the pure parts of speaking S3: where a bucket is, URLs of requests, and what Signature V2 signs.
 */
#ifndef JOBSCHED_S3_URL_H
#define JOBSCHED_S3_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define S3_HOST_MAX 255 /* bytes of a host with its port, as libs3 limits it */
#define S3_UPLOAD_ID_MAX 1024 /* bytes of an upload's id */

struct s3_place {
	bool tls;
	char host[S3_HOST_MAX + 1]; /* name or address, and :port unless it is the scheme's own */
	char bucket[256];
	bool virtual_host; /* https://bucket.host/key instead of https://host/bucket/key */
	bool v2; /* Signature V2 instead of V4 */
};

/* The sub-resources of a multipart upload. */
struct s3_query {
	bool uploads; /* ?uploads: begin one */
	int part; /* ?partNumber=: 1..10000, 0: none */
	const char *upload_id; /* ?uploadId=, NULL: none */
};

/*
 * Fills place->tls and host.  endpoint: "host", "host:port" or "http(s)://host[:port][/]"; without a scheme `secure`
 * decides; "" is AWS's endpoint in that region.  The message does not name the setting.
 */
int s3_place_endpoint(struct s3_place *place, const char *endpoint, bool secure, const char *region, struct error *err);

/* Fills place->bucket after place->virtual_host; the message does not name the setting. */
int s3_place_bucket(struct s3_place *place, const char *bucket, struct error *err);

/*
 * Percent-encodes all but RFC 3986's unreserved characters (and '/' when it is kept), as both signatures want it; out has
 * room for 3 bytes a byte and NUL.  Returns out.
 */
char *s3_escape(const char *text, bool keep_slash, char *out);

/* "https://host/bucket/key?query", malloc'ed; NULL when out of memory.  V4 signs the query as it stands here. */
char *s3_url(const struct s3_place *place, const char *key, const struct s3_query *query);

/*
 * What Signature V2 signs ("Signing and Authenticating REST Requests", Amazon S3 API 2006-03-01): method, content_md5,
 * content_type and date, a line each, and the resource.  No x-amz- headers.  content_md5, content_type: "" when absent.
 * malloc'ed; NULL when out of memory.
 */
char *s3_v2_string_to_sign(const struct s3_place *place, const char *method, const char *content_md5,
        const char *content_type, const char *date, const char *key, const struct s3_query *query);

/* Base64 of HMAC-SHA1 of text, out has room for 29 bytes; returns -1 when it cannot be computed. */
int s3_v2_sign(const char *secret_key, const char *text, char *out);

#endif
