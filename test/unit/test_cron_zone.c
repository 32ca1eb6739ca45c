/* sources: src/extension/cron.c src/extension/cron_parse.c src/extension/cron_zone.c */
/* cflags: -O2 */
/*
 * The time-zone step of cron: the contract in zones made up for it, then random expressions in the zones of this system
 * and in random ones, against a simulation that lets the wall clock run and notes down what it has shown.
 *
 *	JOBSCHED_CRON_EXPRESSIONS=20000 build/unit/cron_zone	more of them than the 3,000 of make test
 */
#include "src/extension/cron_zone.h"
#include "cron_naive.h"
#include "tap.h"

#define MAX_PIECES 400
#define DAY INT64_C(86400)

/* From `at` on the zone has this offset; the first piece begins at the beginning of time. */
struct piece {
	int64_t at;
	int32_t offset;
};

struct zone {
	char name[64];
	int count;
	struct piece pieces[MAX_PIECES];
};

static void
look_up(const void *data, int64_t at, int64_t *until, int32_t *offset)
{
	const struct zone *zone = data;
	int low = 0, high = zone->count;

	while (high - low > 1) {
		int middle = (low + high) / 2;

		if (zone->pieces[middle].at <= at)
			low = middle;
		else
			high = middle;
	}
	*offset = zone->pieces[low].offset;
	*until = high < zone->count ? zone->pieces[high].at : INT64_MAX;
}

/* A zone of one change: the offsets before and from an instant on, in minutes. */
static struct zone
leap(const char *at, int minutes_before, int minutes_after)
{
	struct zone zone = {"", 2, {{INT64_MIN, minutes_before * 60}, {epoch(at), minutes_after * 60}}};

	return zone;
}

/* The next times on the wall clock, each with its UTC, "03-29 03:00 01:00", until `want` is as long. */
static void
walls(const struct zone *zone, const char *expr, const CronZoneOptions *options, const char *after, const char *want)
{
	CronZone clock = {.lookup = look_up, .data = zone};
	CronSpec spec;
	CronError error;
	char got[512] = "";
	int64_t t = epoch(after);
	size_t n = 0;

	if (!cron_parse(expr, &spec, &error)) {
		ok(false, "%s is valid: %s", expr, error.message);
		return;
	}
	while (n == 0 || n + 2 < strlen(want)) {
		int64_t until;
		int32_t offset;

		if (!cron_zone_next(&spec, &clock, options, t, &t)) {
			snprintf(got + n, sizeof(got) - n, "%snever", n ? ", " : "");
			break;
		}
		look_up(zone, t, &until, &offset);
		n += (size_t) snprintf(got + n, sizeof(got) - n, "%s%.11s %.5s", n ? ", " : "", ISO(t + offset) + 5,
		        ISO(t) + 11);
	}
	is_str(got, want, "\"%s\" after %s", expr, after);
}

