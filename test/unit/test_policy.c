/* sources: src/extension/policy.c */
/*
 * What becomes of the nominal times of a cron job, by the rules of docs/scheduling.md: one line a case.  Times are seconds;
 * a job fires each `period` of them, unless a case brings times of its own.
 */
#include <stdlib.h>

#include "src/extension/policy.h"
#include "tap.h"

#define S INT64_C(1000000)
#define DAY (86400 * S)

static int calls;

static bool
each(const void *data, int64_t after, int64_t *next)
{
	int64_t period = *(const int64_t *) data;

	calls++;
	*next = (after / period - (after % period < 0) + 1) * period;
	return true;
}

/* A second of each of the first 100,000 s, then nothing until a last one, a year later. */
static bool
uneven(const void *data, int64_t after, int64_t *next)
{
	(void) data;
	calls++;
	if (after >= 365 * DAY)
		return false;
	*next = (after / S + 1) * S;
	if (*next > 100000 * S)
		*next = 365 * DAY;
	return true;
}

static PolicyTick ticks[POLICY_MAX_TICKS];
static PolicyDecision got;

static PolicyInput
input(int64_t period, int64_t nominal, int64_t now)
{
	static int64_t periods[64];
	static int used;
	PolicyInput in = {
		.rules = {.catchup_window = DAY, .catchup_max = 100, .starts_at = INT64_MIN, .ends_at = INT64_MAX,
			.runs_left = INT64_MAX},
		.nominal = nominal * S, .waits_until = POLICY_NEVER, .now = now * S, .next = each,
	};

	periods[used % 64] = period * S;
	in.data = &periods[used++ % 64];
	return in;
}

/* "60 fired, 120 coalesced; next 180", with "waits until" and "cancels" where they are, or "; ended". */
static void
check(const PolicyInput *in, const char *want, const char *name)
{
	char text[8192] = "";
	size_t n = 0;

	policy_decide(in, ticks, &got);
	for (int i = 0; i < got.count && n < sizeof(text) - 200; i++)
		n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%lld %s", i ? ", " : "", (long long) (ticks[i].at / S),
		                       policy_outcome_name(ticks[i].outcome));
	if (got.cancels)
		n += (size_t) snprintf(text + n, sizeof(text) - n, "; cancels");
	if (got.ended)
		snprintf(text + n, sizeof(text) - n, "; ended");
	else {
		n += (size_t) snprintf(text + n, sizeof(text) - n, "; next %lld", (long long) (got.next / S));
		if (got.waits_until != POLICY_NEVER)
			snprintf(text + n, sizeof(text) - n, " waits until %lld", (long long) (got.waits_until / S));
	}
	is_str(text, want, "%s", name);
}

static void
misfire(void)
{
	PolicyInput in = input(60, 60, 60);

	check(&in, "60 fired; next 120", "on time");
	in.now = 119 * S;
	check(&in, "60 fired; next 120", "a little late");
	in.now = 50 * S;
	check(&in, "60 fired; next 120", "asked for early, it is the planned time");
	in.now = 310 * S;
	check(&in, "60 coalesced, 120 coalesced, 180 coalesced, 240 coalesced, 300 fired; next 360", "run_once: one run, for the latest");
	in.rules.catchup_window = 100 * S;
	check(&in, "60 misfired, 120 misfired, 180 misfired, 240 coalesced, 300 fired; next 360", "only the window counts");
	in.rules.catchup_window = 0;
	check(&in, "60 misfired, 120 misfired, 180 misfired, 240 misfired, 300 fired; next 360", "a time within a minute is never late");

	in = input(3600, 3600, 2 * 3600 - 1);
	check(&in, "3600 fired; next 7200", "run_once: missed by an hour, made up for");
	in.rules.catchup_window = 1800 * S;
	check(&in, "3600 misfired; next 7200", "outside the window it is not");

	in = input(60, 60, 310);
	in.rules.misfire = POLICY_SKIP_MISSED;
	check(&in, "60 misfired, 120 misfired, 180 misfired, 240 misfired, 300 fired; next 360", "skip: what is on time runs, what was missed does not");
	in = input(3600, 3600, 7199);
	in.rules.misfire = POLICY_SKIP_MISSED;
	check(&in, "3600 misfired; next 7200", "skip: nothing on time, no run");
	in = input(10, 10, 85);
	in.rules.misfire = POLICY_SKIP_MISSED;
	check(&in, "10 misfired, 20 misfired, 30 coalesced, 40 coalesced, 50 coalesced, 60 coalesced, 70 coalesced, 80 fired; next 90",
	      "skip: one run for what is on time");

	in = input(60, 60, 310);
	in.rules.misfire = POLICY_RUN_ALL;
	in.rules.overlap = POLICY_ALLOW;
	check(&in, "60 fired, 120 fired, 180 fired, 240 fired, 300 fired; next 360", "run_all: all of them");
	in.rules.catchup_max = 2;
	check(&in, "60 misfired, 120 misfired, 180 misfired, 240 fired, 300 fired; next 360", "run_all: the newest, up to catchup_max");
	in.rules.catchup_max = 100;
	in.rules.catchup_window = 150 * S;
	check(&in, "60 misfired, 120 misfired, 180 fired, 240 fired, 300 fired; next 360", "run_all: inside the window");

	in.rules.paused = true;
	check(&in, "60 skipped_paused, 120 skipped_paused, 180 skipped_paused, 240 skipped_paused, 300 skipped_paused; next 360",
	      "paused: none runs, each leaves its row");
}

