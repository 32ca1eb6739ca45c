/*
 * exec_talk.c: moves bytes between a run and the process that works for it, and ends that in time.
 */
#include "exec_talk.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "utf8.h"

#define LOOK_US INT64_C(100000) /* how often the cancel flag is looked at */
#define CHUNK 65536
#define LOG_MAX 65536 /* bytes of standard error that are logged a run */
#define ENDING_MS 1000 /* between a process's last output and its end */
#define LAST_READS 64 /* chunks read after the end: a descendant may write for ever */

void
exec_talk_start(struct exec_talk *talk, struct task_context *task, const struct exec_command *command,
        struct exec_process *process, const char *input, size_t input_len)
{
	*talk = (struct exec_talk){.task = task,
	        .command = command,
	        .process = process,
	        .max_output = command->max_result,
	        .input = input,
	        .input_len = input_len,
	        .limit_us = INT64_MAX,
	        .kill_us = INT64_MAX};
	if (command->timeout > 0)
		talk->limit_us = clock_boottime_us() + (int64_t) (command->timeout * 1e6);
}

void
exec_talk_free(struct exec_talk *talk)
{
	free(talk->output);
	free(talk->tail);
	talk->output = talk->tail = NULL;
}

/* ---- ending it ---- */

static void
stop(struct exec_talk *talk, enum exec_stop why)
{
	if (talk->stop != EXEC_GOES_ON)
		return;
	talk->stop = why;
	talk->kill_us = clock_boottime_us() + (int64_t) (talk->command->grace * 1e6);
	exec_process_signal(talk->process, SIGTERM);
}

static void
fail(struct exec_talk *talk)
{
	talk->failed = true;
	talk->kill_us = INT64_MAX;
	exec_process_signal(talk->process, SIGKILL);
}

/* Looks at the cancel flag and the clock; returns when to do so again. */
static int64_t
keep_time(struct exec_talk *talk)
{
	int64_t now_us = clock_boottime_us(), until_us = now_us + LOOK_US;
	double left;

	if (talk->stop == EXEC_GOES_ON && !talk->failed) {
		if (task_cancelled(talk->task))
			stop(talk, EXEC_TOLD);
		else if (now_us >= talk->limit_us)
			stop(talk, EXEC_OVERTIME);
	}
	if (talk->stop != EXEC_GOES_ON && now_us >= talk->kill_us) {
		talk->kill_us = INT64_MAX;
		exec_process_signal(talk->process, SIGKILL);
	}
	if (talk->stop != EXEC_GOES_ON || talk->failed)
		return talk->kill_us;

	left = task_time_left(talk->task);
	if (left >= 0 && left < 1e6 && now_us + (int64_t) (left * 1e6) < until_us)
		until_us = now_us + (int64_t) (left * 1e6) + 1;
	return talk->limit_us < until_us ? talk->limit_us : until_us;
}

/* ---- its output ---- */

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Returns the number of bytes read; 0 when there is nothing now; closes fd at its end. */
static size_t
read_some(int *fd, char *buf, size_t size)
{
	ssize_t got;

	do {
		got = read(*fd, buf, size);
	} while (got < 0 && errno == EINTR);
	if (got > 0)
		return (size_t) got;
	if (got == 0 || errno != EAGAIN)
		close_fd(fd);
	return 0;
}

static bool
make_room(struct exec_talk *talk)
{
	size_t room = talk->output_room ? talk->output_room * 2 : 4096;
	char *output;

	if (talk->output_len + 1 < talk->output_room)
		return true;
	if (room > talk->max_output + 2)
		room = talk->max_output + 2;
	output = realloc(talk->output, room);
	if (!output)
		return false;
	talk->output = output;
	talk->output_room = room;
	return true;
}

/* Collects up to one byte more than is allowed; after that the rest is not wanted.  False: there is nothing now. */
static bool
read_output(struct exec_talk *talk)
{
	char waste[CHUNK];
	size_t got;

	if (talk->output_len > talk->max_output)
		return read_some(&talk->process->out, waste, sizeof(waste)) > 0;
	if (!make_room(talk)) {
		fail(talk);
		close_fd(&talk->process->out);
		return false;
	}
	got = read_some(&talk->process->out, talk->output + talk->output_len, talk->output_room - 1 - talk->output_len);
	talk->output_len += got;
	if (talk->output_len > talk->max_output) {
		stop(talk, EXEC_TOO_LARGE);
		talk->kill_us = 0; /* nothing that it could still say matters */
	}
	return got > 0;
}

static void
log_line(struct exec_talk *talk)
{
	char text[UTF8_CLEAN_SIZE(sizeof(talk->line))];
	size_t len = talk->line_len;

	talk->line_len = 0;
	while (len > 0 && talk->line[len - 1] == '\r')
		len--;
	if (len == 0 || talk->logged > LOG_MAX)
		return;
	talk->logged += len;
	if (talk->logged > LOG_MAX) {
		task_log(talk->task, TASK_LOG_WARNING,
		        "%s: more than %d bytes on standard error, the rest is not logged", talk->command->name,
		        LOG_MAX);
		return;
	}
	utf8_clean(talk->line, len, text);
	task_log(talk->task, TASK_LOG_INFO, "%s: %s", talk->command->name, text);
}

static void
log_text(struct exec_talk *talk, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n' || talk->line_len == sizeof(talk->line))
			log_line(talk);
		if (text[i] != '\n')
			talk->line[talk->line_len++] = text[i];
	}
}

