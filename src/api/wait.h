/*
 * wait.h: requests that wait for the end of a job.
 *
 * They cost nothing but memory and their connection: one statement asks for all of them, again and again while there are any.
 */
#ifndef JOBSCHED_API_WAIT_H
#define JOBSCHED_API_WAIT_H

struct event_base;
struct db;
struct exchange;
struct waits;

#define WAIT_MAX 60 /* seconds */

/* NULL when out of memory. */
struct waits *waits_new(struct event_base *base, struct db *db);

/* Nobody waits any more: over() is called for all.  Before the db is freed, and waits_free() after that.  NULL is allowed. */
void waits_end(struct waits *waits);
void waits_free(struct waits *waits);

/*
 * Answers x when the job x->id has ended or does not exist; calls over(x) when the seconds are over, the client has gone or the
 * server is to end, and then x is the caller's again.  Either may happen before this returns.
 */
void waits_add(struct waits *waits, struct exchange *x, double seconds, void (*over)(struct exchange *x));

#endif
