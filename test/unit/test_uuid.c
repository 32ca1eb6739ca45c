/* UUIDs: made, written, read, refused. */
/* sources: src/common/uuid.c */
#include "src/common/uuid.h"
#include "tap.h"

static int
parse(const char *text)
{
	return uuid_from_text(text, strlen(text), NULL);
}

int
main(void)
{
	uint8_t bytes[UUID_BYTES], again[UUID_BYTES];
	char text[UUID_TEXT_SIZE], other[UUID_TEXT_SIZE];

	is_int(uuid_v4_text(text), 0, "makes one");
	is_int((long long) strlen(text), UUID_TEXT_LEN, "of 36 characters");
	ok(text[14] == '4', "version 4");
	ok(strchr("89ab", text[19]) != NULL, "variant 10");
	uuid_v4_text(other);
	ok(strcmp(text, other) != 0, "the next is another");

	is_int(uuid_v4(bytes), 0, "as bytes too");
	uuid_to_text(bytes, text);
	is_int(uuid_from_text(text, UUID_TEXT_LEN, again), 0, "what it writes it reads");
	ok(memcmp(bytes, again, UUID_BYTES) == 0, "unchanged");

	is_int(parse("0199F2A0-7B1C-7def-8123-456789abcdef"), 0, "either case, any version");
	is_int(parse("00000000-0000-0000-0000-000000000000"), 0, "the nil UUID");
	is_int(parse(""), -1, "refuses the empty text");
	is_int(parse("0199f2a0-7b1c-7def-8123-456789abcde"), -1, "refuses one digit less");
	is_int(parse("0199f2a0-7b1c-7def-8123-456789abcdef0"), -1, "refuses one digit more");
	is_int(parse("0199f2a07b1c7def8123456789abcdef"), -1, "refuses it without hyphens");
	is_int(parse("{199f2a0-7b1c-7def-8123-456789abcde}"), -1, "refuses braces");
	is_int(parse("0199f2a0-7b1c-7def-8123-456789abcdeg"), -1, "refuses what is no digit");
	is_int(parse("0199f2a0 7b1c-7def-8123-456789abcdef"), -1, "refuses a blank for a hyphen");
	return done_testing();
}
