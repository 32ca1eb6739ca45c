/*
 * server.c: the task server: forks the children, reaps them, and ends what they leave behind.
 *
 * One thread, which waits in poll(2) for the worker's words, for SIGCHLD, and, while tasks run, for its next look at what
 * they have started.  Signals other than SIGCHLD do not matter to it: it ends when the worker has.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "census.h"
#include "child.h"
#include "clock.h"
#include "isolation.h"
#include "log.h"
#include "protocol.h"
#include "../plugin.h"
#include "../registry.h"
#include "../tasks/tasks.h"

#define SPARES_MAX 8 /* children that wait for runs */
#define CENSUS_US (CLOCK_US_PER_SECOND / 10) /* shortest time between two looks at what tasks have started */
#define CENSUS_SHARE 20 /* but looking takes at most this part of the time: 1/20 */
#define FORK_AGAIN_US (CLOCK_US_PER_SECOND / 2) /* after a failure */
#define LAPSE_US (2 * CLOCK_US_PER_SECOND) /* so much later than the worker itself would do it */
#define SWEEPS_MAX 100 /* rounds of killing at the end */
#define SWEEP_US 1000 /* between two: what was killed is gone then */

struct child {
	pid_t pid;
	bool running; /* it has a run */
	bool used; /* it has had one */
	bool company; /* it had started others when these were looked at last */
	enum control_reason killed;
	int processes; /* CONTROL_PROCESSES: how many it had */
};

struct server {
	struct settings settings;
	struct child_limits limits;
	struct census census;
	int signals; /* signalfd of SIGCHLD */
	int wanted; /* spares */
	int spares;
	int running;
	struct child *children;
	int n, room;
	int64_t fork_us; /* not before; 0: now */
	int64_t census_us; /* the next look */
	int64_t lease_us; /* until then the worker's lease holds; 0: not known */
	bool sweep; /* look although no task runs: one has just ended */
};

static struct child *
find(const struct server *s, pid_t pid)
{
	for (int i = 0; i < s->n; i++) {
		if (s->children[i].pid == pid)
			return &s->children[i];
	}
	return NULL;
}

static bool
is_child(void *arg, pid_t pid)
{
	return find(arg, pid) != NULL;
}

static void
kill_group(pid_t leader)
{
	/* It may not lead a group yet. */
	kill(leader, SIGKILL);
	kill(-leader, SIGKILL);
}

/* ---- the end ---- */

/* Kills all that has come from tasks, and waits for it: what it has let go comes here.  Then this process ends. */
__attribute__((noreturn)) static void
end(struct server *s)
{
	for (int i = 0; i < s->n; i++)
		kill_group(s->children[i].pid);
	s->n = 0;
	for (int round = 0; round < SWEEPS_MAX; round++) {
		pid_t pid;

		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 || census_take(&s->census, getpid(), is_child, s) < 0)
			break;
		for (size_t i = 0; i < s->census.n; i++) {
			if (s->census.list[i].root == -1)
				kill(s->census.list[i].pid, SIGKILL);
		}
		usleep(SWEEP_US);
	}
	_exit(0);
}

