/*
 * crawl_url.c: a task that fetches a page, if the page's server lets crawlers do so.
 *
 * Payload {"url": "https://..."} or the URL as a string; docs/web_tasks.md describes the result.  The body as it came
 * (decompressed, not converted) is the artifact `body`.
 */
#include <stdlib.h>

#include "../page.h"
#include "../robots_cache.h"
#include "../url.h"
#include "tasks.h"
#include "web.h"

/* Each URL of a chain of redirects is asked about. */
static enum fetch_end
ask_robots(void *arg, const char *url, struct fetch_answer *answer, struct error *err)
{
	return robots_ask(arg, web_policy()->user_agent, url, answer, err);
}

static int
report(struct task_context *task, const char *url, const struct fetch_answer *answer)
{
	const char *body = answer->body ? answer->body : "";
	char sha256[65];
	struct page page;
	json_t *result;
	int rc = page_read(body, answer->size, answer->content_type, answer->cut, web_stop, task, &page);

	if (rc > 0)
		return task_stopped(task);
	if (rc < 0 || web_sha256(answer, sha256) < 0)
		return task_fail(task, "out of memory");
	if (task_artifact(task, "body", answer->content_type, body, answer->size) < 0)
		return task_fail(task, "%s", task_artifact_error(task));
	result = json_pack("{s:s, s:s, s:i, s:s?, s:s, s:s, s:s, s:I, s:s, s:b, s:i, s:o}", "url", url, "final_url",
	        answer->final_url, "status", (int) answer->status, "title", page.has_title ? page.title.text : NULL,
	        "preview", page.preview.text, "content_type", answer->content_type, "charset", page.charset, "bytes",
	        (json_int_t) answer->size, "sha256", sha256, "truncated", answer->cut ? 1 : 0, "redirects",
	        answer->redirects, "timing_us", web_timing(answer));
	return result ? task_succeed(task, result) : task_fail(task, "out of memory");
}

static int
crawl(struct task_context *task, const char *url)
{
	struct error err = {""};
	struct fetch *f = web_open(task, FETCH_TIMEOUT, &err);
	struct fetch_request request = {.url = url,
	        .body_max = FETCH_BODY_MAX,
	        .redirects_max = FETCH_REDIRECTS_MAX,
	        .readable = true,
	        .visit = ask_robots,
	        .visit_arg = f};
	struct fetch_answer answer;
	enum fetch_end end;
	int rc;

	if (!f)
		return task_fail(task, "%s", err.msg);
	end = fetch_run(f, &request, &answer, &err);
	if (end != FETCH_DONE)
		rc = web_fail(task, end, &answer, &err);
	else if (answer.status >= 200 && answer.status < 300)
		rc = report(task, url, &answer);
	else
		rc = web_fail_status(task, &answer, "");
	fetch_answer_free(&answer);
	fetch_close(f);
	return rc;
}

static int
crawl_url(struct task_context *task, const json_t *payload)
{
	const char *given = json_string_value(json_is_object(payload) ? json_object_get(payload, "url") : payload);
	struct error err = {""};
	char *url;
	int rc;

	if (!given)
		return task_fail_for_good(
		        task, "bad_payload", "payload.url: a URL is needed (or the payload is the URL as a string)");
	url = url_canonicalize(given, &err);
	if (!url)
		return task_fail_for_good(task, "bad_url", "payload.url: %s", err.msg);
	rc = crawl(task, url);
	free(url);
	return rc;
}

JOBSCHED_TASK("crawl_url", .run = crawl_url,
        .summary = "Fetches payload.url: status, title and preview as result, the body as artifact.");
