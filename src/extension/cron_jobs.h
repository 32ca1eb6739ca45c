/*
 * cron_jobs.h: the cron jobs whose planned times are at hand in promote, in ascending order of their ids.
 */
#ifndef JOBSCHED_CRON_JOBS_H
#define JOBSCHED_CRON_JOBS_H

#include "promote_cron.h"
#include "schedules.h"

typedef struct CronJob
{
	pg_uuid_t	id;				/* first: cron_job_compare */
	Schedule   *schedule;		/* NULL: not locked by us */
	bool		exists;			/* a schedule that is not locked by us: by somebody else, then */
	bool		busy;			/* has a run that has not ended; seen only where the overlap policy asks */
	bool		blocked;		/* such a run has to give way, but another session has its dispatch */
	bool		taken;			/* one of the runs at hand is its planned time */
} CronJob;

typedef struct CronJobs
{
	CronJob    *items;
	int			count;
} CronJobs;

/* Orders by the uuid that a and b begin with. */
extern int	cron_job_compare(const void *a, const void *b);

/* The jobs of the cron runs among them, each once. */
extern CronJobs cron_jobs_collect(const DueRun *runs, int count);

/* NULL: it is not among them. */
extern CronJob *cron_jobs_find(const CronJobs *jobs, const pg_uuid_t *id);

/* Locks and reads the schedules that nobody else has locked. */
extern void cron_jobs_lock(CronJobs *jobs);

/* Sets busy; locks the dispatches whose runs would have to give way, or sets blocked. */
extern void cron_jobs_see_busy(const CronJobs *jobs);

#endif
