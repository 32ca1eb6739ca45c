/*
 * fuzz_web.c: what crawl_url reads and did not write: URLs, robots.txt, pages.
 *
 * The first byte of the input chooses.
 *
 *	u	a URL, then (after a newline) where it redirects to: what is accepted is in normal form, which stays as it is
 *		when it is read again, and so does the canonical form
 *	r	a path, then (after a newline) a robots.txt: it is allowed or not as a slow and simple reading of RFC 9309 says
 *	p	a content type, then (after a newline) a page: title and preview are UTF-8 and not too long
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/worker/html.h"
#include "src/worker/page.h"
#include "src/worker/robots.h"
#include "src/worker/url.h"
#include "src/common/utf8.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define AGENT "jobsched"

/* Kept when built without debugging, unlike assert(). */
static void
must(int holds)
{
	if (!holds)
		abort();
}

/* ---- URLs ---- */

static void
normal_url(const char *url)
{
	struct error err = {""};
	char *again = url_normalize(url, NULL, &err), *canonical = url_canonicalize(url, &err), *twice;

	must(strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0);
	must(strlen(url) <= URL_MAX && url[url_origin_length(url)] == '/');
	for (const char *c = url; *c; c++)
		must(*c > ' ' && *c < 0x7f && *c != '#');
	must(again && strcmp(again, url) == 0);
	must(canonical && strlen(canonical) <= strlen(url) && url_same_origin(url, canonical));
	twice = url_canonicalize(canonical, &err);
	must(twice && strcmp(twice, canonical) == 0);
	free(again);
	free(canonical);
	free(twice);
}

static void
fuzz_url(const char *text, const char *location)
{
	struct error err = {""};
	char *url = url_normalize(text, NULL, &err), *next = NULL;

	must(url || err.msg[0]);
	if (!url)
		return;
	normal_url(url);
	next = url_normalize(location, url, &err);
	if (next)
		normal_url(next);
	free(next);
	free(url);
}

/* ---- robots.txt ---- */

static bool
glob(const char *rule, const char *path)
{
	if (!*rule)
		return true;
	if (rule[0] == '$' && !rule[1])
		return !*path;
	if (rule[0] == '*')
		return glob(rule + 1, path) || (*path && glob(rule, path + 1));
	return *rule == *path && glob(rule + 1, path + 1);
}

/* One group after the other, all rules of those that count; the longest decides. */
static bool
slow_allows(char *text, const char *path)
{
	bool naming = false, ours = false, others = false, found = false, allowed[2] = {true, true};
	size_t best[2] = {0, 0};
	char *state = NULL, coded_path[3 * 300], coded[3 * 300];

	if (strcmp(path, "/robots.txt") == 0)
		return true;
	url_encode(path, strlen(path), "*$", coded_path);
	for (char *line = strtok_r(text, "\r\n", &state); line; line = strtok_r(NULL, "\r\n", &state)) {
		char *colon, *value;
		size_t len;
		bool allow, whole;

		line[strcspn(line, "#")] = '\0';
		colon = strchr(line, ':');
		if (!colon)
			continue;
		value = colon + 1 + strspn(colon + 1, " \t\f\v");
		len = strlen(value);
		while (len > 0 && strchr(" \t\f\v", value[len - 1]))
			value[--len] = '\0';
		*colon = '\0';
		line += strspn(line, " \t\f\v");
		line[strcspn(line, " \t\f\v")] = strpbrk(line, " \t\f\v") &&
		                strpbrk(line, " \t\f\v")[strspn(strpbrk(line, " \t\f\v"), " \t\f\v")]
		        ? '?'
		        : '\0';
		if (strcasecmp(line, "user-agent") == 0) {
			size_t token = robots_token_length(value);

			if (!naming)
				ours = others = false;
			naming = true;
			if (value[0] == '*' && (!value[1] || strchr(" \t\f\v", value[1])))
				others = true;
			else if (token == strlen(AGENT) && strncasecmp(value, AGENT, token) == 0)
				ours = found = true;
			continue;
		}
		allow = strcasecmp(line, "allow") == 0;
		if (!allow && strcasecmp(line, "disallow") != 0)
			continue;
		naming = false;
		if (value[0] != '/' && value[0] != '*')
			continue;
		whole = value[len - 1] == '$';
		url_encode(value, len - whole, "$", coded);
		/* Stars side by side are one. */
		for (char *star; (star = strstr(coded, "**"));)
			memmove(star, star + 1, strlen(star));
		strcat(coded, whole ? "$" : "");
		if (!glob(coded, coded_path))
			continue;
		for (int i = 0; i < 2; i++) {
			if (!(i == 0 ? ours : others) || strlen(coded) < best[i])
				continue;
			allowed[i] = allow || (strlen(coded) == best[i] && allowed[i]);
			best[i] = strlen(coded);
		}
	}
	return found ? allowed[0] : allowed[1];
}

static void
fuzz_robots(const char *path, const char *text, size_t size)
{
	struct robots *r = robots_parse(text, size, AGENT "/1.0");
	char *copy = strdup(text);
	bool allowed = robots_allows(r, path);
	int stars = 0;

	for (const char *c = text; *c; c++)
		stars += *c == '*';
	/* What the slow one can do, in time. */
	if (strlen(text) == size && strncmp(text, "\xEF\xBB\xBF", 3) != 0 && stars <= 4 && path[0] == '/')
		must(allowed == slow_allows(copy, path));
	robots_free(r);
	free(copy);
}

/* ---- pages ---- */

static void
good_excerpt(const struct excerpt *e)
{
	const unsigned char *p = (const unsigned char *) e->text, *end = p + e->len;
	int points = 0;

	must(strlen(e->text) == e->len && e->len < sizeof(e->text));
	for (; p < end; points++) {
		size_t n = utf8_sequence(p, end);

		must(n > 0 && *p >= ' ');
		p += n;
	}
	must(points <= EXCERPT_MAX);
	must(e->len == 0 || (e->text[0] != ' ' && e->text[e->len - 1] != ' '));
}

static void
fuzz_page(const char *type, const char *body, size_t size)
{
	struct page page;

	for (int cut = 0; cut < 2; cut++) {
		must(page_read(body, size, type, cut, NULL, NULL, &page) == 0);
		good_excerpt(&page.title);
		good_excerpt(&page.preview);
		must(page.charset != NULL);
	}
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void) argc;
	(void) argv;
	html_setup();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *newline;
	char *first, *second;
	size_t len;

	if (size < 1 || size > 300)
		return 0;
	newline = memchr(data, '\n', size);
	len = newline ? (size_t) (newline - (const char *) data) : size;
	/* of their exact sizes, so that a read beyond them is seen */
	first = strndup((const char *) data + 1, len - 1 + (len == 0));
	size = newline ? size - len - 1 : 0;
	second = malloc(size + 1);
	if (first && second) {
		memcpy(second, newline ? newline + 1 : "", size);
		second[size] = '\0';
		if (data[0] == 'u')
			fuzz_url(first, second);
		else if (data[0] == 'r')
			fuzz_robots(first, second, size);
		else
			fuzz_page(first, second, size);
	}
	free(first);
	free(second);
	return 0;
}
