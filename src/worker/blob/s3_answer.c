/*
 * s3_answer.c: what an answer of an S3 server means, and whether to try again.
 */
#include <libxml/parser.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "clock.h"
#include "s3.h"

#define RETRY_BASE_US ((int64_t) 250000) /* longest wait after the first failure */
#define SLOW_BASE_US ((int64_t) 1000000) /* the same when the server wants fewer requests */
#define RETRY_MAX_US ((int64_t) 20000000) /* longest wait between two attempts */
#define MESSAGE_MAX 300 /* bytes shown of what the server says */
#define STOP_LOOK_US ((int64_t) 100000) /* how often stop() is asked while waiting */

#define XML_OPTIONS (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA)

/* What S3's error codes mean here; others go by their HTTP status. */
static const struct meaning {
	const char *code;
	int result;
	bool again;
	const char *hint;
} meanings[] = {
        {"SignatureDoesNotMatch", BLOB_REFUSED, false, "check S3_ACCESS_KEY and S3_SECRET_KEY"},
        {"InvalidAccessKeyId", BLOB_REFUSED, false, "check S3_ACCESS_KEY"},
        {"AccessDenied", BLOB_REFUSED, false, "check the rights of S3_ACCESS_KEY"},
        {"NoSuchBucket", BLOB_REFUSED, false, "make the bucket, or check S3_BUCKET"},
        {"AuthorizationHeaderMalformed", BLOB_REFUSED, false, "check S3_REGION"},
        {"PermanentRedirect", BLOB_REFUSED, false, "check S3_ENDPOINT and S3_REGION"},
        {"TemporaryRedirect", BLOB_REFUSED, false, "check S3_ENDPOINT and S3_REGION"},
        {"RequestTimeTooSkewed", BLOB_REFUSED, false, "set the clock of this machine"},
        {"NoSuchKey", BLOB_MISSING, false, NULL},
        {"NoSuchUpload", BLOB_FAILED, false, NULL},
        {"PreconditionFailed", BLOB_FAILED, false, "the object was replaced meanwhile"},
        {"BadDigest", BLOB_FAILED, true, NULL},
        {"XAmzContentSHA256Mismatch", BLOB_FAILED, true, NULL},
        {"IncompleteBody", BLOB_FAILED, true, NULL},
        {"RequestTimeout", BLOB_FAILED, true, NULL},
        {"OperationAborted", BLOB_FAILED, true, NULL},
        {"InternalError", BLOB_FAILED, true, NULL},
        {"ServiceUnavailable", BLOB_FAILED, true, NULL},
        {"SlowDown", BLOB_FAILED, true, NULL},
};

void
s3_answer_ok(struct s3_answer *a)
{
	*a = (struct s3_answer){.result = BLOB_OK};
}

void
s3_answer_stopped(struct s3_answer *a)
{
	*a = (struct s3_answer){.result = BLOB_STOPPED, .text = "stopped: the task was told to end"};
}

void
s3_answer_failed(struct s3_answer *a, bool again, const char *fmt, ...)
{
	char text[sizeof(a->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*a = (struct s3_answer){.result = BLOB_FAILED, .again = again};
	memcpy(a->text, text, sizeof(text));
}

static struct meaning
find_meaning(long status, const char *code)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (strcmp(meanings[i].code, code) == 0)
			return meanings[i];
	}
	if (status == 404)
		return (struct meaning){.result = BLOB_MISSING};
	if (status == 412)
		return (struct meaning){.result = BLOB_FAILED, .hint = "the object was replaced meanwhile"};
	if (status == 408 || status == 409 || status == 429 || (status >= 500 && status != 501))
		return (struct meaning){.result = BLOB_FAILED, .again = true};
	if (status == 401 || status == 403)
		return (struct meaning){.result = BLOB_REFUSED, .hint = "check S3_ACCESS_KEY and S3_SECRET_KEY"};
	return (struct meaning){.result = BLOB_REFUSED};
}

