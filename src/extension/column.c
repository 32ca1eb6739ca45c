/*
 * column.c: an array that is being filled.
 */
#include "column.h"

#include "utils/array.h"
#include "utils/lsyscache.h"

void
column_add(Column *column, Datum value)
{
	if (column->count == column->allocated)
	{
		column->allocated = column->allocated == 0 ? 64 : column->allocated * 2;
		column->values = column->values == NULL ? palloc(column->allocated * sizeof(Datum))
			: repalloc(column->values, column->allocated * sizeof(Datum));
	}
	column->values[column->count++] = value;
}

Datum
column_array(const Column *column, Oid type)
{
	int16		length;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	return PointerGetDatum(construct_array(column->values, column->count, type, length, by_value, align));
}
