/*
 * jobsched.c: entry of the module.
 *
 *   guc.c         configuration
 *   shmem.c       what backends and scheduler processes share
 *   wakeup.c      a commit that makes work wakes the schedulers
 *   launcher.c    keeps one scheduler process running for each database and slice
 *   scheduler.c   the scheduler process: promote, publish, housekeeping, sleep
 *     permit.c        may it work?
 *     txn.c           its transactions: role, presence of the extension, prepared statements
 *     queues.c        what it remembers of queues and of the earliest timers in them
 *     promote.c       due timers become dispatches
 *     outbox.c        dispatches go to the broker, again when need be
 *     housekeeping.c  once a second: window, load of the workers, rescue
 *     publisher.c     the connection to RabbitMQ
 *   metrics.c     what is counted for whoever watches
 *   functions.c, cron_sql.c, status.c   functions callable from SQL
 *
 * Without shared_preload_libraries only the SQL functions work, with the configured values: that is what restoring a
 * dump needs.
 */
#include "jobsched.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "shmem.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	guc_define();
	if (!process_shared_preload_libraries_in_progress)
		return;
	shmem_setup();
	if (!IsBinaryUpgrade)
		launcher_register();
}
