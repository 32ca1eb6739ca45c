/*
 * promote_cron.c: promoting the run of a cron job plans the next one, in the same transaction.
 */
#include "promote_cron.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "cron_sql.h"
#include "txn.h"

/* guard: model D_ALTER_UNLOCKED; SKIP LOCKED, because alter and cancel lock schedules before timers. */
static TxnPlan plan_lock = {
	.sql = "SELECT job_id FROM jobsched.schedules WHERE job_id = ANY ($1) FOR UPDATE SKIP LOCKED",
	.nargs = 1,
	.types = {UUIDARRAYOID}
};

/* Of those that were not locked: exists, so somebody else holds it.  A run of a schedule that is gone is promoted. */
static TxnPlan plan_exists = {
	.sql = "SELECT job_id FROM jobsched.schedules WHERE job_id = ANY ($1)",
	.nargs = 1,
	.types = {UUIDARRAYOID}
};

/* guard: model D_NEXT_BY_ATTEMPT: a retried or released run must not plan the next time again */
static TxnPlan plan_mark = {
	.sql = "UPDATE jobsched.schedules SET last_run_at = $2"
	" WHERE job_id = $1 AND (last_run_at IS NULL OR last_run_at < $2) RETURNING cron, time_zone",
	.nargs = 2,
	.types = {UUIDOID, TIMESTAMPTZOID}
};

/* guard: model M_CRON_TWO_TX: in the transaction that takes the previous one */
static TxnPlan plan_next = {
	.sql = "INSERT INTO jobsched.timers"
	" (due_at, run_at, job_id, task, attempt, failures, losses, priority, queue, segment, cron)"
	" VALUES ($2, $2, $1, $3, 1, 0, 0, $4, $5, $6, true)",
	.nargs = 6,
	.types = {UUIDOID, TIMESTAMPTZOID, INT4OID, INT2OID, INT2OID, INT2OID}
};

static TxnPlan plan_tick = {
	.sql = "INSERT INTO jobsched.cron_ticks (job_id, run_at, outcome) VALUES ($1, $2, 'fired') ON CONFLICT DO NOTHING",
	.nargs = 2,
	.types = {UUIDOID, TIMESTAMPTZOID}
};

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}

/* Asks the plan for the jobs of the runs that are held; one stays held if whether it was returned is `held_if`. */
static void
look_up(TxnPlan *plan, DueRun *runs, int count, bool held_if)
{
	Datum	   *ids = palloc(count * sizeof(Datum));
	Datum		values[1];
	pg_uuid_t  *found;
	int			n = 0;
	uint64		rows;

	for (int i = 0; i < count; i++)
	{
		if (runs[i].held)
			ids[n++] = UUIDPGetDatum(&runs[i].job_id);
	}
	if (n == 0)
		return;
	values[0] = PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	rows = txn_run(plan, values, NULL);

	found = palloc(Max(rows, 1) * sizeof(pg_uuid_t));
	for (uint64 row = 0; row < rows; row++)
		found[row] = *DatumGetUUIDP(txn_value(row, 1));
	qsort(found, rows, sizeof(pg_uuid_t), compare_ids);
	for (int i = 0; i < count; i++)
	{
		if (runs[i].held)
			runs[i].held = held_if == (bsearch(&runs[i].job_id, found, rows, sizeof(pg_uuid_t), compare_ids) != NULL);
	}
}

int
promote_cron_hold(DueRun *runs, int count, TimestampTz *held_due)
{
	DueRun	   *held;
	int			kept = 0,
				n = 0;
	bool		any = false;

	*held_due = DT_NOEND;
	for (int i = 0; i < count; i++)
	{
		runs[i].held = runs[i].cron;
		any = any || runs[i].cron;
	}
	if (!any)
		return count;
	look_up(&plan_lock, runs, count, false);
	look_up(&plan_exists, runs, count, true);

	held = palloc(count * sizeof(DueRun));
	for (int i = 0; i < count; i++)
	{
		if (runs[i].held)
		{
			*held_due = Min(*held_due, runs[i].due_at);
			held[n++] = runs[i];
		}
		else
			runs[kept++] = runs[i];
	}
	memcpy(&runs[kept], held, n * sizeof(DueRun));
	return kept;
}

static void
plan_next_run(const Queue *queue, int priority, const DueRun *run, TimestampTz now)
{
	Datum		key[2] = {UUIDPGetDatum(&run->job_id), TimestampTzGetDatum(run->run_at)};
	char	   *expr,
			   *zone;
	TimestampTz next;
	CronError	error;

	if (txn_run(&plan_mark, key, NULL) == 0)
		return;
	expr = TextDatumGetCString(txn_value(0, 1));
	zone = TextDatumGetCString(txn_value(0, 2));
	txn_run(&plan_tick, key, NULL);

	/* Times missed while nothing ran are not made up for: this run stands for all of them. */
	if (cron_next_time(expr, Max(run->run_at, now), zone, NULL, &next, &error) == CRON_NEXT_OK)
	{
		Datum		values[6] = {
			UUIDPGetDatum(&run->job_id), TimestampTzGetDatum(next), Int32GetDatum(run->task),
			Int16GetDatum((int16) priority), Int16GetDatum(queue->id), Int16GetDatum(run->segment)
		};

		txn_run(&plan_next, values, NULL);
	}
	else
		ereport(LOG,
				errmsg("jobsched: cron job %s has no next run: expression \"%s\", time zone \"%s\"",
					   DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&run->job_id))), expr, zone));
}

void
promote_cron_plan(const Queue *queue, int priority, const DueRun *runs, int count, TimestampTz now)
{
	for (int i = 0; i < count; i++)
	{
		if (runs[i].cron)
			plan_next_run(queue, priority, &runs[i], now);
	}
}
