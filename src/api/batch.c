/*
 * batch.c: POST /jobs/batch.
 *
 * The items are judged one by one.  The good ones go to the database as they came, in one transaction, where each is
 * judged again for itself; the answer tells of every item what became of it, in the order of the request.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "jobspec.h"

#define MAX_ITEMS 1000

struct batch {
	struct jobspec *jobs;
	size_t n;
	size_t *sent; /* the numbers of the items that the database gets, in the order in which it gets them */
	struct db_text *texts; /* the same items */
	size_t n_sent;
};

/* Text that grows; `failed` once memory was short. */
struct text {
	char *bytes;
	size_t len, size;
	bool failed;
};

static void
append(struct text *text, const char *bytes, size_t len)
{
	if (text->len + len + 1 > text->size && !text->failed) {
		size_t size = (text->len + len + 1) * 2;
		char *bigger = realloc(text->bytes, size);

		if (bigger) {
			text->bytes = bigger;
			text->size = size;
		} else {
			text->failed = true;
		}
	}
	if (text->failed)
		return;
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
	text->bytes[text->len] = '\0';
}

static void
append_text(struct text *text, const char *more)
{
	append(text, more, strlen(more));
}

void
batch_free(struct batch *batch)
{
	if (!batch)
		return;
	jobspec_free(batch->jobs, batch->n);
	free(batch->sent);
	free(batch->texts);
	free(batch);
}

/*
 * The answer
 */

static void
append_problem(struct text *out, const struct problem *problem)
{
	char *json = problem_json(problem);

	if (!json) {
		out->failed = true;
		return;
	}
	append_text(out, "{\"problem\":");
	append(out, json, strlen(json) - 1); /* without its newline */
	append_text(out, "}");
	free(json);
}

static void
append_item(struct exchange *x, struct text *out, const struct db_answer *item, size_t counts[3])
{
	struct problem problem;

	if (item->outcome == DB_OK && item->columns[0] && item->columns[1]) {
		bool created = item->columns[0][0] == 't';

		counts[created ? 0 : 1]++;
		append_text(out, "{\"id\":\"");
		append_text(out, item->columns[1]);
		append_text(out, created ? "\",\"created\":true}" : "\",\"created\":false}");
		return;
	}
	counts[2]++;
	problem_from_db(x, item, &problem);
	append_problem(out, &problem);
}

/* `answer` is the database's, or NULL when it was not asked. */
static void
answer_batch(struct exchange *x, const struct db_answer *answer)
{
	const struct batch *batch = x->batch;
	struct text items = {0};
	size_t counts[3] = {0}; /* created, there already, failed */
	size_t *row_of = calloc(batch->n, sizeof(*row_of));
	char head[96];
	struct text all = {0};

	for (size_t i = 0; row_of && i < batch->n_sent; i++)
		row_of[batch->sent[i]] = i;
	for (size_t i = 0; row_of && i < batch->n; i++) {
		struct db_answer item;

		append_text(&items, i ? ",\n" : "\n");
		if (batch->jobs[i].problem) {
			counts[2]++;
			append_problem(&items, batch->jobs[i].problem);
			continue;
		}
		db_answer_item(answer, row_of[i], &item);
		append_item(x, &items, &item, counts);
	}
	snprintf(head, sizeof(head), "{\"created\":%zu,\"existing\":%zu,\"failed\":%zu,\"jobs\":[", counts[0],
	        counts[1], counts[2]);
	append_text(&all, head);
	if (items.bytes)
		append(&all, items.bytes, items.len);
	append_text(&all, "\n]}\n");
	if (!row_of || items.failed || all.failed) {
		struct problem problem;

		problem_set(&problem, 503, "outcome-unknown", NULL, "out of memory; the jobs may have been accepted");
		answer_problem(x, &problem, NULL);
	} else {
		answer_json(x, 200, all.bytes, NULL);
	}
	free(row_of);
	free(items.bytes);
	free(all.bytes);
}

static void
on_batch(struct db_call *call, const struct db_answer *answer)
{
	struct exchange *x = (struct exchange *) call;

	if (answer->outcome == DB_OK)
		answer_batch(x, answer);
	else
		answer_db_problem(x, answer);
}

/*
 * The request
 */

/* Those with a unique_key last and by their key, so that no two batches wait for each other. */
static int
compare(const void *a, const void *b, void *arg)
{
	const struct jobspec *jobs = arg;
	size_t left = *(const size_t *) a, right = *(const size_t *) b;
	int order = 0;

	if (jobs[left].key && jobs[right].key)
		order = strcmp(jobs[left].key, jobs[right].key);
	else if (jobs[left].key || jobs[right].key)
		order = jobs[left].key ? 1 : -1;
	return order ? order : left < right ? -1 : left > right;
}

static int
choose(struct batch *batch)
{
	bool keyed = false;

	batch->sent = calloc(batch->n, sizeof(*batch->sent));
	batch->texts = malloc(batch->n * sizeof(*batch->texts));
	if (!batch->sent || !batch->texts)
		return -1;
	for (size_t i = 0; i < batch->n; i++) {
		if (batch->jobs[i].problem)
			continue;
		batch->sent[batch->n_sent++] = i;
		keyed = keyed || batch->jobs[i].key;
	}
	if (keyed)
		qsort_r(batch->sent, batch->n_sent, sizeof(*batch->sent), compare, batch->jobs);
	for (size_t i = 0; i < batch->n_sent; i++) {
		batch->texts[i].bytes = batch->jobs[batch->sent[i]].text;
		batch->texts[i].len = batch->jobs[batch->sent[i]].len;
	}
	return 0;
}

void
batch_post(struct exchange *x)
{
	struct problem problem;
	struct batch *batch;
	const char *body;
	size_t len;

	if (http_request_header(x->request, "Idempotency-Key")) {
		problem_set(&problem, 422, "invalid-field", "Idempotency-Key",
		        "Idempotency-Key is given with a batch; allowed: with POST /jobs only, here each job may have a "
		        "unique_key");
		answer_problem(x, &problem, NULL);
		return;
	}
	if ((*http_request_query(x->request) && rest_query(x) < 0) || request_json(x, &body, &len) < 0)
		return;
	batch = calloc(1, sizeof(*batch));
	x->batch = batch;
	if (!batch)
		problem_set(&problem, 503, "unavailable", NULL, "out of memory");
	else if (jobspec_check_batch(body, len, MAX_ITEMS, &batch->jobs, &batch->n, &problem) == 0) {
		if (choose(batch) < 0) {
			problem_set(&problem, 503, "unavailable", NULL, "out of memory");
		} else if (batch->n_sent == 0) {
			answer_batch(x, NULL);
			return;
		} else {
			x->call.statement = DB_SUBMIT_BATCH;
			x->call.items = batch->texts;
			x->call.n_items = batch->n_sent;
			x->call.done = on_batch;
			db_call_send(x->api->db, &x->call);
			return;
		}
	}
	answer_problem(x, &problem, NULL);
}
