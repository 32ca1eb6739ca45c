/*
 * queues.h: what a scheduler process remembers of each queue: where its due scan stands and how full its window is.
 *
 * Nothing here is the truth; all of it may be forgotten (queues_forget) at the price of a few probes.
 */
#ifndef JOBSCHED_QUEUES_H
#define JOBSCHED_QUEUES_H

#include "jobsched.h"

#include "wakeup.h"

/* The timers of one (queue, priority), as far as this scheduler's segments go. */
typedef struct QueueHead
{
	TimestampTz bound;			/* probes start here: nothing that is committed and unlocked is due before */
	TimestampTz next;			/* nothing is to be done before; DT_NOEND: no timer */
	bool		probe;			/* next is to be looked up before sleeping */
	bool		guess;			/* next is earlier than it may be: look it up before comparing it with other heads */
	int			group;			/* runs a dispatch to expect, 1..js_dispatch_runs */
} QueueHead;

typedef struct Queue
{
	int16		id;
	bool		paused;
	bool		present;
	char		name[256];
	int			own_window;		/* queues.dispatch_window, 0 none */
	int			live_slots;		/* of its live workers, all together */
	double		worker_slots;	/* of one of them, on average; 0 when there is none */
	int64		counted;		/* dispatches 'queued' when last counted ... */
	uint64		enqueued_then;	/* ... and the database's counters then */
	uint64		dequeued_then;
	uint64		enqueued_before;	/* the same when counting began */
	uint64		dequeued_before;
	QueueHead	heads[JS_PRIORITIES];
} Queue;

typedef struct Queues
{
	MemoryContext context;
	JsDatabase *db;
	int			count;
	int			allocated;
	Queue	  **items;			/* ordered by id */
} Queues;

extern Queues *queues_create(MemoryContext context, JsDatabase *db);

/* All bounds, after an ERROR or when the segments or the extension have changed. */
extern void queues_forget(Queues *queues);

/* Reads jobsched.queues; in a transaction. */
extern void queues_load(Queues *queues);

extern Queue *queues_find(const Queues *queues, int16 id);

/* Lowers the bounds by what wakeup_take() returned. */
extern void queues_lower(Queues *queues, uint64 touched, WakeupHints hints);

/*
 * Looks up the earliest timer of the heads that want it, or of all from the very beginning (`unbounded`); in a
 * transaction.
 */
extern void queues_find_heads(Queues *queues, bool unbounded, int lo, int hi);

extern bool queues_want_probe(const Queues *queues);

/* More dispatches that the window admits now. */
extern int	queues_room(const Queues *queues, const Queue *queue);

/* Before the snapshot in which 'queued' dispatches are counted; then for each queue what was counted. */
extern void queues_count_begin(Queues *queues);
extern void queues_counted(Queues *queues, Queue *queue, int64 counted);

/* A dispatch was promoted (committed). */
extern void queues_enqueued(Queues *queues, const Queue *queue, int dispatches);

#endif
