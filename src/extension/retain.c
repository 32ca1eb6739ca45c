/*
 * retain.c: calls the script's _retain(), which empties and turns the ring in small steps.
 *
 * The process that serves segment 0 does it for the database.
 */
#include "retain.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "txn.h"

#define AFTER_ERROR (60 * USECS_PER_SEC)
#define AFTER_GONE USECS_PER_SEC

static TxnPlan plan_retain = {
	.sql = "SELECT did, again FROM jobsched._retain()"
};

/* For the log: that the ring turned, and what is waited for, once until something else is done. */
static void
tell(const char *did)
{
	static char last[200];
	bool		news = strstr(did, "opened") != NULL || (strstr(did, "waits") != NULL && strcmp(did, last) != 0);

	ereport(news ? LOG : DEBUG1, errmsg("jobsched: retention: %s", did));
	strlcpy(last, did, sizeof(last));
}

static void
step(TimestampTz *at)
{
	double		again;

	if (!txn_begin(TXN_ASYNC))
		return;
	(void) txn_run(&plan_retain, NULL, NULL);
	tell(TextDatumGetCString(txn_value(0, 1)));
	again = DatumGetFloat8(txn_value(0, 2));
	*at = GetCurrentTimestamp() + (TimestampTz) (Max(again, 0.01) * USECS_PER_SEC);
	txn_commit();
}

void
retain_run(Scheduler *s, TimestampTz *at)
{
	*at = GetCurrentTimestamp() + AFTER_ERROR;
	if (s->lo != 0)
		return;
	PG_TRY();
	{
		step(at);
	}
	PG_CATCH();
	{
		/* The server is told to stop, or somebody cancelled this: not for here. */
		if (geterrcode() == ERRCODE_ADMIN_SHUTDOWN || geterrcode() == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(s->turn_context);
		if (txn_error_is_expected())
			*at = GetCurrentTimestamp() + AFTER_GONE;
		else
			EmitErrorReport();
		txn_abort();
		FlushErrorState();
		MemoryContextSwitchTo(s->turn_context);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
}
