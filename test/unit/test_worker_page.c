/* sources: src/worker/page.c src/worker/html.c src/worker/excerpt.c src/worker/charset.c src/worker/content_type.c src/common/utf8.c */
/* cflags: -I/usr/include/libxml2 */
/* libs: -lxml2 */
/*
 * What people see of pages: encodings, titles, visible text; and pages made to cost time.
 */
#include <stdlib.h>
#include <time.h>

#include "src/worker/charset.h"
#include "src/worker/content_type.h"
#include "src/worker/html.h"
#include "src/worker/page.h"
#include "tap.h"

#define BAD "\xEF\xBF\xBD"

static struct page result;

/* exactly as large as the body: the sanitizer sees a byte too far */
static int
read_page(const char *body, size_t size, const char *type, bool cut)
{
	char *copy = malloc(size ? size : 1);
	int rc;

	memcpy(copy, body, size);
	rc = page_read(copy, size, type, cut, NULL, NULL, &result);
	free(copy);
	return rc;
}

static void
html(const char *body, const char *want_title, const char *want_preview, const char *what)
{
	is_int(read_page(body, strlen(body), "text/html", false), 0, "%s", what);
	is_str(result.has_title ? result.title.text : NULL, want_title, "%s: title", what);
	is_str(result.preview.text, want_preview, "%s: preview", what);
}

static void
pages(void)
{
	html("<html><TITLE lang=en>\n A  b </Title><body>Hello <b>wor</b>ld</body>", "A b", "Hello world", "a small page");
	html("<!DOCTYPE html><title>T</title><p>one<p>two<br>three<ul><li>four<li>five</ul>", "T", "one two three four five", "blocks part words");
	html("<title>Caf&eacute; &amp; &#x2603; &lt;b></title>x&nbsp;y&mdash;z &copy;1", "Caf\xC3\xA9 & \xE2\x98\x83 <b>", "x y\xE2\x80\x94z \xC2\xA9" "1", "entities");
	html("<script>if (a < b) { '</p>' }</script><p>x</p><style>p{}</style><p>y<!-- > -->z", NULL, "x yz", "scripts, styles, comments");
	html("<a title='a > b'>link</a> 1 < 2 <= 3", NULL, "link 1 < 2 <= 3", "quoted and lone angle brackets");
	html("<p hidden>a</p><p style='Display : none'>b</p><div style=\"color:red\">c<span hidden>d</span></div><template>e</template>"
		 "<noscript>f</noscript><dialog>g</dialog><dialog open>h</dialog>", NULL, "c h", "what is hidden");
	html("<svg><title>drawing</title><text>in it</text></svg><title>page</title>", "page", "in it", "a drawing's title is not the page's");
	html("<title>one</title><title>two</title>x", "one", "x", "the first title counts");
	html("<title></title>x", "", "x", "an empty title");
	html("<titlebar>x</titlebar>", NULL, "x", "a tag whose name only begins like title");
	html("<title>no end", "no end", "", "a title without end");
	html("<script>no end", NULL, "", "a script without end");
	html("<!-- no end", NULL, "", "a comment without end");
	html("<p", NULL, "", "a tag without end");
	html("", NULL, "", "an empty page");
	html("a&#0;b&#55296;c&#x110000;d", NULL, "abcd", "references to no characters");
	html("<!DOCTYPE html [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><p>a&x;b", NULL, "]> a&x;b", "external entities are not read");
	html("<table><tr><td>a<td>b<tr><td>c</table><select><option>d<option>e</select>", NULL, "a b c d e", "tables and lists");

	is_int(read_page("a <b> c\n\n\td", 11, "text/plain", false), 0, "text");
	is_str(result.preview.text, "a <b> c d", "text is not read as HTML");
	ok(!result.has_title, "and has no title");
	is_int(read_page("{\"a\": \"<b>\"}", 12, "application/json", false), 0, "JSON");
	is_str(result.preview.text, "{\"a\": \"<b>\"}", "is shown as it is");
}

