/*
 * column.h: an array that is being filled, to be an argument of a statement: unnest($1, $2, ...) reads several as rows.
 */
#ifndef JOBSCHED_COLUMN_H
#define JOBSCHED_COLUMN_H

#include "jobsched.h"

/* Empty when all zero; lives in the memory context of the first column_add(). */
typedef struct Column
{
	Datum	   *values;
	int			count;
	int			allocated;
} Column;

/* A value passed by reference must live until column_array(). */
extern void column_add(Column *column, Datum value);

/* As an array of that type. */
extern Datum column_array(const Column *column, Oid type);

#endif
