/*
 * sdnotify.c: the word to systemd.
 */
#include "sdnotify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

bool
sdnotify_send(const char *lines)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 1 };
	socklen_t len;
	bool sent;
	int fd;

	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(addr.sun_path))
		return true;
	memcpy(addr.sun_path, path, strlen(path));
	if (path[0] == '@')
		addr.sun_path[0] = '\0';	/* a name that is not in the file system */
	len = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	sent = sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *) &addr, len) >= 0;
	close(fd);
	return sent;
}

int64_t
sdnotify_watchdog_us(void)
{
	const char *every = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!every || (pid && strtol(pid, NULL, 10) != (long) getpid()))
		return 0;
	return strtoll(every, NULL, 10);
}
