/*
 * artifact.c: GET /jobs/{id}/artifacts/{name}.
 *
 * The database says where the artifact is.  A file is streamed from BLOB_DIR, below which no link is followed; for an object
 * of an S3 server the client gets a URL that is good for some minutes.
 */
#include "artifact.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "log.h"
#include "s3_presign.h"

#define URL_SECONDS 300

struct artifacts {
	bool s3;
	char *dir;
	struct s3_place place;
	char *access_key, *secret_key, *region;
};

struct artifacts *
artifacts_new(const struct artifact_options *options, struct error *err)
{
	struct artifacts *a = calloc(1, sizeof(*a));
	struct error why = {""};

	if (!a) {
		error_set(err, "out of memory");
		return NULL;
	}
	a->s3 = options->s3;
	a->dir = strdup(options->dir);
	a->access_key = strdup(options->s3_access_key);
	a->secret_key = strdup(options->s3_secret_key);
	a->region = strdup(options->s3_region);
	a->place.virtual_host = options->s3_virtual_host;
	a->place.v2 = options->s3_v2;
	if (!a->dir || !a->access_key || !a->secret_key || !a->region)
		error_set(err, "out of memory");
	else if (a->s3 && s3_place_endpoint(&a->place, options->s3_endpoint, options->s3_secure, a->region, &why) < 0)
		error_set(err, "S3_ENDPOINT is \"%.200s\": %s; allowed: host, host:port or http(s)://host:port",
		        options->s3_endpoint, why.msg);
	else if (a->s3 && s3_place_bucket(&a->place, options->s3_bucket, &why) < 0)
		error_set(err, "S3_BUCKET is \"%.200s\": %s", options->s3_bucket, why.msg);
	else if (a->s3 && (!*a->access_key || !*a->secret_key))
		error_set(
		        err, "%s is empty; BLOB_STORE=s3 needs it", *a->access_key ? "S3_SECRET_KEY" : "S3_ACCESS_KEY");
	else
		return a;
	artifacts_free(a);
	return NULL;
}

void
artifacts_free(struct artifacts *a)
{
	if (!a)
		return;
	free(a->dir);
	free(a->access_key);
	free(a->secret_key);
	free(a->region);
	free(a);
}

/* What the database says of an artifact. */
struct artifact {
	const char *name, *key, *content_type, *sha256;
	json_int_t size;
};

static void
answer_gone(struct exchange *x, const struct artifact *artifact, const char *why)
{
	struct problem problem;

	log_event(LOG_LEVEL_WARNING, "artifact not served", "key", artifact->key, "reason", why, NULL);
	problem_set(&problem, 404, "unknown-artifact", NULL,
	        "artifact \"%.100s\" was stored, but it is not in the store that this API looks into: %s",
	        artifact->name, why);
	answer_problem(x, &problem, NULL);
}

/*
 * Opens dir/key part by part, none of which may be empty, begin with a dot or be a link: so it is below dir.  -1 with errno.
 */
static int
open_below(const char *dir, const char *key)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0) {
		size_t len = strcspn(key, "/");
		bool last = key[len] == '\0';
		char part[256];
		int next = -1;

		if (len == 0 || *key == '.' || len >= sizeof(part)) {
			errno = EINVAL;
		} else {
			memcpy(part, key, len);
			part[len] = '\0';
			next = openat(fd, part,
			        O_NOFOLLOW | O_CLOEXEC | (last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY));
		}
		close(fd);
		if (last || next < 0)
			return next;
		fd = next;
		key += len + 1;
	}
	return -1;
}

/* RFC 6266: a name that every client can read, and the true one. */
static char *
disposition(const char *name)
{
	size_t len = strlen(name);
	char *plain = malloc(len + 1), *escaped = malloc(3 * len + 1), *text = NULL;

	if (plain && escaped) {
		for (size_t i = 0; i <= len; i++)
			plain[i] = (char) (name[i] == '\0' || isalnum((unsigned char) name[i]) || strchr("._-", name[i])
			                ? name[i]
			                : '_');
		if (asprintf(&text, "attachment; filename=\"%s\"; filename*=UTF-8''%s", plain,
		            s3_escape(name, false, escaped)) < 0)
			text = NULL;
	}
	free(plain);
	free(escaped);
	return text;
}

/* A media type as a header takes it; whoever wrote the artifact has chosen it. */
static const char *
media_type(const char *type)
{
	for (const char *p = type; p && *p; p++) {
		if (*p < ' ' || *p > '~')
			return "application/octet-stream";
	}
	return type && strchr(type, '/') && strlen(type) < 128 ? type : "application/octet-stream";
}

