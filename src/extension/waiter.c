/*
 * waiter.c: a WaitEventSet, with a timer of the kernel's in it: WaitEventSetWait()'s own timeout is in milliseconds, rounded
 * up.  The timer counts from now on, also while the machine is suspended, whatever happens to the wall clock meanwhile.
 */
#include "waiter.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#define AT_LATCH 0				/* positions in the set */
#define AT_POSTMASTER 1
#define AT_TIMER 2
#define AT_SOCKETS 3

struct Waiter
{
	MemoryContext context;
	int			timer;			/* descriptor */
	WaitEventSet *set;			/* NULL: to be made */
	uint64		generation;		/* of the publisher's sockets in it */
	int			sockets;
};

Waiter *
waiter_create(MemoryContext context)
{
	Waiter	   *waiter = MemoryContextAllocZero(context, sizeof(Waiter));

	waiter->context = context;
	waiter->timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (waiter->timer < 0)
		ereport(ERROR, errcode_for_file_access(), errmsg("jobsched: timerfd_create: %m"));
	ReserveExternalFD();
	return waiter;
}

/* Zero takes away what was set before. */
static void
set_timer(const Waiter *waiter, int64 us)
{
	struct itimerspec when = {.it_value = {.tv_sec = us / USECS_PER_SEC, .tv_nsec = us % USECS_PER_SEC * 1000}};

	if (timerfd_settime(waiter->timer, 0, &when, NULL) < 0)
		ereport(ERROR, errcode_for_file_access(), errmsg("jobsched: timerfd_settime: %m"));
}

static void
make_set(Waiter *waiter, const Publisher *publisher, int count, const pgsocket *fds, const uint32 *events)
{
	if (waiter->set != NULL)
		FreeWaitEventSet(waiter->set);
	waiter->set = CreateWaitEventSet(waiter->context, AT_SOCKETS + PUBLISHER_MAX_SOCKETS);
	AddWaitEventToSet(waiter->set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(waiter->set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(waiter->set, WL_SOCKET_READABLE, waiter->timer, NULL, NULL);
	for (int i = 0; i < count; i++)
		AddWaitEventToSet(waiter->set, events[i], fds[i], NULL, NULL);
	waiter->generation = publisher_wait_generation(publisher);
	waiter->sockets = count;
}

JsWake
waiter_wait(Waiter *waiter, Publisher *publisher, TimestampTz until)
{
	pgsocket	fds[PUBLISHER_MAX_SOCKETS];
	uint32		events[PUBLISHER_MAX_SOCKETS];
	int			count = publisher_wait_events(publisher, fds, events, PUBLISHER_MAX_SOCKETS);
	long		publisher_ms = publisher_timeout_ms(publisher);
	TimestampTz now = GetCurrentTimestamp();
	int64		left = until - now;
	bool		for_broker = publisher_ms >= 0 && publisher_ms * JS_USEC_PER_MS < left;
	WaitEvent	occurred;

	if (for_broker)
		left = publisher_ms * JS_USEC_PER_MS;
	if (waiter->set == NULL || waiter->generation != publisher_wait_generation(publisher) || waiter->sockets != count)
		make_set(waiter, publisher, count, fds, events);
	else
	{
		for (int i = 0; i < count; i++)
			ModifyWaitEvent(waiter->set, AT_SOCKETS + i, events[i], NULL);
	}
	if (left > 0)
		set_timer(waiter, left);
	if (WaitEventSetWait(waiter->set, left > 0 ? -1 : 0, &occurred, 1, PG_WAIT_EXTENSION) == 0 || occurred.pos == AT_TIMER)
		return for_broker ? JS_WOKEN_BY_BROKER : JS_WOKEN_BY_TIME;
	return occurred.pos == AT_LATCH ? JS_WOKEN_BY_LATCH : JS_WOKEN_BY_BROKER;
}
