/*
 * store.c: the calls of docs/protocol.md.
 */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "registry.h"

enum { REGISTER, CLAIM, RELEASE, FINISH, HEARTBEAT, PROGRESS, UNREGISTER, NEIGHBOURS };

static const struct pg_statement statements[] = {
	[REGISTER] = { .name = "register", .nparams = 4, .sql =
		"SELECT jobsched.register_worker($1::text, $2::text[], $3::int, $4::jsonb),"
		" (extract(epoch FROM jobsched.worker_lease()) * 1000000)::bigint" },
	[CLAIM] = { .name = "claim", .nparams = 3, .sql =
		"SELECT dispatch, run, job_id, run_at, attempt, name, payload, timeout_seconds, max_retries, failures, traceparent"
		" FROM jobsched.claim($1::uuid, $2::uuid, $3::uuid[])" },
	[RELEASE] = { .name = "release", .nparams = 4, .sql =
		"SELECT answer FROM jobsched.release($1::uuid, $2::uuid[], $3::uuid[], $4::smallint[])" },
	[FINISH] = { .name = "finish", .nparams = 15, .sql =
		"SELECT answer FROM jobsched.finish($1::uuid, $2::uuid[], $3::uuid[], $4::smallint[], $5::uuid[],"
		" $6::timestamptz[], $7::smallint[], $8::text[], $9::text[], $10::text[], $11::jsonb[], $12::jsonb[],"
		" $13::bigint[], $14::bigint[], $15::bigint[])" },
	/* the lease is asked for each time, since it can be reloaded */
	[HEARTBEAT] = { .name = "heartbeat", .nparams = 4, .sql =
		"SELECT (extract(epoch FROM jobsched.worker_lease()) * 1000000)::bigint, h.dispatch, h.run, h.command"
		" FROM (SELECT) one"
		" LEFT JOIN jobsched.heartbeat($1::uuid, $2::uuid[], $3::uuid[], $4::jsonb) h ON true" },
	[PROGRESS] = { .name = "progress", .nparams = 6, .sql =
		"SELECT jobsched.report_progress($1::uuid, $2::uuid[], $3::uuid[], $4::smallint[], $5::real[], $6::text[])" },
	[UNREGISTER] = { .name = "unregister", .nparams = 1, .sql =
		"SELECT jobsched.unregister_worker($1::uuid)" },
	[NEIGHBOURS] = { .name = "neighbours", .nparams = 1, .sql =
		"SELECT neighbour, worker_id, silent_seconds, info ->> 'host', info ->> 'machine', info ->> 'pid',"
		" info ->> 'started' FROM jobsched.neighbours($1::uuid)" },
};

void
store_init(struct store *s, const char *dsn, const char *purpose)
{
	memset(s, 0, sizeof(*s));
	pg_init(&s->pg, dsn, purpose);
}

void
store_free(struct store *s)
{
	pg_close(&s->pg);
	for (int i = 0; i < STORE_ARRAYS; i++)
		pgarray_free(&s->arrays[i]);
}

static void
start_arrays(struct store *s, int n)
{
	for (int i = 0; i < n; i++)
		pgarray_start(&s->arrays[i]);
}

enum pg_status
store_register(struct store *s, const char *label, char *const *queues, int nqueues, long slots, const char *info,
			   char *id, int64_t *lease_us, struct error *err)
{
	char number[24];
	enum pg_status status;
	PGresult *result;

	start_arrays(s, 1);
	for (int i = 0; i < nqueues; i++)
		pgarray_add_text(&s->arrays[0], queues[i]);
	snprintf(number, sizeof(number), "%ld", slots);
	status = pg_execute(&s->pg, statements, REGISTER,
						(const char *[]) { label, pgarray_text(&s->arrays[0]), number, info }, &result, err);
	if (status == PG_DONE) {
		snprintf(id, UUID_TEXT_SIZE, "%s", PQgetvalue(result, 0, 0));
		*lease_us = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
	}
	PQclear(result);
	return status;
}

enum pg_status
store_neighbours(struct store *s, const char *worker, struct store_neighbour **list, int *n, struct error *err)
{
	enum pg_status status;
	PGresult *result;

	*list = NULL;
	*n = 0;
	status = pg_execute(&s->pg, statements, NEIGHBOURS, (const char *[]) { worker }, &result, err);
	if (status != PG_DONE)
		return status;
	*list = calloc((size_t) PQntuples(result) + 1, sizeof(**list));
	for (int i = 0; *list && i < PQntuples(result); i++) {
		struct store_neighbour *one = &(*list)[(*n)++];

		snprintf(one->worker, sizeof(one->worker), "%s", PQgetvalue(result, i, 0));
		snprintf(one->label, sizeof(one->label), "%s", PQgetvalue(result, i, 1));
		one->silent = strtod(PQgetvalue(result, i, 2), NULL);
		snprintf(one->host, sizeof(one->host), "%s", PQgetvalue(result, i, 3));
		/* what a worker in another language does not say reads as "" and 0 */
		snprintf(one->process.machine, sizeof(one->process.machine), "%s", PQgetvalue(result, i, 4));
		one->process.pid = strtol(PQgetvalue(result, i, 5), NULL, 10);
		one->process.started = strtoll(PQgetvalue(result, i, 6), NULL, 10);
	}
	PQclear(result);
	return PG_DONE;
}

