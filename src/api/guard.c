/*
 * guard.c: tokens, hosts and origins of requests.
 */
#include "guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api.h"
#include "log.h"

struct guard {
	const char *tokens_file; /* NULL: nobody is asked */
	const char *allowed_hosts;
	struct tokens *tokens;
};

struct guard *
guard_new(const char *tokens_file, const char *allowed_hosts, struct error *err)
{
	struct guard *guard = calloc(1, sizeof(*guard));

	if (!guard) {
		error_set(err, "out of memory");
		return NULL;
	}
	guard->allowed_hosts = allowed_hosts ? allowed_hosts : "";
	if (!tokens_file || !*tokens_file)
		return guard;
	guard->tokens_file = tokens_file;
	guard->tokens = tokens_read(tokens_file, err);
	if (!guard->tokens) {
		free(guard);
		return NULL;
	}
	log_event(LOG_LEVEL_INFO, "tokens read", "file", tokens_file, "tokens", LOG_NUM(tokens_count(guard->tokens)),
	        NULL);
	return guard;
}

void
guard_reload(struct guard *guard)
{
	struct tokens *tokens;
	struct error err;

	if (!guard->tokens_file)
		return;
	tokens = tokens_read(guard->tokens_file, &err);
	if (!tokens) {
		log_event(LOG_LEVEL_ERROR, "tokens not read, the old ones stay", "reason", err.msg, NULL);
		return;
	}
	tokens_free(guard->tokens);
	guard->tokens = tokens;
	log_event(LOG_LEVEL_INFO, "tokens read", "file", guard->tokens_file, "tokens", LOG_NUM(tokens_count(tokens)),
	        NULL);
}

void
guard_free(struct guard *guard)
{
	if (guard)
		tokens_free(guard->tokens);
	free(guard);
}

/*
 * Hosts and origins
 */

/* The length of "host" or "[::1]" in "host:port"; what stands there has been checked (http_parse.c). */
static size_t
name_length(const char *host)
{
	return *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
}

static bool
is_loopback_name(const char *host, size_t len)
{
	char text[64];
	struct in_addr v4;

	if (len >= sizeof(text))
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	return strcasecmp(text, "localhost") == 0 || strcmp(text, "[::1]") == 0 ||
	        (inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

static bool
is_listed(const char *list, const char *host, size_t len)
{
	while (*list) {
		size_t n;

		list += strspn(list, " ,");
		n = strcspn(list, " ,");
		if (n == len && n > 0 && strncasecmp(list, host, n) == 0)
			return true;
		list += n;
	}
	return false;
}

static int
check_host(const struct guard *guard, const char *host, struct problem *problem)
{
	size_t len;

	if (!host || (guard->tokens && !*guard->allowed_hosts))
		return 0; /* browsers always send Host */
	len = name_length(host);
	if (is_loopback_name(host, len) || is_listed(guard->allowed_hosts, host, len))
		return 0;
	return problem_set(problem, 421, "wrong-host", NULL,
	        "Host is \"%.100s\"; allowed: localhost, loopback addresses, and what API_ALLOWED_HOSTS lists", host);
}

/* Of a request that changes something: did a page of another site make a browser send it? */
static int
check_origin(const char *host, const char *site, const char *origin, struct problem *problem)
{
	const char *from;

	if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
		return problem_set(problem, 403, "cross-site", NULL,
		        "Sec-Fetch-Site is \"%.40s\": pages of other sites may not change anything here", site);
	if (!origin)
		return 0;
	from = strstr(origin, "://");
	if (from && host && strcasecmp(from + 3, host) == 0)
		return 0;
	return problem_set(problem, 403, "cross-site", NULL,
	        "Origin is \"%.100s\": pages of other sites may not change anything here", origin);
}

/*
 * Tokens
 */

static void
answer_unauthorized(struct exchange *x, bool wrong, enum api_role needed)
{
	struct problem problem;

	problem_set(&problem, 401, "unauthorized", NULL,
	        wrong ? "the token in Authorization is not known; needed: one with the role %s or higher"
	              : "there is no \"Authorization: Bearer TOKEN\"; needed: a token with the role %s or higher",
	        api_role_name(needed));
	answer_problem_with(x, &problem, "WWW-Authenticate",
	        wrong ? "Bearer realm=\"jobsched\", error=\"invalid_token\"" : "Bearer realm=\"jobsched\"");
}

static int
check_token(struct exchange *x, const struct guard *guard, enum api_role needed)
{
	const char *authorization = http_request_header(x->request, "Authorization");
	bool bearer = authorization && strncasecmp(authorization, "Bearer ", 7) == 0;
	const struct token *token =
	        bearer ? tokens_find(guard->tokens, authorization + 7 + strspn(authorization + 7, " ")) : NULL;
	struct problem problem;

	if (token) {
		snprintf(x->caller, sizeof(x->caller), "%s", token->name);
		x->role = token->role;
	}
	if (needed == API_ANYBODY || x->role >= needed)
		return 0;
	if (!token) {
		answer_unauthorized(x, authorization, needed);
		return -1;
	}
	problem_set(&problem, 403, "role-too-low", NULL, "this needs the role %s; the token \"%s\" has the role %s",
	        api_role_name(needed), token->name, api_role_name(token->role));
	answer_problem(x, &problem, NULL);
	return -1;
}

int
guard_check(struct exchange *x, enum api_role needed)
{
	const struct guard *guard = x->api->guard;
	const char *host = http_request_host(x->request);
	const unsigned harmless = HTTP_METHOD_GET | HTTP_METHOD_HEAD | HTTP_METHOD_OPTIONS;
	struct problem problem;
	int rc;

	rc = check_host(guard, host, &problem);
	if (rc == 0 && !guard->tokens && !(http_request_method(x->request) & harmless))
		rc = check_origin(host, http_request_header(x->request, "Sec-Fetch-Site"),
		        http_request_header(x->request, "Origin"), &problem);
	if (rc < 0) {
		answer_problem(x, &problem, NULL);
		return -1;
	}
	if (guard->tokens)
		return check_token(x, guard, needed);
	x->role = API_ADMIN;
	return 0;
}

void
guard_whoami(struct exchange *x)
{
	char json[160 + TOKEN_NAME_SIZE];

	/* The name of a token needs no escapes. */
	snprintf(json, sizeof(json), "{\"name\":%s%s%s,\"role\":\"%s\",\"tokens\":%s}\n", *x->caller ? "\"" : "",
	        *x->caller ? x->caller : "null", *x->caller ? "\"" : "", api_role_name(x->role),
	        x->api->guard->tokens ? "true" : "false");
	answer_json(x, 200, json, NULL);
}
