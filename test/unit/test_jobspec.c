/* The body of POST /jobs: what is taken, what is refused, with which words. */
/* sources: src/api/jobspec.c src/api/json_text.c src/api/problem.c src/common/utf8.c src/common/error.c */
/* libs: -ljansson */
#include <stdlib.h>

#include "src/api/jobspec.h"
#include "tap.h"

static struct problem p;

static void
takes(const char *body)
{
	char *key;

	if (!is_int(jobspec_check(body, strlen(body), &key, &p), 0, "takes %s", body))
		diag("%s", p.detail);
	free(key);
}

static void
refuses(const char *body, int status, const char *field, const char *part)
{
	char *key;

	is_int(jobspec_check(body, strlen(body), &key, &p), -1, "refuses %s", body);
	is_int(p.status, status, "with %d", status);
	is_str(p.field, field, "naming the field");
	if (!ok(strstr(p.detail, part) != NULL, "saying %s", part))
		diag("%s", p.detail);
}

static void
refuses_bytes(const char *body, size_t len, int status, const char *what)
{
	char *key;

	ok(jobspec_check(body, len, &key, &p) == -1 && p.status == status, "refuses %s with %d", what, status);
}

#define ONCE "{\"name\":\"a\",\"frequency\":\"once\",\"next_run_time\":1"

