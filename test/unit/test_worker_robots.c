/* sources: src/worker/robots.c src/worker/url.c src/common/error.c */
/* libs: -lcurl -lidn2 */
/*
 * robots.txt as RFC 9309 has it: groups, longest match, wildcards, encoding, and what servers write in place of it.
 */
#include <stdlib.h>
#include <time.h>

#include "src/worker/robots.h"
#include "tap.h"

static bool
allows(const char *text, size_t size, const char *agent, const char *path)
{
	/* exactly as large as the text: the sanitizer sees a byte too far */
	char *copy = malloc(size ? size : 1);
	struct robots *r;
	bool allowed;

	memcpy(copy, text, size);
	r = robots_parse(copy, size, agent);
	free(copy);
	allowed = robots_allows(r, path);
	robots_free(r);
	return allowed;
}

static void
check(const char *text, const char *path, bool want, const char *what)
{
	ok(allows(text, strlen(text), "jobsched/1.0 (+https://example.com)", path) == want, "%s: %s is %s", what, path,
	   want ? "allowed" : "not allowed");
}

static void
groups(void)
{
	static const char simple[] = "User-agent: *\nDisallow: /private\n";
	static const char several[] =
		"# all of them\n"
		"User-agent: *\nDisallow: /\n\n"
		"user-agent: other\nUSER-AGENT: JobSched\nDisallow: /a\nAllow: /a/b\n\n"
		"User-agent: third\nDisallow: /c\n\n"
		"User-agent: jobsched\nDisallow: /d\n";

	check(simple, "/private", false, "everybody");
	check(simple, "/private/x?y", false, "everybody");
	check(simple, "/privat", true, "everybody");
	check(simple, "/", true, "everybody");
	check(several, "/a", false, "a group that names the crawler, in any case");
	check(several, "/a/b", true, "a group that names the crawler");
	check(several, "/c", true, "not a group of others");
	check(several, "/d", false, "a second group that names it");
	check(several, "/e", true, "the group for all does not count beside them");
	check("User-agent: jobsched-news\nDisallow: /\n", "/", true, "a longer name is another crawler's");
	check("User-agent: job\nDisallow: /\n", "/", true, "and so is a shorter one");
	check("User-agent: jobsched/9.9\nDisallow: /\n", "/", false, "a version does not matter");
	check("User-agent: *\nUser-agent: jobsched\nDisallow: /a\n", "/a", false, "one group for all and for it");
	check("User-agent: jobsched\nAllow: /\nUser-agent: *\nDisallow: /\n", "/x", true, "groups without a blank line between");
	check("User-agent: jobsched\nCrawl-delay: 5\nUser-agent: x\nSitemap: http://x/\nDisallow: /a\n", "/a", false, "other lines do not end a group's names");
	check("User-agent: jobsched\n\nUser-agent: *\nDisallow: /\n", "/a", false, "a group goes on over blank lines");
	check("Disallow: /\nUser-agent: x\nDisallow: /\n", "/a", true, "rules before any name are nobody's");
	check("User-agent: jobsched\nDisallow:\n", "/a", true, "an empty rule forbids nothing");
	check("User-agent: * # all\nDisallow: /a # why\n", "/a", false, "comments");
	check("User-agent: *\nDisallow: /robots.txt\nDisallow: /\n", "/robots.txt", true, "robots.txt itself");
}

static void
matching(void)
{
	check("User-agent: *\nAllow: /p\nDisallow: /\n", "/page", true, "the longest match");
	check("User-agent: *\nDisallow: /folder\nAllow: /folder/page\n", "/folder/page", true, "the longest match");
	check("User-agent: *\nAllow: /folder\nDisallow: /folder\n", "/folder/page", true, "of equal ones the one that allows");
	check("User-agent: *\nDisallow: /folder\nAllow: /folder\n", "/folder/page", true, "in either order");
	check("User-agent: *\nAllow: /page\nDisallow: /*.htm\n", "/page.htm", false, "stars count as characters");
	check("User-agent: *\nAllow: /$\nDisallow: /\n", "/", true, "the start page only");
	check("User-agent: *\nAllow: /$\nDisallow: /\n", "/page", false, "the start page only");
	check("User-agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n", "/a.gif", false, "a rule that begins with a star");
	check("User-agent: *\nDisallow: *.gif$\n", "/a.gif?x", true, "and is for the end");
	check("User-agent: *\nDisallow: *.gif$\n", "/a.gif/b.gif", false, "where it may come twice");
	check("User-agent: *\nDisallow: /a*b*c\n", "/aXbYcZ", false, "several stars");
	check("User-agent: *\nDisallow: /a*b*c\n", "/aXcYb", true, "in their order");
	check("User-agent: *\nDisallow: /a*b$\n", "/a-b-b", false, "a star before the end");
	check("User-agent: *\nDisallow: /ab*b$\n", "/ab", true, "no character counts twice");
	check("User-agent: *\nDisallow: /a***b\n", "/ab", false, "stars side by side");
	check("User-agent: *\nDisallow: /*$\n", "/anything", false, "all of everything");
	check("User-agent: *\nDisallow: /a$b\n", "/a$b", false, "a dollar that is not at the end is one");
	check("User-agent: *\nDisallow: /fish*\n", "/fishheads/yummy.html?id=1", false, "a star at the end changes nothing");
	check("User-agent: *\nDisallow: /fish/\n", "/fish", true, "a slash at the end does");
	check("User-agent: *\nDisallow: /*.php\n", "/windows.PHP", true, "paths know capitals");
	check("User-agent: *\nDisallow: private\n", "/private", true, "a rule without a slash matches no path");
	check("User-agent: *\nDisallow: /?q=\n", "/?q=1", false, "the query belongs to the path");
}

