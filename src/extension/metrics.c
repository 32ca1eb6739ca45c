/*
 * metrics.c: counters in shared memory, what a transaction adds to them, and the SQL functions.
 */
#include "metrics.h"

#include <math.h>

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "functions.h"
#include "shmem.h"

JS_FUNCTION(js_submitted);
JS_FUNCTION(js_counted);
JS_FUNCTION(js_counters);

#define KEEP_ALLOCATED 1024		/* records, from one transaction to the next */

const double metrics_run_limits[METRICS_BUCKETS - 1] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 3600};
const double metrics_latency_limits[METRICS_BUCKETS - 1] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 10, 60};

static const char *const end_names[METRICS_ENDS] = {"succeeded", "failed", "retried", "lost", "cancelled", "expired"};

typedef enum Kind
{
	KIND_SUBMITTED,
	KIND_ENDED,
	KIND_STALE
} Kind;

/* What this transaction has done, in the order of doing: an aborted subtransaction takes its records off the end. */
typedef struct Record
{
	int			level;			/* nesting level of transactions */
	int16		task;			/* entry */
	uint8		kind;
	uint8		end;
	uint32		n;
	int64		ran_us;			/* -1: not known */
	int64		waited_us;
} Record;

static Record *pending = NULL;
static int	pending_count = 0;
static int	pending_allocated = 0;

/* ------------------------------------------------------------------ shared memory */

static void
init_histogram(SharedHistogram *histogram)
{
	for (int i = 0; i < METRICS_BUCKETS; i++)
		pg_atomic_init_u64(&histogram->buckets[i], 0);
	pg_atomic_init_u64(&histogram->us, 0);
}

void
metrics_init(JsMetrics *metrics)
{
	SpinLockInit(&metrics->mutex);
	pg_atomic_init_u32(&metrics->count, 1);
	pg_atomic_init_u64(&metrics->stale, 0);
	init_histogram(&metrics->start);
	for (int i = 0; i <= METRICS_TASKS; i++)
	{
		TaskMetrics *task = &metrics->tasks[i];

		task->hash = 0;
		task->name[0] = '\0';
		pg_atomic_init_u32(&task->named, 0);
		pg_atomic_init_u64(&task->submitted, 0);
		for (int end = 0; end < METRICS_ENDS; end++)
			pg_atomic_init_u64(&task->ended[end], 0);
		init_histogram(&task->ran);
	}
}

static int
bucket_of(const double *limits, int64 us)
{
	int			bucket = 0;

	while (bucket < METRICS_BUCKETS - 1 && us > limits[bucket] * 1e6)
		bucket++;
	return bucket;
}

void
metrics_observe(Histogram *histogram, const double *limits, int64 us)
{
	us = Max(us, 0);
	histogram->buckets[bucket_of(limits, us)]++;
	histogram->us += us;
}

static void
observe_shared(SharedHistogram *histogram, const double *limits, int64 us)
{
	pg_atomic_fetch_add_u64(&histogram->buckets[bucket_of(limits, us)], 1);
	pg_atomic_fetch_add_u64(&histogram->us, us);
}

static int
find_task(JsMetrics *metrics, int32 hash)
{
	int			count = (int) pg_atomic_read_u32(&metrics->count);

	pg_read_barrier();
	for (int i = 1; i < count; i++)
	{
		if (metrics->tasks[i].hash == hash)
			return i;
	}
	return 0;
}

/* The entry of a task, made when it is new; 0 when there is no room. */
static int
enter_task(JsMetrics *metrics, int32 hash)
{
	static int	last = 0;		/* most calls come for the task of the call before */
	int			i;

	if (last > 0 && metrics->tasks[last].hash == hash)
		return last;
	i = find_task(metrics, hash);
	if (i == 0 && pg_atomic_read_u32(&metrics->count) <= METRICS_TASKS)
	{
		SpinLockAcquire(&metrics->mutex);
		i = find_task(metrics, hash);
		if (i == 0 && pg_atomic_read_u32(&metrics->count) <= METRICS_TASKS)
		{
			i = (int) pg_atomic_read_u32(&metrics->count);
			metrics->tasks[i].hash = hash;
			pg_write_barrier();
			pg_atomic_write_u32(&metrics->count, (uint32) i + 1);
		}
		SpinLockRelease(&metrics->mutex);
	}
	last = i;
	return i;
}

void
metrics_name(int32 task, const char *name, int len)
{
	JsDatabase *db = shmem_my_database();
	TaskMetrics *entry;
	int			i;

	if (db == NULL || len >= METRICS_NAME)
		return;
	i = enter_task(&db->metrics, task);
	entry = &db->metrics.tasks[i];
	if (i == 0 || pg_atomic_read_u32(&entry->named) != 0)
		return;
	SpinLockAcquire(&db->metrics.mutex);
	if (pg_atomic_read_u32(&entry->named) == 0)
	{
		memcpy(entry->name, name, len);
		entry->name[len] = '\0';
		pg_write_barrier();
		pg_atomic_write_u32(&entry->named, 1);
	}
	SpinLockRelease(&db->metrics.mutex);
}

