/*
 * jobspec.c: reads plain jobs and refuses the rest, without ever raising an error.
 */
#include "jobspec.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#define NAME_MOST 255			/* characters, also of unique_key */
#define QUEUE_MOST 100
#define EPOCH_MOST 253402300799.0	/* the end of the year 9999 */
#define DURATION_MOST (30 * USECS_PER_DAY)
#define RETRIES_MOST 1000

void
jobspec_init(JobSpec *spec)
{
	memset(spec, 0, sizeof(*spec));
	spec->payload.type = jbvNull;
	spec->max_retries = 3;
	spec->backoff = "exponential";
}

/* ------------------------------------------------------------------ values */

/* ASCII only: which others are control characters is the locale's business. */
static bool
is_name(const char *text, int len)
{
	if (len < 1 || len > NAME_MOST)
		return false;
	for (int i = 0; i < len; i++)
	{
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return true;
}

bool
jobspec_name(JobSpec *spec, const char *name, int len)
{
	spec->name = name;
	spec->name_len = len;
	return is_name(name, len);
}

bool
jobspec_unique_key(JobSpec *spec, const char *key, int len)
{
	spec->unique_key = key;
	spec->unique_key_len = len;
	return is_name(key, len);
}

/* Without a key it changes nothing, but must be right. */
bool
jobspec_unique_mode(JobSpec *spec, const char *word, int len)
{
	return len == 4 && memcmp(word, "keep", 4) == 0;
}

static bool
is_queue_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
		(!first && (c == '.' || c == ':' || c == '-'));
}

bool
jobspec_queue(JobSpec *spec, const char *queue, int len)
{
	if (len < 1 || len > QUEUE_MOST || (len >= 4 && pg_strncasecmp(queue, "amq.", 4) == 0))
		return false;
	for (int i = 0; i < len; i++)
	{
		if (!is_queue_char(queue[i], i == 0))
			return false;
	}
	spec->queue = queue;
	spec->queue_len = len;
	return true;
}

void
jobspec_payload_text(const JobSpec *spec, StringInfo out)
{
	char	   *text;

	if (spec->payload.type == jbvNull)
		appendStringInfoString(out, "{}");
	else if (spec->payload.type == jbvBinary)
		(void) JsonbToCString(out, spec->payload.val.binary.data, spec->payload.val.binary.len);
	else
	{
		text = pnstrdup(spec->payload.val.string.val, spec->payload.val.string.len);
		escape_json(out, text);
		pfree(text);
	}
}

bool
jobspec_payload(JobSpec *spec, const JsonbValue *payload)
{
	static StringInfoData text;
	MemoryContext old;
	bool		fits;

	if (payload->type == jbvString)
	{
		/* At worst each byte becomes six. */
		if (payload->val.string.len > (js_max_payload - 2) / 6)
			return false;
	}
	else if (payload->type != jbvBinary || JsonContainerIsScalar(payload->val.binary.data))
		return false;
	spec->payload = *payload;
	if (payload->type == jbvString)
		return true;

	/* Its length as text counts; kept for the next unless it has become large. */
	if (text.data == NULL)
	{
		old = MemoryContextSwitchTo(TopMemoryContext);
		initStringInfo(&text);
		MemoryContextSwitchTo(old);
	}
	resetStringInfo(&text);
	jobspec_payload_text(spec, &text);
	fits = text.len <= js_max_payload;
	if (text.maxlen > 64 * 1024)
	{
		pfree(text.data);
		text.data = NULL;
	}
	return fits;
}

bool
jobspec_run_at(JobSpec *spec, TimestampTz run_at)
{
	spec->has_run_at = true;
	spec->run_at = run_at;
	return !TIMESTAMP_NOT_FINITE(run_at);
}

bool
jobspec_priority(JobSpec *spec, int32 priority)
{
	spec->priority = (int16) priority;
	return priority >= 0 && priority < JS_PRIORITIES;
}

