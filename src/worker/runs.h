/*
 * runs.h: the runs that this worker holds, from the answer of claim to the answer of finish or release.
 *
 *	runs_add ──► READY ──runs_next──► RUNNING ──runs_next──► ENDED ──runs_take_ended──► FINISHING ──runs_settle──► gone
 *	               └────runs_take_stale──► RELEASING ──runs_settle──► gone
 *
 * A claim's answer comes as one batch: an array of runs and one of dispatches, freed together when the last of its
 * dispatches is settled.  A run belongs to whoever its state names: pool thread, finisher or claimer; the lists and the
 * fields marked "lock" are under the hub's lock.
 */
#ifndef JOBSCHED_WORKER_RUNS_H
#define JOBSCHED_WORKER_RUNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backlog.h"
#include "error.h"
#include "jobsched_task.h"
#include "uuid.h"

struct hub;
struct pool_slot;
struct run_progress;

enum run_state { RUN_READY, RUN_RELEASING, RUN_RUNNING, RUN_ENDED, RUN_FINISHING, RUN_SETTLED };

/* LAPSED: the worker's lease ran out, so that the run may be somebody else's. */
enum run_stop { RUN_STOP_CANCELLED = 1, RUN_STOP_DROPPED = 2, RUN_STOP_LAPSED = 4 };

enum run_end { RUN_SUCCEEDED, RUN_FAILED, RUN_PERMANENT, RUN_CANCELLED };

/* How a run ended; text is UTF-8. */
struct outcome {
	enum run_end end;
	char reason[32];			/* "": none */
	char *error;				/* malloc'ed, or NULL */
	char *result;				/* JSON: `small`, malloc'ed, or NULL */
	char *artifacts;			/* malloc'ed JSON array, or NULL */
	int64_t retry_us;			/* the task's own delay before the next attempt; -1: none */
	char small[128];			/* most results fit here */
};

struct run {
	/* from claim; text is the batch's */
	struct dispatch *dispatch;
	const char *job_id;
	const char *run_at;			/* as PostgreSQL prints it in UTC */
	const char *name;
	const char *payload;		/* JSON */
	const char *traceparent;	/* or NULL */
	double timeout;				/* seconds; 0: no limit */
	int index;					/* position in the dispatch, 0..63 */
	int attempt;
	int max_retries;
	int failures;
	int task;					/* number in the registry; -1: unknown name */

	enum run_state state;		/* lock */
	struct run *next, *prev;	/* lock: in the list of its state, unless RUNNING */
	struct pool_slot *slot;		/* lock: who runs it */
	struct run_progress *progress;	/* lock: NULL until its task says how far it is */
	atomic_uint stop;			/* of enum run_stop: why the task should stop */
	double expected;			/* run time in seconds, as counted in runs.ready_seconds */
	int64_t ready_us;			/* when it was claimed, clock_boottime_us() */
	int64_t started_us;			/* 0: never */
	int64_t ended_us;
	int64_t deadline_us;		/* INT64_MAX: none */
	struct outcome out;
	bool lost;					/* the database has refused it: taken over */
	bool crashed;				/* its process ended without a result, or was killed */
};

struct dispatch {
	char id[UUID_TEXT_SIZE];
	char token[UUID_TEXT_SIZE];
	struct batch *batch;
	struct run *runs;			/* n of them, in the batch */
	int n;
	int open;					/* lock: runs not settled */
	int unended;				/* lock: runs ready, releasing or running */
	bool dropped;				/* lock: not ours any more, its runs end unrecorded */
	struct dispatch *next, *prev;	/* lock: in runs.held */
};

struct batch {
	struct run *runs;
	int nruns;
	struct dispatch *dispatches;
	int ndispatches;
	int open;					/* lock: dispatches not settled */
	void *memory;				/* what the runs' text stands in */
	void (*free_memory)(void *memory);
};

struct run_list {
	struct run *head, *tail;
	int n;
};

struct runs {
	int threads;				/* of the pool */
	int idle;					/* of them, waiting for a run */
	int running;				/* of them, in a task */
	double task_timeout;		/* seconds, for runs that have none of their own; 0: no limit */
	struct dispatch *held;
	int nheld;
	struct run_list ready;		/* oldest first */
	struct run_list ended;		/* to be recorded */
	double ready_seconds;		/* expected run time of `ready` */
	struct backlog_mean dispatch_mean;	/* of the expected run time that a dispatch brings */
	int unrecorded;				/* runs ended or finishing */
	size_t unrecorded_bytes;	/* of their results */
	bool complete;				/* a dispatch with runs in `ended` has nothing left to run */
	int64_t ended_since_us;		/* when the oldest in `ended` ended */
	int64_t moved_us;			/* when a thread last took or ended a run */
	struct backlog_mean *means;	/* one a task of the registry */
	struct run_progress *reported;	/* to be sent */
	bool news;					/* a task has ended here for the first time: the scheduler wants to know */
};

int runs_init(struct runs *r, int threads, double task_timeout, struct error *err);
void runs_free(struct runs *r);

/* An unsettled batch of nruns runs and ndispatches dispatches, zeroed, in one allocation; NULL when out of memory. */
struct batch *batch_new(int nruns, int ndispatches);
void batch_free(struct batch *b);

/* A claim's answer: its runs are ready.  Takes over the batch. */
void runs_add(struct hub *h, struct batch *b);

/* Frees the texts. */
void runs_free_outcome(struct outcome *out);

/* For the pool: hands in the run that ended (NULL: none) and waits for the next; NULL: the worker ends. */
struct run *runs_next(struct hub *h, struct pool_slot *slot, struct run *ended);

/* For the finisher, locked: up to max ended runs and about max_bytes of results.  Returns their number. */
int runs_take_ended_locked(struct runs *r, struct run **out, int max, size_t max_bytes);

/* For the claimer, locked: up to max ready runs that have waited since before `before_us`. */
int runs_take_stale_locked(struct runs *r, struct run **out, int max, int64_t before_us);

/* The database has answered for these runs (or they are given up): forget them. */
void runs_settle(struct hub *h, struct run **list, int n);

/* The database answered a heartbeat so. */
void runs_cancel(struct hub *h, const char *dispatch, const char *token, int index);
void runs_drop(struct hub *h, const char *dispatch, const char *token);
void runs_drop_all_locked(struct hub *h);

/* The lease has run out: all tasks are told to stop.  What obeys is forgotten, what ends otherwise is kept and sent. */
void runs_lapse_locked(struct hub *h);

/* The run left what cannot be recorded: instead it failed with that error (malloc'ed, taken over). */
void runs_replace_outcome(struct hub *h, struct run *run, const char *reason, char *error);

/* When the finisher should write what has ended, clock_boottime_us(); INT64_MAX: nothing has. */
int64_t runs_due_locked(const struct runs *r);

#endif
