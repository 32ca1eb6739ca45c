/*
 * exec_once.c: a process for each run: the payload on standard input, the result on standard output.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "exec.h"
#include "exec_answer.h"
#include "exec_talk.h"
#include "task_context.h"
#include "utf8.h"

#define SHOWN 160 /* bytes of a bad result that the error shows */

static int
bad_result(struct task_context *task, const struct exec_talk *talk, const char *why, const char *errors)
{
	char shown[UTF8_CLEAN_SIZE(SHOWN)];

	utf8_clean(talk->output_len ? talk->output : "", talk->output_len < SHOWN ? talk->output_len : SHOWN, shown);
	return task_fail_for_good(task, "bad_result", "standard output is no JSON: %s%s%s%s%s%s", why,
	        talk->output_len ? ": " : "", shown, talk->output_len > SHOWN ? "..." : "",
	        *errors ? "\nstandard error: " : "", errors);
}

/* What the end of the process means for the run. */
static int
judge(struct task_context *task, const struct exec_talk *talk, int status, const char *errors)
{
	const struct exec_command *command = talk->command;
	bool success = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	const char *colon = *errors ? ": " : "";
	struct error err = {""};
	char how[64], *result = NULL;

	if (talk->failed)
		return task_fail(task, "out of memory");
	if (talk->stop == EXEC_TOO_LARGE)
		return task_fail_for_good(task, "result_too_large", "more than %zu bytes on standard output%s%s",
		        command->max_result, colon, errors);
	if (success)
		result = exec_answer_check(talk->output, talk->output_len, &err);
	if (result) {
		/* Also when it was told to stop: it is done. */
		int rc = task_succeed_text(task, result);

		free(result);
		return rc;
	}
	if (talk->stop == EXEC_TOLD)
		return task_stopped(task);
	if (talk->stop == EXEC_OVERTIME)
		return task_refuse(task, TASK_FAILED, "timeout", "the command's time limit of %g s is over%s%s",
		        command->timeout, colon, errors);
	if (success)
		return bad_result(task, talk, err.msg, errors);

	exec_process_describe(status, how, sizeof(how));
	if (WIFSIGNALED(status))
		return task_refuse(task, TASK_FAILED, "signal", "%s%s%s", how, colon, errors);
	if (WEXITSTATUS(status) == EX_TEMPFAIL)
		return task_refuse(task, TASK_FAILED, "exit_code", "%s%s%s", how, colon, errors);
	return task_fail_for_good(task, "exit_code", "%s%s%s", how, colon, errors);
}

int
exec_once_run(struct task_context *task, const struct exec_command *command, const char *payload,
        const struct exec_guard *guard)
{
	char **environment = exec_environment(command, task), *errors;
	struct exec_process process;
	struct exec_talk talk;
	struct error err = {""};
	int rc, status;

	if (!environment)
		return task_fail(task, "out of memory");
	rc = exec_process_start(&process, command, environment, SIGKILL, guard, &err);
	exec_environment_free(environment);
	if (rc < 0)
		return task_refuse(task, TASK_FAILED, "not_started", "%s", err.msg);

	exec_talk_start(&talk, task, command, &process, payload, strlen(payload));
	exec_talk_to_the_end(&talk);
	status = exec_process_reap(&process);
	errors = exec_talk_errors(&talk);
	rc = judge(task, &talk, status, errors ? errors : "");
	free(errors);
	exec_talk_free(&talk);
	return rc;
}
