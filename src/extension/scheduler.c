/*
 * scheduler.c: the scheduler process.
 *
 * A turn: promote what is due, publish it, read answers, once a second keep house, and sleep until the next timer is
 * due, a commit sets the latch, or the broker has something to say.  It waits for nothing else: not for the broker, not
 * for row locks.  Any ERROR ends the turn, never the process; the bounds of the due scan are not believed afterwards.
 */
#include "scheduler.h"

#include "access/xact.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "broker_url.h"
#include "expiry.h"
#include "housekeeping.h"
#include "mend.h"
#include "permit.h"
#include "promote.h"
#include "retain.h"
#include "txn.h"
#include "urgent.h"
#include "waiter.h"
#include "wakeup.h"

#define HOUSEKEEPING_INTERVAL USECS_PER_SEC	/* while anything is in flight; also to see whether it may work now */
#define MEET (250 * JS_USEC_PER_MS)
#define SWEEP_MOST (10 * USECS_PER_SEC)	/* between unbounded probes, when they are expensive */
#define SWEEP_SHARE 1000		/* an unbounded probe may take 1/1000 of the time */
#define STANDSTILL (5 * USECS_PER_SEC)	/* waking up so much too late: the machine stood still */
#define ERROR_WAIT_FIRST (100 * JS_USEC_PER_MS)
#define ERROR_WAIT_MOST (10 * USECS_PER_SEC)

typedef struct Turn
{
	Permit		permit;
	const char *state;			/* as JsStatus.state */
	TimestampTz housekeeping_at;
	TimestampTz sweep_at;		/* unbounded probe */
	Mend		mend;
	TimestampTz retain_at;
	Expiry		expiry;
	TimestampTz error_until;	/* after an ERROR: rest */
	TimestampTz error_wait;
	TimestampTz sleep_until;	/* of the last sleep; DT_NOEND: it did not sleep */
	bool		hinted;			/* commits have handed something over */
} Turn;

/* Everything that was remembered of the tables is void. */
static void
forget(Scheduler *s, Turn *turn)
{
	queues_forget(s->queues);
	outbox_forget(s->outbox);
	turn->housekeeping_at = DT_NOBEGIN;
	turn->sweep_at = DT_NOBEGIN;
	turn->mend.at = DT_NOBEGIN;
	turn->retain_at = DT_NOBEGIN;
	expiry_forget(&turn->expiry);
}

/* ------------------------------------------------------------------ a turn */

/* One look at the heads of all queues from the very beginning: for what no commit has handed over. */
static bool
sweep(Scheduler *s, Turn *turn)
{
	TimestampTz began = GetCurrentTimestamp();
	TimestampTz ended;

	if (!txn_begin(TXN_ASYNC))
		return false;
	queues_load(s->queues);
	queues_find_heads(s->queues, true, s->lo, s->hi);
	txn_commit();
	ended = GetCurrentTimestamp();
	turn->sweep_at = ended + Max(Min(SWEEP_SHARE * (ended - began), SWEEP_MOST), js_poll_interval * JS_USEC_PER_MS);
	return true;
}

static bool
find_heads(Scheduler *s)
{
	if (!queues_want_probe(s->queues))
		return true;
	if (!txn_begin(TXN_ASYNC))
		return false;
	queues_find_heads(s->queues, false, s->lo, s->hi);
	txn_commit();
	return true;
}

static void
publish(Scheduler *s)
{
	publisher_step(s->publisher);
	urgent_send(s->slot, s->publisher);
	s->counters.republished += outbox_flush(s->outbox, s->publisher, s->queues);
	publisher_step(s->publisher);
}

static TimestampTz
housekeeping_wait(const Scheduler *s)
{
	return s->in_flight ? HOUSEKEEPING_INTERVAL : Max(js_poll_interval * JS_USEC_PER_MS, HOUSEKEEPING_INTERVAL);
}

/* What is looked at now and then shall share a wake-up. */
static void
meet(TimestampTz *a, TimestampTz *b)
{
	if (Abs(*a - *b) < MEET)
		*a = *b = Max(*a, *b);
}

/*
 * The work of a turn.  Returns until when to sleep.  The hints have been taken before: see wakeup.h.
 */
