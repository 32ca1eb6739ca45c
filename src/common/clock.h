/*
 * clock.h: time in microseconds.
 *
 * Durations and deadlines use clock_boottime_us(), which counts suspended time too and never jumps;
 * clock_realtime_us() is for showing people.
 */
#ifndef JOBSCHED_CLOCK_H
#define JOBSCHED_CLOCK_H

#include <stdint.h>

#define CLOCK_US_PER_SECOND INT64_C(1000000)

/* Bytes of "2026-11-24T21:30:00.123456Z" and its NUL. */
#define CLOCK_TEXT_SIZE 28

/* Microseconds since boot (CLOCK_BOOTTIME). */
int64_t clock_boottime_us(void);

/* Microseconds since 1970-01-01T00:00:00Z. */
int64_t clock_realtime_us(void);

/*
 * RFC 3339 text in UTC, with the given number of fraction digits (0, 3 or 6), cut and not rounded.
 * For years 0000..9999; beyond them the nearest end.  Returns out, which holds CLOCK_TEXT_SIZE bytes.
 */
char *clock_format(int64_t realtime_us, int digits, char *out);

#endif
