/*
 * utf8.h: text that PostgreSQL takes, from bytes of any origin.
 */
#ifndef JOBSCHED_UTF8_H
#define JOBSCHED_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Room for the result of utf8_clean, NUL included: every bad byte becomes the three of U+FFFD. */
#define UTF8_CLEAN_SIZE(len)	((len) * 3 + 1)

/*
 * Length of the well-formed sequence at p (RFC 3629: no overlong forms, surrogates or values above U+10FFFF), or 0 when
 * there is none within end.  U+0000 is not accepted, since text in PostgreSQL cannot hold it.
 */
size_t utf8_sequence(const unsigned char *p, const unsigned char *end);

/* Would utf8_clean change nothing? */
bool utf8_is_clean(const char *text, size_t len);

/* Copies len bytes to out (UTF8_CLEAN_SIZE(len) bytes), bad bytes replaced by U+FFFD; returns strlen(out). */
size_t utf8_clean(const char *in, size_t len, char *out);

/* Bytes of the longest prefix of a well-formed text that is at most max code points. */
size_t utf8_prefix(const char *text, size_t max);

#endif
