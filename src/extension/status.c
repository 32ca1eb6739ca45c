/*
 * status.c: js_scheduler_status(), what the scheduler processes are doing, from shared memory.
 */
#include "jobsched.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "shmem.h"

JS_FUNCTION(js_scheduler_status);

#define COLUMNS 18

static void
put_slot(ReturnSetInfo *rsinfo, const JsDatabase *db, int slice, const JsStatus *status)
{
	const JsCounters *n = &status->counters;
	bool		runs = status->pid != 0;
	Datum		values[COLUMNS] = {
		CStringGetTextDatum(db->name), Int32GetDatum(slice), Int32GetDatum((int32) status->pid),
		CStringGetTextDatum(status->state), CStringGetTextDatum(status->broker),
		TimestampTzGetDatum(status->started_at), TimestampTzGetDatum(status->next_wake),
		Int64GetDatum((int64) n->promoted), Int64GetDatum((int64) n->published), Int64GetDatum((int64) n->confirmed),
		Int64GetDatum((int64) n->returned), Int64GetDatum((int64) n->republished), Int64GetDatum((int64) n->rescued),
		Int64GetDatum((int64) n->loops), Int64GetDatum((int64) n->wakes[JS_WOKEN_BY_LATCH]),
		Int64GetDatum((int64) n->wakes[JS_WOKEN_BY_TIME]), Int64GetDatum((int64) n->wakes[JS_WOKEN_BY_BROKER]),
		Int64GetDatum((int64) n->expired)
	};
	bool		nulls[COLUMNS] = {
		[2] = !runs, [4] = !runs, [5] = !runs, [6] = !runs || TIMESTAMP_NOT_FINITE(status->next_wake)
	};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* A row for every process that runs or should run; none without shared_preload_libraries. */
Datum
js_scheduler_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	if (js_shared == NULL)
		PG_RETURN_NULL();
	for (int d = 0; d < js_shared->databases; d++)
	{
		JsDatabase *db = &js_shared->database[d];

		for (int i = 0; i < JS_MAX_SCHEDULERS; i++)
		{
			JsStatus	status;

			shmem_read_status(&db->slots[i], &status);
			if (status.pid != 0 || i < js_schedulers)
				put_slot(rsinfo, db, i, &status);
		}
	}
	PG_RETURN_NULL();
}
