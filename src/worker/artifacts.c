/*
 * artifacts.c: what a run writes to the blob store, and the manifest of it.
 */
#include "artifacts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 100

struct artifact_writer {
	struct artifacts *of;
	struct blob_writer *blob;
	struct artifact_writer *next;
	char *content_type;
	char name[NAME_MAX_LEN + 1];
	char key[BLOB_KEY_MAX + 1];
};

bool
artifact_name_allowed(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(name);

	return len >= 1 && len <= NAME_MAX_LEN && name[0] != '.' && strspn(name, letters) == len;
}

static const json_t *
find(const struct artifacts *a, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach(a->manifest, i, entry)
	{
		if (strcmp(json_string_value(json_object_get(entry, "name")), name) == 0)
			return entry;
	}
	return NULL;
}

/* The object of that name: its key into `key`, BLOB_KEY_MAX + 1 bytes. */
static int
prepare(const struct artifacts *a, const char *name, const char *content_type, char *key, struct blob_object *object,
        struct error *err)
{
	bool known;

	if (!artifact_name_allowed(name)) {
		error_set(err, "artifact name \"%.200s\": 1..%d of A-Z a-z 0-9 . _ - are allowed, no dot first", name,
		        NAME_MAX_LEN);
		return BLOB_REFUSED;
	}
	known = find(a, name) != NULL;
	for (const struct artifact_writer *w = a->writers; w && !known; w = w->next)
		known = strcmp(w->name, name) == 0;
	if (known) {
		error_set(err, "artifact %s: there is one of that name already", name);
		return BLOB_REFUSED;
	}
	snprintf(key, BLOB_KEY_MAX + 1, "jobs/%s/%s/%d-%s/%s", a->job_id, a->run_at, a->attempt, a->token, name);
	*object = (struct blob_object){.key = key,
	        .content_type = content_type ? content_type : "application/octet-stream",
	        .stop = a->stop,
	        .stop_arg = a->stop_arg};
	return BLOB_OK;
}

static int
record(struct artifacts *a, const char *name, const struct blob_object *object, const struct blob_info *info,
        struct error *err)
{
	json_t *entry = json_pack("{s:s, s:s, s:I, s:s, s:s}", "name", name, "key", object->key, "size",
	        (json_int_t) info->size, "sha256", info->sha256, "content_type", object->content_type);

	if (!a->manifest)
		a->manifest = json_array();
	if (!entry || json_array_append_new(a->manifest, entry) < 0) {
		error_set(err, "artifact %s: its content type is not UTF-8, or out of memory", name);
		return BLOB_REFUSED;
	}
	return BLOB_OK;
}

int
artifacts_put(struct artifacts *a, const char *name, const char *content_type, const void *data, size_t size,
        struct error *err)
{
	char key[BLOB_KEY_MAX + 1];
	struct blob_object object;
	struct blob_info info;
	int rc = prepare(a, name, content_type, key, &object, err);

	if (rc == BLOB_OK)
		rc = blob_put(a->store, &object, data, size, &info, err);
	return rc == BLOB_OK ? record(a, name, &object, &info, err) : rc;
}

int
artifacts_put_file(struct artifacts *a, const char *name, const char *content_type, int fd, struct error *err)
{
	char key[BLOB_KEY_MAX + 1];
	struct blob_object object;
	struct blob_info info;
	int rc = prepare(a, name, content_type, key, &object, err);

	if (rc == BLOB_OK)
		rc = blob_put_file(a->store, &object, fd, &info, err);
	return rc == BLOB_OK ? record(a, name, &object, &info, err) : rc;
}

static void
unlink_and_free(struct artifact_writer *writer)
{
	struct artifact_writer **at = &writer->of->writers;

	while (*at != writer)
		at = &(*at)->next;
	*at = writer->next;
	free(writer->content_type);
	free(writer);
}

int
artifacts_create(struct artifacts *a, const char *name, const char *content_type, struct artifact_writer **writer,
        struct error *err)
{
	struct artifact_writer *w = calloc(1, sizeof(*w));
	struct blob_object object;
	int rc = BLOB_FAILED;

	*writer = NULL;
	if (!w) {
		error_set(err, "artifact %.200s: out of memory", name);
		return rc;
	}
	rc = prepare(a, name, content_type, w->key, &object, err);
	if (rc == BLOB_OK)
		rc = blob_writer_open(a->store, &object, &w->blob, err);
	if (rc < 0) {
		free(w);
		return rc;
	}
	w->of = a;
	w->content_type = strdup(object.content_type);
	snprintf(w->name, sizeof(w->name), "%s", name);
	w->next = a->writers;
	a->writers = w;
	*writer = w;
	return BLOB_OK;
}

int
artifact_write(struct artifact_writer *writer, const void *data, size_t size, struct error *err)
{
	return blob_writer_write(writer->blob, data, size, err);
}

int
artifact_commit(struct artifact_writer *writer, struct error *err)
{
	struct blob_info info;
	struct blob_object object = {.key = writer->key,
	        .content_type = writer->content_type ? writer->content_type : "application/octet-stream"};
	int rc = blob_writer_commit(writer->blob, &info, err);

	if (rc == BLOB_OK)
		rc = record(writer->of, writer->name, &object, &info, err);
	unlink_and_free(writer);
	return rc;
}

void
artifact_abort(struct artifact_writer *writer)
{
	blob_writer_abort(writer->blob);
	unlink_and_free(writer);
}

int
artifacts_open(struct artifacts *a, const char *what, struct blob_reader **reader, struct error *err)
{
	struct blob_object object = {.key = what, .stop = a->stop, .stop_arg = a->stop_arg};

	*reader = NULL;
	if (!strchr(what, '/')) {
		const json_t *entry = find(a, what);

		if (!entry) {
			error_set(err, "artifact %.200s: this attempt has stored none of that name", what);
			return BLOB_MISSING;
		}
		object.key = json_string_value(json_object_get(entry, "key"));
		object.sha256 = json_string_value(json_object_get(entry, "sha256"));
	}
	return blob_reader_open(a->store, &object, reader, err);
}

char *
artifacts_close(struct artifacts *a)
{
	char *text = NULL;

	for (struct artifact_writer *w = a->writers, *next; w; w = next) {
		next = w->next;
		blob_writer_abort(w->blob);
		free(w->content_type);
		free(w);
	}
	a->writers = NULL;
	if (a->manifest)
		text = json_dumps(a->manifest, JSON_COMPACT);
	json_decref(a->manifest);
	a->manifest = NULL;
	return text;
}
