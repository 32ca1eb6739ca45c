/*
 * guard.c: the thread that watches the others.
 */
#include "guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"
#include "isolation/isolation.h"
#include "log.h"
#include "report.h"
#include "sdnotify.h"
#include "thread.h"

#define TICK_US		CLOCK_US_PER_SECOND
#define STUCK_US	(120 * CLOCK_US_PER_SECOND)	/* no call to database or broker takes so long */

/* Tasks whose run may be somebody else's by now do not go on. */
static void
watch_lease(struct guard *g)
{
	int running = hub_lapse(g->hub);

	keeper_lease(g->keeper, hub_lease_until(g->hub));
	if (running >= 0)
		log_event(LOG_LEVEL_WARNING, "the lease has run out, what runs is told to stop", "running", LOG_NUM(running),
				  NULL);
}

static bool
watch_threads(struct guard *g)
{
	int64_t now_us = clock_boottime_us();

	for (int i = 0; i < HUB_THREADS; i++) {
		int64_t since_us = atomic_load(&g->hub->busy_us[i]);

		if (since_us == 0 || now_us - since_us < STUCK_US)
			continue;
		if (!g->stuck)
			log_event(LOG_LEVEL_ERROR, "a thread does not come back, the watchdog is not told any more", "thread",
					  hub_thread_name((enum hub_thread) i), "seconds", LOG_NUM((now_us - since_us) / 1000000), NULL);
		g->stuck = true;
		return false;
	}
	g->stuck = false;
	return true;
}

/* What is not sent now is sent with the next tick. */
static void
tell_systemd(struct guard *g, bool well)
{
	char status[sizeof(g->status)], lines[sizeof(status) + 64] = "";
	int64_t now_us = clock_boottime_us();
	bool stopping = hub_phase(g->hub) != HUB_RUNNING;
	bool due = g->watchdog_us > 0 && well && now_us - g->told_at_us >= g->watchdog_us / 3;
	size_t len = 0;

	report_line(g->hub, status, sizeof(status));
	if (!g->ready)
		len += (size_t) snprintf(lines, sizeof(lines), "READY=1\n");
	if (strcmp(status, g->status) != 0)
		len += (size_t) snprintf(lines + len, sizeof(lines) - len, "STATUS=%s\n", status);
	if (stopping && !g->stopping)
		len += (size_t) snprintf(lines + len, sizeof(lines) - len, "STOPPING=1\n");
	if (due)
		len += (size_t) snprintf(lines + len, sizeof(lines) - len, "WATCHDOG=1\n");
	if (len == 0 || !sdnotify_send(lines))
		return;
	memcpy(g->status, status, sizeof(g->status));
	g->ready = true;
	g->stopping = stopping;
	if (due)
		g->told_at_us = now_us;
}

/* Until the next tick, SIGUSR1, or a new phase. */
static void
wait_for_events(struct guard *g)
{
	struct pollfd fds[2] = { { .fd = g->signals, .events = POLLIN }, { .fd = g->hub->guard_fd, .events = POLLIN } };
	int64_t tick_us = g->watchdog_us > 0 && g->watchdog_us / 3 < TICK_US ? g->watchdog_us / 3 : TICK_US;
	struct signalfd_siginfo info;
	uint64_t count;

	if (poll(fds, 2, (int) (tick_us / 1000) + 1) <= 0)
		return;
	if (fds[1].revents & POLLIN)
		while (read(g->hub->guard_fd, &count, sizeof(count)) < 0 && errno == EINTR)
			;
	if ((fds[0].revents & POLLIN) && read(g->signals, &info, sizeof(info)) == (ssize_t) sizeof(info))
		report_log(g->hub);
}

static void *
guard_main(void *arg)
{
	struct guard *g = arg;

	while (hub_phase(g->hub) != HUB_CLOSING) {
		watch_lease(g);
		tell_systemd(g, watch_threads(g));
		wait_for_events(g);
	}
	return NULL;
}

int
guard_setup(struct guard *g, struct hub *h, struct error *err)
{
	sigset_t set;

	memset(g, 0, sizeof(*g));
	g->hub = h;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	g->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return g->signals < 0 ? error_set(err, "signalfd: %s", strerror(errno)) : 0;
}

int
guard_start(struct guard *g, struct keeper *keeper, struct error *err)
{
	g->keeper = keeper;
	g->watchdog_us = sdnotify_watchdog_us();
	return thread_start(&g->thread, "guard", guard_main, g, err);
}

void
guard_join(struct guard *g)
{
	pthread_join(g->thread, NULL);
	close(g->signals);
}
