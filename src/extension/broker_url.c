/*
 * broker_url.c: reads the file that holds the broker's URL.
 *
 * A password in a parameter can be read by pg_monitor and stands in configuration dumps; a file of mode 0600 cannot.
 * A file that group or others may read is refused, as the server does with its private keys.
 */
#include "jobsched.h"

#include "broker_url.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"

#define URL_MAX 4096

static struct
{
	char		path[MAXPGPATH];
	struct stat seen;			/* of the file that was read or refused */
	char		url[URL_MAX];
	char		problem[256];	/* already logged */
} file;

/* Fills file.url; returns a problem or NULL. */
static const char *
read_file(const char *path, struct stat *st)
{
	int			fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK);
	ssize_t		n;

	memset(st, 0, sizeof(*st));
	file.url[0] = '\0';
	if (fd < 0)
		return psprintf("could not be opened: %m");
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))
	{
		CloseTransientFile(fd);
		return "is not a regular file";
	}
	if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
	{
		CloseTransientFile(fd);
		return psprintf("has mode %04o, which lets group or others in; it must be 0600",
						(unsigned) st->st_mode & 07777);
	}
	n = read(fd, file.url, URL_MAX - 1);
	CloseTransientFile(fd);
	if (n < 0)
		return psprintf("could not be read: %m");
	while (n > 0 && strchr(" \t\r\n", file.url[n - 1]) != NULL)
		n--;
	file.url[n] = '\0';
	if (n == 0)
		return "is empty";
	if (n == URL_MAX - 1 || strlen(file.url) != (size_t) n || strpbrk(file.url, "\r\n") != NULL)
	{
		file.url[0] = '\0';
		return "must hold one line, the URL";
	}
	return NULL;
}

static bool
unchanged(const char *path)
{
	struct stat st;

	if (strcmp(path, file.path) != 0 || stat(path, &st) < 0)
		return false;
	return st.st_ino == file.seen.st_ino && st.st_dev == file.seen.st_dev && st.st_size == file.seen.st_size &&
		st.st_mode == file.seen.st_mode && st.st_mtim.tv_sec == file.seen.st_mtim.tv_sec &&
		st.st_mtim.tv_nsec == file.seen.st_mtim.tv_nsec;
}

const char *
broker_url(void)
{
	const char *problem;

	if (js_amqp_url_file[0] == '\0')
	{
		file.path[0] = '\0';
		file.problem[0] = '\0';
		return js_amqp_url;
	}
	if (unchanged(js_amqp_url_file))
		return file.url;

	strlcpy(file.path, js_amqp_url_file, sizeof(file.path));
	problem = read_file(js_amqp_url_file, &file.seen);
	if (problem == NULL)
		file.problem[0] = '\0';
	else if (strcmp(problem, file.problem) != 0)
	{
		strlcpy(file.problem, problem, sizeof(file.problem));
		ereport(LOG, errmsg("jobsched: file \"%s\" (jobsched.amqp_url_file) %s", js_amqp_url_file, problem));
	}
	return file.url;
}
