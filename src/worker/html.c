/*
 * html.c: reads HTML with libxml2's parser.
 *
 * The parser is fed piece by piece and calls back for elements and text (SAX): nothing is kept of a page but the
 * excerpts, and it ends as soon as they are full, when the task is told to stop, or where elements are nested so deep
 * that closing them would cost more than the page is worth.
 */
#include "html.h"

#include <libxml/HTMLparser.h>
#include <string.h>
#include <strings.h>

#include "charset.h"

#define PIECE 4096 /* bytes given to the parser at a time */
#define DEPTH_MAX 512 /* of nested elements, as browsers have it */
#define DECLARED_MAX 1024 /* bytes in which a page says its encoding */

struct reader {
	htmlParserCtxtPtr parser;
	struct excerpt *title, *text;
	bool *has_title;
	int depth;
	int hidden_depth; /* depth of the outermost element that is not shown; 0: none */
	int title_depth; /* depth of the <title> that is read; 0: none */
	int drawing_depth; /* depth of the outermost <svg>, whose titles are not the page's; 0: none */
	bool full; /* nothing more is wanted */
};

/* Elements whose text no reader sees. */
static const char *const unseen[] = {"script", "style", "noscript", "template", "title", "iframe", "object", "audio",
        "video", "canvas", "datalist", "noframes", "noembed", "head", NULL};

/* Elements that stand within a word or a line: their ends are no ends of words. */
static const char *const inner[] = {"a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del",
        "dfn", "em", "font", "i", "ins", "kbd", "label", "mark", "q", "rp", "ruby", "s", "samp", "small", "span",
        "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr", NULL};

void
html_setup(void)
{
	xmlInitParser();
}

static bool
is_one_of(const xmlChar *name, const char *const *names)
{
	for (; *names; names++) {
		if (strcasecmp((const char *) name, *names) == 0)
			return true;
	}
	return false;
}

/* attributes: name, value, ..., NULL; a value may be NULL. */
static const char *
attribute(const xmlChar **attributes, const char *name)
{
	for (size_t i = 0; attributes && attributes[i]; i += 2) {
		if (strcasecmp((const char *) attributes[i], name) == 0)
			return attributes[i + 1] ? (const char *) attributes[i + 1] : "";
	}
	return NULL;
}

/* style="... display : none ...": written so, not computed. */
static bool
style_hides(const char *style)
{
	const char *p = strcasestr(style, "display");

	if (!p)
		return false;
	p += strlen("display");
	p += strspn(p, " \t\r\n");
	if (*p != ':')
		return false;
	p++;
	p += strspn(p, " \t\r\n");
	return strncasecmp(p, "none", 4) == 0;
}

static bool
is_hidden(const xmlChar *name, const xmlChar **attributes)
{
	const char *style = attribute(attributes, "style");

	return is_one_of(name, unseen) || attribute(attributes, "hidden") || (style && style_hides(style)) ||
	        (strcasecmp((const char *) name, "dialog") == 0 && !attribute(attributes, "open"));
}

static void
on_start(void *arg, const xmlChar *name, const xmlChar **attributes)
{
	struct reader *r = arg;

	if (++r->depth > DEPTH_MAX)
		r->full = true;
	if (r->full)
		return;
	if (!is_one_of(name, inner))
		excerpt_break(r->text);
	if (r->drawing_depth == 0 && strcasecmp((const char *) name, "svg") == 0)
		r->drawing_depth = r->depth;
	if (!*r->has_title && r->drawing_depth == 0 && strcasecmp((const char *) name, "title") == 0) {
		*r->has_title = true;
		r->title_depth = r->depth;
	}
	if (r->hidden_depth == 0 && is_hidden(name, attributes))
		r->hidden_depth = r->depth;
}

static void
on_end(void *arg, const xmlChar *name)
{
	struct reader *r = arg;

	if (r->title_depth == r->depth)
		r->title_depth = 0;
	if (r->hidden_depth == r->depth)
		r->hidden_depth = 0;
	if (r->drawing_depth == r->depth)
		r->drawing_depth = 0;
	if (!is_one_of(name, inner))
		excerpt_break(r->text);
	r->depth--;
}

