/*
 * policy.h: what becomes of the nominal times of a cron job that have come, by the policies of its schedule.
 *
 * The rules are docs/scheduling.md.  Plain C: no Postgres, no allocation, no globals, no clock, so that it can be tested
 * alone.  All times are microseconds since any epoch.
 */
#ifndef JOBSCHED_POLICY_H
#define JOBSCHED_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* A time that is handled later than this after its turn was missed. */
#define POLICY_MISSED INT64_C(60000000)

/* Times decided at once for a job; of more only the newest get a row, what is older is passed over. */
#define POLICY_MAX_TICKS 1000

#define POLICY_NEVER INT64_MIN	/* "no such time" */

typedef enum PolicyMisfire
{
	POLICY_RUN_ONCE,			/* one run stands for all that is due */
	POLICY_SKIP_MISSED,			/* missed times do not run */
	POLICY_RUN_ALL				/* each missed time runs, within limits */
} PolicyMisfire;

/* While an earlier run of the job has not ended: */
typedef enum PolicyOverlap
{
	POLICY_SKIP,				/* no run */
	POLICY_QUEUE_ONE,			/* one run waits for its end */
	POLICY_ALLOW,				/* a run beside it */
	POLICY_CANCEL_RUNNING		/* a run, and the earlier one is told to stop */
} PolicyOverlap;

typedef enum PolicyOutcome
{
	POLICY_FIRED,
	POLICY_SKIPPED_OVERLAP,
	POLICY_SKIPPED_PAUSED,
	POLICY_MISFIRED,
	POLICY_COALESCED
} PolicyOutcome;

typedef struct PolicyRules
{
	PolicyMisfire misfire;
	PolicyOverlap overlap;
	bool		paused;
	int64_t		catchup_window; /* missed times older than this are given up */
	int64_t		catchup_max;	/* runs that RUN_ALL makes up for, >= 1 */
	int64_t		starts_at;		/* no nominal time before; INT64_MIN: none */
	int64_t		ends_at;		/* nor after; INT64_MAX: none */
	int64_t		runs_left;		/* of max_runs; INT64_MAX: no limit */
	int64_t		every;			/* the interval of @every, whose times are counted from `nominal`; else 0 */
} PolicyRules;

/* The first nominal time strictly after `after`; false when there is none. */
typedef bool (*PolicyNext) (const void *data, int64_t after, int64_t *next);

typedef struct PolicyInput
{
	PolicyRules rules;
	int64_t		nominal;		/* the planned time, which has come */
	int64_t		waits_until;	/* times up to this one wait for runs before them; POLICY_NEVER: none */
	int64_t		now;			/* less the job's jitter: nominal times up to here have come */
	bool		busy;			/* an earlier run has not ended; without meaning for POLICY_ALLOW */
	PolicyNext	next;
	const void *data;			/* handed to next */
} PolicyInput;

typedef struct PolicyTick
{
	int64_t		at;				/* the nominal time */
	PolicyOutcome outcome;
} PolicyTick;

typedef struct PolicyDecision
{
	int			count;			/* of the ticks: times decided now, ascending */
	int			fired;			/* of them that are POLICY_FIRED */
	bool		cancels;		/* earlier runs are told to stop */
	bool		ended;			/* no further time */
	int64_t		next;			/* else the next time to plan, */
	int64_t		waits_until;	/* which, and times up to this one, wait; POLICY_NEVER: it does not wait */
} PolicyDecision;

/* Decides; ticks has room for POLICY_MAX_TICKS. */
extern void policy_decide(const PolicyInput *in, PolicyTick *ticks, PolicyDecision *out);

/* The word in cron_ticks.outcome. */
extern const char *policy_outcome_name(PolicyOutcome outcome);

/* The words of schedules.misfire_policy and overlap_policy; an unknown one is the default. */
extern PolicyMisfire policy_misfire_of(const char *word);
extern PolicyOverlap policy_overlap_of(const char *word);

#endif
