/*
 * s3_presign.h: URLs with which whoever has them can read an object of an S3 server for a while.
 */
#ifndef JOBSCHED_S3_PRESIGN_H
#define JOBSCHED_S3_PRESIGN_H

#include <time.h>

#include "s3_url.h"

#define S3_PRESIGN_MAX 604800 /* seconds: S3's limit */

struct s3_presign {
	const struct s3_place *place; /* its v2 chooses the signature */
	const char *access_key, *secret_key, *region;
	const char *key; /* of the object */
	const char *disposition; /* the answer's Content-Disposition; NULL: none, and with V2 always none */
	time_t now;
	long seconds; /* for how long: 1..S3_PRESIGN_MAX */
};

/*
 * A URL for GET: Signature V4 in the query ("Authenticating Requests: Using Query Parameters", Amazon S3 API 2006-03-01), or V2.
 * malloc'ed; NULL when out of memory, or when it cannot be computed.
 */
char *s3_presign(const struct s3_presign *p);

#endif
