/*
 * web.c: the pages for browsers, and what they are made of.
 *
 * Everything is in the program.  Pages may load what comes from here and nothing else, and hold no script themselves.
 */
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "web_files.h"

#define POLICY                                                                                             \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " \
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static int
compare(const void *path, const void *file)
{
	return strcmp(path, ((const struct web_file *) file)->path);
}

void
web_get(struct exchange *x)
{
	const char *path = http_request_path(x->request);
	const struct web_file *file = bsearch(path, web_files, web_n_files, sizeof(web_files[0]), compare);
	struct http_response response = {.status = 200, .body_stays = true};
	struct problem problem;

	if (!file) {
		problem_set(&problem, 404, "unknown-path", NULL, "there is no file \"%.100s\"", path);
		answer_problem(x, &problem, NULL);
		return;
	}
	http_response_add(&response, "ETag", file->etag);
	http_response_add(&response, "Cache-Control", "no-cache");
	if (file->zipped)
		http_response_add(
		        &response, "Vary", strcmp(path, "/") == 0 ? "Accept, Accept-Encoding" : "Accept-Encoding");
	if (answer_is_known(x, file->etag)) {
		response.status = 304;
		answer_response(x, &response);
		return;
	}
	response.content_type = file->type;
	response.body = file->bytes;
	response.body_len = file->size;
	if (file->zipped && http_request_takes_gzip(x->request)) {
		http_response_add(&response, "Content-Encoding", "gzip");
		response.body = file->zipped;
		response.body_len = file->zipped_size;
	}
	if (strncmp(file->type, "text/html", 9) == 0) {
		http_response_add(&response, "Content-Security-Policy", POLICY);
		http_response_add(&response, "Referrer-Policy", "no-referrer");
		http_response_add(&response, "Cross-Origin-Opener-Policy", "same-origin");
	}
	answer_response(x, &response);
}

/* The page for browsers, the list of calls for everybody else. */
void
web_root(struct exchange *x)
{
	const char *accept = http_request_header(x->request, "Accept");

	if (accept && strstr(accept, "text/html"))
		web_get(x);
	else
		routes_list(x);
}
