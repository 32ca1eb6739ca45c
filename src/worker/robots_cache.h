/*
 * robots_cache.h: asks servers what crawlers may fetch, and remembers what they said.
 *
 * One cache a process, for all its threads: what was read of an origin counts for an hour, and is forgotten earlier when
 * there is no room.  What a server could not say (5xx, no answer) is not remembered.
 */
#ifndef JOBSCHED_WORKER_ROBOTS_CACHE_H
#define JOBSCHED_WORKER_ROBOTS_CACHE_H

#include "fetch.h"

#define ROBOTS_KEPT_SECONDS 3600
#define ROBOTS_KEPT_ORIGINS 1000 /* at most */
#define ROBOTS_KEPT_BYTES (8 * 1024 * 1024) /* of rules, at most */

/*
 * May the crawler fetch url, which is in normal form?  FETCH_DONE: yes.  FETCH_REFUSED: no, for good (answer->reason is
 * "robots", or why robots.txt may not be visited).  FETCH_FAILED: nobody knows as long as robots.txt cannot be read;
 * answer->retry_after is what its server asks for.  agent: as in robots_parse.
 */
enum fetch_end robots_ask(
        struct fetch *f, const char *agent, const char *url, struct fetch_answer *answer, struct error *err);

/*
 * Where another process keeps it, when this one ends too soon to: recall brings what remember was given, the text of a
 * robots.txt, malloc'ed, or NULL.  Copied; set before anything is asked.
 */
struct robots_shelf {
	char *(*recall)(void *arg, const char *origin, size_t len, size_t *size, int64_t *until_us);
	void (*remember)(void *arg, const char *origin, size_t len, const char *text, size_t size, int64_t until_us);
	void *arg;
};
void robots_use_shelf(struct robots_shelf shelf);

/* Forgets everything. */
void robots_forget(void);

#endif