static void
free_result(void *result)
{
	PQclear(result);
}

/* Rows come ordered by dispatch and run.  Takes over the result. */
static struct batch *
read_claim(PGresult *result, const char *token)
{
	int rows = PQntuples(result), ndispatches = 0;
	struct dispatch *d = NULL;
	struct batch *b;

	for (int i = 0; i < rows; i++) {
		if (i == 0 || strcmp(PQgetvalue(result, i, 0), PQgetvalue(result, i - 1, 0)) != 0)
			ndispatches++;
	}
	b = batch_new(rows, ndispatches);
	if (!b)
		return NULL;
	b->memory = result;
	b->free_memory = free_result;
	for (int i = 0, n = 0; i < rows; i++) {
		const char *dispatch = PQgetvalue(result, i, 0);
		struct run *run = &b->runs[i];

		if (!d || strcmp(d->id, dispatch) != 0) {
			d = &b->dispatches[n++];
			snprintf(d->id, sizeof(d->id), "%s", dispatch);
			snprintf(d->token, sizeof(d->token), "%s", token);
			d->runs = run;
		}
		d->n++;
		run->dispatch = d;
		run->index = atoi(PQgetvalue(result, i, 1));
		run->job_id = PQgetvalue(result, i, 2);
		run->run_at = PQgetvalue(result, i, 3);
		run->attempt = atoi(PQgetvalue(result, i, 4));
		run->name = PQgetvalue(result, i, 5);
		run->payload = PQgetvalue(result, i, 6);
		run->timeout = strtod(PQgetvalue(result, i, 7), NULL);	/* null reads as "": no limit */
		run->max_retries = atoi(PQgetvalue(result, i, 8));
		run->failures = atoi(PQgetvalue(result, i, 9));
		run->traceparent = PQgetisnull(result, i, 10) ? NULL : PQgetvalue(result, i, 10);
		run->task = registry_find(run->name);
	}
	return b;
}

enum pg_status
store_claim(struct store *s, const char *worker, const char *token, const struct delivery_list *list,
			struct batch **batch, struct error *err)
{
	enum pg_status status;
	PGresult *result;

	*batch = NULL;
	start_arrays(s, 1);
	for (const struct delivery *d = list->head; d; d = d->next)
		pgarray_add_word(&s->arrays[0], d->dispatch);
	status = pg_execute(&s->pg, statements, CLAIM, (const char *[]) { worker, token, pgarray_text(&s->arrays[0]) },
						&result, err);
	if (status != PG_DONE)
		return status;
	if (PQntuples(result) == 0) {
		PQclear(result);
		return PG_DONE;
	}
	*batch = read_claim(result, token);
	if (!*batch) {
		error_set(err, "out of memory for %d runs", PQntuples(result));
		PQclear(result);
		return PG_LOST;		/* the same token gives the same answer when there is memory again */
	}
	return PG_DONE;
}

enum pg_status
store_release(struct store *s, const char *worker, struct run *const *list, int n, struct error *err)
{
	struct pgarray *a = s->arrays;
	enum pg_status status;
	PGresult *result;

	start_arrays(s, 3);
	for (int i = 0; i < n; i++) {
		pgarray_add_word(&a[0], list[i]->dispatch->id);
		pgarray_add_word(&a[1], list[i]->dispatch->token);
		pgarray_add_number(&a[2], list[i]->index);
	}
	status = pg_execute(&s->pg, statements, RELEASE,
						(const char *[]) { worker, pgarray_text(&a[0]), pgarray_text(&a[1]), pgarray_text(&a[2]) },
						&result, err);
	PQclear(result);
	return status;
}

static void
add_number_or_null(struct pgarray *a, bool present, int64_t number)
{
	if (present)
		pgarray_add_number(a, number);
	else
		pgarray_add_word(a, "NULL");
}

