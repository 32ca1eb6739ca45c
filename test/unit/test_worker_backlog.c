/* sources: src/worker/backlog.c src/worker/inbox.c src/common/uuid.c */
/*
 * How much a worker claims ahead, and the way of a delivery through the inbox.
 */
#include "src/worker/backlog.h"
#include "src/worker/inbox.h"
#include "tap.h"

#define A "00000000-0000-4000-8000-00000000000a"
#define B "00000000-0000-4000-8000-00000000000b"
#define C "00000000-0000-4000-8000-00000000000c"

static void
means(void)
{
	struct backlog_mean m = { 0 };

	ok(backlog_expected(&m) == BACKLOG_UNKNOWN_SECONDS, "a task that never ran counts as long");
	backlog_mean_add(&m, 0.002);
	ok(backlog_expected(&m) == 0.002, "the first run counts whole");
	backlog_mean_add(&m, 0.012);
	ok(backlog_expected(&m) > 0.0029 && backlog_expected(&m) < 0.0031, "the next one a tenth");
}

static void
admission(void)
{
	struct backlog idle = { .threads = 4, .idle = 4, .dispatch_seconds = BACKLOG_UNKNOWN_SECONDS };
	struct backlog busy = { .threads = 4, .idle = 0, .dispatch_seconds = 0.1 };
	struct backlog b;

	is_int(backlog_admit(&idle), 4, "unknown work: one dispatch for each idle thread");
	b = idle;
	b.ready = 3;
	b.ready_seconds = 3;
	is_int(backlog_admit(&b), 1, "claimed runs count for idle threads");
	b.ready = 4;
	is_int(backlog_admit(&b), 0, "as many claimed as idle threads, and long: enough");

	is_int(backlog_admit(&busy), 4, "busy threads: 100 ms of work for each");
	b = busy;
	b.ready = 100;
	b.ready_seconds = 0.35;
	is_int(backlog_admit(&b), 0, "less room than a dispatch is expected to fill: none");
	b.ready_seconds = 0.15;
	is_int(backlog_admit(&b), 2, "room for two");
	b.dispatch_seconds = 0.000001;
	is_int(backlog_admit(&b), BACKLOG_CLAIM_MAX, "tiny work: as many as a call may carry");
	b = busy;
	b.dispatch_seconds = 1;
	is_int(backlog_admit(&b), 0, "long work is not claimed ahead");
	b = busy;
	b.stalled_us = 100001;
	is_int(backlog_admit(&b), 0, "no thread has moved for 100 ms: what were claimed now would only wait");
	b.idle = 1;
	is_int(backlog_admit(&b), 4, "unless one is idle");

	b = idle;
	b.results = BACKLOG_RESULTS_MAX;
	is_int(backlog_admit(&b), 0, "too many results that the database does not have");
	b.results = 0;
	b.result_bytes = BACKLOG_BYTES_MAX;
	is_int(backlog_admit(&b), 0, "too large results that the database does not have");
}

/* "1+ 2-": tags that are to be acknowledged and given back. */
static const char *
verdicts(struct inbox *in, char *buf, size_t size)
{
	struct delivery *list = inbox_verdicts(in);
	size_t len = 0;

	buf[0] = '\0';
	for (const struct delivery *d = list; d; d = d->next)
		len += (size_t) snprintf(buf + len, size - len, "%s%llu%c", len ? " " : "", (unsigned long long) d->tag, d->requeue ? '-' : '+');
	inbox_recycle(in, list);
	return buf;
}

static void
deliveries(void)
{
	struct inbox in;
	char text[100], token[UUID_TEXT_SIZE];

	inbox_init(&in);
	is_int(inbox_take(&in, 10), 0, "nothing to take");
	inbox_put(&in, A, 1, 100);
	inbox_put(&in, B, 2, 200);
	inbox_put(&in, A, 3, 300);
	inbox_put(&in, C, 4, 400);
	is_int(inbox_lowest_open(&in), 1, "lowest open tag: waiting");
	is_int(inbox_take(&in, 2), 2, "takes the oldest");
	is_int(in.waiting.n, 2, "and leaves the others");
	is_str(verdicts(&in, text, sizeof(text)), "", "no verdict before the claim is answered");
	memcpy(token, in.token, sizeof(token));

	inbox_put_back(&in);
	is_int(in.waiting.head->tag, 1, "what was not claimed waits again, at the front");
	is_int(inbox_take(&in, 10), 3, "a dispatch that is there twice is claimed once");
	ok(strcmp(token, in.token) != 0, "every claim has a token of its own");
	is_str(verdicts(&in, text, sizeof(text)), "3+", "its duplicate is acknowledged");
	is_int(inbox_lowest_open(&in), 1, "lowest open tag: claiming");
	inbox_settle(&in);
	is_str(verdicts(&in, text, sizeof(text)), "1+ 2+ 4+", "an answered claim: acknowledged in order of their tags");
	ok(inbox_lowest_open(&in) == UINT64_MAX, "nothing is open");

	inbox_put(&in, A, 5, 500);
	inbox_put(&in, B, 6, 600);
	inbox_take(&in, 1);
	inbox_give_back(&in);
	is_str(verdicts(&in, text, sizeof(text)), "6-", "given back: only what is not being claimed");
	inbox_abandon(&in);
	is_str(verdicts(&in, text, sizeof(text)), "5-", "an abandoned claim goes back to the broker");

	inbox_put(&in, A, 7, 700);
	inbox_put(&in, B, 8, 800);
	inbox_take(&in, 1);
	inbox_new_connection(&in);
	is_int(in.waiting.n, 0, "a new connection: what waited is forgotten");
	inbox_put(&in, C, 1, 900);
	is_int(inbox_lowest_open(&in), 1, "tags of the old connection are not open here");
	inbox_settle(&in);
	is_str(verdicts(&in, text, sizeof(text)), "", "a delivery of a dead connection is not acknowledged on the new one");

	inbox_put(&in, A, 2, 950);
	inbox_take(&in, 2);
	inbox_new_connection(&in);
	inbox_put_back(&in);
	is_int(in.waiting.n, 0, "nor does it wait again");
	inbox_free(&in);
}

int
main(void)
{
	means();
	admission();
	deliveries();
	return done_testing();
}