/* The tail has room for twice as much, so that it is seldom moved. */
static void
keep_tail(struct exec_talk *talk, const char *text, size_t len)
{
	size_t max = talk->command->max_stderr;

	if (max == 0 || len == 0)
		return;
	if (!talk->tail && !(talk->tail = malloc(max * 2)))
		return;
	if (len > max) {
		text += len - max;
		len = max;
		talk->tail_len = 0;
		talk->tail_cut = true;
	} else if (talk->tail_len + len > max * 2) {
		memmove(talk->tail, talk->tail + talk->tail_len - max, max);
		talk->tail_len = max;
		talk->tail_cut = true;
	}
	memcpy(talk->tail + talk->tail_len, text, len);
	talk->tail_len += len;
}

static bool
read_errors(struct exec_talk *talk)
{
	char buf[CHUNK];
	size_t got = read_some(&talk->process->err, buf, sizeof(buf));

	log_text(talk, buf, got);
	keep_tail(talk, buf, got);
	return got > 0;
}

void
exec_talk_read_errors(struct exec_talk *talk)
{
	for (int i = 0; i < LAST_READS && talk->process->err >= 0; i++) {
		if (!read_errors(talk))
			break;
	}
	log_line(talk);
}

char *
exec_talk_errors(const struct exec_talk *talk)
{
	size_t max = talk->command->max_stderr, len = talk->tail_len;
	const char *from = talk->tail;
	bool cut = talk->tail_cut;
	char *text;

	if (len > max) {
		from += len - max;
		len = max;
		cut = true;
	}
	/* not from the middle of a character, nor of a line when there is another */
	while (cut && len > 0 && ((unsigned char) *from & 0xC0) == 0x80) {
		from++;
		len--;
	}
	while (len > 0 && strchr(" \t\r\n", from[len - 1]))
		len--;
	while (!cut && len > 0 && strchr("\r\n", *from)) {
		from++;
		len--;
	}
	text = malloc(UTF8_CLEAN_SIZE(len) + 3);
	if (!text)
		return NULL;
	text[0] = '\0';
	if (cut)
		memcpy(text, "...", 4);
	utf8_clean(from, len, text + strlen(text));
	return text;
}

/* ---- moving ---- */

static void
write_input(struct exec_talk *talk)
{
	ssize_t put;

	do {
		put = write(talk->process->in, talk->input, talk->input_len);
	} while (put < 0 && errno == EINTR);
	if (put >= 0) {
		talk->input += put;
		talk->input_len -= (size_t) put;
	} else if (errno != EAGAIN) {
		/* It does not read: that may be all right. */
		talk->input_len = 0;
		close_fd(&talk->process->in);
	}
	if (talk->input_len == 0 && talk->command->mode == EXEC_ONCE)
		close_fd(&talk->process->in);
}

/* The process has ended: what is in its pipes is all that it said. */
static void
read_the_rest(struct exec_talk *talk)
{
	exec_process_finish(talk->process);
	for (int i = 0; i < LAST_READS && talk->process->out >= 0; i++) {
		if (!read_output(talk))
			break;
	}
	exec_talk_read_errors(talk);
	talk->ended = true;
}

static int
milliseconds_until(int64_t until_us)
{
	int64_t left_us = until_us == INT64_MAX ? -1 : until_us - clock_boottime_us();

	if (until_us == INT64_MAX)
		return -1;
	return left_us <= 0 ? 0 : (int) fmin((double) (left_us + 999) / 1000, 60000);
}

/* Waits for something to do, and does it. */
static void
step(struct exec_talk *talk)
{
	struct exec_process *p = talk->process;
	int64_t until_us = keep_time(talk);
	bool more_input = talk->input_len > 0 && p->in >= 0;
	struct pollfd fds[] = {
	        {.fd = p->pidfd, .events = POLLIN},
	        {.fd = p->out, .events = POLLIN},
	        {.fd = p->err, .events = POLLIN},
	        {.fd = more_input ? p->in : -1, .events = POLLOUT},
	};

	if (poll(fds, sizeof(fds) / sizeof(fds[0]), milliseconds_until(until_us)) < 0) {
		if (errno != EINTR) {
			fail(talk);
			read_the_rest(talk);
		}
		return;
	}
	if (fds[3].revents)
		write_input(talk);
	if (fds[2].revents)
		read_errors(talk);
	if (fds[1].revents)
		read_output(talk);
	if (fds[0].revents)
		read_the_rest(talk);
}

void
exec_talk_to_the_end(struct exec_talk *talk)
{
	if (talk->input_len == 0)
		close_fd(&talk->process->in);
	while (!talk->ended)
		step(talk);
}

/* A process that dies closes its output shortly before it can be reaped. */
static bool
is_ending(const struct exec_talk *talk)
{
	struct pollfd fd = {.fd = talk->process->pidfd, .events = POLLIN};

	return poll(&fd, 1, ENDING_MS) > 0;
}

bool
exec_talk_to_a_line(struct exec_talk *talk, size_t *length)
{
	size_t searched = 0;

	for (;;) {
		size_t fresh = talk->output_len - searched;
		const char *end = fresh > 0 ? memchr(talk->output + searched, '\n', fresh) : NULL;

		if (end) {
			*length = (size_t) (end - talk->output);
			exec_talk_read_errors(talk);
			return true;
		}
		searched = talk->output_len;
		if (talk->ended)
			return false;
		if (talk->process->out < 0 && talk->stop == EXEC_GOES_ON && !is_ending(talk))
			stop(talk, EXEC_CLOSED);
		step(talk);
	}
}

void
exec_talk_drop_line(struct exec_talk *talk, size_t length)
{
	talk->output_len -= length + 1;
	memmove(talk->output, talk->output + length + 1, talk->output_len);
}
