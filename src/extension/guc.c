/*
 * guc.c: the configuration parameters jobsched.*.
 *
 * What backends and schedulers must agree on is PGC_SIGHUP: nobody can set it for one session.
 */
#include "jobsched.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "zones.h"

bool		js_enabled = true;
char	   *js_database = NULL;
int			js_schedulers = 1;
static char *js_segments = NULL;
int			js_batch_size = 1000;
int			js_poll_interval = 1000;
int			js_leader_lock_key = 424242;
char	   *js_amqp_url = NULL;
char	   *js_amqp_url_file = NULL;
char	   *js_queue = NULL;
char	   *js_queue_type = NULL;
int			js_dispatch_window = 0;
int			js_dispatch_runs = JS_MAX_RUNS;
int			js_worker_lease_ms = 30 * 1000;
int			js_max_losses_limit = 5;
int			js_retry_delay_ms = 60 * 1000;
int			js_retry_delay_max_ms = 30 * 60 * 1000;
int			js_retention = 30 * SECS_PER_DAY;
int			js_retention_failed = 90 * SECS_PER_DAY;
char	   *js_time_zone = NULL;
int			js_max_payload = 1024 * 1024;

/* "lo-hi" or "n", within 0..127. */
static bool
parse_segments(const char *text, int *lo, int *hi)
{
	char	   *end;
	long		first,
				last;

	if (*text < '0' || *text > '9')
		return false;
	first = last = strtol(text, &end, 10);
	if (*end == '-')
	{
		text = end + 1;
		if (*text < '0' || *text > '9')
			return false;
		last = strtol(text, &end, 10);
	}
	if (*end != '\0' || first > last || last >= JS_SEGMENTS)
		return false;
	*lo = (int) first;
	*hi = (int) last;
	return true;
}

bool
guc_slice_segments(int slice, int *lo, int *hi)
{
	int			first,
				last,
				count;

	if (slice >= js_schedulers || !parse_segments(js_segments, &first, &last))
		return false;
	count = last - first + 1;
	*lo = first + count * slice / js_schedulers;
	*hi = first + count * (slice + 1) / js_schedulers - 1;
	return *lo <= *hi;
}

static bool
check_segments(char **newval, void **extra, GucSource source)
{
	int			lo,
				hi;

	if (parse_segments(*newval, &lo, &hi))
		return true;
	GUC_check_errdetail("It must be a range like \"0-127\" or a number, within 0-%d.", JS_SEGMENTS - 1);
	return false;
}

static List *
split_databases(const char *text)
{
	char	   *raw = pstrdup(text);
	List	   *names = NIL;
	List	   *distinct = NIL;
	ListCell   *lc;

	if (!SplitGUCList(raw, ',', &names))
		return NIL;
	foreach(lc, names)
	{
		char	   *name = lfirst(lc);
		ListCell   *other;
		bool		seen = false;

		foreach(other, distinct)
			seen = seen || strcmp(lfirst(other), name) == 0;
		if (!seen)
			distinct = lappend(distinct, name);
	}
	return distinct;
}

List *
guc_databases(void)
{
	return split_databases(js_database);
}

static bool
check_database(char **newval, void **extra, GucSource source)
{
	char	   *raw = pstrdup(*newval);
	List	   *names = NIL;
	ListCell   *lc;

	if (!SplitGUCList(raw, ',', &names))
	{
		GUC_check_errdetail("It must be a list of database names, separated by commas.");
		return false;
	}
	foreach(lc, names)
	{
		if (strlen(lfirst(lc)) >= NAMEDATALEN)
		{
			GUC_check_errdetail("A database name has at most %d bytes.", NAMEDATALEN - 1);
			return false;
		}
	}
	if (list_length(split_databases(*newval)) > JS_MAX_DATABASES)
	{
		GUC_check_errdetail("At most %d databases can be named.", JS_MAX_DATABASES);
		return false;
	}
	return true;
}

static bool
check_queue(char **newval, void **extra, GucSource source)
{
	size_t		len = strlen(*newval);

	for (const char *p = *newval; *p; p++)
	{
		if ((unsigned char) *p < 0x20 || *p == 0x7F)
			len = 0;
	}
	if (len >= 1 && len <= 255)
		return true;
	GUC_check_errdetail("A queue name has 1 to 255 bytes and no control characters.");
	return false;
}

static bool
check_queue_type(char **newval, void **extra, GucSource source)
{
	if (strcmp(*newval, "") == 0 || strcmp(*newval, "classic") == 0 || strcmp(*newval, "quorum") == 0)
		return true;
	GUC_check_errdetail("It must be \"classic\", \"quorum\", or empty for the broker's default.");
	return false;
}

static bool
check_time_zone(char **newval, void **extra, GucSource source)
{
	if (zone_name(*newval) != NULL)
		return true;
	GUC_check_errdetail("It must be the name of a time zone, like \"Europe/Berlin\" or \"UTC\": no abbreviation, no rule like \"UTC+3\".");
	GUC_check_errhint("SELECT name FROM pg_timezone_names");
	return false;
}

