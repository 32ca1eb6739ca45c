/*
 * web.c: what the tasks that talk to web servers share.
 */
#include "web.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "../html.h"
#include "tasks.h"

static struct fetch_policy policy;

void
web_setup(const struct address_list *allowed, const char *user_agent, const char *ca_file)
{
	policy = (struct fetch_policy){
	        .allowed = allowed, .user_agent = user_agent, .ca_file = ca_file && ca_file[0] ? ca_file : NULL};
	html_setup();
}

const struct fetch_policy *
web_policy(void)
{
	return &policy;
}

bool
web_stop(void *arg)
{
	return task_cancelled(arg);
}

struct fetch *
web_open(struct task_context *task, double seconds, struct error *err)
{
	double left = task_time_left(task);

	/* When the run's time is up web_stop says so, which names the reason; this is in case it is not asked. */
	return fetch_open(&policy, left >= 0 && left < seconds ? left + 1 : seconds, web_stop, task, err);
}

int
web_fail(struct task_context *task, enum fetch_end end, const struct fetch_answer *answer, const struct error *err)
{
	switch (end) {
	case FETCH_REFUSED:
		return task_fail_for_good(task, answer->reason, "%s", err->msg);
	case FETCH_STOPPED:
		return task_stopped(task);
	case FETCH_DONE:
	case FETCH_FAILED:
		break;
	}
	if (answer->retry_after > 0)
		return task_fail_after(task, (double) answer->retry_after, "%s", err->msg);
	return task_fail(task, "%s", err->msg);
}

int
web_fail_status(struct task_context *task, const struct fetch_answer *answer, const char *excerpt)
{
	const char *colon = excerpt[0] ? ": " : "";

	if (answer->status != 429 && answer->status < 500)
		return task_fail_for_good(
		        task, "http_status", "%s answered %ld%s%s", answer->final_url, answer->status, colon, excerpt);
	if (answer->retry_after > 0)
		return task_fail_after(task, (double) answer->retry_after, "%s answered %ld and asks to wait %ld s%s%s",
		        answer->final_url, answer->status, answer->retry_after, colon, excerpt);
	return task_fail(task, "%s answered %ld%s%s", answer->final_url, answer->status, colon, excerpt);
}

static json_int_t
microseconds(double seconds)
{
	return (json_int_t) (seconds * 1e6 + 0.5);
}

json_t *
web_timing(const struct fetch_answer *answer)
{
	const struct fetch_timing *t = &answer->timing;

	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "dns", microseconds(t->dns), "connect", microseconds(t->connect),
	        "tls", microseconds(t->tls), "first_byte", microseconds(t->first_byte), "total",
	        microseconds(t->total));
}

int
web_sha256(const struct fetch_answer *answer, char out[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_Digest(answer->body ? answer->body : "", answer->size, digest, &len, EVP_sha256(), NULL) != 1 ||
	        len != 32)
		return -1;
	for (unsigned i = 0; i < len; i++)
		snprintf(out + (size_t) i * 2, 3, "%02x", digest[i]);
	return 0;
}
