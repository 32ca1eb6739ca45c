/*
 * page.c: title and preview of a page.
 */
#include "page.h"

#include <stdlib.h>
#include <string.h>

#include "charset.h"
#include "content_type.h"
#include "html.h"

int
page_read(const char *body, size_t size, const char *content_type, bool cut, bool (*stop)(void *arg), void *stop_arg,
        struct page *page)
{
	bool html = content_type_is_html(content_type);
	const char *declared = charset_of_type(content_type);
	size_t mark, length = 0;
	char *text;
	int rc = 0;

	memset(page, 0, sizeof(*page));
	if (!declared && html)
		declared = html_charset(body, size);
	page->charset = charset_choose(body, size, declared, cut, &mark);
	text = charset_decode(body + mark, size - mark, page->charset, &length);
	if (!text)
		text = charset_decode(body + mark, size - mark, page->charset = "utf-8", &length);
	if (!text)
		return -1;
	if (html)
		rc = html_read(text, length, &page->title, &page->has_title, &page->preview, stop, stop_arg);
	else
		excerpt_add(&page->preview, text, length);
	free(text);
	return rc;
}
