/*
 * jobspec.h: what somebody submits, read from arguments or JSON.
 *
 * Only plain jobs are read here: one run, of a unique_key no more than "keep", every value beyond doubt valid.  Whatever is not goes to the
 * script's jobsched._submit(), which knows all the rest and says what is wrong.
 */
#ifndef JOBSCHED_JOBSPEC_H
#define JOBSCHED_JOBSPEC_H

#include "jobsched.h"

#include "utils/jsonb.h"

typedef struct JobSpec
{
	const char *name;			/* not NUL-terminated, as all text here; valid as long as what it was read from */
	int			name_len;
	const char *queue;			/* NULL: jobsched.queue */
	int			queue_len;
	JsonbValue	payload;		/* jbvBinary or jbvString; jbvNull: {} */
	bool		has_run_at;
	TimestampTz run_at;
	int16		priority;
	int16		max_retries;
	bool		has_timeout,
				has_expires_at,
				has_retry_delay,
				has_retry_delay_max;
	Interval	timeout,
				retry_delay,
				retry_delay_max;
	TimestampTz expires_at;
	const char *backoff;		/* one of the three words, NUL-terminated */
	const char *traceparent;	/* JOBSPEC_TRACEPARENT bytes, or NULL */
	const char *unique_key;		/* NULL: none */
	int			unique_key_len;
} JobSpec;

/* Length of a traceparent of version 00 (W3C Trace Context). */
#define JOBSPEC_TRACEPARENT 55

/* The names that JSON fields have. */
typedef enum JobSpecForm
{
	JOBSPEC_SQL,				/* of submit_many: those of submit's arguments */
	JOBSPEC_REST				/* of rest_submit: next_run_time, frequency */
} JobSpecForm;

extern void jobspec_init(JobSpec *spec);

/* Each returns false, and then the job is not plain. */
extern bool jobspec_name(JobSpec *spec, const char *name, int len);
extern bool jobspec_queue(JobSpec *spec, const char *queue, int len);
extern bool jobspec_payload(JobSpec *spec, const JsonbValue *payload);
extern bool jobspec_run_at(JobSpec *spec, TimestampTz run_at);
extern bool jobspec_priority(JobSpec *spec, int32 priority);
extern bool jobspec_max_retries(JobSpec *spec, int32 max_retries);
extern bool jobspec_backoff(JobSpec *spec, const char *word, int len);
extern bool jobspec_traceparent(JobSpec *spec, const char *text, int len);
extern bool jobspec_unique_key(JobSpec *spec, const char *key, int len);
extern bool jobspec_unique_mode(JobSpec *spec, const char *word, int len);
extern bool jobspec_is_duration(const Interval *interval, bool zero);

/* A job in JSON, which the spec points into. */
extern bool jobspec_from_json(JobSpec *spec, JsonbContainer *job, JobSpecForm form);

/* The text of the payload. */
extern void jobspec_payload_text(const JobSpec *spec, StringInfo out);

#endif
