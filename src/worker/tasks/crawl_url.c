/*
 * crawl_url.c: a task that fetches a page.
 *
 * Payload {"url": "https://..."} or the URL as a string.  Result {"url", "final_url", "status", "title", "preview",
 * "bytes", "content_type", "truncated"}; the body as it came (decompressed) is the artifact `body`.
 */
#include <stdlib.h>
#include <string.h>

#include "../fetch.h"
#include "../page.h"
#include "tasks.h"

#define URL_MAX		8192		/* bytes */

static const struct address_list *allowed_addresses;

void
crawl_url_setup(const struct address_list *allowed)
{
	allowed_addresses = allowed;
}

static bool
should_stop(void *arg)
{
	return task_cancelled(arg);
}

/* A response that is no success: tried again when the server may do better later. */
static int
fail_with_status(struct task_context *task, const struct fetch *page)
{
	if (page->status == 429 || page->status >= 500) {
		if (page->retry_after > 0)
			return task_fail_after(task, (double) page->retry_after, "%s answered %ld and asks to wait %ld s",
								   page->final_url, page->status, page->retry_after);
		return task_fail(task, "%s answered %ld", page->final_url, page->status);
	}
	return task_fail_for_good(task, "http_status", "%s answered %ld", page->final_url, page->status);
}

static int
report(struct task_context *task, const char *url, const struct fetch *page)
{
	char *title = NULL, *preview = NULL;
	json_t *result;

	if (task_artifact(task, "body", page->content_type, page->body ? page->body : "", page->size) < 0)
		return task_fail(task, "%s", task_artifact_error(task));
	if (page_describe(page->body ? page->body : "", page->size, fetch_is_html(page->content_type), &title, &preview)
		< 0)
		return task_fail(task, "out of memory");
	result = json_pack("{s:s, s:s, s:i, s:s?, s:s, s:I, s:s, s:b}", "url", url, "final_url", page->final_url,
					   "status", (int) page->status, "title", title, "preview", preview, "bytes",
					   (json_int_t) page->size, "content_type", page->content_type, "truncated", page->cut ? 1 : 0);
	free(title);
	free(preview);
	if (!result)
		return task_fail(task, "the result cannot be written as JSON");
	return task_succeed(task, result);
}

static int
crawl_url(struct task_context *task, const json_t *payload)
{
	const char *url = json_string_value(json_is_object(payload) ? json_object_get(payload, "url") : payload);
	struct fetch page = {
		.allowed = allowed_addresses, .stop = should_stop, .stop_arg = task, .seconds = task_time_left(task)
	};
	struct error err = { "" };
	int rc = -1;

	if (!url)
		return task_fail_for_good(task, "bad_payload",
								  "payload.url: a URL is needed (or the payload is the URL as a string)");
	if (strlen(url) > URL_MAX)
		return task_fail_for_good(task, "bad_payload", "payload.url: longer than %d bytes", URL_MAX);

	switch (fetch_get(&page, url, &err)) {
	case FETCH_DONE:
		rc = page.status >= 200 && page.status < 300 ? report(task, url, &page) : fail_with_status(task, &page);
		break;
	case FETCH_FAILED:
		rc = task_fail(task, "%s", err.msg);
		break;
	case FETCH_REFUSED:
		rc = task_fail_for_good(task, page.reason, "%s", err.msg);
		break;
	case FETCH_STOPPED:
		rc = task_stopped(task);
		break;
	}
	fetch_free(&page);
	return rc;
}

JOBSCHED_TASK("crawl_url", .run = crawl_url,
			  .summary = "Fetches payload.url: status, title and preview as result, the body as artifact.");
