/*
 * call.c: one SQL statement, as the function's owner and with a safe search_path.
 */
#include "call.h"

#include "catalog/pg_type.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

static void
prepare(CallPlan *plan)
{
	if (plan->plan != NULL)
		return;
	plan->plan = SPI_prepare(plan->sql, plan->nargs, plan->types);
	if (plan->plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", plan->sql, SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan->plan) != 0)
		elog(ERROR, "could not keep a plan");
}

static void
copy_row(int columns, MemoryContext context, Datum *results, bool *result_nulls)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	MemoryContext old = MemoryContextSwitchTo(context);

	if (SPI_processed != 1 || desc->natts != columns)
		elog(ERROR, "a call gave " UINT64_FORMAT " rows of %d columns", SPI_processed, desc->natts);
	for (int i = 0; i < columns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		results[i] = SPI_getbinval(SPI_tuptable->vals[0], desc, i + 1, &result_nulls[i]);
		if (!result_nulls[i] && att->atttypid != VOIDOID)
			results[i] = datumCopy(results[i], att->attbyval, att->attlen);
	}
	MemoryContextSwitchTo(old);
}

void
call_row(CallPlan *plan, Datum *values, const char *nulls, int columns, Datum *results, bool *result_nulls)
{
	MemoryContext context = CurrentMemoryContext;
	int			level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	PG_TRY();
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "could not connect to SPI");
		prepare(plan);
		if (SPI_execute_plan(plan->plan, values, nulls, false, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not run \"%s\"", plan->sql);
		copy_row(columns, context, results, result_nulls);
		SPI_finish();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		error->context = NULL;
		ThrowErrorData(error);
	}
	PG_END_TRY();
	AtEOXact_GUC(true, level);
}

Datum
call_run(CallPlan *plan, Datum *values)
{
	Datum		result;
	bool		isnull;

	call_row(plan, values, NULL, 1, &result, &isnull);
	if (isnull)
		elog(ERROR, "\"%s\" gave null", plan->sql);
	return result;
}
