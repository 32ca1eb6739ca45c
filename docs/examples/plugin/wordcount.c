/*
 * wordcount.c: an example of tasks in a shared object.
 *
 *	make
 *	JOBSCHED_TASK_PATH=$PWD jobsched-worker --run word_count '{"text": "to be or not to be"}'
 */
#include <jobsched_task.h>
#include <stdio.h>
#include <string.h>

/* The counts as a table, an artifact. */
static int
keep(struct task_context *task, const json_t *words)
{
	struct task_writer *table;
	const char *word;
	json_t *n;

	if (task_writer_open(task, "words.tsv", "text/tab-separated-values", &table) < 0)
		return task_cause(task, "%s", task_artifact_error(task));
	json_object_foreach((json_t *) words, word, n) {
		char line[1100];
		int size = snprintf(line, sizeof(line), "%.1000s\t%d\n", word, (int) json_integer_value(n));

		task_writer_write(table, line, (size_t) size);	/* commit says whether it worked */
	}
	if (task_writer_commit(table) < 0)
		return task_cause(task, "%s", task_artifact_error(task));
	return 0;
}

/* Payload {"text": "...", "keep": false}, result {"words": {"be": 2, ...}, "total": n}; keep: also as an artifact. */
static int
word_count(struct task_context *task, const json_t *payload)
{
	const char *text = json_string_value(json_object_get(payload, "text"));
	json_t *words = json_object();
	size_t size = text ? strlen(text) : 0;
	int total = 0, rc;

	if (!text) {
		rc = task_fail_for_good(task, "bad_payload", "payload.text: a string is needed");
		goto out;
	}
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, " \t\r\n");

		if (n > 0) {
			json_int_t before = json_integer_value(json_object_getn(words, p, n));

			json_object_setn_new(words, p, n, json_integer(before + 1));
			total++;
		}
		p += n;
		p += strspn(p, " \t\r\n");
		task_progress(task, 100.0 * (double) (p - text) / (double) size, NULL);
		if (task_cancelled(task)) {
			rc = task_stopped(task);
			goto out;
		}
	}
	if (json_is_true(json_object_get(payload, "keep")) && keep(task, words) < 0)
		rc = task_fail(task, "the table of words could not be kept");
	else
		rc = task_succeed(task, json_pack("{s:O, s:i}", "words", words, "total", total));
out:
	json_decref(words);
	return rc;
}

JOBSCHED_TASK("word_count", .run = word_count, .summary = "Counts the words of payload.text.");
