/*
 * claim.c: jobsched.claim(), by which a worker takes dispatches and is told what to run.
 *
 * One statement takes the dispatches and says what is in them; the jobs of their runs are then looked up one by one in the leaf that
 * their ids name, without a plan.  What does not go that way goes the script's: _claim() takes what the statement left (repeated
 * claims, rows that somebody has locked, and whatever is an error), and _claim_rows() answers when one of the runs is over before it
 * begins (cancelled, expired, its job gone), and ends it.
 */
#include "jobsched.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

#include "call.h"
#include "functions.h"
#include "jobstore.h"
#include "metrics.h"
#include "ring.h"
#include "wakeup.h"
#include "writer.h"

JS_FUNCTION(js_claim);

/*
 * What a live worker may have at once of $3, in its order; nothing when this database is not ours, as _adopted() says.  Rows that
 * are locked are left alone, so that nothing is waited for and no subtransaction is needed.
 */
static CallPlan plan_take = {	/* guard: M_CLAIM_NO_STATUS */
	.sql = "WITH c AS (UPDATE jobsched.dispatches d SET status = 'claimed', worker = $1, claim_token = $2, claimed_at = $4"
	" WHERE d.ctid = ANY (ARRAY(SELECT q.ctid FROM jobsched.dispatches q WHERE q.id = ANY ($3) AND q.status = 'queued' FOR UPDATE SKIP LOCKED))"
	" AND d.status = 'queued'"
	" AND (SELECT w.state = 'live' AND (SELECT bool_and(c.system_identifier = $5 AND c.database = $6) FROM jobsched.cluster c)"
	" FROM jobsched.workers w WHERE w.id = $1)"
	" RETURNING d.id, d.done, d.job_ids, d.run_ats, d.attempts, d.failures, d.queue)"
	" SELECT c.id, c.done, c.job_ids, c.run_ats, c.attempts, c.failures, true, c.queue FROM c ORDER BY array_position($3, c.id)",
	.nargs = 6,
	.types = {UUIDOID, UUIDOID, UUIDARRAYOID, TIMESTAMPTZOID, TEXTOID, OIDOID}
};

static CallPlan plan_claim = {
	.sql = "SELECT at, mine FROM jobsched._claim($1, $2, $3)",
	.nargs = 3,
	.types = {UUIDOID, UUIDOID, UUIDARRAYOID}
};

/* guard: D_CLAIM_NOT_REPEATABLE: what this very token claimed before is answered again */
static CallPlan plan_held = {
	.sql = "SELECT d.id, d.done, d.job_ids, d.run_ats, d.attempts, d.failures, d.id = ANY ($4) FROM jobsched.dispatches d"
	" WHERE d.id = ANY ($3) AND d.claim_token = $2 AND d.worker = $1 AND d.status = 'claimed' ORDER BY array_position($3, d.id)",
	.nargs = 4,
	.types = {UUIDOID, UUIDOID, UUIDARRAYOID, UUIDARRAYOID}
};

static CallPlan plan_rows = {
	.sql = "SELECT * FROM jobsched._claim_rows($1, $2, $3, $4, $5)",
	.nargs = 5,
	.types = {UUIDOID, UUIDOID, UUIDARRAYOID, UUIDARRAYOID, TIMESTAMPTZOID}
};

enum
{
	OUT_DISPATCH, OUT_RUN, OUT_JOB_ID, OUT_RUN_AT, OUT_ATTEMPT, OUT_NAME, OUT_PAYLOAD, OUT_TIMEOUT, OUT_MAX_RETRIES, OUT_FAILURES, OUT_TRACEPARENT, OUT_COLUMNS
};

/* A leaf of jobs that is open for reading. */
typedef struct Leaf
{
	Relation	rel,
				index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
} Leaf;

typedef struct Call
{
	FunctionCallInfo fcinfo;
	Datum		values[5];		/* worker, token, dispatches, mine, at */
	char		nulls[6];
	Snapshot	snapshot;
	Leaf		leaves[RING_KEPT + 1];
} Call;

/* ------------------------------------------------------------------ jobs */

static void
open_leaf(Call *call, int number)
{
	Leaf	   *leaf = &call->leaves[number];
	char	   *name = ring_leaf("jobs", number);

	if (leaf->rel != NULL)
		return;
	leaf->rel = table_open(writer_relation(name), AccessShareLock);
	leaf->index = index_open(writer_relation(psprintf("%s_pkey", name)), AccessShareLock);
}

static void
close_leaves(Call *call)
{
	for (int i = 0; i <= RING_KEPT; i++)
	{
		Leaf	   *leaf = &call->leaves[i];

		if (leaf->rel == NULL)
			continue;
		if (leaf->scan != NULL)
		{
			index_endscan(leaf->scan);
			ExecDropSingleTupleTableSlot(leaf->slot);
		}
		index_close(leaf->index, NoLock);
		table_close(leaf->rel, NoLock);
	}
}

