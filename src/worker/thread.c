/*
 * thread.c: starting threads that have a name.
 */
#include "thread.h"

#include <string.h>

int
thread_start(pthread_t *thread, const char *name, void *(*body)(void *), void *arg, struct error *err)
{
	int code = pthread_create(thread, NULL, body, arg);

	if (code != 0)
		return error_set(err, "thread %s cannot be started: %s", name, strerror(code));
	pthread_setname_np(*thread, name);
	return 0;
}