static TimestampTz
work(Scheduler *s, Turn *turn)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next;
	uint64		due_left;
	uint64		due_left_again;

	if (permit_look(&turn->permit, s, now))
		forget(s, turn);
	turn->state = turn->permit.granted ? "running" : turn->permit.why_not;
	if (!turn->permit.granted)
	{
		publisher_configure(s->publisher, NULL, NULL);
		publisher_step(s->publisher);
		return now + HOUSEKEEPING_INTERVAL;
	}
	publisher_configure(s->publisher, broker_url(), js_queue_type);

	/* Before promoting: what is over is not handed out. */
	if (expiry_due(&turn->expiry, now, now >= turn->sweep_at) && !expiry_run(s, &turn->expiry, now))
		goto gone;
	if ((turn->hinted || promote_next(s, now, &due_left) <= now) && promote_run(s, now) < 0)
		goto gone;
	turn->hinted = false;
	publish(s);

	/* Without any dispatch known, a new one makes the next look come in a second. */
	turn->housekeeping_at = Min(turn->housekeeping_at, now + housekeeping_wait(s));
	if (now >= turn->housekeeping_at)
	{
		if (!housekeeping_run(s) || !housekeeping_rescue(s))
			goto gone;
		turn->housekeeping_at = now + housekeeping_wait(s);
		publish(s);
	}
	if (mend_zones_changed(&turn->mend))
		turn->mend.at = DT_NOBEGIN;
	if (now >= turn->mend.at && !mend_run(s, &turn->mend, now))
		goto gone;
	if (now >= turn->sweep_at ? !sweep(s, turn) : !find_heads(s))
		goto gone;
	if (now >= turn->retain_at)
		retain_run(s, &turn->retain_at);

	/* Room that was made before the flag is set wakes nobody: look again. */
	now = GetCurrentTimestamp();
	(void) promote_next(s, now, &due_left);
	wakeup_set_due_left(s->slot, due_left);
	next = promote_next(s, now, &due_left_again);
	meet(&turn->housekeeping_at, &turn->sweep_at);
	next = Min(Min(next, turn->retain_at), Min(turn->expiry.next, turn->mend.at));
	return Min(next, Min(turn->housekeeping_at, turn->sweep_at));

gone:
	/* Look at once what is there now. */
	turn->permit.granted = false;
	return now;
}

static void
rest_after_error(Turn *turn, TimestampTz now)
{
	turn->error_wait = turn->error_wait == 0 ? ERROR_WAIT_FIRST : Min(turn->error_wait * 2, ERROR_WAIT_MOST);
	turn->error_until = now + turn->error_wait;
}

/* A turn in which nothing is thrown out. */
static TimestampTz
turn_safely(Scheduler *s, Turn *turn)
{
	volatile TimestampTz until = DT_NOEND;

	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();	/* here, because pg_cancel_backend() is one */
		if (GetCurrentTimestamp() >= turn->error_until)
		{
			until = work(s, turn);
			turn->error_wait = 0;
		}
		else
		{
			publisher_step(s->publisher);
			until = turn->error_until;
		}
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(s->turn_context);
		turn->state = "resting: a table is locked or gone";
		if (!txn_error_is_expected())
		{
			turn->state = "resting: after an error, see the server's log";
			EmitErrorReport();
		}
		txn_abort();
		FlushErrorState();
		MemoryContextSwitchTo(s->turn_context);
		/* The outbox holds only what has committed. */
		queues_forget(s->queues);
		turn->hinted = true;
		turn->permit.look_at = DT_NOBEGIN;
		rest_after_error(turn, GetCurrentTimestamp());
		until = turn->error_until;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	return until;
}

/* ------------------------------------------------------------------ sleep, status */

static void
show(Scheduler *s, const Turn *turn, TimestampTz until, bool sleeps)
{
	const PublisherCounters *n = publisher_counters(s->publisher);
	const char *broker = publisher_state(s->publisher);
	JsStatus   *status = &s->slot->status;
	char		text[512];

	s->counters.published = n->published;
	s->counters.confirmed = n->confirmed;
	s->counters.returned = n->returned + n->nacked;
	s->counters.confirm = *outbox_confirms(s->outbox);
	s->counters.loops++;

	SpinLockAcquire(&s->slot->mutex);
	status->next_wake = until;
	status->counters = s->counters;
	status->unconfirmed = publisher_unconfirmed(s->publisher);
	strlcpy(status->state, turn->state, sizeof(status->state));
	strlcpy(status->broker, broker, sizeof(status->broker));
	SpinLockRelease(&s->slot->mutex);

	if (!sleeps)
		return;
	if (turn->permit.granted)
		snprintf(text, sizeof(text), "sleeping until %s; %s", timestamptz_to_str(until), broker);
	else
		strlcpy(text, turn->state, sizeof(text));
	pgstat_report_activity(STATE_IDLE, text);
}

static void
take_hints(Scheduler *s, Turn *turn)
{
	static WakeupHints hints;
	uint64		touched = wakeup_take(s->slot, hints);

	expiry_lower(&turn->expiry, wakeup_take_expiry(s->slot));
	if (touched == 0)
		return;
	queues_lower(s->queues, touched, hints);
	turn->hinted = true;
}

