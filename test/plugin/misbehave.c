/*
 * misbehave.c: tasks that do to their process what tasks should not.  Built by test/t/086_isolation.pl.
 */
#include <jobsched_task.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* A sanitizer's handler would make another end of it. */
static void
die_of(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

/* Takes memory, and uses it, until there is none; at most 4 GiB, for when nothing limits it. */
static void
eat(void)
{
	for (int i = 0; i < 256; i++) {
		char *piece = malloc(16 * 1024 * 1024);

		if (!piece)
			return;
		memset(piece, i, 16 * 1024 * 1024);
	}
}

/* Starts processes that wait for ever; at most n, for when nothing limits it. */
static void
multiply(int n)
{
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return;
		if (pid == 0) {
			for (;;)
				pause();
		}
	}
}

/* Leaves a process behind, in a session of its own if wanted: returns its pid. */
static int
leave(int session)
{
	int pids[2], grandchild = 0;
	pid_t pid;

	if (pipe(pids) < 0 || (pid = fork()) < 0)
		return -1;
	if (pid == 0) {
		if (session)
			setsid();
		grandchild = fork();
		if (grandchild == 0) {
			for (;;)
				pause();
		}
		_exit(write(pids[1], &grandchild, sizeof(grandchild)) < 0);
	}
	if (read(pids[0], &grandchild, sizeof(grandchild)) < 0)
		return -1;
	waitpid(pid, NULL, 0);
	return grandchild;
}

/* Calls a function for each socket that is open above standard error. */
static void
each_socket(void (*function)(int fd))
{
	struct stat st;

	for (int fd = 3; fd < 100; fd++) {
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
			function(fd);
	}
}

static void
close_it(int fd)
{
	close(fd);
}

static void
write_garbage(int fd)
{
	char garbage[5000];

	memset(garbage, 0xFE, sizeof(garbage));
	send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL);
}

/* Messages of the right form, with anything in them. */
static void
babble(int fd)
{
	for (int i = 0; i < 20; i++) {
		unsigned message[2 + 32];

		message[0] = (unsigned) rand() % 18;
		message[1] = (unsigned) rand() % (sizeof(message) - 8);
		/* Small numbers are the handles that there are. */
		for (int k = 2; k < 34; k++)
			message[k] = (unsigned) (rand() % 2 ? rand() % 4 : rand());
		send(fd, message, 8 + message[1], MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static void
loop(void)
{
	volatile unsigned long turns = 0;

	for (;;)
		turns++;
}

/* ---- what it can do ---- */

static void
crash(void)
{
	die_of(SIGSEGV);
}

static void
call_abort(void)
{
	die_of(SIGABRT);
}

static void
call_kill(void)
{
	raise(SIGKILL);
}

static void
call_exit(void)
{
	exit(3);
}

static void
call_exit_at_once(void)
{
	_exit(0);
}

static void
hang(void)
{
	for (;;)
		pause();
}

static void
eat_and_crash(void)
{
	eat();
	die_of(SIGSEGV);
}

static void
multiply_and_hang(void)
{
	multiply(3000);
	hang();
}

static void
start_a_session(void)
{
	if (fork() == 0)
		setsid();
	hang();
}

static void
close_sockets(void)
{
	each_socket(close_it);
	hang();
}

static void
garble(void)
{
	each_socket(write_garbage);
	hang();
}

static void
babble_and_crash(void)
{
	each_socket(babble);
	die_of(SIGSEGV);
}

static void *
wait_in_thread(void *arg)
{
	hang();
	return arg;
}

static void
leave_a_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, wait_in_thread, NULL) != 0)
		abort();
}

static void
spoil_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	alarm(1);
}

/* One that comes as soon as somebody takes signals again. */
static void
leave_a_signal(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	raise(SIGALRM);
}

static void
leave_an_alarm(void)
{
	alarm(1);
}

/* More than half a second of CPU time.  The limit counts ticks, on a busy machine some tenths more than this clock does. */
static void
work(void)
{
	struct timespec used, start;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	while ((used.tv_sec - start.tv_sec) * 1000 + (used.tv_nsec - start.tv_nsec) / 1000000 < 600);
}

