/* sources: src/common/s3_url.c src/worker/blob/s3_answer.c src/common/error.c src/common/clock.c src/common/backoff.c */
/* libs: -lcurl -lcrypto -lxml2 */
/* cflags: -I/usr/include/libxml2 */
/*
 * The pure parts of the S3 store: endpoints, URLs, Signature V2, what answers mean, when to try again.
 */
#include <stdlib.h>

#include "clock.h"
#include "src/worker/blob/s3.h"
#include "tap.h"

static struct error err;

static void
endpoints(void)
{
	static const struct {
		const char *endpoint;
		bool secure;
		const char *host; /* NULL: refused */
		bool tls;
	} cases[] = {
	        {"minio:9000", false, "minio:9000", false},
	        {"minio:9000", true, "minio:9000", true},
	        {"minio", false, "minio", false},
	        {"http://minio:9000", true, "minio:9000", false},
	        {"https://minio:9000/", false, "minio:9000", true},
	        {"http://minio:80", true, "minio", false},
	        {"https://minio:443", false, "minio", true},
	        {"http://minio:443", true, "minio:443", false},
	        {"127.0.0.1:9000", false, "127.0.0.1:9000", false},
	        {"[::1]:9000", false, "[::1]:9000", false},
	        {"", true, "s3.eu-central-1.amazonaws.com", true},
	        {"http://key:secret@minio", true, NULL, false},
	        {"http://minio/path", true, NULL, false},
	        {"http://minio/?a", true, NULL, false},
	        {"http://minio/#a", true, NULL, false},
	        {"ftp://minio", true, NULL, false},
	        {"http://", true, NULL, false},
	        {"minio:port", true, NULL, false},
	        {"minio:70000", true, NULL, false},
	        {"mi nio", true, NULL, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct s3_place place = {0};
		int rc = s3_place_endpoint(&place, cases[i].endpoint, cases[i].secure, "eu-central-1", &err);

		if (!cases[i].host) {
			is_int(rc, -1, "endpoint %s is refused: %s", cases[i].endpoint, err.msg);
			ok(!strstr(err.msg, "secret"), "and no secret shown");
			continue;
		}
		is_int(rc, 0, "endpoint %s", cases[i].endpoint);
		is_str(place.host, cases[i].host, "its host");
		is_int(place.tls, cases[i].tls, "its scheme");
	}
}

static void
buckets(void)
{
	static const struct {
		const char *bucket;
		bool path, virtual_host;
	} cases[] = {
	        {"abc", true, true},
	        {"jobs-1.eu", true, true},
	        {"Jobs_1", true, false},
	        {"ab", false, false},
	        {"", false, false},
	        {"-abc", false, false},
	        {"a..b", false, false},
	        {"a/b", false, false},
	        {"a b c", false, false},
	        {"j\xC3\xB6"
	         "bs",
	                false, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct s3_place path = {0}, virtual_host = {.virtual_host = true};

		is_int(s3_place_bucket(&path, cases[i].bucket, &err), cases[i].path ? 0 : -1, "bucket \"%s\" in a path",
		        cases[i].bucket);
		is_int(s3_place_bucket(&virtual_host, cases[i].bucket, &err), cases[i].virtual_host ? 0 : -1,
		        "and in a host");
	}
}

static void
url(const struct s3_place *place, const char *key, struct s3_query query, const char *want)
{
	char *got = s3_url(place, key, &query);

	is_str(got, want, "URL %s", want);
	free(got);
}

static void
urls(void)
{
	struct s3_place place = {.host = "minio:9000", .bucket = "jobs"};
	const char *key = "jobs/0190/2026-11-24T21:30:00.5Z/1-ab/body";
	char out[64];

	is_str(s3_escape("aZ09-_.~/ :%+&=\xC3\xA4", true, out), "aZ09-_.~/%20%3A%25%2B%26%3D%C3%A4",
	        "all but the unreserved is escaped");
	is_str(s3_escape("a/b", false, out), "a%2Fb", "a slash on demand");
	url(&place, key, (struct s3_query){0}, "http://minio:9000/jobs/jobs/0190/2026-11-24T21%3A30%3A00.5Z/1-ab/body");
	place.tls = place.virtual_host = true;
	url(&place, "a b", (struct s3_query){0}, "https://jobs.minio:9000/a%20b");
	url(&place, "a", (struct s3_query){.uploads = true}, "https://jobs.minio:9000/a?uploads=");
	url(&place, "a", (struct s3_query){.upload_id = "2~x/y="}, "https://jobs.minio:9000/a?uploadId=2~x%2Fy%3D");
	url(&place, "a", (struct s3_query){.upload_id = "x", .part = 12},
	        "https://jobs.minio:9000/a?partNumber=12&uploadId=x");
	place.v2 = true;
	url(&place, "a", (struct s3_query){.uploads = true}, "https://jobs.minio:9000/a?uploads");
}

/* The examples of "Signing and Authenticating REST Requests" in the Amazon S3 developer guide. */
static void
signature_v2(void)
{
	struct s3_place place = {.host = "s3.amazonaws.com", .bucket = "johnsmith", .virtual_host = true};
	const char *secret = "uV3F3YluFJax1cknvbcGwgjvx4QpvB+leU8dUj2o";
	char signature[32];
	char *text;

	text = s3_v2_string_to_sign(
	        &place, "GET", "", "", "Tue, 27 Mar 2007 19:36:42 +0000", "photos/puppy.jpg", &(struct s3_query){0});
	is_str(text, "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/johnsmith/photos/puppy.jpg", "what a GET signs");
	is_int(s3_v2_sign(secret, text, signature), 0, "it is signed");
	is_str(signature, "xXjDGYUmKxnwqr5KXNPGldn5LbA=", "as Amazon says");
	free(text);
	text = s3_v2_string_to_sign(&place, "PUT", "", "image/jpeg", "Tue, 27 Mar 2007 21:15:45 +0000",
	        "photos/puppy.jpg", &(struct s3_query){0});
	is_int(s3_v2_sign(secret, text, signature), 0, "a PUT");
	is_str(signature, "hcicpDDvL9SsO6AkvxqmIWkmOuQ=", "as Amazon says");
	free(text);
	text = s3_v2_string_to_sign(
	        &place, "PUT", "md5", "t", "d", "a:b", &(struct s3_query){.upload_id = "x/y", .part = 3});
	is_str(text, "PUT\nmd5\nt\nd\n/johnsmith/a%3Ab?partNumber=3&uploadId=x/y",
	        "a part: path as sent, values as they are");
	free(text);
	text = s3_v2_string_to_sign(&place, "POST", "", "", "d", "a", &(struct s3_query){.uploads = true});
	is_str(text, "POST\n\n\nd\n/johnsmith/a?uploads", "the beginning of an upload");
	free(text);
}

static void
answers(void)
{
	static const struct {
		long status;
		const char *body;
		int result;
		bool again;
		const char *says;
	} cases[] = {
	        {403,
	                "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>No &amp; "
	                "no.</Message></Error>",
	                BLOB_REFUSED, false,
	                "403 SignatureDoesNotMatch: No & no; check S3_ACCESS_KEY and S3_SECRET_KEY"},
	        {403,
	                "<Error "
	                "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Code>InvalidAccessKeyId</Code></Error>",
	                BLOB_REFUSED, false, "check S3_ACCESS_KEY"},
	        {403, "", BLOB_REFUSED, false, "answered 403; check S3_ACCESS_KEY and S3_SECRET_KEY"},
	        {403, "<Error><Code>AccessDenied</Code></Error>", BLOB_REFUSED, false, "rights"},
	        {404, "  \n<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code></Error>", BLOB_REFUSED, false,
	                "make the bucket"},
	        {404, "<Error><Code>NoSuchKey</Code></Error>", BLOB_MISSING, false, "404 NoSuchKey"},
	        {404, "", BLOB_MISSING, false, "404"},
	        {400, "<Error><Code>AuthorizationHeaderMalformed</Code></Error>", BLOB_REFUSED, false, "S3_REGION"},
	        {400, "<Error><Code>RequestTimeout</Code></Error>", BLOB_FAILED, true, "RequestTimeout"},
	        {400, "<Error><Code>BadDigest</Code></Error>", BLOB_FAILED, true, "BadDigest"},
	        {400, "<html>", BLOB_REFUSED, false, "answered 400"},
	        {301, "", BLOB_REFUSED, false, "answered 301"},
	        {412, "", BLOB_FAILED, false, "replaced"},
	        {429, "", BLOB_FAILED, true, "429"},
	        {500, "<Error><Code>InternalError</Code></Error>", BLOB_FAILED, true, "InternalError"},
	        {501, "<Error><Code>NotImplemented</Code></Error>", BLOB_REFUSED, false, "NotImplemented"},
	        {502, "<html><body>Bad gateway</body></html>", BLOB_FAILED, true, "502"},
	        {503, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
	                BLOB_FAILED, true, "503 SlowDown: Please reduce your request rate"},
	        {503, "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><Error><Code>&e;</Code></Error>",
	                BLOB_FAILED, true, "503"},
	};
	struct s3_answer a;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		s3_answer_error_body(&a, cases[i].status, cases[i].body, strlen(cases[i].body));
		is_int(a.result, cases[i].result, "%ld %s", cases[i].status, a.code);
		is_int(a.again, cases[i].again, "whether to try again");
		ok(strstr(a.text, cases[i].says) != NULL, "%s", a.text);
	}
	ok(a.slow, "503 is a wish for fewer requests");
	ok(!strstr(a.text, "root:"), "and no file is read for it");
}

static bool
never(void *arg)
{
	++*(int *) arg;
	return false;
}

static bool
always(void *arg)
{
	(void) arg;
	return true;
}

static void
again(void)
{
	int asked = 0, attempts = 0;
	struct s3 s3 = {.place = {.host = "h", .bucket = "b"}, .retries = 2};
	struct blob_object object = {.key = "k", .stop = never, .stop_arg = &asked};
	struct s3_try t = {.s3 = &s3, .method = "PUT", .object = &object};
	int64_t begin = clock_boottime_us();

	do {
		attempts++;
		s3_answer_failed(&t.answer, true, "no answer");
	} while (s3_try_again(&t));
	is_int(attempts, 3, "three attempts with two retries");
	ok(clock_boottime_us() - begin >= 350000, "with growing pauses");
	ok(asked >= 4, "during which it may be stopped");
	is_int(s3_try_result(&t, &err), BLOB_FAILED, "then it has failed");
	is_str(err.msg, "S3 http://h, bucket b: PUT k: no answer (3 attempts)", "and says where");

	t = (struct s3_try){.s3 = &s3, .method = "PUT", .object = &object};
	s3_answer_error(&t.answer, 403, "AccessDenied", "");
	ok(!s3_try_again(&t), "what cannot heal is not tried again");
	t = (struct s3_try){.s3 = &s3, .method = "PUT", .object = &object};
	s3_answer_ok(&t.answer);
	ok(!s3_try_again(&t), "nor is what went well");
	is_int(s3_try_result(&t, &err), BLOB_OK, "which is success");

	object.stop = always;
	t = (struct s3_try){.s3 = &s3, .method = "PUT", .object = &object};
	s3_answer_failed(&t.answer, true, "no answer");
	ok(!s3_try_again(&t), "it can be stopped");
	is_int(s3_try_result(&t, &err), BLOB_STOPPED, "and says so");
}

int
main(void)
{
	endpoints();
	buckets();
	urls();
	signature_v2();
	answers();
	again();
	return done_testing();
}