static void
overlap(void)
{
	PolicyInput in = input(60, 60, 61);

	in.busy = true;
	check(&in, "60 skipped_overlap; next 120", "skip");
	in.rules.overlap = POLICY_ALLOW;
	check(&in, "60 fired; next 120", "allow");
	in.rules.overlap = POLICY_CANCEL_RUNNING;
	check(&in, "60 fired; cancels; next 120", "cancel_running");
	in.busy = false;
	check(&in, "60 fired; next 120", "cancel_running with nothing to cancel");

	in.rules.overlap = POLICY_QUEUE_ONE;
	check(&in, "60 fired; next 120", "queue_one with nothing before it");
	in.busy = true;
	check(&in, "; next 60 waits until 60", "queue_one: it waits");
	in.waits_until = 60 * S;
	in.now = 250 * S;
	check(&in, "; next 60 waits until 60", "and goes on waiting, however late it is");
	in.busy = false;
	check(&in, "60 fired, 120 skipped_overlap, 180 skipped_overlap, 240 skipped_overlap; next 300", "then runs; only one waited");
	in.now = 100 * S;
	check(&in, "60 fired; next 120", "then runs; none came meanwhile");
	in.rules.paused = true;
	check(&in, "60 skipped_paused; next 120", "a pause takes its turn away");
	in.rules.paused = false;
	in.busy = true;
	in.rules.overlap = POLICY_ALLOW;
	check(&in, "60 fired; next 120", "it waits no longer when overlap is allowed");
	in.rules.overlap = POLICY_QUEUE_ONE;
	in.waits_until = 30 * S;
	in.busy = false;
	check(&in, "60 fired; next 120", "what waited before is of no account");

	in = input(60, 60, 310);
	in.rules.overlap = POLICY_QUEUE_ONE;
	in.busy = true;
	check(&in, "60 coalesced, 120 coalesced, 180 coalesced, 240 coalesced; next 300 waits until 300", "run_once, then queue_one");
	in.rules.overlap = POLICY_SKIP;
	check(&in, "60 coalesced, 120 coalesced, 180 coalesced, 240 coalesced, 300 skipped_overlap; next 360", "run_once, then skip");

	in.rules.misfire = POLICY_RUN_ALL;
	check(&in, "; next 60 waits until 240", "run_all makes up for missed times one after the other");
	in.busy = false;
	check(&in, "60 fired; next 120 waits until 240", "the first at once");
	in.nominal = 120 * S;
	in.waits_until = 240 * S;
	in.now = 400 * S;
	check(&in, "120 fired; next 180 waits until 240", "then the next");
	in.nominal = 240 * S;
	check(&in, "240 fired, 300 skipped_overlap, 360 skipped_overlap; next 420", "and what came meanwhile obeys the policy");
	in = input(60, 60, 310);
	in.rules.misfire = POLICY_RUN_ALL;
	in.rules.overlap = POLICY_QUEUE_ONE;
	check(&in, "60 fired; next 120 waits until 300", "queue_one: one more may wait");
	in.rules.overlap = POLICY_CANCEL_RUNNING;
	check(&in, "60 coalesced, 120 coalesced, 180 coalesced, 240 coalesced, 300 fired; next 360", "cancel_running: only the newest");
	in = input(10, 10, 35);
	in.rules.misfire = POLICY_RUN_ALL;
	check(&in, "10 fired, 20 skipped_overlap, 30 skipped_overlap; next 40", "what is on time is not made up for");
}