void
s3_answer_error(struct s3_answer *a, long status, const char *code, const char *message)
{
	struct meaning m = find_meaning(status, code);
	size_t len = strlen(message);
	char number[24] = "";

	while (len > 0 && strchr(". \n", message[len - 1]))
		len--;
	if (len > MESSAGE_MAX)
		len = MESSAGE_MAX;
	*a = (struct s3_answer){.result = m.result, .again = m.again};
	a->slow = strcmp(code, "SlowDown") == 0 || status == 503 || status == 429;
	snprintf(a->code, sizeof(a->code), "%s", code);
	if (status > 0)
		snprintf(number, sizeof(number), "%ld", status);
	snprintf(a->text, sizeof(a->text), "the server answered %s%s%s%s%.*s%s%s", number,
	        number[0] && code[0] ? " " : "", code, len > 0 ? ": " : "", (int) len, message, m.hint ? "; " : "",
	        m.hint ? m.hint : "");
}

bool
s3_xml_text(const char *xml, size_t len, const char *root, const char *child, char *out, size_t size)
{
	xmlDocPtr doc;
	const xmlNode *node;
	bool found = false;

	/* Servers send blanks to keep a connection open; a parser wants the declaration first. */
	while (len > 0 && strchr(" \t\r\n", xml[0])) {
		xml++;
		len--;
	}
	doc = xmlReadMemory(xml, (int) len, NULL, NULL, XML_OPTIONS);
	node = doc ? xmlDocGetRootElement(doc) : NULL;
	if (node && strcmp((const char *) node->name, root) == 0) {
		for (node = node->children; node && !found; node = node->next) {
			xmlChar *text;

			if (node->type != XML_ELEMENT_NODE || strcmp((const char *) node->name, child) != 0)
				continue;
			text = xmlNodeGetContent(node);
			if (text && strlen((const char *) text) < size) {
				snprintf(out, size, "%s", (const char *) text);
				found = true;
			}
			xmlFree(text);
		}
	}
	xmlFreeDoc(doc);
	return found;
}

void
s3_answer_error_body(struct s3_answer *a, long status, const char *body, size_t len)
{
	char code[sizeof(a->code)] = "", message[2048] = "";

	s3_xml_text(body, len, "Error", "Code", code, sizeof(code));
	s3_xml_text(body, len, "Error", "Message", message, sizeof(message));
	s3_answer_error(a, status, code, message);
}

/* ---- trying again ---- */

/* False when the caller wants to stop. */
static bool
wait_us(const struct blob_object *object, int64_t us)
{
	int64_t until_us = clock_boottime_us() + us;

	for (;;) {
		int64_t left_us = until_us - clock_boottime_us();
		struct timespec ts = {0};

		if (object->stop && object->stop(object->stop_arg))
			return false;
		if (left_us <= 0)
			return true;
		if (left_us > STOP_LOOK_US)
			left_us = STOP_LOOK_US;
		ts.tv_nsec = (long) left_us * 1000;
		nanosleep(&ts, NULL);
	}
}

bool
s3_try_again(struct s3_try *t)
{
	int64_t us;

	if (t->attempts++ == 0) {
		t->retries_left = t->s3->retries;
		t->backoff = (struct backoff){.base_us = RETRY_BASE_US, .max_us = RETRY_MAX_US};
	}
	if (t->answer.result != BLOB_FAILED || !t->answer.again || t->retries_left-- <= 0)
		return false;
	if (t->answer.slow && t->backoff.base_us < SLOW_BASE_US)
		t->backoff.base_us = SLOW_BASE_US;
	us = backoff_next_us(&t->backoff, backoff_random());
	if (t->answer.wait > 0 && t->answer.wait * CLOCK_US_PER_SECOND > us)
		us = t->answer.wait * CLOCK_US_PER_SECOND;
	if (us > RETRY_MAX_US)
		us = RETRY_MAX_US;
	if (wait_us(t->object, us))
		return true;
	s3_answer_stopped(&t->answer);
	return false;
}

int
s3_try_result(const struct s3_try *t, struct error *err)
{
	const struct s3_place *place = &t->s3->place;
	char attempts[32] = "";

	if (t->answer.result == BLOB_OK)
		return BLOB_OK;
	if (t->attempts > 1)
		snprintf(attempts, sizeof(attempts), " (%d attempts)", t->attempts);
	error_set(err, "S3 %s://%s, bucket %s: %s %.200s: %s%s", place->tls ? "https" : "http", place->host,
	        place->bucket, t->method, t->object->key, t->answer.text, attempts);
	return t->answer.result;
}
