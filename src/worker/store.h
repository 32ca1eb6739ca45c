/*
 * store.h: the calls of docs/protocol.md.
 *
 * One struct store a thread.  Every call needs a connection (pg_connect); what PG_LOST means for each stands in
 * docs/protocol.md: all of them may be repeated.
 */
#ifndef JOBSCHED_WORKER_STORE_H
#define JOBSCHED_WORKER_STORE_H

#include "inbox.h"
#include "machine.h"
#include "pg.h"
#include "pgarray.h"
#include "progress.h"
#include "runs.h"

#define STORE_ARRAYS	14

struct store {
	struct pg pg;
	struct pgarray arrays[STORE_ARRAYS];	/* parameters of the call at hand */
};

/* A held (or claiming) dispatch, for heartbeat. */
struct store_pair {
	char dispatch[UUID_TEXT_SIZE];
	char token[UUID_TEXT_SIZE];
	bool claiming;
};

/* What the answer of heartbeat tells. */
struct store_command {
	const struct store_pair *pair;
	int run;					/* to cancel; -1: drop the dispatch */
};

void store_init(struct store *s, const char *dsn, const char *purpose);
void store_free(struct store *s);

/* id: UUID_TEXT_SIZE bytes.  info: a JSON object. */
enum pg_status store_register(struct store *s, const char *label, char *const *queues, int nqueues, long slots,
							  const char *info, char *id, int64_t *lease_us, struct error *err);

/* Another registration that has not ended: of the same machine, or with the same label. */
struct store_neighbour {
	char worker[UUID_TEXT_SIZE];
	char label[256 * 4];		/* worker_id: 255 characters */
	char host[256];
	struct machine_process process;
	double silent;				/* seconds since its last heartbeat */
};

/* *list: malloc'ed, *n of them. */
enum pg_status store_neighbours(struct store *s, const char *worker, struct store_neighbour **list, int *n,
								struct error *err);

/* *batch: the runs that are now the worker's, or NULL when there are none; the caller's. */
enum pg_status store_claim(struct store *s, const char *worker, const char *token, const struct delivery_list *list,
						   struct batch **batch, struct error *err);

enum pg_status store_release(struct store *s, const char *worker, struct run *const *list, int n, struct error *err);

/* *lost: how many of them were not this worker's any more; these are marked so. */
enum pg_status store_finish(struct store *s, const char *worker, struct run *const *list, int n, int *lost,
							struct error *err);

/* *commands: malloc'ed, *ncommands of them. */
enum pg_status store_heartbeat(struct store *s, const char *worker, const struct store_pair *pairs, int npairs,
							   const char *load, int64_t *lease_us, struct store_command **commands, int *ncommands,
							   struct error *err);

/* What running tasks say about how far they are. */
enum pg_status store_progress(struct store *s, const char *worker, const struct progress_report *list, int n,
							  struct error *err);

enum pg_status store_unregister(struct store *s, const char *worker, struct error *err);

#endif
