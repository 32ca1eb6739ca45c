/*
 * housekeeping.c: once a second counts what is in flight, reads the workers' load, takes back what lost workers had.
 */
#include "housekeeping.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "txn.h"

/*
 * The window belongs to the queue, so all segments are counted; publishing is the business of each slice.  All ids, but by the index: after
 * a rush the table is long, and empty until it is vacuumed.
 */
static TxnPlan plan_in_flight = {
	.sql = "SELECT id, queue, segment, status = 'queued' FROM jobsched.dispatches WHERE id >= '00000000-0000-0000-0000-000000000000'"
};

/* guards: model M_RESCUE_NO_LEASE, M_RESCUE_TWO_STEP, M_NO_LOSS_LIMIT, in _rescue() */
static TxnPlan plan_rescue = {
	.sql = "SELECT jobsched._rescue($1, $2)",
	.nargs = 2,
	.types = {INT2OID, INT2OID}
};

static void
read_dispatches(Scheduler *s, TimestampTz now)
{
	int64	   *queued = palloc0(Max(s->queues->count, 1) * sizeof(int64));
	uint64		rows;

	queues_count_begin(s->queues);
	rows = txn_run(&plan_in_flight, NULL, NULL);
	outbox_begin(s->outbox);
	for (uint64 row = 0; row < rows; row++)
	{
		int16		id = DatumGetInt16(txn_value(row, 2));
		int16		segment = DatumGetInt16(txn_value(row, 3));

		if (!DatumGetBool(txn_value(row, 4)))
			continue;
		for (int i = 0; i < s->queues->count; i++)
		{
			if (s->queues->items[i]->id == id)
				queued[i]++;
		}
		if (segment >= s->lo && segment <= s->hi)
			outbox_seen(s->outbox, DatumGetUUIDP(txn_value(row, 1)), id);
	}
	outbox_end(s->outbox, now, workload_has_silent(s->workload));
	for (int i = 0; i < s->queues->count; i++)
		queues_counted(s->queues, s->queues->items[i], queued[i]);
	s->in_flight = rows > 0;
}

bool
housekeeping_run(Scheduler *s)
{
	if (!txn_begin(TXN_ASYNC))
		return false;
	queues_load(s->queues);
	for (int i = 0; i < s->queues->count; i++)
		publisher_declare(s->publisher, s->queues->items[i]->name);
	read_dispatches(s, GetCurrentTimestamp());
	workload_read(s->workload, s->queues);
	txn_commit();
	return true;
}

/*
 * Not before rescue_from: within a lease of the start (or of a standstill of the machine) workers could not beat.
 *
 * guard: model D_RESCUE_AT_ONCE
 */
bool
housekeeping_rescue(Scheduler *s)
{
	Datum		values[2] = {Int16GetDatum((int16) s->lo), Int16GetDatum((int16) s->hi)};

	if (!s->in_flight || GetCurrentTimestamp() < s->rescue_from)
		return true;
	if (!txn_begin(TXN_SYNC))
		return false;
	if (txn_run(&plan_rescue, values, NULL) > 0)
	{
		bool		isnull;
		int32		runs = DatumGetInt32(txn_value_or_null(0, 1, &isnull));

		if (!isnull)
			s->counters.rescued += runs;
	}
	txn_commit();
	return true;
}
