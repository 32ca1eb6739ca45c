/*
 * mend.c: looks at every schedule when the process starts, when the clock was set, and each ten minutes, for which a
 * sleeping scheduler wakes up.
 *
 * A clock that was ahead for a while leaves last_run_at and the planned time in the future, where nothing would happen
 * until then; a new tz database moves times; a schedule without a planned time would sleep for ever.  All is read without
 * a lock; what looks wrong is looked at again with its schedules row locked, and planned anew.  A time that fired while
 * the clock was ahead has its row in cron_ticks, and promote does not fire it again.
 */
#include "mend.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "clock.h"
#include "schedules.h"
#include "txn.h"
#include "zones.h"

#define INTERVAL (10 * SECS_PER_MINUTE * USECS_PER_SEC)
#define BATCH 500				/* schedules in a turn */
#define CLOCK_STEP (5 * USECS_PER_SEC)	/* more than a clock is slewed between two turns */
#define AHEAD (60 * USECS_PER_SEC)	/* last_run_at may be so far in the future: a small step back just waits */
#define SAME (1 * USECS_PER_SEC)	/* due times that differ by less are the same */

#define LOOK \
	"SELECT " SCHEDULE_COLUMNS ", t.run_at, t.due_at, jobsched._task_hash(j.name), j.priority, j.queue," \
	" jobsched.segment_of(s.job_id)" \
	" FROM jobsched.schedules s JOIN jobsched.jobs j ON j.id = s.job_id AND j.slot = 16" \
	" LEFT JOIN LATERAL (SELECT x.run_at, x.due_at FROM jobsched.timers x WHERE x.job_id = s.job_id AND x.cron" \
	" ORDER BY x.run_at LIMIT 1) t ON true"

static TxnPlan plan_look = {
	.sql = LOOK " WHERE s.job_id > $1 AND j.state <> 'cancelled' ORDER BY s.job_id LIMIT 500",
	.nargs = 1,
	.types = {UUIDOID}
};

/* guard: model D_ALTER_UNLOCKED */
static TxnPlan plan_lock = {
	.sql = LOOK " WHERE s.job_id = $1 AND j.state <> 'cancelled' FOR UPDATE OF s SKIP LOCKED",
	.nargs = 1,
	.types = {UUIDOID}
};

static TxnPlan plan_set_back = {
	.sql = "UPDATE jobsched.schedules SET last_run_at = $2, waits_until = NULL WHERE job_id = $1 AND last_run_at > $2",
	.nargs = 2,
	.types = {UUIDOID, TIMESTAMPTZOID}
};

static TxnPlan plan_delete = {
	.sql = "DELETE FROM jobsched.timers WHERE job_id = $1 AND cron",
	.nargs = 1,
	.types = {UUIDOID}
};

static TxnPlan plan_insert = {
	.sql = "INSERT INTO jobsched.timers (due_at, run_at, job_id, task, priority, queue, segment, cron)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, true)",
	.nargs = 7,
	.types = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, INT4OID, INT2OID, INT2OID, INT2OID}
};

/* A schedule, its planned time, and what is to be changed. */
typedef struct Case
{
	Schedule	schedule;
	bool		planned;		/* there is a timer: */
	TimestampTz run_at;
	TimestampTz due_at;
	int32		task;
	int16		priority;
	int16		queue;
	int16		segment;
	bool		set_back;		/* last_run_at is in the future */
	bool		replan;			/* to: */
	TimestampTz new_run_at;
} Case;

bool
mend_clock_was_set(Mend *mend)
{
	int64		ahead = clock_realtime_us() - clock_boottime_us();
	int64		moved = ahead - mend->clock_ahead;
	bool		was_set = mend->clock_known && (moved > CLOCK_STEP || moved < -CLOCK_STEP);

	mend->clock_known = true;
	mend->clock_ahead = ahead;
	return was_set;
}

bool
mend_zones_changed(const Mend *mend)
{
	return mend->zones != zones_generation();
}

static Case
read_case(uint64 row)
{
	Case		c = {.planned = true};
	bool		isnull;

	schedule_read(row, &c.schedule);
	c.run_at = DatumGetTimestampTz(txn_value_or_null(row, SCHEDULE_COLUMN_COUNT + 1, &isnull));
	c.planned = !isnull;
	c.due_at = DatumGetTimestampTz(txn_value_or_null(row, SCHEDULE_COLUMN_COUNT + 2, &isnull));
	c.task = DatumGetInt32(txn_value(row, SCHEDULE_COLUMN_COUNT + 3));
	c.priority = DatumGetInt16(txn_value(row, SCHEDULE_COLUMN_COUNT + 4));
	c.queue = DatumGetInt16(txn_value(row, SCHEDULE_COLUMN_COUNT + 5));
	c.segment = DatumGetInt16(txn_value(row, SCHEDULE_COLUMN_COUNT + 6));
	return c;
}

