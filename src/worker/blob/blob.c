/*
 * blob.c: what all blob stores have in common.
 */
#include "blob.h"

#include <stdbool.h>
#include <string.h>

/* Relative, and no part empty or beginning with a dot: a key never leaves its store. */
static bool
key_allowed(const char *key)
{
	size_t len = strlen(key);

	if (len == 0 || len > BLOB_KEY_MAX || key[len - 1] == '/')
		return false;
	for (const char *p = key; *p; p++) {
		if ((p == key || p[-1] == '/') && (*p == '/' || *p == '.'))
			return false;
		if ((unsigned char) *p < 0x20 || *p == 0x7F)
			return false;
	}
	return true;
}

int
blob_put(struct blob_store *store, const char *key, const char *content_type, const void *data, size_t size,
		 struct error *err)
{
	if (!key_allowed(key))
		return error_set(err, "blob key %s is not allowed", key);
	return store->kind->put(store, key, content_type, data, size, err);
}

void
blob_close(struct blob_store *store)
{
	if (store)
		store->kind->close(store);
}
