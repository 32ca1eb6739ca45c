/*
 * ring.c: reads jobsched.ring.
 */
#include "ring.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "utils/rel.h"

#include "writer.h"

/* Columns, in the order of the script. */
enum
{
	RING_SLOT, RING_OPENED_AT, RING_CLOSED_AT
};

int
ring_open_slot(Snapshot snapshot)
{
	Relation	ring = table_open(writer_relation("ring"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(ring, InvalidOid, false, snapshot, 0, NULL);
	TimestampTz newest = DT_NOBEGIN;
	int			slot = 0;
	HeapTuple	tuple;

	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		TimestampTz opened_at = DatumGetTimestampTz(heap_getattr(tuple, RING_OPENED_AT + 1, RelationGetDescr(ring), &isnull));

		(void) heap_getattr(tuple, RING_CLOSED_AT + 1, RelationGetDescr(ring), &isnull);
		if (!isnull || opened_at < newest)
			continue;
		newest = opened_at;
		slot = DatumGetInt16(heap_getattr(tuple, RING_SLOT + 1, RelationGetDescr(ring), &isnull));
	}
	systable_endscan(scan);
	table_close(ring, NoLock);
	return slot;
}

char *
ring_leaf(const char *table, int slot)
{
	return slot == RING_KEPT ? psprintf("%s_kept", table) : psprintf("%s_%d", table, slot);
}
