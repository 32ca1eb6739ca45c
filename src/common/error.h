/*
 * error.h: how functions of the programs report failure.
 *
 * A function that can fail returns 0, or a negative value after filling *err.
 * The message names the thing and the value; it ends without a full stop.
 */
#ifndef JOBSCHED_ERROR_H
#define JOBSCHED_ERROR_H

struct error {
	char msg[1024]; /* NUL-terminated, UTF-8, cut when longer */
};

/* Fills err (may be NULL) like printf; returns -1, so that callers can `return error_set(...)`. */
int error_set(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