static void
test_contract(void)
{
	static const CronZoneOptions skip = {CRON_GAP_SKIP, CRON_OVERLAP_FIRST}, last = {CRON_GAP_NEXT_VALID, CRON_OVERLAP_LAST},
	                             both = {CRON_GAP_NEXT_VALID, CRON_OVERLAP_BOTH}, skip_last = {CRON_GAP_SKIP, CRON_OVERLAP_LAST},
	                             skip_both = {CRON_GAP_SKIP, CRON_OVERLAP_BOTH};
	struct zone spring = leap("2026-03-29 01:00:00", 60, 120), autumn = leap("2026-10-25 01:00:00", 120, 60);
	struct zone howe = leap("2026-10-03 15:30:00", 630, 660), howe_back = leap("2026-04-04 15:00:00", 660, 630);
	struct zone troll = leap("2026-03-29 01:00:00", 0, 120), nuuk = leap("2026-03-29 01:00:00", -120, -60);
	struct zone apia = leap("2011-12-30 10:00:00", -600, 840), samoa_1892 = leap("1892-07-05 11:26:00", 754, -686);

	walls(&spring, "*/15 2 * * *", NULL, "2026-03-28 12:00", "03-29 03:00 01:00, 03-30 02:00 00:00");
	walls(&spring, "30 1-3 * * *", NULL, "2026-03-28 23:00",
	        "03-29 01:30 00:30, 03-29 03:00 01:00, 03-29 03:30 01:30, 03-30 01:30 23:30");
	walls(&spring, "0 2,3 * * *", NULL, "2026-03-28 12:00", "03-29 03:00 01:00, 03-30 02:00 00:00");
	walls(&spring, "*/15 2 * * *", &skip, "2026-03-28 12:00", "03-30 02:00 00:00");
	walls(&spring, "30 1-3 * * *", &skip, "2026-03-28 23:00", "03-29 01:30 00:30, 03-29 03:30 01:30");
	walls(&spring, "*/15 2 * * *", &last, "2026-03-28 12:00", "03-29 03:00 01:00, 03-30 02:00 00:00");
	walls(&spring, "30 1-3 * * *", &both, "2026-03-28 23:00", "03-29 01:30 00:30, 03-29 03:00 01:00, 03-29 03:30 01:30");
	walls(&spring, "*/15 2 * * *", &skip_last, "2026-03-28 12:00", "03-30 02:00 00:00");
	walls(&spring, "*/15 2 * * *", &skip_both, "2026-03-28 12:00", "03-30 02:00 00:00");
	walls(&spring, "30 * * * *", NULL, "2026-03-29 00:00", "03-29 01:30 00:30, 03-29 03:30 01:30");
	walls(&spring, "30 0-23 * * *", NULL, "2026-03-29 00:00", "03-29 01:30 00:30, 03-29 03:30 01:30");
	walls(&spring, "30 */2 * * *", NULL, "2026-03-29 00:00", "03-29 04:30 02:30");
	walls(&spring, "30 2 29 3 *", &skip, "2026-03-01 00:00", "03-29 02:30 00:30"); /* 2027 */
	walls(&spring, "@every 30m", NULL, "2026-03-29 00:15", "03-29 01:45 00:45, 03-29 03:15 01:15");

	walls(&autumn, "30 2 * * *", NULL, "2026-10-24 12:00", "10-25 02:30 00:30, 10-26 02:30 01:30");
	walls(&autumn, "*/30 2 * * *", NULL, "2026-10-25 00:15", "10-25 02:30 00:30, 10-26 02:00 01:00");
	walls(&autumn, "30 2 * * *", &last, "2026-10-24 12:00", "10-25 02:30 01:30, 10-26 02:30 01:30");
	walls(&autumn, "30 1-3 * * *", &last, "2026-10-24 23:00", "10-25 01:30 23:30, 10-25 02:30 01:30, 10-25 03:30 02:30");
	walls(&autumn, "30 2 * * *", &both, "2026-10-24 12:00", "10-25 02:30 00:30, 10-25 02:30 01:30, 10-26 02:30 01:30");
	walls(&autumn, "30 * * * *", NULL, "2026-10-25 00:00", "10-25 02:30 00:30, 10-25 02:30 01:30, 10-25 03:30 02:30");
	walls(&autumn, "30 2 * * *", NULL, "2026-10-25 01:00", "10-26 02:30 01:30"); /* asked in the second pass */
	walls(&autumn, "@every 30m", NULL, "2026-10-25 00:15", "10-25 02:45 00:45, 10-25 02:15 01:15");

	walls(&howe, "0 * * * *", NULL, "2026-10-03 14:00", "10-04 01:00 14:30, 10-04 03:00 16:00");
	walls(&howe, "*/20 2 * * *", NULL, "2026-10-03 14:00", "10-04 02:30 15:30, 10-04 02:40 15:40, 10-05 02:00 15:00");
	walls(&howe_back, "15,45 1 * * *", NULL, "2026-04-04 14:00", "04-05 01:15 14:15, 04-05 01:45 14:45, 04-06 01:15 14:45");
	walls(&howe_back, "15,45 * * * *", NULL, "2026-04-04 14:20", "04-05 01:45 14:45, 04-05 01:45 15:15, 04-05 02:15 15:45");
	walls(&troll, "0 0-3 * * *", NULL, "2026-03-28 23:30", "03-29 00:00 00:00, 03-29 03:00 01:00, 03-30 00:00 22:00");
	walls(&nuuk, "30 23 * * 6", NULL, "2026-03-28 12:00", "03-29 00:00 01:00, 04-04 23:30 00:30");
	walls(&nuuk, "0 0,23 * * *", NULL, "2026-03-28 12:00", "03-29 00:00 01:00, 03-29 23:00 00:00");
	walls(&apia, "0 0 30 12 *", NULL, "2011-12-01 00:00", "12-31 00:00 10:00, 12-30 00:00 10:00");
	walls(&apia, "0 9,17 * * 5,6", NULL, "2011-12-28 00:00", "12-31 00:00 10:00, 12-31 09:00 19:00, 12-31 17:00 03:00");
	walls(&apia, "0 */12 * * *", NULL, "2011-12-29 12:00", "12-29 12:00 22:00, 12-31 00:00 10:00");
	walls(&samoa_1892, "0 12 4 7 *", NULL, "1892-06-01 00:00", "07-04 12:00 23:26, 07-04 12:00 23:26");
	walls(&samoa_1892, "0 12 4 7 *", &both, "1892-06-01 00:00", "07-04 12:00 23:26, 07-04 12:00 23:26, 07-04 12:00 23:26");
}

