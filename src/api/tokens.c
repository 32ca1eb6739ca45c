/*
 * tokens.c: read API_TOKENS_FILE, and find tokens.
 */
#include "tokens.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hex.h"

#define DIGEST_SIZE sizeof(((struct token *) NULL)->digest)

struct tokens {
	struct token *items;
	size_t n;
};

static const char *const roles[] = {"anybody", "viewer", "submitter", "admin"};

const char *
api_role_name(enum api_role role)
{
	return roles[role];
}

static int
role_of(const char *name, enum api_role *role)
{
	for (int i = API_VIEWER; i <= API_ADMIN; i++) {
		if (strcmp(roles[i], name) == 0) {
			*role = (enum api_role) i;
			return 0;
		}
	}
	return -1;
}

static bool
is_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-");

	return len > 0 && len < TOKEN_NAME_SIZE && text[len] == '\0';
}

static int
digest_from_hex(const char *text, unsigned char *digest)
{
	if (strlen(text) != DIGEST_SIZE * 2)
		return -1;
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		digest[i] = (unsigned char) (high << 4 | low);
	}
	return 0;
}

static bool
digest_of(const char *text, unsigned char *digest)
{
	return EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) == 1;
}

/* What is wrong with the line, or NULL; shown is the word that is wrong. */
static const char *
parse_line(const struct tokens *tokens, char *line, struct token *token, const char **shown)
{
	char *state = NULL;
	char *name = strtok_r(line, " \t\r\n", &state), *digest = strtok_r(NULL, " \t\r\n", &state);
	char *role = strtok_r(NULL, " \t\r\n", &state);

	*shown = "";
	if (!digest || !role || strtok_r(NULL, " \t\r\n", &state))
		return "allowed: NAME SHA256 ROLE";
	*shown = name;
	if (!is_name(name))
		return "is no name; allowed: up to 63 letters, digits and . _ @ -";
	snprintf(token->name, sizeof(token->name), "%s", name);
	*shown = role;
	if (role_of(role, &token->role) < 0)
		return "is no role; allowed: viewer, submitter, admin";
	*shown = name; /* not what may be a token that was put there by mistake */
	if (digest_from_hex(digest, token->digest) < 0)
		return "has no SHA-256 after it; allowed: 64 hexadecimal digits, which jobsched-api --hash-token "
		       "prints";
	for (size_t i = 0; i < tokens->n; i++) {
		if (strcmp(tokens->items[i].name, token->name) == 0)
			return "is a name that another line has";
		if (memcmp(tokens->items[i].digest, token->digest, DIGEST_SIZE) == 0)
			return "has the token of another line";
	}
	return NULL;
}

static int
add_token(struct tokens *tokens, const struct token *token)
{
	struct token *bigger = realloc(tokens->items, (tokens->n + 1) * sizeof(*bigger));

	if (!bigger)
		return -1;
	tokens->items = bigger;
	tokens->items[tokens->n++] = *token;
	return 0;
}

static int
read_lines(FILE *file, const char *path, struct tokens *tokens, struct error *err)
{
	char *line = NULL;
	size_t size = 0;
	int rc = 0;

	for (int number = 1; rc == 0 && getline(&line, &size, file) >= 0; number++) {
		struct token token = {0};
		const char *shown, *wrong;
		size_t blanks = strspn(line, " \t\r\n");

		if (!line[blanks] || line[blanks] == '#')
			continue;
		wrong = parse_line(tokens, line + blanks, &token, &shown);
		if (wrong)
			rc = error_set(err, "%s, line %d: %s%.64s%s%s", path, number, *shown ? "\"" : "", shown,
			        *shown ? "\" " : "", wrong);
		else if (add_token(tokens, &token) < 0)
			rc = error_set(err, "out of memory");
	}
	if (rc == 0 && ferror(file))
		rc = error_set(err, "%s: cannot be read: %s", path, strerror(errno));
	free(line);
	return rc;
}

struct tokens *
tokens_read(const char *path, struct error *err)
{
	struct tokens *tokens = calloc(1, sizeof(*tokens));
	FILE *file = fopen(path, "re");
	struct stat st;
	int rc;

	if (!tokens)
		rc = error_set(err, "out of memory");
	else if (!file || fstat(fileno(file), &st) < 0)
		rc = error_set(err, "%s: cannot be read: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		rc = error_set(err, "%s is not a file", path);
	else if (st.st_mode & (S_IRWXO | S_IWGRP))
		rc = error_set(err,
		        "%s has mode %04o; allowed: 0600 or 0640, so that nobody else can read it or put a token in",
		        path, (unsigned) st.st_mode & 07777);
	else
		rc = read_lines(file, path, tokens, err);
	if (file)
		fclose(file);
	if (rc == 0)
		return tokens;
	tokens_free(tokens);
	return NULL;
}

void
tokens_free(struct tokens *tokens)
{
	if (tokens)
		free(tokens->items);
	free(tokens);
}

size_t
tokens_count(const struct tokens *tokens)
{
	return tokens->n;
}

const struct token *
tokens_find(const struct tokens *tokens, const char *text)
{
	const struct token *found = NULL;
	unsigned char digest[DIGEST_SIZE];

	if (!digest_of(text, digest))
		return NULL;
	for (size_t i = 0; i < tokens->n; i++) {
		if (CRYPTO_memcmp(tokens->items[i].digest, digest, DIGEST_SIZE) == 0)
			found = &tokens->items[i];
	}
	return found;
}

char *
tokens_line(const char *name, const char *role, const char *text, struct error *err)
{
	/* token68 of RFC 9110, 11.2 */
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/");
	unsigned char digest[DIGEST_SIZE];
	char hex[DIGEST_SIZE * 2 + 1], *line;
	enum api_role known;

	len += strspn(text + len, "=");
	if (!is_name(name)) {
		error_set(err, "\"%.100s\" is no name; allowed: up to 63 letters, digits and . _ @ -", name);
		return NULL;
	}
	if (role_of(role, &known) < 0) {
		error_set(err, "\"%.100s\" is no role; allowed: viewer, submitter, admin", role);
		return NULL;
	}
	if (text[len] || len < TOKEN_LENGTH_MIN) {
		error_set(err,
		        "that is no token; allowed: %d or more letters, digits and - . _ ~ + / with = at the end, for "
		        "example from: openssl rand -hex 32",
		        TOKEN_LENGTH_MIN);
		return NULL;
	}
	if (!digest_of(text, digest)) {
		error_set(err, "SHA-256 is not available");
		return NULL;
	}
	for (size_t i = 0; i < DIGEST_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	if (asprintf(&line, "%s %s %s\n", name, hex, role) < 0) {
		error_set(err, "out of memory");
		return NULL;
	}
	return line;
}
