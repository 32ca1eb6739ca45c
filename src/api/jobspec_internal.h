/*
 * jobspec_internal.h: what jobspec.c (one job) and jobspec_batch.c (many) share.
 */
#ifndef JOBSCHED_API_JOBSPEC_INTERNAL_H
#define JOBSCHED_API_JOBSPEC_INTERNAL_H

#include "jobspec.h"
#include "json_text.h"

/* `what` is the job's name in messages. */
int jobspec_check_job(const struct json_document *doc, const char *what, struct problem *problem);

/* *key becomes a copy of the job's unique_key, or NULL when it has none. */
int jobspec_copy_key(const json_t *job, char **key, struct problem *problem);

#endif
