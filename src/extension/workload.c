/*
 * workload.c: the load that live workers report in their heartbeats.
 */
#include "workload.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "txn.h"

#define NEWS_INTERVAL (50 * JS_USEC_PER_MS)

struct Workload
{
	MemoryContext parent;
	MemoryContext context;		/* of means */
	HTAB	   *means;
	bool		silent;			/* a worker has lost its lease a short while ago */
	TimestampTz read_at;
	bool		asked_in_vain;	/* for the mean of a task, since then */
};

typedef struct MeanEntry
{
	int32		task;
	double		seconds;
} MeanEntry;

/* What a worker sends may be no number, or one that does not fit a float8. */
static TxnPlan plan_means = {
	.sql = "SELECT jobsched._task_hash(m.key), avg(CASE WHEN jsonb_typeof(m.value) = 'number' THEN"
	" greatest(least(m.value::numeric, 1e9), 1e-9)::float8 END)"
	" FROM jobsched.workers w,"
	" jsonb_each(CASE WHEN jsonb_typeof(w.load -> 'means') = 'object' THEN w.load -> 'means' ELSE '{}' END) m"
	" WHERE w.state = 'live' AND w.last_seen > now() - $1 GROUP BY 1",
	.nargs = 1,
	.types = {INTERVALOID}
};

static TxnPlan plan_slots = {
	.sql = "SELECT q.id, sum(w.slots), avg(w.slots)::float8"
	" FROM jobsched.workers w JOIN jobsched.queues q ON q.name = ANY (w.queues)"
	" WHERE w.state = 'live' AND w.last_seen > now() - $1 GROUP BY q.id",
	.nargs = 1,
	.types = {INTERVALOID}
};

/* RabbitMQ may still deliver to these; it notices within a minute. */
static TxnPlan plan_silent = {
	.sql = "SELECT 1 FROM jobsched.workers w"
	" WHERE w.state = 'live' AND w.last_seen BETWEEN now() - $1 - interval '60 s' AND now() - $1 LIMIT 1",
	.nargs = 1,
	.types = {INTERVALOID}
};

Workload *
workload_create(MemoryContext parent)
{
	Workload   *workload = MemoryContextAllocZero(parent, sizeof(Workload));

	workload->parent = parent;
	return workload;
}

static void
read_means(Workload *workload, uint64 rows)
{
	MemoryContext context = AllocSetContextCreate(workload->parent, "jobsched means", ALLOCSET_SMALL_SIZES);
	HASHCTL		ctl = {.keysize = sizeof(int32), .entrysize = sizeof(MeanEntry), .hcxt = context};
	HTAB	   *means = hash_create("jobsched means", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	for (uint64 row = 0; row < rows; row++)
	{
		int32		task = DatumGetInt32(txn_value(row, 1));
		bool		isnull;
		double		seconds = DatumGetFloat8(txn_value_or_null(row, 2, &isnull));
		MeanEntry  *entry;

		if (isnull || !(seconds >= 0))
			continue;
		entry = hash_search(means, &task, HASH_ENTER, NULL);
		entry->seconds = seconds;
	}
	if (workload->context != NULL)
		MemoryContextDelete(workload->context);
	workload->context = context;
	workload->means = means;
}

void
workload_read(Workload *workload, Queues *queues)
{
	Interval	lease = {.time = js_worker_lease_ms * JS_USEC_PER_MS};
	Datum		values[1] = {IntervalPGetDatum(&lease)};
	uint64		rows;

	workload->read_at = GetCurrentTimestamp();
	workload->asked_in_vain = false;
	read_means(workload, txn_run(&plan_means, values, NULL));

	rows = txn_run(&plan_slots, values, NULL);
	for (int i = 0; i < queues->count; i++)
	{
		queues->items[i]->live_slots = 0;
		queues->items[i]->worker_slots = 0;
	}
	for (uint64 row = 0; row < rows; row++)
	{
		Queue	   *queue = queues_find(queues, DatumGetInt16(txn_value(row, 1)));

		if (queue == NULL)
			continue;
		queue->live_slots = (int) Min(DatumGetInt64(txn_value(row, 2)), 1000000);
		queue->worker_slots = DatumGetFloat8(txn_value(row, 3));
	}
	workload->silent = txn_run(&plan_silent, values, NULL) > 0;
}

void
workload_read_news(Workload *workload, Queues *queues)
{
	TimestampTz now = GetCurrentTimestamp();

	if (workload->asked_in_vain && (now >= workload->read_at + NEWS_INTERVAL || now < workload->read_at))
		workload_read(workload, queues);
}

double
workload_mean(Workload *workload, int32 task)
{
	const MeanEntry *entry = NULL;

	if (workload->means != NULL)
		entry = hash_search(workload->means, &task, HASH_FIND, NULL);
	if (entry == NULL)
		workload->asked_in_vain = true;
	return entry != NULL ? entry->seconds : -1;
}

bool
workload_has_silent(const Workload *workload)
{
	return workload->silent;
}
