/*
 * promote.c: takes due runs out of timers, groups them, and inserts the groups as dispatches, in one transaction.
 *
 * One probe of the index for each (queue, priority) that may have something due, with equality on both columns.  The
 * probes are made in the order of (earliest due_at - 10 s * priority): priority 9 first, but a run that has waited 10 s
 * longer for each step of priority goes first (ageing).
 *
 * Rows are locked (SKIP LOCKED), grouped, and those that fit the window are deleted; the others are let go with the
 * commit.  How many are locked is guessed from the groups of last time, so that these are few.
 *
 * The commit is asynchronous: losing it in a crash only means promoting the same runs again.
 */
#include "promote.h"

#include "catalog/pg_type.h"
#include "storage/itemptr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "functions.h"
#include "promote_cron.h"
#include "txn.h"

#define AGEING (10 * USECS_PER_SEC)	/* waiting that outweighs one step of priority */
#define DISPATCH_SECONDS 0.1	/* work in a dispatch, when all threads of a worker share it */

/* guard: model M_NO_WINDOW is the LIMIT; a row that another session holds is skipped and found again later. */
static TxnPlan plan_due = {
	.sql = "SELECT ctid, due_at, run_at, job_id, attempt, failures, losses, segment, task, cron FROM jobsched.timers"
	" WHERE queue = $1 AND priority = $2 AND due_at >= $3 AND due_at <= $4 AND segment BETWEEN $5 AND $6"
	" ORDER BY due_at LIMIT $7 FOR UPDATE SKIP LOCKED",
	.nargs = 7,
	.types = {INT2OID, INT2OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT2OID, INT2OID, INT8OID}
};

static TxnPlan plan_delete = {
	.sql = "DELETE FROM jobsched.timers WHERE ctid = ANY ($1)",
	.nargs = 1,
	.types = {TIDARRAYOID}
};

static TxnPlan plan_insert = {
	.sql = "INSERT INTO jobsched.dispatches"
	" (id, queue, priority, segment, queued_at, job_ids, run_ats, attempts, failures, losses, tasks)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
	.nargs = 11,
	.types = {UUIDOID, INT2OID, INT2OID, INT2OID, TIMESTAMPTZOID, UUIDARRAYOID, TIMESTAMPTZARRAYOID, INT2ARRAYOID,
	INT2ARRAYOID, INT2ARRAYOID, INT4ARRAYOID}
};

/* What was promoted and is to be published once committed. */
typedef struct Made
{
	int			count;
	int			allocated;
	struct
	{
		pg_uuid_t	id;
		Queue	   *queue;
		TimestampTz waited_from;	/* of its first run */
	}		   *items;
} Made;

typedef struct Head
{
	Queue	   *queue;
	int			priority;
	TimestampTz score;			/* smallest first */
} Head;

/* Heads whose bounds move once the transaction has committed. */
typedef struct Move
{
	QueueHead  *head;
	TimestampTz bound;
	TimestampTz next;
	bool		probe;
	bool		guess;
	const Queue *queue;			/* whose head it is */
	int			group;
} Move;

static int
compare_heads(const void *a, const void *b)
{
	TimestampTz x = ((const Head *) a)->score,
				y = ((const Head *) b)->score;

	return x < y ? -1 : x > y;
}

/* The heads that may have something due, in the order in which they are served. */
static Head *
due_heads(const Scheduler *s, TimestampTz now, int *count)
{
	Head	   *heads = palloc(Max(s->queues->count, 1) * JS_PRIORITIES * sizeof(Head));

	*count = 0;
	for (int i = 0; i < s->queues->count; i++)
	{
		Queue	   *queue = s->queues->items[i];

		if (queue->paused)
			continue;
		for (int p = 0; p < JS_PRIORITIES; p++)
		{
			TimestampTz next = queue->heads[p].next;

			if (next > now)
				continue;
			heads[*count].queue = queue;
			heads[*count].priority = p;
			heads[*count].score = next == DT_NOBEGIN ? next : next - AGEING * p;
			(*count)++;
		}
	}
	qsort(heads, *count, sizeof(Head), compare_heads);
	return heads;
}

