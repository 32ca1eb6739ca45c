/*
 * log.c: one event, one line, one write.
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "clock.h"

/* A longer line is cut: up to PIPE_BUF, so that writers sharing a pipe do not mix their lines. */
#define LINE_MAX_BYTES 4096

/* Set once by log_setup() before threads start, only read after that. */
static const char *log_program = "jobsched";
static _Atomic enum log_level log_minimum = LOG_LEVEL_INFO;
static _Atomic bool log_json = false;

static const char *const level_names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
	size_t limit; /* room kept for what must close the line */
};

void
log_setup(const char *program, enum log_level level, bool json)
{
	log_program = program;
	atomic_store(&log_minimum, level);
	atomic_store(&log_json, json);
}

int
log_level_parse(const char *name, enum log_level *level)
{
	for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++) {
		if (strcasecmp(name, level_names[i]) == 0) {
			*level = (enum log_level) i;
			return 0;
		}
	}
	if (strcasecmp(name, "WARN") == 0) {
		*level = LOG_LEVEL_WARNING;
		return 0;
	}
	return -1;
}

bool
log_enabled(enum log_level level)
{
	return level >= atomic_load_explicit(&log_minimum, memory_order_relaxed);
}

const char *
log_number(char *buf, unsigned long size, long long n)
{
	snprintf(buf, size, "%lld", n);
	return buf;
}

/* All or nothing, so that an escape or a character is never cut in half. */
static bool
put(struct line *line, const char *bytes, size_t n)
{
	if (line->len + n > line->limit)
		return false;
	memcpy(line->text + line->len, bytes, n);
	line->len += n;
	return true;
}

static bool
put_text(struct line *line, const char *text)
{
	return put(line, text, strlen(text));
}

/* Length of the valid UTF-8 sequence at p, 0 when there is none (RFC 3629: no overlong forms, no surrogates). */
static size_t
utf8_length(const unsigned char *p)
{
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xC2 && p[0] <= 0xDF)
		return (p[1] & 0xC0) == 0x80 ? 2 : 0;
	if (p[0] >= 0xE0 && p[0] <= 0xEF) {
		if ((p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80)
			return 0;
		if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F))
			return 0;
		return 3;
	}
	if (p[0] >= 0xF0 && p[0] <= 0xF4) {
		if ((p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80 || (p[3] & 0xC0) != 0x80)
			return 0;
		if ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
			return 0;
		return 4;
	}
	return 0;
}

/* The value between quotes, with JSON's escapes, in both formats; bytes that are not UTF-8 become U+FFFD. */
static void
put_quoted(struct line *line, const char *value)
{
	const unsigned char *p = (const unsigned char *) value;

	/* One byte is kept for the closing quote. */
	if (!put(line, "\"", 1))
		return;
	line->limit--;
	while (*p) {
		size_t n = utf8_length(p);
		bool done;

		if (n == 0) {
			n = 1;
			done = put_text(line, "\xEF\xBF\xBD");
		} else if (*p == '"' || *p == '\\') {
			char escape[2] = {'\\', (char) *p};

			done = put(line, escape, 2);
		} else if (*p == '\n') {
			done = put_text(line, "\\n");
		} else if (*p == '\t') {
			done = put_text(line, "\\t");
		} else if (*p == '\r') {
			done = put_text(line, "\\r");
		} else if (*p < 0x20 || *p == 0x7F) {
			char escape[8];

			snprintf(escape, sizeof(escape), "\\u%04x", *p);
			done = put_text(line, escape);
		} else {
			done = put(line, (const char *) p, n);
		}
		if (!done)
			break;
		p += n;
	}
	line->limit++;
	put(line, "\"", 1);
}

static bool
is_plain(const char *value)
{
	if (*value == '\0')
		return false;
	for (const char *p = value; *p; p++) {
		if (*p <= ' ' || *p >= 0x7F || *p == '"' || *p == '\\' || *p == '=')
			return false;
	}
	return true;
}

static void
put_pair(struct line *line, bool json, const char *key, const char *value)
{
	/* Room for the key, two quotes and a little of the value, or the pair is left out. */
	if (line->len + strlen(key) + 16 > line->limit)
		return;
	if (json) {
		put_text(line, ",");
		put_quoted(line, key);
		put_text(line, ":");
		put_quoted(line, value ? value : "");
		return;
	}
	put_text(line, " ");
	put_text(line, key);
	put_text(line, "=");
	if (!value)
		return;
	if (!is_plain(value))
		put_quoted(line, value);
	else if (!put_text(line, value))
		put(line, value, line->limit - line->len);
}

static void
put_start(struct line *line, bool json, enum log_level level, const char *event)
{
	char now[CLOCK_TEXT_SIZE];

	clock_format(clock_realtime_us(), 3, now);
	if (json) {
		put_text(line, "{\"time\":\"");
		put_text(line, now);
		put_text(line, "\",\"level\":\"");
		put_text(line, level_names[level]);
		put_text(line, "\",\"program\":");
		put_quoted(line, log_program);
		put_text(line, ",\"event\":");
		put_quoted(line, event);
	} else {
		put_text(line, now);
		put_text(line, " ");
		put_text(line, level_names[level]);
		put_text(line, " ");
		put_text(line, log_program);
		put_text(line, " ");
		put_text(line, event);
	}
}

void
log_event(enum log_level level, const char *event, ...)
{
	bool json = atomic_load_explicit(&log_json, memory_order_relaxed);
	int saved_errno = errno;
	struct line line;
	const char *key;
	va_list args;

	if (!log_enabled(level))
		return;

	line.len = 0;
	line.limit = LINE_MAX_BYTES - 2; /* "}\n" */
	put_start(&line, json, level, event);
	va_start(args, event);
	while ((key = va_arg(args, const char *)) != NULL)
		put_pair(&line, json, key, va_arg(args, const char *));
	va_end(args);

	if (json)
		line.text[line.len++] = '}';
	line.text[line.len++] = '\n';

	/* Nothing can be done about a log that cannot be written. */
	while (write(STDERR_FILENO, line.text, line.len) < 0 && errno == EINTR)
		;
	errno = saved_errno;
}
