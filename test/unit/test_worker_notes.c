/* sources: src/worker/isolation/notes.c src/common/clock.c */
/* libs: -pthread */
/*
 * What tasks in processes find again in a later run.
 */
#include <stdlib.h>

#include "src/common/clock.h"
#include "src/worker/isolation/notes.h"
#include "tap.h"

static struct notes *notes;

static void
put(const char *key, const char *text)
{
	notes_put(notes, key, text, strlen(text), clock_boottime_us() + 60 * CLOCK_US_PER_SECOND);
}

/* The text, "" when there is none. */
static const char *
get(const char *key)
{
	static char text[100];
	int64_t until_us;
	size_t size;
	char *note = notes_get(notes, key, &size, &until_us);

	snprintf(text, sizeof(text), "%s", note ? note : "");
	free(note);
	return text;
}

int
main(void)
{
	int64_t now_us = clock_boottime_us(), until_us = 0;
	char *large = calloc(1, NOTES_BYTES), *note, key[32];
	size_t size = 0;
	int kept = 0;

	notes = notes_new();
	if (!notes || !large)
		abort();
	is_str(get("a"), "", "nothing is there");
	put("a", "one");
	put("b", "two");
	is_str(get("a"), "one", "what was put is found");
	put("a", "three");
	is_str(get("a"), "three", "and replaced");
	is_str(get("b"), "two", "without the others");

	notes_put(notes, "bytes", "x\0y", 3, now_us + 60 * CLOCK_US_PER_SECOND);
	note = notes_get(notes, "bytes", &size, &until_us);
	ok(note && size == 3 && memcmp(note, "x\0y", 4) == 0, "bytes of any kind");
	is_int(until_us - now_us, 60 * CLOCK_US_PER_SECOND, "and how long they count");
	free(note);
	notes_put(notes, "old", "x", 1, now_us);
	is_str(get("old"), "", "what is over is not found");

	notes_put(notes, "large", large, NOTES_BYTES, INT64_MAX);
	is_str(get("a"), "three", "what is too large is not kept, and takes nobody's place");
	notes_put(notes, "large", large, NOTES_BYTES / 2, INT64_MAX);
	get("a");
	notes_put(notes, "large too", large, NOTES_BYTES / 2, INT64_MAX);
	note = notes_get(notes, "large", &size, &until_us);
	ok(!note, "what was used least recently goes when there is no room");
	free(note);
	is_str(get("a"), "three", "what was used since stays");
	notes_free(notes);

	notes = notes_new();
	for (int i = 0; i < NOTES_MAX + 10; i++) {
		snprintf(key, sizeof(key), "%d", i);
		put(key, "x");
	}
	for (int i = 0; i < NOTES_MAX + 10; i++) {
		snprintf(key, sizeof(key), "%d", i);
		kept += strcmp(get(key), "x") == 0;
	}
	is_int(kept, NOTES_MAX, "not more than so many");
	is_str(get("0"), "", "the oldest are gone");
	notes_free(notes);
	free(large);
	return done_testing();
}
