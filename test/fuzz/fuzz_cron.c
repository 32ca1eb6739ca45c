/*
 * fuzz_cron.c: any text as a cron expression, from any time on.
 *
 * Input: eight bytes of `after`, then the expression.  What is refused must say why, inside the expression; what is
 * accepted can be described, and must give a later time that does not go back when asked again, or none because the
 * calendar ends.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/extension/cron_describe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Kept when built without debugging, unlike assert(). */
static void
must(int holds)
{
	if (!holds)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CronSpec spec;
	CronError error;
	int64_t after, next, again;
	char *expr;

	if (size < sizeof(after) || size > 4096)
		return 0;
	memcpy(&after, data, sizeof(after));
	data += sizeof(after);
	size -= sizeof(after);
	expr = malloc(size + 1); /* of its exact size, so that a read beyond it is seen */
	if (!expr)
		return 0;
	memcpy(expr, data, size);
	expr[size] = 0;

	if (!cron_parse(expr, &spec, &error)) {
		must(error.message[0] != 0 && strlen(error.message) < sizeof(error.message));
		for (const char *c = error.message; *c; c++)
			must((unsigned char) *c >= ' ' && *c != 0x7f);
		must(error.position >= 0 && (size_t) error.position <= strlen(expr));
	} else {
		char description[CRON_DESCRIPTION_SIZE];

		cron_describe(&spec, description);
		must(strlen(description) > 0 && strlen(description) < sizeof(description) - 1);
		for (int i = 0; i < 4 && cron_next_utc(&spec, after, &next); i++) {
			must(next > after && next <= CRON_LAST_SECOND);
			/* nothing matches in between: from the second before it, it is the next one too */
			if (!spec.every)
				must(cron_next_local(&spec, next - 1, &again) && again == next);
			after = next;
		}
		/* from here on a match is never further away than 40 years */
		if (!spec.every && after > -INT64_C(1000000000000) &&
		        after < CRON_LAST_SECOND - INT64_C(41) * 366 * 86400)
			must(cron_next_local(&spec, after, &next) && next - after < INT64_C(41) * 366 * 86400);
	}
	free(expr);
	return 0;
}
