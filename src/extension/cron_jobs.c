/*
 * cron_jobs.c: locks the schedules of cron jobs and sees which of the jobs have a run that has not ended, for all together.
 */
#include "cron_jobs.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "column.h"
#include "txn.h"

/* guard: model D_ALTER_UNLOCKED; SKIP LOCKED, because alter and cancel lock schedules before timers. */
static TxnPlan plan_lock = {
	.sql = "SELECT " SCHEDULE_COLUMNS " FROM jobsched.schedules s WHERE s.job_id = ANY ($1) FOR UPDATE OF s SKIP LOCKED",
	.nargs = 1,
	.types = {UUIDARRAYOID}
};

/* Of those that were not locked: exists, so somebody else holds it.  A run of a schedule that is gone is promoted. */
static TxnPlan plan_exists = {
	.sql = "SELECT job_id FROM jobsched.schedules WHERE job_id = ANY ($1)",
	.nargs = 1,
	.types = {UUIDARRAYOID}
};

/* Overlap: all that is in flight, to be looked up in the set of jobs; faster than asking for each job. */
static TxnPlan plan_in_flight = {
	.sql = "SELECT id, job_ids, done FROM jobsched.dispatches WHERE id >= '00000000-0000-0000-0000-000000000000'"
};

/* Before runs in them give way: what somebody else has locked is not waited for. */
static TxnPlan plan_lock_dispatches = {
	.sql = "SELECT id FROM jobsched.dispatches WHERE id = ANY ($1) ORDER BY id FOR UPDATE SKIP LOCKED",
	.nargs = 1,
	.types = {UUIDARRAYOID}
};

static TxnPlan plan_retries = {
	.sql = "SELECT DISTINCT job_id FROM jobsched.timers WHERE job_id = ANY ($1) AND NOT cron",
	.nargs = 1,
	.types = {UUIDARRAYOID}
};

int
cron_job_compare(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}

CronJob *
cron_jobs_find(const CronJobs *jobs, const pg_uuid_t *id)
{
	return bsearch(id, jobs->items, jobs->count, sizeof(CronJob), cron_job_compare);
}

static Datum
ids_of(const CronJobs *jobs, bool (*which) (const CronJob *))
{
	Column		ids = {0};

	for (int i = 0; i < jobs->count; i++)
	{
		if (which(&jobs->items[i]))
			column_add(&ids, UUIDPGetDatum(&jobs->items[i].id));
	}
	return column_array(&ids, UUIDOID);
}

static bool
any_job(const CronJob *job)
{
	return true;
}

static bool
is_unlocked(const CronJob *job)
{
	return job->schedule == NULL;
}

static bool
minds_overlap(const CronJob *job)
{
	return job->schedule != NULL && job->schedule->rules.overlap != POLICY_ALLOW && !job->schedule->rules.paused;
}

static int
count_jobs(const CronJobs *jobs, bool (*which) (const CronJob *))
{
	int			n = 0;

	for (int i = 0; i < jobs->count; i++)
		n += which(&jobs->items[i]);
	return n;
}

/* The jobs of the cron runs, each once. */
CronJobs
cron_jobs_collect(const DueRun *runs, int count)
{
	CronJobs		jobs = {.items = palloc0(Max(count, 1) * sizeof(CronJob))};
	int			n = 0;

	for (int i = 0; i < count; i++)
	{
		if (runs[i].cron)
			jobs.items[n++].id = runs[i].job_id;
	}
	qsort(jobs.items, n, sizeof(CronJob), cron_job_compare);
	for (int i = 0; i < n; i++)
	{
		if (i == 0 || cron_job_compare(&jobs.items[i].id, &jobs.items[i - 1].id) != 0)
			jobs.items[jobs.count++].id = jobs.items[i].id;
	}
	return jobs;
}

