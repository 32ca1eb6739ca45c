/* Waiting between attempts: growth, ends, jitter. */
/* sources: src/common/backoff.c */
#include "src/common/backoff.h"
#include "tap.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

int
main(void)
{
	struct backoff b = {.base_us = 100, .max_us = 1000};
	int64_t first, wait;
	double r;

	is_int(backoff_retry_us(MINUTE, 30 * MINUTE, 1, 0), MINUTE, "after the first failure the base");
	is_int(backoff_retry_us(MINUTE, 30 * MINUTE, 2, 0), 2 * MINUTE, "then twice as long");
	is_int(backoff_retry_us(MINUTE, 30 * MINUTE, 5, 0), 16 * MINUTE, "sixteen minutes after the fifth");
	is_int(backoff_retry_us(MINUTE, 30 * MINUTE, 6, 0), 30 * MINUTE, "never longer than the maximum");
	is_int(backoff_retry_us(MINUTE, 30 * MINUTE, INT64_MAX, 0), 30 * MINUTE, "also after very many");
	is_int(backoff_retry_us(MINUTE, 30 * MINUTE, 0, 0), MINUTE, "n below 1 counts as 1");
	is_int(backoff_retry_us(MINUTE, 30 * MINUTE, 1, 0.5), 63 * SECOND, "jitter adds up to a tenth");
	ok(backoff_retry_us(MINUTE, 30 * MINUTE, 9, 0.999) < 33 * MINUTE, "also on top of the maximum");
	is_int(backoff_retry_us(2 * MINUTE, MINUTE, 1, 0), MINUTE, "a base above the maximum is cut");
	is_int(backoff_retry_us(0, MINUTE, 40, 0), 0, "no base, no wait");
	is_int(backoff_retry_us(1, INT64_MAX, 200, 0), INT64_MAX, "doubling does not overflow");

	is_int(backoff_next_us(&b, 0), 50, "reconnecting waits at least half of the base first");
	is_int(backoff_next_us(&b, 1), 200, "and at most all of it, doubled");
	for (int i = 0; i < 5000; i++)
		wait = backoff_next_us(&b, 1);
	is_int(wait, 1000, "up to the maximum");
	backoff_reset(&b);
	first = backoff_next_us(&b, 1);
	is_int(first, 100, "after success it begins anew");

	r = backoff_random();
	ok(r >= 0 && r < 1, "random numbers lie in [0, 1)");
	ok(r != backoff_random() || r != backoff_random(), "and differ");
	return done_testing();
}
