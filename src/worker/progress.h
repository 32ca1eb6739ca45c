/*
 * progress.h: what running tasks say about how far they are, on its way to jobsched.report_progress.
 *
 * Only the latest of a run is kept, and what the database did not take is forgotten: the next one comes soon.
 */
#ifndef JOBSCHED_WORKER_PROGRESS_H
#define JOBSCHED_WORKER_PROGRESS_H

#include "runs.h"

#define PROGRESS_TEXT_SIZE 801 /* 200 characters of at most 4 bytes, and NUL */
#define PROGRESS_MAX 128 /* sent in one call */

struct hub;

/* Of one run.  Locked. */
struct run_progress {
	struct run *run;
	double percent; /* negative: unknown */
	char text[PROGRESS_TEXT_SIZE]; /* "": none */
	bool waiting; /* to be sent */
	struct run_progress *next, *prev; /* in runs.reported, when waiting */
};

/* What is sent. */
struct progress_report {
	char dispatch[UUID_TEXT_SIZE];
	char token[UUID_TEXT_SIZE];
	int run;
	double percent;
	char text[PROGRESS_TEXT_SIZE];
};

/* For the thread that looks after the task.  text may be NULL.  Without a hub it is logged. */
void progress_report(struct hub *h, struct run *run, double percent, const char *text);

/* For the finisher, locked: up to PROGRESS_MAX of what waits, into out.  Their number. */
int progress_take_locked(struct runs *r, struct progress_report *out);

/* The run has ended. */
void progress_forget_locked(struct runs *r, struct run *run);

#endif
