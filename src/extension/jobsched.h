/*
 * jobsched.h: what all files of the extension share: limits and configuration.
 */
#ifndef JOBSCHED_H
#define JOBSCHED_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

/* Built with -fvisibility=hidden; before PostgreSQL 16 this macro exports nothing on ELF. */
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))

/* PG_FUNCTION_INFO_V1 for a function that is found although all others are hidden. */
#define JS_FUNCTION(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

#define JS_SEGMENTS 128			/* segments 0..127, a hash of the job id */
#define JS_PRIORITIES 10		/* priorities 0..9, 9 first */
#define JS_MAX_RUNS 64			/* runs in a dispatch: bits of dispatches.done */
#define JS_MAX_SCHEDULERS 32	/* scheduler processes a database */
#define JS_MAX_DATABASES 16

#define JS_USEC_PER_MS INT64CONST(1000)

/* GUCs, see guc.c.  Values of PGC_SIGHUP, so the same in every process. */
extern bool js_enabled;
extern char *js_database;		/* comma list, validated; use guc_databases() */
extern int	js_schedulers;		/* processes a database, 1..JS_MAX_SCHEDULERS */
extern int	js_batch_size;		/* runs promoted in one transaction */
extern int	js_poll_interval;	/* ms */
extern int	js_leader_lock_key;
extern char *js_amqp_url;
extern char *js_amqp_url_file;
extern char *js_queue;			/* default queue */
extern char *js_queue_type;		/* x-queue-type, "" for the broker's default */
extern int	js_dispatch_window; /* dispatches a queue, 0: automatic */
extern int	js_dispatch_runs;	/* 1..JS_MAX_RUNS */
extern int	js_worker_lease_ms;	/* ms */
extern int	js_max_losses_limit;
extern int	js_retry_delay_ms;
extern int	js_retry_delay_max_ms;
extern int	js_retention;		/* s */
extern int	js_retention_failed;	/* s */
extern char *js_time_zone;
extern int	js_max_payload;		/* bytes */

extern void guc_define(void);

/* The names in jobsched.database as a List of char * in the current memory context, no name twice. */
extern List *guc_databases(void);

/* The part of jobsched.segments that process `slice` of jobsched.schedulers serves; false when it has none. */
extern bool guc_slice_segments(int slice, int *lo, int *hi);

/* launcher.c */
extern void launcher_register(void);

#endif