static void
excerpts(void)
{
	struct excerpt e = { .len = 0 };
	char many[EXCERPT_MAX * 4 + 4];

	for (int i = 0; i < EXCERPT_MAX + 1; i++)
		memcpy(many + (size_t) i * 2, "\xC3\xA4", 3);
	is_int(read_page(many, (EXCERPT_MAX + 1) * 2, "text/plain; charset=utf-8", false), 0, "a long text");
	is_int(strlen(result.preview.text), EXCERPT_MAX * 2, "is cut after %d characters, not bytes", EXCERPT_MAX);
	for (int i = 0; i < EXCERPT_MAX; i++)
		memcpy(many + (size_t) i * 4, "\xF0\x9F\x98\x80", 5);
	excerpt_add(&e, many, EXCERPT_MAX * 4);
	is_int(e.len, EXCERPT_MAX * 4, "the longest characters fit");
	e = (struct excerpt) { .len = 0 };
	for (int i = 0; i < EXCERPT_MAX * 2; i++)
		memcpy(many + (size_t) i * 2, i == EXCERPT_MAX / 2 ? "zz" : "x ", 3);
	excerpt_add(&e, many, EXCERPT_MAX * 4);
	ok(e.len <= EXCERPT_MAX && e.text[e.len - 1] != ' ', "no blank at its end");
	e = (struct excerpt) { .len = 0 };
	excerpt_add(&e, " \xC2\xA0" "a\xE2\x80\x83\xE3\x80\x80\x7F" "b\xC2\x85", 14);
	excerpt_break(&e);
	excerpt_add(&e, "c", 1);
	is_str(e.text, "a b c", "all sorts of white space");
}

static void
encoded(const char *body, size_t size, const char *type, const char *charset, const char *preview, const char *what)
{
	is_int(read_page(body, size, type, false), 0, "%s", what);
	is_str(result.charset, charset, "%s: encoding", what);
	is_str(result.preview.text, preview, "%s: text", what);
}

