/* sources: src/worker/exec_answer.c src/common/utf8.c src/common/error.c */
/* libs: -ljansson */
/*
 * What commands answer: results pass as they are, everything else is named.
 */
#include <stdlib.h>

#include "src/worker/exec_answer.h"
#include "tap.h"

static void
results(void)
{
	static const struct {
		const char *text, *result;
	} good[] = {
	        {"{\"a\": 1}\n", "{\"a\": 1}"},
	        {" \t\r\n[1, 2]\r\n", "[1, 2]"},
	        {"null", "null"},
	        {"\"\\u00e4 \\\" \\\\\"", "\"\\u00e4 \\\" \\\\\""},
	        {"0.1", "0.1"},
	        {"123456789012345678901234567890.10", "123456789012345678901234567890.10"},
	        {"-12345678901234567890", "-12345678901234567890"},
	};
	static const struct {
		const char *text;
		size_t len;
		const char *message;
	} bad[] = {
	        {"", 0, "it is empty"},
	        {" \n", 2, "it is empty"},
	        {"hello", 5, "line 1, column 5: invalid token near 'hello'"},
	        {"{}{}", 4, "line 1, column 3: end of file expected near '{'"},
	        {"{\"a\": 1", 7, "line 1, column 7: '}' expected near end of file"},
	        {"\"\xff\"", 3, "line 1, column 1: unable to decode byte 0xff near '\"'"},
	        {"\"\xed\xa0\x80\"", 5, "line 1, column 1: unable to decode byte 0xed near '\"'"},
	        {"\"\\u0000\"", 8,
	                "line 1, column 8: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"\\u0000\"'"},
	        {"\"\\ud800\"", 8, "line 1, column 8: invalid Unicode '\\uD800' near '\"\\ud800\"'"},
	        {"1\0002", 3, "line 1, column 2: end of file expected near '2'"},
	        {"NaN", 3, "line 1, column 3: invalid token near 'NaN'"},
	};
	struct error err;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *result = exec_answer_check(good[i].text, strlen(good[i].text), &err);

		is_str(result, good[i].result, "a result passes as it is");
		free(result);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err.msg[0] = '\0';
		ok(!exec_answer_check(bad[i].text, bad[i].len, &err), "what is no JSON is refused (%zu)", i);
		is_str(err.msg, bad[i].message, "with the place");
	}
}

static void
members(void)
{
	static const char text[] = "{\"a\" : [1, {\"result\": 2}, \"]\"] ,\"b\\\"\":\"}\\\\\", \"result\": {\"x\": "
	                           "[\"\\\"}\"]}, \"c\":-1e5}";
	size_t len = 0;
	const char *value = exec_answer_member(text, strlen(text), "result", &len);

	ok(value && strncmp(value, "{\"x\": [\"\\\"}\"]}", len) == 0 && len == 14, "a member among others");
	value = exec_answer_member(text, strlen(text), "c", &len);
	ok(value && len == 4 && strncmp(value, "-1e5", 4) == 0, "the last, a number");
	value = exec_answer_member(text, strlen(text), "a", &len);
	ok(value && len == 23 && value[22] == ']', "the first, an array");
	ok(!exec_answer_member(text, strlen(text), "x", &len), "not one of an inner object");
	ok(!exec_answer_member("{}", 2, "a", &len), "none in {}");
	ok(!exec_answer_member(" { } ", 5, "a", &len), "none in { }");
	value = exec_answer_member("{\"a\":1,\"a\":22}", 14, "a", &len);
	ok(value && len == 2, "the last one counts");
}