static void
test_edges(void)
{
	static const CronZoneOptions skip = {CRON_GAP_SKIP, CRON_OVERLAP_FIRST}, skip_last = {CRON_GAP_SKIP, CRON_OVERLAP_LAST};
	struct zone east = {"", 1, {{INT64_MIN, 50400}}}, west = {"", 1, {{INT64_MIN, -43200}}};
	struct zone wild = {"", 2, {{INT64_MIN, INT32_MAX}, {0, INT32_MIN}}};
	struct zone yearly = {"", 1, {{INT64_MIN, 0}}};
	CronZone clock = {.lookup = look_up, .data = &east};
	CronZoneNote note;
	CronSpec spec;
	CronError error;
	int64_t t, u;

	cron_parse("0 0 1 1 *", &spec, &error);
	ok(!cron_zone_next(&spec, &clock, NULL, INT64_MAX, &t), "nothing after the end of time");
	ok(cron_zone_next(&spec, &clock, NULL, INT64_MIN, &t) && t > CRON_ZONE_FIRST_SECOND, "something after its beginning");
	ok(!cron_zone_next(&spec, &clock, NULL, epoch("9999-06-01"), &t), "no New Year's Day of 10000, though it is 9999 in UTC");
	clock = (CronZone){.lookup = look_up, .data = &west};
	cron_parse("0 18 31 12 *", &spec, &error);
	ok(!cron_zone_next(&spec, &clock, NULL, epoch("9999-06-01"), &t), "nor a time that is of 10000 in UTC");
	cron_parse("0 11 31 12 *", &spec, &error);
	ok(cron_zone_next(&spec, &clock, NULL, epoch("9999-06-01"), &t) && t == epoch("9999-12-31 23:00:00"), "but the last hours");
	cron_parse("@every 876000h", &spec, &error);
	ok(!cron_zone_next(&spec, &clock, NULL, epoch("9999-06-01"), &t), "@every ends too");

	clock = (CronZone){.lookup = look_up, .data = &wild};
	for (int i = 0; i < 2; i++) {
		cron_parse(i ? "30 * * * *" : "30 2 * * *", &spec, &error);
		ok(cron_zone_next(&spec, &clock, NULL, -5, &t) && t > -5, "offsets of 68 years end in some answer");
	}

	/* each year, up to 2043, a gap over the only time that an expression has */
	for (int i = 0; i < 2 * 45; i++) {
		char text[32];

		snprintf(text, sizeof(text), "%d-%s", 1999 + i / 2, i % 2 ? "10-10" : "03-10");
		yearly.pieces[yearly.count++] = (struct piece){epoch(text) + 7200, i % 2 ? 0 : 3600};
	}
	clock = (CronZone){.lookup = look_up, .data = &yearly};
	cron_parse("30 2 10 3 *", &spec, &error);
	ok(cron_zone_next(&spec, &clock, &skip, epoch("2005-01-01"), &t) && t == epoch("2044-03-10 02:30:00"),
	        "39 gaps are passed by");
	ok(cron_zone_next(&spec, &clock, &skip_last, epoch("2005-01-01"), &u) && u == t, "from the other side too");
	ok(!cron_zone_next(&spec, &clock, &skip, epoch("1999-01-01"), &t), "but not 40");

	clock = (CronZone){.lookup = look_up, .data = &yearly};
	ok(cron_zone_next(&spec, &clock, NULL, epoch("2005-01-01"), &t), "at a gap's end");
	cron_zone_explain(&spec, &clock, NULL, t, &note);
	ok(note.moved && note.pass == 0 && note.offset == 3600 && note.local == epoch("2005-03-10 03:00:00") &&
	                note.swallowed == epoch("2005-03-10 02:30:00") && note.gap_from == epoch("2005-03-10 02:00:00") &&
	                note.gap_until == epoch("2005-03-10 03:00:00"),
	        "the gap is explained");
	cron_parse("30 2 10 10 *", &spec, &error);
	ok(cron_zone_next(&spec, &clock, NULL, epoch("2005-09-01"), &t), "in an overlap");
	cron_zone_explain(&spec, &clock, NULL, t, &note);
	ok(!note.moved && note.pass == 1 && note.offset == 3600, "the first pass is explained");
	cron_zone_explain(&spec, &clock, NULL, t + 3600, &note);
	ok(!note.moved && note.pass == 2 && note.offset == 0, "the second pass is explained");
	cron_zone_explain(&spec, &clock, NULL, t + 7200, &note);
	ok(!note.moved && note.pass == 0, "the time after it needs no word");
}

