/*
 * notes.h: what tasks in processes want to find again in a later run: bytes under a key, for some time.
 *
 * The worker keeps them, since a process ends with its run.  The ones asked for least recently go when there is no room.
 * Any thread may call these.
 */
#ifndef JOBSCHED_WORKER_ISOLATION_NOTES_H
#define JOBSCHED_WORKER_ISOLATION_NOTES_H

#include <stddef.h>
#include <stdint.h>

#define NOTES_MAX 1000 /* at most */
#define NOTES_BYTES ((size_t) 8 * 1024 * 1024) /* of them all, at most; a larger one is not kept */

struct notes;

struct notes *notes_new(void); /* NULL when out of memory */
void notes_free(struct notes *n); /* NULL is allowed */

/* In place of another of that key.  until_us: clock_boottime_us().  What does not fit, or memory is out for, is not kept. */
void notes_put(struct notes *n, const char *key, const void *data, size_t size, int64_t until_us);

/* A copy, malloc'ed, with a NUL behind it; NULL when there is none. */
char *notes_get(struct notes *n, const char *key, size_t *size, int64_t *until_us);

#endif
