/*
 * urgent.c: a word to a worker that it should ask for orders now.
 *
 * js_urge() notes the worker in the backend's memory; when the transaction has committed it is put into the slot of one
 * scheduler of the database, whose latch is set.  There is room for a few workers, each once: who finds none is lucky
 * that heartbeats exist.
 */
#include "urgent.h"

#include "access/xact.h"
#include "fmgr.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/builtins.h"

JS_FUNCTION(js_urge);

/* Of the current transaction of this backend. */
static JsUrgent pending;

static void
add(JsUrgent *urgent, const pg_uuid_t *worker)
{
	for (int i = 0; i < urgent->count; i++)
	{
		if (memcmp(&urgent->workers[i], worker, sizeof(*worker)) == 0)
			return;
	}
	if (urgent->count < JS_URGENT_MAX)
		urgent->workers[urgent->count++] = *worker;
}

static void
hand_over(JsDatabase *db)
{
	for (int i = 0; i < JS_MAX_SCHEDULERS; i++)
	{
		JsSlot	   *slot = &db->slots[i];
		uint32		owner = pg_atomic_read_u32(&slot->owner);

		if (owner == 0)
			continue;
		SpinLockAcquire(&slot->mutex);
		for (int n = 0; n < pending.count; n++)
			add(&slot->urgent, &pending.workers[n]);
		SpinLockRelease(&slot->mutex);
		SetLatch(&ProcGlobal->allProcs[owner - 1].procLatch);
		break;
	}
}

static void
at_xact_end(XactEvent event, void *arg)
{
	JsDatabase *db;

	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (pending.count > 0 && (db = shmem_my_database()) != NULL)
				hand_over(db);
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			pending.count = 0;
			break;
		default:
			break;
	}
}

/* js_urge(worker uuid): when this transaction has committed, the worker shall send a heartbeat. */
Datum
js_urge(PG_FUNCTION_ARGS)
{
	static bool registered = false;

	if (js_shared == NULL)
		PG_RETURN_VOID();
	if (!registered)
		RegisterXactCallback(at_xact_end, NULL);
	registered = true;
	add(&pending, PG_GETARG_UUID_P(0));
	PG_RETURN_VOID();
}

/* ------------------------------------------------------------- scheduler */

void
urgent_send(JsSlot *slot, Publisher *publisher)
{
	JsUrgent	urgent;

	SpinLockAcquire(&slot->mutex);
	urgent = slot->urgent;
	slot->urgent.count = 0;
	SpinLockRelease(&slot->mutex);
	for (int i = 0; i < urgent.count; i++)
		publisher_tell(publisher, &urgent.workers[i]);
}
