/*
 * tokens.h: who may call: the bearer tokens in API_TOKENS_FILE.
 *
 * A line of the file is "NAME DIGEST ROLE": a name for the log, the SHA-256 of the token in hexadecimal, and what it may do.
 * Empty lines and those that begin with # do not count.  The token itself is in no file of the API's.
 */
#ifndef JOBSCHED_API_TOKENS_H
#define JOBSCHED_API_TOKENS_H

#include <stddef.h>

#include "error.h"

/* What a caller may do; each may do what those before it may. */
enum api_role {
	API_ANYBODY, /* no token is needed */
	API_VIEWER, /* look at everything */
	API_SUBMITTER, /* submit, cancel, retry and the like */
	API_ADMIN /* queues, bulk changes and the like */
};

#define TOKEN_NAME_SIZE 64
#define TOKEN_LENGTH_MIN 20 /* characters; fewer could be found by trying */

struct token {
	char name[TOKEN_NAME_SIZE];
	unsigned char digest[32];
	enum api_role role;
};

struct tokens;

/* The file must not be readable or writable by others, nor writable by its group.  NULL with *err filled. */
struct tokens *tokens_read(const char *path, struct error *err);
void tokens_free(struct tokens *tokens); /* NULL is allowed */
size_t tokens_count(const struct tokens *tokens);

/* The token with that text, or NULL.  How long it takes says nothing about how near to one it is. */
const struct token *tokens_find(const struct tokens *tokens, const char *text);

/* "viewer", "submitter", "admin"; "anybody". */
const char *api_role_name(enum api_role role);

/*
 * The line for the file, with newline, malloc'ed; NULL with *err filled when name, role or token are not as they should be.
 */
char *tokens_line(const char *name, const char *role, const char *text, struct error *err);

#endif
