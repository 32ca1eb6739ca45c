/*
 * jobstore.c: rows of jobs and timers, many at a time.
 *
 * Tuples are formed here and given to the table's and its indexes' access methods, as COPY does it: no plan, no
 * partition routing, one WAL record a page.
 */
#include "jobstore.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "call.h"
#include "functions.h"
#include "wakeup.h"

#define ROWS_AT_ONCE 1000

/* Columns, in the order of the script. */
enum
{
	JOBS_SLOT, JOBS_ID, JOBS_PRIORITY, JOBS_MAX_RETRIES, JOBS_QUEUE, JOBS_CREATED_AT, JOBS_NAME, JOBS_FREQUENCY, JOBS_STATE, JOBS_OWNER,
	JOBS_PAYLOAD, JOBS_TIMEOUT, JOBS_RETRY_DELAY, JOBS_RETRY_DELAY_MAX, JOBS_BACKOFF, JOBS_EXPIRES_AT, JOBS_UNIQUE_KEY, JOBS_RERUN_AT,
	JOBS_STATE_BY, JOBS_STATE_AT, JOBS_COLUMNS
};

enum
{
	TIMERS_DUE_AT, TIMERS_RUN_AT, TIMERS_JOB_ID, TIMERS_TASK, TIMERS_ATTEMPT, TIMERS_FAILURES, TIMERS_LOSSES, TIMERS_PRIORITY,
	TIMERS_QUEUE, TIMERS_SEGMENT, TIMERS_CRON, TIMERS_COLUMNS
};

enum
{
	RING_SLOT, RING_OPENED_AT, RING_CLOSED_AT
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

/* ------------------------------------------------------------------ small tables */

static Oid
find_relation(const char *name)
{
	Oid			oid = get_relname_relid(name, get_namespace_oid("jobsched", false));

	if (!OidIsValid(oid))
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation \"jobsched.%s\" does not exist", name));
	return oid;
}

/* The first use of a new database claims it: see _first_use() in the script. */
static void
claim_database(Snapshot snapshot)
{
	Relation	cluster = table_open(find_relation("cluster"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(cluster, InvalidOid, false, snapshot, 0, NULL);
	bool		claimed = systable_getnext(scan) != NULL;

	systable_endscan(scan);
	table_close(cluster, NoLock);
	if (!claimed)
		(void) call_run(&plan_first_use, NULL);
}

static int
open_slot(Snapshot snapshot)
{
	Relation	ring = table_open(find_relation("ring"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(ring, InvalidOid, false, snapshot, 0, NULL);
	TimestampTz newest = DT_NOBEGIN;
	int			slot = 0;
	HeapTuple	tuple;

	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		TimestampTz opened_at = DatumGetTimestampTz(heap_getattr(tuple, RING_OPENED_AT + 1, RelationGetDescr(ring), &isnull));

		(void) heap_getattr(tuple, RING_CLOSED_AT + 1, RelationGetDescr(ring), &isnull);
		if (!isnull || opened_at < newest)
			continue;
		newest = opened_at;
		slot = DatumGetInt16(heap_getattr(tuple, RING_SLOT + 1, RelationGetDescr(ring), &isnull));
	}
	systable_endscan(scan);
	table_close(ring, NoLock);
	return slot;
}

int16
jobstore_queue(const JobSpec *spec)
{
	text	   *name = spec->queue != NULL ? cstring_to_text_with_len(spec->queue, spec->queue_len) : cstring_to_text(js_queue);
	Relation	queues = table_open(find_relation("queues"), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			id = -1;
	bool		isnull;

	ScanKeyEntryInitialize(&key, 0, QUEUES_NAME + 1, BTEqualStrategyNumber, InvalidOid, DEFAULT_COLLATION_OID, F_TEXTEQ, PointerGetDatum(name));
	scan = systable_beginscan(queues, find_relation("queues_name_key"), true, snapshot, 1, &key);
	if ((tuple = systable_getnext(scan)) != NULL)
		id = DatumGetInt16(heap_getattr(tuple, QUEUES_ID + 1, RelationGetDescr(queues), &isnull));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(queues, NoLock);
	if (id < 0)
	{
		Datum		values[1] = {PointerGetDatum(name)};

		id = DatumGetInt16(call_run(&plan_queue_id, values));
	}
	return (int16) id;
}

/* ------------------------------------------------------------------ rows */

/* A table that is being written to. */
typedef struct Target
{
	Relation	rel;
	ResultRelInfo *info;
	EState	   *estate;
	TupleTableSlot **slots;
	int			allocated,
				count;
} Target;

static void
open_target(Target *target, const char *name, int columns, int rows)
{
	target->rel = table_open(find_relation(name), RowExclusiveLock);
	if (RelationGetNumberOfAttributes(target->rel) != columns)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("jobsched.%s has %d columns, the library knows %d", name, RelationGetNumberOfAttributes(target->rel), columns),
				errhint("ALTER EXTENSION jobsched UPDATE, or install the library of the same version."));
	if (target->rel->trigdesc != NULL)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("jobsched.%s has a trigger, which would not be called", name));
	target->estate = CreateExecutorState();
	target->info = makeNode(ResultRelInfo);
	InitResultRelInfo(target->info, target->rel, 0, NULL, 0);
	ExecOpenIndices(target->info, false);
	target->allocated = Min(rows, ROWS_AT_ONCE);
	target->count = 0;
	target->slots = palloc(target->allocated * sizeof(*target->slots));
	for (int i = 0; i < target->allocated; i++)
		target->slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(target->rel), &TTSOpsHeapTuple);
}

static void
flush(Target *target)
{
	if (target->count == 0)
		return;
	if (target->count == 1)
		table_tuple_insert(target->rel, target->slots[0], GetCurrentCommandId(true), 0, NULL);
	else
		table_multi_insert(target->rel, target->slots, target->count, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < target->count; i++)
	{
		ResetPerTupleExprContext(target->estate);
		list_free(ExecInsertIndexTuples(target->info, target->slots[i], target->estate, false, false, NULL, NIL));
		ExecClearTuple(target->slots[i]);
	}
	target->count = 0;
}

static void
add_row(Target *target, Datum *values, bool *nulls)
{
	TupleTableSlot *slot = target->slots[target->count++];

	ExecStoreHeapTuple(heap_form_tuple(RelationGetDescr(target->rel), values, nulls), slot, true);
	slot->tts_tableOid = RelationGetRelid(target->rel);
	if (target->count == target->allocated)
		flush(target);
}

static void
close_target(Target *target)
{
	flush(target);
	for (int i = 0; i < target->allocated; i++)
		ExecDropSingleTupleTableSlot(target->slots[i]);
	ExecCloseIndices(target->info);
	FreeExecutorState(target->estate);
	table_close(target->rel, NoLock);
}

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
add_job(Target *target, const NewJob *job, const Common *common)
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
	nulls[JOBS_UNIQUE_KEY] = nulls[JOBS_RERUN_AT] = nulls[JOBS_STATE_BY] = nulls[JOBS_STATE_AT] = true;
	add_row(target, values, nulls);
}

