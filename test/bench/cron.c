/*
 * cron.c: what the next time of a cron expression costs, without SQL: parsed once, asked on and on, each time from the last.
 *
 *	test/bench/cron		builds and runs it
 *
 * Zones are Europe/Berlin's rule, written out for 400 years, in the place of Postgres's table of the same.  Medians of
 * ROUNDS rounds, in nanoseconds a call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/extension/cron_zone.h"

#define ROUNDS 9
#define CALLS 20000

struct zone {
	int count;
	int64_t at[900];
};

static struct zone berlin;

static void
look_up(const void *data, int64_t at, int64_t *until, int32_t *offset)
{
	const struct zone *zone = data;
	int low = 0, high = zone->count;

	while (high - low > 1) {
		int middle = (low + high) / 2;

		if (zone->at[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	*offset = zone->count == 1 ? 0 : low % 2 ? 7200 : 3600;
	*until = high < zone->count ? zone->at[high] : INT64_MAX;
}

static int64_t
last_sunday(int year, int month)
{
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = 31, .tm_hour = 1};
	time_t t = timegm(&tm);

	gmtime_r(&t, &tm);
	return t - tm.tm_wday * 86400;
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return x < y ? -1 : x > y;
}

/* With a new CronZone a call when `cold`: what one expression costs among thousands of others. */
static double
measure(const char *expr, const struct zone *zone, const CronZoneOptions *options, int cold)
{
	double rounds[ROUNDS];
	CronSpec spec;
	CronError error;

	if (!cron_parse(expr, &spec, &error)) {
		fprintf(stderr, "%s: %s\n", expr, error.message);
		exit(1);
	}
	for (int round = 0; round < ROUNDS; round++) {
		CronZone clock = {.lookup = look_up, .data = zone};
		int64_t start = 1782000000 + round * 12345, t = start;
		double begin = now();

		for (int i = 0; i < CALLS; i++) {
			if (cold)
				clock.from = clock.until = 0;
			if (!cron_zone_next(&spec, &clock, options, t, &t) || t > 12000000000)
				t = start;
		}
		rounds[round] = (now() - begin) / CALLS;
	}
	qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
	return rounds[ROUNDS / 2];
}

int
main(void)
{
	static const char *const common[] = {"* * * * *", "*/5 * * * *", "0 * * * *", "30 6 * * *", "30 6 * * 1-5",
	        "*/15 9-17 * * 1-5", "0 0 1 * *", "0 0 L * *", "0 0 * * fri#2", "0 0 1 1 *", "*/10 * * * * *"};
	static const char *const rare[] = {"0 0 29 2 *", "0 0 * 2 mon#5", "0 0 31 2,4,6,9,11 sun#5", "59 59 23 L-30 * *",
	        "30 2 31 3 *", "0 * * feb sun#5"};
	static const CronZoneOptions last = {CRON_GAP_NEXT_VALID, CRON_OVERLAP_LAST}, both = {CRON_GAP_NEXT_VALID, CRON_OVERLAP_BOTH};
	struct zone utc = {1, {INT64_MIN}};
	double sums[3] = {0}, worst = 0;
	int n = sizeof(common) / sizeof(common[0]);

	berlin.at[berlin.count++] = INT64_MIN;
	for (int year = 1980; year < 2380; year++) {
		berlin.at[berlin.count++] = last_sunday(year, 3);
		berlin.at[berlin.count++] = last_sunday(year, 10);
	}
	for (int i = 0; i < n; i++) {
		double ns[3] = {measure(common[i], &utc, NULL, 0), measure(common[i], &berlin, NULL, 0), measure(common[i], &berlin, NULL, 1)};

		printf("%-28s UTC %5.0f ns, with a zone %5.0f ns, first look %5.0f ns\n", common[i], ns[0], ns[1], ns[2]);
		for (int k = 0; k < 3; k++)
			sums[k] += ns[k] / n;
	}
	for (size_t i = 0; i < sizeof(rare) / sizeof(rare[0]); i++) {
		double ns = measure(rare[i], &berlin, NULL, 1), ns_last = measure(rare[i], &berlin, &last, 1),
		       ns_both = measure(rare[i], &berlin, &both, 1);

		printf("%-28s with a zone, first look %5.0f ns, last pass %5.0f ns, both %5.0f ns\n", rare[i], ns, ns_last, ns_both);
		worst = ns > worst ? ns : worst;
		worst = ns_last > worst ? ns_last : worst;
		worst = ns_both > worst ? ns_both : worst;
	}
	{
		static const CronZoneOptions skip = {CRON_GAP_SKIP, CRON_OVERLAP_FIRST}, skip_last = {CRON_GAP_SKIP, CRON_OVERLAP_LAST};
		double ns = measure("30 2 * 3 0L", &berlin, &skip, 1), ns_last = measure("30 2 * 3 0L", &berlin, &skip_last, 1);

		printf("%-28s gaps skipped, so never: %5.0f ns, last pass %5.0f ns\n", "30 2 * 3 0L", ns, ns_last);
		worst = ns > worst ? ns : worst;
		worst = ns_last > worst ? ns_last : worst;
	}
	printf("{\"bench\":\"cron_next\",\"utc_mean_ns\":%.0f,\"zone_mean_ns\":%.0f,\"zone_first_look_mean_ns\":%.0f,\"worst_ns\":%.0f}\n",
	        sums[0], sums[1], sums[2], worst);
	return 0;
}
