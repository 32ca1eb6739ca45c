/*
 * uuid.h: UUIDs (RFC 9562) as bytes and as their 36-character text.
 */
#ifndef JOBSCHED_UUID_H
#define JOBSCHED_UUID_H

#include <stddef.h>
#include <stdint.h>

#define UUID_BYTES 16
#define UUID_TEXT_LEN 36
#define UUID_TEXT_SIZE (UUID_TEXT_LEN + 1)

/* A random UUID, version 4, into out[UUID_BYTES]; 0, or -1 when the kernel gives no random bytes. */
int uuid_v4(uint8_t *out);

/* The same as text, into out[UUID_TEXT_SIZE]. */
int uuid_v4_text(char *out);

/* Lower-case text with NUL into out[UUID_TEXT_SIZE]; returns out. */
char *uuid_to_text(const uint8_t *bytes, char *out);

/* Exactly 8-4-4-4-12 hexadecimal digits of either case, any version; 0, or -1 when it is not.  out may be NULL. */
int uuid_from_text(const char *text, size_t len, uint8_t *out);

#endif
