/*
 * finish.c: jobsched.finish(), by which a worker records how runs have ended.
 *
 * Runs that succeeded, nearly all, are recorded here: one statement locks the dispatches, the execution rows go to the open
 * leaf together, two statements take the dispatches away or mark what is done in them.  A dispatch of which anything else is
 * told goes to the script's _finish(), which does the same with retries and cancels; its locks are taken here first, with
 * the others and in their order.
 */
#include "jobsched.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

#include "call.h"
#include "metrics.h"
#include "ring.h"
#include "writer.h"

JS_FUNCTION(js_finish);

/* guard: M_FINISH_NO_TOKEN is the comparison of tokens below */
static CallPlan plan_lock = {
	.sql = "SELECT d.id, d.claim_token, d.done, d.queued_at, d.job_ids, d.run_ats, d.attempts, d.tasks FROM jobsched.dispatches d"
	" WHERE d.id = ANY ($1) AND d.status = 'claimed' AND d.worker = $2 ORDER BY d.id FOR UPDATE",
	.nargs = 2,
	.types = {UUIDARRAYOID, UUIDOID}
};

static CallPlan plan_gone = {
	.sql = "DELETE FROM jobsched.dispatches d WHERE d.id = ANY ($1)",
	.nargs = 1,
	.types = {UUIDARRAYOID}
};

/* guard: M_FINISH_NOT_MASKING */
static CallPlan plan_part = {
	.sql = "UPDATE jobsched.dispatches d SET done = u.done FROM unnest($1, $2) AS u (id, done) WHERE d.id = u.id",
	.nargs = 2,
	.types = {UUIDARRAYOID, INT8ARRAYOID}
};

enum
{
	ARG_WORKER, ARG_DISPATCHES, ARG_TOKENS, ARG_RUNS, ARG_JOB_IDS, ARG_RUN_ATS, ARG_ATTEMPTS, ARG_OUTCOMES, ARG_REASONS, ARG_ERRORS,
	ARG_RESULTS, ARG_ARTIFACTS, ARG_STARTED_US, ARG_RAN_US, ARG_RETRY_US, ARGS
};

static CallPlan plan_finish = {
	.sql = "SELECT dispatch, run, answer FROM jobsched._finish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
	.nargs = ARGS,
	.types = {UUIDOID, UUIDARRAYOID, UUIDARRAYOID, INT2ARRAYOID, UUIDARRAYOID, TIMESTAMPTZARRAYOID, INT2ARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
	TEXTARRAYOID, JSONBARRAYOID, JSONBARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID}
};

