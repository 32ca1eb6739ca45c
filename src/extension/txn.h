/*
 * txn.h: the scheduler's transactions and prepared statements.
 *
 * A transaction works as jobsched_scheduler, takes its locks and gives them back at its end: nothing is held between
 * two, so that DROP EXTENSION is never in the way of anything.
 *
 *   if (txn_begin(TXN_ASYNC)) { ... txn_run(&plan, values, nulls) ... SPI_tuptable ... txn_commit(); }
 */
#ifndef JOBSCHED_TXN_H
#define JOBSCHED_TXN_H

#include "jobsched.h"

#include "executor/spi.h"

#define TXN_MAX_ARGS 12

typedef enum TxnDurability
{
	TXN_SYNC,					/* as synchronous_commit is configured */
	TXN_ASYNC					/* losing it in a crash only repeats work */
} TxnDurability;

/* A statement with $1.. of the given types, static in its module; prepared when first run, with a generic plan. */
typedef struct TxnPlan
{
	const char *sql;
	int			nargs;
	Oid			types[TXN_MAX_ARGS];
	SPIPlanPtr	plan;			/* NULL: not prepared */
	struct TxnPlan *next;		/* in the list of those prepared */
} TxnPlan;

/* Once, after connecting: the settings that the statements rely on. */
extern void txn_setup(void);

/*
 * False, and no transaction: the extension is not there, or not the one that txn_begin_any() saw last.  Values from SPI
 * live until txn_commit().
 */
extern bool txn_begin(TxnDurability durability);
extern void txn_commit(void);

/*
 * The same with whatever extension is there now: for looking whether its data may be worked on.  What a caller
 * remembers of the tables is void when txn_generation() has changed.
 */
extern bool txn_begin_any(TxnDurability durability);

/* After an ERROR: ends whatever was under way. */
extern void txn_abort(void);

/*
 * In PG_CATCH: is it no news for the log?  The extension may go away in the middle of a transaction, or a table be locked
 * for that.
 */
extern bool txn_error_is_expected(void);

/* Of the last transaction's extension: grows when it has been created anew. */
extern uint64 txn_generation(void);

/* Runs it, all rows; returns their number (SPI_processed).  nulls as in SPI_execute_plan, NULL for none. */
extern uint64 txn_run(TxnPlan *plan, Datum *values, const char *nulls);

/* The value in a row of the last result; an unexpected null is an ERROR. */
extern Datum txn_value(uint64 row, int column);

/* The same, with *isnull. */
extern Datum txn_value_or_null(uint64 row, int column, bool *isnull);

#endif