/*
 * The same, with the time of each known exactly when there is more than one: after a full batch only a bound is known,
 * and ageing would take the head for older than it is.
 */
static Head *
due_heads_in_order(Scheduler *s, TimestampTz now, int *count)
{
	Head	   *heads = due_heads(s, now, count);
	bool		guess = false;

	for (int i = 0; *count > 1 && i < *count; i++)
	{
		QueueHead  *head = &heads[i].queue->heads[heads[i].priority];

		head->probe = head->probe || head->guess;
		guess = guess || head->guess;
	}
	if (guess)
	{
		queues_find_heads(s->queues, false, s->lo, s->hi);
		heads = due_heads(s, now, count);
	}
	return heads;
}

/* Locks up to `limit` due rows of a head, earliest first; *count of them. */
static DueRun *
lock_due(const Scheduler *s, const Head *head, TimestampTz now, int limit, int *count)
{
	Datum		values[7] = {
		Int16GetDatum(head->queue->id), Int16GetDatum((int16) head->priority),
		TimestampTzGetDatum(head->queue->heads[head->priority].bound), TimestampTzGetDatum(now),
		Int16GetDatum((int16) s->lo), Int16GetDatum((int16) s->hi), Int64GetDatum(limit)
	};
	uint64		rows = txn_run(&plan_due, values, NULL);
	DueRun	   *runs = palloc(Max(rows, 1) * sizeof(DueRun));

	for (uint64 row = 0; row < rows; row++)
	{
		DueRun	   *run = &runs[row];

		run->tid = *(ItemPointer) DatumGetPointer(txn_value(row, 1));
		run->due_at = DatumGetTimestampTz(txn_value(row, 2));
		run->run_at = DatumGetTimestampTz(txn_value(row, 3));
		run->job_id = *DatumGetUUIDP(txn_value(row, 4));
		run->attempt = DatumGetInt16(txn_value(row, 5));
		run->failures = DatumGetInt16(txn_value(row, 6));
		run->losses = DatumGetInt16(txn_value(row, 7));
		run->segment = DatumGetInt16(txn_value(row, 8));
		run->task = DatumGetInt32(txn_value(row, 9));
		run->cron = DatumGetBool(txn_value(row, 10));
		run->plan = NULL;
	}
	*count = (int) rows;
	SPI_freetuptable(SPI_tuptable);
	return runs;
}

/*
 * The number of runs from runs[0] on that go into one dispatch: about 100 ms of work of a worker.  A task of unknown
 * run time counts as long and goes alone; so does a run that was lost with its worker, so that neighbours of a task that
 * kills its worker end before it comes back.
 *
 * guard: model D_LOST_STAY_TOGETHER
 */
static int
group_size(const Scheduler *s, const Queue *queue, const DueRun *runs, int count, int most)
{
	double		budget = DISPATCH_SECONDS * Max(queue->worker_slots, 1.0);
	double		work = 0;
	int			n = 0;

	while (n < Min(count, most))
	{
		double		mean = workload_mean(s->workload, runs[n].task);

		if (runs[n].losses > 0 || mean < 0)
			return Max(n, 1);
		work += mean;
		if (n > 0 && work > budget)
			break;
		n++;
	}
	return Max(n, 1);
}

static Datum
int2_array(Datum *values, int n)
{
	return PointerGetDatum(construct_array(values, n, INT2OID, 2, true, TYPALIGN_SHORT));
}

