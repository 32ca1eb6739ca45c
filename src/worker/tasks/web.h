/*
 * web.h: what the tasks that talk to web servers share.
 */
#ifndef JOBSCHED_TASKS_WEB_H
#define JOBSCHED_TASKS_WEB_H

#include "../fetch.h"
#include "../jobsched_task.h"

/* What web_setup was given. */
const struct fetch_policy *web_policy(void);

/* For at most `seconds`, and no longer than the run has time; NULL after filling *err. */
struct fetch *web_open(struct task_context *task, double seconds, struct error *err);

/* Asked in fetches and long work: should the task stop?  arg: its struct task_context. */
bool web_stop(void *arg);

/* Ends the task as a fetch ended that brought no answer (end is not FETCH_DONE). */
int web_fail(struct task_context *task, enum fetch_end end, const struct fetch_answer *answer, const struct error *err);

/*
 * Ends the task with an answer whose status is not wanted: 429 and 5xx are tried again, when the server says so,
 * others not.  excerpt: the beginning of what the server wrote, or "".
 */
int web_fail_status(struct task_context *task, const struct fetch_answer *answer, const char *excerpt);

/* {"dns", "connect", "tls", "first_byte", "total"}, in microseconds: timing_us of the results */
json_t *web_timing(const struct fetch_answer *answer);

/* The SHA-256 of the answer's body in hexadecimal digits; returns 0, or -1 when it cannot be computed. */
int web_sha256(const struct fetch_answer *answer, char out[65]);

#endif
