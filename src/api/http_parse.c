/*
 * http_parse.c: read HTTP/1.1 requests.
 */
#include "http_parse.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "hex.h"
#include "utf8.h"

#define MAX_EXTRA 4096 /* bytes of chunk extensions and trailers together */

enum character {
	TOKEN = 1, /* of names and methods */
	VALUE = 2, /* of header values */
	TARGET = 4, /* of the request target */
	HOST = 8 /* of a host that is no IPv6 address */
};

/* clang-format off */
static const unsigned char kinds[256] = {
	['\t'] = VALUE, [' '] = VALUE,
	['!'] = TOKEN | VALUE | TARGET,
	['"'] = VALUE | TARGET,
	['#'] = TOKEN | VALUE,
	['$' ... '\''] = TOKEN | VALUE | TARGET,
	['(' ... ')'] = VALUE | TARGET,
	['*' ... '+'] = TOKEN | VALUE | TARGET,
	[','] = VALUE | TARGET,
	['-' ... '.'] = TOKEN | VALUE | TARGET | HOST,
	['/'] = VALUE | TARGET,
	['0' ... '9'] = TOKEN | VALUE | TARGET | HOST,
	[':' ... '@'] = VALUE | TARGET,
	['A' ... 'Z'] = TOKEN | VALUE | TARGET | HOST,
	['[' ... ']'] = VALUE | TARGET,
	['^'] = TOKEN | VALUE | TARGET,
	['_'] = TOKEN | VALUE | TARGET | HOST,
	['`'] = TOKEN | VALUE | TARGET,
	['a' ... 'z'] = TOKEN | VALUE | TARGET | HOST,
	['{'] = VALUE | TARGET,
	['|'] = TOKEN | VALUE | TARGET,
	['}'] = VALUE | TARGET,
	['~'] = TOKEN | VALUE | TARGET | HOST,
	[0x80 ... 0xFF] = VALUE,
};
/* clang-format on */

static const struct {
	enum http_method method;
	const char *name;
} methods[] = {
        {HTTP_METHOD_GET, "GET"},
        {HTTP_METHOD_POST, "POST"},
        {HTTP_METHOD_HEAD, "HEAD"},
        {HTTP_METHOD_PUT, "PUT"},
        {HTTP_METHOD_PATCH, "PATCH"},
        {HTTP_METHOD_DELETE, "DELETE"},
        {HTTP_METHOD_OPTIONS, "OPTIONS"},
};

#define N_METHODS (sizeof(methods) / sizeof(methods[0]))

const char *
http_method_name(enum http_method method)
{
	for (size_t i = 0; i < N_METHODS; i++) {
		if (methods[i].method == method)
			return methods[i].name;
	}
	return "OTHER";
}

/* printf's %s of what somebody has sent would need more care: messages name only what has been checked. */
#define bad(problem, ...) (problem_set(problem, 400, "bad-request", NULL, __VA_ARGS__), HTTP_BAD)

static size_t
span(const char *text, enum character kind)
{
	size_t n = 0;

	while (kinds[(unsigned char) text[n]] & kind)
		n++;
	return n;
}

/*
 * Texts of the target
 */

long
http_decode(const char *text, size_t len, bool plus, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_digit(text[i + 1]) : -1,
			    low = high < 0 ? -1 : hex_digit(text[i + 2]);

			if (low < 0)
				return -1;
			c = (char) (high << 4 | low);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		out[n++] = c;
	}
	out[n] = '\0';
	return utf8_is_clean(out, n) ? (long) n : -1;
}

bool
http_next_param(const char **query, char *buf, const char **name, const char **value)
{
	const char *from = *query + strspn(*query, "&"), *equals;
	size_t len = strcspn(from, "&"), name_len;
	long n;

	if (len == 0)
		return false;
	*query = from + len;
	equals = memchr(from, '=', len);
	name_len = equals ? (size_t) (equals - from) : len;
	n = http_decode(from, name_len, true, buf);
	*name = n < 0 ? "" : buf;
	*value = buf + (n < 0 ? 0 : n);
	if (equals && n >= 0) {
		*value = buf + n + 1;
		if (http_decode(equals + 1, len - name_len - 1, true, buf + n + 1) < 0)
			*value = "";
	}
	return true;
}

