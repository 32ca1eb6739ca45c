/*
 * metrics.h: what this process counts about itself, and GET /metrics.
 */
#ifndef JOBSCHED_API_METRICS_H
#define JOBSCHED_API_METRICS_H

#include <stdint.h>

struct exchange;
struct metrics;

/* NULL when out of memory. */
struct metrics *metrics_new(void);

/* An exchange is being answered. */
void metrics_answered(struct metrics *metrics, const struct exchange *x, int status);

/* A request that never came to a handler: made for http_options. */
void metrics_refused(struct metrics *metrics, int status);

void metrics_get(struct exchange *x);

void metrics_free(struct metrics *metrics);

#endif
