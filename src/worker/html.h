/*
 * html.h: reads HTML with libxml2's parser, which asks nothing of the network and builds no tree here.
 */
#ifndef JOBSCHED_WORKER_HTML_H
#define JOBSCHED_WORKER_HTML_H

#include <stdbool.h>
#include <stddef.h>

#include "excerpt.h"

/* Once, before threads: what libxml2 wants done while there is one. */
void html_setup(void);

/*
 * The encoding that a page declares in its first 1024 bytes, <meta charset>, <meta http-equiv> or an XML declaration, as
 * charset.h names it; NULL when there is none.
 */
const char *html_charset(const char *body, size_t size);

/*
 * Adds to `title` the text of the first <title>, and to `text` what a reader would see: no scripts, styles or hidden
 * elements.  page: well-formed UTF-8.  *has_title says whether there was one.  Returns 0; -1 when out of memory, 1 when
 * stop() said so.
 */
int html_read(const char *page, size_t size, struct excerpt *title, bool *has_title, struct excerpt *text,
        bool (*stop)(void *arg), void *stop_arg);

#endif
