/*
 * health.c: is the process alive, and is the whole system ready?
 */
#include <jansson.h>
#include <stdlib.h>

#include "api.h"

void
health_live(struct exchange *x)
{
	answer_json(x, 200, "{\"status\":\"ok\"}\n", NULL);
}

/* The shape of jobsched.health(), as far as it is known without it. */
static void
answer_not_ready(struct exchange *x, const char *code, const char *database, const char *detail)
{
	json_t *object = json_pack(
	        "{s:b, s:s, s:s, s:s*}", "ready", 0, "code", code, "database", database, "detail", detail);
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	answer_json(x, 503, text ? text : "{\"ready\":false}", NULL);
	free(text);
	json_decref(object);
}

static void
on_health(struct db_call *call, const struct db_answer *answer)
{
	struct exchange *x = (struct exchange *) call;
	const char *ready = answer->columns[0], *health = answer->columns[1], *reason;

	if (answer->outcome == DB_OK && ready && health) /* ready: JSON's true or false */
		answer_json(x, ready[0] == 't' ? 200 : 503, health, NULL);
	else if (answer->outcome == DB_FAILED)
		answer_not_ready(x, "failed", "connected", answer->message);
	else if (!db_is_up(x->api->db, &reason))
		answer_not_ready(x, "not_connected", "not connected", reason);
	else
		answer_not_ready(x, "not_answering", "not answering", answer->message);
}

void
health_ready(struct exchange *x)
{
	x->call.statement = DB_HEALTH;
	x->call.done = on_health;
	db_call_send(x->api->db, &x->call);
}
