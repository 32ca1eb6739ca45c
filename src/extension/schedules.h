/*
 * schedules.h: a row of jobsched.schedules as the scheduler reads it.
 */
#ifndef JOBSCHED_SCHEDULES_H
#define JOBSCHED_SCHEDULES_H

#include "jobsched.h"

#include "utils/uuid.h"

#include "cron_sql.h"
#include "policy.h"

typedef struct Schedule
{
	pg_uuid_t	job_id;
	char	   *expr;
	char	   *zone;
	CronZoneOptions dst;
	TimestampTz last_run_at;	/* DT_NOBEGIN: none */
	TimestampTz waits_until;	/* the same */
	int64		jitter;			/* of this job, us: its runs are due so much after their nominal time */
	PolicyRules rules;
} Schedule;

/* The columns that schedule_read() reads, of a schedules row called s. */
#define SCHEDULE_COLUMNS \
	"s.job_id, s.cron, s.time_zone, s.last_run_at, s.waits_until, s.paused, s.misfire_policy, s.overlap_policy," \
	" s.dst_gap, s.dst_overlap, s.starts_at, s.ends_at, s.max_runs - s.fired, s.catchup_max, s.catchup_window," \
	" CASE WHEN s.jitter > interval '0' THEN jobsched._jitter(s.job_id, s.jitter) END"
#define SCHEDULE_COLUMN_COUNT 16

/* Reads a row of the last result (txn.h), whose first columns are SCHEDULE_COLUMNS; allocates the texts. */
extern void schedule_read(uint64 row, Schedule *schedule);

/* Its first nominal time strictly after `after`, whatever starts_at and ends_at say.  A PolicyNext. */
extern bool schedule_next(const void *schedule, int64 after, int64 *next);

/* Says in the log why a schedule has no next time, if its expression or time zone is at fault. */
extern void schedule_report(const Schedule *schedule);

#endif
