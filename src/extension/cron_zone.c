/*
 * cron_zone.c: the step between the wall clock and UTC.
 *
 * A wall clock goes on steadily but for the transitions of its zone, where it leaps forward (a gap) or back (an
 * overlap).  The contract is said in one line each:
 *
 *	hour wildcard	every instant whose local time matches
 *	hour fixed		a local time fires at the first instant when the clock shows it or a later one: that is its first
 *					pass, or the end of the gap that swallows it
 *
 * So for fixed hours the clock's highest local time so far is looked up, the next match beyond it found on the local
 * clock, and the first instant that reaches this.  Nothing is ever stepped through.  "The last pass" is the mirror image:
 * the lowest local time still to come, and the last instant that does not exceed the match.  However transitions follow
 * each other, both map local times to instants in order, so that asking on from an answer misses and repeats nothing.
 *
 * Offsets being bounded, only transitions within SPAN of an instant can matter to it.
 */
#include "cron_zone.h"

#include <string.h>

#define SPAN ((int64_t) CRON_OFFSET_MAX - CRON_OFFSET_MIN)

/* The calendar, and with it the rules of every zone, repeats after 400 years; known exceptions end within 100. */
#define HORIZON (INT64_C(500) * 366 * 86400)

/* So many gaps in a row may swallow all there is: 40 years of "30 2 * 3 0L" where clocks change at 2:00. */
#define GAPS_MAX 40

static inline int64_t
max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static inline int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Makes zone->offset that of `at`, and zone->until the end of it. */
static inline void
seek(CronZone *zone, int64_t at)
{
	if (at >= zone->from && at < zone->until)
		return;
	zone->from = at;
	zone->lookup(zone->data, at, &zone->until, &zone->offset);
	if (zone->until <= at)
		zone->until = INT64_MAX;	/* against the rules; but then we come to an end */
}

/* What the clock shows, or showed before, at its highest up to `at`. */
static int64_t
highest_local(CronZone *zone, int64_t at)
{
	int64_t		highest = INT64_MIN;

	for (seek(zone, at - SPAN); zone->until <= at; seek(zone, zone->until))
		highest = max64(highest, zone->until - 1 + zone->offset);
	return max64(highest, at + zone->offset);
}

/* What the clock shows, or will show after a leap back, at its lowest from `at` on. */
static int64_t
lowest_local(CronZone *zone, int64_t at)
{
	int64_t		lowest;

	seek(zone, at);
	lowest = at + zone->offset;
	while (zone->until <= at + SPAN)
	{
		seek(zone, zone->until);
		lowest = min64(lowest, zone->from + zone->offset);
	}
	return lowest;
}

/* The first instant after `after` when the clock shows `local` or more; it never did up to `after`. */
static int64_t
first_reaching(CronZone *zone, int64_t local, int64_t after)
{
	int64_t		at = max64(after + 1, local - CRON_OFFSET_MAX);

	for (;;)
	{
		seek(zone, at);
		if (at + zone->offset >= local)
			return at;
		if (local - zone->offset < zone->until)
			return local - zone->offset;
		at = zone->until;
	}
}

/* The last instant when the clock shows `local` or less. */
static int64_t
last_up_to(CronZone *zone, int64_t local)
{
	int64_t		at = local - CRON_OFFSET_MAX;
	int64_t		last = at - 1;

	while (at <= local - CRON_OFFSET_MIN)
	{
		seek(zone, at);
		if (local - zone->offset >= at)
			last = min64(zone->until - 1, local - zone->offset);
		at = zone->until;
	}
	return last;
}

static bool
next_of_first(const CronSpec *spec, CronZone *zone, bool skip, int64_t after, int64_t *next)
{
	int64_t		local = highest_local(zone, after);
	int			skipped = 0;

	while (cron_next_local(spec, local, &local))
	{
		int64_t		at = first_reaching(zone, local, after);

		seek(zone, at);
		if (!skip || at + zone->offset == local)
		{
			*next = at;
			return true;
		}
		if (++skipped == GAPS_MAX)
			break;
		local = at + zone->offset - 1;
	}
	return false;
}

