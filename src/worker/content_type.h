/*
 * content_type.h: what kind of body a Content-Type announces; parameters and case do not matter.
 */
#ifndef JOBSCHED_WORKER_CONTENT_TYPE_H
#define JOBSCHED_WORKER_CONTENT_TYPE_H

#include <stdbool.h>

bool content_type_is_html(const char *type);

/* HTML, text/ or JSON. */
bool content_type_is_readable(const char *type);

/* Readable, XML or a form. */
bool content_type_is_text(const char *type);

#endif
