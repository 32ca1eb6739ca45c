/* API_TOKENS_FILE: which lines are taken, what is said about others, and who is found. */
/* sources: src/api/tokens.c src/common/error.c */
/* libs: -lcrypto */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/api/tokens.h"
#include "tap.h"

/* SHA-256 of "abc" (FIPS 180-4), and of nothing. */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static char path[] = "/tmp/jobsched-tokens-XXXXXX";

static struct tokens *
with(const char *text, mode_t mode, struct error *err)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		return NULL;
	chmod(path, mode);
	return tokens_read(path, err);
}

static void
refuses(const char *text, mode_t mode, const char *part)
{
	struct error err = {""};
	struct tokens *tokens = with(text, mode, &err);

	ok(!tokens && strstr(err.msg, path), "refuses %.*s (%04o)", (int) strcspn(text, "\n"), text, (unsigned) mode);
	if (!ok(strstr(err.msg, part) != NULL, "saying %s", part))
		diag("%s", err.msg);
	ok(!strstr(err.msg, "secret"), "and not what may be a token");
	tokens_free(tokens);
}

static void
files(void)
{
	struct error err = {""};
	struct tokens *tokens =
	        with("# a comment\n\n  \t\na " ABC " viewer\n\tb-2@x.y \t" NOTHING "   admin\r\n#", 0600, &err);
	const struct token *token;

	if (!ok(tokens != NULL, "takes names, digests and roles")) {
		diag("%s", err.msg);
		return;
	}
	is_int(tokens_count(tokens), 2, "two of them");
	token = tokens_find(tokens, "abc");
	ok(token && strcmp(token->name, "a") == 0 && token->role == API_VIEWER, "finds one by its token");
	token = tokens_find(tokens, "");
	ok(token && strcmp(token->name, "b-2@x.y") == 0 && token->role == API_ADMIN, "and the other");
	ok(!tokens_find(tokens, "abd") && !tokens_find(tokens, ABC), "and no other, nor the digest itself");
	tokens_free(tokens);
	tokens = with("", 0640, &err);
	ok(tokens && tokens_count(tokens) == 0 && !tokens_find(tokens, "abc"),
	        "an empty file is nobody; its group may read it");
	tokens_free(tokens);

	refuses("a " ABC " viewer\n", 0644, "mode 0644; allowed: 0600 or 0640");
	refuses("a " ABC " viewer\n", 0660, "mode 0660");
	refuses("a " ABC " viewer\n", 0602, "mode 0602");
	refuses("a " ABC " viewer\na " NOTHING " viewer\n", 0600, "line 2: \"a\" is a name that another line has");
	refuses("a " ABC " viewer\nb " ABC " admin\n", 0600, "line 2: \"b\" has the token of another line");
	refuses("\n\na " ABC " boss\n", 0600, "line 3: \"boss\" is no role; allowed: viewer, submitter, admin");
	refuses("a " ABC " anybody\n", 0600, "\"anybody\" is no role");
	refuses("a/b " ABC " viewer\n", 0600, "\"a/b\" is no name");
	refuses("a secret viewer\n", 0600, "\"a\" has no SHA-256 after it");
	refuses("a " ABC "0 viewer\n", 0600, "has no SHA-256");
	refuses("a " ABC "\n", 0600, "line 1: allowed: NAME SHA256 ROLE");
	refuses("a " ABC " viewer admin\n", 0600, "allowed: NAME SHA256 ROLE");
	ok(!tokens_read("/nowhere/tokens", &err) && strstr(err.msg, "/nowhere/tokens: cannot be read: No such"),
	        "no file");
	ok(!tokens_read("/tmp", &err) && strstr(err.msg, "/tmp is not a file"), "a directory");
}

static void
lines(void)
{
	struct error err = {""};
	char *line = tokens_line("ci", "submitter", "abcdefghijklmnopqrst==", &err);
	struct tokens *tokens = line ? with(line, 0600, &err) : NULL;

	ok(tokens && tokens_find(tokens, "abcdefghijklmnopqrst=="), "the line of a token makes it known");
	tokens_free(tokens);
	free(line);
	ok(!tokens_line("c i", "admin", "abcdefghijklmnopqrst", &err) && strstr(err.msg, "\"c i\" is no name"),
	        "a bad name");
	ok(!tokens_line("ci", "none", "abcdefghijklmnopqrst", &err) && strstr(err.msg, "\"none\" is no role"),
	        "a bad role");
	ok(!tokens_line("ci", "admin", "abcdefghijklmnopqrs", &err) && strstr(err.msg, "20 or more"), "a short token");
	ok(!tokens_line("ci", "admin", "abcdefghijklmnopqrst uvw", &err) && strstr(err.msg, "no token"),
	        "one with a blank");
	ok(!tokens_line("ci", "admin", "", &err), "none");
}

int
main(void)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	files();
	lines();
	unlink(path);
	return done_testing();
}
