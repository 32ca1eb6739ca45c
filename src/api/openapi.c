/*
 * openapi.c: GET /openapi.json: the file beside this one, as it was when this was built.
 */
#include "api.h"

__asm__(".pushsection .rodata\n"
        "openapi_json: .incbin \"src/api/openapi.json\"\n"
        ".byte 0\n"
        ".popsection\n");

extern const char openapi_json[];

void
openapi_get(struct exchange *x)
{
	answer_tagged(x, openapi_json);
}
