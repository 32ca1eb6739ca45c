/* sources: src/worker/machine.c */
/*
 * Whether another process has ended: children that live, have died, are zombies, and pids that others have.
 */
#include "src/worker/machine.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* A child that waits for its end, and how it would name itself. */
static pid_t
start_child(struct machine_process *child)
{
	int pipe_fds[2];
	pid_t pid;

	if (pipe(pipe_fds) < 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		machine_self(child);
		if (write(pipe_fds[1], child, sizeof(*child)) != (ssize_t) sizeof(*child))
			_exit(1);
		pause();
		_exit(0);
	}
	if (read(pipe_fds[0], child, sizeof(*child)) != (ssize_t) sizeof(*child))
		abort();
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return pid;
}

int
main(void)
{
	struct machine_process self, again, child, other;
	siginfo_t info;
	pid_t pid;

	machine_self(&self);
	machine_self(&again);
	ok(strlen(self.machine) > 36 && strchr(self.machine, '/'), "boot and name space are known");
	ok(self.pid == (long) getpid() && self.started > 0, "pid and start time too");
	ok(strcmp(self.machine, again.machine) == 0 && self.started == again.started, "and stay the same");
	ok(!machine_process_ended(&self, &self), "this process runs");

	pid = start_child(&child);
	ok(strcmp(child.machine, self.machine) == 0, "a child is on the same machine");
	ok(!machine_process_ended(&child, &self), "and runs");
	other = child;
	other.started++;
	ok(machine_process_ended(&other, &self), "one that had its pid before has ended");
	other = child;
	other.machine[0] ^= 1;
	kill(pid, SIGKILL);
	waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT);
	ok(machine_process_ended(&child, &self), "killed and not waited for, it has ended");
	waitpid(pid, NULL, 0);
	ok(machine_process_ended(&child, &self), "and after that too");
	ok(!machine_process_ended(&other, &self), "what ran on another machine cannot be known");
	memset(&other, 0, sizeof(other));
	ok(!machine_process_ended(&other, &self), "nor what does not say where it ran");
	return done_testing();
}
