/*
 * hub.h: what the worker's threads share, behind one lock.
 *
 * Who does what:
 *
 *	consumer   the AMQP connection: puts deliveries into the inbox, acknowledges those that are settled
 *	claimer    a database connection: register, claim, release
 *	finisher   a database connection: finish, heartbeat
 *	pool       MAX_CONCURRENCY threads that run tasks
 *	main       signals, and the steps of shutting down
 *	guard      the lease, systemd's watchdog, SIGUSR1
 *	exporter   libmicrohttpd's thread: metrics
 *
 * The hub holds the state that several of them look at: the phase, the identity in the database, the lease, the inbox
 * (inbox.h) and the runs held (runs.h).  Functions named *_locked are called with the lock held; the others take it.
 */
#ifndef JOBSCHED_WORKER_HUB_H
#define JOBSCHED_WORKER_HUB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "backlog.h"
#include "inbox.h"
#include "metrics.h"
#include "runs.h"
#include "uuid.h"

enum hub_phase {
	HUB_RUNNING,
	HUB_DRAINING,			/* nothing new is claimed or started; what has not started is given back */
	HUB_FLUSHING,			/* the finisher writes what it has and ends */
	HUB_CLOSING				/* the claimer unregisters; everybody ends */
};

enum hub_thread { HUB_CONSUMER, HUB_CLAIMER, HUB_FINISHER };
#define HUB_THREADS	3

struct hub {
	pthread_mutex_t lock;
	pthread_cond_t work;		/* for the pool: a run is ready, a lease is fresh, the phase changed */
	pthread_cond_t claims;		/* for the claimer */
	pthread_cond_t results;		/* for the finisher */
	int consumer_fd;			/* eventfd in the consumer's poll */
	int main_fd;				/* eventfd in main's poll: draining has nothing left to wait for */
	int guard_fd;				/* eventfd in the guard's poll: another phase, another registration */
	_Atomic int64_t busy_us[HUB_THREADS];	/* since when each is at work; 0: it waits.  Without the lock */
	enum hub_phase phase;

	/* Identity and lease; times are clock_boottime_us(). */
	char worker[UUID_TEXT_SIZE];	/* id of this registration; "" while there is none */
	int64_t lease_us;			/* jobsched.worker_lease() */
	int64_t beat_us;			/* when the last successful heartbeat or registration was sent */
	int64_t lost_us;			/* when a database connection was last lost */
	bool lapsed;				/* the lease has run out: what ran then was told to stop */
	bool orders;				/* somebody said that there are orders: heartbeat, soon */

	struct inbox inbox;
	struct runs runs;
	struct metrics metrics;
	bool claims_over;			/* draining, and no claim is unanswered: the consumer may close */
};

/* task_timeout: seconds, for runs that have no time limit of their own; 0: none. */
int hub_init(struct hub *h, int threads, double task_timeout, struct error *err);
void hub_free(struct hub *h);

void hub_lock(struct hub *h);
void hub_unlock(struct hub *h);

/* Waits on one of the hub's conditions until told or until `until_us`. */
void hub_wait_locked(struct hub *h, pthread_cond_t *cond, int64_t until_us);

/* Moves on to a later phase and tells everybody. */
void hub_enter(struct hub *h, enum hub_phase phase);
enum hub_phase hub_phase(struct hub *h);

/* May a task start now?  Rule 3 of docs/protocol.md. */
bool hub_lease_fresh_locked(const struct hub *h, int64_t now_us);

/* A registration or heartbeat that was sent at sent_us has succeeded. */
void hub_registered(struct hub *h, const char *worker, int64_t sent_us, int64_t lease_us);
void hub_beat(struct hub *h, const char *worker, int64_t sent_us, int64_t lease_us);

/* A database connection is lost: nothing starts until a heartbeat that is sent from now on has succeeded. */
void hub_database_lost(struct hub *h);

/* Until when the lease holds, clock_boottime_us(); 0: there is none. */
int64_t hub_lease_until(struct hub *h);

/* When the lease has run out: tells all tasks to stop, once.  How many; -1: it has not, or they were told before. */
int hub_lapse(struct hub *h);

/* A connection is there, or lost. */
void hub_link(struct hub *h, enum metrics_link link, bool up);

/* A thread begins to work, or to wait. */
void hub_busy(struct hub *h, enum hub_thread thread, bool busy);
const char *hub_thread_name(enum hub_thread thread);

/* There are orders in the database for this worker. */
void hub_orders(struct hub *h);

/* The database does not know this registration any more: everything held is dropped, the claimer registers anew. */
void hub_unregistered(struct hub *h, const char *worker);

/* How many of the waiting deliveries to claim now: 0 without a fresh lease or while draining. */
int hub_admit_locked(struct hub *h, int64_t now_us);

/* The worker could use work: the consumer, when it has given up consuming, begins again. */
void hub_resume_locked(struct hub *h, int64_t now_us);

void hub_wake_consumer(const struct hub *h);

/* Tells main when draining is done. */
void hub_check_drained_locked(struct hub *h);

#endif
