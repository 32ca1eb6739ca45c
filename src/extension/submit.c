/*
 * submit.c: jobsched.submit(), submit_many() and rest_submit_many().
 *
 * Plain jobs (jobspec.h) are stored at once and together; each other one takes the way of the script's _submit().
 */
#include "jobsched.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "call.h"
#include "jobspec.h"
#include "jobstore.h"
#include "rest_answer.h"

JS_FUNCTION(js_submit);
JS_FUNCTION(js_submit_many);
JS_FUNCTION(js_rest_submit_many);

enum
{
	ARG_NAME, ARG_PAYLOAD, ARG_RUN_AT, ARG_CRON, ARG_TIME_ZONE, ARG_QUEUE, ARG_PRIORITY, ARG_MAX_RETRIES, ARG_TIMEOUT, ARG_UNIQUE_KEY,
	ARG_UNIQUE_MODE, ARG_EXPIRES_AT, ARG_RETRY_DELAY, ARG_RETRY_DELAY_MAX, ARG_BACKOFF, ARG_TRACEPARENT, ARGS
};

static CallPlan plan_submit = {
	.sql = "SELECT id FROM jobsched._submit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', $11, $12, $13, $14, $15, $16)",
	.nargs = ARGS,
	.types = {TEXTOID, JSONBOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, INTERVALOID, TEXTOID, TEXTOID, TIMESTAMPTZOID,
	INTERVALOID, INTERVALOID, TEXTOID, TEXTOID}
};

static CallPlan plan_submit_item = {
	.sql = "SELECT id FROM jobsched._submit_item($1, $2)",
	.nargs = 2,
	.types = {JSONBOID, TEXTOID}
};

static CallPlan plan_not_an_array = {
	.sql = "SELECT jobsched._invalid('jobs', format('jobs: %s is not a JSON array', left(coalesce($1::text, 'NULL'), 100)), 'An array of job objects.')",
	.nargs = 1,
	.types = {JSONBOID}
};

static CallPlan plan_rest_submit = {
	.sql = "SELECT (r ->> 'created')::boolean, (r #>> '{job,id}')::uuid, r ->> 'job' FROM jobsched.rest_submit($1::jsonb) r",
	.nargs = 1,
	.types = {TEXTOID}
};

/* ------------------------------------------------------------------ submit */

static bool
read_interval(FunctionCallInfo fcinfo, int arg, bool zero, bool *has, Interval *value)
{
	if (PG_ARGISNULL(arg))
		return true;
	*has = true;
	*value = *PG_GETARG_INTERVAL_P(arg);
	return jobspec_is_duration(value, zero);
}

static bool
read_text_arg(FunctionCallInfo fcinfo, int arg, JobSpec *spec, bool (*read) (JobSpec *, const char *, int))
{
	text	   *value = PG_GETARG_TEXT_PP(arg);

	return read(spec, VARDATA_ANY(value), (int) VARSIZE_ANY_EXHDR(value));
}

static bool
read_payload_arg(FunctionCallInfo fcinfo, JobSpec *spec)
{
	Jsonb	   *payload = PG_GETARG_JSONB_P(ARG_PAYLOAD);
	JsonbValue	value;

	if (JB_ROOT_IS_SCALAR(payload))
	{
		(void) JsonbExtractScalar(&payload->root, &value);
	}
	else
	{
		value.type = jbvBinary;
		value.val.binary.data = &payload->root;
		value.val.binary.len = (int) VARSIZE(payload) - VARHDRSZ;
	}
	return jobspec_payload(spec, &value);
}