static const struct
{
	Oid			element;
	int16		len;
	bool		byval;
	char		align;
}			arg_types[ARGS] = {
	{UUIDOID, UUID_LEN, false, TYPALIGN_CHAR},
	{UUIDOID, UUID_LEN, false, TYPALIGN_CHAR},
	{UUIDOID, UUID_LEN, false, TYPALIGN_CHAR},
	{INT2OID, 2, true, TYPALIGN_SHORT},
	{UUIDOID, UUID_LEN, false, TYPALIGN_CHAR},
	{TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{INT2OID, 2, true, TYPALIGN_SHORT},
	{TEXTOID, -1, false, TYPALIGN_INT},
	{TEXTOID, -1, false, TYPALIGN_INT},
	{TEXTOID, -1, false, TYPALIGN_INT},
	{JSONBOID, -1, false, TYPALIGN_INT},
	{JSONBOID, -1, false, TYPALIGN_INT},
	{INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE}
};

/* Columns of job_executions, in the order of the script. */
enum
{
	EXEC_SLOT, EXEC_ATTEMPT, EXEC_FINAL, EXEC_JOB_ID, EXEC_WORKER_ID, EXEC_RUN_AT, EXEC_QUEUED_AT, EXEC_STARTED_AT, EXEC_FINISHED_AT, EXEC_STATUS,
	EXEC_REASON, EXEC_ERROR, EXEC_RESULT, EXEC_ARTIFACTS, EXEC_COLUMNS
};

typedef enum Answer
{
	ANSWER_NONE,				/* not known yet */
	ANSWER_RECORDED,
	ANSWER_ALREADY,
	ANSWER_LOST
} Answer;

/* A dispatch that is locked. */
typedef struct Held
{
	pg_uuid_t	id;				/* first, for the search */
	pg_uuid_t	token;
	bool		has_token;
	uint64		old,			/* done before this call */
				done;
	TimestampTz queued_at;
	int			runs;
	const pg_uuid_t *job_ids;
	const TimestampTz *run_ats;
	const int16 *attempts;
	const int32 *tasks;
	int			tasks_count;	/* fewer than runs, when somebody else has made it */
} Held;

typedef struct Call
{
	FunctionCallInfo fcinfo;
	int			count;
	Datum	   *values[ARGS];
	bool	   *nulls[ARGS];
	TimestampTz at;
	bool	   *slow;			/* for _finish() */
	Answer	   *answers;
	Held	   *held;
	int			held_count;
} Call;

/* ------------------------------------------------------------------ reading */

/* False: something is wrong with an array as a whole, which _finish() says. */
static bool
read_arrays(Call *call)
{
	FunctionCallInfo fcinfo = call->fcinfo;

	if (PG_ARGISNULL(ARG_WORKER))
		return false;
	for (int i = ARG_DISPATCHES; i < ARGS; i++)
	{
		ArrayType  *array;
		int			n;

		if (PG_ARGISNULL(i))
			return false;
		array = PG_GETARG_ARRAYTYPE_P(i);
		if (ARR_NDIM(array) > 1)
			return false;
		deconstruct_array(array, arg_types[i].element, arg_types[i].len, arg_types[i].byval, arg_types[i].align, &call->values[i], &call->nulls[i], &n);
		if (i == ARG_DISPATCHES)
			call->count = n;
		else if (n != call->count)
			return false;
	}
	return true;
}

static const pg_uuid_t *
dispatch_of(const Call *call, int i)
{
	return DatumGetUUIDP(call->values[ARG_DISPATCHES][i]);
}

static bool
is_plain(const Call *call, int i)
{
	static const int must[] = {ARG_DISPATCHES, ARG_TOKENS, ARG_RUNS, ARG_OUTCOMES};
	text	   *outcome;
	int			run;

	for (int k = 0; k < (int) lengthof(must); k++)
	{
		if (call->nulls[must[k]][i])
			return false;
	}
	outcome = DatumGetTextPP(call->values[ARG_OUTCOMES][i]);
	run = DatumGetInt16(call->values[ARG_RUNS][i]);
	return VARSIZE_ANY_EXHDR(outcome) == 9 && memcmp(VARDATA_ANY(outcome), "succeeded", 9) == 0 && run >= 0 && run < JS_MAX_RUNS;
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}

static Held *
find_held(const Call *call, int i)
{
	if (call->nulls[ARG_DISPATCHES][i])
		return NULL;
	return bsearch(dispatch_of(call, i), call->held, call->held_count, sizeof(Held), compare_ids);
}

/* ------------------------------------------------------------------ the steps */

/* What is read stays in SPI's memory. */
static void
lock_dispatches(Call *call)
{
	Datum	   *ids = palloc(Max(call->count, 1) * sizeof(Datum));
	Datum		values[2];
	int			n = 0;
	bool		isnull;

	for (int i = 0; i < call->count; i++)
	{
		if (!call->nulls[ARG_DISPATCHES][i] && (n == 0 || compare_ids(DatumGetUUIDP(ids[n - 1]), dispatch_of(call, i)) != 0))
			ids[n++] = call->values[ARG_DISPATCHES][i];
	}
	values[0] = PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[1] = call->values[ARG_WORKER][0];
	call->held_count = (int) call_query(&plan_lock, values, NULL);
	call->held = palloc0(Max(call->held_count, 1) * sizeof(Held));
	for (int i = 0; i < call->held_count; i++)
	{
		Held	   *held = &call->held[i];
		Datum		token;

		held->id = *DatumGetUUIDP(call_value(i, 1, &isnull));
		token = call_value(i, 2, &isnull);
		held->has_token = !isnull;
		if (held->has_token)
			held->token = *DatumGetUUIDP(token);
		held->old = held->done = (uint64) DatumGetInt64(call_value(i, 3, &isnull));
		held->queued_at = DatumGetTimestampTz(call_value(i, 4, &isnull));
		held->job_ids = call_array(i, 5, &held->runs);
		held->run_ats = call_array(i, 6, &held->runs);
		held->attempts = call_array(i, 7, &held->runs);
		held->tasks = call_array(i, 8, &held->tasks_count);
	}
}

/* A dispatch goes to _finish() as a whole. */
static void
mark_slow(Call *call)
{
	for (int i = 0; i < call->count; i++)
	{
		Held	   *held = find_held(call, i);
		bool		plain = is_plain(call, i) && held != NULL && held->has_token &&
			compare_ids(&held->token, DatumGetUUIDP(call->values[ARG_TOKENS][i])) == 0 &&
			DatumGetInt16(call->values[ARG_RUNS][i]) < held->runs;

		call->slow[i] = !plain;
		if (!plain && held != NULL)
			held->has_token = false;	/* nobody else matches it either */
	}
	for (int i = 0; i < call->count; i++)
	{
		if (!call->slow[i] && !find_held(call, i)->has_token)
			call->slow[i] = true;
	}
}

static void
add_execution(Call *call, Writer *writer, int i, const Held *held, int run, int slot, Datum succeeded)
{
	Datum		values[EXEC_COLUMNS] = {0};
	bool		nulls[EXEC_COLUMNS] = {0};
	int64		started_us = call->nulls[ARG_STARTED_US][i] ? 0 : DatumGetInt64(call->values[ARG_STARTED_US][i]);
	int64		ran_us = call->nulls[ARG_RAN_US][i] ? 0 : DatumGetInt64(call->values[ARG_RAN_US][i]);

	values[EXEC_SLOT] = Int16GetDatum((int16) slot);
	values[EXEC_ATTEMPT] = Int16GetDatum(held->attempts[run]);
	values[EXEC_FINAL] = BoolGetDatum(true);
	values[EXEC_JOB_ID] = UUIDPGetDatum(&held->job_ids[run]);
	values[EXEC_WORKER_ID] = call->values[ARG_WORKER][0];
	values[EXEC_RUN_AT] = TimestampTzGetDatum(held->run_ats[run]);
	values[EXEC_QUEUED_AT] = TimestampTzGetDatum(held->queued_at);
	values[EXEC_STARTED_AT] = TimestampTzGetDatum(call->at - started_us);
	nulls[EXEC_STARTED_AT] = call->nulls[ARG_STARTED_US][i];
	values[EXEC_FINISHED_AT] = TimestampTzGetDatum(nulls[EXEC_STARTED_AT] ? call->at : Min(call->at, call->at - (started_us - ran_us)));
	values[EXEC_STATUS] = succeeded;
	nulls[EXEC_REASON] = true;
	values[EXEC_ERROR] = call->values[ARG_ERRORS][i];
	nulls[EXEC_ERROR] = call->nulls[ARG_ERRORS][i];
	values[EXEC_RESULT] = call->values[ARG_RESULTS][i];
	nulls[EXEC_RESULT] = call->nulls[ARG_RESULTS][i];
	values[EXEC_ARTIFACTS] = call->values[ARG_ARTIFACTS][i];
	nulls[EXEC_ARTIFACTS] = call->nulls[ARG_ARTIFACTS][i];
	writer_add(writer, values, nulls);
	metrics_ended(run < held->tasks_count ? held->tasks[run] : 0, METRICS_SUCCEEDED, &held->job_ids[run], held->run_ats[run], held->attempts[run],
				  nulls[EXEC_STARTED_AT] ? DT_NOBEGIN : call->at - started_us, call->nulls[ARG_RAN_US][i] ? -1 : ran_us);
}

static void
record(Call *call)
{
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	int			slot = ring_open_slot(snapshot);
	Datum		succeeded = CStringGetTextDatum("succeeded");
	Writer		writer;

	UnregisterSnapshot(snapshot);
	writer_open(&writer, ring_leaf("job_executions", slot), EXEC_COLUMNS, call->count);
	for (int i = 0; i < call->count; i++)
	{
		Held	   *held;
		int			run;

		if (call->slow[i])
			continue;
		held = find_held(call, i);
		run = DatumGetInt16(call->values[ARG_RUNS][i]);
		/* guard: D_FINISH_NO_MASK_GUARD; also for a run that is told twice in this call */
		if ((held->done >> run) & 1)
		{
			call->answers[i] = ANSWER_ALREADY;
			continue;
		}
		held->done |= UINT64CONST(1) << run;
		call->answers[i] = ANSWER_RECORDED;
		add_execution(call, &writer, i, held, run, slot, succeeded);
	}
	writer_close(&writer);
}

static uint64
all_bits(int runs)
{
	return runs >= JS_MAX_RUNS ? PG_UINT64_MAX : (UINT64CONST(1) << runs) - 1;
}

static void
settle_dispatches(Call *call)
{
	Datum	   *gone = palloc(Max(call->held_count, 1) * sizeof(Datum));
	Datum	   *part = palloc(Max(call->held_count, 1) * sizeof(Datum));
	Datum	   *masks = palloc(Max(call->held_count, 1) * sizeof(Datum));
	int			ngone = 0,
				nparts = 0;
	uint64		changed = 0;

	for (int i = 0; i < call->held_count; i++)
	{
		Held	   *held = &call->held[i];

		if (held->done == held->old)
			continue;
		if (held->done == all_bits(held->runs))
			gone[ngone++] = UUIDPGetDatum(&held->id);
		else
		{
			part[nparts] = UUIDPGetDatum(&held->id);
			masks[nparts++] = Int64GetDatum((int64) held->done);
		}
	}
	if (ngone > 0)
	{
		Datum		values[1] = {PointerGetDatum(construct_array(gone, ngone, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR))};

		changed += call_query(&plan_gone, values, NULL);
	}
	if (nparts > 0)
	{
		Datum		values[2] = {
			PointerGetDatum(construct_array(part, nparts, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR)),
			PointerGetDatum(construct_array(masks, nparts, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE))
		};

		changed += call_query(&plan_part, values, NULL);
	}
	if (changed != (uint64) ngone + (uint64) nparts)
		elog(ERROR, "settled " UINT64_FORMAT " of %d locked dispatches", changed, ngone + nparts);
}

static Answer
answer_of(Datum word)
{
	char	   *answer = TextDatumGetCString(word);

	return strcmp(answer, "recorded") == 0 ? ANSWER_RECORDED : strcmp(answer, "already") == 0 ? ANSWER_ALREADY : ANSWER_LOST;
}

/* _finish() answers in the order of its arguments. */
static void
finish_slow(Call *call)
{
	int		   *which = palloc(Max(call->count, 1) * sizeof(int));
	Datum		values[ARGS];
	Datum	   *elements;
	bool	   *nulls;
	int			n = 0,
				lower = 1;

	for (int i = 0; i < call->count; i++)
	{
		if (call->slow[i])
			which[n++] = i;
	}
	if (n == 0)
		return;
	elements = palloc(n * sizeof(Datum));
	nulls = palloc(n * sizeof(bool));
	values[ARG_WORKER] = call->values[ARG_WORKER][0];
	for (int a = ARG_DISPATCHES; a < ARGS; a++)
	{
		for (int i = 0; i < n; i++)
		{
			elements[i] = call->values[a][which[i]];
			nulls[i] = call->nulls[a][which[i]];
		}
		values[a] = PointerGetDatum(construct_md_array(elements, nulls, 1, &n, &lower, arg_types[a].element, arg_types[a].len, arg_types[a].byval,
													   arg_types[a].align));
	}
	if (call_query(&plan_finish, values, NULL) != (uint64) n)
		elog(ERROR, "_finish() gave " UINT64_FORMAT " answers for %d runs", SPI_processed, n);
	for (int i = 0; i < n; i++)
	{
		bool		isnull;

		call->answers[which[i]] = answer_of(call_value(i, 3, &isnull));
	}
}

static void
finish(void *arg)
{
	Call	   *call = arg;
	bool		any = false;

	lock_dispatches(call);
	call->at = GetCurrentTimestamp();
	mark_slow(call);
	for (int i = 0; i < call->count; i++)
		any = any || !call->slow[i];
	if (any)
	{
		record(call);
		settle_dispatches(call);
	}
	finish_slow(call);
}

/* ------------------------------------------------------------------ SQL */

/* What is wrong with the arguments is said by _finish(). */
static void
finish_as_it_is(void *arg)
{
	FunctionCallInfo fcinfo = arg;
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[ARGS];
	char		nulls[ARGS];
	uint64		rows;

	for (int i = 0; i < ARGS; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	rows = call_query(&plan_finish, values, nulls);
	for (uint64 i = 0; i < rows; i++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
}

/* js_finish(...) returns table (dispatch uuid, run smallint, answer text): see docs/protocol.md */
Datum
js_finish(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Call		call = {.fcinfo = fcinfo};
	Datum		worker = PG_GETARG_DATUM(ARG_WORKER);
	Datum		words[ANSWER_LOST + 1];
	int			stale = 0;

	InitMaterializedSRF(fcinfo, 0);
	call.values[ARG_WORKER] = &worker;
	if (!read_arrays(&call))
	{
		call_inside(finish_as_it_is, fcinfo);
		return (Datum) 0;
	}
	call.slow = palloc0(Max(call.count, 1) * sizeof(bool));
	call.answers = palloc0(Max(call.count, 1) * sizeof(Answer));
	call_inside(finish, &call);

	words[ANSWER_RECORDED] = CStringGetTextDatum("recorded");
	words[ANSWER_ALREADY] = CStringGetTextDatum("already");
	words[ANSWER_LOST] = CStringGetTextDatum("lost");
	for (int i = 0; i < call.count; i++)
		stale += call.answers[i] == ANSWER_LOST;
	metrics_stale(stale);
	for (int i = 0; i < call.count; i++)
	{
		Datum		values[3] = {call.values[ARG_DISPATCHES][i], call.values[ARG_RUNS][i], words[call.answers[i]]};
		bool		nulls[3] = {call.nulls[ARG_DISPATCHES][i], call.nulls[ARG_RUNS][i], false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
