/*
 * artifact.h: where GET /jobs/{id}/artifacts/{name} finds the bytes: in the store that the workers write to.
 */
#ifndef JOBSCHED_API_ARTIFACT_H
#define JOBSCHED_API_ARTIFACT_H

#include <stdbool.h>

#include "error.h"

struct exchange;
struct artifacts;

/* As the worker's settings of the same names. */
struct artifact_options {
	bool s3; /* BLOB_STORE=s3, else file */
	const char *dir; /* BLOB_DIR */
	const char *s3_endpoint;
	bool s3_secure;
	const char *s3_bucket, *s3_access_key, *s3_secret_key, *s3_region;
	bool s3_virtual_host; /* S3_ADDRESSING=virtual */
	bool s3_v2; /* S3_SIGNATURE=v2 */
};

/* Everything is copied.  NULL with *err filled, which names the setting. */
struct artifacts *artifacts_new(const struct artifact_options *options, struct error *err);
void artifacts_free(struct artifacts *artifacts); /* NULL is allowed */

void artifact_get(struct exchange *x);

#endif
