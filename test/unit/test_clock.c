/* Times as text. */
/* sources: src/common/clock.c */
#include "src/common/clock.h"
#include "tap.h"

int
main(void)
{
	char out[CLOCK_TEXT_SIZE];
	int64_t a = clock_boottime_us(), b = clock_boottime_us();

	ok(a > 0 && b >= a, "the boot clock runs forward");
	ok(clock_realtime_us() > INT64_C(1600000000000000), "the wall clock is in this century");

	is_str(clock_format(0, 0, out), "1970-01-01T00:00:00Z", "the epoch");
	is_str(clock_format(INT64_C(1795555800123456), 3, out), "2026-11-24T21:30:00.123Z",
	        "milliseconds are cut, not rounded");
	is_str(clock_format(INT64_C(1795555800123456), 6, out), "2026-11-24T21:30:00.123456Z", "microseconds");
	is_str(clock_format(-1, 6, out), "1969-12-31T23:59:59.999999Z", "just before the epoch");
	is_str(clock_format(INT64_C(951782400000000), 0, out), "2000-02-29T00:00:00Z", "a leap day");
	is_str(clock_format(INT64_MAX, 6, out), "9999-12-31T23:59:59.999999Z", "no year beyond 9999");
	is_str(clock_format(INT64_MIN, 0, out), "0000-01-01T00:00:00Z", "nor before 0000");
	return done_testing();
}
