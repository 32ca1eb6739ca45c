/*
 * cron_zone.h: the next time that a cron expression matches in a time zone, by the DST contract of docs/cron.md.
 *
 * Plain C as cron.h is.  A zone is a function that tells the offset at an instant and until when it stays: transitions
 * may be of any size, in any order and at any time, and are made up freely by the tests.  All times are seconds: an
 * instant is one since the epoch, a local time is what a clock on the wall shows, as in cron_next_local().
 */
#ifndef JOBSCHED_CRON_ZONE_H
#define JOBSCHED_CRON_ZONE_H

#include "cron.h"

/*
 * What a zone may add to UTC, by RFC 8536: less than a day and an hour to the west, a day and two to the east.  Beyond
 * that answers still are later than what was asked from, and come in bounded time, but may be off the contract.
 */
#define CRON_OFFSET_MIN (-89999)
#define CRON_OFFSET_MAX 93599

/* Earlier instants than this (some 36 billion years back) count as this one. */
#define CRON_ZONE_FIRST_SECOND (-(INT64_C(1) << 60))

/*
 * Gives *offset, the seconds to add to the instant `at` to get local time, and *until, the first instant after `at` that
 * may have another offset; INT64_MAX when there is none.
 */
typedef void (*CronZoneLookup) (const void *data, int64_t at, int64_t *until, int32_t *offset);

/* One caller at a time: the last answer of lookup is kept here, the offset of all instants in from <= t < until. */
typedef struct CronZone
{
	CronZoneLookup lookup;
	const void *data;			/* the caller's, handed to lookup */
	int64_t		from;			/* from == until: nothing is kept, as in the beginning */
	int64_t		until;
	int32_t		offset;
} CronZone;

/* Local time that a zone leaves out; for fixed hours only. */
typedef enum CronGap
{
	CRON_GAP_NEXT_VALID,		/* swallowed times fire at the gap's end, together once */
	CRON_GAP_SKIP				/* they do not fire */
} CronGap;

/* Local time that a zone has twice; for fixed hours only. */
typedef enum CronOverlap
{
	CRON_OVERLAP_FIRST,
	CRON_OVERLAP_LAST,
	CRON_OVERLAP_BOTH
} CronOverlap;

typedef struct CronZoneOptions
{
	CronGap		gap;
	CronOverlap overlap;
} CronZoneOptions;				/* all zero: the contract without options */

/* From schedules.dst_gap and dst_overlap; other words count as the default. */
extern CronZoneOptions cron_zone_options(const char *dst_gap, const char *dst_overlap);

/* Why a time is what it is. */
typedef struct CronZoneNote
{
	int64_t		local;			/* what the wall clock shows at the instant */
	int32_t		offset;
	int			pass;			/* 0: this local time occurs once; 1: first, 2: a later pass of an overlap */
	bool		moved;			/* stands for local times of a gap: */
	int64_t		swallowed;		/* the first of them that matches */
	int64_t		gap_from;		/* the gap's local times, gap_from <= t < gap_until */
	int64_t		gap_until;
} CronZoneNote;

/*
 * The first instant strictly after `after` (any int64) that matches.  `options` may be NULL.  False when there is none
 * up to CRON_LAST_SECOND in UTC and on the wall; also when 40 gaps in a row (40 years, say) swallow every fixed time with
 * CRON_GAP_SKIP, or gaps every wildcard one for 500 years.
 */
extern bool cron_zone_next(const CronSpec *spec, CronZone *zone, const CronZoneOptions *options, int64_t after,
						   int64_t *next);

/* About an instant that cron_zone_next gave, with the same options. */
extern void cron_zone_explain(const CronSpec *spec, CronZone *zone, const CronZoneOptions *options, int64_t at,
							  CronZoneNote *note);

#endif
