/*
 * expiry.c: when an expires_at has come, ends what is still planned or handed out; a claim that comes later finds nothing.
 *
 * What is to be looked at stands in jobsched.expiries, so that neither jobs nor timers are searched, and the scheduler sleeps
 * until the earliest of it.  The work is in jobsched._expire().
 */
#include "expiry.h"

#include "catalog/pg_type.h"

#include "txn.h"

#define PAUSE (100 * JS_USEC_PER_MS)	/* between two looks, so that many close by share one */
#define SWEEP (10 * USECS_PER_SEC)	/* for what no commit has handed over: prepared transactions, rows that were locked */

/* guard: model M_EXPIRE_CLAIMED, in _expire() */
static TxnPlan plan_expire = {
	.sql = "SELECT runs, next_look FROM jobsched._expire($1, $2, $3)",
	.nargs = 3,
	.types = {INT2OID, INT2OID, TIMESTAMPTZOID}
};

void
expiry_forget(Expiry *expiry)
{
	expiry->next = expiry->since = expiry->sweep_at = DT_NOBEGIN;
}

void
expiry_lower(Expiry *expiry, TimestampTz at)
{
	expiry->next = Min(expiry->next, at);
	expiry->since = Min(expiry->since, at);
}

bool
expiry_due(const Expiry *expiry, TimestampTz now, bool sweeping)
{
	return now >= expiry->next || (sweeping && now >= expiry->sweep_at);
}

/* Losing the commit in a crash only means doing it again. */
bool
expiry_run(Scheduler *s, Expiry *expiry, TimestampTz now)
{
	Datum		values[3] = {Int16GetDatum((int16) s->lo), Int16GetDatum((int16) s->hi)};
	bool		isnull;
	TimestampTz next;

	if (now >= expiry->sweep_at)
	{
		expiry->since = DT_NOBEGIN;
		expiry->sweep_at = now + SWEEP;
	}
	values[2] = TimestampTzGetDatum(expiry->since);
	if (!txn_begin(TXN_ASYNC))
		return false;
	txn_run(&plan_expire, values, NULL);
	s->counters.expired += DatumGetInt32(txn_value(0, 1));
	next = DatumGetTimestampTz(txn_value_or_null(0, 2, &isnull));
	txn_commit();

	/* What is over and still there was locked, or is more than one look takes. */
	expiry->since = isnull ? now : Min(next, now);
	expiry->next = isnull ? DT_NOEND : Max(next, now + PAUSE);
	return true;
}