static void
bounds(void)
{
	PolicyInput in = input(60, 60, 310);

	in.rules.misfire = POLICY_RUN_ALL;
	in.rules.overlap = POLICY_ALLOW;
	in.rules.starts_at = 150 * S;
	check(&in, "180 fired, 240 fired, 300 fired; next 360", "starts_at: nothing before");
	in.rules.starts_at = 180 * S;
	check(&in, "180 fired, 240 fired, 300 fired; next 360", "starts_at itself is a time");
	in.rules.starts_at = 1000 * S;
	check(&in, "; next 1020", "starts_at in the future: planned anew");
	in.rules.starts_at = INT64_MIN;
	in.rules.ends_at = 200 * S;
	check(&in, "60 fired, 120 fired, 180 fired; ended", "ends_at: nothing after");
	in.rules.ends_at = 360 * S;
	check(&in, "60 fired, 120 fired, 180 fired, 240 fired, 300 fired; next 360", "ends_at itself is a time");
	in.rules.ends_at = 59 * S;
	check(&in, "; ended", "ends_at before the planned time");
	in.rules.ends_at = 1000 * S;
	in.rules.starts_at = 1010 * S;
	check(&in, "; ended", "ends before it starts");
	in.rules.starts_at = INT64_MIN;
	in.rules.ends_at = INT64_MAX;
	in.rules.runs_left = 2;
	check(&in, "60 fired, 120 fired; ended", "max_runs: no time after the last run");
	in.rules.runs_left = 0;
	check(&in, "; ended", "max_runs used up");
	in.rules.misfire = POLICY_RUN_ONCE;
	in.rules.runs_left = 1;
	check(&in, "60 coalesced, 120 coalesced, 180 coalesced, 240 coalesced, 300 fired; ended", "times that do not run do not count");
	in.rules.paused = true;
	check(&in, "60 skipped_paused, 120 skipped_paused, 180 skipped_paused, 240 skipped_paused, 300 skipped_paused; next 360", "nor do those of a pause");
	in = input(60, 60, 310);
	in.rules.misfire = POLICY_RUN_ALL;
	in.rules.runs_left = 2;
	check(&in, "60 fired; next 120 waits until 120", "max_runs and runs that follow each other");
	in = input(60, 60, 61);
	in.rules.runs_left = 1;
	in.busy = true;
	check(&in, "60 skipped_overlap; next 120", "a skipped run is not the last one");
}

static void
very_late(void)
{
	PolicyInput in = input(1, 1, 365 * 86400);
	int fired = 0;

	calls = 0;
	policy_decide(&in, ticks, &got);
	is_int(got.count, POLICY_MAX_TICKS, "a year of seconds leaves so many rows");
	is_int(ticks[0].at / S, 365 * 86400 - POLICY_MAX_TICKS + 1, "of the newest times,");
	ok(ticks[POLICY_MAX_TICKS - 1].at == in.now && ticks[POLICY_MAX_TICKS - 1].outcome == POLICY_FIRED && got.fired == 1, "the last of which runs");
	is_int(got.next / S, 365 * 86400 + 1, "and the next is planned");
	ok(calls < 100000, "%d times were looked at", calls);

	in = input(1, 3, 365 * 86400);
	in.next = uneven;
	calls = 0;
	policy_decide(&in, ticks, &got);
	is_int(got.count, POLICY_MAX_TICKS, "times that lie unevenly, too");
	ok(ticks[POLICY_MAX_TICKS - 1].at == 365 * DAY && ticks[POLICY_MAX_TICKS - 2].at == 100000 * S && got.ended, "are the newest");
	ok(calls < 100000, "%d times were looked at", calls);

	in = input(60, 60, 365 * 86400);
	in.rules.misfire = POLICY_RUN_ALL;
	in.rules.catchup_window = INT64_MAX;
	in.rules.overlap = POLICY_ALLOW;
	policy_decide(&in, ticks, &got);
	is_int(got.fired, 100, "run_all keeps to its maximum");
	in.waits_until = 60 * S;
	in.rules.overlap = POLICY_QUEUE_ONE;
	policy_decide(&in, ticks, &got);
	for (int i = 0; i < got.count; i++)
		fired += ticks[i].outcome == POLICY_FIRED;
	ok(got.count == POLICY_MAX_TICKS && fired == 1 && ticks[0].at == 60 * S && ticks[0].outcome == POLICY_FIRED &&
	   ticks[1].at == (365 * 86400 - 998 * 60) * S && got.next > in.now, "what waited for a year runs; the newest of the others leave rows");
}

