/*
 * writer.c: what table_multi_insert() and ExecInsertIndexTuples() need.
 */
#include "writer.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"

#define ROWS_AT_ONCE 1000

Oid
writer_relation(const char *name)
{
	Oid			oid = get_relname_relid(name, get_namespace_oid("jobsched", false));

	if (!OidIsValid(oid))
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation \"jobsched.%s\" does not exist", name));
	return oid;
}

void
writer_open(Writer *writer, const char *name, int columns, int rows)
{
	Relation	rel = table_open(writer_relation(name), RowExclusiveLock);

	if (RelationGetNumberOfAttributes(rel) != columns)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("jobsched.%s has %d columns, the library knows %d", name, RelationGetNumberOfAttributes(rel), columns),
				errhint("The library and the extension's script are of different versions."));
	if (rel->trigdesc != NULL)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("jobsched.%s has a trigger, which would not be called", name));
	writer->rel = rel;
	writer->estate = CreateExecutorState();
	writer->info = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->info, rel, 0, NULL, 0);
	ExecOpenIndices(writer->info, false);
	writer->allocated = Max(Min(rows, ROWS_AT_ONCE), 1);
	writer->count = 0;
	writer->slots = palloc(writer->allocated * sizeof(*writer->slots));
	for (int i = 0; i < writer->allocated; i++)
		writer->slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
}

static void
flush(Writer *writer)
{
	if (writer->count == 0)
		return;
	if (writer->count == 1)
		table_tuple_insert(writer->rel, writer->slots[0], GetCurrentCommandId(true), 0, NULL);
	else
		table_multi_insert(writer->rel, writer->slots, writer->count, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < writer->count; i++)
	{
		ResetPerTupleExprContext(writer->estate);
		list_free(ExecInsertIndexTuples(writer->info, writer->slots[i], writer->estate, false, false, NULL, NIL));
		ExecClearTuple(writer->slots[i]);
	}
	writer->count = 0;
}

void
writer_add(Writer *writer, Datum *values, bool *nulls)
{
	TupleTableSlot *slot = writer->slots[writer->count++];

	ExecStoreHeapTuple(heap_form_tuple(RelationGetDescr(writer->rel), values, nulls), slot, true);
	slot->tts_tableOid = RelationGetRelid(writer->rel);
	if (writer->count == writer->allocated)
		flush(writer);
}

void
writer_close(Writer *writer)
{
	flush(writer);
	for (int i = 0; i < writer->allocated; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	ExecCloseIndices(writer->info);
	FreeExecutorState(writer->estate);
	table_close(writer->rel, NoLock);
}
