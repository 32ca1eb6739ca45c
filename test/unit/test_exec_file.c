/* sources: src/worker/exec_file.c src/common/error.c */
/* libs: -ljansson */
/*
 * EXEC_TASKS_FILE: what it may say, and how it is refused.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/worker/exec_file.h"
#include "tap.h"

static int
parse(const char *text, struct exec_commands *commands, struct error *err)
{
	err->msg[0] = '\0';
	return exec_file_parse(text, strlen(text), commands, err);
}

static void
all_fields(void)
{
	struct exec_commands commands;
	struct error err;
	const struct exec_command *c;

	is_int(parse("{\"resize\": {\"argv\": [\"/bin/resize\", \"-q\", \"\"], \"tasks\": [\"small\", \"large image\"],"
	             " \"mode\": \"lines\", \"summary\": \"Resizes.\", \"directory\": \"/srv\","
	             " \"environment\": {\"LANG\": \"C.UTF-8\", \"EMPTY\": \"\"}, \"pass_environment\": [\"HOME\"],"
	             " \"timeout\": 1.5, \"grace\": 0, \"max_result\": 10, \"max_stderr\": 0, \"max_memory_mib\": 512,"
	             " \"processes\": 3, \"runs_per_process\": 1000}}",
	               &commands, &err),
	        0, "every field is read") ||
	        (diag("%s", err.msg), 0);
	c = exec_commands_find(&commands, "resize");
	if (!ok(c != NULL && commands.n == 1, "the entry is found by its name"))
		return;
	ok(!exec_commands_find(&commands, "small"), "but not by a task's");
	is_str(c->argv[0], "/bin/resize", "argv[0]");
	is_str(c->argv[2], "", "an empty argument is one");
	ok(!c->argv[3], "argv ends with NULL");
	is_str(c->tasks[1], "large image", "a task's name may hold blanks");
	ok(!c->tasks[2], "tasks ends with NULL");
	is_int(c->mode, EXEC_LINES, "mode");
	is_str(c->summary, "Resizes.", "summary");
	is_str(c->directory, "/srv", "directory");
	is_str(c->set[0], "LANG=C.UTF-8", "environment");
	is_str(c->set[1], "EMPTY=", "an empty value");
	ok(!c->set[2], "environment ends with NULL");
	is_str(c->pass[0], "HOME", "pass_environment");
	ok(c->timeout > 1.49 && c->timeout < 1.51 && c->grace == 0, "timeout and grace");
	ok(c->max_result == 10 && c->max_stderr == 0 && c->max_memory == (size_t) 512 << 20, "sizes");
	ok(c->processes == 3 && c->runs_per_process == 1000, "processes");
	exec_commands_free(&commands);
	ok(!commands.list && commands.n == 0, "nothing is left after freeing");
}

static void
defaults(void)
{
	struct exec_commands commands;
	struct error err;
	const struct exec_command *c;

	is_int(parse("{\"b\": {\"argv\": [\"/b\"]}, \"a\": {\"argv\": [\"/a\"]}}", &commands, &err), 0,
	        "only argv is needed");
	c = &commands.list[0];
	is_str(c->name, "b", "entries keep their order");
	is_str(c->tasks[0], "b", "the task is named as the entry");
	ok(!c->tasks[1] && !c->set[0] && !c->pass[0], "no other task, no environment");
	is_int(c->mode, EXEC_ONCE, "one process a run");
	is_str(c->directory, "/", "directory");
	is_str(c->summary, "/b", "summary");
	ok(c->timeout == 0 && c->grace == 5 && c->max_result == 1048576 && c->max_stderr == 4000 && c->max_memory == 0,
	        "limits");
	exec_commands_free(&commands);

	is_int(parse("{}", &commands, &err), 0, "a file without entries");
	is_int(commands.n, 0, "has none");
	exec_commands_free(&commands);
}

static void
refusals(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
	        {"", "line 1, column 0: unexpected token near end of file"},
	        {"{\n\"a\": {\n\"argv\" [\"/b\"]}}", "line 3, column 8: ':' expected near '['"},
	        {"{\"a\": {\"argv\": [\"/a\"]}, \"a\": {}}", "line 1, column 27: duplicate object key near '\"a\"'"},
	        {"[]", "an object is needed: {\"name\": {\"argv\": [\"/path/of/program\"]}}"},
	        {"{\"\": {\"argv\": [\"/a\"]}}", "entry \"\": a name is 1..255 bytes without control characters"},
	        {"{\"a\": \"/bin/true\"}", "a: an object is needed, such as {\"argv\": [\"/path/of/program\"]}"},
	        {"{\"a\": {}}", "a.argv: it is missing"},
	        {"{\"a\": {\"argv\": \"/bin/true\"}}", "a.argv: an array of strings is needed"},
	        {"{\"a\": {\"argv\": []}}", "a.argv[0]: the absolute path of a program is needed"},
	        {"{\"a\": {\"argv\": [\"true\"]}}", "a.argv[0]: the absolute path of a program is needed"},
	        {"{\"a\": {\"argv\": [\"/true\", 1]}}", "a.argv[1]: a string is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"mode\": \"twice\"}}", "a.mode: \"once\" or \"lines\" is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"tasks\": []}}", "a.tasks: at least one name is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"tasks\": [\"x\", \"y\\n\"]}}",
	                "a.tasks[1]: 1..255 bytes without control characters are allowed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"tasks\": [\"x\", \"x\"]}}", "a.tasks[1]: a serves the task x already"},
	        {"{\"a\": {\"argv\": [\"/a\"]}, \"b\": {\"argv\": [\"/b\"], \"tasks\": [\"a\"]}}",
	                "b.tasks[0]: a serves the task a already"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"directory\": \"tmp\"}}", "a.directory: an absolute path is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"directory\": null}}", "a.directory: a string is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"environment\": [\"LANG\"]}}",
	                "a.environment: an object of names and strings is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"environment\": {\"A-B\": \"\"}}}",
	                "a.environment: \"A-B\" is no variable's name (A-Z a-z 0-9 _, no digit first, not "
	                "JOBSCHED_...)"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"environment\": {\"X\": \"1\", \"A\": 1}}}",
	                "a.environment.A: a string is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"environment\": {\"JOBSCHED_JOB_ID\": \"\"}}}",
	                "a.environment: \"JOBSCHED_JOB_ID\" is no variable's name (A-Z a-z 0-9 _, no digit first, not "
	                "JOBSCHED_...)"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"pass_environment\": [\"1A\"]}}",
	                "a.pass_environment: \"1A\" is no variable's name (A-Z a-z 0-9 _, no digit first, not "
	                "JOBSCHED_...)"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"pass_environment\": [\"\"]}}",
	                "a.pass_environment: \"\" is no variable's name (A-Z a-z 0-9 _, no digit first, not "
	                "JOBSCHED_...)"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"timeout\": -1}}",
	                "a.timeout: a number of seconds, 0..31536000, is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"timeout\": \"1 s\"}}",
	                "a.timeout: a number of seconds, 0..31536000, is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"grace\": 3601}}", "a.grace: a number of seconds, 0..3600, is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"max_result\": 0}}", "a.max_result: an integer, 1..1048576, is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"max_result\": 1048577}}",
	                "a.max_result: an integer, 1..1048576, is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"max_stderr\": 8001}}", "a.max_stderr: an integer, 0..8000, is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"max_memory_mib\": 1.5}}",
	                "a.max_memory_mib: an integer, 1..1048576, is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"mode\": \"lines\", \"processes\": 0}}",
	                "a.processes: an integer, 1..1000, is needed"},
	        {"{\"a\": {\"argv\": [\"/a\"], \"processes\": 1}}", "a.processes: only with \"mode\": \"lines\""},
	        {"{\"a\": {\"argv\": [\"/a\"], \"runs_per_process\": 1}}",
	                "a.runs_per_process: only with \"mode\": \"lines\""},
	        {"{\"a\": {\"args\": []}}",
	                "a.args: there is no such field; allowed are argv, mode, tasks, summary, directory, "
	                "environment, "
	                "pass_environment, timeout, grace, max_result, max_stderr, max_memory_mib, processes, "
	                "runs_per_process"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct exec_commands commands;
		struct error err;

		is_int(parse(cases[i].text, &commands, &err), -1, "refused: case %zu", i);
		is_str(err.msg, cases[i].message, "and the message names the place");
	}
}

static void
files(void)
{
	char dir[] = "/tmp/test-exec-file-XXXXXX", path[64], link[64];
	const char *text = "{\"a\": {\"argv\": [\"/a\"]}}";
	struct exec_commands commands;
	struct error err;
	int fd;

	if (!ok(mkdtemp(dir) != NULL, "a directory"))
		return;
	snprintf(path, sizeof(path), "%s/tasks.json", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	is_int(exec_file_load(path, &commands, &err), -1, "a file that is not there");
	is_str(err.msg, "No such file or directory", "says so");

	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text), "a file");
	close(fd);
	is_int(exec_file_load(path, &commands, &err), 0, "of one's own, mode 0600, is read");
	exec_commands_free(&commands);
	ok(symlink(path, link) == 0 && exec_file_load(link, &commands, &err) == 0, "also through a link");
	exec_commands_free(&commands);

	chmod(path, 0602);
	is_int(exec_file_load(path, &commands, &err), -1, "writable by others: refused");
	is_str(err.msg, "its mode is 0602; nobody but its owner may write it (chmod go-w)", "with the reason");
	chmod(path, 0660);
	is_int(exec_file_load(path, &commands, &err), -1, "writable by its group: refused");
	is_int(exec_file_load(dir, &commands, &err), -1, "a directory: refused");
	is_str(err.msg, "it is not a regular file", "with the reason");
	unlink(path);
	ok(mkfifo(path, 0600) == 0 && exec_file_load(path, &commands, &err) == -1, "a FIFO: refused, not waited for");
	unlink(path);
	unlink(link);
	rmdir(dir);
	if (geteuid() != 0) {
		is_int(exec_file_load("/etc/hostname", &commands, &err), -1, "root's file is read");
		ok(strstr(err.msg, "line 1") != NULL, "and found to be no JSON");
	}
}

int
main(void)
{
	all_fields();
	defaults();
	refusals();
	files();
	return done_testing();
}
