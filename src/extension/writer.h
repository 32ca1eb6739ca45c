/*
 * writer.h: rows into one of jobsched's tables, many at a time, without the executor.
 *
 * Tuples are given to the table's and its indexes' access methods, as COPY does it: no plan, no partition routing, one WAL
 * record a page.  Constraints are not checked: the caller's values satisfy them.  A table with triggers is refused.
 */
#ifndef JOBSCHED_WRITER_H
#define JOBSCHED_WRITER_H

#include "jobsched.h"

#include "nodes/execnodes.h"
#include "utils/rel.h"

typedef struct Writer
{
	Relation	rel;
	ResultRelInfo *info;
	EState	   *estate;
	TupleTableSlot **slots;
	int			allocated,
				count;			/* rows not written yet */
} Writer;

/* Oid of jobsched.<name>; an ERROR when there is none. */
extern Oid	writer_relation(const char *name);

/* columns: how many the table must have; rows: how many are expected. */
extern void writer_open(Writer *writer, const char *name, int columns, int rows);

/* Values are copied. */
extern void writer_add(Writer *writer, Datum *values, bool *nulls);

/* Writes what is left; statements that follow see the rows after CommandCounterIncrement(). */
extern void writer_close(Writer *writer);

#endif
