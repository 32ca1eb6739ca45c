/*
 * page.h: what a person wants to see of a fetched page.
 */
#ifndef JOBSCHED_WORKER_PAGE_H
#define JOBSCHED_WORKER_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#define PAGE_TITLE_MAX		300		/* code points */
#define PAGE_PREVIEW_MAX	500		/* code points */

/*
 * Both are malloc'ed well-formed UTF-8 in which white space is one blank, cut at a code point; bytes that are not
 * UTF-8 are U+FFFD.  title: the text of the first <title>, NULL when there is none or the page is not HTML.  preview:
 * the beginning of the text, without tags, scripts and styles when it is HTML.  Returns 0, or -1 when out of memory.
 */
int page_describe(const char *body, size_t size, bool html, char **title, char **preview);

#endif
