/*
 * metrics.c: GET /metrics, the numbers of the database for Prometheus.
 */
#include <string.h>

#include "api.h"

static void
on_metrics(struct db_call *call, const struct db_answer *answer)
{
	struct exchange *x = (struct exchange *) call;
	struct http_response response = {.status = 200,
	        .content_type = "text/plain; version=0.0.4; charset=utf-8",
	        .headers = {{"Cache-Control", "no-store"}}};

	if (answer->outcome != DB_OK || !answer->columns[0]) {
		answer_db_problem(x, answer);
		return;
	}
	response.body = answer->columns[0];
	response.body_len = strlen(response.body);
	answer_response(x, &response);
}

void
metrics_get(struct exchange *x)
{
	x->call.statement = DB_METRICS;
	x->call.done = on_metrics;
	db_call_send(x->api->db, &x->call);
}