static void
tell(struct server *s, const void *message, size_t size, int fd)
{
	struct iovec part = {(void *) message, size};
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} extra = {{0}};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = extra.room;
		msg.msg_controllen = sizeof(extra.room);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	/* The keeper reads whatever happens, so that this does not wait long. */
	do {
		n = sendmsg(CONTROL_FD, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		end(s);
}

/* ---- children ---- */

/* Closes what is the server's; 0..2 and the child's socket stay. */
__attribute__((noreturn)) static void
become_child(const struct server *s, int fd, pid_t server)
{
	struct child_limits limits = s->limits;

	close(CONTROL_FD);
	close(s->signals);
	free(s->children);
	free(s->census.list);
	child_main(fd, server, &limits);
}

static int
make_room(struct server *s)
{
	int room = s->room ? s->room * 2 : 16;
	struct child *more;

	if (s->n < s->room)
		return 0;
	more = realloc(s->children, (size_t) room * sizeof(*more));
	if (!more)
		return -1;
	s->children = more;
	s->room = room;
	return 0;
}

static int
fork_one(struct server *s)
{
	struct control message = {.type = CONTROL_SPARE};
	pid_t server = getpid();
	int fds[2];

	if (make_room(s) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	message.pid = fork();
	if (message.pid == 0) {
		close(fds[0]);
		become_child(s, fds[1], server);
	}
	close(fds[1]);
	if (message.pid > 0) {
		s->children[s->n++] = (struct child){.pid = message.pid};
		s->spares++;
		census_forked(&s->census, message.pid);
		tell(s, &message, sizeof(message), fds[0]);
	}
	close(fds[0]);
	return message.pid > 0 ? 0 : -1;
}

static void
fork_spares(struct server *s)
{
	while (s->spares < s->wanted && clock_boottime_us() >= s->fork_us) {
		struct control trouble = {.type = CONTROL_TROUBLE};

		if (fork_one(s) == 0)
			continue;
		trouble.number = errno;
		s->fork_us = clock_boottime_us() + FORK_AGAIN_US;
		tell(s, &trouble, sizeof(trouble), -1);
	}
}

/* ---- the worker's words ---- */

/* A lease that is over does not count for what starts now: the word of the next one is on its way. */
static void
forget_old_lease(struct server *s)
{
	if (s->lease_us <= clock_boottime_us())
		s->lease_us = 0;
}

static void
obey(struct server *s, const struct control *word)
{
	struct child *child = find(s, word->pid);

	if (word->type == CONTROL_LEASE && word->until_us > clock_boottime_us())
		s->lease_us = word->until_us;
	if (!child)
		return; /* it has ended meanwhile */
	if (word->type == CONTROL_TAKEN && !child->running) {
		child->running = child->used = true;
		s->running++;
		s->spares--;
		forget_old_lease(s);
		if (s->running == 1)
			s->census_us = clock_boottime_us() + CENSUS_US;
	} else if (word->type == CONTROL_IDLE && child->running) {
		child->running = false;
		s->running--;
		s->spares++;
	} else if (word->type == CONTROL_KILL) {
		kill_group(child->pid);
	}
}

static void
listen_to_worker(struct server *s)
{
	struct control word;
	ssize_t n;

	while ((n = recv(CONTROL_FD, &word, sizeof(word), MSG_DONTWAIT)) == (ssize_t) sizeof(word))
		obey(s, &word);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		end(s);
}

/* ---- the ends of children ---- */

/* A child that has ended, and is not reaped: so long its pid, and its group's, cannot be another's. */
static void
bury(struct server *s, pid_t pid)
{
	struct control_end message = {.head = {.type = CONTROL_ENDED, .pid = pid}};
	struct child *child = find(s, pid);
	struct rusage used = {0};

	/* That it was taken is said before it has a run, and so before it can end of that. */
	if (child && !child->running)
		listen_to_worker(s);
	if (child)
		kill(-pid, SIGKILL);
	while (wait4(pid, &message.status, 0, &used) < 0 && errno == EINTR)
		;
	if (!child)
		return;
	message.reason = child->killed;
	message.processes = child->processes;
	message.peak_kib = used.ru_maxrss;
	message.cpu_us = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * CLOCK_US_PER_SECOND + used.ru_utime.tv_usec +
	        used.ru_stime.tv_usec;
	if (child->running) {
		s->running--;
		s->sweep = true;
		/* Whose they are has changed, although nobody has forked. */
		s->census.news = s->census.news || child->company;
	} else if (child->used) {
		s->spares--;
	} else {
		s->spares--;
		/* The worker could not take it, or somebody kills: not in a loop. */
		s->fork_us = clock_boottime_us() + FORK_AGAIN_US;
		log_event(LOG_LEVEL_INFO, "a process has ended before it had a run", "pid", LOG_NUM(pid), "status",
		        LOG_NUM(message.status), NULL);
	}
	*child = s->children[--s->n];
	tell(s, &message, sizeof(message), -1);
}

static void
bury_all(struct server *s)
{
	struct signalfd_siginfo signal;
	siginfo_t info;

	while (read(s->signals, &signal, sizeof(signal)) > 0)
		;
	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;
		bury(s, info.si_pid);
	}
}

/* ---- what tasks have started ---- */

static int
count(const struct census *c, pid_t root)
{
	int n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += c->list[i].root == root && c->list[i].pid != root;
	return n;
}

static void
kill_all_of(const struct census *c, pid_t root)
{
	kill_group(root);
	for (size_t i = 0; i < c->n; i++) {
		if (c->list[i].root == root)
			kill(c->list[i].pid, SIGKILL);
	}
}

static void
look_at_processes(struct server *s)
{
	int64_t begin_us = clock_boottime_us(), took_us;
	bool strays = false;

	s->census_us = begin_us + CENSUS_US;
	if (!census_stale(&s->census)) {
		s->sweep = false;
		return;
	}
	if (census_take(&s->census, getpid(), is_child, s) < 0)
		return;
	for (size_t i = 0; i < s->census.n; i++) {
		if (s->census.list[i].root == -1) {
			kill(s->census.list[i].pid, SIGKILL);
			strays = true;
		}
	}
	for (int i = 0; i < s->n; i++) {
		struct child *child = &s->children[i];
		int n = child->running ? count(&s->census, child->pid) : 0;

		child->company = n > 0;
		if (n <= s->settings.max_processes || child->killed)
			continue;
		child->killed = CONTROL_PROCESSES;
		child->processes = n;
		kill_all_of(&s->census, child->pid);
	}
	/* What the killed ones have let go is there next time. */
	s->census.news = s->census.news || strays;
	s->sweep = strays;
	took_us = clock_boottime_us() - begin_us;
	if (took_us * CENSUS_SHARE > CENSUS_US)
		s->census_us = begin_us + took_us * CENSUS_SHARE;
}

/* ---- the worker's lease ---- */

/* When tasks are killed whose worker stands still; INT64_MAX: never. */
static int64_t
lapse_us(const struct server *s)
{
	if (s->lease_us == 0 || s->running == 0)
		return INT64_MAX;
	return s->lease_us + (int64_t) (s->settings.task_grace * 1e6) + LAPSE_US;
}

/* A worker that works has told them to stop, and killed them. */
static void
lapse(struct server *s)
{
	for (int i = 0; i < s->n; i++) {
		if (!s->children[i].running || s->children[i].killed)
			continue;
		s->children[i].killed = CONTROL_LAPSED;
		kill_group(s->children[i].pid);
	}
	log_event(LOG_LEVEL_WARNING, "the lease has run out and the worker stands still, what runs is killed",
	        "running", LOG_NUM(s->running), NULL);
	s->lease_us = 0;
}

/* ---- its life ---- */

static int
wait_ms(const struct server *s)
{
	int64_t until_us = INT64_MAX, left_us;

	if (s->running > 0 || s->sweep)
		until_us = s->census_us;
	if (s->spares < s->wanted && s->fork_us < until_us)
		until_us = s->fork_us;
	if (lapse_us(s) < until_us)
		until_us = lapse_us(s);
	if (until_us == INT64_MAX)
		return -1;
	left_us = until_us - clock_boottime_us();
	return left_us > 0 ? (int) (left_us / 1000) + 1 : 0;
}

__attribute__((noreturn)) static void
serve(struct server *s)
{
	struct pollfd fds[2] = {{.fd = CONTROL_FD, .events = POLLIN}, {.fd = s->signals, .events = POLLIN}};

	for (;;) {
		fork_spares(s);
		if (poll(fds, 2, wait_ms(s)) < 0)
			continue;
		if (fds[0].revents)
			listen_to_worker(s);
		if (fds[1].revents)
			bury_all(s);
		if ((s->running > 0 || s->sweep) && clock_boottime_us() >= s->census_us)
			look_at_processes(s);
		if (clock_boottime_us() >= lapse_us(s))
			lapse(s);
	}
}

static int
load(struct server *s, struct error *err)
{
	if (settings_load_for_tasks(&s->settings, err) < 0)
		return -1;
	log_setup("jobsched-worker", s->settings.log_level, s->settings.log_json);
	json_object_seed(0);
	if (curl_global_init(CURL_GLOBAL_ALL) != 0)
		return error_set(err, "libcurl cannot be initialised");
	web_setup(&s->settings.allowed, s->settings.crawl_user_agent, getenv("SSL_CERT_FILE"));
	if (registry_accept(NULL, err) < 0 || plugin_load_all(s->settings.task_path, err) < 0)
		return -1;
	return 0;
}

static int
signals_setup(struct server *s, struct error *err)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? error_set(err, "signalfd: %s", strerror(errno)) : 0;
}