static void
add_run(struct pgarray *a, const struct run *run, int64_t now_us)
{
	static const char *const ends[] = {
		[RUN_SUCCEEDED] = "succeeded",
		[RUN_FAILED] = "failed",
		[RUN_PERMANENT] = "permanent",
		[RUN_CANCELLED] = "cancelled",
	};
	const struct outcome *out = &run->out;
	bool started = run->started_us > 0;

	pgarray_add_word(&a[0], run->dispatch->id);
	pgarray_add_word(&a[1], run->dispatch->token);
	pgarray_add_number(&a[2], run->index);
	pgarray_add_word(&a[3], run->job_id);
	pgarray_add_text(&a[4], run->run_at);
	pgarray_add_number(&a[5], run->attempt);
	pgarray_add_word(&a[6], ends[out->end]);
	pgarray_add_text(&a[7], out->reason[0] ? out->reason : NULL);
	pgarray_add_text(&a[8], out->error);
	pgarray_add_text(&a[9], out->result);
	pgarray_add_text(&a[10], out->artifacts);
	add_number_or_null(&a[11], started, now_us - run->started_us);
	add_number_or_null(&a[12], started, run->ended_us - run->started_us);
	add_number_or_null(&a[13], out->retry_us >= 0, out->retry_us);
}

enum pg_status
store_finish(struct store *s, const char *worker, struct run *const *list, int n, int *lost, struct error *err)
{
	const char *params[1 + STORE_ARRAYS];
	int64_t now_us = clock_boottime_us();
	enum pg_status status;
	PGresult *result;

	*lost = 0;
	start_arrays(s, STORE_ARRAYS);
	for (int i = 0; i < n; i++)
		add_run(s->arrays, list[i], now_us);
	params[0] = worker;
	for (int i = 0; i < STORE_ARRAYS; i++)
		params[i + 1] = pgarray_text(&s->arrays[i]);
	status = pg_execute(&s->pg, statements, FINISH, params, &result, err);
	for (int i = 0; status == PG_DONE && i < n && i < PQntuples(result); i++) {
		list[i]->lost = strcmp(PQgetvalue(result, i, 0), "lost") == 0;
		*lost += list[i]->lost;
	}
	PQclear(result);
	return status;
}

static const struct store_pair *
find_pair(const struct store_pair *pairs, int npairs, const char *dispatch)
{
	for (int i = 0; i < npairs; i++) {
		if (strcmp(pairs[i].dispatch, dispatch) == 0)
			return &pairs[i];
	}
	return NULL;
}

enum pg_status
store_heartbeat(struct store *s, const char *worker, const struct store_pair *pairs, int npairs, const char *load,
				int64_t *lease_us, struct store_command **commands, int *ncommands, struct error *err)
{
	struct pgarray *a = s->arrays;
	enum pg_status status;
	PGresult *result;
	int rows;

	*commands = NULL;
	*ncommands = 0;
	start_arrays(s, 2);
	for (int i = 0; i < npairs; i++) {
		pgarray_add_word(&a[0], pairs[i].dispatch);
		pgarray_add_word(&a[1], pairs[i].token);
	}
	status = pg_execute(&s->pg, statements, HEARTBEAT,
						(const char *[]) { worker, pgarray_text(&a[0]), pgarray_text(&a[1]), load }, &result, err);
	if (status != PG_DONE)
		return status;

	rows = PQntuples(result);
	*lease_us = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	*commands = calloc((size_t) rows, sizeof(**commands));
	for (int i = 0; *commands && i < rows; i++) {
		const struct store_pair *pair =
			PQgetisnull(result, i, 1) ? NULL : find_pair(pairs, npairs, PQgetvalue(result, i, 1));
		bool drop = strcmp(PQgetvalue(result, i, 3), "drop") == 0;

		if (!pair || (!drop && strcmp(PQgetvalue(result, i, 3), "cancel") != 0))
			continue;
		(*commands)[(*ncommands)++] =
			(struct store_command) { .pair = pair, .run = drop ? -1 : atoi(PQgetvalue(result, i, 2)) };
	}
	PQclear(result);
	return PG_DONE;
}

enum pg_status
store_progress(struct store *s, const char *worker, const struct progress_report *list, int n, struct error *err)
{
	struct pgarray *a = s->arrays;
	const char *params[6] = { worker };
	enum pg_status status;
	PGresult *result;

	start_arrays(s, 5);
	for (int i = 0; i < n; i++) {
		char percent[32];

		snprintf(percent, sizeof(percent), "%.6g", list[i].percent);
		pgarray_add_word(&a[0], list[i].dispatch);
		pgarray_add_word(&a[1], list[i].token);
		pgarray_add_number(&a[2], list[i].run);
		pgarray_add_word(&a[3], list[i].percent < 0 ? "NULL" : percent);
		pgarray_add_text(&a[4], list[i].text[0] ? list[i].text : NULL);
	}
	for (int i = 0; i < 5; i++)
		params[i + 1] = pgarray_text(&a[i]);
	status = pg_execute(&s->pg, statements, PROGRESS, params, &result, err);
	PQclear(result);
	return status;
}

enum pg_status
store_unregister(struct store *s, const char *worker, struct error *err)
{
	PGresult *result;
	enum pg_status status = pg_execute(&s->pg, statements, UNREGISTER, (const char *[]) { worker }, &result, err);

	PQclear(result);
	return status;
}