/*
 * The simulation.  The wall clock runs in steps of a minute, or a second for a short while, from days before `after` on;
 * the local times that it shows are counted in `shown`, an array indexed by step, and so it is known what was left out.
 */
#define MARGIN (52 * 3600) /* longer than an overlap can be */

struct run {
	int64_t begin, end; /* instants */
	int step;
	int64_t base; /* local time of shown[0] */
	int slots;
	uint8_t *shown;		/* how often, in the whole run */
	uint8_t *so_far;	/* how often up to now, or handled as swallowed */
	uint8_t hit[3][60];
	int64_t matched_day;	/* the last day that was asked for, and the answer */
	bool matched;
	char (*fields)[64];
};

static bool
run_matches(struct run *run, int64_t local)
{
	int64_t day = local >= 0 ? local / DAY : (local - DAY + 1) / DAY;
	int second = (int) (local - day * DAY);

	if (!run->hit[2][second / 3600] || !run->hit[1][second / 60 % 60] || !run->hit[0][second % 60])
		return false;
	if (day != run->matched_day) {
		time_t t = (time_t) (day * DAY);
		struct tm tm;

		gmtime_r(&t, &tm);
		run->matched = naive_day(run->fields, &tm);
		run->matched_day = day;
	}
	return run->matched;
}

static int32_t
offset_at(const struct zone *zone, int64_t t, int *hint)
{
	while (*hint + 1 < zone->count && zone->pieces[*hint + 1].at <= t)
		++*hint;
	return zone->pieces[*hint].offset;
}

static void
run_begin(struct run *run, const struct zone *zone, char fields[6][64], int64_t begin, int64_t end, int step)
{
	int hint = 0;

	memset(run, 0, sizeof(*run));
	run->begin = begin;
	run->end = end;
	run->step = step;
	run->base = begin - 2 * DAY;
	run->slots = (int) ((end - begin + 4 * DAY) / step);
	run->shown = calloc((size_t) run->slots, 2);
	run->so_far = run->shown + run->slots;
	run->fields = fields;
	run->matched_day = INT64_MIN;
	for (int kind = 0; kind < 3; kind++)
		for (int v = 0; v < (kind == 2 ? 24 : 60); v++)
			run->hit[kind][v] = naive_field(fields[kind], kind, v, 0, 0, 0);
	for (int64_t t = begin; t < end; t += step)
		run->shown[(t + offset_at(zone, t, &hint) - run->base) / step]++;
}

/* The first instant that fires later than `after`, or INT64_MIN if there is none before the run's end less the margin. */
static int64_t
run_next(struct run *run, const struct zone *zone, const CronZoneOptions *options, bool wildcard, int64_t after)
{
	int hint = 0;
	int64_t before = run->begin - run->step + offset_at(zone, run->begin, &hint);

	memset(run->so_far, 0, (size_t) run->slots);
	for (int64_t t = run->begin; t < run->end - MARGIN; t += run->step) {
		int64_t local = t + offset_at(zone, t, &hint);
		int slot = (int) ((local - run->base) / run->step);
		bool fires = false;

		for (int64_t l = before + run->step; l < local; l += run->step) {
			int left_out = (int) ((l - run->base) / run->step);

			if (run->so_far[left_out])
				continue;
			run->so_far[left_out]++;
			if (!wildcard && options->gap == CRON_GAP_NEXT_VALID && run_matches(run, l))
				fires = true;
		}
		run->so_far[slot]++;
		if (!fires && t > after && run_matches(run, local))
			fires = wildcard || options->overlap == CRON_OVERLAP_BOTH ||
			        (options->overlap == CRON_OVERLAP_FIRST ? run->so_far[slot] == 1
			                                                : run->so_far[slot] == run->shown[slot]);
		if (fires && t > after)
			return t;
		before = local;
	}
	return INT64_MIN;
}