static enum http_parsed
check_escapes(const char *text, const char *what, struct problem *problem)
{
	char out[HTTP_MAX_LINE + 1];

	if (strchr(text, '%') && http_decode(text, strlen(text), false, out) < 0)
		return bad(problem, "the %s has a malformed %%XX, or one that makes no UTF-8 or a NUL", what);
	return HTTP_DONE;
}

/* uri-host [ ":" port ] of RFC 3986, without what nobody uses in it. */
static bool
is_host(const char *text)
{
	if (*text == '[') {
		text++;
		text += strspn(text, "0123456789abcdefABCDEF:.");
		if (*text++ != ']')
			return false;
	} else {
		text += span(text, HOST);
	}
	if (*text == ':')
		text += 1 + strspn(text + 1, "0123456789");
	return *text == '\0';
}

/* "http://host/path": the host moves to the front, which makes room for its NUL and for a path that is empty. */
static char *
split_absolute(struct http_head *head, char *bytes, char *target, size_t scheme)
{
	size_t len = strcspn(target + scheme, "/?");
	char *path = target + scheme + len;

	memmove(target, target + scheme, len);
	target[len] = '\0';
	head->host = (uint32_t) (target - bytes);
	head->absolute = true;
	if (*path == '/')
		return path;
	/* The NUL that the path needs is where the query's mark is, or the target's end. */
	path[-1] = '/';
	return path - 1;
}

static enum http_parsed
read_target(struct http_head *head, char *bytes, char *target, struct problem *problem)
{
	char *path = target, *mark;

	if (strncasecmp(target, "http://", 7) == 0)
		path = split_absolute(head, bytes, target, 7);
	else if (strncasecmp(target, "https://", 8) == 0)
		path = split_absolute(head, bytes, target, 8);
	else if (*target != '/' && !(head->method == HTTP_METHOD_OPTIONS && strcmp(target, "*") == 0))
		return bad(problem, "the target is neither a path nor an http URL");
	if (head->absolute && (!bytes[head->host] || !is_host(bytes + head->host)))
		return bad(problem, "the target is an URL whose host is none");
	mark = strchr(path, '?');
	if (mark)
		*mark++ = '\0';
	else
		mark = path + strlen(path);
	head->path = (uint32_t) (path - bytes);
	head->query = (uint32_t) (mark - bytes);
	if (check_escapes(path, "path", problem) == HTTP_BAD)
		return HTTP_BAD;
	return check_escapes(mark, "query", problem);
}

static enum http_method
method_of(const char *name, size_t len)
{
	for (size_t i = 0; i < N_METHODS; i++) {
		if (strlen(methods[i].name) == len && memcmp(methods[i].name, name, len) == 0)
			return methods[i].method;
	}
	return HTTP_METHOD_OTHER;
}

/* method SP target SP "HTTP/1." digit */
static enum http_parsed
read_request_line(struct http_head *head, char *bytes, char *line, size_t len, struct problem *problem)
{
	size_t method = span(line, TOKEN);
	char *target = line + method + 1, *version;
	size_t target_len;

	if (method == 0 || line[method] != ' ')
		return bad(problem, "the first line is not \"METHOD target HTTP/1.1\": it has no method");
	target_len = span(target, TARGET);
	version = target + target_len + 1;
	if (target_len == 0 || target[target_len] != ' ')
		return bad(problem,
		        "the first line is not \"METHOD target HTTP/1.1\": the target ends with a character "
		        "that has no place there, or is missing");
	if ((size_t) (version - line) + 8 != len || strncmp(version, "HTTP/", 5) != 0 ||
	        !isdigit((unsigned char) version[5]) || version[6] != '.' || !isdigit((unsigned char) version[7]))
		return bad(problem, "the first line does not end with \"HTTP/1.1\"");
	if (version[5] != '1' || version[7] > '1') {
		problem_set(problem, 505, "http-version", NULL, "the version is %s; allowed: HTTP/1.1 and HTTP/1.0",
		        version);
		return HTTP_BAD;
	}
	head->http10 = version[7] == '0';
	head->method = method_of(line, method);
	target[target_len] = '\0';
	return read_target(head, bytes, target, problem);
}