/* Workers could not beat while nothing ran here. */
static void
notice_standstill(Scheduler *s, const Turn *turn)
{
	TimestampTz now = GetCurrentTimestamp();

	if (turn->sleep_until != DT_NOEND && now > turn->sleep_until + STANDSTILL)
		s->rescue_from = now + js_worker_lease_ms * JS_USEC_PER_MS;
}

/* Nothing that was planned by the clock before it was set holds any more; nor can workers have beaten by the new one. */
static void
notice_new_clock(Scheduler *s, Turn *turn)
{
	if (!mend_clock_was_set(&turn->mend))
		return;
	turn->permit.look_at = turn->housekeeping_at = turn->sweep_at = turn->error_until = turn->mend.at = turn->retain_at = DT_NOBEGIN;
	expiry_forget(&turn->expiry);
	s->rescue_from = GetCurrentTimestamp() + js_worker_lease_ms * JS_USEC_PER_MS;
	queues_forget(s->queues);
	ereport(LOG, errmsg("jobsched: the clock was set: looking at all planned times"));
}

static void
run(Scheduler *s)
{
	Turn		turn = {.state = "starting", .sleep_until = DT_NOEND};
	Waiter	   *waiter = waiter_create(s->context);

	forget(s, &turn);
	for (;;)
	{
		TimestampTz until;
		bool		sleeps;

		ResetLatch(MyLatch);
		wakeup_awake(s->slot);
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			/* planned with old values */
			turn.permit.look_at = turn.housekeeping_at = turn.sweep_at = turn.mend.at = DT_NOBEGIN;
		}
		if (s->slice >= js_schedulers)
			proc_exit(1);		/* there are fewer processes now; the launcher starts no other */
		MemoryContextReset(s->turn_context);
		MemoryContextSwitchTo(s->turn_context);

		notice_standstill(s, &turn);
		notice_new_clock(s, &turn);
		take_hints(s, &turn);
		pgstat_report_activity(STATE_RUNNING, "promoting and publishing");
		until = turn_safely(s, &turn);
		sleeps = until > GetCurrentTimestamp() && wakeup_sleep(s->slot, until);
		turn.sleep_until = sleeps ? until : DT_NOEND;
		show(s, &turn, until, sleeps);
		if (sleeps)
			s->counters.wakes[waiter_wait(waiter, s->publisher, until)]++;
	}
}

/* ------------------------------------------------------------------ start, end */

static void
at_exit(int code, Datum arg)
{
	Scheduler  *s = (Scheduler *) DatumGetPointer(arg);

	SpinLockAcquire(&s->slot->mutex);
	s->slot->status.pid = 0;
	strlcpy(s->slot->status.state, "not running", sizeof(s->slot->status.state));
	SpinLockRelease(&s->slot->mutex);
	if (s->publisher != NULL)
		publisher_shutdown(s->publisher);
}

static Scheduler *
start(int number)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "jobsched scheduler", ALLOCSET_DEFAULT_SIZES);
	Scheduler  *s = MemoryContextAllocZero(context, sizeof(Scheduler));

	s->context = context;
	s->turn_context = AllocSetContextCreate(context, "jobsched turn", ALLOCSET_DEFAULT_SIZES);
	s->db = &js_shared->database[number / JS_MAX_SCHEDULERS];
	s->slice = number % JS_MAX_SCHEDULERS;
	s->slot = &s->db->slots[s->slice];
	s->lo = 0;
	s->hi = -1;
	s->rescue_from = GetCurrentTimestamp() + js_worker_lease_ms * JS_USEC_PER_MS;

	SpinLockAcquire(&s->slot->mutex);
	memset(&s->slot->status, 0, sizeof(s->slot->status));
	s->slot->status.pid = MyProcPid;
	s->slot->status.started_at = GetCurrentTimestamp();
	s->slot->status.next_wake = DT_NOEND;
	strlcpy(s->slot->status.state, "starting", sizeof(s->slot->status.state));
	SpinLockRelease(&s->slot->mutex);
	before_shmem_exit(at_exit, PointerGetDatum(s));

	s->queues = queues_create(context, s->db);
	s->workload = workload_create(context);
	s->outbox = outbox_create(context);
	s->publisher = publisher_create(TopMemoryContext, outbox_answered, s->outbox);
	return s;
}

void
scheduler_main(Datum main_arg)
{
	int			number = DatumGetInt32(main_arg);
	Scheduler  *s;
	Oid			database;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	memcpy(&database, MyBgworkerEntry->bgw_extra, sizeof(database));
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	txn_setup();

	s = start(number);
	pg_atomic_write_u32(&s->db->oid, MyDatabaseId);
	wakeup_attach(s->slot);
	ereport(LOG, errmsg("jobsched: scheduler %d of database \"%s\" has started", s->slice, s->db->name));
	run(s);
}
