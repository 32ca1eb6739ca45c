/*
 * window.h: how many dispatches of a queue no worker has claimed, from counters that run on and rows counted now and then.  No Postgres.
 */
#ifndef JOBSCHED_WINDOW_H
#define JOBSCHED_WINDOW_H

#include <stdint.h>

/*
 * What is known after the rows were counted, while dispatches went on being promoted and claimed.
 *
 * known: by the counters, when counting had ended; counted: rows in the count's snapshot; enqueued, dequeued: what went in and out
 * between the beginning and the end of counting, of which nobody knows what the snapshot had seen.  So the truth is between
 * counted - dequeued and counted + enqueued: what lies outside is corrected, and no more.  To take the count itself for the truth
 * closes the window when all that was counted has been claimed meanwhile, and nobody opens it before the next count.
 */
static inline int64_t
window_settle(int64_t known, int64_t counted, uint64_t enqueued, uint64_t dequeued)
{
	int64_t		least = counted - (int64_t) dequeued;
	int64_t		most = counted + (int64_t) enqueued;

	known = known < least ? least : known > most ? most : known;
	return known < 0 ? 0 : known;
}

#endif