bool
jobspec_max_retries(JobSpec *spec, int32 max_retries)
{
	spec->max_retries = (int16) max_retries;
	return max_retries >= 0 && max_retries <= RETRIES_MOST;
}

bool
jobspec_backoff(JobSpec *spec, const char *word, int len)
{
	static const char *const words[] = {"exponential", "linear", "constant"};

	for (int i = 0; i < (int) lengthof(words); i++)
	{
		if (len == (int) strlen(words[i]) && memcmp(word, words[i], len) == 0)
		{
			spec->backoff = words[i];
			return true;
		}
	}
	return false;
}

/* 00-TRACE-PARENT-FLAGS in lower-case hexadecimal digits, neither of the ids all zeros. */
bool
jobspec_traceparent(JobSpec *spec, const char *text, int len)
{
	static const char shape[] = "00-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";

	if (len != JOBSPEC_TRACEPARENT)
		return false;
	for (int i = 0; i < len; i++)
	{
		bool		digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');

		if (shape[i] == 'h' ? !digit : text[i] != shape[i])
			return false;
	}
	spec->traceparent = text;
	return strspn(text + 3, "0") < 32 && strspn(text + 36, "0") < 16;
}

/* More than nothing (or, with `zero`, nothing) and at most 30 days, with no months in it. */
bool
jobspec_is_duration(const Interval *interval, bool zero)
{
	int64		us;

	if (interval->month != 0 || abs(interval->day) > 30 || interval->time > DURATION_MOST || interval->time < -DURATION_MOST)
		return false;
	us = interval->day * USECS_PER_DAY + interval->time;
	return us >= (zero ? 0 : 1) && us <= DURATION_MOST;
}

/* ------------------------------------------------------------------ values in JSON */

static bool
read_double(const JsonbValue *v, double *number)
{
	if (v->type != jbvNumeric)
		return false;
	*number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(v->val.numeric)));
	return true;
}

static bool
read_int(const JsonbValue *v, int32 *number)
{
	double		d;

	if (!read_double(v, &d) || d < PG_INT32_MIN || d > PG_INT32_MAX || d != floor(d))
		return false;
	*number = (int32) d;
	return true;
}

static bool
read_duration(const JsonbValue *v, bool zero, Interval *interval)
{
	double		seconds;

	if (!read_double(v, &seconds) || !(seconds >= 0 && seconds <= DURATION_MOST / (double) USECS_PER_SEC))
		return false;
	memset(interval, 0, sizeof(*interval));
	interval->time = (int64) rint(seconds * USECS_PER_SEC);
	return jobspec_is_duration(interval, zero);
}