static void
answers(void)
{
	static const struct {
		const char *line, *message;
	} bad[] = {
	        {"hello", "column 5: invalid token near 'hello': hello"},
	        {"", "column 0: unexpected token near end of file: "},
	        {"[1]", "it is no object: [1]"},
	        {"{\"id\":6,\"result\":1}", "its id is not that of the request, 7: {\"id\":6,\"result\":1}"},
	        {"{\"result\":1}", "its id is not that of the request, 7: {\"result\":1}"},
	        {"{\"id\":7}", "one of result, error and progress is needed: {\"id\":7}"},
	        {"{\"id\":7,\"result\":1,\"error\":\"x\"}",
	                "one of result, error and progress is needed: {\"id\":7,\"result\":1,\"error\":\"x\"}"},
	        {"{\"id\":7,\"progress\":101}", "progress is neither 0..100 nor null: {\"id\":7,\"progress\":101}"},
	        {"{\"id\":7,\"progress\":\"1\"}", "progress is neither 0..100 nor null: {\"id\":7,\"progress\":\"1\"}"},
	        {"{\"id\":7,\"progress\":1,\"text\":1}", "text is no string: {\"id\":7,\"progress\":1,\"text\":1}"},
	        {"{\"id\":7,\"error\":1}", "error is no string: {\"id\":7,\"error\":1}"},
	        {"{\"id\":7,\"error\":\"x\",\"retry\":1}",
	                "retry is neither true nor false: {\"id\":7,\"error\":\"x\",\"retry\":1}"},
	        {"{\"id\":7,\"error\":\"x\",\"reason\":1}",
	                "reason is no string: {\"id\":7,\"error\":\"x\",\"reason\":1}"},
	        {"{\"id\":7,\"error\":\"x\",\"traceback\":1}",
	                "traceback is no string: {\"id\":7,\"error\":\"x\",\"traceback\":1}"},
	        {"{\"id\":7,\"error\":\"x\",\"retry_after\":-1}",
	                "retry_after is no number of 0 or more: {\"id\":7,\"error\":\"x\",\"retry_after\":-1}"},
	};
	struct exec_answer a;
	struct error err = {""};
	const char *line = "{\"id\":7,\"result\":{\"n\": 0.1, \"big\": 12345678901234567890123}}";
	char garbage[400];

	is_int(exec_answer_parse(line, strlen(line), 7, &a, &err), 0, "a result");
	is_str(a.result, "{\"n\": 0.1, \"big\": 12345678901234567890123}", "digit for digit");
	exec_answer_free(&a);

	line = "{\"id\":7,\"error\":\"boo\"}";
	is_int(exec_answer_parse(line, strlen(line), 7, &a, &err), 0, "an error");
	ok(!a.result && a.retry && a.retry_after < 0 && !a.reason && !a.traceback,
	        "is tried again unless it says otherwise");
	is_str(a.error, "boo", "its text");
	exec_answer_free(&a);

	line = "{\"id\":7,\"error\":\"boo\",\"retry\":false,\"reason\":\"bad\",\"traceback\":\"at\\nb\",\"retry_"
	       "after\":2.5}";
	is_int(exec_answer_parse(line, strlen(line), 7, &a, &err), 0, "an error with everything");
	ok(!a.retry && a.retry_after == 2.5, "not to be tried again");
	is_str(a.reason, "bad", "its reason");
	is_str(a.traceback, "at\nb", "its traceback");
	exec_answer_free(&a);

	line = "{\"id\":7,\"error\":\"boo\",\"reason\":null,\"traceback\":null,\"retry_after\":null}";
	is_int(exec_answer_parse(line, strlen(line), 7, &a, &err), 0, "null is as absent");
	exec_answer_free(&a);

	line = "{\"id\":7,\"progress\":12.5,\"text\":\"some\"}";
	is_int(exec_answer_parse(line, strlen(line), 7, &a, &err), 0, "progress");
	ok(a.progress && a.percent == 12.5 && !a.error && !a.result, "is no end");
	is_str(a.text, "some", "its text");
	exec_answer_free(&a);
	line = "{\"id\":7,\"progress\":null}";
	ok(exec_answer_parse(line, strlen(line), 7, &a, &err) == 0 && a.progress && a.percent < 0 && !a.text,
	        "progress of which nothing is known");
	exec_answer_free(&a);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		is_int(exec_answer_parse(bad[i].line, strlen(bad[i].line), 7, &a, &err), -1, "no answer: %s",
		        bad[i].line);
		is_str(err.msg, bad[i].message, "and the message shows it");
	}
	memset(garbage, '\xff', sizeof(garbage));
	is_int(exec_answer_parse(garbage, sizeof(garbage), 7, &a, &err), -1, "a long line of bad bytes");
	ok(strlen(err.msg) > 480 && strcmp(err.msg + strlen(err.msg) - 6, "\xEF\xBF\xBD...") == 0,
	        "is shown in UTF-8, cut");
}

static void
requests(void)
{
	json_t *head = json_pack("{s:i, s:s, s:f}", "id", 3, "task", "a\nb", "time_left", 0.1);
	char *line = exec_answer_request(head, "{\n \"n\":\r\n0.10}");

	is_str(line, "{\"id\":3,\"task\":\"a\\nb\",\"time_left\":0.1,\"payload\":{  \"n\":  0.10}}\n",
	        "a request is one line");
	free(line);
	json_decref(head);
}

int
main(void)
{
	results();
	members();
	answers();
	requests();
	return done_testing();
}
