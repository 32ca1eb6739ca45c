/*
 * artifact_store.c: the blob store that the settings choose.
 */
#include "artifact_store.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

static bool
is_s3(const struct settings *s)
{
	return strcmp(s->blob_store, "s3") == 0;
}

static struct blob_s3_config
s3_config(const struct settings *s)
{
	return (struct blob_s3_config){
	        .endpoint = s->s3_endpoint,
	        .secure = s->s3_secure,
	        .bucket = s->s3_bucket,
	        .access_key = s->s3_access_key,
	        .secret_key = s->s3_secret_key,
	        .region = s->s3_region,
	        .virtual_host = strcmp(s->s3_addressing, "virtual") == 0,
	        .v2 = strcmp(s->s3_signature, "v2") == 0,
	        .ca_file = getenv("SSL_CERT_FILE"),
	        .timeout = s->s3_timeout,
	        .retries = (int) s->s3_retries,
	};
}

int
artifact_store_check_settings(const struct settings *s, struct error *err)
{
	struct blob_s3_config config = s3_config(s);

	return is_s3(s) ? blob_s3_check_config(&config, err) : 0;
}

struct blob_store *
artifact_store_open(const struct settings *s, struct error *err)
{
	struct blob_s3_config config = s3_config(s);
	struct blob_store *store = is_s3(s) ? blob_s3_open(&config, err) : blob_file_open(s->blob_dir, err);
	int rc;

	if (!store)
		return NULL;
	rc = blob_check(store, err);
	if (rc == BLOB_FAILED) {
		log_event(LOG_LEVEL_WARNING, "artifact store does not answer", "error", err->msg, NULL);
	} else if (rc < 0) {
		blob_close(store);
		return NULL;
	}
	return store;
}
