/*
 * backoff.h: how long to wait before trying again.
 *
 * Pure: the random number comes from the caller (backoff_random() outside of tests).
 */
#ifndef JOBSCHED_BACKOFF_H
#define JOBSCHED_BACKOFF_H

#include <stdint.h>

/*
 * Delay before the attempt that follows failed attempt n (1, 2, ...): min(max, base * 2^(n-1)) plus up to 10 % jitter,
 * so that jobs which failed together do not come back together.  Microseconds; random in [0, 1).
 */
int64_t backoff_retry_us(int64_t base_us, int64_t max_us, int64_t n, double random);

/* Waiting between attempts to connect.  Zero `tries` before the first. */
struct backoff {
	int64_t base_us; /* longest wait after the first failure */
	int64_t max_us; /* longest wait ever */
	unsigned tries; /* failures in a row */
};

/* Counts one failure and returns the wait that follows: between half and the whole of min(max, base * 2^(tries-1)). */
int64_t backoff_next_us(struct backoff *b, double random);

/* After success: the next failure waits shortly again. */
void backoff_reset(struct backoff *b);

/* From getrandom(2), in [0, 1). */
double backoff_random(void);

#endif