/* ------------------------------------------------------------------ a transaction's part */

static void
add_up(JsMetrics *metrics)
{
	for (int i = 0; i < pending_count; i++)
	{
		const Record *r = &pending[i];
		TaskMetrics *task = &metrics->tasks[r->task];

		switch ((Kind) r->kind)
		{
			case KIND_SUBMITTED:
				pg_atomic_fetch_add_u64(&task->submitted, r->n);
				break;
			case KIND_STALE:
				pg_atomic_fetch_add_u64(&metrics->stale, r->n);
				break;
			case KIND_ENDED:
				pg_atomic_fetch_add_u64(&task->ended[r->end], r->n);
				if (r->ran_us >= 0)
					observe_shared(&task->ran, metrics_run_limits, r->ran_us);
				if (r->waited_us >= 0)
					observe_shared(&metrics->start, metrics_latency_limits, r->waited_us);
				break;
		}
	}
}

static void
at_xact_end(XactEvent event, void *arg)
{
	JsDatabase *db;

	if (pending_count == 0)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			db = shmem_my_database();
			if (db != NULL)
				add_up(&db->metrics);
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
			pending_count = 0;
			if (pending_allocated > KEEP_ALLOCATED)
			{
				pfree(pending);
				pending = NULL;
				pending_allocated = 0;
			}
			break;
		default:
			break;
	}
}

static void
at_subxact_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (pending_count > 0 && pending[pending_count - 1].level >= level)
			pending_count--;
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (int i = pending_count - 1; i >= 0 && pending[i].level >= level; i--)
			pending[i].level = level - 1;
	}
}

static Record *
add_record(Kind kind, int task, MetricsEnd end, bool alone)
{
	static bool registered = false;
	int			level = GetCurrentTransactionNestLevel();
	Record	   *last = pending_count > 0 ? &pending[pending_count - 1] : NULL;

	/* Jobs submitted one after the other, and ends of which nothing but their number is known. */
	if (!alone && last != NULL && last->kind == kind && last->task == task && last->end == end && last->level == level && last->ran_us < 0 && last->waited_us < 0)
		return last;
	if (!registered)
	{
		RegisterXactCallback(at_xact_end, NULL);
		RegisterSubXactCallback(at_subxact_end, NULL);
		registered = true;
	}
	if (pending == NULL || pending_count == pending_allocated)
	{
		int			more = Max(pending_allocated * 2, 64);

		pending = pending == NULL ? MemoryContextAlloc(TopMemoryContext, more * sizeof(Record)) :
			repalloc_huge(pending, more * sizeof(Record));
		pending_allocated = more;
	}
	pending[pending_count] = (Record) {.level = level, .task = (int16) task, .kind = (uint8) kind, .end = (uint8) end, .ran_us = -1, .waited_us = -1};
	return &pending[pending_count++];
}

void
metrics_submitted(int32 task, const char *name, int len)
{
	JsDatabase *db = shmem_my_database();

	if (db == NULL)
		return;
	metrics_name(task, name, len);
	add_record(KIND_SUBMITTED, enter_task(&db->metrics, task), METRICS_SUCCEEDED, false)->n++;
}

void
metrics_stale(int n)
{
	if (n > 0 && shmem_my_database() != NULL)
		add_record(KIND_STALE, 0, METRICS_SUCCEEDED, false)->n += n;
}

TimestampTz
metrics_waited_from(const pg_uuid_t *job_id, TimestampTz due)
{
	int64		ms = 0;

	/* The first 48 bits of a UUIDv7: milliseconds since 1970. */
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | job_id->data[i];
	return Max(due, ms * JS_USEC_PER_MS - (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY);
}

void
metrics_ended(int32 task, MetricsEnd end, const pg_uuid_t *job_id, TimestampTz run_at, int attempt, TimestampTz started, int64 ran_us)
{
	JsDatabase *db = shmem_my_database();
	bool		timed = started != DT_NOBEGIN;
	Record	   *r;

	if (db == NULL)
		return;
	r = add_record(KIND_ENDED, enter_task(&db->metrics, task), end, timed);
	r->n++;
	if (timed && ran_us >= 0)
		r->ran_us = ran_us;
	if (timed && attempt == 1)
		r->waited_us = Max(started - metrics_waited_from(job_id, run_at), 0);
}

/* ------------------------------------------------------------------ SQL */

/* js_submitted(name text): a job of this task was made. */
Datum
js_submitted(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	int			len = (int) VARSIZE_ANY_EXHDR(name);

	metrics_submitted(functions_task_hash(VARDATA_ANY(name), len), VARDATA_ANY(name), len);
	PG_RETURN_VOID();
}

/*
 * js_counted(slot smallint, task integer, status text, job_id uuid, run_at timestamptz, attempt smallint, started_at timestamptz,
 * ran_us bigint) returns smallint: the slot.
 */
Datum
js_counted(PG_FUNCTION_ARGS)
{
	char	   *status;
	bool		timed = !PG_ARGISNULL(3) && !PG_ARGISNULL(4) && !PG_ARGISNULL(5) && !PG_ARGISNULL(6);

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("slot and status must not be null"));
	status = text_to_cstring(PG_GETARG_TEXT_PP(2));
	for (int end = 0; end < METRICS_ENDS; end++)
	{
		if (strcmp(status, end_names[end]) != 0)
			continue;
		metrics_ended(PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1), (MetricsEnd) end, timed ? PG_GETARG_UUID_P(3) : NULL,
					  timed ? PG_GETARG_TIMESTAMPTZ(4) : 0, timed ? PG_GETARG_INT16(5) : 0, timed ? PG_GETARG_TIMESTAMPTZ(6) : DT_NOBEGIN,
					  PG_ARGISNULL(7) ? -1 : PG_GETARG_INT64(7));
	}
	PG_RETURN_INT16(PG_GETARG_INT16(0));
}