static void
answer_unavailable(struct exchange *x, const char *why)
{
	struct problem problem;

	problem_set(&problem, 503, "unavailable", NULL, "%s", why);
	answer_problem(x, &problem, NULL);
}

static void
serve_file(struct exchange *x, const struct artifact *artifact)
{
	int fd = open_below(x->api->artifacts->dir, artifact->key);
	struct http_response response = {.status = 200, .content_type = media_type(artifact->content_type)};
	char tag[80], *save_as;
	struct stat st;

	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
		answer_unavailable(x, strerror(errno));
		return;
	}
	if (fd < 0) {
		answer_gone(x, artifact, strerror(errno));
		return;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != artifact->size) {
		close(fd);
		answer_gone(x, artifact, "the file there is another one");
		return;
	}
	save_as = disposition(artifact->name);
	if (!save_as) {
		close(fd);
		answer_unavailable(x, "out of memory");
		return;
	}
	snprintf(tag, sizeof(tag), "W/\"%.64s\"", artifact->sha256);
	http_response_add(&response, "ETag", tag);
	http_response_add(&response, "Content-Disposition", save_as);
	http_response_add(&response, "Content-Security-Policy", "default-src 'none'; sandbox");
	if (answer_is_known(x, tag)) {
		response.status = 304;
		response.content_type = NULL;
		close(fd);
		answer_response(x, &response);
	} else {
		answer_file(x, &response, fd, (size_t) st.st_size);
	}
	free(save_as);
}

/* redirect=false: a page that calls with a token cannot follow to another server, and is told where to go.  -1: neither. */
static int
wants_redirect(const struct exchange *x)
{
	json_t *query = json_loads(x->query, 0, NULL);
	const char *value = json_string_value(json_object_get(query, "redirect"));
	int answer = !value || strcmp(value, "true") == 0 ? 1 : strcmp(value, "false") == 0 ? 0 : -1;

	json_decref(query);
	return answer;
}

static void
redirect(struct exchange *x, const struct artifact *artifact)
{
	const struct artifacts *a = x->api->artifacts;
	char *save_as = disposition(artifact->name);
	struct s3_presign presign = {.place = &a->place,
	        .access_key = a->access_key,
	        .secret_key = a->secret_key,
	        .region = a->region,
	        .key = artifact->key,
	        .disposition = save_as,
	        .now = time(NULL),
	        .seconds = URL_SECONDS};
	struct http_response response = {.status = 302};
	char *url = save_as ? s3_presign(&presign) : NULL;
	json_t *object = url ? json_pack("{s:s}", "url", url) : NULL;
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	if (text) {
		if (!wants_redirect(x)) {
			response.status = 200;
			response.content_type = "application/json";
			response.body = text;
			response.body_len = strlen(text);
		} else {
			http_response_add(&response, "Location", url);
		}
		http_response_add(&response, "Cache-Control", "no-store");
		answer_response(x, &response);
	} else {
		answer_unavailable(x, "out of memory");
	}
	free(text);
	json_decref(object);
	free(url);
	free(save_as);
}

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void
on_artifact(struct db_call *call, const struct db_answer *answer)
{
	struct exchange *x = (struct exchange *) call;
	struct artifact artifact;
	json_t *object;

	if (answer->outcome != DB_OK || !answer->columns[0]) {
		answer_db_problem(x, answer);
		return;
	}
	object = json_loads(answer->columns[0], 0, NULL);
	artifact.name = x->parts[1];
	artifact.key = text_of(object, "key");
	artifact.content_type = text_of(object, "content_type");
	artifact.sha256 = text_of(object, "sha256");
	artifact.size = json_integer_value(json_object_get(object, "size"));
	if (x->api->artifacts->s3)
		redirect(x, &artifact);
	else
		serve_file(x, &artifact);
	json_decref(object);
}

void
artifact_get(struct exchange *x)
{
	struct problem problem;

	if (rest_query(x) < 0)
		return;
	if (wants_redirect(x) < 0) {
		problem_set(&problem, 422, "invalid-field", "redirect", "redirect: allowed are true and false");
		answer_problem(x, &problem, NULL);
		return;
	}
	x->call.statement = DB_ARTIFACT;
	x->call.args[x->call.n_args++] = x->parts[0];
	x->call.args[x->call.n_args++] = x->parts[1];
	x->call.args[x->call.n_args++] = x->query;
	x->call.done = on_artifact;
	db_call_send(x->api->db, &x->call);
}
