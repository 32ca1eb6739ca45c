/*
 * promote_cron.c: promoting the planned time of a cron job decides what becomes of it (policy.c), leaves a row for it in
 * cron_ticks, and plans the next, in the same transaction.
 *
 * Everything is read and written for all cron runs of a probe together: a minute's begin brings thousands at once.
 */
#include "promote_cron.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "column.h"
#include "cron_jobs.h"
#include "txn.h"

#define TICKS_MOST 5000			/* rows of cron_ticks in a transaction, about */
#define WAIT_FIRST (250 * JS_USEC_PER_MS)	/* before it is seen again whether an earlier run has ended ... */
#define WAIT_SHARE 8			/* ... growing with the time waited ... */
#define WAIT_MOST (5 * USECS_PER_SEC)	/* ... up to this */

/* What was decided about a planned time. */
typedef struct CronPlan
{
	Schedule	schedule;
	TimestampTz planned;		/* the timer's run_at */
	bool		stale;			/* was promoted before: its schedule has moved on */
	PolicyDecision decision;
	PolicyTick *ticks;			/* decision.count of them */
} CronPlan;

/* Overlap: earlier runs give way; their dispatches have been locked. */
static TxnPlan plan_supersede = {
	.sql = "SELECT jobsched._supersede($1, $2)",
	.nargs = 2,
	.types = {UUIDARRAYOID, TIMESTAMPTZARRAYOID}
};

/* A nominal time is fired once, also after the clock was set back: its row says whether it was. */
static TxnPlan plan_fired_before = {
	.sql = "SELECT t.job_id, t.run_at FROM unnest($1, $2) AS u(job_id, run_at)"
	" JOIN jobsched.cron_ticks t ON t.job_id = u.job_id AND t.run_at = u.run_at WHERE t.outcome = 'fired'",
	.nargs = 2,
	.types = {UUIDARRAYOID, TIMESTAMPTZARRAYOID}
};

/* guard: model D_NEXT_BY_ATTEMPT: the same time is not planned from again */
static TxnPlan plan_mark = {
	.sql = "UPDATE jobsched.schedules s SET last_run_at = CASE WHEN u.decided > '-infinity' THEN u.decided ELSE s.last_run_at END,"
	" fired = s.fired + u.fired, waits_until = nullif(u.waits_until, '-infinity')"
	" FROM unnest($1, $2, $3, $4, $5) AS u(job_id, run_at, decided, fired, waits_until)"
	" WHERE s.job_id = u.job_id AND (s.last_run_at IS NULL OR s.last_run_at < u.run_at)",
	.nargs = 5,
	.types = {UUIDARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID}
};

static TxnPlan plan_tick = {
	.sql = "INSERT INTO jobsched.cron_ticks AS t (job_id, run_at, outcome) SELECT * FROM unnest($1, $2, $3)"
	" ON CONFLICT (job_id, run_at) DO UPDATE SET outcome = excluded.outcome, decided_at = excluded.decided_at"
	" WHERE t.outcome <> 'fired' AND t.outcome <> excluded.outcome",
	.nargs = 3,
	.types = {UUIDARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID}
};

/* guard: model M_CRON_TWO_TX: in the transaction that takes the previous one.  A job has one planned time. */
static TxnPlan plan_next = {
	.sql = "INSERT INTO jobsched.timers"
	" (due_at, run_at, job_id, task, attempt, failures, losses, priority, queue, segment, cron)"
	" SELECT u.due_at, u.run_at, u.job_id, u.task, 1, 0, 0, $7, $8, u.segment, u.cron"
	" FROM unnest($1, $2, $3, $4, $5, $6) AS u(due_at, run_at, job_id, task, segment, cron)"
	" WHERE NOT u.cron OR NOT EXISTS (SELECT FROM jobsched.timers t WHERE t.job_id = u.job_id AND t.cron)",
	.nargs = 8,
	.types = {TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, UUIDARRAYOID, INT4ARRAYOID, INT2ARRAYOID, BOOLARRAYOID, INT2OID, INT2OID}
};

/* ------------------------------------------------------------------ deciding */

static CronPlan *
decide(const DueRun *run, const CronJob *job, TimestampTz now)
{
	static PolicyTick ticks[POLICY_MAX_TICKS];
	CronPlan   *plan = palloc0(sizeof(CronPlan));
	const Schedule *schedule = job->schedule;
	PolicyInput in = {
		.rules = schedule->rules, .nominal = run->run_at, .waits_until = schedule->waits_until,
		.now = now - schedule->jitter, .busy = job->busy, .next = schedule_next, .data = schedule
	};

	plan->schedule = *schedule;
	plan->planned = run->run_at;
	plan->stale = run->run_at <= schedule->last_run_at;
	if (plan->stale)
	{
		plan->decision.waits_until = schedule->waits_until;
		plan->decision.ended = !schedule_next(schedule, Max(schedule->last_run_at, in.now), &plan->decision.next) ||
			plan->decision.next > schedule->rules.ends_at || schedule->rules.runs_left <= 0;
		return plan;
	}
	policy_decide(&in, ticks, &plan->decision);
	plan->ticks = palloc(Max(plan->decision.count, 1) * sizeof(PolicyTick));
	memcpy(plan->ticks, ticks, plan->decision.count * sizeof(PolicyTick));
	return plan;
}

