/*
 * permit.h: may this scheduler process work?
 */
#ifndef JOBSCHED_PERMIT_H
#define JOBSCHED_PERMIT_H

#include "scheduler.h"

/* Zeroed at the start. */
typedef struct Permit
{
	bool		granted;
	const char *why_not;		/* when it is not granted: as JsStatus.state */
	TimestampTz look_at;		/* not asking Postgres before, while it is granted; DT_NOBEGIN: now */
	uint64		generation;		/* of the extension */
	bool		locked;			/* the lock of the slice is held */
	int			locked_key;
} Permit;

/*
 * Looks, asking Postgres at most once a second while all is well, and sets granted, why_not and the scheduler's segments.
 * True: something has changed, and all that is remembered of the tables is void.  Throws.
 */
extern bool permit_look(Permit *permit, Scheduler *s, TimestampTz now);

#endif
