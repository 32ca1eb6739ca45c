/*
 * clerk.c: does for the process of a task what it asks for.
 */
#include "clerk.h"

#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "../blob/blob.h"

#define HANDLES_MAX 1000 /* artifacts that a task has open */

/* An open artifact. */
struct clerk_handle {
	void *of_host; /* NULL: free */
	bool reader;
};

/* ---- artifacts ---- */

static void
reply(struct clerk *c, const struct frame_reply *reply, const void *data, size_t size)
{
	struct iovec parts[] = {{(void *) reply, sizeof(*reply)}, {(void *) data, size}};

	c->send(c->arg, FRAME_REPLY, parts, 2);
}

static void
answer(struct clerk *c, int64_t rc, const struct error *err)
{
	struct frame_reply r = {.rc = rc};

	reply(c, &r, err->msg, rc < 0 ? strlen(err->msg) : 0);
}

static struct clerk_handle *
new_handle(struct clerk *c, struct error *err)
{
	struct clerk_handle *more;

	for (int i = 0; i < c->nhandles; i++) {
		if (!c->handles[i].of_host)
			return &c->handles[i];
	}
	more = c->nhandles < HANDLES_MAX ? realloc(c->handles, (size_t) (c->nhandles + 1) * sizeof(*more)) : NULL;
	if (!more) {
		error_set(err, "more than %d artifacts are open", c->nhandles);
		return NULL;
	}
	c->handles = more;
	c->handles[c->nhandles].of_host = NULL;
	return &c->handles[c->nhandles++];
}

/* A frame that begins with a handle, 1..nhandles; NULL: it does not, or that is not open. */
static struct clerk_handle *
find_handle(const struct clerk *c, const struct frame *frame, bool reader)
{
	int number;

	if (frame->size < sizeof(number))
		return NULL;
	memcpy(&number, frame->data, sizeof(number));
	if (number < 1 || number > c->nhandles || !c->handles[number - 1].of_host ||
	        c->handles[number - 1].reader != reader)
		return NULL;
	return &c->handles[number - 1];
}

/* create when content_type is given, else open. */
static void
open_handle(struct clerk *c, const char *name, bool reader, const char *content_type)
{
	struct error err = {""};
	struct clerk_handle *h = new_handle(c, &err);
	struct frame_reply r = {.rc = BLOB_REFUSED};

	if (h && reader)
		r.rc = c->task->host->open(c->task, name, &h->of_host, &r.size, &err);
	else if (h)
		r.rc = c->task->host->create(c->task, name, content_type, &h->of_host, &err);
	if (r.rc < 0) {
		if (h)
			h->of_host = NULL;
		answer(c, r.rc, &err);
		return;
	}
	h->reader = reader;
	r.handle = (int) (h - c->handles) + 1;
	reply(c, &r, NULL, 0);
}

static bool
handle_open(struct clerk *c, const struct frame *frame)
{
	char text[FRAME_TEXT_MAX + 1];
	bool reader = frame->type == FRAME_OPEN;
	const char *content_type = NULL;

	if (frame->size > FRAME_TEXT_MAX)
		return false;
	memcpy(text, frame->data, frame->size);
	text[frame->size] = '\0';
	if (!reader && strlen(text) + 1 < frame->size)
		content_type = text + strlen(text) + 1;
	open_handle(c, text, reader, content_type);
	return true;
}

static bool
handle_writer(struct clerk *c, const struct frame *frame)
{
	struct clerk_handle *h = find_handle(c, frame, false);
	struct error err = {""};
	int rc = 0;

	if (!h)
		return false;
	if (frame->type == FRAME_WRITE) {
		rc = c->task->host->write(
		        c->task, h->of_host, frame->data + sizeof(int), frame->size - sizeof(int), &err);
	} else {
		if (frame->type == FRAME_COMMIT)
			rc = c->task->host->commit(c->task, h->of_host, &err);
		else
			c->task->host->abort(c->task, h->of_host);
		h->of_host = NULL;
	}
	answer(c, rc, &err);
	return true;
}

static bool
handle_reader(struct clerk *c, const struct frame *frame)
{
	struct clerk_handle *h = find_handle(c, frame, true);
	struct error err = {""};
	struct frame_read wanted;
	struct frame_reply r = {.rc = BLOB_FAILED};

	if (!h)
		return false;
	if (frame->type == FRAME_CLOSE) {
		c->task->host->close(c->task, h->of_host);
		h->of_host = NULL;
		answer(c, 0, &err);
		return true;
	}
	if (frame->size != sizeof(wanted))
		return false;
	memcpy(&wanted, frame->data, sizeof(wanted));
	if (wanted.size > FRAME_PIECE)
		return false;
	if (!c->piece)
		c->piece = malloc(FRAME_PIECE);
	if (!c->piece)
		error_set(&err, "out of memory");
	else
		r.rc = c->task->host->read(c->task, h->of_host, c->piece, wanted.size, &err);
	if (r.rc < 0)
		answer(c, r.rc, &err);
	else
		reply(c, &r, c->piece, (size_t) r.rc);
	return true;
}

