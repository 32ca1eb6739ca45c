/*
 * permit.c: a scheduler works only when jobsched.enabled is on, the extension is there, its data are not a copy that
 * nobody has adopted (jobsched.adopt()), and it holds the lock of its slice, so that a slice has one promoter.
 */
#include "permit.h"

#include "miscadmin.h"
#include "storage/lock.h"

#include "txn.h"

#define LOOK_INTERVAL USECS_PER_SEC

/* The fourth field of the lock: pg_advisory_lock() makes 1 and 2, so no role can take this one in SQL. */
#define LOCK_FIELD4 0x4A53

static TxnPlan plan_adopted = {
	.sql = "SELECT jobsched._adopted()"
};

static void
lock_tag(LOCKTAG *tag, int key, int slice)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) key, (uint32) slice, LOCK_FIELD4);
}

/* A session's lock, so it goes with the process, however that ends. */
static bool
hold_slice(Permit *permit, const Scheduler *s)
{
	LOCKTAG		tag;

	if (permit->locked && permit->locked_key == js_leader_lock_key)
		return true;
	if (permit->locked)
	{
		lock_tag(&tag, permit->locked_key, s->slice);
		LockRelease(&tag, ExclusiveLock, true);
		permit->locked = false;
	}
	lock_tag(&tag, js_leader_lock_key, s->slice);
	permit->locked = LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
	permit->locked_key = js_leader_lock_key;
	return permit->locked;
}

static void
ask_postgres(Permit *permit, const Scheduler *s)
{
	bool		adopted = false;

	permit->why_not = NULL;
	if (!txn_begin_any(TXN_ASYNC))
	{
		permit->why_not = "waiting: no CREATE EXTENSION jobsched yet";
		permit->granted = false;
		return;
	}
	if (txn_run(&plan_adopted, NULL, NULL) == 1)
	{
		bool		isnull;

		adopted = DatumGetBool(txn_value_or_null(0, 1, &isnull)) && !isnull;
	}
	if (!adopted)
		permit->why_not = "idle: no job yet, or a copy that waits for jobsched.adopt()";
	else if (!hold_slice(permit, s))
		permit->why_not = "standby: another process holds the lock of this slice";
	txn_commit();
	permit->granted = permit->why_not == NULL;
}

bool
permit_look(Permit *permit, Scheduler *s, TimestampTz now)
{
	bool		before = permit->granted;
	int			lo = 0,
				hi = -1;
	bool		changed;

	if (!js_enabled)
	{
		permit->granted = false;
		permit->why_not = "disabled: jobsched.enabled is off";
	}
	else if (!guc_slice_segments(s->slice, &lo, &hi))
	{
		permit->granted = false;
		permit->why_not = "idle: no segments for this process";
	}
	else if (!permit->granted || now >= permit->look_at || permit->locked_key != js_leader_lock_key)
	{
		ask_postgres(permit, s);
		permit->look_at = now + LOOK_INTERVAL;
	}

	changed = lo != s->lo || hi != s->hi || permit->generation != txn_generation() || permit->granted != before;
	s->lo = lo;
	s->hi = hi;
	permit->generation = txn_generation();
	return changed;
}
