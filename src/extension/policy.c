/*
 * policy.c: decides, for a planned time that has come, what becomes of it and of all that came with it.
 *
 * Several times have come at once when nothing ran for a while, or when the planned one waited for an earlier run.  The
 * first of them are decided now, always without a hole; where runs must follow each other (`waits_until`), the rest is
 * left to the decisions that follow.
 */
#include "policy.h"

#include <string.h>

static int64_t
min_time(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ------------------------------------------------------------------ which times have come */

/* Writes the times from `from` (itself one) up to `limit`, at most `most`; false when there are more. */
static bool
list_from(const PolicyInput *in, int64_t from, int64_t limit, PolicyTick *ticks, int most, int *count)
{
	int64_t		at = from;

	*count = 0;
	while (at <= limit)
	{
		if (*count == most)
			return false;
		ticks[(*count)++].at = at;
		if (!in->next(in->data, at, &at))
			break;
	}
	return true;
}

/* The first time at or after `at`. */
static bool
time_from(const PolicyInput *in, int64_t at, int64_t *found)
{
	if (in->rules.every > 0)
	{
		int64_t		steps = at <= in->nominal ? 0 : (at - in->nominal + in->rules.every - 1) / in->rules.every;

		*found = in->nominal + steps * in->rules.every;
		return true;
	}
	return in->next(in->data, at - 1, found);
}

/*
 * The times from `first` to `limit`, the newest when there are more than the ticks hold: the start that leaves just so
 * many is searched by halves, since the times may be as uneven as they like.
 */
static int
list_newest(const PolicyInput *in, int64_t first, int64_t limit, PolicyTick *ticks)
{
	int64_t		too_early = first,
				fits = limit;
	int			count;

	if (list_from(in, first, limit, ticks, POLICY_MAX_TICKS, &count))
		return count;
	while (fits - too_early > 1)
	{
		int64_t		middle = too_early + (fits - too_early) / 2;
		int64_t		from;

		if (!time_from(in, middle, &from) || list_from(in, from, limit, ticks, POLICY_MAX_TICKS, &count))
			fits = middle;
		else
			too_early = middle;
	}
	if (!time_from(in, fits, &first))
		return 0;
	(void) list_from(in, first, limit, ticks, POLICY_MAX_TICKS, &count);
	return count;
}

/* ------------------------------------------------------------------ what becomes of them */

static bool
missed(const PolicyInput *in, int64_t at)
{
	return in->now - at > POLICY_MISSED;
}

static bool
given_up(const PolicyInput *in, int64_t at)
{
	return missed(in, at) && in->now - at > in->rules.catchup_window;
}

/* Misfire: which of them want to run.  Returns the number of those at the end of the list that do. */
static int
want_to_run(const PolicyInput *in, PolicyTick *ticks, int count)
{
	PolicyMisfire policy = in->rules.misfire;
	int64_t		most = policy == POLICY_RUN_ALL ? in->rules.catchup_max : 1;
	int			first = count;

	while (first > 0 && count - first < most && !given_up(in, ticks[first - 1].at) &&
		   !(policy == POLICY_SKIP_MISSED && missed(in, ticks[first - 1].at)))
		first--;

	for (int i = 0; i < count; i++)
	{
		bool		stands_for = first < count && policy != POLICY_RUN_ALL && !given_up(in, ticks[i].at) &&
			!(policy == POLICY_SKIP_MISSED && missed(in, ticks[i].at));

		ticks[i].outcome = i >= first ? POLICY_FIRED : stands_for ? POLICY_COALESCED : POLICY_MISFIRED;
	}
	/* They would only stop each other. */
	if (in->rules.overlap == POLICY_CANCEL_RUNNING)
	{
		for (; first < count - 1; first++)
			ticks[first].outcome = POLICY_COALESCED;
	}
	return count - first;
}

/*
 * Overlap, of the last `wanting` ticks: which run now, which wait, which are skipped.  Returns the number of ticks that
 * are decided; those that wait come after them, up to *waits_until.
 */
static int
settle_overlap(const PolicyInput *in, PolicyTick *ticks, int count, int wanting, int64_t *waits_until)
{
	PolicyOverlap policy = in->rules.overlap;
	int			i = count - wanting;
	int			decided;

	*waits_until = POLICY_NEVER;
	if (policy == POLICY_ALLOW || policy == POLICY_CANCEL_RUNNING)
		return count;
	if (!in->busy && i < count)
		i++;
	decided = i;
	/* Missed ones are made up for, one after the other. */
	while (in->rules.misfire == POLICY_RUN_ALL && i < count && missed(in, ticks[i].at))
		*waits_until = ticks[i++].at;
	if (policy == POLICY_QUEUE_ONE && i < count)
		*waits_until = ticks[i++].at;
	if (*waits_until != POLICY_NEVER)
		return decided;
	for (; i < count; i++)
		ticks[i].outcome = POLICY_SKIPPED_OVERLAP;
	return count;
}

/* Marks those from `second` to `limit`, which came while the planned one waited; the planned one runs now. */
static void
decide_passed(const PolicyInput *in, int64_t second, int64_t limit, PolicyTick *ticks, PolicyDecision *out)
{
	PolicyInput rest = *in;
	int			count,
				drop;

	rest.nominal = second;
	count = list_newest(&rest, second, limit, ticks);
	drop = count == POLICY_MAX_TICKS;
	count -= drop;
	memmove(ticks + 1, ticks + drop, count * sizeof(*ticks));
	for (int i = 1; i <= count; i++)
		ticks[i].outcome = POLICY_SKIPPED_OVERLAP;
	out->count = count + 1;
	out->ended = !in->next(in->data, count > 0 ? ticks[count].at : limit, &out->next);
}

/* What was promised a run and waits for its turn: only a pause or the end of the schedule takes that away. */
static void
decide_waiting(const PolicyInput *in, int64_t limit, PolicyTick *ticks, PolicyDecision *out)
{
	PolicyOverlap policy = in->rules.overlap;

	if (in->busy && policy != POLICY_ALLOW && policy != POLICY_CANCEL_RUNNING)
	{
		out->next = in->nominal;
		out->waits_until = in->waits_until;
		return;
	}
	out->cancels = in->busy && policy == POLICY_CANCEL_RUNNING;
	out->count = out->fired = 1;
	out->ended = !in->next(in->data, in->nominal, &out->next);
	if (!out->ended && out->next <= in->waits_until)
		out->waits_until = in->waits_until;
	else if (!out->ended && out->next <= limit)
		decide_passed(in, out->next, limit, ticks, out);
	ticks[0] = (PolicyTick) {in->nominal, POLICY_FIRED};
}

static void
decide_fresh(const PolicyInput *in, int64_t first, int64_t limit, PolicyTick *ticks, PolicyDecision *out)
{
	int			count = list_newest(in, first, limit, ticks);
	int			wanting = 0;
	int64_t		last;

	out->waits_until = POLICY_NEVER;
	if (in->rules.paused)
	{
		for (int i = 0; i < count; i++)
			ticks[i].outcome = POLICY_SKIPPED_PAUSED;
		out->count = count;
	}
	else
	{
		wanting = want_to_run(in, ticks, count);
		/* After the last run that max_runs admits there are no times any more. */
		if (wanting > in->rules.runs_left)
		{
			count -= wanting - (int) in->rules.runs_left;
			wanting = (int) in->rules.runs_left;
		}
		out->count = settle_overlap(in, ticks, count, wanting, &out->waits_until);
		out->cancels = wanting > 0 && in->busy && in->rules.overlap == POLICY_CANCEL_RUNNING;
	}
	for (int i = 0; i < out->count; i++)
		out->fired += ticks[i].outcome == POLICY_FIRED;
	if (out->count < count)
		out->next = ticks[out->count].at;
	else
	{
		last = count > 0 ? ticks[count - 1].at : limit;
		out->ended = !in->next(in->data, last, &out->next);
	}
}

void
policy_decide(const PolicyInput *in, PolicyTick *ticks, PolicyDecision *out)
{
	const PolicyRules *rules = &in->rules;
	int64_t		first = in->nominal;
	int64_t		limit = min_time(in->now > first ? in->now : first, rules->ends_at);

	*out = (PolicyDecision) {.waits_until = POLICY_NEVER};
	if (rules->runs_left <= 0 || first > rules->ends_at)
	{
		out->ended = true;
		return;
	}
	if (first < rules->starts_at)
	{
		/* It was planned before starts_at was set. */
		if (!time_from(in, rules->starts_at, &first) || first > rules->ends_at)
			out->ended = true;
		out->next = first;
		if (out->ended || first > in->now)
			return;
		decide_fresh(in, first, limit, ticks, out);
	}
	else if (in->waits_until >= first && !rules->paused)
		decide_waiting(in, limit, ticks, out);
	else
		decide_fresh(in, first, limit, ticks, out);

	if (!out->ended)
		out->ended = out->next > rules->ends_at || out->fired >= rules->runs_left;
}

/* ------------------------------------------------------------------ words */

const char *
policy_outcome_name(PolicyOutcome outcome)
{
	static const char *const names[] = {"fired", "skipped_overlap", "skipped_paused", "misfired", "coalesced"};

	return names[outcome];
}

PolicyMisfire
policy_misfire_of(const char *word)
{
	return strcmp(word, "skip") == 0 ? POLICY_SKIP_MISSED : strcmp(word, "run_all") == 0 ? POLICY_RUN_ALL : POLICY_RUN_ONCE;
}

PolicyOverlap
policy_overlap_of(const char *word)
{
	return strcmp(word, "queue_one") == 0 ? POLICY_QUEUE_ONE :
		strcmp(word, "allow") == 0 ? POLICY_ALLOW :
		strcmp(word, "cancel_running") == 0 ? POLICY_CANCEL_RUNNING : POLICY_SKIP;
}
