/*
 * writer.c: what table_multi_insert() and ExecInsertIndexTuples() need.
 */
#include "writer.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define ROWS_AT_ONCE 1000

/*
 * Names that have been looked up, by their hash; whatever changes in pg_class or pg_namespace forgets them.  A submit asks for seven.
 */
#define KNOWN 128

static struct
{
	char		name[NAMEDATALEN];
	Oid			oid;
}			known[KNOWN];

static uint32 forgotten;		/* how often */

static void
forget(Datum arg, int cache, uint32 hash)
{
	memset(known, 0, sizeof(known));
	forgotten++;
}

Oid
writer_relation(const char *name)
{
	static bool listening;
	uint32		place = string_hash(name, NAMEDATALEN) % KNOWN;
	uint32		before;
	Oid			oid;

	if (OidIsValid(known[place].oid) && strcmp(known[place].name, name) == 0)
		return known[place].oid;
	if (!listening)
	{
		CacheRegisterSyscacheCallback(RELOID, forget, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, forget, (Datum) 0);
		listening = true;
	}
	before = forgotten;
	oid = get_relname_relid(name, get_namespace_oid("jobsched", false));
	if (!OidIsValid(oid))
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation \"jobsched.%s\" does not exist", name));
	/* What was to be forgotten while it was looked up may have been this. */
	if (forgotten == before)
	{
		strlcpy(known[place].name, name, NAMEDATALEN);
		known[place].oid = oid;
	}
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
