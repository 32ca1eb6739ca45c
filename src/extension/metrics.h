/*
 * metrics.h: what is counted for whoever watches: jobs submitted and attempts ended by task, and how long things took.
 *
 * Counted where it happens, in the backend's memory, and added to shared memory when the transaction has committed: so the
 * numbers are those of the tables, cost no look at them, and do not fall when retention takes old rows.  They begin at
 * zero with the server.  What PREPARE TRANSACTION leaves to another process is counted at once.
 *
 * Tasks are known by the hash that timers and dispatches keep.  Names come from those who have them, submit and claim.
 * There are METRICS_TASKS of them at most; what comes later counts together, in entry 0.
 */
#ifndef JOBSCHED_METRICS_H
#define JOBSCHED_METRICS_H

#include "jobsched.h"

#include "port/atomics.h"
#include "storage/spin.h"
#include "utils/uuid.h"

#define METRICS_TASKS 128
#define METRICS_NAME 1024		/* 255 characters in any encoding */
#define METRICS_BUCKETS 13		/* of a histogram, the last without limit */

/* How an attempt ended. */
typedef enum MetricsEnd
{
	METRICS_SUCCEEDED,
	METRICS_FAILED,
	METRICS_RETRIED,			/* failed, and is tried again */
	METRICS_LOST,
	METRICS_CANCELLED,
	METRICS_EXPIRED
} MetricsEnd;

#define METRICS_ENDS 6

/* Upper limits in seconds, of all buckets but the last. */
extern const double metrics_run_limits[METRICS_BUCKETS - 1];
extern const double metrics_latency_limits[METRICS_BUCKETS - 1];

/* Of one process. */
typedef struct Histogram
{
	uint64		buckets[METRICS_BUCKETS];
	uint64		us;				/* all together */
} Histogram;

typedef struct SharedHistogram
{
	pg_atomic_uint64 buckets[METRICS_BUCKETS];
	pg_atomic_uint64 us;
} SharedHistogram;

typedef struct TaskMetrics
{
	int32		hash;
	pg_atomic_uint32 named;		/* name is set, and stays */
	char		name[METRICS_NAME];
	pg_atomic_uint64 submitted;
	pg_atomic_uint64 ended[METRICS_ENDS];
	SharedHistogram ran;		/* metrics_run_limits */
} TaskMetrics;

/* Of a database. */
typedef struct JsMetrics
{
	slock_t		mutex;			/* of new entries and names */
	pg_atomic_uint32 count;		/* of entries; they stay */
	pg_atomic_uint64 stale;		/* results that were refused */
	SharedHistogram start;		/* due to start of first attempts; metrics_latency_limits */
	TaskMetrics tasks[METRICS_TASKS + 1];
} JsMetrics;

extern void metrics_init(JsMetrics *metrics);

/* Somebody knows the name that belongs to a hash. */
extern void metrics_name(int32 task, const char *name, int len);

/* A job of this task was made; counts when this transaction has committed, as what follows. */
extern void metrics_submitted(int32 task, const char *name, int len);

extern void metrics_stale(int n);

/* started: DT_NOBEGIN: it never started, or nobody knows; ran_us < 0: the same. */
extern void metrics_ended(int32 task, MetricsEnd end, const pg_uuid_t *job_id, TimestampTz run_at, int attempt, TimestampTz started, int64 ran_us);

/*
 * From when on somebody has waited for a run that is due then: a job that was submitted later has not been waited for
 * before its id was made.
 */
extern TimestampTz metrics_waited_from(const pg_uuid_t *job_id, TimestampTz due);

extern void metrics_observe(Histogram *histogram, const double *limits, int64 us);

#endif
