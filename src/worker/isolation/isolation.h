/*
 * isolation.h: tasks in processes of their own: TASK_ISOLATION=process.
 *
 *	worker (threads)                      task server (one thread)                 child (one run)
 *	keeper_thread.c  starts, watches it ─► server.c  forks children ahead ───────► child.c   calls the task
 *	keeper.c         has its children                                                    │
 *	process.c        one run ◄───────────────────────── frames.c over a socket ──────────┘
 *	clerk.c          does what the child asks for
 *
 * A process with threads cannot fork and go on, so the worker starts itself once more, as a small server that has the
 * plug-ins loaded and no connections.  That one forks a child for each run, before the run is there: a child waits for its
 * request on a socket whose other end the worker has.  The child calls the task's function; what it says about progress
 * and artifacts goes to the pool thread that looks after the run, and so does the result.  The blob store stays in the
 * worker: a child has no keys of it, and what a killed one leaves half done is cleared away.
 *
 * With TASK_RUNS_PER_PROCESS a child serves more than one run: it goes back to the children that wait, unless it or the
 * worker found something left over.
 *
 * What a task should know again in a later run, robots.txt for one, the worker keeps for it (notes.c).
 *
 * A child leads a session.  When it has ended, the server kills its process group; what its tasks have started and let go
 * comes back to the server (PR_SET_CHILD_SUBREAPER) and is killed too (census.c).  When the server dies, the kernel kills
 * the children (PR_SET_PDEATHSIG), and the keeper their groups; when the worker dies, the server sees the end of its
 * socket, and kills all and itself.
 */
#ifndef JOBSCHED_WORKER_ISOLATION_H
#define JOBSCHED_WORKER_ISOLATION_H

#include <stdbool.h>
#include <sys/types.h>

#include "../settings.h"
#include "../task_context.h"

struct keeper;

/*
 * Starts the task server, and the thread that keeps it, which blocks all signals.  Returns when it is ready; NULL after
 * filling *err when it cannot be started, or a plug-in cannot be loaded there.  settings are borrowed.
 */
struct keeper *keeper_start(const struct settings *settings, struct error *err);

/* No task runs any more: ends server and thread.  NULL is allowed. */
void keeper_stop(struct keeper *k);

/*
 * The worker's lease holds until then, clock_boottime_us(): should it end and the worker stand still, the task server kills
 * what runs.  Never waits.  k: NULL is allowed.
 */
void keeper_lease(struct keeper *k, int64_t until_us);

/*
 * In place of task_call: runs the task in a child.  Artifacts and progress go through the context's own host.  wake_fd:
 * an eventfd, readable when the task may have been told to stop.
 */
void process_call(struct task_context *task, struct keeper *k, int wake_fd);

/* The task server's main, for `jobsched-worker --task-server`; returns the exit code. */
int task_server_main(void);

#endif