static void
on_text(void *arg, const xmlChar *text, int size)
{
	struct reader *r = arg;

	if (r->full)
		return;
	if (r->title_depth > 0)
		excerpt_add(r->title, (const char *) text, (size_t) size);
	else if (r->hidden_depth == 0)
		excerpt_add(r->text, (const char *) text, (size_t) size);
	r->full = excerpt_is_full(r->text);
}

/* Feeds the page to a parser with these callbacks; stop may be NULL.  Returns as html_read. */
static int
parse(struct reader *r, htmlSAXHandler *sax, void *arg, const char *page, size_t size, bool (*stop)(void *arg),
        void *stop_arg)
{
	int rc = 0;

	r->parser = htmlCreatePushParserCtxt(sax, arg, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
	if (!r->parser)
		return -1;
	htmlCtxtUseOptions(r->parser,
	        HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET |
	                HTML_PARSE_IGNORE_ENC | HTML_PARSE_NODEFDTD | HTML_PARSE_COMPACT);
	for (size_t at = 0; at < size && !r->full && !r->parser->disableSAX;) {
		size_t n = size - at < PIECE ? size - at : PIECE;

		/* No piece ends within a character. */
		while (at + n < size && n > 1 && ((unsigned char) page[at + n] & 0xC0) == 0x80)
			n--;
		htmlParseChunk(r->parser, page + at, (int) n, 0);
		at += n;
		if (stop && stop(stop_arg)) {
			rc = 1;
			break;
		}
	}
	if (rc == 0 && !r->full && !r->parser->disableSAX)
		htmlParseChunk(r->parser, NULL, 0, 1);
	if (r->parser->errNo == XML_ERR_NO_MEMORY)
		rc = -1;
	if (r->parser->myDoc)
		xmlFreeDoc(r->parser->myDoc);
	htmlFreeParserCtxt(r->parser);
	return rc;
}

int
html_read(const char *page, size_t size, struct excerpt *title, bool *has_title, struct excerpt *text,
        bool (*stop)(void *arg), void *stop_arg)
{
	struct reader r = {.title = title, .text = text, .has_title = has_title};
	htmlSAXHandler sax = {.startElement = on_start,
	        .endElement = on_end,
	        .characters = on_text,
	        .cdataBlock = on_text,
	        .ignorableWhitespace = on_text};

	*has_title = false;
	return parse(&r, &sax, &r, page, size, stop, stop_arg);
}

struct declaration {
	struct reader reader;
	const char *charset;
};

static void
on_meta(void *arg, const xmlChar *name, const xmlChar **attributes)
{
	struct declaration *d = arg;
	const char *charset = attribute(attributes, "charset");
	const char *equiv = attribute(attributes, "http-equiv");
	const char *content = attribute(attributes, "content");

	if (d->charset || strcasecmp((const char *) name, "meta") != 0)
		return;
	if (charset)
		d->charset = charset_find(charset, strlen(charset));
	else if (equiv && content && strcasecmp(equiv, "content-type") == 0)
		d->charset = charset_of_type(content);
}

/* <?xml version="1.0" encoding="..."?> */
static const char *
xml_charset(const char *head)
{
	const char *end, *p;

	if (strncmp(head, "<?xml", 5) != 0 || !(end = strstr(head, "?>")) || !(p = strstr(head, "encoding")) || p > end)
		return NULL;
	p += strlen("encoding");
	p += strspn(p, " \t\r\n=");
	if (*p != '"' && *p != '\'')
		return NULL;
	return charset_find(p + 1, strcspn(p + 1, *p == '"' ? "\"" : "'"));
}

const char *
html_charset(const char *body, size_t size)
{
	struct declaration d = {.charset = NULL};
	htmlSAXHandler sax = {.startElement = on_meta};
	char head[DECLARED_MAX + 1];
	size_t n = size < DECLARED_MAX ? size : DECLARED_MAX;

	/* Only ASCII says something here. */
	for (size_t i = 0; i < n; i++)
		head[i] = (char) (body[i] && !((unsigned char) body[i] & 0x80) ? body[i] : '?');
	head[n] = '\0';
	d.charset = xml_charset(head);
	if (!d.charset && parse(&d.reader, &sax, &d, head, n, NULL, NULL) < 0)
		return NULL;
	/* A page that can be read so far is not in UTF-16. */
	if (d.charset && strncmp(d.charset, "utf-16", 6) == 0)
		return "utf-8";
	return d.charset;
}
