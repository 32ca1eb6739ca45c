/*
 * clerk.h: does for the process of a task what it asks for: artifacts and progress through the context's host, notes, and in
 * the end its result.
 *
 * A task may have spoilt what its process sends: everything is checked before it is used.
 */
#ifndef JOBSCHED_WORKER_ISOLATION_CLERK_H
#define JOBSCHED_WORKER_ISOLATION_CLERK_H

#include "frames.h"
#include "notes.h"
#include "protocol.h"

struct clerk {
	struct task_context *task; /* with the worker's own host; it gets the result */
	struct notes *notes;
	void (*send)(void *arg, enum frame_type type, const struct iovec *parts, int n); /* for replies */
	void *arg;

	bool more; /* the result said that the process takes another run */
	struct clerk_handle *handles; /* open artifacts */
	int nhandles;
	char *piece; /* FRAME_PIECE bytes, when something was read */
};

/* Returns false when no task sends such a frame.  After a result task->verdict is set. */
bool clerk_serve(struct clerk *c, const struct frame *frame);

/* Gives up artifacts that are open. */
void clerk_close(struct clerk *c);

#endif
