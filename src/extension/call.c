/*
 * call.c: one SQL statement, as the function's owner and with a safe search_path.
 */
#include "call.h"

#include "catalog/pg_type.h"
#include "jit/jit.h"
#include "optimizer/cost.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

#include "plan.h"

uint64
call_query(CallPlan *plan, Datum *values, const char *nulls)
{
	if (plan->plan == NULL)
		plan->plan = plan_keep(plan->sql, plan->nargs, plan->types);
	return plan_execute(plan->plan, plan->sql, values, nulls);
}

Datum
call_value(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

const void *
call_array(uint64 row, int column, int *count)
{
	bool		isnull;
	ArrayType  *array = DatumGetArrayTypeP(call_value(row, column, &isnull));

	*count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return ARR_DATA_PTR(array);
}

/*
 * What plans are made with, also those of functions that are called inside.  Plans are kept, and tables change: timers and
 * dispatches look tiny when the statistics are taken and are full of dead rows when the plan runs, so nothing is ever read from end
 * to end.  A probe of an index needs no plan of its own for each length of an array.  The variables themselves are changed, since that
 * is undone here in any case, and for four of them the settings' way costs more than a plan's execution.
 */
typedef struct Planner
{
	bool		seqscan;
	bool		bitmapscan;
	bool		jit;
	int			plans;
} Planner;

static Planner
planner_set(Planner wanted)
{
	Planner		before = {enable_seqscan, enable_bitmapscan, jit_enabled, plan_cache_mode};

	enable_seqscan = wanted.seqscan;
	enable_bitmapscan = wanted.bitmapscan;
	jit_enabled = wanted.jit;
	plan_cache_mode = wanted.plans;
	return before;
}

void
call_inside(void (*what) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	int			level = NewGUCNestLevel();
	Planner		planner;

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	planner = planner_set((Planner) {false, false, false, PLAN_CACHE_MODE_FORCE_GENERIC_PLAN});
	PG_TRY();
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "could not connect to SPI");
		what(arg);
		SPI_finish();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		(void) planner_set(planner);
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		error->context = NULL;
		ThrowErrorData(error);
	}
	PG_END_TRY();
	(void) planner_set(planner);
	AtEOXact_GUC(true, level);
}

/* One row, copied out. */
typedef struct Row
{
	CallPlan   *plan;
	Datum	   *values;
	const char *nulls;
	int			columns;
	Datum	   *results;
	bool	   *result_nulls;
	MemoryContext context;
} Row;

static void
fetch_row(void *arg)
{
	Row		   *row = arg;
	uint64		rows = call_query(row->plan, row->values, row->nulls);
	TupleDesc	desc = SPI_tuptable->tupdesc;
	MemoryContext old;

	if (rows != 1 || desc->natts != row->columns)
		elog(ERROR, "a call gave " UINT64_FORMAT " rows of %d columns", rows, desc->natts);
	old = MemoryContextSwitchTo(row->context);
	for (int i = 0; i < row->columns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		row->results[i] = call_value(0, i + 1, &row->result_nulls[i]);
		if (!row->result_nulls[i] && att->atttypid != VOIDOID)
			row->results[i] = datumCopy(row->results[i], att->attbyval, att->attlen);
	}
	MemoryContextSwitchTo(old);
}

void
call_row(CallPlan *plan, Datum *values, const char *nulls, int columns, Datum *results, bool *result_nulls)
{
	Row			row = {plan, values, nulls, columns, results, result_nulls, CurrentMemoryContext};

	call_inside(fetch_row, &row);
}

Datum
call_run(CallPlan *plan, Datum *values)
{
	Datum		result = (Datum) 0;
	bool		isnull = true;

	call_row(plan, values, NULL, 1, &result, &isnull);
	if (isnull)
		elog(ERROR, "\"%s\" gave null", plan->sql);
	return result;
}