/*
 * Headers
 */

static bool
has_item(const char *list, const char *item)
{
	size_t len = strlen(item);

	while (*list) {
		size_t n;

		list += strspn(list, " \t,");
		n = strcspn(list, ",");
		while (n > 0 && (list[n - 1] == ' ' || list[n - 1] == '\t'))
			n--;
		if (n == len && strncasecmp(list, item, len) == 0)
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

static enum http_parsed
read_length(struct http_head *head, const char *value, struct problem *problem)
{
	size_t digits = strspn(value, "0123456789");

	if (digits == 0 || value[digits])
		return bad(problem, "Content-Length is not a number");
	if (head->lengths++ > 0)
		return bad(problem, "Content-Length is given more than once");
	if (digits > 18) {
		problem_set(problem, 413, "too-large", NULL, "Content-Length is beyond all bounds");
		return HTTP_BAD;
	}
	for (head->length = 0; *value; value++)
		head->length = head->length * 10 + (*value - '0');
	return HTTP_DONE;
}

/* The headers that HTTP itself needs. */
static enum http_parsed
understand(struct http_head *head, const char *bytes, const char *name, const char *value, struct problem *problem)
{
	switch (strlen(name)) {
	case 4:
		if (strcasecmp(name, "Host") != 0)
			break;
		if (head->hosts++ > 0)
			return bad(problem, "Host is given more than once");
		if (!is_host(value))
			return bad(problem, "Host is not a host name or address with or without a port");
		if (!head->absolute)
			head->host = (uint32_t) (value - bytes);
		break;
	case 6:
		if (strcasecmp(name, "Expect") != 0)
			break;
		if (strcasecmp(value, "100-continue") != 0) {
			problem_set(problem, 417, "expectation-failed", NULL,
			        "Expect is not understood; allowed: 100-continue");
			return HTTP_BAD;
		}
		head->expects_continue = true;
		break;
	case 10:
		if (strcasecmp(name, "Connection") != 0)
			break;
		head->closes = head->closes || has_item(value, "close");
		head->stays = head->stays || has_item(value, "keep-alive");
		break;
	case 14:
		if (strcasecmp(name, "Content-Length") == 0)
			return read_length(head, value, problem);
		break;
	case 17:
		if (strcasecmp(name, "Transfer-Encoding") != 0)
			break;
		if (head->encodings++ > 0)
			return bad(problem, "Transfer-Encoding is given more than once");
		if (strcasecmp(value, "chunked") != 0) {
			problem_set(problem, 501, "unknown-encoding", NULL,
			        "Transfer-Encoding is not understood; allowed: chunked");
			return HTTP_BAD;
		}
		break;
	default:
		break;
	}
	return HTTP_DONE;
}

/* name ":" blanks value blanks */
static enum http_parsed
read_field(struct http_head *head, char *bytes, char *line, size_t len, struct problem *problem)
{
	size_t name = span(line, TOKEN);
	char *value = line + name + 1, *end = line + len;

	if (*line == ' ' || *line == '\t')
		return bad(problem, "a header line begins with a blank: folded headers are not taken");
	if (line[name] != ':')
		return bad(problem,
		        name > 0 && (line[name] == ' ' || line[name] == '\t') ? "a header has a blank after its name"
		                                                              : "a header line is not \"Name: value\"");
	if (name == 0)
		return bad(problem, "a header has no name");
	if (head->n_fields == HTTP_MAX_FIELDS) {
		problem_set(problem, 431, "headers-too-large", NULL, "there are more than %d headers", HTTP_MAX_FIELDS);
		return HTTP_BAD;
	}
	line[name] = '\0';
	value += strspn(value, " \t");
	if (value + span(value, VALUE) != end)
		return bad(problem, "the header %.64s holds a control character", line);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	head->fields[head->n_fields].name = (uint32_t) (line - bytes);
	head->fields[head->n_fields++].value = (uint32_t) (value - bytes);
	return understand(head, bytes, line, value, problem);
}

/* All lines have been read: do they make a request? */
static enum http_parsed
finish_head(struct http_head *head, struct problem *problem)
{
	if (!head->http10 && head->hosts == 0)
		return bad(problem, "there is no header Host, which HTTP/1.1 demands");
	if (head->encodings > 0) {
		if (head->lengths > 0)
			return bad(problem, "both Content-Length and Transfer-Encoding are given");
		if (head->http10)
			return bad(problem, "Transfer-Encoding is not for HTTP/1.0");
		head->length = HTTP_CHUNKED;
	}
	head->keep_alive = !head->closes && (!head->http10 || head->stays);
	head->expects_continue = head->expects_continue && !head->http10;
	return HTTP_DONE;
}

static enum http_parsed
too_long(const struct http_head *head, size_t max_header, struct problem *problem)
{
	if (!head->method)
		problem_set(problem, 414, "uri-too-long", NULL, "the first line is too long; allowed: up to %d bytes",
		        HTTP_MAX_LINE);
	else
		problem_set(problem, 431, "headers-too-large", NULL,
		        "the headers are too large; allowed: up to %zu bytes with the first line", max_header);
	return HTTP_BAD;
}

enum http_parsed
http_head_read(struct http_head *head, char *bytes, size_t len, size_t max_header, struct problem *problem)
{
	char *newline;

	while (head->seen < len && (newline = memchr(bytes + head->seen, '\n', len - head->seen))) {
		char *line = bytes + head->line;
		size_t n = (size_t) (newline - line);
		enum http_parsed parsed;

		if (n == 0 || newline[-1] != '\r')
			return bad(problem, "a line ends with a bare LF; it must be CR LF");
		if ((!head->method && n > HTTP_MAX_LINE) || head->line + n + 1 > max_header)
			return too_long(head, max_header, problem);
		line[--n] = '\0';
		head->line = head->seen = (size_t) (newline + 1 - bytes);
		if (n == 0 && !head->method) {
			/* Some clients end a body with an empty line that they do not count (RFC 9112, 2.2). */
			if (head->blank_lines++ > 0)
				return bad(problem, "empty lines stand before the first line");
			continue;
		}
		if (n == 0) {
			head->size = head->seen;
			return finish_head(head, problem);
		}
		parsed = head->method ? read_field(head, bytes, line, n, problem)
		                      : read_request_line(head, bytes, line, n, problem);
		if (parsed == HTTP_BAD)
			return HTTP_BAD;
	}
	head->seen = len;
	if ((!head->method && len - head->line > HTTP_MAX_LINE) || len > max_header)
		return too_long(head, max_header, problem);
	return HTTP_MORE;
}

const char *
http_head_field(const struct http_head *head, const char *bytes, const char *name)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		if (strcasecmp(bytes + head->fields[i].name, name) == 0)
			return bytes + head->fields[i].value;
	}
	return NULL;
}

