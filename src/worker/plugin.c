/*
 * plugin.c: tasks from shared objects.
 */
#include "plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry.h"

/* Nobody but root and this user can change it. */
static int
check_owner(const char *path, const struct stat *st, struct error *err)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return error_set(err, "%s belongs to user %ld: only root and the worker's user, %ld, are allowed", path,
		        (long) st->st_uid, (long) geteuid());
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return error_set(err, "%s can be written by others (mode %04o): chmod go-w is needed", path,
		        (unsigned) st->st_mode & 07777);
	return 0;
}

static int
check_directory(const char *path, char *real, struct error *err)
{
	struct stat st;

	if (!realpath(path, real) || stat(real, &st) < 0)
		return error_set(err, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return error_set(err, "%s is no directory", path);
	return check_owner(path, &st, err);
}

static int
load(const char *path, struct error *err)
{
	struct stat st;
	int n;

	if (lstat(path, &st) < 0)
		return error_set(err, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, "%s is no regular file (links are not followed)", path);
	if (check_owner(path, &st, err) < 0)
		return -1;
	if (!dlopen(path, RTLD_NOW | RTLD_LOCAL))
		return error_set(err, "%s cannot be loaded: %s", path, dlerror());
	n = registry_accept(path, err);
	return n == 0 ? error_set(err, "%s registers no task: JOBSCHED_TASK is needed", path) : n;
}

static int
is_object(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + len - 3, ".so") == 0;
}

int
plugin_load_all(const char *path, struct error *err)
{
	char real[PATH_MAX], object[PATH_MAX + NAME_MAX + 2];
	struct error why = {""};
	struct dirent **found;
	int n, rc = 0;

	if (!*path)
		return 0;
	if (check_directory(path, real, &why) < 0)
		return error_set(err, "JOBSCHED_TASK_PATH=%s: %s", path, why.msg);
	n = scandir(real, &found, is_object, alphasort);
	if (n < 0)
		return error_set(err, "JOBSCHED_TASK_PATH=%s: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		snprintf(object, sizeof(object), "%s/%s", real, found[i]->d_name);
		if (rc >= 0 && load(object, &why) < 0)
			rc = error_set(err, "JOBSCHED_TASK_PATH=%s: %s", path, why.msg);
		free(found[i]);
	}
	free(found);
	return rc < 0 ? -1 : n;
}
