/*
 * robots.c: the Robots Exclusion Protocol, RFC 9309.
 */
#include "robots.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "url.h"

/* Rule text in normal form, without a "$" that ends it. */
struct rule {
	const char *text; /* in robots.text */
	size_t len;
	bool allow;
	bool whole; /* "$": matches the whole path only */
};

struct robots {
	struct rule *rules; /* longest first, of equal length those that allow first */
	size_t n;
	char *text; /* what the rules' text stands in */
	size_t size; /* bytes allocated for it */
};

/* Whom the lines that are read are for. */
struct reader {
	const char *agent;
	size_t agent_len;
	bool in_agents; /* the last line was a user-agent line */
	bool ours; /* the group names the crawler */
	bool others; /* the group is for "*" */
	bool found; /* some group names the crawler */
};

struct line {
	const char *key, *value;
	size_t key_len, value_len;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f' || c == '\v';
}

static size_t
token_length(const char *text, size_t size)
{
	size_t n = 0;

	while (n < size &&
	        ((text[n] >= 'a' && text[n] <= 'z') || (text[n] >= 'A' && text[n] <= 'Z') || text[n] == '-' ||
	                text[n] == '_'))
		n++;
	return n;
}

size_t
robots_token_length(const char *text)
{
	return token_length(text, strlen(text));
}

/* Reads the line at *p up to end, and moves *p behind it.  False when it is not "key: value". */
static bool
next_line(const char **p, const char *end, struct line *line)
{
	const char *from = *p, *to = from, *hash, *colon;

	while (to < end && *to != '\n' && *to != '\r')
		to++;
	*p = to < end ? to + 1 : end;
	hash = memchr(from, '#', (size_t) (to - from));
	if (hash)
		to = hash;
	colon = memchr(from, ':', (size_t) (to - from));
	if (!colon)
		return false;
	line->key = from;
	line->value = colon + 1;
	while (line->key < colon && is_blank(*line->key))
		line->key++;
	while (colon > line->key && is_blank(colon[-1]))
		colon--;
	line->key_len = (size_t) (colon - line->key);
	while (line->value < to && is_blank(*line->value))
		line->value++;
	while (to > line->value && is_blank(to[-1]))
		to--;
	line->value_len = (size_t) (to - line->value);
	return true;
}

static bool
key_is(const struct line *line, const char *key)
{
	return strlen(key) == line->key_len && strncasecmp(line->key, key, line->key_len) == 0;
}

/* The crawler that a user-agent line names: its product token; what follows is a version or a mistake. */
static bool
names(const struct line *line, const char *agent, size_t agent_len)
{
	size_t n = token_length(line->value, line->value_len);

	return n > 0 && n == agent_len && strncasecmp(line->value, agent, n) == 0;
}

/* Follows the groups; true when the line is a rule for the crawler (ours) or for everybody (others). */
static bool
read_line(struct reader *r, const struct line *line, bool *allow)
{
	if (key_is(line, "user-agent")) {
		if (!r->in_agents)
			r->ours = r->others = false;
		r->in_agents = true;
		if (line->value_len >= 1 && line->value[0] == '*' && (line->value_len == 1 || is_blank(line->value[1])))
			r->others = true;
		else if (names(line, r->agent, r->agent_len))
			r->ours = r->found = true;
		return false;
	}
	*allow = key_is(line, "allow");
	if (!*allow && !key_is(line, "disallow"))
		return false;
	r->in_agents = false;
	/* An empty rule matches nothing, and one that begins otherwise matches no path. */
	return line->value_len > 0 && (line->value[0] == '/' || line->value[0] == '*');
}

/* "*" and a "$" at the end keep their meaning, "$" elsewhere and what is encoded do not. */
static struct rule
make_rule(const struct line *line, bool allow, char *out)
{
	bool whole = line->value[line->value_len - 1] == '$';
	size_t len = url_encode(line->value, line->value_len - whole, "$", out), n = 0;

	for (size_t i = 0; i < len; i++) {
		if (out[i] != '*' || n == 0 || out[n - 1] != '*')
			out[n++] = out[i];
	}
	return (struct rule){.text = out, .len = n, .allow = allow, .whole = whole};
}

