# Tasks as their authors see them: plug-ins, --list-tasks, --run.
use strict;
use warnings;

use File::Path qw(make_path);
use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use JSON::PP ();
use Test::More;

plan skip_all => 'jobsched-worker is not built' if !JobschedTest::built('worker');

my $program = JobschedTest::build() . '/jobsched-worker';
my $include = JobschedTest::bin() . '/../../../../include';    # where make install has put jobsched_task.h
my $stack = JobschedTest->new(settings => { 'jobsched.worker_lease' => '4s', 'jobsched.retry_delay' => '100ms', HEARTBEAT_INTERVAL => 0.5, LOG_LEVEL => 'INFO' });
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $dir = $stack->dir;

# directory(NAME, mode) -> path of a new directory of the test
sub directory { my ($name, $mode) = @_; make_path("$dir/$name"); chmod $mode // 0755, "$dir/$name"; return "$dir/$name" }

# build(SOURCE, OBJECT, flags): a shared object from a file, or from text
sub build
{
	my ($source, $object, @flags) = @_;
	if ($source =~ /\n/) { $stack->write_file('source.c', $source); $source = "$dir/source.c"; }
	my ($code, $out, $err) = $stack->run('cc', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', "-I$include", @flags, '-o', $object, $source, '-ljansson');
	die "$object cannot be built: $out$err" if $code;
	return $object;
}

# worker(ARGUMENTS, VARIABLE => value...) -> (exit code, stdout, stderr) of a jobsched-worker that ends by itself
sub worker
{
	my ($arguments, %env) = @_;
	return $stack->run('sh', '-c', 'cd "$0" && exec "$@"', $dir, $program, @$arguments, { env => { BLOB_DIR => "$dir/blobs", %env }, timeout => 30 });
}

my $tasks = directory('tasks');
subtest 'the example plug-in' => sub {
	my ($code, $out, $err) = $stack->run('sh', '-c', 'cp -r "$0"/docs/examples/plugin "$1" && cd "$1/plugin" && make && make install DESTINATION="$1/tasks" INCLUDE="$2"',
		JobschedTest::top(), $dir, $include, { env => { C_INCLUDE_PATH => $include, MAKEFLAGS => '' } });
	is($code, 0, 'builds with its own Makefile and the installed header') or diag($out, $err);
	unlike($err, qr/warning/, 'without warnings');
	($code, $out, $err) = worker(['--list-tasks'], JOBSCHED_TASK_PATH => $tasks);
	is($code, 0, '--list-tasks') or diag($err);
	like($out, qr{^word_count +Counts the words of payload\.text\. \[\Q$tasks\E/wordcount\.so\]$}m, 'names its task, and where it comes from');
	like($out, qr/^echo .*\n(?:.*\n)*word_count /m, 'beside the built-in ones, sorted');
	($code, $out, $err) = worker(['--run', 'word_count', '{"text": "to be or not to be"}'], JOBSCHED_TASK_PATH => $tasks);
	is_deeply([ $code, $json->decode($out), $err ], [ 0, { words => { to => 2, be => 2, or => 1, not => 1 }, total => 6 }, '' ], '--run prints its result, and nothing else');
};

subtest '--run' => sub {
	my @cases = (
		[ [ 'echo', '{"a": [1, 1.50]}' ], 0, qr/^\{"a": \[1, 1\.50\]\}$/, qr/^$/, 'success' ],
		[ [ 'echo' ], 0, qr/^\{\}$/, qr/^$/, 'no payload is {}' ],
		[ [ 'fail', '{"message": "boo"}' ], 75, qr/^$/, qr/: failed \(error\), would be tried again: boo$/, 'a failure that would be tried again' ],
		[ [ 'fail', '{"message": "boo", "permanent": true}' ], 1, qr/^$/, qr/: failed for good \(error\): boo$/, 'a failure for good' ],
		[ [ 'sleep', '{"seconds": 60}' ], 75, qr/^$/, qr/: failed \(timeout\).*: the time limit of 0\.3 s is over$/, 'a time limit' ],
		[ [ 'nope', '{}' ], 2, qr/^$/, qr/^jobsched-worker: nope: no such task.*\n.*\becho\b/, 'an unknown task' ],
		[ [ 'echo', '{"a":' ], 2, qr/^$/, qr/the payload is no JSON/, 'a payload that is no JSON' ]);
	for my $case (@cases)
	{
		my ($arguments, $want, $stdout, $stderr, $what) = @$case;
		my ($code, $out, $err) = worker([ '--run', @$arguments ], TASK_TIMEOUT => 0.3);
		ok($code == $want && $out =~ $stdout && $err =~ $stderr, "$what: exit code $want") or diag("$code\n$out\n$err");
	}
	my ($code, $out) = $stack->run($program, '--run', 'echo', '-', { stdin => "[\n2]\n", env => { BLOB_DIR => "$dir/blobs" } });
	is_deeply([ $code, $json->decode($out) ], [ 0, [2] ], 'the payload from standard input');
	($code) = $stack->run('timeout', '-s', 'INT', '0.5', $program, '--run', 'sleep', '{"seconds": 60}', { env => { BLOB_DIR => "$dir/blobs" } });
	is($code, 124, 'a signal stops the task');
};

subtest 'objects that are refused' => sub {
	my $good = qq{#include <jobsched_task.h>\nstatic int run(struct task_context *t, const json_t *p) { (void) p; return task_succeed(t, NULL); }\n};
	my $of = sub { my ($name) = @_; return qq{${good}JOBSCHED_TASK("$name", .run = run);\n} };
	my $is_refused = sub {
		my ($path, $pattern, $what) = @_;
		my ($code, $out, $err) = worker(['--list-tasks'], JOBSCHED_TASK_PATH => $path);
		ok($code == 2 && $out eq '' && $err =~ /^jobsched-worker: JOBSCHED_TASK_PATH=\Q$path\E: $pattern\n$/, $what) or diag("$code\n$out\n$err");
	};

	$is_refused->("$dir/nowhere", qr/.*No such file or directory/, 'a directory that is not there');
	$is_refused->("$dir/settings", qr/.* is no directory/, 'a file in its place');
	$is_refused->(directory('loose', 0777), qr/.* can be written by others \(mode 0777\): chmod go-w is needed/, 'a directory that others may write to');
	$is_refused->(directory('group', 0775), qr/.* can be written by others \(mode 0775\).*/, 'or a group');

	my $p = directory('mode');
	chmod 0757, build($of->('x'), "$p/x.so");
	$is_refused->($p, qr{.*/x\.so can be written by others \(mode 0757\).*}, 'an object that others may write to');
	$p = directory('link');
	symlink build($of->('x'), "$dir/x.so"), "$p/x.so";
	$is_refused->($p, qr{.*/x\.so is no regular file .*}, 'a link');
	$p = directory('text');
	$stack->write_file('text/x.so', 'no object');
	$is_refused->($p, qr{.*/x\.so cannot be loaded: .*}, 'what is no object');
	build($good =~ s/static int run/int run/r, directory('none') . '/x.so');
	$is_refused->("$dir/none", qr{.*/x\.so registers no task: JOBSCHED_TASK is needed}, 'an object without a task');
	build("#include <jobsched_task.h>\n#undef JOBSCHED_TASK_ABI\n#define JOBSCHED_TASK_ABI 1\n" . $of->('x'), directory('abi') . '/x.so');
	$is_refused->("$dir/abi", qr{.*/x\.so: it was built for version 1 of the task interface, this worker has \d+: build it again .*}, 'one for another version of the interface');
	build($of->('echo'), directory('builtin') . '/x.so');
	$is_refused->("$dir/builtin", qr{.*/x\.so: task echo is there already, from the worker itself}, 'a name that a built-in task has');
	build($of->('twice'), directory('clash') . "/$_.so") for 'a', 'b';
	$is_refused->("$dir/clash", qr{.*/b\.so: task twice is there already, from .*/a\.so}, 'a name that another object has');
	build($of->("a\\nb"), directory('name') . '/x.so');
	$is_refused->("$dir/name", qr{.*/x\.so: task name "a\nb": 1\.\.255 bytes of UTF-8 without control characters are allowed}s, 'a bad name');

	is((worker(['--list-tasks'], JOBSCHED_TASK_PATH => directory('empty')))[0], 0, 'an empty directory is fine');
	my $worker = $stack->start_worker(wait => 0, JOBSCHED_TASK_PATH => "$dir/abi");
	$stack->wait_for('its end', sub { return !$stack->worker_runs($worker) });
	is($stack->worker_status($worker), 2, 'a worker with such an object does not start');
};

subtest 'tasks of a plug-in run like any other' => sub {
	$stack->start_worker(JOBSCHED_TASK_PATH => $tasks, TASK_TIMEOUT => 0.3);
	my $id = $stack->sql_as('app', q{SELECT jobsched.submit('word_count', '{"text": "a b a"}')});
	$stack->wait_for_sql("SELECT status, result_payload->>'total' FROM jobsched.job_status WHERE id = '$id'", 'succeeded|3');
	my @slow = map { $stack->sql_as('app', "SELECT jobsched.submit('sleep', '{\"seconds\": 0.6}', max_retries => 0$_)") } '', ", timeout => interval '10 s'";
	$stack->wait_for_sql("SELECT status, last_reason, last_error FROM jobsched.job_status WHERE id = '$slow[0]'", 'failed|timeout|the time limit of 0.3 s is over');
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$slow[1]'", 'succeeded');
	pass('TASK_TIMEOUT is for jobs without a time limit of their own');
	is($stack->stop_worker, 0, 'it stops');
};

done_testing();
