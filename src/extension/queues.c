/*
 * queues.c: queues, the bounds of their due scans, and their windows.
 *
 * The bounds are what keeps the due scan away from dead index entries at its left edge: under a long transaction they
 * cannot be removed, and a probe that starts at -infinity would visit all of them every time.
 */
#include "queues.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "txn.h"
#include "window.h"

#define MIN_WINDOW 8			/* dispatches, automatic */
#define WINDOW_PER_SLOT 4

static TxnPlan plan_load = {
	.sql = "SELECT id, name, paused, dispatch_window FROM jobsched.queues ORDER BY id"
};

static TxnPlan plan_heads = {
	.sql = "SELECT h.queue, h.priority, (SELECT t.due_at FROM jobsched.timers t"
	" WHERE t.queue = h.queue AND t.priority = h.priority AND t.due_at >= h.bound AND t.due_at < 'infinity'"
	" AND t.segment BETWEEN $4 AND $5 ORDER BY t.due_at LIMIT 1)"
	" FROM unnest($1, $2, $3) AS h(queue, priority, bound)",
	.nargs = 5,
	.types = {INT2ARRAYOID, INT2ARRAYOID, TIMESTAMPTZARRAYOID, INT2OID, INT2OID}
};

Queues *
queues_create(MemoryContext context, JsDatabase *db)
{
	Queues	   *queues = MemoryContextAllocZero(context, sizeof(Queues));

	queues->context = context;
	queues->db = db;
	return queues;
}

static void
forget_heads(Queue *queue)
{
	for (int p = 0; p < JS_PRIORITIES; p++)
	{
		queue->heads[p].bound = DT_NOBEGIN;
		queue->heads[p].next = DT_NOEND;
		queue->heads[p].probe = true;
		queue->heads[p].guess = false;
		queue->heads[p].group = 1;
	}
}

void
queues_forget(Queues *queues)
{
	for (int i = 0; i < queues->count; i++)
		forget_heads(queues->items[i]);
}

