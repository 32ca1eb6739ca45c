/* sources: src/common/s3_presign.c src/common/s3_url.c src/common/error.c */
/* libs: -lcurl -lcrypto */
/*
 * URLs that are signed: the example of Amazon's documentation, and what surrounds the signature.
 */
#include <stdlib.h>

#include "s3_presign.h"
#include "tap.h"

int
main(void)
{
	struct error err;
	struct s3_place place = {.virtual_host = true};
	struct s3_presign p = {.place = &place,
	        .access_key = "AKIAIOSFODNN7EXAMPLE",
	        .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	        .region = "us-east-1",
	        .key = "test.txt",
	        .now = 1369353600, /* 2013-05-24 00:00 UTC */
	        .seconds = 86400};
	char *url;

	/* "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)", Amazon S3 API reference */
	s3_place_endpoint(&place, "s3.amazonaws.com", true, "us-east-1", &err);
	s3_place_bucket(&place, "examplebucket", &err);
	url = s3_presign(&p);
	is_str(url,
	        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
	        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
	        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
	        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
	        "the example of the documentation");
	free(url);

	p.disposition = "attachment; filename=\"a b\"";
	url = s3_presign(&p);
	ok(strstr(url, "&response-content-disposition=attachment%3B%20filename%3D%22a%20b%22&X-Amz-Signature="),
	        "how to save it is signed too");
	free(url);

	place.virtual_host = false;
	s3_place_endpoint(&place, "http://minio:9000", true, "us-east-1", &err);
	p.key = "jobs/1/\xC3\xBC b";
	url = s3_presign(&p);
	ok(strstr(url, "http://minio:9000/examplebucket/jobs/1/%C3%BC%20b?X-Amz-") == url, "a bucket in the path: %s",
	        url);
	free(url);

	place.v2 = true;
	url = s3_presign(&p);
	ok(strstr(url, "?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1369440000&Signature="), "Signature V2: %s", url);
	free(url);
	return done_testing();
}
