/*
 * content_type.c: what kind of body a Content-Type announces.
 */
#include "content_type.h"

#include <string.h>
#include <strings.h>

static bool
is(const char *type, const char *wanted)
{
	size_t len = strlen(wanted);

	return strncasecmp(type, wanted, len) == 0 && strchr("; \t", type[len]) != NULL;
}

static bool
ends(const char *type, const char *suffix)
{
	size_t len = strcspn(type, "; \t"), n = strlen(suffix);

	return len > n && strncasecmp(type + len - n, suffix, n) == 0;
}

bool
content_type_is_html(const char *type)
{
	return is(type, "text/html") || is(type, "application/xhtml+xml");
}

bool
content_type_is_readable(const char *type)
{
	return strncasecmp(type, "text/", 5) == 0 || content_type_is_html(type) || is(type, "application/json") ||
	        ends(type, "+json");
}

bool
content_type_is_text(const char *type)
{
	return content_type_is_readable(type) || ends(type, "/xml") || ends(type, "+xml") ||
	        is(type, "application/x-www-form-urlencoded");
}
