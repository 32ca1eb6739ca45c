/*
 * zones.h: Postgres's time zones, with the rules that their files have now.
 */
#ifndef JOBSCHED_ZONES_H
#define JOBSCHED_ZONES_H

#include "jobsched.h"

#include "pgtime.h"

/* The name of pg_timezone_names that is this one in any case; NULL: none.  No rule like "UTC+3", no abbreviation. */
extern const char *zone_name(const char *name);

/* The rules of a zone, at an address that stays; NULL as above.  Throws nothing but out of memory. */
extern const pg_tz *zone_open(const char *name);

/* Looks whether the files of the zones opened so far have changed, and reads those that have; says so in the log. */
extern uint64 zones_look_now(void);

/* The same, in a transaction, if that was not long ago: for every use of rules. */
extern uint64 zones_look(void);

/* What both answer: what was computed by rules is void when it is another number. */
extern uint64 zones_generation(void);

#endif
