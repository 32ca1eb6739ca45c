/*
 * exec_process.c: starting and ending one process of a command.
 */
#include "exec_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's descriptors while it gets ready: three pipes, and where it says what went wrong. */
#define FAILURE_FD 3
#define FIRST_FREE_FD 4

/* What went wrong between vfork and execve. */
struct failure {
	enum step {
		STEP_START,
		STEP_LIMIT,
		STEP_DIRECTORY,
		STEP_EXECUTE
	} step;
	int number; /* errno */
};

/* Everything that the child needs, made before it exists. */
struct plan {
	const struct exec_command *command;
	char *const *environment;
	int death_signal;
	pid_t parent;
	int fds[4]; /* for 0, 1, 2 and FAILURE_FD; all above them */
};

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A pipe whose ends are above the numbers that the child uses. */
static int
open_pipe(int fds[2])
{
	int low[2];

	if (pipe2(low, O_CLOEXEC) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		fds[i] = low[i];
		if (low[i] < FIRST_FREE_FD) {
			fds[i] = fcntl(low[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
			close(low[i]);
		}
	}
	if (fds[0] >= 0 && fds[1] >= 0)
		return 0;
	close_fd(&fds[0]);
	close_fd(&fds[1]);
	return -1;
}

__attribute__((noreturn)) static void
give_up(enum step step)
{
	struct failure failure = {step, errno};

	/* Nobody is left to be told when this fails. */
	if (write(FAILURE_FD, &failure, sizeof(failure)) < 0)
		_exit(126);
	_exit(127);
}

/*
 * In the child.  It shares this process's memory until execve, and its thread waits: system calls only, nothing that
 * takes a lock or changes what the parent sees.
 */
__attribute__((noreturn)) static void
become(const struct plan *plan)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int i = 0; i <= FAILURE_FD; i++) {
		if (dup2(plan->fds[i], i) < 0)
			_exit(127);
	}
	if (fcntl(FAILURE_FD, F_SETFD, FD_CLOEXEC) < 0 || close_range(FIRST_FREE_FD, ~0U, 0) < 0 || setpgid(0, 0) < 0 ||
	        prctl(PR_SET_PDEATHSIG, plan->death_signal) < 0)
		give_up(STEP_START);
	/* The worker may have died before there was a signal to get. */
	if (getppid() != plan->parent)
		_exit(127);
	/* What is ignored stays so after execve; handlers must not run in here. */
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &plain, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (plan->command->max_memory > 0) {
		struct rlimit limit = {plan->command->max_memory, plan->command->max_memory};

		if (setrlimit(RLIMIT_AS, &limit) < 0)
			give_up(STEP_LIMIT);
	}
	if (chdir(plan->command->directory) < 0)
		give_up(STEP_DIRECTORY);
	execve(plan->command->argv[0], (char *const *) plan->command->argv, plan->environment);
	give_up(STEP_EXECUTE);
}

/* Signals stay blocked while the child shares our memory: a handler would run in it. */
static pid_t
start_child(const struct plan *plan)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* posix_spawn cannot set a death signal, and fork copies the page tables of a large worker. */
	pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
	if (pid == 0)
		become(plan); /* NOLINT(clang-analyzer-unix.Vfork) */
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static int
explain(const struct failure *failure, const struct exec_command *command, struct error *err)
{
	const char *why = strerror(failure->number);

	switch (failure->step) {
	case STEP_LIMIT:
		return error_set(err, "max_memory_mib %zu: %s", command->max_memory >> 20, why);
	case STEP_DIRECTORY:
		return error_set(err, "directory %s: %s", command->directory, why);
	case STEP_EXECUTE:
		return error_set(err, "%s: %s", command->argv[0], why);
	case STEP_START:
		break;
	}
	return error_set(err, "%s cannot be started: %s", command->argv[0], why);
}

/* Returns 0 when the program has begun: execve closed the pipe. */
static int
read_failure(int fd, struct failure *failure)
{
	ssize_t got;

	do {
		got = read(fd, failure, sizeof(*failure));
	} while (got < 0 && errno == EINTR);
	return got == 0 ? 0 : -1;
}

static int
set_nonblocking(const struct exec_process *p)
{
	return fcntl(p->in, F_SETFL, O_NONBLOCK) < 0 || fcntl(p->out, F_SETFL, O_NONBLOCK) < 0 ||
	                fcntl(p->err, F_SETFL, O_NONBLOCK) < 0
	        ? -1
	        : 0;
}

int
exec_process_start(struct exec_process *p, const struct exec_command *command, char *const *environment,
        int death_signal, const struct exec_guard *guard, struct error *err)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, errors[2] = {-1, -1}, said[2] = {-1, -1};
	struct failure failure = {STEP_START, 0};
	int rc = -1;

	*p = (struct exec_process){.guard = guard, .pid = -1, .pidfd = -1, .in = -1, .out = -1, .err = -1};
	if (open_pipe(in) == 0 && open_pipe(out) == 0 && open_pipe(errors) == 0 && open_pipe(said) == 0) {
		struct plan plan = {command, environment, death_signal, getpid(), {in[0], out[1], errors[1], said[1]}};

		p->pid = start_child(&plan);
	}
	failure.number = errno;
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&errors[1]);
	close_fd(&said[1]);
	p->in = in[1];
	p->out = out[0];
	p->err = errors[0];
	if (p->pid > 0) {
		exec_guard_add(guard, p->pid);
		if (read_failure(said[0], &failure) == 0) {
			p->pidfd = pidfd_open(p->pid, 0);
			failure.number = errno;
			if (p->pidfd >= 0 && set_nonblocking(p) == 0)
				rc = 0;
		}
	}
	close_fd(&said[0]);
	if (rc == 0)
		return 0;
	explain(&failure, command, err);
	exec_process_kill(p);
	return -1;
}

void
exec_process_signal(const struct exec_process *p, int number)
{
	if (p->pid > 0)
		kill(-p->pid, number);
}

void
exec_process_finish(const struct exec_process *p)
{
	exec_process_signal(p, SIGKILL);
}

int
exec_process_reap(struct exec_process *p)
{
	int status = 0;

	if (p->pid > 0) {
		exec_guard_remove(p->guard, p->pid);
		while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	p->pid = -1;
	close_fd(&p->pidfd);
	close_fd(&p->in);
	close_fd(&p->out);
	close_fd(&p->err);
	return status;
}

int
exec_process_kill(struct exec_process *p)
{
	exec_process_signal(p, SIGKILL);
	return exec_process_reap(p);
}

char *
exec_process_describe(int status, char *buf, size_t size)
{
	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));

		if (name)
			snprintf(buf, size, "killed by signal SIG%s", name);
		else
			snprintf(buf, size, "killed by signal %d", WTERMSIG(status));
	} else {
		snprintf(buf, size, "exit code %d", WEXITSTATUS(status));
	}
	return buf;
}
