/*
 * launcher.c: keeps the scheduler processes running, one for each database in jobsched.database and slice.
 *
 * It is connected to no database, only to the shared catalogs, and so in nobody's way.  A scheduler that ends is
 * started again after a second, later when it keeps ending at once.  A database that does not exist is looked for every second.
 */
#include "jobsched.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "shmem.h"

#define RESTART_WAIT USECS_PER_SEC
#define RESTART_WAIT_MOST (10 * USECS_PER_SEC)
#define LIVED_WELL (10 * USECS_PER_SEC)	/* a process that lived so long is started again soon */

typedef struct Child
{
	BackgroundWorkerHandle *handle; /* NULL: not started */
	TimestampTz started_at;
	TimestampTz start_from;		/* not again before */
	TimestampTz wait;
} Child;

extern PGDLLEXPORT void launcher_main(Datum main_arg);

void
launcher_register(void)
{
	BackgroundWorker worker = {
		.bgw_name = "jobsched launcher",
		.bgw_type = "jobsched launcher",
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = 5,
		.bgw_library_name = "jobsched",
		.bgw_function_name = "launcher_main"
	};

	RegisterBackgroundWorker(&worker);
}

/* By reading the whole of pg_database: without a database, an index of it may be out of reach. */
static Oid
database_oid(const char *name)
{
	Oid			oid = InvalidOid;
	Relation	databases;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	databases = table_open(DatabaseRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_database_datname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
	scan = systable_beginscan(databases, InvalidOid, false, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		oid = ((Form_pg_database) GETSTRUCT(tuple))->oid;
	systable_endscan(scan);
	table_close(databases, AccessShareLock);
	CommitTransactionCommand();
	return oid;
}

/* InvalidOid when there is none; says so when that changes. */
static Oid
find_database(const JsDatabase *db, bool *missing)
{
	Oid			oid = database_oid(db->name);

	if (!OidIsValid(oid) && !*missing)
		ereport(LOG, errmsg("jobsched: database \"%s\" (jobsched.database) does not exist; waiting for it", db->name));
	else if (OidIsValid(oid) && *missing)
		ereport(LOG, errmsg("jobsched: database \"%s\" exists now", db->name));
	*missing = !OidIsValid(oid);
	return oid;
}

static bool
start_child(Child *child, int number, JsDatabase *db, Oid oid)
{
	static bool complained = false;
	MemoryContext old;
	bool		started;
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = "jobsched",
		.bgw_function_name = "scheduler_main",
		.bgw_main_arg = Int32GetDatum(number),
		.bgw_notify_pid = MyProcPid
	};

	snprintf(worker.bgw_name, BGW_MAXLEN, "jobsched scheduler %d for %s", number % JS_MAX_SCHEDULERS, db->name);
	strlcpy(worker.bgw_type, "jobsched scheduler", BGW_MAXLEN);
	memcpy(worker.bgw_extra, &oid, sizeof(oid));

	old = MemoryContextSwitchTo(TopMemoryContext);	/* the handle's */
	started = RegisterDynamicBackgroundWorker(&worker, &child->handle);
	MemoryContextSwitchTo(old);
	if (!started)
	{
		child->handle = NULL;
		if (!complained)
			ereport(LOG, errmsg("jobsched: no background worker slot is free for a scheduler"),
					errhint("Raise max_worker_processes: jobsched takes one, and one for each scheduler."));
	}
	complained = !started;
	return started;
}

/* Forgets a child that has ended.  True while it runs or is about to. */
static bool
is_running(Child *child, TimestampTz now)
{
	pid_t		pid;

	if (child->handle == NULL)
		return false;
	if (GetBackgroundWorkerPid(child->handle, &pid) != BGWH_STOPPED)
		return true;
	pfree(child->handle);
	child->handle = NULL;
	if (child->wait == 0 || now - child->started_at >= LIVED_WELL)
		child->wait = RESTART_WAIT;
	else
		child->wait = Min(child->wait * 2, RESTART_WAIT_MOST);
	child->start_from = now + child->wait;
	return false;
}

/*
 * A process that a launcher before this one started: it goes on, and a second one would only take its place at the
 * wake-ups.  Nobody tells us when it ends.
 */
static bool
is_orphan(const Child *child, JsSlot *slot)
{
	JsStatus	status;

	if (child->handle != NULL)
		return false;
	shmem_read_status(slot, &status);
	return status.pid != 0;
}

/* Starts what is missing in one database; returns when to look again. */
static TimestampTz
look_after(int number, Child *children, bool *missing, TimestampTz now)
{
	JsDatabase *db = &js_shared->database[number];
	TimestampTz again = DT_NOEND;
	Oid			oid = InvalidOid;

	for (int i = 0; i < JS_MAX_SCHEDULERS; i++)
	{
		if (is_running(&children[i], now) || i >= js_schedulers)
			continue;
		if (is_orphan(&children[i], &db->slots[i]))
		{
			again = Min(again, now + RESTART_WAIT);
			continue;
		}
		if (now < children[i].start_from)
		{
			again = Min(again, children[i].start_from);
			continue;
		}
		if (!OidIsValid(oid))
			oid = find_database(db, missing);
		if (!OidIsValid(oid))
		{
			shmem_set_state(&db->slots[i], "waiting: the database does not exist");
			again = Min(again, now + RESTART_WAIT);
			continue;
		}
		children[i].started_at = now;
		if (!start_child(&children[i], number * JS_MAX_SCHEDULERS + i, db, oid))
		{
			shmem_set_state(&db->slots[i], "waiting: max_worker_processes is too low");
			again = now + RESTART_WAIT;
		}
	}
	return again;
}

void
launcher_main(Datum main_arg)
{
	Child	   *children;
	bool	   *missing;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	children = MemoryContextAllocZero(TopMemoryContext,
									  Max(js_shared->databases, 1) * JS_MAX_SCHEDULERS * sizeof(Child));
	missing = MemoryContextAllocZero(TopMemoryContext, Max(js_shared->databases, 1) * sizeof(bool));
	pgstat_report_activity(STATE_IDLE, "looking after the schedulers");

	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		TimestampTz again = DT_NOEND;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		for (int i = 0; i < js_shared->databases; i++)
			again = Min(again, look_after(i, &children[i * JS_MAX_SCHEDULERS], &missing[i], now));

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (again == DT_NOEND ? 0 : WL_TIMEOUT),
						 again == DT_NOEND ? -1L : Max(TimestampDifferenceMilliseconds(now, again), 1L),
						 PG_WAIT_EXTENSION);
	}
}