void
cron_jobs_lock(CronJobs *jobs)
{
	Datum		ids = ids_of(jobs, any_job);
	uint64		rows = txn_run(&plan_lock, &ids, NULL);
	Schedule   *schedules = palloc(Max(rows, 1) * sizeof(Schedule));

	for (uint64 row = 0; row < rows; row++)
	{
		schedule_read(row, &schedules[row]);
		cron_jobs_find(jobs, &schedules[row].job_id)->schedule = &schedules[row];
	}
	if (count_jobs(jobs, is_unlocked) == 0)
		return;
	ids = ids_of(jobs, is_unlocked);
	rows = txn_run(&plan_exists, &ids, NULL);
	for (uint64 row = 0; row < rows; row++)
		cron_jobs_find(jobs, DatumGetUUIDP(txn_value(row, 1)))->exists = true;
}

/* A run in flight of a job whose runs give way to the next. */
typedef struct Holder
{
	pg_uuid_t	dispatch;		/* first: cron_job_compare */
	CronJob		   *job;
} Holder;

typedef struct Holders
{
	Holder	   *items;
	int			count;
	int			allocated;
} Holders;

static void
add_holder(Holders *holders, const pg_uuid_t *dispatch, CronJob *job)
{
	if (holders->count == holders->allocated)
	{
		holders->allocated = holders->allocated == 0 ? 64 : holders->allocated * 2;
		holders->items = holders->items == NULL ? palloc(holders->allocated * sizeof(Holder))
			: repalloc(holders->items, holders->allocated * sizeof(Holder));
	}
	holders->items[holders->count].dispatch = *dispatch;
	holders->items[holders->count++].job = job;
}

static void
lock_holders(const Holders *holders)
{
	Column		ids = {0};
	Datum		array;
	pg_uuid_t  *locked;
	uint64		rows;

	if (holders->count == 0)
		return;
	for (int i = 0; i < holders->count; i++)
		column_add(&ids, UUIDPGetDatum(&holders->items[i].dispatch));
	array = column_array(&ids, UUIDOID);
	rows = txn_run(&plan_lock_dispatches, &array, NULL);
	locked = palloc(Max(rows, 1) * sizeof(pg_uuid_t));
	for (uint64 row = 0; row < rows; row++)
		locked[row] = *DatumGetUUIDP(txn_value(row, 1));
	for (int i = 0; i < holders->count; i++)
	{
		if (bsearch(&holders->items[i].dispatch, locked, rows, sizeof(pg_uuid_t), cron_job_compare) == NULL)
			holders->items[i].job->blocked = true;
	}
}

void
cron_jobs_see_busy(const CronJobs *jobs)
{
	Holders		holders = {0};
	Datum		ids;
	uint64		rows;

	if (count_jobs(jobs, minds_overlap) == 0)
		return;
	rows = txn_run(&plan_in_flight, NULL, NULL);
	for (uint64 row = 0; row < rows; row++)
	{
		ArrayType  *array = DatumGetArrayTypeP(txn_value(row, 2));
		uint64		done = (uint64) DatumGetInt64(txn_value(row, 3));
		int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		const pg_uuid_t *id = (const pg_uuid_t *) ARR_DATA_PTR(array);	/* no nulls, aligned to chars */

		for (int i = 0; i < n; i++)
		{
			CronJob		   *job = (done >> i) & 1 ? NULL : cron_jobs_find(jobs, &id[i]);

			if (job == NULL || !minds_overlap(job))
				continue;
			job->busy = true;
			if (job->schedule->rules.overlap == POLICY_CANCEL_RUNNING)
				add_holder(&holders, DatumGetUUIDP(txn_value(row, 1)), job);
		}
	}
	ids = ids_of(jobs, minds_overlap);
	rows = txn_run(&plan_retries, &ids, NULL);
	for (uint64 row = 0; row < rows; row++)
		cron_jobs_find(jobs, DatumGetUUIDP(txn_value(row, 1)))->busy = true;
	lock_holders(&holders);
}
