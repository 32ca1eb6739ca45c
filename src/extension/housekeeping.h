/*
 * housekeeping.h: what is done once a second.
 */
#ifndef JOBSCHED_HOUSEKEEPING_H
#define JOBSCHED_HOUSEKEEPING_H

#include "scheduler.h"

/* One look at the dispatches and workers; false when the extension is not there.  Throws. */
extern bool housekeeping_run(Scheduler *s);

/* Takes back runs of lost workers.  False as above. */
extern bool housekeeping_rescue(Scheduler *s);

#endif