static bool
spec_from_args(FunctionCallInfo fcinfo, JobSpec *spec)
{
	static const int must[] = {ARG_NAME, ARG_PAYLOAD, ARG_PRIORITY, ARG_MAX_RETRIES, ARG_UNIQUE_MODE, ARG_BACKOFF};

	jobspec_init(spec);
	for (int i = 0; i < (int) lengthof(must); i++)
	{
		if (PG_ARGISNULL(must[i]))
			return false;
	}
	if (!PG_ARGISNULL(ARG_CRON) || !PG_ARGISNULL(ARG_TIME_ZONE))
		return false;
	if (!PG_ARGISNULL(ARG_UNIQUE_KEY) && !read_text_arg(fcinfo, ARG_UNIQUE_KEY, spec, jobspec_unique_key))
		return false;
	if (!PG_ARGISNULL(ARG_RUN_AT) && !jobspec_run_at(spec, PG_GETARG_TIMESTAMPTZ(ARG_RUN_AT)))
		return false;
	if (!PG_ARGISNULL(ARG_QUEUE) && !read_text_arg(fcinfo, ARG_QUEUE, spec, jobspec_queue))
		return false;
	if (!PG_ARGISNULL(ARG_TRACEPARENT) && !read_text_arg(fcinfo, ARG_TRACEPARENT, spec, jobspec_traceparent))
		return false;
	if (!PG_ARGISNULL(ARG_EXPIRES_AT))
	{
		spec->has_expires_at = true;
		spec->expires_at = PG_GETARG_TIMESTAMPTZ(ARG_EXPIRES_AT);
		if (TIMESTAMP_NOT_FINITE(spec->expires_at))
			return false;
	}
	return read_text_arg(fcinfo, ARG_NAME, spec, jobspec_name) &&
		read_text_arg(fcinfo, ARG_UNIQUE_MODE, spec, jobspec_unique_mode) &&
		read_payload_arg(fcinfo, spec) &&
		jobspec_priority(spec, PG_GETARG_INT32(ARG_PRIORITY)) &&
		jobspec_max_retries(spec, PG_GETARG_INT32(ARG_MAX_RETRIES)) &&
		read_interval(fcinfo, ARG_TIMEOUT, false, &spec->has_timeout, &spec->timeout) &&
		read_interval(fcinfo, ARG_RETRY_DELAY, true, &spec->has_retry_delay, &spec->retry_delay) &&
		read_interval(fcinfo, ARG_RETRY_DELAY_MAX, true, &spec->has_retry_delay_max, &spec->retry_delay_max) &&
		read_text_arg(fcinfo, ARG_BACKOFF, spec, jobspec_backoff);
}

