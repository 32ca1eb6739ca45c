/*
 * blob_tool.c: one call of a blob store, for 082_artifacts.pl, which compiles it.
 *
 *	blob_tool put KEY FILE			from memory
 *	blob_tool putfile KEY FILE
 *	blob_tool write KEY FILE SIZE	in pieces of SIZE bytes
 *	blob_tool abort KEY FILE		as write, but aborted
 *	blob_tool get KEY FILE [SHA256]
 *	blob_tool stat KEY
 *	blob_tool check
 *
 * BLOB_DIR, or S3_ENDPOINT, S3_BUCKET, S3_ACCESS_KEY, S3_SECRET_KEY, S3_REGION, S3_ADDRESSING, S3_SIGNATURE, S3_TIMEOUT and
 * S3_RETRIES name the store.  With STOP_AFTER=seconds it stops then.  Prints "ok SIZE SHA256" or "RESULT TEXT"; exit code 0 or 1.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blob.h"
#include "clock.h"

static struct error err;
static int64_t stop_us;

static bool
should_stop(void *arg)
{
	(void) arg;
	return stop_us != 0 && clock_boottime_us() >= stop_us;
}

static const char *
env(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value ? value : otherwise;
}

static struct blob_store *
open_store(void)
{
	struct blob_s3_config config = {
	        .endpoint = env("S3_ENDPOINT", ""),
	        .bucket = env("S3_BUCKET", "jobsched"),
	        .access_key = env("S3_ACCESS_KEY", ""),
	        .secret_key = env("S3_SECRET_KEY", ""),
	        .region = env("S3_REGION", "us-east-1"),
	        .virtual_host = strcmp(env("S3_ADDRESSING", "path"), "virtual") == 0,
	        .v2 = strcmp(env("S3_SIGNATURE", "v4"), "v2") == 0,
	        .timeout = atof(env("S3_TIMEOUT", "30")),
	        .retries = atoi(env("S3_RETRIES", "4")),
	};

	if (getenv("BLOB_DIR"))
		return blob_file_open(getenv("BLOB_DIR"), &err);
	return blob_s3_open(&config, &err);
}

static char *
slurp(const char *path, size_t *size)
{
	FILE *in = fopen(path, "r");
	char *data;

	if (!in)
		exit(2);
	fseek(in, 0, SEEK_END);
	*size = (size_t) ftell(in);
	rewind(in);
	data = malloc(*size + 1);
	if (!data || fread(data, 1, *size, in) != *size)
		exit(2);
	fclose(in);
	return data;
}

static int
write_pieces(struct blob_store *store, const struct blob_object *object, const char *path, size_t piece, bool commit,
        struct blob_info *info)
{
	struct blob_writer *w;
	size_t size;
	char *data = slurp(path, &size);
	int rc = blob_writer_open(store, object, &w, &err);

	for (size_t at = 0; at < size && rc == BLOB_OK; at += piece)
		rc = blob_writer_write(w, data + at, size - at < piece ? size - at : piece, &err);
	free(data);
	if (w && commit)
		return blob_writer_commit(w, info, &err);
	blob_writer_abort(w);
	return rc;
}

static int
get(struct blob_store *store, const struct blob_object *object, const char *path, struct blob_info *info)
{
	struct blob_reader *r;
	FILE *out = fopen(path, "w");
	char buf[100000];
	ssize_t n = blob_reader_open(store, object, &r, &err);

	if (!out)
		exit(2);
	if (n < 0) {
		fclose(out);
		return (int) n;
	}
	info->size = blob_reader_size(r);
	while ((n = blob_reader_read(r, buf, sizeof(buf), &err)) > 0)
		fwrite(buf, 1, (size_t) n, out);
	blob_reader_close(r);
	return fclose(out) == 0 ? (int) n : -1;
}

static int
run(struct blob_store *store, int argc, char **argv, struct blob_info *info)
{
	struct blob_object object = {.key = argc > 2 ? argv[2] : "",
	        .content_type = "text/x-test",
	        .stop = should_stop,
	        .sha256 = argc > 4 && strcmp(argv[1], "get") == 0 ? argv[4] : NULL};
	const char *what = argv[1], *path = argc > 3 ? argv[3] : "";

	if (strcmp(what, "put") == 0) {
		size_t size;
		char *data = slurp(path, &size);
		int rc = blob_put(store, &object, data, size, info, &err);

		free(data);
		return rc;
	}
	if (strcmp(what, "putfile") == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC), rc = blob_put_file(store, &object, fd, info, &err);

		close(fd);
		return rc;
	}
	if (strcmp(what, "write") == 0)
		return write_pieces(store, &object, path, (size_t) atol(argv[4]), true, info);
	if (strcmp(what, "abort") == 0)
		return write_pieces(store, &object, path, 1000000, false, info);
	if (strcmp(what, "get") == 0)
		return get(store, &object, path, info);
	if (strcmp(what, "stat") == 0)
		return blob_stat(store, &object, info, &err);
	return blob_check(store, &err);
}

int
main(int argc, char **argv)
{
	static const char *const names[] = {"ok", "failed", "refused", "missing", "stopped"};
	struct blob_info info = {0};
	struct blob_store *store;
	int rc;

	if (argc < 2)
		return 2;
	curl_global_init(CURL_GLOBAL_ALL);
	stop_us = getenv("STOP_AFTER") ? clock_boottime_us() + (int64_t) (atof(env("STOP_AFTER", "0")) * 1e6) : 0;
	store = open_store();
	rc = store ? run(store, argc, argv, &info) : BLOB_REFUSED;
	if (rc == BLOB_OK)
		printf("ok %llu %s\n", (unsigned long long) info.size, info.sha256);
	else
		printf("%s %s\n", names[-rc], err.msg);
	blob_close(store);
	curl_global_cleanup();
	return rc == BLOB_OK ? 0 : 1;
}