static const struct {
	const char *name;
	void (*function)(void);
} deeds[] = {
        {"crash", crash},
        {"abort", call_abort},
        {"kill", call_kill},
        {"exit", call_exit},
        {"exit at once", call_exit_at_once},
        {"hang", hang},
        {"loop", loop},
        {"eat", eat_and_crash},
        {"multiply", multiply_and_hang},
        {"start a session", start_a_session},
        {"close", close_sockets},
        {"garble", garble},
        {"babble", babble_and_crash},
        {"leave a thread", leave_a_thread},
        {"spoil signals", spoil_signals},
        {"leave a signal", leave_a_signal},
        {"leave an alarm", leave_an_alarm},
        {"work", work},
};

/* What needs the task. */
static int
do_with_task(struct task_context *task, const char *what)
{
	struct task_writer *writer;

	if (strcmp(what, "ignore") == 0) {
		/* It looks, but does not stop at once. */
		while (!task_cancelled(task) || task_time_left(task) > 0)
			task_wait(task, 0.1);
		return task_succeed(task, json_true());
	}
	if (strcmp(what, "eat politely") == 0) {
		eat();
		return task_fail_for_good(task, "no_memory", "there is no more memory");
	}
	if (strcmp(what, "start some") == 0) {
		multiply(5);
		task_wait(task, 0.5);
		return task_succeed(task, json_true());
	}
	if (strcmp(what, "leave a session") == 0) {
		if (fork() == 0) {
			setsid();
			hang();
		}
		task_wait(task, 2);
		return task_succeed(task, json_true());
	}
	if (strcmp(what, "leave a process") == 0)
		return task_succeed(task, json_integer(leave(0)));
	if (strcmp(what, "leave a daemon") == 0)
		return task_succeed(task, json_integer(leave(1)));
	if (strcmp(what, "half an artifact") == 0) {
		if (task_writer_open(task, "half", NULL, &writer) < 0 || task_writer_write(writer, "abc", 3) < 0)
			return task_fail(task, "%s", task_artifact_error(task));
		crash();
	}
	return task_fail_for_good(task, "bad_payload", "payload.do: %s", what);
}

/* payload: {"do": what, "times": n, "seed": n}; with times, it succeeds from attempt n + 1 on. */
static int
misbehave(struct task_context *task, const json_t *payload)
{
	const char *what = json_string_value(json_object_get(payload, "do"));
	const json_t *times = json_object_get(payload, "times");

	if (!what)
		return task_fail_for_good(task, "bad_payload", "payload.do: a text is needed");
	task_log(task, TASK_LOG_INFO, "begins to %s", what);
	if (json_is_integer(times) && task_attempt(task) > json_integer_value(times))
		return task_succeed(task, json_string("better"));
	srand((unsigned) json_integer_value(json_object_get(payload, "seed")));
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		if (strcmp(deeds[i].name, what) == 0) {
			deeds[i].function();
			return task_succeed(task, json_true());
		}
	}
	return do_with_task(task, what);
}
JOBSCHED_TASK("misbehave", .run = misbehave, .summary = "Does what tasks should not.");

/* The variables that it sees, and its process. */
static int
surroundings(struct task_context *task, const json_t *payload)
{
	json_t *names = json_array();

	(void) payload;
	for (char **variable = environ; *variable; variable++)
		json_array_append_new(names, json_stringn(*variable, strcspn(*variable, "=")));
	printf("printed by %s\n", task_name(task));
	return task_succeed(task,
	        json_pack("{s:o, s:i, s:i, s:i}", "environment", names, "pid", (int) getpid(), "parent",
	                (int) getppid(), "session", (int) getsid(0)));
}
JOBSCHED_TASK("surroundings", .run = surroundings, .summary = "Tells what is around it.");

/* On a thread in both modes. */
static int
pid(struct task_context *task, const json_t *payload)
{
	(void) payload;
	return task_succeed(task, json_integer(getpid()));
}
JOBSCHED_TASK("pid", .run = pid, .summary = "Its process.", .flags = TASK_ON_A_THREAD);
