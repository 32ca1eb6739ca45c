/*
 * uuid.c: make, read and write UUIDs.
 */
#include "uuid.h"

#include <errno.h>
#include <sys/random.h>

#include "hex.h"

int
uuid_v4(uint8_t *out)
{
	size_t have = 0;

	while (have < UUID_BYTES) {
		ssize_t n = getrandom(out + have, UUID_BYTES - have, 0);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		have += (size_t) n;
	}
	out[6] = (uint8_t) ((out[6] & 0x0F) | 0x40); /* version 4 */
	out[8] = (uint8_t) ((out[8] & 0x3F) | 0x80); /* variant 10 */
	return 0;
}

int
uuid_v4_text(char *out)
{
	uint8_t bytes[UUID_BYTES];

	if (uuid_v4(bytes) < 0)
		return -1;
	uuid_to_text(bytes, out);
	return 0;
}

char *
uuid_to_text(const uint8_t *bytes, char *out)
{
	static const char digits[] = "0123456789abcdef";
	char *p = out;

	for (int i = 0; i < UUID_BYTES; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = digits[bytes[i] >> 4];
		*p++ = digits[bytes[i] & 0x0F];
	}
	*p = '\0';
	return out;
}

int
uuid_from_text(const char *text, size_t len, uint8_t *out)
{
	size_t pos = 0;

	if (len != UUID_TEXT_LEN)
		return -1;
	for (int i = 0; i < UUID_BYTES; i++) {
		int high, low;

		if (i == 4 || i == 6 || i == 8 || i == 10) {
			if (text[pos++] != '-')
				return -1;
		}
		high = hex_digit(text[pos++]);
		low = hex_digit(text[pos++]);
		if (high < 0 || low < 0)
			return -1;
		if (out)
			out[i] = (uint8_t) (high << 4 | low);
	}
	return 0;
}
