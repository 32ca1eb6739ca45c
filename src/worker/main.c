/*
 * main.c: jobsched-worker takes dispatches from RabbitMQ, claims them in PostgreSQL, runs their tasks on a pool of
 * threads, or in processes that these look after (isolation.h), and records how they ended.  hub.h tells which thread
 * does what; docs/worker.md is the manual.
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

#include "artifact_store.h"
#include "claimer.h"
#include "clock.h"
#include "consumer.h"
#include "exec.h"
#include "exporter.h"
#include "finisher.h"
#include "guard.h"
#include "isolation/isolation.h"
#include "log.h"
#include "plugin.h"
#include "pool.h"
#include "registry.h"
#include "tasks/tasks.h"
#include "tryout.h"
#include "version.h"

#define FLUSH_SECONDS	5		/* for the last finish, and again for unregister_worker */

struct worker {
	struct settings settings;
	struct blob_store *blobs;
	struct keeper *keeper;		/* NULL: tasks run on threads */
	struct hub hub;
	struct pool pool;
	struct consumer consumer;
	struct claimer claimer;
	struct finisher finisher;
	struct guard guard;
	struct exporter exporter;
	int signals;				/* signalfd */
	int64_t drain_until_us;		/* INT64_MAX: not draining */
};

static void
usage(void)
{
	printf("usage: jobsched-worker [--check-config | --list-tasks | --run TASK [PAYLOAD] | --version | --help]\n\n"
		   "Runs jobs of jobsched.\n\n"
		   "  --check-config        prints the settings that would be used\n"
		   "  --list-tasks          prints the tasks that it knows\n"
		   "  --run TASK [PAYLOAD]  runs one task, without database and broker, and prints its result; PAYLOAD is JSON,\n"
		   "                        {} when absent, - to read standard input.  Exit code 0: success; 75: failed, would be\n"
		   "                        tried again; 1: failed for good or stopped; 2: no such task or bad payload\n\n"
		   "Settings come from the environment, then from .env in the working directory:\n\n");
	settings_help(stdout);
	printf("\nSIGTERM or SIGINT ends it when what runs has ended, or after SHUTDOWN_TIMEOUT; a second one, or "
		   "SIGQUIT, at once.\nSIGUSR1 logs its state.\n");
}

/* What the command line asks for. */
struct options {
	bool check_config;
	bool list_tasks;
	const char *task;			/* --run */
	const char *payload;
};

/* --help and --version end the program, and so does what is not understood. */
static void
options_setup(int argc, char **argv, struct options *o)
{
	const char *option = argc > 1 ? argv[1] : NULL;

	if (!option)
		return;
	if (strcmp(option, "--run") == 0 && (argc == 3 || argc == 4)) {
		o->task = argv[2];
		o->payload = argc == 4 ? argv[3] : "{}";
	} else if (strcmp(option, "--check-config") == 0 && argc == 2) {
		o->check_config = true;
	} else if (strcmp(option, "--list-tasks") == 0 && argc == 2) {
		o->list_tasks = true;
	} else if (strcmp(option, "--task-server") == 0 && argc == 2) {
		exit(task_server_main());	/* the worker's own; not for people */
	} else if (strcmp(option, "--help") == 0 && argc == 2) {
		usage();
		exit(0);
	} else if (strcmp(option, "--version") == 0 && argc == 2) {
		printf("jobsched-worker %s\n", JOBSCHED_VERSION);
		exit(0);
	} else {
		fprintf(stderr, "jobsched-worker: unknown arguments; try --help\n");
		exit(2);
	}
}

static void
settings_setup(struct worker *w, const struct options *o)
{
	struct error err = { "" };

	if (settings_load(&w->settings, &err) < 0) {
		fprintf(stderr, "jobsched-worker: %s\n", err.msg);
		exit(2);
	}
	if (o->check_config) {
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

/* A worker that lacks a task would fail its jobs for good: then it does not start. */
static void
registry_setup(const struct worker *w, const struct options *o)
{
	struct error err = { "" };

	if (registry_accept(NULL, &err) < 0 || plugin_load_all(w->settings.task_path, &err) < 0
		|| exec_setup(&w->settings.commands, &err) < 0) {
		fprintf(stderr, "jobsched-worker: %s\n", err.msg);
		exit(2);
	}
	if (o->list_tasks) {
		registry_print(stdout);
		exit(0);
	}
}

static void
tasks_setup(struct worker *w)
{
	struct error err;

	web_setup(&w->settings.allowed, w->settings.crawl_user_agent, getenv("SSL_CERT_FILE"));
	w->blobs = artifact_store_open(&w->settings, &err);
	if (!w->blobs || exec_start(&err) < 0)
		die(&err);
	if (w->settings.isolated) {
		w->keeper = keeper_start(&w->settings, &err);
		if (!w->keeper)
			die(&err);
	}
}

static void
threads_setup(struct worker *w)
{
	struct error err;

	w->drain_until_us = INT64_MAX;
	if (hub_init(&w->hub, (int) w->settings.threads, w->settings.task_timeout, &err) < 0
		|| guard_setup(&w->guard, &w->hub, &err) < 0
		|| exporter_start(&w->exporter, &w->hub, w->settings.metrics_listen, w->settings.worker_id, &err) < 0
		|| pool_start(&w->pool, &w->hub, w->blobs, w->keeper, (int) w->settings.threads, &err) < 0
		|| claimer_start(&w->claimer, &w->hub, &w->settings, &err) < 0
		|| finisher_start(&w->finisher, &w->hub, &w->settings, &err) < 0
		|| consumer_start(&w->consumer, &w->hub, &w->settings, &err) < 0
		|| guard_start(&w->guard, w->keeper, &err) < 0)
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
	guard_join(&w->guard);
	exporter_stop(&w->exporter);
	consumer_free(&w->consumer);
	claimer_free(&w->claimer);
	finisher_free(&w->finisher);
	hub_free(&w->hub);
	keeper_stop(w->keeper);
	exec_close();
	blob_close(w->blobs);
	close(w->signals);
	settings_free(&w->settings);
	curl_global_cleanup();
	return recorded ? 0 : 1;
}

/* --run: no other thread, no connection. */
static int
run_one(struct worker *w, const struct options *o)
{
	int code = tryout_run(&w->settings, w->blobs, w->keeper, w->signals, o->task, o->payload);

	keeper_stop(w->keeper);
	exec_close();
	blob_close(w->blobs);
	close(w->signals);
	settings_free(&w->settings);
	curl_global_cleanup();
	return code;
}

int
main(int argc, char **argv)
{
	static struct worker w;
	struct options o = { false };

	options_setup(argc, argv, &o);
	settings_setup(&w, &o);
	signals_setup(&w);
	libraries_setup();
	registry_setup(&w, &o);
	tasks_setup(&w);
	if (o.task)
		return run_one(&w, &o);
	threads_setup(&w);
	while (main_loop_once(&w))
		;
	return shut_down(&w);
}