void
clerk_close(struct clerk *c)
{
	for (int i = 0; i < c->nhandles; i++) {
		if (!c->handles[i].of_host)
			continue;
		if (c->handles[i].reader)
			c->task->host->close(c->task, c->handles[i].of_host);
		else
			c->task->host->abort(c->task, c->handles[i].of_host);
	}
	free(c->handles);
	free(c->piece);
}

/* ---- what the child says ---- */

static bool
handle_progress(struct clerk *c, const struct frame *frame)
{
	char text[FRAME_TEXT_MAX + 1];
	double percent;
	size_t size;

	if (frame->size < sizeof(percent) || frame->size - sizeof(percent) > FRAME_TEXT_MAX)
		return false;
	memcpy(&percent, frame->data, sizeof(percent));
	size = frame->size - sizeof(percent);
	memcpy(text, frame->data + sizeof(percent), size);
	text[size] = '\0';
	c->task->progress_us = 0; /* the child has counted */
	task_progress(c->task, percent, size ? text : NULL);
	return true;
}

/* Notes of a task are its own: the key in the worker has its name in front.  False: the key is too long, or has a NUL. */
static bool
note_key(const struct clerk *c, const char *key, size_t size, char *out, size_t room)
{
	size_t len = strlen(c->task->name);

	if (len + 1 + size + 1 > room || memchr(key, '\0', size))
		return false;
	memcpy(out, c->task->name, len);
	out[len] = '\n'; /* no name has one */
	memcpy(out + len + 1, key, size);
	out[len + 1 + size] = '\0';
	return true;
}

static bool
handle_remember(struct clerk *c, const struct frame *frame)
{
	char key[FRAME_TEXT_MAX];
	int64_t until_us;
	const char *text, *end;

	if (frame->size < sizeof(until_us))
		return false;
	memcpy(&until_us, frame->data, sizeof(until_us));
	text = frame->data + sizeof(until_us);
	end = memchr(text, '\0', frame->size - sizeof(until_us));
	if (!end || !note_key(c, text, (size_t) (end - text), key, sizeof(key)))
		return false;
	end++;
	notes_put(c->notes, key, end, (size_t) (frame->data + frame->size - end), until_us);
	return true;
}

static bool
handle_recall(struct clerk *c, const struct frame *frame)
{
	struct frame_reply r = {.rc = 0};
	char key[FRAME_TEXT_MAX], *note;
	int64_t until_us = 0;
	size_t size = 0;

	if (!note_key(c, frame->data, frame->size, key, sizeof(key)))
		return false;
	note = notes_get(c->notes, key, &size, &until_us);
	r.rc = note != NULL;
	r.size = (uint64_t) until_us;
	reply(c, &r, note, note ? size : 0);
	free(note);
	return true;
}

/*
 * Takes over a text of the result, NUL included, into `small`, when it fits there, or malloc'ed; size 0: there is none.
 * False: it is no text, or memory is out.
 */
static bool
take_text(const char *data, size_t size, char *small, size_t room, char **to)
{
	if (size == 0)
		return true;
	if (data[size - 1] != '\0' || !utf8_is_clean(data, size - 1))
		return false;
	*to = size <= room ? small : malloc(size);
	if (*to)
		memcpy(*to, data, size);
	return *to != NULL;
}

static bool
handle_result(struct clerk *c, const struct frame *frame)
{
	struct outcome *out = c->task->out;
	const char *texts = frame->data + sizeof(struct frame_result);
	struct frame_result r;

	if (frame->size < sizeof(r))
		return false;
	memcpy(&r, frame->data, sizeof(r));
	if (frame->size - sizeof(r) != (uint64_t) r.result_size + r.error_size || r.result_size > TASK_RESULT_MAX + 1 ||
	        r.error_size > FRAME_ERROR_MAX || r.verdict < TASK_SUCCEEDED || r.verdict > TASK_STOPPED ||
	        (r.verdict == TASK_SUCCEEDED && r.result_size == 0) || !memchr(r.reason, '\0', sizeof(r.reason)) ||
	        !utf8_is_clean(r.reason, strlen(r.reason)))
		return false;
	if (!take_text(texts, r.result_size, out->small, sizeof(out->small), &out->result) ||
	        !take_text(texts + r.result_size, r.error_size, NULL, 0, &out->error))
		return false;
	memcpy(out->reason, r.reason, sizeof(out->reason));
	c->more = r.more == 1;
	out->retry_us = r.retry_us >= 0 ? r.retry_us : -1;
	c->task->verdict = (enum task_verdict) r.verdict;
	return true;
}

bool
clerk_serve(struct clerk *c, const struct frame *frame)
{
	switch ((enum frame_type) frame->type) {
	case FRAME_RESULT:
		return handle_result(c, frame);
	case FRAME_PROGRESS:
		return handle_progress(c, frame);
	case FRAME_REMEMBER:
		return handle_remember(c, frame);
	case FRAME_RECALL:
		return handle_recall(c, frame);
	case FRAME_CREATE:
	case FRAME_OPEN:
		return handle_open(c, frame);
	case FRAME_WRITE:
	case FRAME_COMMIT:
	case FRAME_ABORT:
		return handle_writer(c, frame);
	case FRAME_READ:
	case FRAME_CLOSE:
		return handle_reader(c, frame);
	case FRAME_RUN:
	case FRAME_STOP:
	case FRAME_REPLY:
		break;
	}
	return false;
}
