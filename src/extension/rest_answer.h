/*
 * rest_answer.h: a job as REST shows it, where that is known without a look at the tables.
 */
#ifndef JOBSCHED_REST_ANSWER_H
#define JOBSCHED_REST_ANSWER_H

#include "jobsched.h"

#include "lib/stringinfo.h"

#include "jobstore.h"

/* Appends what jobsched.rest_get() gives for a plain job that has just been stored. */
extern void rest_answer_new_job(const NewJob *job, StringInfo out);

#endif
