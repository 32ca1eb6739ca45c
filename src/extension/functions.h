/*
 * functions.h: what the SQL functions about ids and tasks compute.
 */
#ifndef JOBSCHED_FUNCTIONS_H
#define JOBSCHED_FUNCTIONS_H

#include "jobsched.h"

#include "utils/uuid.h"

/* A UUID version 7 (RFC 9562), whose four highest bits of rand_a are the slot, 0..15. */
extern void functions_new_id(int slot, pg_uuid_t *uuid);

/* The slot that an id was made with. */
extern int	functions_slot_of(const pg_uuid_t *uuid);

/* Hash of a task's name as timers.task keeps it. */
extern int32 functions_task_hash(const char *name, int len);

static inline int16
functions_segment_of(const pg_uuid_t *id)
{
	return id->data[15] & (JS_SEGMENTS - 1);
}

#endif