/* @every: not aligned to anything, so the times go on from the planned one. */
static bool
seven(const void *data, int64_t after, int64_t *next)
{
	(void) data;
	*next = (after / S + 7) * S;
	return true;
}

static void
every(void)
{
	PolicyInput in = input(7, 5, 20);

	in.next = seven;
	in.rules.every = 7 * S;
	check(&in, "5 coalesced, 12 coalesced, 19 fired; next 26", "@every goes on from its planned time");
	in.rules.starts_at = 10 * S;
	check(&in, "12 coalesced, 19 fired; next 26", "also across starts_at");
	in.rules.starts_at = INT64_MIN;
	in.now = 7000005 * S;
	policy_decide(&in, ticks, &got);
	ok(got.count == POLICY_MAX_TICKS && ticks[0].at == (7000005 - 999 * 7) * S && got.next == 7000012 * S, "also over what is passed over");
}

/* Random policies and histories: each time is decided once, in order, and nothing is promised that does not come. */
static void
random_lives(void)
{
	bool holds = true;

	srand(4);
	for (int life = 0; life < 20000 && holds; life++) {
		PolicyInput in = input(1 + rand() % 120, 0, 0);
		int64_t last = POLICY_NEVER;
		int runs = 0, most = rand() % 3 ? 1000000 : rand() % 5 + 1;
		int64_t now = rand() % 1000 * S;

		in.rules.misfire = rand() % 3;
		in.rules.overlap = rand() % 4;
		in.rules.catchup_max = 1 + rand() % 5;
		in.rules.catchup_window = rand() % 600 * S;
		in.rules.starts_at = rand() % 2 ? INT64_MIN : rand() % 2000 * S;
		in.rules.ends_at = rand() % 2 ? INT64_MAX : rand() % 8000 * S;
		(void) in.next(in.data, now, &in.nominal);
		for (int step = 0; step < 30 && holds; step++) {
			in.rules.runs_left = most - runs;
			in.rules.paused = rand() % 10 == 0;
			in.busy = rand() % 2;
			in.now = now = (in.nominal > now ? in.nominal : now) + (rand() % 4 ? rand() % 70 : rand() % 2000) * S;
			policy_decide(&in, ticks, &got);
			for (int i = 0; i < got.count; i++) {
				holds = holds && ticks[i].at > last && ticks[i].at >= in.rules.starts_at && ticks[i].at <= in.rules.ends_at &&
					ticks[i].at <= in.now;
				last = ticks[i].at;
				runs += ticks[i].outcome == POLICY_FIRED;
			}
			holds = holds && runs <= most && (got.ended || got.next > last) &&
				(got.ended || got.waits_until == POLICY_NEVER || got.waits_until >= got.next) &&
				!(in.rules.paused && got.fired) && !(in.busy && got.fired && in.rules.overlap == POLICY_SKIP) &&
				(got.fired <= 1 || (in.rules.misfire == POLICY_RUN_ALL && in.rules.overlap == POLICY_ALLOW));
			if (got.ended)
				break;
			in.nominal = got.next;
			in.waits_until = got.waits_until;
		}
		if (!holds)
			diag("life %d", life);
	}
	ok(holds, "20,000 random lives: each time once, in order, inside its bounds, no run too many");
}

int
main(void)
{
	misfire();
	overlap();
	bounds();
	very_late();
	every();
	random_lives();
	is_int(policy_misfire_of("run_all"), POLICY_RUN_ALL, "words: run_all");
	is_int(policy_misfire_of("skip"), POLICY_SKIP_MISSED, "skip");
	is_int(policy_overlap_of("cancel_running"), POLICY_CANCEL_RUNNING, "cancel_running");
	return done_testing();
}
