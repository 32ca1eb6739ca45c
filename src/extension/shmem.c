/*
 * shmem.c: allocates and initialises the shared memory.
 */
#include "shmem.h"

#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

JsShared   *js_shared = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static Size
shared_size(void)
{
	return add_size(offsetof(JsShared, database), mul_size(list_length(guc_databases()), sizeof(JsDatabase)));
}

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(shared_size());
}

static void
init_slot(JsSlot *slot)
{
	pg_atomic_init_u32(&slot->owner, 0);
	pg_atomic_init_u64(&slot->planned_wake, (uint64) DT_NOEND);
	pg_atomic_init_u64(&slot->due_left, 0);
	pg_atomic_init_u64(&slot->touched, 0);
	for (int b = 0; b < JS_BUCKETS; b++)
		for (int p = 0; p < JS_PRIORITIES; p++)
			pg_atomic_init_u64(&slot->hint[b][p], (uint64) DT_NOEND);
	pg_atomic_init_u64(&slot->expiry, (uint64) DT_NOEND);
	SpinLockInit(&slot->mutex);
	memset(&slot->urgent, 0, sizeof(slot->urgent));
	memset(&slot->status, 0, sizeof(slot->status));
}

static void
start_shmem(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	js_shared = ShmemInitStruct("jobsched", shared_size(), &found);
	if (!found)
	{
		List	   *names = guc_databases();
		ListCell   *lc;

		js_shared->databases = 0;
		foreach(lc, names)
		{
			JsDatabase *db = &js_shared->database[js_shared->databases++];

			strlcpy(db->name, lfirst(lc), NAMEDATALEN);
			pg_atomic_init_u32(&db->oid, 0);
			for (int b = 0; b < JS_BUCKETS; b++)
			{
				pg_atomic_init_u64(&db->enqueued[b], 0);
				pg_atomic_init_u64(&db->dequeued[b], 0);
			}
			metrics_init(&db->metrics);
			for (int i = 0; i < JS_MAX_SCHEDULERS; i++)
				init_slot(&db->slots[i]);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

void
shmem_setup(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_shmem;
}

JsDatabase *
shmem_my_database(void)
{
	if (js_shared == NULL || !OidIsValid(MyDatabaseId))
		return NULL;
	for (int i = 0; i < js_shared->databases; i++)
	{
		if (pg_atomic_read_u32(&js_shared->database[i].oid) == MyDatabaseId)
			return &js_shared->database[i];
	}
	return NULL;
}

void
shmem_read_status(JsSlot *slot, JsStatus *status)
{
	SpinLockAcquire(&slot->mutex);
	*status = slot->status;
	SpinLockRelease(&slot->mutex);
}

void
shmem_set_state(JsSlot *slot, const char *state)
{
	SpinLockAcquire(&slot->mutex);
	strlcpy(slot->status.state, state, sizeof(slot->status.state));
	SpinLockRelease(&slot->mutex);
}