static void
drop_tick(CronPlan *plan, TimestampTz at)
{
	for (int i = 0; i < plan->decision.count; i++)
	{
		/* The last one stays, to be last_run_at; its row stands as it is. */
		if (plan->ticks[i].at == at && plan->ticks[i].outcome == POLICY_FIRED)
		{
			plan->ticks[i].outcome = POLICY_COALESCED;
			plan->decision.fired--;
		}
	}
}

/* Takes out what fired before the clock was set back. */
static void
drop_fired_before(DueRun *runs, int count)
{
	Column		ids = {0},
				times = {0};
	Datum		values[2];
	uint64		rows;

	for (int i = 0; i < count; i++)
	{
		const CronPlan *plan = runs[i].plan;

		for (int k = 0; plan != NULL && k < plan->decision.count; k++)
		{
			if (plan->ticks[k].outcome != POLICY_FIRED)
				continue;
			column_add(&ids, UUIDPGetDatum(&runs[i].job_id));
			column_add(&times, TimestampTzGetDatum(plan->ticks[k].at));
		}
	}
	if (ids.count == 0)
		return;
	values[0] = column_array(&ids, UUIDOID);
	values[1] = column_array(&times, TIMESTAMPTZOID);
	rows = txn_run(&plan_fired_before, values, NULL);
	for (uint64 row = 0; row < rows; row++)
	{
		const pg_uuid_t *id = DatumGetUUIDP(txn_value(row, 1));

		for (int i = 0; i < count; i++)
		{
			if (runs[i].plan != NULL && cron_job_compare(&runs[i].job_id, id) == 0)
				drop_tick(runs[i].plan, DatumGetTimestampTz(txn_value(row, 2)));
		}
	}
}

/* The run that is dispatched in place of the timer: the earliest that fires. */
static bool
name_run(DueRun *run)
{
	if (run->plan == NULL)
		return true;
	for (int i = 0; i < run->plan->decision.count; i++)
	{
		if (run->plan->ticks[i].outcome == POLICY_FIRED)
		{
			run->run_at = run->plan->ticks[i].at;
			return true;
		}
	}
	return false;
}

void
promote_cron_decide(DueRun *runs, int count, TimestampTz now, CronParts *parts)
{
	DueRun	   *old;
	CronJobs		jobs = cron_jobs_collect(runs, count);
	bool	   *held;
	int			ticks = 0,
				last = count;

	*parts = (CronParts) {.ready = count, .held_due = DT_NOEND};
	if (jobs.count == 0)
		return;
	cron_jobs_lock(&jobs);
	cron_jobs_see_busy(&jobs);

	held = palloc0(count * sizeof(bool));
	for (int i = 0; i < count; i++)
	{
		CronJob		   *job = runs[i].cron ? cron_jobs_find(&jobs, &runs[i].job_id) : NULL;

		/* A retry that is marked as planned does not plan either (model D_NEXT_BY_ATTEMPT). */
		if (job == NULL || (job->schedule == NULL && !job->exists) ||
			(job->schedule != NULL && runs[i].attempt > 1 && runs[i].run_at <= job->schedule->last_run_at))
			continue;
		held[i] = job->schedule == NULL || job->blocked || job->taken || ticks > TICKS_MOST;
		if (held[i])
			continue;
		job->taken = true;
		runs[i].plan = decide(&runs[i], job, now);
		ticks += runs[i].plan->decision.count;
	}
	drop_fired_before(runs, count);

	old = palloc(count * sizeof(DueRun));
	memcpy(old, runs, count * sizeof(DueRun));
	parts->ready = 0;
	for (int i = 0; i < count; i++)
	{
		if (!held[i] && !name_run(&old[i]))
			runs[parts->settled++] = old[i];
	}
	for (int i = 0; i < count; i++)
	{
		if (held[i])
		{
			runs[--last] = old[i];
			parts->held_due = Min(parts->held_due, old[i].due_at);
		}
		else if (name_run(&old[i]))
			runs[parts->settled + parts->ready++] = old[i];
	}
}

/* ------------------------------------------------------------------ writing */

/* Of schedules: what the decisions change there. */
typedef struct Marks
{
	Column		job_id,
				run_at,
				decided,
				fired,
				waits_until;
} Marks;

typedef struct Ticks
{
	Column		job_id,
				run_at,
				outcome;
} Ticks;

typedef struct Timers
{
	Column		due_at,
				run_at,
				job_id,
				task,
				segment,
				cron;
} Timers;

static void
add_timer(Timers *timers, const DueRun *run, TimestampTz due_at, TimestampTz run_at, bool cron)
{
	column_add(&timers->due_at, TimestampTzGetDatum(due_at));
	column_add(&timers->run_at, TimestampTzGetDatum(run_at));
	column_add(&timers->job_id, UUIDPGetDatum(&run->job_id));
	column_add(&timers->task, Int32GetDatum(run->task));
	column_add(&timers->segment, Int16GetDatum(run->segment));
	column_add(&timers->cron, BoolGetDatum(cron));
}

