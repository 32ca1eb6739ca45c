/*
 * jobspec.h: is the body of POST /jobs a job as far as its shape goes?
 */
#ifndef JOBSCHED_API_JOBSPEC_H
#define JOBSCHED_API_JOBSPEC_H

#include <stddef.h>

#include "problem.h"

/*
 * body: NUL-terminated after len bytes.  0 when it is JSON, an object, and its fields are known, there, and of the
 * right types; else -1 with *problem filled (400 or 422).  Ranges and meanings are the SQL function's business.
 */
int jobspec_check(const char *body, size_t len, struct problem *problem);

#endif