static void
define_int(const char *name, const char *text, const char *details, int *variable, int min, int max, int flags)
{
	DefineCustomIntVariable(name, text, details, variable, *variable, min, max, PGC_SIGHUP, flags, NULL, NULL, NULL);
}

static void
define_string(const char *name, const char *text, const char *details, char **variable, const char *boot, int flags,
			  GucStringCheckHook check)
{
	DefineCustomStringVariable(name, text, details, variable, boot, PGC_SIGHUP, flags, check, NULL, NULL);
}

void
guc_define(void)
{
	/* Defining a PGC_POSTMASTER parameter later would be FATAL; without preloading nothing reads it. */
	DefineCustomStringVariable("jobsched.database", "Databases whose jobs are scheduled.",
							   "Names separated by commas; each has its own scheduler processes.",
							   &js_database, "postgres",
							   process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP, 0,
							   check_database, NULL, NULL);

	DefineCustomBoolVariable("jobsched.enabled", "Runs the scheduler.",
							 "Off: nothing is promoted, published or rescued; jobs are still accepted.",
							 &js_enabled, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	define_int("jobsched.schedulers", "Scheduler processes for each database.",
			   "They divide the segments among them; each takes one of max_worker_processes.",
			   &js_schedulers, 1, JS_MAX_SCHEDULERS, 0);
	define_string("jobsched.segments", "Segments of the jobs that are scheduled here.",
				  "A range within 0-127; jobs of other segments wait.", &js_segments, "0-127", 0, check_segments);
	define_int("jobsched.batch_size", "Largest number of runs promoted in one transaction.", NULL,
			   &js_batch_size, 1, 10000, 0);
	define_int("jobsched.poll_interval", "Longest sleep of a scheduler.",
			   "A safety net: commits that make work wake it at once.",
			   &js_poll_interval, 10, 3600 * 1000, GUC_UNIT_MS);
	define_int("jobsched.leader_lock_key", "Key of the lock that makes a scheduler process the only one of its slice.",
			   NULL, &js_leader_lock_key, 0, INT_MAX, 0);

	define_string("jobsched.amqp_url", "URL of RabbitMQ: amqp://user:password@host:port/vhost.",
				  "jobsched.amqp_url_file, when set, is used instead and hides the password better.",
				  &js_amqp_url, "amqp://guest:guest@127.0.0.1:5672/", GUC_SUPERUSER_ONLY | GUC_NO_SHOW_ALL, NULL);
	define_string("jobsched.amqp_url_file", "File that holds the URL of RabbitMQ.",
				  "It may be readable by its owner only (mode 0600); relative to the data directory.",
				  &js_amqp_url_file, "", GUC_SUPERUSER_ONLY, NULL);
	define_string("jobsched.queue", "Queue of jobs that name none.", NULL, &js_queue, "jobs", 0, check_queue);
	define_string("jobsched.queue_type", "Type of the RabbitMQ queues that are declared: classic or quorum.",
				  "Empty: the broker's default.", &js_queue_type, "classic", 0, check_queue_type);
	define_int("jobsched.dispatch_window", "Largest number of unclaimed dispatches in a queue.",
			   "0: four for each slot of the queue's live workers, at least 8.", &js_dispatch_window, 0, 100000, 0);
	define_int("jobsched.dispatch_runs", "Largest number of runs in a dispatch.", NULL,
			   &js_dispatch_runs, 1, JS_MAX_RUNS, 0);

	define_int("jobsched.worker_lease", "Time after the last heartbeat when a worker counts as lost.", NULL,
			   &js_worker_lease_ms, 1000, 24 * 3600 * 1000, GUC_UNIT_MS);
	define_int("jobsched.max_losses", "Number of lost workers that ends a run as failed.", NULL,
			   &js_max_losses_limit, 1, 1000, 0);
	define_int("jobsched.retry_delay", "Delay before the first retry; doubles with each failure.", NULL,
			   &js_retry_delay_ms, 0, INT_MAX, GUC_UNIT_MS);
	define_int("jobsched.retry_delay_max", "Longest delay before a retry.", NULL,
			   &js_retry_delay_max_ms, 0, INT_MAX, GUC_UNIT_MS);
	define_int("jobsched.retention", "How long ended jobs and executions are kept.", NULL,
			   &js_retention, 10, INT_MAX, GUC_UNIT_S);
	define_int("jobsched.retention_failed", "How long failed jobs and their executions are kept.", NULL,
			   &js_retention_failed, 10, INT_MAX, GUC_UNIT_S);
	define_string("jobsched.time_zone", "Time zone of cron expressions that name none.", NULL,
				  &js_time_zone, "UTC", 0, check_time_zone);
	define_int("jobsched.max_payload_bytes", "Largest payload of a job.", NULL,
			   &js_max_payload, 1024, 64 * 1024 * 1024, GUC_UNIT_BYTE);

	MarkGUCPrefixReserved("jobsched");
}
