/*
 * main.c: jobsched-worker takes dispatches from RabbitMQ, claims them in PostgreSQL, runs their tasks on a pool of
 * threads and records how they ended.  hub.h tells which thread does what; docs/worker.md is the manual.
 *
 * This thread starts the others, waits for signals, and shuts down in steps:
 *
 *	draining   nothing new starts, what has not started is given back; until nothing is held, or SHUTDOWN_TIMEOUT
 *	flushing   the finisher writes what has ended
 *	closing    the claimer unregisters, so that what still runs is taken back at once
 */
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "claimer.h"
#include "clock.h"
#include "consumer.h"
#include "finisher.h"
#include "log.h"
#include "pool.h"
#include "registry.h"
#include "tasks/tasks.h"
#include "version.h"

#define FLUSH_SECONDS	5		/* for the last finish, and again for unregister_worker */

struct worker {
	struct settings settings;
	struct blob_store *blobs;
	struct hub hub;
	struct pool pool;
	struct consumer consumer;
	struct claimer claimer;
	struct finisher finisher;
	int signals;				/* signalfd */
	int64_t drain_until_us;		/* INT64_MAX: not draining */
};

static void
usage(void)
{
	printf("usage: jobsched-worker [--check-config | --list-tasks | --version | --help]\n\n"
		   "Runs jobs of jobsched.  Settings come from the environment, then from .env in the working directory:\n\n");
	settings_help(stdout);
	printf("\nSIGTERM or SIGINT ends it when what runs has ended, or after SHUTDOWN_TIMEOUT; a second one, or "
		   "SIGQUIT, at once.\n");
}

/* Answers options that only print; exits the program then. */
static void
options_setup(int argc, char **argv, bool *only_check)
{
	*only_check = argc == 2 && strcmp(argv[1], "--check-config") == 0;
	if (argc == 1 || *only_check)
		return;
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		usage();
	else if (argc == 2 && strcmp(argv[1], "--version") == 0)
		printf("jobsched-worker %s\n", JOBSCHED_VERSION);
	else if (argc == 2 && strcmp(argv[1], "--list-tasks") == 0)
		registry_print(stdout);
	else {
		fprintf(stderr, "jobsched-worker: unknown arguments; try --help\n");
		exit(2);
	}
	exit(0);
}

static void
settings_setup(struct worker *w, bool only_check)
{
	struct error err = { "" };

	if (settings_load(&w->settings, &err) < 0) {
		fprintf(stderr, "jobsched-worker: %s\n", err.msg);
		exit(2);
	}
	if (only_check) {
		settings_print(&w->settings, stdout);
		exit(0);
	}
	log_setup("jobsched-worker", w->settings.log_level, w->settings.log_json);
}

static void
die(const struct error *err)
{
	log_event(LOG_LEVEL_ERROR, "cannot start", "error", err->msg, NULL);
	exit(1);
}

/* Before any thread: they inherit the blocked signals, so that only signalfd sees them. */
static void
signals_setup(struct worker *w)
{
	struct error err;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w->signals < 0) {
		error_set(&err, "signalfd: %s", strerror(errno));
		die(&err);
	}
}

/* What libraries want done while there is one thread. */
static void
libraries_setup(void)
{
	struct error err;

	json_object_seed(0);
	if (curl_global_init(CURL_GLOBAL_ALL) != 0) {
		error_set(&err, "libcurl cannot be initialised");
		die(&err);
	}
}

static void
tasks_setup(struct worker *w)
{
	struct error err;

	crawl_url_setup(&w->settings.allowed);
	w->blobs = blob_file_open(w->settings.blob_dir, &err);
	if (!w->blobs)
		die(&err);
}

static void
threads_setup(struct worker *w)
{
	struct error err;

	w->drain_until_us = INT64_MAX;
	if (hub_init(&w->hub, (int) w->settings.threads, &err) < 0
		|| pool_start(&w->pool, &w->hub, w->blobs, (int) w->settings.threads, &err) < 0
		|| claimer_start(&w->claimer, &w->hub, &w->settings, &err) < 0
		|| finisher_start(&w->finisher, &w->hub, &w->settings, &err) < 0
		|| consumer_start(&w->consumer, &w->hub, &w->settings, &err) < 0)
		die(&err);
}

/* Returns false when the worker should end at once. */
static bool
handle_signals(struct worker *w)
{
	struct signalfd_siginfo info;

	while (read(w->signals, &info, sizeof(info)) == (ssize_t) sizeof(info)) {
		if (info.ssi_signo == SIGQUIT || w->drain_until_us != INT64_MAX) {
			log_event(LOG_LEVEL_WARNING, "ending at once", NULL);
			return false;
		}
		log_event(LOG_LEVEL_INFO, "shutting down", "signal", strsignal((int) info.ssi_signo), NULL);
		w->drain_until_us = clock_boottime_us() + (int64_t) (w->settings.shutdown_timeout * 1e6);
		hub_enter(&w->hub, HUB_DRAINING);
	}
	return true;
}

/* Waits for a signal or for the end of draining; false: the loop ends. */
static bool
main_loop_once(struct worker *w)
{
	struct pollfd fds[2] = { { .fd = w->signals, .events = POLLIN }, { .fd = w->hub.main_fd, .events = POLLIN } };
	int64_t left_us = w->drain_until_us == INT64_MAX ? -1 : w->drain_until_us - clock_boottime_us();

	if (w->drain_until_us != INT64_MAX && left_us <= 0)
		return false;
	if (poll(fds, 2, left_us < 0 ? -1 : (int) (left_us / 1000) + 1) < 0 && errno != EINTR)
		return false;
	if (!handle_signals(w))
		_exit(1);
	return !(fds[1].revents & POLLIN);
}

static bool
join_within(pthread_t thread, int seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

/* Returns the exit code. */
static int
shut_down(struct worker *w)
{
	bool flushed, said, recorded;
	int running, unrecorded;

	hub_enter(&w->hub, HUB_FLUSHING);
	flushed = join_within(w->finisher.thread, FLUSH_SECONDS);
	hub_enter(&w->hub, HUB_CLOSING);
	said = join_within(w->claimer.thread, FLUSH_SECONDS) && w->claimer.farewell;
	hub_lock(&w->hub);
	running = w->hub.runs.running;
	unrecorded = w->hub.runs.unrecorded;
	hub_unlock(&w->hub);
	recorded = flushed && said && unrecorded == 0;
	log_event(recorded ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "stopped", "still_running", LOG_NUM(running), "unrecorded",
			  LOG_NUM(unrecorded), "unregistered", said ? "yes" : "no", NULL);

	/* Tasks that did not end, and calls that hang, end with the process. */
	if (!flushed || !said || running > 0 || !join_within(w->consumer.thread, FLUSH_SECONDS))
		_exit(recorded ? 0 : 1);

	pool_join(&w->pool);
	consumer_free(&w->consumer);
	claimer_free(&w->claimer);
	finisher_free(&w->finisher);
	hub_free(&w->hub);
	blob_close(w->blobs);
	close(w->signals);
	settings_free(&w->settings);
	curl_global_cleanup();
	return recorded ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static struct worker w;
	bool only_check;

	options_setup(argc, argv, &only_check);
	settings_setup(&w, only_check);
	signals_setup(&w);
	libraries_setup();
	tasks_setup(&w);
	threads_setup(&w);
	while (main_loop_once(&w))
		;
	return shut_down(&w);
}
