/*
 * fuzz_cron_zone.c: any zone, any expression, from any time on.
 *
 * Input: a byte of options, a byte that counts the zone's changes, eight bytes of `after`, eight bytes a change (seconds
 * since the one before, and the offset from there on), then the expression.  An answer must be later than `after`, the same
 * when asked from anywhere between, and either match on the wall clock or stand for something that a gap swallowed.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/extension/cron_zone.h"

#define MAX_CHANGES 40

struct zone {
	int count;
	int64_t at[MAX_CHANGES];
	int32_t offset[MAX_CHANGES];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Kept when built without debugging, unlike assert(). */
static void
must(int holds)
{
	if (!holds)
		abort();
}

static void
look_up(const void *data, int64_t at, int64_t *until, int32_t *offset)
{
	const struct zone *zone = data;
	int i = 0;

	while (i + 1 < zone->count && zone->at[i + 1] <= at)
		i++;
	*offset = zone->offset[i];
	*until = i + 1 < zone->count ? zone->at[i + 1] : INT64_MAX;
}

static void
check(const CronSpec *spec, const struct zone *zone, const CronZoneOptions *options, int64_t after)
{
	CronZone clock = {.lookup = look_up, .data = zone};
	int64_t next, again;

	for (int i = 0; i < 4 && cron_zone_next(spec, &clock, options, after, &next); i++) {
		CronZone fresh = {.lookup = look_up, .data = zone};
		CronZoneNote note;
		int64_t from = after < CRON_ZONE_FIRST_SECOND ? CRON_ZONE_FIRST_SECOND : after;

		must(next > after && next <= CRON_LAST_SECOND);
		if (spec->every)
			return;
		must(cron_zone_next(spec, &fresh, options, next - 1, &again) && again == next);
		must(cron_zone_next(spec, &fresh, options, from + (next - from) / 2, &again) &&
		        (again == next || (next - from == 1 && again > next)));
		cron_zone_explain(spec, &fresh, options, next, &note);
		must(note.local == next + note.offset && note.pass >= 0 && note.pass <= 2);
		if (note.moved)
			must(note.gap_from <= note.swallowed && note.swallowed < note.gap_until && !spec->hour_wildcard &&
			        options->gap == CRON_GAP_NEXT_VALID);
		else if (options->overlap != CRON_OVERLAP_LAST)
			must(cron_next_local(spec, note.local - 1, &again) && again == note.local);
		after = next;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t span = (int64_t) CRON_OFFSET_MAX - CRON_OFFSET_MIN + 1;
	CronZoneOptions options;
	struct zone zone = {0};
	CronSpec spec;
	CronError error;
	int64_t after, at;
	char expr[257];
	int changes;

	if (size < 10 || size > 600)
		return 0;
	options = (CronZoneOptions){data[0] & 1, data[0] / 2 % 3};
	changes = data[1] % MAX_CHANGES;
	memcpy(&after, data + 2, sizeof(after));
	data += 10;
	size -= 10;
	/* near the changes, mostly: far away is for the other target */
	at = after > -(INT64_C(1) << 50) && after < INT64_C(1) << 50 ? after - 200000 : 0;
	for (int i = 0; i < changes && size >= 8; i++, data += 8, size -= 8) {
		int32_t words[2];

		memcpy(words, data, sizeof(words));
		at += 1 + (words[0] < 0 ? -(int64_t) words[0] % 200000 : words[0]);
		zone.at[zone.count] = i == 0 ? INT64_MIN : at;
		zone.offset[zone.count++] = (int32_t) (CRON_OFFSET_MIN + (words[1] - (int64_t) INT32_MIN) % span);
	}
	if (zone.count == 0) {
		zone.count = 1;
		zone.at[0] = INT64_MIN;
	}
	if (size >= sizeof(expr))
		return 0;
	memcpy(expr, data, size);
	expr[size] = 0;
	if (cron_parse(expr, &spec, &error))
		check(&spec, &zone, &options, after);
	return 0;
}
