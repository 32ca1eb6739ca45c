/*
 * backoff.c: exponential backoff with jitter.
 */
#include "backoff.h"

#include <sys/random.h>

static int64_t
doubled(int64_t base, int64_t max, int64_t n)
{
	int64_t delay = base < max ? base : max;

	for (; n > 1 && delay > 0 && delay < max; n--)
		delay = delay > max / 2 ? max : delay * 2;
	return delay > 0 ? delay : 0;
}

int64_t
backoff_retry_us(int64_t base_us, int64_t max_us, int64_t n, double random)
{
	int64_t delay = doubled(base_us, max_us, n);

	return delay + (int64_t) ((double) delay * 0.1 * random);
}

int64_t
backoff_next_us(struct backoff *b, double random)
{
	int64_t delay, half;

	if (b->tries < 1000)
		b->tries++;
	delay = doubled(b->base_us, b->max_us, b->tries);
	half = delay / 2;
	return half + (int64_t) ((double) (delay - half) * random);
}

void
backoff_reset(struct backoff *b)
{
	b->tries = 0;
}

double
backoff_random(void)
{
	uint64_t bits = 0;

	/* Eight bytes come whole once the kernel's pool is ready; without them the wait is merely not spread. */
	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != (ssize_t) sizeof(bits))
		return 0.5;
	return (double) (bits >> 11) / 9007199254740992.0; /* 53 bits / 2^53 */
}