static int
compare_rules(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;
	size_t x_len = x->len + x->whole, y_len = y->len + y->whole;

	if (x_len != y_len)
		return x_len > y_len ? -1 : 1;
	return (int) y->allow - (int) x->allow;
}

/* Counts, or with r->rules makes, the rules for the crawler, or those for everybody. */
static void
read_rules(struct robots *r, const char *text, size_t size, struct reader *reader, bool others)
{
	const char *p = text, *end = text + size;
	char *out = r->text;
	struct line line;
	bool allow;

	reader->in_agents = reader->ours = reader->others = false;
	r->n = 0;
	r->size = r->rules ? r->size : 0;
	while (p < end) {
		if (!next_line(&p, end, &line) || !read_line(reader, &line, &allow) ||
		        !(others ? reader->others : reader->ours))
			continue;
		if (r->rules) {
			r->rules[r->n] = make_rule(&line, allow, out);
			out += r->rules[r->n].len + 1;
		} else {
			r->size += line.value_len * 3 + 1;
		}
		r->n++;
	}
}

struct robots *
robots_parse(const char *text, size_t size, const char *agent)
{
	struct reader reader = {.agent = agent, .agent_len = robots_token_length(agent)};
	struct robots *r = calloc(1, sizeof(*r));
	bool others = false;

	if (!r)
		return NULL;
	if (size > ROBOTS_SIZE_MAX)
		size = ROBOTS_SIZE_MAX;
	if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		text += 3;
		size -= 3;
	}
	read_rules(r, text, size, &reader, false);
	if (!reader.found) {
		others = true;
		read_rules(r, text, size, &reader, true);
	}
	if (r->n == 0)
		return r;
	r->rules = calloc(r->n, sizeof(*r->rules));
	r->text = malloc(r->size);
	if (!r->rules || !r->text) {
		robots_free(r);
		return NULL;
	}
	read_rules(r, text, size, &reader, others);
	qsort(r->rules, r->n, sizeof(*r->rules), compare_rules);
	return r;
}

void
robots_free(struct robots *r)
{
	if (!r)
		return;
	free(r->rules);
	free(r->text);
	free(r);
}

size_t
robots_memory(const struct robots *r)
{
	return sizeof(*r) + r->n * sizeof(*r->rules) + r->size;
}

/*
 * Piece by piece between the stars: each is searched behind the one before, which is enough, since a star may stand for
 * anything.  No step goes back, so that no rule costs more than the lengths of rule and path.
 */
static bool
matches(const struct rule *rule, const char *path, size_t path_len)
{
	const char *p = rule->text, *end = p + rule->len;
	size_t at = 0;

	for (bool first = true;; first = false) {
		const char *star = memchr(p, '*', (size_t) (end - p));
		size_t len = (size_t) ((star ? star : end) - p);
		const char *found;

		if (first) {
			if (len > path_len || memcmp(path, p, len) != 0)
				return false;
			at = len;
		} else if (!star && rule->whole) {
			return len <= path_len - at && memcmp(path + path_len - len, p, len) == 0;
		} else {
			found = len ? memmem(path + at, path_len - at, p, len) : path + at;
			if (!found)
				return false;
			at = (size_t) (found - path) + len;
		}
		if (!star)
			return !rule->whole || at == path_len;
		p = star + 1;
	}
}

bool
robots_allows(const struct robots *r, const char *path)
{
	size_t len = strlen(path);
	char *encoded;
	bool allowed = true;

	if (r->n == 0 || strcmp(path, "/robots.txt") == 0)
		return true;
	encoded = malloc(len * 3 + 1);
	if (!encoded)
		return false;
	len = url_encode(path, len, "*$", encoded);
	for (size_t i = 0; i < r->n; i++) {
		if (matches(&r->rules[i], encoded, len)) {
			allowed = r->rules[i].allow;
			break;
		}
	}
	free(encoded);
	return allowed;
}
