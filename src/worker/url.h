/*
 * url.h: URLs of the web, in one spelling each.
 *
 * Normal form (RFC 3986, section 6.2.2 and 6.2.3): scheme and host in lower case, an international host name in its
 * ASCII form (IDNA 2008, UTS 46), an IPv4 address dotted however it was written (decimal, octal, hexadecimal, short), an
 * IPv6 address as RFC 5952 writes it, no default port, no fragment, "/" for an empty path, no dot segments, percent
 * encoding only where it is needed and in capitals.  The canonical form is the normal form with the query's parameters
 * sorted by name (those of one name keep their order), and without those that only trace where a visitor came from.
 *
 * Refused are: schemes other than http and https, a user name or password, an IPv6 zone, port 0, a host that ends in a
 * number and is no IPv4 address.
 */
#ifndef JOBSCHED_WORKER_URL_H
#define JOBSCHED_WORKER_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define URL_MAX 8192 /* bytes of a URL, as given and in normal form */

/*
 * The normal form of text, malloc'ed; NULL after filling *err.  Blanks around text do not count.  base: a URL in normal
 * form to which text may be relative (where a redirect came from), or NULL: then text must be absolute.
 */
char *url_normalize(const char *text, const char *base, struct error *err);

/* The canonical form of text, malloc'ed; NULL after filling *err. */
char *url_canonicalize(const char *text, struct error *err);

/* Of a URL in normal form: bytes of "https://host:port", and what follows: path and query. */
size_t url_origin_length(const char *url);
bool url_same_origin(const char *a, const char *b);

/*
 * Copies len bytes of a path or query to out (3 * len + 1 bytes) in normal form: what needs no percent encoding is
 * decoded, what needs it is encoded, in capitals.  also: reserved characters that are to be encoded too, or "".  Returns
 * the length.
 */
size_t url_encode(const char *in, size_t len, const char *also, char *out);

#endif
