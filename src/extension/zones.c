/*
 * zones.c: a zone's rules follow its file.
 *
 * pg_tzset() reads a zone once, and what the postmaster has read (timezone, log_timezone, jobsched.time_zone) comes
 * with the fork: not even a new process would see a new tz database.  So pg_tzset() only says what the zone is called,
 * and the rules are read here, by Postgres's own tzload(), into memory of ours, again when the file is another one.
 */
#include "zones.h"

#include <sys/stat.h>

#include "access/xact.h"
#include "common/config_info.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define LOOK_INTERVAL (10 * USECS_PER_SEC)
#define RULES_SIZE (64 * 1024)	/* of Postgres's struct state, some 24 kB, and as much again */

/* As in Postgres's pgtz.h, which is not installed: a zone is its name, and behind that what tzload() fills. */
struct state;
extern int	tzload(const char *name, char *canonname, struct state *sp, bool doextend);

typedef struct Rules
{
	char		name[TZ_STRLEN_MAX + 1];
	char		state[RULES_SIZE] pg_attribute_aligned(MAXIMUM_ALIGNOF);
} Rules;

/* What of a file tells that it is another one. */
typedef struct Mark
{
	ino_t		inode;
	off_t		size;
	struct timespec modified;
	struct timespec changed;
} Mark;

typedef struct Zone
{
	char		name[TZ_STRLEN_MAX + 1];	/* the key */
	const pg_tz *tz;			/* ours, or Postgres's when there is no file */
	Rules	   *rules;			/* ours; NULL: none */
	Mark		mark;			/* all zero: no file */
} Zone;

static HTAB *zones = NULL;		/* those opened, of this process */
static uint64 generation = 0;
static TimestampTz looked_at = 0;	/* of the transaction; long ago */

/* ------------------------------------------------------------------ names */

/*
 * pg_tzset() also takes rules like "CET-1CEST" or "UTC+3", whose sign is not what people mean: such a one comes back in
 * capitals, with a digit, unlike all but a few names of files.
 */
static pg_tz *
find(const char *name)
{
	static const char *const names[] = {"CST6CDT", "EST5EDT", "MST7MDT", "PST8PDT", "GMT0", "GMT+0", "GMT-0"};
	pg_tz	   *tz = pg_tzset(name);
	const char *found;

	if (!tz || !pg_tz_acceptable(tz))
		return NULL;
	found = pg_get_timezone_name(tz);
	if (!strpbrk(found, "0123456789") || strpbrk(found, "abcdefghijklmnopqrstuvwxyz"))
		return tz;
	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (strcmp(found, names[i]) == 0)
			return tz;
	}
	return NULL;
}

const char *
zone_name(const char *name)
{
	pg_tz	   *tz = find(name);

	return tz ? pg_get_timezone_name(tz) : NULL;
}

/* ------------------------------------------------------------------ files */

/* The folder of the tz database, as Postgres was configured. */
static const char *
folder(void)
{
	static char path[MAXPGPATH] = "";
	static const char option[] = "--with-system-tzdata=";
	ConfigData *config;
	size_t		count;
	char	   *found = NULL;

	if (path[0] != '\0')
		return path;
	config = get_configdata(my_exec_path, &count);
	for (size_t i = 0; i < count && !found; i++)
	{
		if (strcmp(config[i].name, "CONFIGURE") == 0)
			found = strstr(config[i].setting, option);
	}
	if (found)
	{
		found += strlen(option);
		strlcpy(path, found, Min(sizeof(path), strcspn(found, "' ") + 1));
	}
	else
	{
		get_share_path(my_exec_path, path);
		strlcat(path, "/timezone", sizeof(path));
	}
	return path;
}

static Mark
mark_of(const char *name)
{
	char		path[MAXPGPATH];
	struct stat file;
	Mark		mark;

	memset(&mark, 0, sizeof(mark));
	snprintf(path, sizeof(path), "%s/%s", folder(), name);
	if (stat(path, &file) == 0)
	{
		mark.inode = file.st_ino;
		mark.size = file.st_size;
		mark.modified = file.st_mtim;
		mark.changed = file.st_ctim;
	}
	return mark;
}

/* Reads the file; true when the rules are others than before. */
static bool
read_rules(Zone *zone)
{
	Rules	   *rules = MemoryContextAllocZero(TopMemoryContext, sizeof(Rules));
	bool		same;

	strlcpy(rules->name, zone->name, sizeof(rules->name));
	if (tzload(zone->name, NULL, (struct state *) rules->state, true) != 0)
	{
		pfree(rules);			/* gone, or half written: the old rules stay */
		return false;
	}
	for (int i = RULES_SIZE / 2; i < RULES_SIZE; i++)
		if (rules->state[i] != '\0')
			elog(ERROR, "a time zone of this PostgreSQL is larger than %d bytes", RULES_SIZE / 2);
	same = zone->rules != NULL && memcmp(rules, zone->rules, sizeof(Rules)) == 0;
	if (zone->rules == NULL)
		zone->rules = rules;
	else
	{
		memcpy(zone->rules, rules, sizeof(Rules));
		pfree(rules);
	}
	zone->tz = (const pg_tz *) zone->rules;
	return !same;
}

/* ------------------------------------------------------------------ */

const pg_tz *
zone_open(const char *name)
{
	const char *found = zone_name(name);
	Zone	   *zone;
	bool		known;

	if (!found)
		return NULL;
	if (zones == NULL)
	{
		HASHCTL		control = {.keysize = TZ_STRLEN_MAX + 1, .entrysize = sizeof(Zone), .hcxt = TopMemoryContext};

		zones = hash_create("jobsched time zones", 64, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	zone = hash_search(zones, found, HASH_ENTER, &known);
	if (!known)
	{
		zone->tz = pg_tzset(name);
		zone->rules = NULL;
		zone->mark = mark_of(zone->name);	/* before it is read: what comes between is seen later */
		(void) read_rules(zone);
	}
	return zone->tz;
}

uint64
zones_look_now(void)
{
	HASH_SEQ_STATUS scan;
	Zone	   *zone;

	if (zones == NULL)
		return generation;
	hash_seq_init(&scan, zones);
	while ((zone = hash_seq_search(&scan)) != NULL)
	{
		Mark		mark = mark_of(zone->name);

		if (memcmp(&mark, &zone->mark, sizeof(Mark)) == 0)
			continue;
		zone->mark = mark;
		if (!read_rules(zone))
			continue;
		generation++;
		ereport(IsBackgroundWorker ? LOG : DEBUG1, errmsg("jobsched: time zone \"%s\" has new rules", zone->name));
	}
	return generation;
}

uint64
zones_look(void)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	if (now - looked_at >= LOOK_INTERVAL || now < looked_at)
	{
		looked_at = now;
		(void) zones_look_now();
	}
	return generation;
}

uint64
zones_generation(void)
{
	return generation;
}
