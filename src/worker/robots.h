/*
 * robots.h: the Robots Exclusion Protocol, RFC 9309.
 *
 * From a robots.txt the rules for one crawler are kept: those of all groups that name it, or else those of the groups
 * for "*".  Of the rules that match a path the longest one counts, and of two that are equally long the one that
 * allows; without a match a path is allowed, and so is /robots.txt.  In a rule "*" stands for anything, "$" at its end
 * for the end of the path.  Paths and rules are compared in url.h's percent encoding.
 */
#ifndef JOBSCHED_WORKER_ROBOTS_H
#define JOBSCHED_WORKER_ROBOTS_H

#include <stdbool.h>
#include <stddef.h>

#define ROBOTS_SIZE_MAX (500 * 1024) /* bytes of a robots.txt that are read */

struct robots;

/* agent: the crawler's product token, letters, "-" and "_" (what follows in it is ignored).  NULL: out of memory. */
struct robots *robots_parse(const char *text, size_t size, const char *agent);
void robots_free(struct robots *r);

/* path: path and query of a URL in normal form. */
bool robots_allows(const struct robots *r, const char *path);

/* Bytes that it takes. */
size_t robots_memory(const struct robots *r);

/* The length of the product token that text begins with. */
size_t robots_token_length(const char *text);

#endif
