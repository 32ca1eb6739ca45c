/*
 * wordcount.c: an example of tasks in a shared object.
 *
 *	make
 *	JOBSCHED_TASK_PATH=$PWD jobsched-worker --run word_count '{"text": "to be or not to be"}'
 */
#include <jobsched_task.h>
#include <string.h>

/* Payload {"text": "..."}, result {"words": {"be": 2, ...}, "total": n}. */
static int
word_count(struct task_context *task, const json_t *payload)
{
	const char *text = json_string_value(json_object_get(payload, "text"));
	json_t *words = json_object();
	int total = 0;

	if (!text)
		return task_fail_for_good(task, "bad_payload", "payload.text: a string is needed");
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, " \t\r\n");

		if (n > 0) {
			json_int_t before = json_integer_value(json_object_getn(words, p, n));

			json_object_setn_new(words, p, n, json_integer(before + 1));
			total++;
		}
		p += n;
		p += strspn(p, " \t\r\n");
		if (task_cancelled(task)) {
			json_decref(words);
			return task_stopped(task);
		}
	}
	return task_succeed(task, json_pack("{s:o, s:i}", "words", words, "total", total));
}

JOBSCHED_TASK("word_count", .run = word_count, .summary = "Counts the words of payload.text.");
