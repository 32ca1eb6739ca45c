/* Log lines: one a event, whatever the values are. */
/* sources: src/common/log.c src/common/clock.c */
/* libs: -ljansson */
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/common/log.h"
#include "tap.h"

static char captured[16384];
static int saved, pipe_end;

static void
begin(void)
{
	int ends[2];

	if (pipe(ends) < 0)
		abort();
	saved = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	pipe_end = ends[0];
}

/* What was logged since begin(), without the time in front. */
static const char *
end(void)
{
	ssize_t n;

	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(pipe_end, captured, sizeof(captured) - 1);
	close(pipe_end);
	captured[n > 0 ? n : 0] = '\0';
	return strlen(captured) > 25 ? captured + 25 : captured;
}

#define LOGGED(...) (begin(), log_event(__VA_ARGS__, NULL), end())

static json_t *
parsed(const char *line)
{
	(void) line;
	return json_loads(captured, 0, NULL);
}

static const char *
get(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

int
main(void)
{
	enum log_level level;
	char big[9000];
	json_t *line;

	is_str(LOGGED(LOG_LEVEL_INFO, "early"), "INFO jobsched early\n", "logs before it is set up");
	log_setup("prog", LOG_LEVEL_INFO, false);
	is_str(LOGGED(LOG_LEVEL_INFO, "connected", "host", "::1", "port", LOG_NUM(5672)),
	        "INFO prog connected host=::1 port=5672\n", "event and pairs");
	ok(captured[4] == '-' && captured[10] == 'T' && captured[19] == '.' && captured[23] == 'Z',
	        "begins with the time in milliseconds, UTC");
	is_str(LOGGED(LOG_LEVEL_DEBUG, "hidden"), "", "says nothing below the level");
	ok(!log_enabled(LOG_LEVEL_DEBUG) && log_enabled(LOG_LEVEL_ERROR), "and tells so beforehand");
	is_str(LOGGED(LOG_LEVEL_WARNING, "x", "a", NULL, "b", ""), "WARNING prog x a= b=\"\"\n", "NULL and empty");
	is_str(LOGGED(LOG_LEVEL_ERROR, "x", "v", "two words", "q", "say \"hi\"", "e", "a=b"),
	        "ERROR prog x v=\"two words\" q=\"say \\\"hi\\\"\" e=\"a=b\"\n", "quotes what would be ambiguous");
	is_str(LOGGED(LOG_LEVEL_INFO, "x", "v", "a\nb\tc\r\x01\x7f"), "INFO prog x v=\"a\\nb\\tc\\r\\u0001\\u007f\"\n",
	        "a line stays a line");
	is_str(LOGGED(LOG_LEVEL_INFO, "x", "v", "gr\xC3\xBC\xC3\x9F\x65"), "INFO prog x v=\"gr\xC3\xBC\xC3\x9F\x65\"\n",
	        "UTF-8 is kept");
	is_str(LOGGED(LOG_LEVEL_INFO, "x", "v", "a\xFF\xC3"), "INFO prog x v=\"a\xEF\xBF\xBD\xEF\xBF\xBD\"\n",
	        "bytes that are not UTF-8 are replaced");

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	LOGGED(LOG_LEVEL_INFO, "x", "v", big, "w", "1");
	is_int((long long) strlen(captured), 4095, "a long line is cut to what a pipe takes whole");
	ok(captured[strlen(captured) - 1] == '\n', "and still ends");

	log_setup("prog", LOG_LEVEL_DEBUG, true);
	line = parsed(LOGGED(LOG_LEVEL_INFO, "connected", "host", "a\"b\\\n\x02", "n", LOG_NUM(-3), "none", NULL));
	if (ok(line != NULL, "as JSON it parses")) {
		is_str(get(line, "level"), "INFO", "level");
		is_str(get(line, "program"), "prog", "program");
		is_str(get(line, "event"), "connected", "event");
		is_str(get(line, "host"), "a\"b\\\n\x02", "values come back as they were");
		is_str(get(line, "n"), "-3", "numbers too");
		is_str(get(line, "none"), "", "NULL is empty");
		ok(get(line, "time") != NULL, "and the time is there");
		json_decref(line);
	}
	for (int tail = 0; tail < 8; tail++) {
		memset(big, 'x', sizeof(big) - 1);
		strcpy(big + 3960 + tail,
		        "\xE2\x82\xAC\n\"\xFF\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC"
		        "\xE2\x82\xAC");
		strcat(big,
		        "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82"
		        "\xAC\xE2\x82\xAC\xE2\x82\xAC");
		line = parsed(LOGGED(LOG_LEVEL_INFO, "x", "v", big, "w", big, "z", "end"));
		ok(line != NULL, "cut JSON is JSON (%d)", tail);
		json_decref(line);
	}

	ok(log_level_parse("debug", &level) == 0 && level == LOG_LEVEL_DEBUG, "reads debug");
	ok(log_level_parse("WARN", &level) == 0 && level == LOG_LEVEL_WARNING, "reads WARN");
	ok(log_level_parse("Warning", &level) == 0 && level == LOG_LEVEL_WARNING, "reads Warning");
	ok(log_level_parse("verbose", &level) == -1, "refuses others");
	return done_testing();
}