static void
encoding(void)
{
	check("User-agent: *\nDisallow: /foo/bar?baz=http://foo.bar\n", "/foo/bar?baz=http://foo.bar", false, "reserved characters");
	check("User-agent: *\nDisallow: /\xE3\x83\x84\n", "/%E3%83%84", false, "letters as they are");
	check("User-agent: *\nDisallow: /%e3%83%84\n", "/%E3%83%84", false, "in small digits");
	check("User-agent: *\nDisallow: /%62%61%7A\n", "/baz", false, "encoded without need");
	check("User-agent: *\nDisallow: /a%2Fb\n", "/a/b", true, "an encoded slash is none");
	check("User-agent: *\nDisallow: /file-with-a-%2A.html\n", "/file-with-a-*.html", false, "an encoded star is one");
	check("User-agent: *\nDisallow: /file-with-a-%2A.html\n", "/file-with-a-x.html", true, "and no wildcard");
	check("User-agent: *\nDisallow: /foo-%24\n", "/foo-$", false, "an encoded dollar is one");
	check("User-agent: *\nDisallow: /foo-%24\n", "/foo-$/x", false, "and no end");
	check("\xEF\xBB\xBFUser-agent: *\nDisallow: /\n", "/", false, "a byte order mark");
}

static void
lines(void)
{
	check("User-agent: *\r\nDisallow: /a\r\n", "/a", false, "CR LF");
	check("User-agent: *\rDisallow: /a\r", "/a", false, "CR");
	check("User-agent: *\nDisallow: /a", "/a", false, "no end of the last line");
	check("  User-agent :  *  \n\t Disallow\t: /a \t\n", "/a", false, "blanks everywhere");
	check("User-agent: *\nDisallow /a\n: /b\n\nDisallow:/c\n", "/c", false, "lines that say nothing");
	check("", "/", true, "nothing at all");
	check("<html><body>Not found: Disallow: /</body></html>", "/", true, "a page in its place");
	ok(allows("User-agent: *\nDisallow: /a\0b\n", 28, "x", "/a"), "a NUL is a character that no path has");
	ok(!allows("User-agent: foo-bar_x\nDisallow: /", 33, "Foo-Bar_X", "/"), "names with signs");
}

/* What could cost a crawler its time or memory. */
static void
large(void)
{
	static char text[ROBOTS_SIZE_MAX + 100];
	static char path[8192];
	const char head[] = "User-agent: *\nDisallow: /";
	struct robots *r;
	clock_t begin;
	size_t n;

	memset(text, '#', sizeof(text));
	memcpy(text + ROBOTS_SIZE_MAX - 20, "\nUser-agent: *\nDisallow: /\n", 27);
	ok(allows(text, sizeof(text), "x", "/"), "what is behind 500 KiB is not read");

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	memcpy(text, head, sizeof(head) - 1);
	for (n = sizeof(head) - 1; n + 2 < ROBOTS_SIZE_MAX; n += 2)
		memcpy(text + n, "*a", 2);
	text[n] = 'b';
	begin = clock();
	ok(allows(text, n + 1, "x", path), "a rule of 250,000 stars");
	for (n = sizeof(head) - 1; n + 2 < ROBOTS_SIZE_MAX; n++)
		text[n] = '$';
	ok(allows(text, n, "x", path), "a rule of 500,000 dollars");
	for (n = sizeof("User-agent: *\n") - 1; n + 17 < ROBOTS_SIZE_MAX; n += 16)
		memcpy(text + n, "Allow: /*a*a*ab\n", 16);
	r = robots_parse(text, n, "x");
	ok(robots_allows(r, path), "32,000 rules with stars");
	ok(robots_memory(r) < 4 * 1024 * 1024, "take less than 4 MiB");
	robots_free(r);
	ok((double) (clock() - begin) / CLOCKS_PER_SEC < 5, "all that in less than 5 s");
	diag("%.2f s", (double) (clock() - begin) / CLOCKS_PER_SEC);
}

int
main(void)
{
	groups();
	matching();
	encoding();
	lines();
	large();
	return done_testing();
}
