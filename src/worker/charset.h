/*
 * charset.h: text of a page as UTF-8, whatever encoding it came in.
 *
 * Labels mean what the Encoding Standard (encoding.spec.whatwg.org) says: "iso-8859-1" is windows-1252, "gb2312" is GBK,
 * and so on.  Encodings that it does not list are not known here either.
 */
#ifndef JOBSCHED_WORKER_CHARSET_H
#define JOBSCHED_WORKER_CHARSET_H

#include <stdbool.h>
#include <stddef.h>

/* The standard's name, in small letters, of what a label of len bytes names; NULL when it names nothing. */
const char *charset_find(const char *label, size_t len);

/* The same for the charset parameter of a Content-Type. */
const char *charset_of_type(const char *content_type);

/*
 * The encoding of a body: by its byte order mark, else `declared` (may be NULL), else UTF-8 when it is valid UTF-8, else
 * windows-1252.  *mark: bytes of the byte order mark.  cut: the body may end within a character.
 */
const char *charset_choose(const char *body, size_t size, const char *declared, bool cut, size_t *mark);

/*
 * UTF-8 without U+0000, malloc'ed, NUL-terminated; what is no character is U+FFFD.  charset: as returned above.  NULL
 * when out of memory, or when the C library does not know the encoding.
 */
char *charset_decode(const char *body, size_t size, const char *charset, size_t *length);

#endif