/* The position of id, or where it belongs. */
static int
position(const Queues *queues, int16 id)
{
	int			low = 0,
				high = queues->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (queues->items[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

Queue *
queues_find(const Queues *queues, int16 id)
{
	int			at = position(queues, id);

	return at < queues->count && queues->items[at]->id == id ? queues->items[at] : NULL;
}

static Queue *
add(Queues *queues, int16 id)
{
	int			at = position(queues, id);
	Queue	   *queue = MemoryContextAllocZero(queues->context, sizeof(Queue));

	if (queues->count == queues->allocated)
	{
		int			more = Max(16, queues->allocated * 2);

		queues->items = queues->items == NULL
			? MemoryContextAlloc(queues->context, more * sizeof(Queue *))
			: repalloc(queues->items, more * sizeof(Queue *));
		queues->allocated = more;
	}
	memmove(&queues->items[at + 1], &queues->items[at], (queues->count - at) * sizeof(Queue *));
	queues->items[at] = queue;
	queues->count++;
	queue->id = id;
	queue->enqueued_then = pg_atomic_read_u64(&queues->db->enqueued[JS_BUCKET(id)]);
	queue->dequeued_then = pg_atomic_read_u64(&queues->db->dequeued[JS_BUCKET(id)]);
	forget_heads(queue);
	return queue;
}

void
queues_load(Queues *queues)
{
	uint64		rows = txn_run(&plan_load, NULL, NULL);
	int			kept = 0;

	for (int i = 0; i < queues->count; i++)
		queues->items[i]->present = false;
	for (uint64 row = 0; row < rows; row++)
	{
		int16		id = DatumGetInt16(txn_value(row, 1));
		Queue	   *queue = queues_find(queues, id);
		bool		isnull;
		int			own_window;
		char	   *name = TextDatumGetCString(txn_value(row, 2));

		if (queue == NULL)
			queue = add(queues, id);
		queue->present = true;
		strlcpy(queue->name, name, sizeof(queue->name));
		queue->paused = DatumGetBool(txn_value(row, 3));
		own_window = DatumGetInt32(txn_value_or_null(row, 4, &isnull));
		queue->own_window = isnull ? 0 : own_window;
		pfree(name);
	}
	for (int i = 0; i < queues->count; i++)
	{
		if (queues->items[i]->present)
			queues->items[kept++] = queues->items[i];
		else
			pfree(queues->items[i]);
	}
	queues->count = kept;
}

void
queues_lower(Queues *queues, uint64 touched, WakeupHints hints)
{
	for (int i = 0; touched != 0 && i < queues->count; i++)
	{
		Queue	   *queue = queues->items[i];
		int			bucket = JS_BUCKET(queue->id);

		if ((touched & (UINT64CONST(1) << bucket)) == 0)
			continue;
		for (int p = 0; p < JS_PRIORITIES; p++)
		{
			queue->heads[p].bound = Min(queue->heads[p].bound, hints[bucket][p]);
			queue->heads[p].next = Min(queue->heads[p].next, hints[bucket][p]);
			/* "look from the beginning" (a queue goes on, adopt()) is no due time to compare with others. */
			if (hints[bucket][p] == DT_NOBEGIN)
				queue->heads[p].guess = true;
		}
	}
}

bool
queues_want_probe(const Queues *queues)
{
	for (int i = 0; i < queues->count; i++)
		for (int p = 0; p < JS_PRIORITIES; p++)
			if (queues->items[i]->heads[p].probe)
				return true;
	return false;
}

void
queues_find_heads(Queues *queues, bool unbounded, int lo, int hi)
{
	int			max = Max(queues->count, 1) * JS_PRIORITIES;
	Datum	   *ids = palloc(max * sizeof(Datum));
	Datum	   *priorities = palloc(max * sizeof(Datum));
	Datum	   *bounds = palloc(max * sizeof(Datum));
	int			n = 0;
	uint64		rows;
	Datum		values[5];

	for (int i = 0; i < queues->count; i++)
	{
		for (int p = 0; p < JS_PRIORITIES; p++)
		{
			const QueueHead *head = &queues->items[i]->heads[p];

			if (!unbounded && !head->probe)
				continue;
			ids[n] = Int16GetDatum(queues->items[i]->id);
			priorities[n] = Int16GetDatum((int16) p);
			bounds[n] = TimestampTzGetDatum(unbounded ? DT_NOBEGIN : head->bound);
			n++;
		}
	}
	if (n == 0)
		return;
	values[0] = PointerGetDatum(construct_array(ids, n, INT2OID, 2, true, TYPALIGN_SHORT));
	values[1] = PointerGetDatum(construct_array(priorities, n, INT2OID, 2, true, TYPALIGN_SHORT));
	values[2] = PointerGetDatum(construct_array(bounds, n, TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[3] = Int16GetDatum((int16) lo);
	values[4] = Int16GetDatum((int16) hi);
	rows = txn_run(&plan_heads, values, NULL);

	for (uint64 row = 0; row < rows; row++)
	{
		Queue	   *queue = queues_find(queues, DatumGetInt16(txn_value(row, 1)));
		QueueHead  *head = &queue->heads[DatumGetInt16(txn_value(row, 2))];
		bool		isnull;
		TimestampTz due = DatumGetTimestampTz(txn_value_or_null(row, 3, &isnull));

		head->next = isnull ? DT_NOEND : due;
		head->bound = Min(head->bound, head->next);
		head->probe = false;
		head->guess = false;
	}
}

static int64
queued_now(const Queues *queues, const Queue *queue)
{
	int			bucket = JS_BUCKET(queue->id);
	uint64		enqueued = pg_atomic_read_u64(&queues->db->enqueued[bucket]) - queue->enqueued_then;
	uint64		dequeued = pg_atomic_read_u64(&queues->db->dequeued[bucket]) - queue->dequeued_then;

	return Max(queue->counted + (int64) enqueued - (int64) dequeued, 0);
}

int
queues_room(const Queues *queues, const Queue *queue)
{
	int64		window = queue->own_window;

	if (window == 0)
		window = js_dispatch_window;
	if (window == 0)
		window = Max(MIN_WINDOW, WINDOW_PER_SLOT * (int64) queue->live_slots);
	return (int) Max(window - queued_now(queues, queue), 0);
}

void
queues_count_begin(Queues *queues)
{
	for (int i = 0; i < queues->count; i++)
	{
		Queue	   *queue = queues->items[i];

		queue->enqueued_before = pg_atomic_read_u64(&queues->db->enqueued[JS_BUCKET(queue->id)]);
		queue->dequeued_before = pg_atomic_read_u64(&queues->db->dequeued[JS_BUCKET(queue->id)]);
	}
}

void
queues_counted(Queues *queues, Queue *queue, int64 counted)
{
	int			bucket = JS_BUCKET(queue->id);
	uint64		enqueued = pg_atomic_read_u64(&queues->db->enqueued[bucket]);
	uint64		dequeued = pg_atomic_read_u64(&queues->db->dequeued[bucket]);
	int64		known = queue->counted + (int64) (enqueued - queue->enqueued_then) - (int64) (dequeued - queue->dequeued_then);

	queue->counted = window_settle(known, counted, enqueued - queue->enqueued_before, dequeued - queue->dequeued_before);
	queue->enqueued_then = enqueued;
	queue->dequeued_then = dequeued;
}

void
queues_enqueued(Queues *queues, const Queue *queue, int dispatches)
{
	pg_atomic_fetch_add_u64(&queues->db->enqueued[JS_BUCKET(queue->id)], dispatches);
}
