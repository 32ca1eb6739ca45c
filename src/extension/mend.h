/*
 * mend.h: puts right planned times of cron jobs that the clock, the tz database or a hand has made wrong.
 */
#ifndef JOBSCHED_MEND_H
#define JOBSCHED_MEND_H

#include "scheduler.h"

#include "utils/uuid.h"

typedef struct Mend
{
	TimestampTz at;				/* when to look next; DT_NOBEGIN: now, from the first schedule on */
	pg_uuid_t	after;			/* schedules up to this one have been looked at */
	bool		under_way;		/* there are more */
	uint64		zones;			/* zones_generation() when that began */
	bool		clock_known;
	int64		clock_ahead;	/* of the wall clock before the time since boot, us, when last asked */
} Mend;

/* Has the wall clock been set, in either direction, since the last call? */
extern bool mend_clock_was_set(Mend *mend);

/* Has a time zone got new rules since the last look began? */
extern bool mend_zones_changed(const Mend *mend);

/* Looks at some schedules of the process's segments; false when the extension is not there.  Throws. */
extern bool mend_run(Scheduler *s, Mend *mend, TimestampTz now);

#endif