/* Only the descriptors that it should have; nothing on standard input. */
static void
descriptors_setup(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
	close_range(CONTROL_FD + 1, ~0U, 0);
	fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
}

/* When the machine has no memory left, the largest task goes before its worker: what this forks inherits it. */
static void
volunteer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "500", 3) < 0)
		log_event(LOG_LEVEL_DEBUG, "oom_score_adj cannot be set", "error", strerror(errno), NULL);
	close(fd);
}

int
task_server_main(void)
{
	static struct server s;
	struct control ready = {.type = CONTROL_READY};
	struct control_failure failed = {.head = {.type = CONTROL_FAILED}};
	struct stat st;

	if (fstat(CONTROL_FD, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		fprintf(stderr, "jobsched-worker: --task-server is what the worker starts by itself\n");
		return 2;
	}
	/* Until it listens to the worker; the end of the socket says more: then there may be children to kill. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "jobsched-tasks");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	descriptors_setup();
	if (signals_setup(&s, &failed.error) < 0 || load(&s, &failed.error) < 0) {
		tell(&s, &failed, sizeof(failed), -1);
		return 1;
	}
	prctl(PR_SET_PDEATHSIG, 0);
	volunteer();
	s.limits = (struct child_limits){s.settings.max_memory, s.settings.max_cpu, s.settings.runs_per_process};
	s.wanted = s.settings.threads < SPARES_MAX ? (int) s.settings.threads : SPARES_MAX;
	fflush(NULL);
	tell(&s, &ready, sizeof(ready), -1);
	serve(&s);
}