/*
 * Chunks
 */

enum chunk_state {
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER, /* the beginning of a line after the last chunk */
	CHUNK_TRAILER_LINE,
	CHUNK_TRAILER_LF,
	CHUNK_END_LF
};

enum http_parsed
http_body_too_large(int64_t size, size_t max_body, struct problem *problem)
{
	if (size >= 0)
		problem_set(problem, 413, "too-large", NULL, "the body has %lld bytes; allowed: up to %zu",
		        (long long) size, max_body);
	else
		problem_set(
		        problem, 413, "too-large", NULL, "the body is too large; allowed: up to %zu bytes", max_body);
	return HTTP_BAD;
}

/* Text that is read over, but not anything and not without end. */
static enum http_parsed
skip_text(struct http_chunks *chunks, char c, int state, struct problem *problem)
{
	if (++chunks->extra > MAX_EXTRA)
		return bad(problem, "chunk extensions and trailers are too long");
	if (!(kinds[(unsigned char) c] & VALUE))
		return bad(problem, "a chunk's line holds a control character");
	chunks->state = state;
	return HTTP_MORE;
}

static enum http_parsed
read_size(struct http_chunks *chunks, char c, size_t body_len, size_t max_body, struct problem *problem)
{
	int digit = hex_digit(c);

	if (digit >= 0) {
		chunks->left = chunks->left << 4 | digit;
		if ((size_t) chunks->left > max_body - body_len)
			return http_body_too_large(-1, max_body, problem);
		if (++chunks->digits > 16)
			return bad(problem, "a chunk's size has more than 16 digits");
		return HTTP_MORE;
	}
	if (chunks->digits == 0)
		return bad(problem, "a chunk has no size");
	if (c == '\r')
		chunks->state = CHUNK_SIZE_LF;
	else if (c == ';')
		return skip_text(chunks, c, CHUNK_EXTENSION, problem);
	else
		return bad(problem, "a chunk's size is not a hexadecimal number");
	return HTTP_MORE;
}

