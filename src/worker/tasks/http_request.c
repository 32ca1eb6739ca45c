/*
 * http_request.c: a task that sends a request to a web server: a webhook, a ping.
 *
 * Payload {"url", "method", "headers", "body" or "json", "expect", "timeout", "redirects", "save"}; docs/web_tasks.md
 * describes them and the result.  http_options.c reads them.
 */
#include "http_options.h"

#include <stdlib.h>
#include <string.h>

#include "../charset.h"
#include "../content_type.h"
#include "../page.h"
#include "utf8.h"
#include "tasks.h"
#include "web.h"

#define RESULT_BODY_MAX 65536 /* bytes of the answer's body, as UTF-8, in the result */

/* The body as a JSON string, null when it is no text.  *cut is set when not all of it is there.  NULL: out of memory. */
static json_t *
body_text(const struct fetch_answer *answer, bool *cut)
{
	const char *body = answer->body ? answer->body : "";
	const char *charset;
	size_t mark, len;
	json_t *string;
	char *text;

	*cut = answer->cut;
	if (!content_type_is_text(answer->content_type))
		return json_null();
	charset = charset_choose(body, answer->size, charset_of_type(answer->content_type), answer->cut, &mark);
	text = charset_decode(body + mark, answer->size - mark, charset, &len);
	if (!text)
		text = charset_decode(body + mark, answer->size - mark, "utf-8", &len);
	if (!text)
		return NULL;
	if (len > RESULT_BODY_MAX) {
		for (len = RESULT_BODY_MAX; ((unsigned char) text[len] & 0xC0) == 0x80; len--)
			;
		*cut = true;
	}
	string = json_stringn(text, len);
	free(text);
	return string;
}

static int
report(struct task_context *task, const struct http_options *options, const struct fetch_answer *answer)
{
	json_t *result, *body;
	char sha256[65];
	bool cut;

	if (web_sha256(answer, sha256) < 0 || !(body = body_text(answer, &cut)))
		return task_fail(task, "out of memory");
	if (options->save &&
	        task_artifact(task, "body", answer->content_type[0] ? answer->content_type : NULL,
	                answer->body ? answer->body : "", answer->size) < 0) {
		json_decref(body);
		return task_fail(task, "%s", task_artifact_error(task));
	}
	result = json_pack("{s:s, s:s, s:i, s:O, s:s, s:o, s:I, s:s, s:b, s:i, s:o}", "url", options->url, "final_url",
	        answer->final_url, "status", (int) answer->status, "headers", answer->headers, "content_type",
	        answer->content_type, "body", body, "bytes", (json_int_t) answer->size, "sha256", sha256, "truncated",
	        cut ? 1 : 0, "redirects", answer->redirects, "timing_us", web_timing(answer));
	return result ? task_succeed(task, result) : task_fail(task, "out of memory");
}

/* A status that is not expected: with the beginning of what the server says about it. */
static int
complain(struct task_context *task, const struct fetch_answer *answer)
{
	struct page page = {.charset = ""};
	int rc = 0;

	if (answer->size > 0 && content_type_is_text(answer->content_type))
		rc = page_read(answer->body, answer->size, answer->content_type, answer->cut, web_stop, task, &page);
	if (rc > 0)
		return task_stopped(task);
	return web_fail_status(task, answer, rc == 0 ? page.preview.text : "");
}

static int
send_request(struct task_context *task, const struct http_options *options)
{
	struct fetch_request request = {.url = options->url,
	        .method = options->method,
	        .headers = options->headers,
	        .body = options->body,
	        .body_size = options->body_size,
	        .body_max = FETCH_BODY_MAX,
	        .redirects_max = options->redirects,
	        .keep_headers = true};
	struct fetch_answer answer;
	struct error err = {""};
	struct fetch *f = web_open(task, options->timeout, &err);
	enum fetch_end end;
	int rc;

	if (!f)
		return task_fail(task, "%s", err.msg);
	end = fetch_run(f, &request, &answer, &err);
	if (end != FETCH_DONE)
		rc = web_fail(task, end, &answer, &err);
	else if (http_options_expect(options, answer.status))
		rc = report(task, options, &answer);
	else
		rc = complain(task, &answer);
	fetch_answer_free(&answer);
	fetch_close(f);
	return rc;
}

static int
http_request(struct task_context *task, const json_t *payload)
{
	struct http_options options;
	struct error err = {""};
	int rc;

	if (http_options_read(payload, task_idempotency_key(task), &options, &err) < 0)
		rc = task_fail_for_good(task, options.url_is_bad ? "bad_url" : "bad_payload", "%s", err.msg);
	else
		rc = send_request(task, &options);
	http_options_free(&options);
	return rc;
}

JOBSCHED_TASK("http_request", .run = http_request,
        .summary = "Sends payload.method, headers and body to payload.url: status, headers and body as result.");
