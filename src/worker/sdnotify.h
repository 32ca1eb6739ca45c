/*
 * sdnotify.h: the word to systemd of sd_notify(3), for services of Type=notify and with WatchdogSec.
 */
#ifndef JOBSCHED_WORKER_SDNOTIFY_H
#define JOBSCHED_WORKER_SDNOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Sends lines such as "READY=1\nSTATUS=..." to the socket in NOTIFY_SOCKET; without one nothing happens.  Waits at most a
 * second.  False: not sent.
 */
bool sdnotify_send(const char *lines);

/* How often the watchdog wants to hear, from WATCHDOG_USEC and WATCHDOG_PID; 0: there is none for this process. */
int64_t sdnotify_watchdog_us(void);

#endif