/* What docs/cron.md says of the field's text and values, with no look at the parsed spec. */
static bool
naive_wildcard(const char *field)
{
	for (int hour = 0; hour < 24; hour++)
		if (!naive_field(field, 2, hour, 0, 0, 0))
			return *field == '*';
	return true;
}

/* The zones of this system, read through the C library: a day at a time, changes found by halving. */
static int
system_zones(struct zone **zones)
{
	FILE *f = fopen("/usr/share/zoneinfo/tzdata.zi", "r");
	char line[256];
	int n = 0;

	*zones = calloc(700, sizeof(**zones));
	while (f && *zones && n < 700 && fgets(line, sizeof(line), f)) {
		struct zone *zone = &(*zones)[n];
		char value[80];
		struct tm tm;
		long offset;

		if (sscanf(line, "Z %63s", zone->name) != 1)
			continue;
		snprintf(value, sizeof(value), ":%s", zone->name);
		setenv("TZ", value, 1);
		tzset();
		time_t t = 0;
		localtime_r(&t, &tm);
		offset = tm.tm_gmtoff;
		zone->pieces[zone->count++] = (struct piece){INT64_MIN, (int32_t) offset};
		for (; t < epoch("2045-01-01"); t += DAY) {
			time_t low = t, high = t + DAY;

			localtime_r(&high, &tm);
			if (tm.tm_gmtoff == offset)
				continue;
			while (high - low > 1) {
				time_t middle = low + (high - low) / 2;

				localtime_r(&middle, &tm);
				if (tm.tm_gmtoff == offset)
					low = middle;
				else
					high = middle;
			}
			localtime_r(&high, &tm);
			offset = tm.tm_gmtoff;
			zone->pieces[zone->count++] = (struct piece){high, (int32_t) offset};
		}
		if (zone->count > 1)
			n++;
		else
			zone->count = 0;
	}
	if (f)
		fclose(f);
	setenv("TZ", "UTC", 1);
	tzset();
	return n;
}

/* Offsets in whole steps, between -24 and +25 hours; `apart` is the least distance of changes. */
static void
random_zone(struct zone *zone, int step, int64_t apart)
{
	int64_t t = epoch("2020-01-01") + (int64_t) random_below(400 * 86400 / step) * step;

	strcpy(zone->name, "made up");
	zone->count = 1;
	zone->pieces[0] = (struct piece){INT64_MIN, (random_below(48 * 3600 / step) - 24 * 3600 / step) * step};
	while (zone->count < 2 + random_below(10)) {
		int32_t old = zone->pieces[zone->count - 1].offset, offset;

		switch (random_below(4)) {
		case 0:
			offset = (random_below(49 * 3600 / step) - 24 * 3600 / step) * step;
			break;
		case 1:
			offset = old + (random_below(2) ? 3600 : -3600);
			break;
		default:
			offset = old + (random_below(4 * 3600 / step) - 2 * 3600 / step) * step;
		}
		if (offset < -86400 || offset > 90000)
			offset = 0;
		zone->pieces[zone->count++] = (struct piece){t, offset};
		t += apart + (int64_t) random_below((int) (random_below(2) ? apart + 1 : 40 * DAY) / step) * step;
	}
}

/* Mostly every day, with hours about that of a change. */
static void
random_fields(char f[6][64], bool seconds, int hour)
{
	for (int kind = 0; kind < 6; kind++)
		random_field(f[kind], kind);
	if (!seconds)
		strcpy(f[0], "0");
	if (random_below(4)) {
		strcpy(f[3], random_below(8) ? "*" : "L");
		strcpy(f[4], "*");
		strcpy(f[5], random_below(4) ? "*" : "sat-mon");
	}
	switch (random_below(6)) {
	case 0:
	case 1:
		sprintf(f[2], "%d", (hour + random_below(3) + 23) % 24);
		break;
	case 2:
		sprintf(f[2], "%d,%d", hour, (hour + 1 + random_below(5)) % 24);
		break;
	case 3:
		strcpy(f[2], random_below(2) ? "*" : random_below(2) ? "0-23" : "*/2");
		break;
	default:
		break;
	}
}