/* The time that should be planned; false when there is none. */
static bool
next_time(const Case *c, TimestampTz now, TimestampTz *next)
{
	const Schedule *schedule = &c->schedule;
	const PolicyRules *rules = &schedule->rules;
	TimestampTz from = now - schedule->jitter;
	TimestampTz latest = now;

	/* What has come is promote's. */
	if (c->planned && c->run_at <= from)
	{
		*next = c->run_at;
		return true;
	}
	if (!c->set_back)
		from = Max(from, schedule->last_run_at);
	if (rules->starts_at != DT_NOBEGIN)
		from = Max(from, rules->starts_at - 1);
	latest = Max(latest, from);
	/* Intervals are counted from the run before, not from now. */
	if (c->planned && rules->every > 0 && c->run_at > from && c->run_at <= from + rules->every + SAME)
	{
		*next = c->run_at;
		return true;
	}
	/* With jitter there may be times that have come and are not yet due.  Who made the job meanwhile does not mean them. */
	if (c->planned && latest > from && schedule_next(schedule, latest, next) && *next == c->run_at)
		return true;
	return rules->runs_left > 0 && schedule_next(schedule, from, next) && *next <= rules->ends_at;
}

/* Is anything wrong? */
static bool
judge(Case *c, TimestampTz now)
{
	const Schedule *schedule = &c->schedule;
	bool		waits = schedule->waits_until >= c->run_at && c->run_at <= now + AHEAD && c->due_at <= now + AHEAD;

	c->set_back = schedule->last_run_at > now + AHEAD;
	c->replan = false;
	if (!c->planned || (c->due_at > now && c->due_at != DT_NOEND && !waits))
	{
		c->replan = next_time(c, now, &c->new_run_at) &&
			(!c->planned || c->new_run_at != c->run_at || Abs(c->due_at - (c->run_at + schedule->jitter)) > SAME);
	}
	return c->replan || c->set_back;
}

/* Returns whether it was mended. */
static bool
mend(const pg_uuid_t *job_id, TimestampTz now)
{
	Datum		key[2] = {UUIDPGetDatum(job_id), TimestampTzGetDatum(now)};
	Case		c;

	if (txn_run(&plan_lock, key, NULL) == 0)
		return false;			/* somebody alters it: next time */
	c = read_case(0);
	if (!judge(&c, now))
		return false;
	if (c.set_back)
		txn_run(&plan_set_back, key, NULL);
	if (c.replan)
	{
		Datum		values[7] = {
			TimestampTzGetDatum(c.new_run_at + c.schedule.jitter), TimestampTzGetDatum(c.new_run_at), key[0],
			Int32GetDatum(c.task), Int16GetDatum(c.priority), Int16GetDatum(c.queue), Int16GetDatum(c.segment)
		};

		txn_run(&plan_delete, key, NULL);
		txn_run(&plan_insert, values, NULL);
	}
	return true;
}

bool
mend_run(Scheduler *s, Mend *m, TimestampTz now)
{
	Datum		after;
	uint64		rows;
	pg_uuid_t  *wrong;
	int			count = 0,
				mended = 0;

	if (m->at == DT_NOBEGIN || !m->under_way)
	{
		memset(&m->after, 0, sizeof(m->after));
		m->zones = zones_look_now();
	}
	if (!txn_begin(TXN_SYNC))
		return false;
	after = UUIDPGetDatum(&m->after);
	rows = txn_run(&plan_look, &after, NULL);
	wrong = palloc(Max(rows, 1) * sizeof(pg_uuid_t));
	for (uint64 row = 0; row < rows; row++)
	{
		Case		c = read_case(row);

		m->after = c.schedule.job_id;
		if (c.segment >= s->lo && c.segment <= s->hi && judge(&c, now))
			wrong[count++] = c.schedule.job_id;
	}
	for (int i = 0; i < count; i++)
		mended += mend(&wrong[i], now);
	txn_commit();

	m->under_way = rows == BATCH;
	m->at = m->under_way ? now : now + INTERVAL;
	if (mended > 0)
	{
		queues_forget(s->queues);
		ereport(LOG, errmsg("jobsched: planned %d cron jobs anew, whose next times were not what the clock and their expressions say", mended));
	}
	return true;
}