/* js_submit(...): see COMMENT ON FUNCTION jobsched.submit. */
Datum
js_submit(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	JobSpec		spec;
	Datum		values[ARGS],
				result;
	char		nulls[ARGS];
	bool		isnull;

	if (spec_from_args(fcinfo, &spec))
	{
		NewJob		job = {.spec = &spec};

		job.queue = jobstore_queue(&spec);
		jobstore_new_ids(&job, 1);
		jobstore_take_keys(&job, 1);
		if (!job.key_taken)
		{
			jobstore_insert(&job, 1);
			*id = job.id;
			PG_RETURN_UUID_P(id);
		}
	}
	for (int i = 0; i < ARGS; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	call_row(&plan_submit, values, nulls, 1, &result, &isnull);
	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------ many */

/*
 * Runs something that may fail in a subtransaction.  NULL, or the error, and then nothing of it has happened.
 */
static ErrorData *
attempt(void (*what) (void *), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		what(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	/* What ends the statement for all. */
	if (error != NULL && (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_OUT_OF_MEMORY ||
						  ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK))
		ThrowErrorData(error);
	return error;
}

/* Jobs of one call: the plain ones among them are stored together. */
typedef struct Batch
{
	int			count;
	bool	   *plain;
	JobSpec    *specs;
	pg_uuid_t  *ids;
	NewJob	   *jobs;			/* of the plain ones, in order */
	int			jobs_count;
} Batch;

static void
batch_init(Batch *batch, int count)
{
	Size		n = (Size) Max(count, 1);

	memset(batch, 0, sizeof(*batch));
	batch->count = count;
	batch->plain = palloc0(n * sizeof(bool));
	batch->specs = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(JobSpec));
	batch->ids = palloc(n * sizeof(pg_uuid_t));
	batch->jobs = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(NewJob));
}

/* A name of a queue, which is looked up once a call. */
typedef struct KnownQueue
{
	const JobSpec *spec;
	int16		id;
} KnownQueue;

static int
compare_queues(const JobSpec *a, const JobSpec *b)
{
	if (a->queue == NULL || b->queue == NULL)
		return (a->queue != NULL) - (b->queue != NULL);
	if (a->queue_len != b->queue_len)
		return a->queue_len - b->queue_len;
	return memcmp(a->queue, b->queue, a->queue_len);
}

static int
compare_known(const void *a, const void *b)
{
	return compare_queues(((const KnownQueue *) a)->spec, ((const KnownQueue *) b)->spec);
}

/*
 * In the order of the names: two calls that make the same new queues wait for each other in the same order.
 */
static void
find_queues(Batch *batch)
{
	KnownQueue *known = palloc(Max(batch->jobs_count, 1) * sizeof(KnownQueue));
	int			count = 0;
	const KnownQueue *last = NULL;

	for (int i = 0; i < batch->jobs_count; i++)
	{
		KnownQueue	entry = {.spec = batch->jobs[i].spec};

		if (i > 0 && compare_queues(entry.spec, batch->jobs[i - 1].spec) == 0)
			continue;
		known[count++] = entry;
	}
	qsort(known, count, sizeof(KnownQueue), compare_known);
	for (int i = 0; i < count; i++)
		known[i].id = i > 0 && compare_known(&known[i], &known[i - 1]) == 0 ? known[i - 1].id : jobstore_queue(known[i].spec);
	for (int i = 0; i < batch->jobs_count; i++)
	{
		KnownQueue	entry = {.spec = batch->jobs[i].spec};

		if (last == NULL || compare_known(&entry, last) != 0)
			last = bsearch(&entry, known, count, sizeof(KnownQueue), compare_known);
		batch->jobs[i].queue = last->id;
	}
}

static void
take_keys(void *arg)
{
	Batch	   *batch = arg;

	jobstore_take_keys(batch->jobs, batch->jobs_count);
}

/* The plain jobs whose key nobody has; the others are no longer plain. */
static void
settle_keys(Batch *batch, bool each)
{
	ErrorData  *error = NULL;
	int			n = 0;

	if (each)
		error = attempt(take_keys, batch);
	else
		take_keys(batch);
	batch->jobs_count = 0;
	for (int i = 0; i < batch->count; i++)
	{
		NewJob	   *job = &batch->jobs[n];

		if (!batch->plain[i])
			continue;
		n++;
		if (job->key_taken || (error != NULL && job->spec->unique_key != NULL))
			batch->plain[i] = false;
		else
			batch->jobs[batch->jobs_count++] = *job;
	}
}

/*
 * Stores the plain ones.  With keys they go together only when all are plain: who gets a key must not depend on the way.
 * each: when the keys cannot be had together, each one shall see for itself.
 */
static void
batch_store(Batch *batch, bool each)
{
	bool		all_plain = true;
	bool		keyed = false;
	int			n = 0;

	for (int i = 0; i < batch->count; i++)
		all_plain = all_plain && batch->plain[i];
	for (int i = 0; i < batch->count; i++)
	{
		if (!batch->plain[i])
			continue;
		if (batch->specs[i].unique_key != NULL && !all_plain)
		{
			batch->plain[i] = false;
			continue;
		}
		keyed = keyed || batch->specs[i].unique_key != NULL;
		batch->jobs[batch->jobs_count++] = (NewJob) {.spec = &batch->specs[i]};
	}
	if (batch->jobs_count == 0)
		return;
	find_queues(batch);
	jobstore_new_ids(batch->jobs, batch->jobs_count);
	if (keyed)
		settle_keys(batch, each);
	jobstore_insert(batch->jobs, batch->jobs_count);
	for (int i = 0; i < batch->count; i++)
	{
		if (batch->plain[i])
			batch->ids[i] = batch->jobs[n++].id;
	}
}

static void
submit_item(const JsonbValue *item, int number, pg_uuid_t *id)
{
	Datum		values[2] = {
		JsonbPGetDatum(JsonbValueToJsonb(unconstify(JsonbValue *, item))),
		PointerGetDatum(cstring_to_text(psprintf("jobs[%d].", number)))
	};
	Datum		result;
	bool		isnull;

	call_row(&plan_submit_item, values, NULL, 1, &result, &isnull);
	*id = *DatumGetUUIDP(result);
}

/* js_submit_many(jobs jsonb) returns setof uuid */
Datum
js_submit_many(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Jsonb	   *jobs = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	MemoryContext slow;
	Batch		batch;
	JsonbIterator *it;
	JsonbValue	item;
	int			n = 0;

	if (jobs == NULL || !JB_ROOT_IS_ARRAY(jobs) || JB_ROOT_IS_SCALAR(jobs))
	{
		Datum		value = JsonbPGetDatum(jobs);
		Datum		result;
		bool		isnull;

		call_row(&plan_not_an_array, &value, jobs == NULL ? "n" : " ", 1, &result, &isnull);
	}
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);

	batch_init(&batch, JB_ROOT_COUNT(jobs));
	it = JsonbIteratorInit(&jobs->root);
	(void) JsonbIteratorNext(&it, &item, true);
	for (; JsonbIteratorNext(&it, &item, true) == WJB_ELEM; n++)
		batch.plain[n] = item.type == jbvBinary && jobspec_from_json(&batch.specs[n], item.val.binary.data, JOBSPEC_SQL);
	batch_store(&batch, false);

	slow = AllocSetContextCreate(CurrentMemoryContext, "jobsched item", ALLOCSET_DEFAULT_SIZES);
	n = 0;
	it = JsonbIteratorInit(&jobs->root);
	(void) JsonbIteratorNext(&it, &item, true);
	for (; JsonbIteratorNext(&it, &item, true) == WJB_ELEM; n++)
	{
		Datum		value = UUIDPGetDatum(&batch.ids[n]);
		bool		isnull = false;

		if (!batch.plain[n])
		{
			MemoryContext old = MemoryContextSwitchTo(slow);

			CHECK_FOR_INTERRUPTS();
			submit_item(&item, n, &batch.ids[n]);
			MemoryContextSwitchTo(old);
			MemoryContextReset(slow);
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}

/* ------------------------------------------------------------------ REST */

enum
{
	ANSWER_N, ANSWER_CREATED, ANSWER_ID, ANSWER_JOB, ANSWER_SQLSTATE, ANSWER_MESSAGE, ANSWER_DETAIL, ANSWER_HINT, ANSWER_FIELD, ANSWER_COLUMNS
};

typedef struct Bodies
{
	Datum	   *texts;			/* NULL where there is none */
	bool	   *nulls;
	Batch	   *batch;
} Bodies;

/* Throws for a text that is no JSON to Postgres. */
static void
read_bodies(void *arg)
{
	Bodies	   *bodies = arg;

	for (int i = 0; i < bodies->batch->count; i++)
	{
		Jsonb	   *body;

		if (bodies->nulls[i])
			continue;
		body = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(bodies->texts[i]))));
		bodies->batch->plain[i] = JB_ROOT_IS_OBJECT(body) && jobspec_from_json(&bodies->batch->specs[i], &body->root, JOBSPEC_REST);
	}
}

