/*
 * fuzz_http.c: what comes over a connection: the head of a request, and a body in chunks.
 *
 * However the bytes are cut into pieces, the same is read or refused; what is taken holds nothing that a second reader could
 * understand differently.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/api/http_parse.h"
#include "src/common/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_HEADER 600
#define MAX_BODY 300

struct outcome {
	enum http_parsed head, body;
	struct http_head parsed;
	struct problem problem;
	char *bytes; /* of the exact size, so that a read beyond them is seen */
	size_t taken; /* by the body */
	char decoded[MAX_BODY + 1];
	size_t decoded_len;
};

/* Kept when built without debugging, unlike assert(). */
static void
must(int holds)
{
	if (!holds)
		abort();
}

static void
good_refusal(const struct problem *problem)
{
	must(problem->status >= 400 && problem->status < 600 && problem->detail[0]);
	must(utf8_is_clean(problem->detail, strlen(problem->detail)));
}

static void
good_text(const char *text)
{
	for (; *text; text++)
		must((unsigned char) *text >= ' ' || *text == '\t');
}

static void
good_head(const struct http_head *head, const char *bytes)
{
	const char *path = bytes + head->path, *query = bytes + head->query, *rest = query, *name, *value;
	char *buf = malloc(strlen(query) + 2), decoded[HTTP_MAX_LINE + 1];

	must(head->method && head->size <= MAX_HEADER);
	must(*path == '/' || strcmp(path, "*") == 0);
	must(!strpbrk(path, " ?#") && !strpbrk(query, " #"));
	must(http_decode(path, strlen(path), false, decoded) >= 0);
	while (http_next_param(&rest, buf, &name, &value))
		must(utf8_is_clean(name, strlen(name)) && utf8_is_clean(value, strlen(value)));
	must(*rest == '\0' || strspn(rest, "&") == strlen(rest));
	must(head->http10 || head->host);
	must(!head->host || !strpbrk(bytes + head->host, " /@?#,"));
	must(head->length >= HTTP_CHUNKED);
	for (uint32_t i = 0; i < head->n_fields; i++) {
		must(bytes[head->fields[i].name] && !strpbrk(bytes + head->fields[i].name, " \t:,;()\""));
		good_text(bytes + head->fields[i].name);
		good_text(bytes + head->fields[i].value);
	}
	free(buf);
}

static void
read_chunks(const char *raw, size_t len, size_t step, struct outcome *o)
{
	struct http_chunks chunks;
	char *room = malloc(MAX_BODY + step + 1);
	size_t body_len = 0;

	memset(&chunks, 0, sizeof(chunks));
	o->body = HTTP_MORE;
	for (size_t n = 0; n < len && o->body == HTTP_MORE;) {
		size_t more = len - n < step ? len - n : step, used;

		memcpy(room + body_len, raw + n, more);
		n += more;
		o->body =
		        http_chunks_read(&chunks, room + body_len, more, &used, room, &body_len, MAX_BODY, &o->problem);
		o->taken += used;
		must(body_len <= MAX_BODY && used <= more && (o->body != HTTP_MORE || used == more));
	}
	memcpy(o->decoded, room, body_len);
	o->decoded_len = body_len;
	free(room);
}

static void
read_all(const char *text, size_t len, size_t step, struct outcome *o)
{
	memset(o, 0, sizeof(*o));
	o->head = HTTP_MORE;
	for (size_t n = 0; n < len && o->head == HTTP_MORE;) {
		size_t more = len - n < step ? len - n : step;
		char *moved = malloc(n + more);

		if (n > 0)
			memcpy(moved, o->bytes, n);
		memcpy(moved + n, text + n, more);
		free(o->bytes);
		o->bytes = moved;
		n += more;
		o->head = http_head_read(&o->parsed, o->bytes, n, MAX_HEADER, &o->problem);
	}
	if (o->head == HTTP_DONE) {
		good_head(&o->parsed, o->bytes);
		if (o->parsed.length == HTTP_CHUNKED)
			read_chunks(text + o->parsed.size, len - o->parsed.size, step, o);
	}
	if (o->head == HTTP_BAD || o->body == HTTP_BAD)
		good_refusal(&o->problem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, pieces;

	if (size < 2)
		return 0;
	read_all((const char *) data + 1, size - 1, size, &whole);
	read_all((const char *) data + 1, size - 1, 1 + data[0] % 16, &pieces);
	must(whole.head == pieces.head && whole.body == pieces.body);
	if (whole.head == HTTP_DONE) {
		must(memcmp(&whole.parsed, &pieces.parsed, offsetof(struct http_head, line)) == 0);
		must(whole.decoded_len == pieces.decoded_len);
		must(memcmp(whole.decoded, pieces.decoded, whole.decoded_len) == 0);
		must(whole.body != HTTP_DONE || whole.taken == pieces.taken);
	}
	free(whole.bytes);
	free(pieces.bytes);
	return 0;
}