/* `n` digits at *p, which moves on. */
static bool
read_digits(const char **p, const char *end, int n, int *value)
{
	*value = 0;
	if (end - *p < n)
		return false;
	for (int i = 0; i < n; i++, (*p)++)
	{
		if (**p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (**p - '0');
	}
	return true;
}

static bool
read_char(const char **p, const char *end, char c)
{
	if (*p == end || **p != c)
		return false;
	(*p)++;
	return true;
}

/* Z, +01, +01:30 or +0130: seconds east of UTC. */
static bool
read_offset(const char **p, const char *end, int *seconds)
{
	int			sign = 1;
	int			hours,
				minutes = 0;

	*seconds = 0;
	if (read_char(p, end, 'Z'))
		return *p == end;
	if (read_char(p, end, '-'))
		sign = -1;
	else if (!read_char(p, end, '+'))
		return false;
	if (!read_digits(p, end, 2, &hours))
		return false;
	if (*p != end)
	{
		(void) read_char(p, end, ':');
		if (!read_digits(p, end, 2, &minutes))
			return false;
	}
	*seconds = sign * (hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE);
	return *p == end && hours <= 15 && minutes < 60;
}

/* RFC 3339, with a blank for the T also. */
static bool
read_rfc3339(const char *text, int len, TimestampTz *at)
{
	const char *p = text;
	const char *end = text + len;
	struct pg_tm tm = {0};
	fsec_t		fsec = 0;
	int			east,
				west;

	if (!read_digits(&p, end, 4, &tm.tm_year) || !read_char(&p, end, '-') || !read_digits(&p, end, 2, &tm.tm_mon) ||
		!read_char(&p, end, '-') || !read_digits(&p, end, 2, &tm.tm_mday))
		return false;
	if (!read_char(&p, end, 'T') && !read_char(&p, end, ' '))
		return false;
	if (!read_digits(&p, end, 2, &tm.tm_hour) || !read_char(&p, end, ':') || !read_digits(&p, end, 2, &tm.tm_min) ||
		!read_char(&p, end, ':') || !read_digits(&p, end, 2, &tm.tm_sec))
		return false;
	if (read_char(&p, end, '.'))
	{
		int			digit,
					unit = USECS_PER_SEC / 10;

		for (; p != end && *p >= '0' && *p <= '9'; unit /= 10)
		{
			if (unit == 0 || !read_digits(&p, end, 1, &digit))
				return false;
			fsec += digit * unit;
		}
		if (unit == USECS_PER_SEC / 10)
			return false;
	}
	if (!read_offset(&p, end, &east))
		return false;
	if (tm.tm_year < 1 || tm.tm_mon < 1 || tm.tm_mon > MONTHS_PER_YEAR || tm.tm_mday < 1 ||
		tm.tm_mday > day_tab[isleap(tm.tm_year)][tm.tm_mon - 1] || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
		return false;
	west = -east;
	return tm2timestamp(&tm, fsec, &west, at) == 0;
}

static bool
read_time(const JsonbValue *v, TimestampTz *at)
{
	double		epoch;

	if (v->type == jbvString)
		return read_rfc3339(v->val.string.val, v->val.string.len, at);
	if (!read_double(v, &epoch) || !(epoch >= 0 && epoch <= EPOCH_MOST))
		return false;
	*at = DatumGetTimestampTz(DirectFunctionCall1(float8_timestamptz, Float8GetDatum(epoch)));
	return true;
}

/* ------------------------------------------------------------------ fields */

typedef enum Field
{
	F_NAME, F_PAYLOAD, F_RUN_AT, F_QUEUE, F_PRIORITY, F_MAX_RETRIES, F_TIMEOUT, F_EXPIRES_AT, F_RETRY_DELAY, F_RETRY_DELAY_MAX,
	F_BACKOFF, F_FREQUENCY, F_TRACEPARENT, F_UNIQUE_KEY, F_UNIQUE_MODE
} Field;

static const struct
{
	const char *name;
	Field		field;
	unsigned	forms;
} fields[] = {
	{"name", F_NAME, 1 << JOBSPEC_SQL | 1 << JOBSPEC_REST},
	{"payload", F_PAYLOAD, 1 << JOBSPEC_SQL | 1 << JOBSPEC_REST},
	{"run_at", F_RUN_AT, 1 << JOBSPEC_SQL},
	{"next_run_time", F_RUN_AT, 1 << JOBSPEC_REST},
	{"frequency", F_FREQUENCY, 1 << JOBSPEC_REST},
	{"queue", F_QUEUE, 1 << JOBSPEC_SQL | 1 << JOBSPEC_REST},
	{"priority", F_PRIORITY, 1 << JOBSPEC_SQL | 1 << JOBSPEC_REST},
	{"max_retries", F_MAX_RETRIES, 1 << JOBSPEC_SQL | 1 << JOBSPEC_REST},
	{"timeout", F_TIMEOUT, 1 << JOBSPEC_SQL | 1 << JOBSPEC_REST},
	{"expires_at", F_EXPIRES_AT, 1 << JOBSPEC_SQL},
	{"retry_delay", F_RETRY_DELAY, 1 << JOBSPEC_SQL},
	{"retry_delay_max", F_RETRY_DELAY_MAX, 1 << JOBSPEC_SQL},
	{"backoff", F_BACKOFF, 1 << JOBSPEC_SQL},
	{"traceparent", F_TRACEPARENT, 1 << JOBSPEC_SQL | 1 << JOBSPEC_REST},
	{"unique_key", F_UNIQUE_KEY, 1 << JOBSPEC_SQL | 1 << JOBSPEC_REST},
	{"unique_mode", F_UNIQUE_MODE, 1 << JOBSPEC_SQL},
};

static bool
set_field(JobSpec *spec, Field field, const JsonbValue *v)
{
	int32		number;

	switch (field)
	{
		case F_NAME:
			return v->type == jbvString && jobspec_name(spec, v->val.string.val, v->val.string.len);
		case F_PAYLOAD:
			return jobspec_payload(spec, v);
		case F_RUN_AT:
			spec->has_run_at = true;
			return read_time(v, &spec->run_at);
		case F_QUEUE:
			return v->type == jbvString && jobspec_queue(spec, v->val.string.val, v->val.string.len);
		case F_PRIORITY:
			return read_int(v, &number) && jobspec_priority(spec, number);
		case F_MAX_RETRIES:
			return read_int(v, &number) && jobspec_max_retries(spec, number);
		case F_TIMEOUT:
			spec->has_timeout = true;
			return read_duration(v, false, &spec->timeout);
		case F_EXPIRES_AT:
			spec->has_expires_at = true;
			return read_time(v, &spec->expires_at);
		case F_RETRY_DELAY:
			spec->has_retry_delay = true;
			return read_duration(v, true, &spec->retry_delay);
		case F_RETRY_DELAY_MAX:
			spec->has_retry_delay_max = true;
			return read_duration(v, true, &spec->retry_delay_max);
		case F_BACKOFF:
			return v->type == jbvString && jobspec_backoff(spec, v->val.string.val, v->val.string.len);
		case F_TRACEPARENT:
			return v->type == jbvString && jobspec_traceparent(spec, v->val.string.val, v->val.string.len);
		case F_UNIQUE_KEY:
			return v->type == jbvString && jobspec_unique_key(spec, v->val.string.val, v->val.string.len);
		case F_UNIQUE_MODE:
			return v->type == jbvString && jobspec_unique_mode(spec, v->val.string.val, v->val.string.len);
		case F_FREQUENCY:
			return v->type == jbvString && v->val.string.len == 4 && memcmp(v->val.string.val, "once", 4) == 0;
	}
	return false;
}

static bool
read_field(JobSpec *spec, const JsonbValue *key, const JsonbValue *v, JobSpecForm form, unsigned *seen)
{
	for (int i = 0; i < (int) lengthof(fields); i++)
	{
		if ((fields[i].forms & (1U << form)) != 0 && key->val.string.len == (int) strlen(fields[i].name) &&
			memcmp(key->val.string.val, fields[i].name, key->val.string.len) == 0)
		{
			*seen |= 1U << fields[i].field;
			return set_field(spec, fields[i].field, v);
		}
	}
	return false;
}

bool
jobspec_from_json(JobSpec *spec, JsonbContainer *job, JobSpecForm form)
{
	unsigned	needed = form == JOBSPEC_REST ? 1U << F_NAME | 1U << F_FREQUENCY | 1U << F_RUN_AT : 1U << F_NAME;
	unsigned	seen = 0;
	JsonbIterator *it;
	JsonbValue	key,
				value;

	jobspec_init(spec);
	if (!JsonContainerIsObject(job))
		return false;
	it = JsonbIteratorInit(job);
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		/* null counts as absent, and has its own rules */
		if (!read_field(spec, &key, &value, form, &seen))
			return false;
	}
	return (seen & needed) == needed;
}
