/*
 * shmem.h: what backends, the launcher and scheduler processes share.
 *
 * For each database in jobsched.database one JsDatabase, with a JsSlot for every scheduler process it may have.
 */
#ifndef JOBSCHED_SHMEM_H
#define JOBSCHED_SHMEM_H

#include "jobsched.h"

#include "port/atomics.h"
#include "storage/spin.h"
#include "utils/uuid.h"

#include "metrics.h"

/*
 * Queues share hints and counters by the low bits of their id.  Two queues in one bucket are harmless: a hint too
 * many is a probe too many, and the window's count is taken anew every second.
 */
#define JS_BUCKETS 64
#define JS_BUCKET(queue) ((uint16) (queue) % JS_BUCKETS)

/* Why a scheduler woke up. */
typedef enum JsWake
{
	JS_WOKEN_BY_LATCH,			/* a commit made work, or the server has something to tell: reload, shutdown */
	JS_WOKEN_BY_TIME,
	JS_WOKEN_BY_BROKER			/* a socket of the publisher's, or its own time has come */
} JsWake;

#define JS_WAKES 3

typedef struct JsCounters
{
	uint64		promoted;		/* runs */
	uint64		published;		/* messages */
	uint64		confirmed;
	uint64		returned;		/* returned or refused */
	uint64		republished;
	uint64		rescued;		/* runs */
	uint64		expired;		/* runs */
	uint64		loops;			/* turns */
	uint64		wakes[JS_WAKES];	/* from sleep, by JsWake */
	Histogram	confirm;		/* of first publishes, since their first run was waited for; metrics_latency_limits */
} JsCounters;

/* Workers that shall be told to ask for orders: see urgent.h. */
#define JS_URGENT_MAX 32

typedef struct JsUrgent
{
	int			count;
	pg_uuid_t	workers[JS_URGENT_MAX];
} JsUrgent;

/* Written by the slot's process (before it starts, by the launcher), under the mutex. */
typedef struct JsStatus
{
	pid_t		pid;			/* 0: no process */
	TimestampTz started_at;
	TimestampTz next_wake;
	JsCounters	counters;
	uint32		unconfirmed;	/* messages, at most */
	/* What it does: a word or two for programs (those of health() in the script), a colon, and why, for people. */
	char		state[96];
	char		broker[256];
} JsStatus;

typedef struct JsSlot
{
	pg_atomic_uint32 owner;		/* 1 + pgprocno of the process that listens to hints, 0 none */
	pg_atomic_uint64 planned_wake;	/* TimestampTz; DT_NOEND while it is awake */
	pg_atomic_uint64 due_left;	/* buckets with due runs that wait for room in the window */
	pg_atomic_uint64 touched;	/* buckets with hints */
	pg_atomic_uint64 hint[JS_BUCKETS][JS_PRIORITIES];	/* TimestampTz: earliest due_at committed; DT_NOEND none */
	pg_atomic_uint64 expiry;	/* the same of expires_at */
	slock_t		mutex;			/* of what follows */
	JsUrgent	urgent;
	JsStatus	status;
} JsSlot;

typedef struct JsDatabase
{
	char		name[NAMEDATALEN];
	pg_atomic_uint32 oid;		/* 0 until a scheduler has connected to it */
	pg_atomic_uint64 enqueued[JS_BUCKETS];	/* dispatches promoted, and claimed or cancelled, since the start */
	pg_atomic_uint64 dequeued[JS_BUCKETS];
	JsMetrics	metrics;
	JsSlot		slots[JS_MAX_SCHEDULERS];
} JsDatabase;

typedef struct JsShared
{
	int			databases;
	JsDatabase	database[FLEXIBLE_ARRAY_MEMBER];
} JsShared;

/* NULL without shared_preload_libraries. */
extern JsShared *js_shared;

extern void shmem_setup(void);

/* The entry of this backend's database, NULL when nothing schedules it. */
extern JsDatabase *shmem_my_database(void);

extern void shmem_read_status(JsSlot *slot, JsStatus *status);

/* Only the state, for the launcher. */
extern void shmem_set_state(JsSlot *slot, const char *state);

#endif