/* One byte that is not data. */
static enum http_parsed
read_frame(struct http_chunks *chunks, char c, size_t body_len, size_t max_body, struct problem *problem)
{
	int next;

	switch ((enum chunk_state) chunks->state) {
	case CHUNK_SIZE:
		return read_size(chunks, c, body_len, max_body, problem);
	case CHUNK_EXTENSION:
		if (c != '\r')
			return skip_text(chunks, c, CHUNK_EXTENSION, problem);
		chunks->state = CHUNK_SIZE_LF;
		return HTTP_MORE;
	case CHUNK_TRAILER:
	case CHUNK_TRAILER_LINE:
		if (c != '\r')
			return skip_text(chunks, c, CHUNK_TRAILER_LINE, problem);
		chunks->state = chunks->state == CHUNK_TRAILER ? CHUNK_END_LF : CHUNK_TRAILER_LF;
		return HTTP_MORE;
	case CHUNK_DATA_CR:
		if (c != '\r')
			return bad(problem, "a chunk is longer than its size");
		chunks->state = CHUNK_DATA_LF;
		return HTTP_MORE;
	case CHUNK_SIZE_LF:
		next = chunks->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
		break;
	case CHUNK_DATA_LF:
		next = CHUNK_SIZE;
		break;
	default: /* CHUNK_TRAILER_LF, CHUNK_END_LF */
		next = CHUNK_TRAILER;
		break;
	}
	if (c != '\n')
		return bad(problem, "a CR in a chunked body has no LF");
	if (chunks->state == CHUNK_END_LF)
		return HTTP_DONE;
	chunks->state = next;
	chunks->digits = 0;
	return HTTP_MORE;
}

enum http_parsed
http_chunks_read(struct http_chunks *chunks, const char *raw, size_t len, size_t *used, char *body, size_t *body_len,
        size_t max_body, struct problem *problem)
{
	enum http_parsed parsed = HTTP_MORE;
	size_t i = 0;

	while (i < len && parsed == HTTP_MORE) {
		if (chunks->state == CHUNK_DATA) {
			size_t n = (size_t) chunks->left < len - i ? (size_t) chunks->left : len - i;

			memmove(body + *body_len, raw + i, n);
			*body_len += n;
			i += n;
			chunks->left -= (int64_t) n;
			if (chunks->left == 0)
				chunks->state = CHUNK_DATA_CR;
		} else {
			parsed = read_frame(chunks, raw[i++], *body_len, max_body, problem);
		}
	}
	*used = i;
	return parsed;
}
