/*
 * txn.c: transactions of the scheduler process.
 *
 * The process is connected as the bootstrap superuser, and steps down to jobsched_scheduler in every transaction.  The
 * extension may be created, dropped and created again at any moment: its table timers is looked up in each
 * transaction (two system cache lookups), and must be a member of the extension, so that a schema jobsched made by
 * somebody else is never touched.
 */
#include "txn.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "plan.h"

static Oid	known_timers = InvalidOid;	/* verified to be the extension's */
static uint64 generation = 0;	/* of known_timers */
static uint64 accepted = 0;		/* the generation that txn_begin_any() saw last */
static TxnPlan *prepared = NULL;

static Oid	outer_user;
static int	outer_security;
static MemoryContext outer_context;

void
txn_setup(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"session_replication_role", "origin"},
		/* Behind somebody's ALTER TABLE the broker must not be neglected: give up, and try again. */
		{"lock_timeout", "1s"},
		/* Probes of an index: no statistics of an empty table may ever talk the planner into reading it whole. */
		{"enable_seqscan", "off"},
		{"enable_bitmapscan", "off"},
		{"jit", "off"},
	};

	for (int i = 0; i < (int) lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

static void
forget_plans(void)
{
	while (prepared != NULL)
	{
		TxnPlan    *plan = prepared;

		prepared = plan->next;
		SPI_freeplan(plan->plan);
		plan->plan = NULL;
		plan->next = NULL;
	}
}

/* Is the extension there?  Notices that it has been created anew. */
static bool
find_extension(void)
{
	Oid			schema = get_namespace_oid("jobsched", true);
	Oid			timers = OidIsValid(schema) ? get_relname_relid("timers", schema) : InvalidOid;
	Oid			extension;

	if (OidIsValid(timers) && timers == known_timers)
		return true;
	if (OidIsValid(known_timers))
	{
		forget_plans();
		known_timers = InvalidOid;
	}
	if (!OidIsValid(timers))
		return false;
	extension = get_extension_oid("jobsched", true);
	if (!OidIsValid(extension) || getExtensionOfObject(RelationRelationId, timers) != extension)
		return false;
	known_timers = timers;
	generation++;
	return true;
}

static bool
begin(TxnDurability durability, bool any)
{
	Oid			role;

	outer_context = CurrentMemoryContext;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	role = get_role_oid("jobsched_scheduler", true);
	if (!OidIsValid(role) || !find_extension() || (!any && generation != accepted))
	{
		CommitTransactionCommand();
		MemoryContextSwitchTo(outer_context);
		return false;
	}
	accepted = generation;
	if (durability == TXN_ASYNC)
		(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
								 true, 0, false);
	/* An abort restores it by itself. */
	GetUserIdAndSecContext(&outer_user, &outer_security);
	SetUserIdAndSecContext(role, outer_security | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());	/* SPI wants one; each statement takes its own */
	return true;
}

bool
txn_begin(TxnDurability durability)
{
	return begin(durability, false);
}

bool
txn_begin_any(TxnDurability durability)
{
	return begin(durability, true);
}

void
txn_commit(void)
{
	PopActiveSnapshot();
	SPI_finish();
	SetUserIdAndSecContext(outer_user, outer_security);
	CommitTransactionCommand();
	MemoryContextSwitchTo(outer_context);
	/* Autovacuum lives on these numbers; sent at most once a second. */
	pgstat_report_stat(false);
}

void
txn_abort(void)
{
	AbortCurrentTransaction();
	pgstat_report_stat(false);
}

uint64
txn_generation(void)
{
	return generation;
}

uint64
txn_run(TxnPlan *plan, Datum *values, const char *nulls)
{
	if (plan->plan == NULL)
	{
		plan->plan = plan_keep(plan->sql, plan->nargs, plan->types);
		plan->next = prepared;
		prepared = plan;
	}
	return plan_execute(plan->plan, plan->sql, values, nulls);
}

Datum
txn_value_or_null(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

Datum
txn_value(uint64 row, int column)
{
	bool		isnull;
	Datum		value = txn_value_or_null(row, column, &isnull);

	if (isnull)
		elog(ERROR, "unexpected null in column %d", column);
	return value;
}

bool
txn_error_is_expected(void)
{
	int			code = geterrcode();

	return code == ERRCODE_UNDEFINED_TABLE || code == ERRCODE_UNDEFINED_FUNCTION || code == ERRCODE_UNDEFINED_SCHEMA ||
		code == ERRCODE_UNDEFINED_OBJECT || code == ERRCODE_LOCK_NOT_AVAILABLE;
}