static void
insert_dispatch(Made *made, const Head *head, const DueRun *runs, int count, TimestampTz now)
{
	Datum		job_ids[JS_MAX_RUNS],
				run_ats[JS_MAX_RUNS],
				attempts[JS_MAX_RUNS],
				failures[JS_MAX_RUNS],
				losses[JS_MAX_RUNS],
				tasks[JS_MAX_RUNS];
	Datum		values[11];
	pg_uuid_t	id;

	/*
	 * By time, so that dead entries of the index lie together and are passed over once they are known to be dead; and random (70 bits): an
	 * id that came back after a crash would confuse late claims.
	 */
	functions_new_id(0, &id);

	for (int i = 0; i < count; i++)
	{
		job_ids[i] = UUIDPGetDatum(&runs[i].job_id);
		run_ats[i] = TimestampTzGetDatum(runs[i].run_at);
		attempts[i] = Int16GetDatum(runs[i].attempt);
		failures[i] = Int16GetDatum(runs[i].failures);
		losses[i] = Int16GetDatum(runs[i].losses);
		tasks[i] = Int32GetDatum(runs[i].task);
	}
	values[0] = UUIDPGetDatum(&id);
	values[1] = Int16GetDatum(head->queue->id);
	values[2] = Int16GetDatum((int16) head->priority);
	values[3] = Int16GetDatum(runs[0].segment);
	values[4] = TimestampTzGetDatum(now);
	values[5] = PointerGetDatum(construct_array(job_ids, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[6] = PointerGetDatum(construct_array(run_ats, count, TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[7] = int2_array(attempts, count);
	values[8] = int2_array(failures, count);
	values[9] = int2_array(losses, count);
	values[10] = PointerGetDatum(construct_array(tasks, count, INT4OID, 4, true, TYPALIGN_INT));
	txn_run(&plan_insert, values, NULL);

	if (made->count == made->allocated)
	{
		made->allocated *= 2;
		made->items = repalloc(made->items, made->allocated * sizeof(*made->items));
	}
	made->items[made->count].id = id;
	made->items[made->count].queue = head->queue;
	made->items[made->count].waited_from = metrics_waited_from(&runs[0].job_id, runs[0].due_at);
	made->count++;
}

static void
delete_timers(const DueRun *runs, int count)
{
	Datum	   *tids = palloc(count * sizeof(Datum));
	Datum		values[1];
	uint64		deleted;

	for (int i = 0; i < count; i++)
		tids[i] = PointerGetDatum(&runs[i].tid);
	values[0] = PointerGetDatum(construct_array(tids, count, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT));
	deleted = txn_run(&plan_delete, values, NULL);
	if (deleted != (uint64) count)
		elog(ERROR, "deleted " UINT64_FORMAT " of %d locked timers", deleted, count);
}

/* Promotes what is due at one head; returns the number of runs. */
static int
promote_head(Scheduler *s, const Head *head, TimestampTz now, int batch, Made *made, Move *move)
{
	QueueHead  *state = &head->queue->heads[head->priority];
	int			room = queues_room(s->queues, head->queue);
	int			limit,
				count,
				taken = 0,
				most = js_dispatch_runs,
				dispatches = 0;
	bool		full;
	CronParts	parts;
	DueRun	   *all,
			   *runs;

	for (int i = 0; i < made->count; i++)
		room -= made->items[i].queue == head->queue;
	if (room <= 0)
		return 0;
	limit = Min(batch, room * Min(state->group, js_dispatch_runs));
	all = lock_due(s, head, now, limit, &count);
	full = count == limit;
	promote_cron_decide(all, count, now, &parts);
	runs = all + parts.settled;
	count = parts.ready;

	/* With little due, spread it over the slots; when there is more than was read, larger groups each time. */
	if (full)
		most = Min(most, state->group * 2);
	else
		most = Min(most, (count + Max(head->queue->live_slots, 1) - 1) / Max(head->queue->live_slots, 1));
	while (taken < count && dispatches < room)
	{
		int			n = group_size(s, head->queue, runs + taken, count - taken, most);

		insert_dispatch(made, head, runs + taken, n, now);
		taken += n;
		dispatches++;
	}
	if (parts.settled + taken > 0)
	{
		delete_timers(all, parts.settled + taken);
		promote_cron_write(head->queue, head->priority, all, parts.settled + taken, now);
	}

	move->head = state;
	move->probe = false;
	move->guess = false;
	move->group = state->group;
	if (taken < count || full)
	{
		TimestampTz last = taken < count ? runs[taken].due_at : count > 0 ? runs[count - 1].due_at : state->bound;

		move->bound = move->next = Min(last, parts.held_due);
		move->guess = full;
	}
	else
	{
		move->bound = Min(now, parts.held_due);
		move->next = DT_NOEND;
		move->probe = true;
	}
	/* A cron run whose schedule is being altered: its row is looked at again shortly. */
	if (parts.held_due != DT_NOEND)
	{
		move->next = now + PROMOTE_CRON_HELD;
		move->probe = false;
	}
	if (dispatches > 0)
		move->group = Max(taken / dispatches, 1);
	return taken;
}

/* A head of this queue that comes first has more due than was read: what is behind it waits for the next turn. */
static bool
more_before(const Queue *queue, const Move *move, int moves)
{
	for (int i = 0; i < moves; i++)
	{
		if (move[i].queue == queue && move[i].guess)
			return true;
	}
	return false;
}

int
promote_run(Scheduler *s, TimestampTz now)
{
	Head	   *heads;
	int			count,
				moves = 0,
				taken = 0;
	Made		made = {.allocated = 64};
	Move	   *move;

	/* Outlives the transaction. */
	made.items = MemoryContextAlloc(s->turn_context, made.allocated * sizeof(*made.items));
	if (!txn_begin(TXN_ASYNC))
		return -1;
	queues_load(s->queues);
	if (queues_want_probe(s->queues))
		queues_find_heads(s->queues, false, s->lo, s->hi);

	workload_read_news(s->workload, s->queues);
	heads = due_heads_in_order(s, now, &count);
	move = MemoryContextAlloc(s->turn_context, Max(count, 1) * sizeof(Move));
	for (int i = 0; i < count && taken < js_batch_size; i++)
	{
		if (more_before(heads[i].queue, move, moves))
			continue;
		move[moves].head = NULL;
		move[moves].queue = heads[i].queue;
		taken += promote_head(s, &heads[i], now, js_batch_size - taken, &made, &move[moves]);
		if (move[moves].head != NULL)
			moves++;
	}

	for (int i = 0; i < made.count; i++)
		queues_enqueued(s->queues, made.items[i].queue, 1);
	txn_commit();

	for (int i = 0; i < moves; i++)
	{
		move[i].head->bound = move[i].bound;
		move[i].head->next = move[i].next;
		move[i].head->probe = move[i].probe;
		move[i].head->guess = move[i].guess;
		move[i].head->group = move[i].group;
	}
	for (int i = 0; i < made.count; i++)
		outbox_add(s->outbox, &made.items[i].id, made.items[i].queue->id, made.items[i].waited_from);
	s->in_flight = s->in_flight || made.count > 0;
	s->counters.promoted += taken;
	return taken;
}

TimestampTz
promote_next(const Scheduler *s, TimestampTz now, uint64 *due_left)
{
	TimestampTz earliest = DT_NOEND;

	*due_left = 0;
	for (int i = 0; i < s->queues->count; i++)
	{
		const Queue *queue = s->queues->items[i];
		bool		room = queues_room(s->queues, queue) > 0;

		if (queue->paused)
			continue;
		for (int p = 0; p < JS_PRIORITIES; p++)
		{
			TimestampTz next = queue->heads[p].next;

			if (next <= now && !room)
				*due_left |= UINT64CONST(1) << JS_BUCKET(queue->id);
			else
				earliest = Min(earliest, next);
		}
	}
	return earliest;
}