static TupleTableSlot *
look_up(Call *call, int number, const pg_uuid_t *id)
{
	Leaf	   *leaf = &call->leaves[number];
	ScanKeyData key;

	if (leaf->scan == NULL)
	{
		leaf->scan = index_beginscan(leaf->rel, leaf->index, call->snapshot, 1, 0);
		leaf->slot = table_slot_create(leaf->rel, NULL);
	}
	/* The index is on (id, slot). */
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(id));
	index_rescan(leaf->scan, &key, 1, NULL, 0);
	return index_getnext_slot(leaf->scan, ForwardScanDirection, leaf->slot) ? leaf->slot : NULL;
}

static Datum
attribute(TupleTableSlot *slot, int column, bool *isnull)
{
	return slot_getattr(slot, column + 1, isnull);
}

static bool
is_over(TupleTableSlot *job, TimestampTz at)
{
	bool		isnull;
	text	   *state = DatumGetTextPP(attribute(job, JOBS_STATE, &isnull));
	TimestampTz expires_at;

	if (VARSIZE_ANY_EXHDR(state) == 9 && memcmp(VARDATA_ANY(state), "cancelled", 9) == 0)
		return true;
	expires_at = DatumGetTimestampTz(attribute(job, JOBS_EXPIRES_AT, &isnull));
	return !isnull && expires_at <= at;
}

/* For the metrics of what it will end as: finish knows tasks by their hash only. */
static void
learn_name(const text *name)
{
	int			len = (int) VARSIZE_ANY_EXHDR(name);

	metrics_name(functions_task_hash(VARDATA_ANY(name), len), VARDATA_ANY(name), len);
}

static void
add_run(Tuplestorestate *store, TupleDesc desc, Datum *values, TupleTableSlot *job)
{
	bool		nulls[OUT_COLUMNS] = {0};
	bool		isnull;
	Datum		timeout = attribute(job, JOBS_TIMEOUT, &isnull);

	nulls[OUT_TIMEOUT] = isnull;
	if (!isnull)
	{
		const Interval *interval = DatumGetIntervalP(timeout);

		values[OUT_TIMEOUT] = Float8GetDatum((double) interval->month * DAYS_PER_MONTH * SECS_PER_DAY + (double) interval->day * SECS_PER_DAY +
											 (double) interval->time / USECS_PER_SEC);
	}
	values[OUT_NAME] = attribute(job, JOBS_NAME, &isnull);
	learn_name(DatumGetTextPP(values[OUT_NAME]));
	values[OUT_PAYLOAD] = attribute(job, JOBS_PAYLOAD, &isnull);
	values[OUT_MAX_RETRIES] = Int32GetDatum(DatumGetInt16(attribute(job, JOBS_MAX_RETRIES, &isnull)));
	values[OUT_TRACEPARENT] = attribute(job, JOBS_TRACEPARENT, &nulls[OUT_TRACEPARENT]);
	tuplestore_putvalues(store, desc, values, nulls);
}

/* ------------------------------------------------------------------ dispatches */

static void
open_leaves(Call *call, uint64 rows)
{
	for (uint64 row = 0; row < rows; row++)
	{
		int			n;
		const pg_uuid_t *ids = call_array(row, 3, &n);

		for (int i = 0; i < n; i++)
			open_leaf(call, ids[i].data[6] & 0x0F);
	}
	open_leaf(call, RING_KEPT);
}

/* From the last result, `rows` dispatches.  False: a run is over before it begins. */
static bool
answer_plain(Call *call, uint64 rows, Tuplestorestate *store, TupleDesc desc)
{
	TimestampTz at = DatumGetTimestampTz(call->values[4]);
	bool		plain = true;
	bool		isnull;

	open_leaves(call, rows);
	/* Taken when the leaves are locked: none is truncated from now on. */
	call->snapshot = RegisterSnapshot(GetTransactionSnapshot());
	for (uint64 row = 0; row < rows && plain; row++)
	{
		uint64		done = (uint64) DatumGetInt64(call_value(row, 2, &isnull));
		int			n;
		const pg_uuid_t *ids = call_array(row, 3, &n);
		const TimestampTz *run_ats = call_array(row, 4, &n);
		const int16 *attempts = call_array(row, 5, &n);
		const int16 *failures = call_array(row, 6, &n);
		bool		mine = DatumGetBool(call_value(row, 7, &isnull)) && !isnull;

		for (int i = 0; i < n && plain; i++)
		{
			Datum		values[OUT_COLUMNS] = {0};
			TupleTableSlot *job;

			if ((done >> i) & 1)
				continue;
			job = look_up(call, ids[i].data[6] & 0x0F, &ids[i]);
			if (job == NULL)
				job = look_up(call, RING_KEPT, &ids[i]);
			/* guard: M_CANCEL_NOT_AT_CLAIM, M_REPEAT_ENDS_CANCELLED: only what is claimed now ends */
			if (mine && (job == NULL || is_over(job, at)))
				plain = false;
			if (!plain || job == NULL)
				continue;
			values[OUT_DISPATCH] = call_value(row, 1, &isnull);
			values[OUT_RUN] = Int16GetDatum((int16) i);
			values[OUT_JOB_ID] = UUIDPGetDatum(&ids[i]);
			values[OUT_RUN_AT] = TimestampTzGetDatum(run_ats[i]);
			values[OUT_ATTEMPT] = Int16GetDatum(attempts[i]);
			values[OUT_FAILURES] = Int16GetDatum(failures[i]);
			add_run(store, desc, values, job);
		}
	}
	close_leaves(call);
	UnregisterSnapshot(call->snapshot);
	return plain;
}

