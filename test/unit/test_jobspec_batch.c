/* The body of POST /jobs/batch: how it is taken apart, and what is refused as a whole. */
/* sources: src/api/jobspec.c src/api/jobspec_batch.c src/api/json_text.c src/api/problem.c src/common/utf8.c src/common/error.c */
/* libs: -ljansson */
#include <stdlib.h>

#include "src/api/jobspec.h"
#include "tap.h"

#define ONCE "{\"name\":\"a\",\"frequency\":\"once\",\"next_run_time\":1}"
#define KEYED "{\"name\":\"a\",\"frequency\":\"once\",\"next_run_time\":1,\"unique_key\":\"k\"}"

static void
refuses_bytes(const char *body, size_t len, int status, const char *field, const char *part)
{
	struct jobspec *jobs = NULL;
	struct problem p;
	size_t n = 0;

	if (!ok(jobspec_check_batch(body, len, 3, &jobs, &n, &p) == -1 && p.status == status &&
	                    strcmp(p.field, field) == 0 && strstr(p.detail, part) != NULL && !jobs,
	            "refuses %s with %d: %s", body, status, part))
		diag("%d %s %s", p.status, p.field, p.detail);
}

static void
refuses(const char *body, int status, const char *field, const char *part)
{
	refuses_bytes(body, strlen(body), status, field, part);
}

int
main(void)
{
	static const char body[] = " {\"jobs\" : [" ONCE " ,\n\t" KEYED ", 7 ]\r\n} ";
	static const char deep_item[] = "{\"jobs\":[" ONCE ",\n \xC3\xBC]}";
	struct jobspec *jobs = NULL;
	struct problem p;
	size_t n = 0;

	is_int(jobspec_check_batch(body, strlen(body), 3, &jobs, &n, &p), 0, "a batch");
	is_int((long) n, 3, "has its items");
	ok(jobs[0].len == strlen(ONCE) && memcmp(jobs[0].text, ONCE, jobs[0].len) == 0 && !jobs[0].key &&
	                !jobs[0].problem,
	        "the first as it was sent");
	ok(jobs[1].len == strlen(KEYED) && memcmp(jobs[1].text, KEYED, jobs[1].len) == 0 && !jobs[1].problem,
	        "the next");
	is_str(jobs[1].key, "k", "and its key");
	ok(jobs[2].problem && jobs[2].problem->status == 422 && strstr(jobs[2].problem->detail, "the item is 7"),
	        "a bad one has its problem");
	jobspec_free(jobs, n);

	n = 0;
	is_int(jobspec_check_batch("{\"jobs\":[{}]}", 13, 3, &jobs, &n, &p), 0, "a batch of nothing but bad ones");
	ok(n == 1 && strcmp(jobs[0].problem->field, "name") == 0, "is one too");
	jobspec_free(jobs, n);
	jobs = NULL;

	refuses("", 400, "", "the body is empty");
	refuses(" ", 400, "", "the body is empty");
	refuses("[" ONCE "]", 422, "", "allowed: a JSON object with \"jobs\"");
	refuses("7", 422, "", "the body is 7");
	refuses("x", 400, "", "not JSON: line 1, column 1");
	refuses("{}", 422, "jobs", "jobs is missing");
	refuses("{\"jobs\":[]}", 422, "jobs", "jobs is empty; allowed: 1 to 3 items");
	refuses("{\"jobs\":{}}", 422, "jobs", "jobs is {}; allowed: an array");
	refuses("{\"jobs\":null}", 422, "jobs", "jobs is null");
	refuses("{\"Jobs\":[" ONCE "]}", 422, "Jobs", "unknown field \"Jobs\"");
	refuses("{\"jobs\":[" ONCE "],\"more\":1}", 422, "more", "unknown field \"more\"");
	refuses("{\"jobs\":[" ONCE "],\"jobs\":[" ONCE "]}", 400, "", "given twice");
	refuses("{\"jobs\":[1,2,3,4]}", 422, "jobs", "more than 3 items");
	refuses("{\"jobs\":[" ONCE, 400, "", "\",\" or \"]\" expected");
	refuses("{\"jobs\":[" ONCE "]", 400, "", "\",\" or \"}\" expected");
	refuses("{\"jobs\":[" ONCE "]}}", 400, "", "end of file expected");
	refuses("{\"jobs\":[" ONCE " " ONCE "]}", 400, "", "\",\" or \"]\" expected");
	refuses("{\"jobs\":[" ONCE ",]}", 400, "", "not JSON");
	refuses("{\"jobs\":[,]}", 400, "", "not JSON");
	refuses("{\"jobs\" [1]}", 400, "", "\":\" expected");
	refuses("{jobs:[1]}", 400, "", "a string expected");
	refuses("{\"jobs\":[1],}", 400, "", "a string expected");
	refuses("{\"jobs\":[{\"a\":1,\"a\":2}]}", 400, "", "duplicate object key");
	refuses("{\"jobs\":[{\"a\":\"\\u0000\"}]}", 422, "", "\\u0000");
	refuses("{\"jobs\":[{\"a\":1]}", 400, "", "not JSON");
	refuses_bytes("{\"jobs\":[1]}\0", 13, 400, "", "end of file expected");
	refuses_bytes("{\"jobs\":[1\0]}", 13, 400, "", "expected");
	refuses(deep_item, 400, "", "line 2, column 2");
	return done_testing();
}
