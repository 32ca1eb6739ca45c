/*
 * wakeup.c: a commit that makes work wakes the schedulers of its database.
 *
 * wakeup_note(), wakeup_dequeued() and js_wake_expiry() only note, in the backend's memory, what the transaction has done.
 * When it has committed and its rows are visible, the transaction callback hands that over to every scheduler of the database and sets the
 * latches of those that would sleep too long.  On abort it is forgotten.  After PREPARE TRANSACTION too: the
 * schedulers' safety net (jobsched.poll_interval) finds those rows.
 *
 * Both sides write first, then (after a barrier) read what the other writes: a committer hints and then planned_wake, a
 * scheduler planned_wake and then touched.  So at least one of them sees the other, and no wake-up is lost.
 */
#include "wakeup.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"

JS_FUNCTION(js_wake);
JS_FUNCTION(js_wake_expiry);
JS_FUNCTION(js_dequeued);

/* What the current transaction of this backend has done so far. */
static struct
{
	uint64		due_buckets;	/* with a value in due */
	uint64		dequeued_buckets;	/* with a value in dequeued */
	TimestampTz due[JS_BUCKETS][JS_PRIORITIES];
	uint64		dequeued[JS_BUCKETS];
	bool		expires;
	TimestampTz expiry;			/* earliest */
} pending;

static void
lower(pg_atomic_uint64 *hint, TimestampTz due)
{
	uint64		old = pg_atomic_read_u64(hint);

	while ((TimestampTz) old > due)
	{
		if (pg_atomic_compare_exchange_u64(hint, &old, (uint64) due))
			break;
	}
}

/* Returns the smallest due_at handed over. */
static TimestampTz
hand_over(JsSlot *slot)
{
	TimestampTz earliest = DT_NOEND;

	for (uint64 left = pending.due_buckets; left != 0; left &= left - 1)
	{
		int			b = pg_rightmost_one_pos64(left);

		for (int p = 0; p < JS_PRIORITIES; p++)
		{
			if (pending.due[b][p] == DT_NOEND)
				continue;
			lower(&slot->hint[b][p], pending.due[b][p]);
			earliest = Min(earliest, pending.due[b][p]);
		}
	}
	if (pending.due_buckets != 0)
		pg_atomic_fetch_or_u64(&slot->touched, pending.due_buckets);
	if (pending.expires)
	{
		lower(&slot->expiry, pending.expiry);
		earliest = Min(earliest, pending.expiry);
	}
	return earliest;
}

static void
wake_schedulers(JsDatabase *db)
{
	for (uint64 left = pending.dequeued_buckets; left != 0; left &= left - 1)
	{
		int			b = pg_rightmost_one_pos64(left);

		pg_atomic_fetch_add_u64(&db->dequeued[b], (int64) pending.dequeued[b]);
	}

	for (int i = 0; i < JS_MAX_SCHEDULERS; i++)
	{
		JsSlot	   *slot = &db->slots[i];
		uint32		owner = pg_atomic_read_u32(&slot->owner);
		TimestampTz earliest;

		if (owner == 0)
			continue;
		earliest = hand_over(slot);
		pg_memory_barrier();
		if (earliest < (TimestampTz) pg_atomic_read_u64(&slot->planned_wake) ||
			(pending.dequeued_buckets & pg_atomic_read_u64(&slot->due_left)) != 0)
			SetLatch(&ProcGlobal->allProcs[owner - 1].procLatch);
	}
}

static void
at_xact_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if ((pending.due_buckets | pending.dequeued_buckets) != 0 || pending.expires)
			{
				JsDatabase *db = shmem_my_database();

				if (db != NULL)
					wake_schedulers(db);
			}
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			pending.due_buckets = 0;
			pending.dequeued_buckets = 0;
			pending.expires = false;
			break;
		default:
			break;
	}
}

static void
register_callback(void)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(at_xact_end, NULL);
	registered = true;
}

