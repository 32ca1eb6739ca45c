/*
 * jobstore.h: stores new plain jobs in the ring's open leaf and in timers, without the executor.
 *
 * What INSERT would check, the caller has checked (jobspec.h).  The tables have no triggers, foreign keys or row security.
 */
#ifndef JOBSCHED_JOBSTORE_H
#define JOBSCHED_JOBSTORE_H

#include "jobsched.h"

#include "utils/uuid.h"

#include "jobspec.h"

/* Columns of jobs, in the order of the script. */
enum
{
	JOBS_SLOT, JOBS_ID, JOBS_PRIORITY, JOBS_MAX_RETRIES, JOBS_QUEUE, JOBS_CREATED_AT, JOBS_NAME, JOBS_FREQUENCY, JOBS_STATE, JOBS_OWNER,
	JOBS_PAYLOAD, JOBS_TIMEOUT, JOBS_RETRY_DELAY, JOBS_RETRY_DELAY_MAX, JOBS_BACKOFF, JOBS_EXPIRES_AT, JOBS_UNIQUE_KEY, JOBS_RERUN_AT,
	JOBS_STATE_BY, JOBS_STATE_AT, JOBS_TRACEPARENT, JOBS_COLUMNS
};

typedef struct NewJob
{
	const JobSpec *spec;
	pg_uuid_t	id;				/* set by jobstore_new_ids() */
	bool		key_taken;		/* set by jobstore_take_keys(): a job has its unique_key already */
	TimestampTz due;			/* set by jobstore_insert() */
	int16		queue;			/* set by the caller: jobstore_queue() */
} NewJob;

/* Id of a queue, made when there is none of that name. */
extern int16 jobstore_queue(const JobSpec *spec);

/* Gives them ids of the open leaf. */
extern void jobstore_new_ids(NewJob *jobs, int count);

/*
 * Takes the unique_keys for these ids, in the order of the keys, so that two calls do not wait for each other; of two that are
 * alike the first gets it.  May wait for transactions that take the same.
 */
extern void jobstore_take_keys(NewJob *jobs, int count);

/*
 * Stores jobs that have ids, all of the same leaf, and their keys; in the current transaction, and the scheduler is woken when it
 * commits.
 */
extern void jobstore_insert(NewJob *jobs, int count);

#endif