static void
add_timer(Target *target, const NewJob *job)
{
	Datum		values[TIMERS_COLUMNS] = {0};
	bool		nulls[TIMERS_COLUMNS] = {0};

	values[TIMERS_DUE_AT] = values[TIMERS_RUN_AT] = TimestampTzGetDatum(job->due);
	values[TIMERS_JOB_ID] = UUIDPGetDatum(&job->id);
	values[TIMERS_TASK] = Int32GetDatum(functions_task_hash(job->spec->name, job->spec->name_len));
	values[TIMERS_ATTEMPT] = Int16GetDatum(1);
	values[TIMERS_FAILURES] = values[TIMERS_LOSSES] = Int16GetDatum(0);
	values[TIMERS_PRIORITY] = Int16GetDatum(job->spec->priority);
	values[TIMERS_QUEUE] = Int16GetDatum(job->queue);
	values[TIMERS_SEGMENT] = Int16GetDatum(functions_segment_of(&job->id));
	values[TIMERS_CRON] = BoolGetDatum(false);
	add_row(target, values, nulls);
}

void
jobstore_insert(NewJob *jobs, int count)
{
	MemoryContext rows = AllocSetContextCreate(CurrentMemoryContext, "jobsched new rows", ALLOCSET_DEFAULT_SIZES);
	Snapshot	snapshot;
	Common		common;
	Target		target_jobs,
				target_timers;
	JsonbValue	empty = {.type = jbvObject};
	MemoryContext old;

	if (count == 0)
		return;
	PreventCommandIfReadOnly("jobsched.submit()");
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	claim_database(snapshot);
	common.slot = open_slot(snapshot);
	UnregisterSnapshot(snapshot);
	common.frequency = CStringGetTextDatum("once");
	common.state = CStringGetTextDatum("active");
	common.owner = CStringGetTextDatum(GetUserNameFromId(GetOuterUserId(), false));
	common.empty_payload = JsonbPGetDatum(JsonbValueToJsonb(&empty));
	common.created_at = GetCurrentTransactionStartTimestamp();

	open_target(&target_jobs, psprintf("jobs_%d", common.slot), JOBS_COLUMNS, count);
	open_target(&target_timers, "timers", TIMERS_COLUMNS, count);
	old = MemoryContextSwitchTo(rows);
	for (int i = 0; i < count; i++)
	{
		NewJob	   *job = &jobs[i];

		functions_new_id(common.slot, &job->id);
		job->due = job->spec->has_run_at ? job->spec->run_at : GetCurrentTimestamp();
		add_job(&target_jobs, job, &common);
		add_timer(&target_timers, job);
		wakeup_note(job->queue, job->spec->priority, job->due);
		if (target_jobs.count == 0)
			MemoryContextReset(rows);
	}
	flush(&target_jobs);
	flush(&target_timers);
	MemoryContextSwitchTo(old);
	close_target(&target_jobs);
	close_target(&target_timers);
	MemoryContextDelete(rows);
	CommandCounterIncrement();
}