static void
add_mark(Marks *marks, const DueRun *run)
{
	const PolicyDecision *decision = &run->plan->decision;

	if (run->plan->stale || (decision->count == 0 && decision->waits_until == run->plan->schedule.waits_until))
		return;
	column_add(&marks->job_id, UUIDPGetDatum(&run->job_id));
	column_add(&marks->run_at, TimestampTzGetDatum(run->plan->planned));
	column_add(&marks->decided, TimestampTzGetDatum(decision->count > 0 ? run->plan->ticks[decision->count - 1].at : DT_NOBEGIN));
	column_add(&marks->fired, Int32GetDatum(decision->fired));
	column_add(&marks->waits_until, TimestampTzGetDatum(decision->waits_until));
}

/* When the next time is to be looked at. */
static TimestampTz
next_due(const CronPlan *plan, TimestampTz now)
{
	TimestampTz due = plan->decision.next + plan->schedule.jitter;
	TimestampTz wait = (now - due) / WAIT_SHARE;

	if (plan->decision.waits_until == POLICY_NEVER)
		return due;
	if (plan->decision.count > 0)
		wait = WAIT_FIRST;		/* the one before it has just begun */
	return now + Max(Min(wait, WAIT_MOST), WAIT_FIRST);
}

static void
run_marks(const Marks *marks)
{
	Datum		values[5] = {
		column_array(&marks->job_id, UUIDOID), column_array(&marks->run_at, TIMESTAMPTZOID),
		column_array(&marks->decided, TIMESTAMPTZOID), column_array(&marks->fired, INT4OID),
		column_array(&marks->waits_until, TIMESTAMPTZOID)
	};
	uint64		updated = txn_run(&plan_mark, values, NULL);

	if (updated != (uint64) marks->job_id.count)
		elog(ERROR, "moved on " UINT64_FORMAT " of %d locked schedules", updated, marks->job_id.count);
}

static void
run_ticks(const Ticks *ticks)
{
	Datum		values[3] = {
		column_array(&ticks->job_id, UUIDOID), column_array(&ticks->run_at, TIMESTAMPTZOID), column_array(&ticks->outcome, TEXTOID)
	};

	txn_run(&plan_tick, values, NULL);
}

static void
run_timers(const Timers *timers, const Queue *queue, int priority)
{
	Datum		values[8] = {
		column_array(&timers->due_at, TIMESTAMPTZOID), column_array(&timers->run_at, TIMESTAMPTZOID),
		column_array(&timers->job_id, UUIDOID), column_array(&timers->task, INT4OID), column_array(&timers->segment, INT2OID),
		column_array(&timers->cron, BOOLOID), Int16GetDatum((int16) priority), Int16GetDatum(queue->id)
	};

	txn_run(&plan_next, values, NULL);
}

void
promote_cron_write(const Queue *queue, int priority, const DueRun *runs, int count, TimestampTz now)
{
	Marks		marks = {0};
	Ticks		ticks = {0};
	Timers		timers = {0};
	Column		winners = {0},
				winner_times = {0};
	Datum		outcomes[POLICY_COALESCED + 1];

	for (int i = 0; i <= POLICY_COALESCED; i++)
		outcomes[i] = CStringGetTextDatum(policy_outcome_name(i));
	for (int i = 0; i < count; i++)
	{
		const DueRun *run = &runs[i];
		const CronPlan *plan = run->plan;
		int			fired = 0;

		if (plan == NULL)
			continue;
		add_mark(&marks, run);
		for (int k = 0; k < plan->decision.count; k++)
		{
			column_add(&ticks.job_id, UUIDPGetDatum(&run->job_id));
			column_add(&ticks.run_at, TimestampTzGetDatum(plan->ticks[k].at));
			column_add(&ticks.outcome, outcomes[plan->ticks[k].outcome]);
			/* The first is in the dispatch; the others follow as the window admits. */
			if (plan->ticks[k].outcome == POLICY_FIRED && fired++ > 0)
				add_timer(&timers, run, now + fired, plan->ticks[k].at, false);
		}
		if (plan->decision.cancels && plan->decision.fired > 0)
		{
			column_add(&winners, UUIDPGetDatum(&run->job_id));
			column_add(&winner_times, TimestampTzGetDatum(run->run_at));
		}
		if (!plan->decision.ended)
			add_timer(&timers, run, next_due(plan, now), plan->decision.next, true);
		else
			schedule_report(&plan->schedule);
	}
	if (winners.count > 0)
	{
		Datum		values[2] = {column_array(&winners, UUIDOID), column_array(&winner_times, TIMESTAMPTZOID)};

		txn_run(&plan_supersede, values, NULL);
	}
	if (marks.job_id.count > 0)
		run_marks(&marks);
	if (ticks.job_id.count > 0)
		run_ticks(&ticks);
	if (timers.job_id.count > 0)
		run_timers(&timers, queue, priority);
}