/* Which zones: of the system, or made up with changes far apart (only then options other than the first are defined). */
enum { SYSTEM, APART, CLOSE };

static void
test_against_run(const char *what, int kind, int expressions, const struct zone *zones, int count)
{
	int wrong = 0, compared = 0, none = 0, moved = 0, refused = 0;
	struct zone made;

	for (int i = 0; i < expressions; i++) {
		bool seconds = kind != SYSTEM && random_below(10) == 0;
		int step = seconds ? 1 : 60;
		const struct zone *zone = &made;
		char f[6][64], expr[6 * 64];
		struct piece change;
		struct run run;
		CronZone clock;
		CronSpec spec;
		CronError error;
		int64_t begin, end;
		bool wildcard;

		if (kind == SYSTEM)
			zone = &zones[random_below(count)];
		else
			random_zone(&made, step, kind == APART ? 3 * DAY : 600);
		change = zone->pieces[1 + random_below(zone->count - 1)];
		if (change.at % step)
			continue;
		random_fields(f, seconds, (int) ((change.at + change.offset + 2 * DAY) / 3600 % 24));
		snprintf(expr, sizeof(expr), "%s%s%s %s %s %s %s", seconds ? f[0] : "", seconds ? " " : "", f[1], f[2], f[3],
		        f[4], f[5]);
		if (!cron_parse(expr, &spec, &error)) {
			refused++;
			continue;
		}
		wildcard = naive_wildcard(f[2]);
		begin = change.at - 2 * DAY - MARGIN;
		end = change.at + MARGIN + (seconds ? 2 : 8) * DAY;
		run_begin(&run, zone, f, begin, end, step);
		clock = (CronZone){.lookup = look_up, .data = zone};
		for (int n = 0; n < (seconds ? 2 : 6); n++) {
			CronZoneOptions options = {random_below(2), random_below(3)};
			int64_t after, want, got;

			if (kind == CLOSE || n < 2)
				options = (CronZoneOptions){CRON_GAP_NEXT_VALID, CRON_OVERLAP_FIRST};
			after = change.at + (int64_t) (random_below(4 * 86400) - 2 * 86400) / (n % 3 * 20 + 1);
			if (after < begin + MARGIN)
				after = begin + MARGIN;
			want = run_next(&run, zone, &options, wildcard, after);
			if (!cron_zone_next(&spec, &clock, &options, after, &got))
				got = INT64_MIN;
			compared++;
			if (want == INT64_MIN) {
				none++;
				if (got == INT64_MIN || got >= end - MARGIN)
					continue;
			} else if (want == change.at) {
				moved++;
			}
			if (got != want && wrong++ < 10)
				diag("\"%s\" in %s, gap %d overlap %d, after %s (change %s to %d): got %s, want %s", expr,
				        zone->name, options.gap, options.overlap, ISO(after), ISO(change.at), change.offset,
				        ISO(got), ISO(want));
		}
		free(run.shown);
	}
	diag("%s: %d expressions (%d refused), %d times compared, %d at a change, %d without a match near", what, expressions,
	        refused, compared, moved, none);
	is_int(wrong, 0, "%s: no difference to the simulation", what);
	ok(compared > expressions * 3 && none < compared * 6 / 10, "%s: most were compared", what);
}

int
main(void)
{
	const char *wanted = getenv("JOBSCHED_CRON_EXPRESSIONS");
	int expressions = wanted ? atoi(wanted) : 3000;
	struct zone *zones;
	int count;

	test_contract();
	test_edges();
	count = system_zones(&zones);
	if (count > 0) {
		diag("%d zones of this system have changes", count);
		test_against_run("zones of the system", SYSTEM, expressions, zones, count);
	} else {
		skip("no /usr/share/zoneinfo/tzdata.zi");
	}
	free(zones);
	test_against_run("random zones", APART, expressions / 2, NULL, 0);
	test_against_run("random zones with changes close together", CLOSE, expressions / 2, NULL, 0);
	return done_testing();
}