static void
encodings(void)
{
	static const struct {
		const char *label, *name;
	} labels[] = {
		{ "UTF-8", "utf-8" }, { " utf8\n", "utf-8" }, { "latin1", "windows-1252" }, { "ISO-8859-1", "windows-1252" }, { "us-ascii", "windows-1252" },
		{ "iso-8859-9", "windows-1254" }, { "gb2312", "gbk" }, { "x-sjis", "shift_jis" }, { "ks_c_5601-1987", "euc-kr" }, { "utf-16", "utf-16le" },
		{ "utf-7", NULL }, { "utf-32", NULL }, { "ebcdic-us", NULL }, { "iso-2022-kr", NULL }, { "iso-2022-cn-ext", NULL }, { "hz-gb-2312", NULL },
		{ "UTF-8//TRANSLIT", NULL }, { "", NULL }, { " ", NULL }, { "utf-", NULL }, { "../../etc", NULL },
	};
	static const struct {
		const char *type, *name;
	} types[] = {
		{ "text/html", NULL }, { "text/html; charset=utf-8", "utf-8" }, { "text/html;CHARSET=\"Windows-1251\"; x=y", "windows-1251" },
		{ "text/html; charset = koi8-r", "koi8-r" }, { "text/html; x=y; charset='big5'", "big5" }, { "text/html; charset=", NULL }, { "text/html; charset", NULL },
		{ "text/html; charset=\"", NULL }, { "text/html; charset=nonsense", NULL }, { "text/html; xcharset=utf-8", NULL },
	};

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		is_str(charset_find(labels[i].label, strlen(labels[i].label)), labels[i].name, "label \"%s\"", labels[i].label);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		is_str(charset_of_type(types[i].type), types[i].name, "type %s", types[i].type);

#define ENCODED(body, ...) encoded(body, sizeof(body) - 1, __VA_ARGS__)
	ENCODED("\xC3\xA4\xE2\x82\xAC", "text/plain", "utf-8", "\xC3\xA4\xE2\x82\xAC", "UTF-8 that nobody declared");
	ENCODED("\xE4\x80", "text/plain", "windows-1252", "\xC3\xA4\xE2\x82\xAC", "what is not UTF-8");
	ENCODED("\xE4\x80", "text/plain; charset=utf-8", "utf-8", BAD BAD, "what is not the UTF-8 it should be");
	ENCODED("\xE4", "text/plain; charset=iso-8859-2", "iso-8859-2", "\xC3\xA4", "ISO 8859-2");
	ENCODED("\xEF\xF0\xE8\xE2\xE5\xF2", "text/plain; charset=windows-1251", "windows-1251", "\xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82", "Cyrillic");
	ENCODED("\x93\xFA\x96\x7B\xFFx", "text/plain; charset=shift_jis", "shift_jis", "\xE6\x97\xA5\xE6\x9C\xAC" BAD "x", "Shift JIS with a bad byte");
	ENCODED("\xC6\xFC\xCB\xDC", "text/plain; charset=euc-jp", "euc-jp", "\xE6\x97\xA5\xE6\x9C\xAC", "EUC-JP");
	ENCODED("\x1B$BF|K\\\x1B(B.", "text/plain; charset=iso-2022-jp", "iso-2022-jp", "\xE6\x97\xA5\xE6\x9C\xAC.", "ISO-2022-JP");
	ENCODED("\xC8\xD5\xB1\xBE\x81\x30\x81\x30", "text/plain; charset=gb2312", "gbk", "\xE6\x97\xA5\xE6\x9C\xAC", "GBK");
	ENCODED("\xA4\xE9\xA5\xBB", "text/plain; charset=big5", "big5", "\xE6\x97\xA5\xE6\x9C\xAC", "Big5");
	ENCODED("\xC7\xD1", "text/plain; charset=euc-kr", "euc-kr", "\xED\x95\x9C", "EUC-KR");
	ENCODED("\xFF\xFE" "a\0\xE4\0\x3D\xD8\0\xDE", "text/plain; charset=utf-8", "utf-16le", "a\xC3\xA4\xF0\x9F\x98\x80", "a byte order mark is stronger");
	ENCODED("\xFE\xFF\0a\0\xE4\xD8\0\0b\0", "text/plain", "utf-16be", "a\xC3\xA4" BAD "b" BAD, "UTF-16 with half a pair and half a unit");
	ENCODED("\xEF\xBB\xBFx", "text/html; charset=koi8-r", "utf-8", "x", "the mark of UTF-8, which is no text");
	ENCODED("a\0b", "text/plain", "utf-8", "a" BAD "b", "NUL, which text in PostgreSQL cannot hold");

	ENCODED("<meta charset=windows-1251>\xEF", "text/html", "windows-1251", "\xD0\xBF", "<meta charset>");
	ENCODED("<META http-equiv='Content-Type' content='text/html; charset=koi8-r'>\xCF", "text/html", "koi8-r", "\xD0\xBE", "<meta http-equiv>");
	ENCODED("<meta charset=windows-1251>\xEF", "text/html; charset=iso-8859-1", "windows-1252", "\xC3\xAF", "the header is stronger than <meta>");
	ENCODED("<meta charset=nonsense><meta charset=windows-1251>\xEF", "text/html", "windows-1251", "\xD0\xBF", "a <meta> that says nothing");
	ENCODED("<!-- <meta charset=koi8-r> --><meta charset=windows-1251>\xEF", "text/html", "windows-1251", "\xD0\xBF", "a <meta> in a comment");
	ENCODED("<meta charset=utf-16>\xC3\xA4", "text/html", "utf-8", "\xC3\xA4", "UTF-16 that is none");
	ENCODED("<?xml version='1.0' encoding='windows-1251'?><html>\xEF</html>", "application/xhtml+xml", "windows-1251", "\xD0\xBF", "an XML declaration");
	ENCODED("<meta charset=windows-1251>\xEF", "text/plain", "windows-1252", "<meta charset=windows-1251>\xC3\xAF", "in text <meta> says nothing");

	is_int(read_page("\xC3\xA4\xE2\x82", 4, "text/plain", true), 0, "a text that was cut");
	is_str(result.charset, "utf-8", "within a character is still UTF-8");
	is_int(read_page("\xC3\xA4\xE2\x82", 4, "text/plain", false), 0, "a whole text");
	is_str(result.charset, "windows-1252", "that ends within a character is not");
}

