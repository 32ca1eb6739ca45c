/*
 * guard.h: may this request be handled?
 *
 * With API_TOKENS_FILE callers say who they are with a bearer token.  Without it everybody who reaches the loopback address
 * may do everything; then it is browsers that must be kept from lending their reach to other sites, by a DNS name that
 * suddenly means 127.0.0.1 or by a form that posts here.
 */
#ifndef JOBSCHED_API_GUARD_H
#define JOBSCHED_API_GUARD_H

#include "tokens.h"

struct guard;
struct exchange;

/*
 * tokens_file: NULL or "": everybody is an admin.  allowed_hosts: names and addresses, separated by commas, that the header
 * Host may have beside loopback ones; looked at when there are no tokens or when it is not empty.  Both must live as long.
 */
struct guard *guard_new(const char *tokens_file, const char *allowed_hosts, struct error *err);

/* Reads the tokens again; when that fails the old ones stay. */
void guard_reload(struct guard *guard);

void guard_free(struct guard *guard); /* NULL is allowed */

/* 0: go on, x->role and x->caller are set; -1: has been answered. */
int guard_check(struct exchange *x, enum api_role needed);

/* GET /whoami */
void guard_whoami(struct exchange *x);

#endif