static bool
next_of_last(const CronSpec *spec, CronZone *zone, bool skip, int64_t after, int64_t *next)
{
	int64_t		local = lowest_local(zone, after + 1) - 1;
	int			skipped = 0;

	seek(zone, after);
	local = min64(local, after + zone->offset);
	while (cron_next_local(spec, local, &local))
	{
		int64_t		at = last_up_to(zone, local);

		seek(zone, at);
		if (!skip || at + zone->offset == local)
		{
			/* shown less even at its last: it was swallowed, and the gap ends with the next second */
			*next = max64(at + zone->offset == local ? at : at + 1, after + 1);
			return true;
		}
		if (++skipped == GAPS_MAX)
			break;
		local = max64(local, lowest_local(zone, at + 1) - 1);
	}
	return false;
}

/* Every instant whose local time matches. */
static bool
next_of_all(const CronSpec *spec, CronZone *zone, int64_t after, int64_t *next)
{
	int64_t		at = after + 1;
	int64_t		searched_at = at;	/* the instant of `searched` + 1 */
	int64_t		searched;			/* no match lies between this local time and `local` */
	int64_t		local;

	seek(zone, at);
	searched = after + zone->offset;
	if (!cron_next_local(spec, searched, &local))
		return false;
	while (local - zone->offset >= zone->until)
	{
		at = zone->until;
		/* After so long the clock will not show again what was searched; then the match is all that counts. */
		if (at > searched_at + SPAN)
			at = max64(at, local - CRON_OFFSET_MAX);
		if (at - after > HORIZON)
			return false;
		seek(zone, at);
		if (at + zone->offset <= searched || at + zone->offset > local)
		{
			searched_at = at;
			searched = at + zone->offset - 1;
			if (!cron_next_local(spec, searched, &local))
				return false;
		}
	}
	*next = local - zone->offset;
	return true;
}

bool
cron_zone_next(const CronSpec *spec, CronZone *zone, const CronZoneOptions *options, int64_t after, int64_t *next)
{
	static const CronZoneOptions contract = {CRON_GAP_NEXT_VALID, CRON_OVERLAP_FIRST};
	bool		skip;
	bool		found;
	int64_t		other;

	if (spec->every)
		return cron_next_utc(spec, after, next);
	if (after >= CRON_LAST_SECOND)
		return false;
	after = max64(after, CRON_ZONE_FIRST_SECOND);
	if (!options)
		options = &contract;
	skip = options->gap == CRON_GAP_SKIP;

	if (spec->hour_wildcard)
		found = next_of_all(spec, zone, after, next);
	else if (options->overlap == CRON_OVERLAP_FIRST)
		found = next_of_first(spec, zone, skip, after, next);
	else if (options->overlap == CRON_OVERLAP_LAST)
		found = next_of_last(spec, zone, skip, after, next);
	else
	{
		found = next_of_all(spec, zone, after, next);
		if (!skip && next_of_first(spec, zone, false, after, &other))
		{
			*next = found ? min64(*next, other) : other;
			found = true;
		}
	}
	return found && *next <= CRON_LAST_SECOND;
}

void
cron_zone_explain(const CronSpec *spec, CronZone *zone, const CronZoneOptions *options, int64_t at, CronZoneNote *note)
{
	int64_t		highest = highest_local(zone, at - 1);
	int64_t		lowest = lowest_local(zone, at + 1);

	seek(zone, at);
	*note = (CronZoneNote){.local = at + zone->offset, .offset = zone->offset};
	if (spec->every)
		return;
	if (note->local <= highest)
		note->pass = 2;
	else if (lowest <= note->local)
		note->pass = 1;
	/* the local times between were never shown */
	if (!spec->hour_wildcard && !(options && options->gap == CRON_GAP_SKIP) && note->local > highest + 1 &&
		cron_next_local(spec, highest, &note->swallowed) && note->swallowed < note->local)
	{
		note->moved = true;
		note->gap_from = highest + 1;
		note->gap_until = note->local;
	}
}

CronZoneOptions
cron_zone_options(const char *dst_gap, const char *dst_overlap)
{
	CronZoneOptions options = {CRON_GAP_NEXT_VALID, CRON_OVERLAP_FIRST};

	if (strcmp(dst_gap, "skip") == 0)
		options.gap = CRON_GAP_SKIP;
	if (strcmp(dst_overlap, "last") == 0)
		options.overlap = CRON_OVERLAP_LAST;
	else if (strcmp(dst_overlap, "both") == 0)
		options.overlap = CRON_OVERLAP_BOTH;
	return options;
}