/* Takes what can be taken at once; returns how many dispatches the last result has. */
static uint64
take(Call *call)
{
	Datum		values[6] = {call->values[0], call->values[1], call->values[2], TimestampTzGetDatum(GetCurrentTimestamp()),
	CStringGetTextDatum(psprintf(UINT64_FORMAT, GetSystemIdentifier())), ObjectIdGetDatum(MyDatabaseId)};
	uint64		rows;
	bool		isnull;

	/* What a crash takes away of this commit only repeats work: the token sorts it out. */
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	rows = call_query(&plan_take, values, NULL);
	for (uint64 row = 0; row < rows; row++)
		wakeup_dequeued(DatumGetInt16(call_value(row, 8, &isnull)), 1);
	call->values[4] = values[3];
	return rows;
}

/* The rest of them: _claim() knows what to do.  False: nothing has been handed out here.  mine: what take() took, then all. */
static bool
take_rest(Call *call, pg_uuid_t *mine, uint64 count)
{
	bool		isnull;
	int			more = 0;
	const pg_uuid_t *rest;
	Datum	   *all;

	(void) call_query(&plan_claim, call->values, call->nulls);
	call->values[4] = call_value(0, 1, &isnull);
	if (isnull)
		return false;
	(void) call_value(0, 2, &isnull);
	rest = isnull ? NULL : call_array(0, 2, &more);
	all = palloc((count + more + 1) * sizeof(Datum));
	for (uint64 i = 0; i < count; i++)
		all[i] = UUIDPGetDatum(&mine[i]);
	for (int i = 0; i < more; i++)
		all[count + i] = UUIDPGetDatum(&rest[i]);
	call->values[3] = PointerGetDatum(construct_array(all, (int) count + more, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	return true;
}

static pg_uuid_t *
taken(uint64 rows)
{
	pg_uuid_t  *ids = palloc((rows + 1) * sizeof(pg_uuid_t));
	bool		isnull;

	for (uint64 row = 0; row < rows; row++)
		ids[row] = *DatumGetUUIDP(call_value(row, 1, &isnull));
	return ids;
}

static int
array_length_of(Datum array)
{
	ArrayType  *a = DatumGetArrayTypeP(array);

	return ArrayGetNItems(ARR_NDIM(a), ARR_DIMS(a));
}

static void
claim(void *arg)
{
	Call	   *call = arg;
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) call->fcinfo->resultinfo;
	bool		complete = call->nulls[0] == ' ' && call->nulls[1] == ' ' && call->nulls[2] == ' ';
	uint64		rows = complete ? take(call) : 0;

	call->values[3] = call->values[2];
	if (rows == 0 || rows < (uint64) array_length_of(call->values[2]))
	{
		if (!take_rest(call, taken(rows), rows))
			return;
		rows = call_query(&plan_held, call->values, call->nulls);
	}
	if (answer_plain(call, rows, rsinfo->setResult, rsinfo->setDesc))
		return;
	tuplestore_clear(rsinfo->setResult);
	rows = call_query(&plan_rows, call->values, call->nulls);
	for (uint64 row = 0; row < rows; row++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[row]);
}

/* js_claim(worker uuid, token uuid, dispatches uuid[]) returns table (...): see docs/protocol.md */
Datum
js_claim(PG_FUNCTION_ARGS)
{
	Call		call = {.fcinfo = fcinfo};

	InitMaterializedSRF(fcinfo, 0);
	memset(call.nulls, ' ', 5);
	for (int i = 0; i < 3; i++)
	{
		call.values[i] = PG_GETARG_DATUM(i);
		call.nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	call_inside(claim, &call);
	return (Datum) 0;
}
