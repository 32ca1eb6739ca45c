/*
 * thread.h: starting threads that have a name.
 */
#ifndef JOBSCHED_WORKER_THREAD_H
#define JOBSCHED_WORKER_THREAD_H

#include <pthread.h>

#include "error.h"

/* name: up to 15 bytes, seen in top -H and gdb. */
int thread_start(pthread_t *thread, const char *name, void *(*body)(void *), void *arg, struct error *err);

#endif
