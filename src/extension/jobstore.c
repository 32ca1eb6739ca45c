/*
 * jobstore.c: rows of jobs and timers, many at a time.
 */
#include "jobstore.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "call.h"
#include "column.h"
#include "functions.h"
#include "metrics.h"
#include "ring.h"
#include "wakeup.h"
#include "writer.h"

/* Columns of timers, in the order of the script. */
enum
{
	TIMERS_DUE_AT, TIMERS_RUN_AT, TIMERS_JOB_ID, TIMERS_TASK, TIMERS_ATTEMPT, TIMERS_FAILURES, TIMERS_LOSSES, TIMERS_PRIORITY,
	TIMERS_QUEUE, TIMERS_SEGMENT, TIMERS_CRON, TIMERS_COLUMNS
};

enum
{
	QUEUES_ID, QUEUES_NAME
};

static CallPlan plan_first_use = {
	.sql = "SELECT jobsched._first_use()"
};

static CallPlan plan_queue_id = {
	.sql = "SELECT jobsched._queue_id($1)",
	.nargs = 1,
	.types = {TEXTOID}
};

static CallPlan plan_expiries = {
	.sql = "SELECT jobsched._new_expiries($1, $2)",
	.nargs = 2,
	.types = {UUIDARRAYOID, TIMESTAMPTZARRAYOID}
};

/* $1: owner; those it could take come back, in their order. */
static CallPlan plan_take_keys = {
	.sql = "INSERT INTO jobsched.unique_keys (owner, key, job_id) SELECT $1, u.key, u.id FROM unnest($2, $3) u (key, id) ON CONFLICT DO NOTHING RETURNING job_id",
	.nargs = 3,
	.types = {TEXTOID, TEXTARRAYOID, UUIDARRAYOID}
};

/* ------------------------------------------------------------------ small tables */

