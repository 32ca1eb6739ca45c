/*
 * clock.c: reading clocks and writing times.
 */
#include "clock.h"

#include <stdio.h>
#include <time.h>

#define FIRST_SECOND INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */
#define LAST_SECOND INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

static int64_t
read_us(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t) now.tv_sec * CLOCK_US_PER_SECOND + now.tv_nsec / 1000;
}

int64_t
clock_boottime_us(void)
{
	return read_us(CLOCK_BOOTTIME);
}

int64_t
clock_realtime_us(void)
{
	return read_us(CLOCK_REALTIME);
}

char *
clock_format(int64_t realtime_us, int digits, char *out)
{
	int64_t seconds = realtime_us / CLOCK_US_PER_SECOND;
	int64_t fraction = realtime_us % CLOCK_US_PER_SECOND;
	struct tm tm;
	time_t t;
	size_t n;

	if (fraction < 0) {
		fraction += CLOCK_US_PER_SECOND;
		seconds--;
	}
	if (seconds < FIRST_SECOND) {
		seconds = FIRST_SECOND;
		fraction = 0;
	} else if (seconds > LAST_SECOND) {
		seconds = LAST_SECOND;
		fraction = CLOCK_US_PER_SECOND - 1;
	}

	t = (time_t) seconds;
	gmtime_r(&t, &tm);
	n = (size_t) snprintf(out, CLOCK_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u",
	        (unsigned) (tm.tm_year + 1900) % 10000, (unsigned) (tm.tm_mon + 1) % 100, (unsigned) tm.tm_mday % 100,
	        (unsigned) tm.tm_hour % 100, (unsigned) tm.tm_min % 100, (unsigned) tm.tm_sec % 100);
	if (digits >= 6)
		snprintf(out + n, CLOCK_TEXT_SIZE - n, ".%06uZ", (unsigned) fraction % 1000000);
	else if (digits >= 3)
		snprintf(out + n, CLOCK_TEXT_SIZE - n, ".%03uZ", (unsigned) (fraction / 1000) % 1000);
	else
		snprintf(out + n, CLOCK_TEXT_SIZE - n, "Z");
	return out;
}