typedef struct OneBody
{
	Datum		text;
	bool		isnull;
	Datum	   *values;			/* of the answer's row */
	bool	   *nulls;
} OneBody;

static void
submit_one(void *arg)
{
	OneBody    *one = arg;

	call_row(&plan_rest_submit, &one->text, one->isnull ? "n" : " ", 3, one->values + ANSWER_CREATED, one->nulls + ANSWER_CREATED);
}

static void
set_text(Datum *values, bool *nulls, int column, const char *value)
{
	nulls[column] = value == NULL;
	values[column] = value == NULL ? (Datum) 0 : CStringGetTextDatum(value);
}

static void
answer_error(const ErrorData *error, Datum *values, bool *nulls)
{
	set_text(values, nulls, ANSWER_SQLSTATE, unpack_sql_state(error->sqlerrcode));
	set_text(values, nulls, ANSWER_MESSAGE, error->message);
	set_text(values, nulls, ANSWER_DETAIL, error->detail);
	set_text(values, nulls, ANSWER_HINT, error->hint);
	set_text(values, nulls, ANSWER_FIELD, error->column_name);
}

/*
 * js_rest_submit_many(bodies text[]): jobs in REST's form, each for itself: a bad one is a row with its error.
 */
Datum
js_rest_submit_many(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Bodies		bodies;
	Batch		batch;
	StringInfoData job;
	int			count,
				n = 0;
	ErrorData  *error;

	InitMaterializedSRF(fcinfo, 0);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &bodies.texts, &bodies.nulls, &count);
	batch_init(&batch, count);
	bodies.batch = &batch;
	error = attempt(read_bodies, &bodies);
	if (error != NULL)
		memset(batch.plain, 0, count * sizeof(bool));
	batch_store(&batch, true);

	initStringInfo(&job);
	for (int i = 0; i < count; i++)
	{
		Datum		values[ANSWER_COLUMNS] = {0};
		bool		nulls[ANSWER_COLUMNS];

		memset(nulls, true, sizeof(nulls));
		values[ANSWER_N] = Int32GetDatum(i + 1);
		nulls[ANSWER_N] = false;
		if (batch.plain[i])
		{
			resetStringInfo(&job);
			rest_answer_new_job(&batch.jobs[n++], &job);
			values[ANSWER_CREATED] = BoolGetDatum(true);
			values[ANSWER_ID] = UUIDPGetDatum(&batch.ids[i]);
			values[ANSWER_JOB] = PointerGetDatum(cstring_to_text_with_len(job.data, job.len));
			nulls[ANSWER_CREATED] = nulls[ANSWER_ID] = nulls[ANSWER_JOB] = false;
		}
		else
		{
			OneBody		one = {bodies.texts[i], bodies.nulls[i], values, nulls};

			error = attempt(submit_one, &one);
			if (error != NULL)
			{
				nulls[ANSWER_CREATED] = nulls[ANSWER_ID] = nulls[ANSWER_JOB] = true;
				answer_error(error, values, nulls);
			}
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
