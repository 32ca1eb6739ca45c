/*
 * backlog.c: how much work a worker takes ahead of its threads.
 */
#include "backlog.h"

void
backlog_mean_add(struct backlog_mean *mean, double seconds)
{
	if (!mean->known) {
		mean->known = true;
		mean->seconds = seconds;
	} else {
		mean->seconds += (seconds - mean->seconds) / 10;
	}
}

double
backlog_expected(const struct backlog_mean *mean)
{
	return mean->known ? mean->seconds : BACKLOG_UNKNOWN_SECONDS;
}

int
backlog_admit(const struct backlog *b)
{
	int lacking = b->idle - b->ready;
	double room = BACKLOG_AHEAD_SECONDS * b->threads - b->ready_seconds;
	double ahead;

	if (b->results >= BACKLOG_RESULTS_MAX || b->result_bytes >= BACKLOG_BYTES_MAX)
		return 0;
	if (lacking < 0)
		lacking = 0;
	/* All threads are in long runs, whatever the means say: what is claimed now would only wait and be handed back. */
	if (b->idle == 0 && b->stalled_us > (int64_t) (BACKLOG_AHEAD_SECONDS * 1e6))
		return 0;

	/* Rounded down: work that is longer than the room is taken by an idle thread only. */
	ahead = b->dispatch_seconds > 1e-6 ? room / b->dispatch_seconds : BACKLOG_CLAIM_MAX;
	if (room <= 0 || ahead < lacking)
		ahead = lacking;
	return ahead > BACKLOG_CLAIM_MAX ? BACKLOG_CLAIM_MAX : (int) ahead;
}
