/*
 * log.h: one line an event on standard error.
 *
 *   2026-11-24T21:30:00.123Z INFO jobsched-worker connected host=127.0.0.1 port=5672
 *
 * With LOG_FORMAT=json one JSON object a line, keys time, level, program, event and those given.
 * Thread-safe; one write(2) a line.  Secrets are never passed to it.
 */
#ifndef JOBSCHED_LOG_H
#define JOBSCHED_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_ERROR
};

/* program is kept, not copied.  Before log_setup() the level is INFO and the format text. */
void log_setup(const char *program, enum log_level level, bool json);

/* "DEBUG", "info", "WARN", "warning", "ERROR" -> level; returns 0, or -1 when it is none of them. */
int log_level_parse(const char *name, enum log_level *level);

bool log_enabled(enum log_level level);

/*
 * log_event(LOG_LEVEL_INFO, "connected", "host", host, "port", port_text, NULL):
 * the event (a few fixed words), then pairs of key and value, ended by NULL.  A NULL value is
 * printed as empty.  Values are quoted and escaped where needed, so that a line stays a line.
 */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

/* A number as the value of a pair: buf must live until log_event returns; returns buf.  Use LOG_NUM(n). */
const char *log_number(char *buf, unsigned long size, long long n);
#define LOG_NUM(n) log_number((char[24]){0}, 24, (long long) (n))

#endif