/* The first use of a new database claims it: see _first_use() in the script. */
static void
claim_database(Snapshot snapshot)
{
	Relation	cluster = table_open(writer_relation("cluster"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(cluster, InvalidOid, false, snapshot, 0, NULL);
	bool		claimed = systable_getnext(scan) != NULL;

	systable_endscan(scan);
	table_close(cluster, NoLock);
	if (!claimed)
		(void) call_run(&plan_first_use, NULL);
}

/*
 * The queue that was asked for last, and where its row was: looking there is cheaper than looking for it.
 */
static struct
{
	Oid			file;			/* relfilenode */
	ItemPointerData tid;
	char		name[NAMEDATALEN];	/* with its NUL; longer names are looked for */
	int16		id;
}			last_queue;

static bool
is_last_queue(Relation queues, Snapshot snapshot, const char *name, int len)
{
	HeapTupleData tuple = {.t_self = last_queue.tid};
	Buffer		buffer;
	bool		same = false;
	bool		isnull;

	if (last_queue.file != queues->rd_node.relNode || len >= NAMEDATALEN || last_queue.name[len] != '\0' ||
		memcmp(last_queue.name, name, len) != 0 || ItemPointerGetBlockNumber(&last_queue.tid) >= RelationGetNumberOfBlocks(queues))
		return false;
	if (heap_fetch(queues, snapshot, &tuple, &buffer, false))
	{
		text	   *found = DatumGetTextPP(heap_getattr(&tuple, QUEUES_NAME + 1, RelationGetDescr(queues), &isnull));

		same = (int) VARSIZE_ANY_EXHDR(found) == len && memcmp(VARDATA_ANY(found), name, len) == 0 &&
			DatumGetInt16(heap_getattr(&tuple, QUEUES_ID + 1, RelationGetDescr(queues), &isnull)) == last_queue.id;
		ReleaseBuffer(buffer);
	}
	return same;
}

static int
find_queue(Relation queues, Snapshot snapshot, const char *name, int len)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			id = -1;
	bool		isnull;

	ScanKeyEntryInitialize(&key, 0, QUEUES_NAME + 1, BTEqualStrategyNumber, InvalidOid, DEFAULT_COLLATION_OID, F_TEXTEQ,
						   PointerGetDatum(cstring_to_text_with_len(name, len)));
	scan = systable_beginscan(queues, writer_relation("queues_name_key"), true, snapshot, 1, &key);
	if ((tuple = systable_getnext(scan)) != NULL)
	{
		id = DatumGetInt16(heap_getattr(tuple, QUEUES_ID + 1, RelationGetDescr(queues), &isnull));
		if (len < NAMEDATALEN)
		{
			last_queue.file = queues->rd_node.relNode;
			last_queue.tid = tuple->t_self;
			memcpy(last_queue.name, name, len);
			last_queue.name[len] = '\0';
			last_queue.id = (int16) id;
		}
	}
	systable_endscan(scan);
	return id;
}

int16
jobstore_queue(const JobSpec *spec)
{
	const char *name = spec->queue != NULL ? spec->queue : js_queue;
	int			len = spec->queue != NULL ? spec->queue_len : (int) strlen(js_queue);
	Relation	queues = table_open(writer_relation("queues"), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	int			id = is_last_queue(queues, snapshot, name, len) ? last_queue.id : find_queue(queues, snapshot, name, len);

	UnregisterSnapshot(snapshot);
	table_close(queues, NoLock);
	if (id < 0)
	{
		Datum		values[1] = {PointerGetDatum(cstring_to_text_with_len(name, len))};

		id = DatumGetInt16(call_run(&plan_queue_id, values));
	}
	return (int16) id;
}

/* ------------------------------------------------------------------ rows */

/* What all rows of a call have in common. */
typedef struct Common
{
	int			slot;
	Datum		frequency,
				state,
				owner,
				empty_payload;
	TimestampTz created_at;
} Common;

static void
set(Datum *values, bool *nulls, int column, bool present, Datum value)
{
	values[column] = value;
	nulls[column] = !present;
}

static void
add_job(Writer *writer, const NewJob *job, const Common *common)
{
	const JobSpec *spec = job->spec;
	Datum		values[JOBS_COLUMNS] = {0};
	bool		nulls[JOBS_COLUMNS] = {0};
	Jsonb	   *payload = spec->payload.type == jbvNull ? NULL : JsonbValueToJsonb(unconstify(JsonbValue *, &spec->payload));

	values[JOBS_SLOT] = Int16GetDatum((int16) common->slot);
	values[JOBS_ID] = UUIDPGetDatum(&job->id);
	values[JOBS_PRIORITY] = Int16GetDatum(spec->priority);
	values[JOBS_MAX_RETRIES] = Int16GetDatum(spec->max_retries);
	values[JOBS_QUEUE] = Int16GetDatum(job->queue);
	values[JOBS_CREATED_AT] = TimestampTzGetDatum(common->created_at);
	values[JOBS_NAME] = PointerGetDatum(cstring_to_text_with_len(spec->name, spec->name_len));
	values[JOBS_FREQUENCY] = common->frequency;
	values[JOBS_STATE] = common->state;
	values[JOBS_OWNER] = common->owner;
	values[JOBS_PAYLOAD] = payload != NULL ? JsonbPGetDatum(payload) : common->empty_payload;
	set(values, nulls, JOBS_TIMEOUT, spec->has_timeout, IntervalPGetDatum(&spec->timeout));
	set(values, nulls, JOBS_RETRY_DELAY, spec->has_retry_delay, IntervalPGetDatum(&spec->retry_delay));
	set(values, nulls, JOBS_RETRY_DELAY_MAX, spec->has_retry_delay_max, IntervalPGetDatum(&spec->retry_delay_max));
	values[JOBS_BACKOFF] = CStringGetTextDatum(spec->backoff);
	set(values, nulls, JOBS_EXPIRES_AT, spec->has_expires_at, TimestampTzGetDatum(spec->expires_at));
	set(values, nulls, JOBS_UNIQUE_KEY, spec->unique_key != NULL,
		spec->unique_key != NULL ? PointerGetDatum(cstring_to_text_with_len(spec->unique_key, spec->unique_key_len)) : (Datum) 0);
	nulls[JOBS_RERUN_AT] = nulls[JOBS_STATE_BY] = nulls[JOBS_STATE_AT] = true;
	set(values, nulls, JOBS_TRACEPARENT, spec->traceparent != NULL,
		spec->traceparent != NULL ? PointerGetDatum(cstring_to_text_with_len(spec->traceparent, JOBSPEC_TRACEPARENT)) : (Datum) 0);
	writer_add(writer, values, nulls);
}

static void
add_timer(Writer *writer, const NewJob *job, int32 task)
{
	Datum		values[TIMERS_COLUMNS] = {0};
	bool		nulls[TIMERS_COLUMNS] = {0};

	values[TIMERS_DUE_AT] = values[TIMERS_RUN_AT] = TimestampTzGetDatum(job->due);
	values[TIMERS_JOB_ID] = UUIDPGetDatum(&job->id);
	values[TIMERS_TASK] = Int32GetDatum(task);
	values[TIMERS_ATTEMPT] = Int16GetDatum(1);
	values[TIMERS_FAILURES] = values[TIMERS_LOSSES] = Int16GetDatum(0);
	values[TIMERS_PRIORITY] = Int16GetDatum(job->spec->priority);
	values[TIMERS_QUEUE] = Int16GetDatum(job->queue);
	values[TIMERS_SEGMENT] = Int16GetDatum(functions_segment_of(&job->id));
	values[TIMERS_CRON] = BoolGetDatum(false);
	writer_add(writer, values, nulls);
}

/* What the scheduler has to see to when their expires_at has come. */
static void
add_expiries(const NewJob *jobs, int count)
{
	Column		ids = {0},
				times = {0};
	Datum		values[2];

	for (int i = 0; i < count; i++)
	{
		if (!jobs[i].spec->has_expires_at)
			continue;
		column_add(&ids, UUIDPGetDatum(&jobs[i].id));
		column_add(&times, TimestampTzGetDatum(jobs[i].spec->expires_at));
	}
	if (ids.count == 0)
		return;
	values[0] = column_array(&ids, UUIDOID);
	values[1] = column_array(&times, TIMESTAMPTZOID);
	(void) call_run(&plan_expiries, values);
}

void
jobstore_new_ids(NewJob *jobs, int count)
{
	Snapshot	snapshot;
	int			slot;

	if (count == 0)
		return;
	PreventCommandIfReadOnly("jobsched.submit()");
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	claim_database(snapshot);
	slot = ring_open_slot(snapshot);
	UnregisterSnapshot(snapshot);
	for (int i = 0; i < count; i++)
		functions_new_id(slot, &jobs[i].id);
}

static const char *
owner(void)
{
	return GetUserNameFromId(GetOuterUserId(), false);
}

static int
compare_keys(const void *a, const void *b)
{
	const NewJob *x = *(NewJob *const *) a;
	const NewJob *y = *(NewJob *const *) b;
	int			order = memcmp(x->spec->unique_key, y->spec->unique_key, Min(x->spec->unique_key_len, y->spec->unique_key_len));

	if (order == 0)
		order = x->spec->unique_key_len - y->spec->unique_key_len;
	return order != 0 ? order : (x > y) - (x < y);
}

/* Of jobs with a key, in its order. */
typedef struct Keyed
{
	NewJob	  **jobs;
	int			count;
} Keyed;

static void
take_keys(void *arg)
{
	Keyed	   *keyed = arg;
	Column		keys = {0},
				ids = {0};
	Datum		values[3];
	uint64		rows,
				row = 0;
	bool		isnull;

	for (int i = 0; i < keyed->count; i++)
	{
		const JobSpec *spec = keyed->jobs[i]->spec;

		column_add(&keys, PointerGetDatum(cstring_to_text_with_len(spec->unique_key, spec->unique_key_len)));
		column_add(&ids, UUIDPGetDatum(&keyed->jobs[i]->id));
	}
	values[0] = CStringGetTextDatum(owner());
	values[1] = column_array(&keys, TEXTOID);
	values[2] = column_array(&ids, UUIDOID);
	rows = call_query(&plan_take_keys, values, NULL);
	for (int i = 0; i < keyed->count; i++)
	{
		NewJob	   *job = keyed->jobs[i];

		job->key_taken = row == rows || memcmp(DatumGetUUIDP(call_value(row, 1, &isnull)), &job->id, sizeof(job->id)) != 0;
		row += job->key_taken ? 0 : 1;
	}
	if (row != rows)
		elog(ERROR, UINT64_FORMAT " unique_keys were taken, " UINT64_FORMAT " in order", rows, row);
}

void
jobstore_take_keys(NewJob *jobs, int count)
{
	Keyed		keyed = {.jobs = palloc(Max(count, 1) * sizeof(NewJob *))};

	for (int i = 0; i < count; i++)
	{
		if (jobs[i].spec->unique_key != NULL)
			keyed.jobs[keyed.count++] = &jobs[i];
	}
	if (keyed.count > 0)
	{
		qsort(keyed.jobs, keyed.count, sizeof(NewJob *), compare_keys);
		call_inside(take_keys, &keyed);
	}
	pfree(keyed.jobs);
}

void
jobstore_insert(NewJob *jobs, int count)
{
	MemoryContext rows = AllocSetContextCreate(CurrentMemoryContext, "jobsched new rows", ALLOCSET_DEFAULT_SIZES);
	Common		common;
	Writer		new_jobs,
				new_timers;
	JsonbValue	empty = {.type = jbvObject};
	MemoryContext old;

	if (count == 0)
		return;
	common.slot = functions_slot_of(&jobs[0].id);
	common.frequency = CStringGetTextDatum("once");
	common.state = CStringGetTextDatum("active");
	common.owner = CStringGetTextDatum(owner());
	common.empty_payload = JsonbPGetDatum(JsonbValueToJsonb(&empty));
	common.created_at = GetCurrentTransactionStartTimestamp();

	writer_open(&new_jobs, ring_leaf("jobs", common.slot), JOBS_COLUMNS, count);
	writer_open(&new_timers, "timers", TIMERS_COLUMNS, count);
	old = MemoryContextSwitchTo(rows);
	for (int i = 0; i < count; i++)
	{
		NewJob	   *job = &jobs[i];
		int32		task = functions_task_hash(job->spec->name, job->spec->name_len);

		job->due = job->spec->has_run_at ? job->spec->run_at : GetCurrentTimestamp();
		add_job(&new_jobs, job, &common);
		add_timer(&new_timers, job, task);
		wakeup_note(job->queue, job->spec->priority, job->due);
		metrics_submitted(task, job->spec->name, job->spec->name_len);
		if (new_jobs.count == 0)
			MemoryContextReset(rows);
	}
	writer_close(&new_jobs);
	writer_close(&new_timers);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(rows);
	CommandCounterIncrement();
	add_expiries(jobs, count);
}
