/* sources: src/common/utf8.c src/worker/pgarray.c */
/*
 * Text of any origin on its way into PostgreSQL: UTF-8, array literals.
 */
#include <stdlib.h>

#include "src/worker/pgarray.h"
#include "src/common/utf8.h"
#include "tap.h"

#define BAD "\xEF\xBF\xBD"

static void
utf8(void)
{
	static const struct {
		const char *in, *out, *what;
		size_t len;			/* 0: strlen */
	} cases[] = {
		{ "", "", "nothing", 0 },
		{ "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "one to four bytes", 0 },
		{ "\xFF" "a", BAD "a", "a byte that never occurs", 0 },
		{ "\x80", BAD, "a lone continuation", 0 },
		{ "\xC3", BAD, "a sequence cut off", 0 },
		{ "\xE2\x82x", BAD BAD "x", "a sequence interrupted", 0 },
		{ "\xC0\xAF", BAD BAD, "an overlong slash", 0 },
		{ "\xE0\x80\xAF", BAD BAD BAD, "an overlong form of three bytes", 0 },
		{ "\xF0\x80\x80\xAF", BAD BAD BAD BAD, "an overlong form of four bytes", 0 },
		{ "\xED\xA0\x80", BAD BAD BAD, "a surrogate", 0 },
		{ "\xF4\x90\x80\x80", BAD BAD BAD BAD, "beyond U+10FFFF", 0 },
		{ "a\0b", "a" BAD "b", "NUL, which text in PostgreSQL cannot hold", 3 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = cases[i].len ? cases[i].len : strlen(cases[i].in);
		char *out = malloc(UTF8_CLEAN_SIZE(len));

		is_int(utf8_is_clean(cases[i].in, len), strstr(cases[i].out, BAD) == NULL, "%s: clean or not", cases[i].what);
		is_int(utf8_clean(cases[i].in, len, out), strlen(cases[i].out), "%s: length", cases[i].what);
		is_str(out, cases[i].out, "%s", cases[i].what);
		free(out);
	}
	is_int(utf8_prefix("\xC3\xA4\xC3\xA4x", 2), 4, "a prefix ends between characters");
	is_int(utf8_prefix("ab", 9), 2, "a prefix longer than the text");
}

static void
arrays(void)
{
	struct pgarray a = { 0 };
	char number[32];

	pgarray_start(&a);
	is_str(pgarray_text(&a), "{}", "an empty array");
	pgarray_start(&a);
	pgarray_add_word(&a, "x-1");
	pgarray_add_number(&a, INT64_MIN);
	pgarray_add_text(&a, NULL);
	pgarray_add_text(&a, "");
	pgarray_add_text(&a, "NULL");
	pgarray_add_text(&a, "a \"b\" \\ {,}");
	is_str(pgarray_text(&a), "{x-1,-9223372036854775808,NULL,\"\",\"NULL\",\"a \\\"b\\\" \\\\ {,}\"}", "words, numbers, null, quoted text");

	pgarray_start(&a);
	for (int i = 0; i < 10000; i++)
		pgarray_add_number(&a, i);
	ok(pgarray_text(&a) != NULL, "grows");
	snprintf(number, sizeof(number), ",%d}", 9999);
	is_str(pgarray_text(&a) + strlen(pgarray_text(&a)) - strlen(number), number, "up to its last element");
	pgarray_free(&a);
}

int
main(void)
{
	utf8();
	arrays();
	return done_testing();
}