typedef struct Rows
{
	ReturnSetInfo *rsinfo;
	const char *task;			/* NULL: none */
} Rows;

static void
put(const Rows *rows, const char *name, const char *label, double le, double value)
{
	Datum		values[5] = {
		CStringGetTextDatum(name), rows->task != NULL ? CStringGetTextDatum(rows->task) : (Datum) 0,
		label != NULL ? CStringGetTextDatum(label) : (Datum) 0, Float8GetDatum(le), Float8GetDatum(value)
	};
	bool		nulls[5] = {[1] = rows->task == NULL, [2] = label == NULL, [3] = isnan(le)};

	tuplestore_putvalues(rows->rsinfo->setResult, rows->rsinfo->setDesc, values, nulls);
}

static void
put_histogram(const Rows *rows, const char *name, const char *label, const Histogram *histogram, const double *limits)
{
	uint64		n = 0;

	for (int i = 0; i < METRICS_BUCKETS; i++)
	{
		n += histogram->buckets[i];
		put(rows, psprintf("%s_bucket", name), label, i < METRICS_BUCKETS - 1 ? limits[i] : INFINITY, (double) n);
	}
	put(rows, psprintf("%s_sum", name), label, NAN, (double) histogram->us / 1e6);
	put(rows, psprintf("%s_count", name), label, NAN, (double) n);
}

static void
put_shared(const Rows *rows, const char *name, SharedHistogram *shared, const double *limits)
{
	Histogram	histogram;

	for (int i = 0; i < METRICS_BUCKETS; i++)
		histogram.buckets[i] = pg_atomic_read_u64(&shared->buckets[i]);
	histogram.us = pg_atomic_read_u64(&shared->us);
	put_histogram(rows, name, NULL, &histogram, limits);
}

static void
put_task(Rows *rows, TaskMetrics *task, bool other)
{
	bool		any = pg_atomic_read_u64(&task->submitted) > 0;

	for (int end = 0; end < METRICS_ENDS; end++)
		any = any || pg_atomic_read_u64(&task->ended[end]) > 0;
	if (!any)
		return;
	rows->task = other ? "(other)" : pg_atomic_read_u32(&task->named) != 0 ? task->name : "(unknown)";
	pg_read_barrier();
	put(rows, "submitted", NULL, NAN, (double) pg_atomic_read_u64(&task->submitted));
	for (int end = 0; end < METRICS_ENDS; end++)
		put(rows, "ended", end_names[end], NAN, (double) pg_atomic_read_u64(&task->ended[end]));
	put_shared(rows, "ran", &task->ran, metrics_run_limits);
}

/*
 * js_counters(out name text, out task text, out label text, out le float8, out value float8): what jobsched.metrics() gives names to.
 * No row in a database that nobody schedules.
 */
Datum
js_counters(PG_FUNCTION_ARGS)
{
	JsDatabase *db = shmem_my_database();
	Rows		rows = {.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo};
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	if (db == NULL)
		PG_RETURN_NULL();
	count = (int) pg_atomic_read_u32(&db->metrics.count);
	pg_read_barrier();
	for (int i = 0; i < count; i++)
		put_task(&rows, &db->metrics.tasks[i], i == 0);
	rows.task = NULL;
	put_shared(&rows, "start", &db->metrics.start, metrics_latency_limits);
	put(&rows, "stale", NULL, NAN, (double) pg_atomic_read_u64(&db->metrics.stale));
	for (int i = 0; i < JS_MAX_SCHEDULERS; i++)
	{
		JsStatus	status;

		shmem_read_status(&db->slots[i], &status);
		if (status.pid == 0)
			continue;
		put_histogram(&rows, "confirm", psprintf("%d", i), &status.counters.confirm, metrics_latency_limits);
		put(&rows, "unconfirmed", psprintf("%d", i), NAN, (double) status.unconfirmed);
	}
	PG_RETURN_NULL();
}