int
main(void)
{
	char deep[8192], *json, *key;
	size_t n;

	takes(ONCE "}");
	takes("  " ONCE "} \n");
	takes("{\"name\":\"a\",\"frequency\":\"once\",\"next_run_time\":1.5e9,\"payload\":{}}");
	takes("{\"name\":\"a\",\"frequency\":\"once\",\"next_run_time\":\"2026-11-24T21:30:00Z\",\"payload\":[]}");
	takes("{\"name\":\"a\",\"frequency\":\"cron\",\"cron\":\"* * * * "
	      "*\",\"time_zone\":\"UTC\",\"payload\":\"text\"}");
	takes(ONCE ",\"max_retries\":-5,\"priority\":99,\"timeout\":0.5,\"queue\":\"\",\"unique_key\":\"k\"}");
	takes(ONCE ",\"cron\":null,\"queue\":null,\"max_retries\":null,\"timeout\":null}");
	takes(ONCE ",\"payload\":{\"n\":123456789012345678901234567890},\"max_retries\":2}");

	jobspec_check(ONCE ",\"unique_key\":\"k\\u00fc\"}", sizeof(ONCE ",\"unique_key\":\"k\\u00fc\"}") - 1, &key, &p);
	is_str(key, "k\xC3\xBC", "gives the unique_key");
	free(key);
	jobspec_check(ONCE ",\"unique_key\":null}", sizeof(ONCE ",\"unique_key\":null}") - 1, &key, &p);
	ok(!key, "or none");

	refuses("", 400, "", "the body is empty");
	refuses("  \n", 400, "", "the body is empty");
	refuses("{", 400, "", "not JSON: line 1, column 1");
	refuses(ONCE "} x", 400, "", "end of file expected");
	refuses("{\"name\":\"a\",\"name\":\"b\"}", 400, "", "duplicate object key");
	refuses(ONCE ",\"payload\":{\"k\":1,\"k\":2}}", 400, "", "duplicate object key");
	refuses("{\"name\":\"\xFF\"}", 400, "", "unable to decode byte");
	refuses("{\"name\":\"\\ud800\"}", 400, "", "invalid Unicode");
	refuses("{'name':'a'}", 400, "", "not JSON");
	refuses("{\"name\":NaN}", 400, "", "not JSON");
	refuses("{\"name\":\"a\\u0000\"}", 422, "", "\\u0000 cannot be stored");
	refuses("{\"a\\u0000\":1}", 422, "", "\\u0000 cannot be stored");
	refuses("{\"next_run_time\":1e999}", 422, "", "number is too large");
	refuses("[]", 422, "", "the body is []; allowed: a JSON object");
	refuses("3", 422, "", "the body is 3");
	refuses("null", 422, "", "the body is null");

	refuses("{\"frequency\":\"once\",\"next_run_time\":1}", 422, "name", "name is missing; allowed: a string");
	refuses("{\"name\":\"a\"}", 422, "frequency", "frequency is missing");
	refuses("{\"name\":null,\"frequency\":\"once\"}", 422, "name", "name is null");
	refuses("{\"name\":\"a\",\"frequency\":\"Once\"}", 422, "frequency",
	        "frequency is \"Once\"; allowed: \"once\" or \"cron\"");
	refuses("{\"name\":\"a\",\"frequency\":\"once\"}", 422, "next_run_time", "next_run_time is missing");
	refuses("{\"name\":\"a\",\"frequency\":\"once\",\"next_run_time\":null}", 422, "next_run_time", "is missing");
	refuses("{\"name\":\"a\",\"frequency\":\"once\",\"next_run_time\":true}", 422, "next_run_time",
	        "next_run_time is true");
	{
		static const char *const good[] = {"2026-11-24T21:30:00Z", "2026-11-24t21:30:00.123456789z",
		        "2026-11-24 21:30:00+02:00", "2026-11-24T21:30:00.5-11:30"};
		static const char *const bad[] = {"", "tomorrow", "now", "infinity", "2026-11-24",
		        "2026-11-24T21:30:00", "2026-11-24T21:30Z", "2026-11-24T21:30:00+02", "2026-11-24T21:30:00.Z",
		        "2026-11-24T21:30:00Z ", "2026-11-24T21:30:00+0200", "26-11-24T21:30:00Z",
		        "2026-11-24T21:30:00 Europe/Berlin", "2026-11-24T21:30:0"};
		char body[256];

		for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
			snprintf(body, sizeof(body), "{\"name\":\"a\",\"frequency\":\"once\",\"next_run_time\":\"%s\"}",
			        good[i]);
			takes(body);
		}
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			snprintf(body, sizeof(body), "{\"name\":\"a\",\"frequency\":\"once\",\"next_run_time\":\"%s\"}",
			        bad[i]);
			refuses(body, 422, "next_run_time", "RFC 3339");
		}
	}
	refuses(ONCE ",\"cron\":\"* * * * *\"}", 422, "cron", "only with frequency \"cron\"");
	refuses("{\"name\":\"a\",\"frequency\":\"cron\"}", 422, "cron", "cron is missing");
	refuses("{\"name\":\"a\",\"frequency\":\"cron\",\"cron\":\"* * * * *\",\"next_run_time\":1}", 422,
	        "next_run_time", "only with frequency \"once\"");
	refuses(ONCE ",\"nmae\":1}", 422, "nmae", "unknown field \"nmae\"; allowed: name, payload");
	refuses(ONCE ",\"payload\":5}", 422, "payload", "payload is 5; allowed: an object, an array or a string");
	refuses(ONCE ",\"payload\":null}", 422, "payload", "payload is null");
	refuses(ONCE ",\"max_retries\":2.0}", 422, "max_retries", "max_retries is 2.0; allowed: an integer");
	refuses(ONCE ",\"max_retries\":\"2\"}", 422, "max_retries", "max_retries is \"2\"");
	refuses(ONCE ",\"max_retries\":2147483648}", 422, "max_retries", "max_retries is 2147483648");
	refuses(ONCE ",\"payload\":[1e25,99999999999999999999],\"priority\":1.5}", 422, "priority", "priority is 1.5");
	refuses(ONCE ",\"timeout\":\"5s\"}", 422, "timeout", "a number of seconds");
	refuses(ONCE ",\"queue\":[]}", 422, "queue", "queue is []");

	refuses_bytes("{\"name\":\"\0\"}", 12, 400, "a raw NUL");
	refuses_bytes(ONCE "}\0", sizeof(ONCE "}"), 400, "a NUL at the end");
	n = (size_t) sprintf(deep, ONCE ",\"payload\":");
	memset(deep + n, '[', 3000);
	memset(deep + n + 3000, ']', 3000);
	strcpy(deep + n + 6000, "}");
	refuses_bytes(deep, strlen(deep), 400, "3000 levels");
	n = (size_t) sprintf(deep, ONCE ",\"queue\":[\"");
	memset(deep + n, 'q', 5000);
	strcpy(deep + n + 5000, "\"]}");
	refuses_bytes(deep, strlen(deep), 422, "a long value");
	ok(strlen(p.detail) < 100, "without repeating it");

	problem_set(&p, 422, "invalid-field", "name", "%0600d\xC3\xBC", 1);
	json = problem_json(&p);
	ok(json && strstr(json, "\"status\":422") && strstr(json, "\"field\":\"name\""), "a problem becomes JSON");
	ok(json && json[strlen(json) - 1] == '\n', "on a line");
	free(json);
	for (int cut = 505; cut <= 512; cut++) {
		memset(deep, 'x', (size_t) cut);
		strcpy(deep + cut, "\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80");
		problem_set(&p, 400, "t", NULL, "%s", deep);
		json = problem_json(&p);
		ok(json && strstr(json, "xxxx"), "a detail cut after %d bytes is UTF-8 still", cut);
		free(json);
	}
	return done_testing();
}