static bool
stop_now(void *arg)
{
	return ++*(int *) arg >= 3;
}

/* Pages made to cost time: of 512,000 bytes, read in less than 3 s each with the sanitizers. */
static void
costly(void)
{
	static const struct {
		const char *begin, *repeat, *then;
		const char *what;
	} cases[] = {
		{ "", "<b>", "</i>", "elements that nobody closes, ends that nobody opened" },
		{ "", "<div><p>", "</div>", "deep nesting" },
		{ "", "<a b='", "c", "an attribute without end" },
		{ "<p ", "a=b ", "c ", "one element with many attributes" },
		{ "<!--", "--!", "-", "a comment without end" },
		{ "<script>", "</scrip", "<!--", "a script without end" },
		{ "", "<", "&", "brackets" },
		{ "", "&#", "&amp", "references without end" },
		{ "", "<p>&nbsp;", " ", "much that shows nothing" },
		{ "<table>", "<tr><td>", "<table>", "tables in tables" },
		{ "<?", "<?", "?", "instructions" },
		{ "<![CDATA[", "]]", ">", "CDATA" },
		{ "<svg>", "<title>", "</title>", "titles" },
	};
	const size_t size = 512000;
	char *body = malloc(size);
	int asked = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		clock_t begin = clock();
		size_t at = strlen(cases[i].begin);

		memcpy(body, cases[i].begin, at);
		while (at < size) {
			const char *part = at < size / 2 ? cases[i].repeat : cases[i].then;
			size_t n = strlen(part) < size - at ? strlen(part) : size - at;

			memcpy(body + at, part, n);
			at += n;
		}
		is_int(read_page(body, size, "text/html; charset=utf-8", false), 0, "%s", cases[i].what);
		if (!ok(clock() - begin < 3 * CLOCKS_PER_SEC, "are read in less than 3 s"))
			diag("%.2f s", (double) (clock() - begin) / CLOCKS_PER_SEC);
		else if (clock() - begin > CLOCKS_PER_SEC / 2)
			diag("%.2f s", (double) (clock() - begin) / CLOCKS_PER_SEC);
	}
	memset(body, 0xFF, size);
	is_int(read_page(body, size, "text/html; charset=shift_jis", false), 0, "512,000 bytes that are no characters");
	memset(body, ' ', size);
	is_int(page_read(body, size, "text/html", false, stop_now, &asked, &result), 1, "reading ends when the task is told to stop");
	is_int(asked, 3, "at once");
	free(body);
}

static void
types(void)
{
	ok(content_type_is_html("text/html") && content_type_is_html("Text/HTML;charset=x") && content_type_is_html("application/xhtml+xml "), "HTML");
	ok(!content_type_is_html("text/html5") && !content_type_is_html("text/plain") && !content_type_is_html(""), "not HTML");
	ok(content_type_is_readable("text/csv") && content_type_is_readable("application/json") && content_type_is_readable("application/ld+json; x"), "readable");
	ok(!content_type_is_readable("image/png") && !content_type_is_readable("application/octet-stream") && !content_type_is_readable("")
	   && !content_type_is_readable("application/jsonp") && !content_type_is_readable("+json"), "not readable");
	ok(content_type_is_text("application/xml") && content_type_is_text("image/svg+xml") && content_type_is_text("application/x-www-form-urlencoded"), "text");
	ok(!content_type_is_text("application/pdf") && !content_type_is_text("application/zip"), "not text");
}

int
main(void)
{
	html_setup();
	pages();
	excerpts();
	encodings();
	types();
	costly();
	return done_testing();
}
