/*
 * web_files.h: the files in the program (made by src/api/embed), for browsers.
 */
#ifndef JOBSCHED_API_WEB_FILES_H
#define JOBSCHED_API_WEB_FILES_H

#include <stddef.h>

struct web_file {
	const char *path; /* where it is served */
	const char *type;
	const char *etag; /* W/"..." */
	const char *bytes;
	size_t size;
	const char *zipped; /* the same with gzip, or NULL */
	size_t zipped_size;
};

/* By path, in the order of strcmp(). */
extern const struct web_file web_files[];
extern const size_t web_n_files;

#endif
