/*
 * page.h: what a person wants to see of a fetched page.
 */
#ifndef JOBSCHED_WORKER_PAGE_H
#define JOBSCHED_WORKER_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "excerpt.h"

/* Well-formed UTF-8 in which white space is one blank, cut after EXCERPT_MAX code points. */
struct page {
	const char *charset; /* of the body, a name of the Encoding Standard in small letters */
	bool has_title; /* HTML with a <title> */
	struct excerpt title;
	struct excerpt preview; /* the beginning of the visible text */
};

/*
 * Fills *page.  content_type: as the server sent it; the encoding is that of a byte order mark, else of this type, else
 * what an HTML page declares.  cut: the body is not whole.  stop: asked now and then, may be NULL.  Returns 0; -1 when
 * out of memory, 1 when stop() said so.
 */
int page_read(const char *body, size_t size, const char *content_type, bool cut, bool (*stop)(void *arg),
        void *stop_arg, struct page *page);

#endif