void
wakeup_note(int16 queue, int16 priority, TimestampTz due)
{
	int			bucket = JS_BUCKET(queue);

	if (js_shared == NULL || due == DT_NOEND)
		return;
	if (priority < 0 || priority >= JS_PRIORITIES)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("priority %d is out of range 0-%d", priority, JS_PRIORITIES - 1));
	register_callback();
	if ((pending.due_buckets & (UINT64CONST(1) << bucket)) == 0)
	{
		for (int p = 0; p < JS_PRIORITIES; p++)
			pending.due[bucket][p] = DT_NOEND;
		pending.due_buckets |= UINT64CONST(1) << bucket;
	}
	pending.due[bucket][priority] = Min(pending.due[bucket][priority], due);
}

/* js_wake(queue smallint, priority smallint, due timestamptz) */
Datum
js_wake(PG_FUNCTION_ARGS)
{
	wakeup_note(PG_GETARG_INT16(0), PG_GETARG_INT16(1), PG_GETARG_TIMESTAMPTZ(2));
	PG_RETURN_VOID();
}

/* js_wake_expiry(at timestamptz): there is something to end then. */
Datum
js_wake_expiry(PG_FUNCTION_ARGS)
{
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(0);

	if (js_shared == NULL || at == DT_NOEND)
		PG_RETURN_VOID();
	register_callback();
	pending.expiry = pending.expires ? Min(pending.expiry, at) : at;
	pending.expires = true;
	PG_RETURN_VOID();
}

void
wakeup_dequeued(int16 queue, int32 n)
{
	int			bucket = JS_BUCKET(queue);

	if (js_shared == NULL || n <= 0)
		return;
	register_callback();
	if ((pending.dequeued_buckets & (UINT64CONST(1) << bucket)) == 0)
	{
		pending.dequeued[bucket] = 0;
		pending.dequeued_buckets |= UINT64CONST(1) << bucket;
	}
	pending.dequeued[bucket] += n;
}

/* js_dequeued(queue smallint, n integer): wakeup_dequeued(). */
Datum
js_dequeued(PG_FUNCTION_ARGS)
{
	wakeup_dequeued(PG_GETARG_INT16(0), PG_GETARG_INT32(1));
	PG_RETURN_VOID();
}

/* ------------------------------------------------------------- scheduler */

static void
detach(int code, Datum arg)
{
	JsSlot	   *slot = (JsSlot *) DatumGetPointer(arg);

	pg_atomic_write_u32(&slot->owner, 0);
	pg_atomic_write_u64(&slot->due_left, 0);
}

void
wakeup_attach(JsSlot *slot)
{
	before_shmem_exit(detach, PointerGetDatum(slot));
	pg_atomic_write_u64(&slot->planned_wake, (uint64) DT_NOEND);
	pg_atomic_write_u32(&slot->owner, (uint32) MyProc->pgprocno + 1);
	pg_memory_barrier();
}

void
wakeup_awake(JsSlot *slot)
{
	pg_atomic_exchange_u64(&slot->planned_wake, (uint64) DT_NOEND);
}

uint64
wakeup_take(JsSlot *slot, WakeupHints hints)
{
	uint64		touched = pg_atomic_exchange_u64(&slot->touched, 0);

	for (uint64 left = touched; left != 0; left &= left - 1)
	{
		int			b = pg_rightmost_one_pos64(left);

		for (int p = 0; p < JS_PRIORITIES; p++)
			hints[b][p] = (TimestampTz) pg_atomic_exchange_u64(&slot->hint[b][p], (uint64) DT_NOEND);
	}
	return touched;
}

TimestampTz
wakeup_take_expiry(JsSlot *slot)
{
	return (TimestampTz) pg_atomic_exchange_u64(&slot->expiry, (uint64) DT_NOEND);
}

void
wakeup_set_due_left(JsSlot *slot, uint64 buckets)
{
	pg_atomic_exchange_u64(&slot->due_left, buckets);
}

bool
wakeup_sleep(JsSlot *slot, TimestampTz until)
{
	pg_atomic_exchange_u64(&slot->planned_wake, (uint64) until);
	return pg_atomic_read_u64(&slot->touched) == 0 && (TimestampTz) pg_atomic_read_u64(&slot->expiry) >= until;
}
