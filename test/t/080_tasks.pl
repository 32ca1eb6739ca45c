# Tasks as their authors see them: plug-ins, --list-tasks, --run, and every call of jobsched_task.h.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use File::Path qw(make_path);
use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use JSON::PP ();
use TaskTest;
use Test::More;

plan skip_all => 'jobsched-worker is not built' if !JobschedTest::built('worker');

my $program = JobschedTest::build() . '/jobsched-worker';
my $stack = JobschedTest->new(settings => { 'jobsched.worker_lease' => '4s', 'jobsched.retry_delay' => '100ms', HEARTBEAT_INTERVAL => 0.5, LOG_LEVEL => 'INFO' });
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $dir = $stack->dir;
my $include = TaskTest::include();
TaskTest::on($stack);

# directory(NAME, mode) -> path of a new directory of the test
sub directory { my ($name, $mode) = @_; make_path("$dir/$name"); chmod $mode // 0755, "$dir/$name"; return "$dir/$name" }

# worker(ARGUMENTS, VARIABLE => value...) -> (exit code, stdout, stderr) of a jobsched-worker that ends by itself
sub worker
{
	my ($arguments, %env) = @_;
	return $stack->run('sh', '-c', 'cd "$0" && exec "$@"', $dir, $program, @$arguments, { env => { BLOB_DIR => "$dir/blobs", %env }, timeout => 60 });
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
	is_deeply([ $code, $json->decode($out) ], [ 0, { words => { to => 2, be => 2, or => 1, not => 1 }, total => 6 } ], '--run prints its result, and nothing else on standard output');
	like($err, qr/progress name=word_count percent=100/, 'and its progress in the log');
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

build("$FindBin::Bin/../plugin/tasks.c", "$tasks/tests.so");

# api(WORKER): with that worker
sub api
{
	my ($worker) = @_;
	my $id = submit('facts', { a => 1 }, "max_retries => 2, timeout => interval '90 s'");
	my $got = final($id)->{result};
	my $run_at = $stack->sql("SELECT jobsched._iso(run_at) FROM jobsched.job_executions WHERE job_id = '$id'");
	my ($started) = $stack->sql("SELECT extract(epoch FROM started_at) FROM jobsched.job_executions WHERE job_id = '$id'");
	is_deeply([ @{$got}{qw(name job_id attempt failures max_retries max_attempts cancelled)} ], [ 'facts', $id, 1, 0, 2, 3, JSON::PP::false ], 'a task knows its run');
	is($got->{run_at} =~ s/0*Z$/Z/r, $run_at =~ s/0*Z$/Z/r, 'its nominal time');
	is($got->{key}, "$id/$got->{run_at}", 'its idempotency key');
	is($json->encode($json->decode($got->{payload})), '{"a":1}', 'its payload as text');
	ok(abs($got->{started_at} - $started) < 30, 'when it started') or diag("$got->{started_at} $started");
	ok(abs($got->{deadline} - $got->{started_at} - 90) < 0.01 && $got->{time_left} > 30 && $got->{time_left} <= 90, 'when its time is up');
	$got = final(submit('facts', []))->{result};
	is_deeply([ @{$got}{qw(deadline time_left)} ], [ -1, -1 ], 'and when there is no limit');

	$id = submit('half', {});
	my $seen = "SELECT status, percent, message FROM jobsched.runs WHERE job_id = '$id'";
	$stack->wait_for_sql($seen, "running|50|half \x{EF}\x{BF}\x{BD} done");
	pass('progress is seen in jobsched.runs, as UTF-8');
	like($stack->log_text($worker), qr/WARNING jobsched-worker task name=half job=$id attempt=1 message="half done"/, 'log lines name task, job and attempt');
	$stack->sql_as('app', "SELECT jobsched.cancel('$id')");
	is(final($id)->{status}, 'cancelled', 'a task that waits is stopped by a cancel');
	is($stack->sql($seen), 'cancelled||', 'the progress of an ended run is not shown');
	$stack->write_file('file.bin', my $bytes = join '', map { chr } 0 .. 255);
	my $end = final($id = submit('store', { file => "$dir/file.bin", pieces => 300 }));
	is_deeply([ $end->{status}, $end->{result} ], [ 'succeeded', { read => 3_000_000, size => 3_000_000 } ], 'artifacts: what is written can be read') or diag($json->encode($end));
	my %artifact = map { $_->{name} => $_ } @{ $end->{artifacts} };
	is_deeply([ map { my $a = $artifact{$_}; [ @{$a}{qw(size sha256 content_type)} ] } 'memory', 'file', 'stream' ],
		[ [ 5, sha256_hex('hello'), 'text/plain' ], [ 256, sha256_hex($bytes), 'application/octet-stream' ], [ 3_000_000, sha256_hex('x' x 3_000_000), 'text/x' ] ],
		'from memory, from a file, piece by piece');
	is(join(' ', sort keys %artifact), 'file memory stream', 'what was aborted or left open is not there');
	is($stack->read_file("blobs/$artifact{file}{key}"), $bytes, 'the store has the bytes');
	is(join(' ', map { s{.*/}{}r } grep { !/ENTRY/ } glob("$dir/blobs/jobs/$id/*/*/* $dir/blobs/jobs/$id/*/*/.*tmp")), 'file memory stream', 'and nothing else');

	my $t = JSON::PP::true;
	my ($quick, $two, $many) = all_end(
		[ 'progress may be called as often as one likes', 'half', { quick => $t }, { status => 'succeeded' } ],
		[ 'nested causes', 'nested', { depth => 2 }, { status => 'failed', reason => 'nested' } ],
		[ 'of very many the innermost are kept', 'nested', { depth => 50 }, { error => qr/^on top\ncaused by: 19 more\ncaused by: level 31 .*\ncaused by: bottom /s } ],
		[ 'they can be taken back', 'nested', { depth => 2, forget => $t }, { reason => 'nested', error => 'on top' } ],
		[ 'and do not matter to success', 'nested', { depth => 2, succeed => $t }, { status => 'succeeded', error => 'null' } ],

		[ 'another run reads it by its key', 'fetch', $artifact{memory}{key}, { status => 'succeeded', result => 'hello' } ],
		[ 'no such key', 'fetch', 'jobs/none/such', { status => 'failed', error => qr/^-3: .*jobs\/none\/such/ } ],
		[ 'no such name', 'fetch', 'memory', { error => qr/^-3: artifact memory: this attempt has stored none of that name$/ } ],
		(map { [ "a key leaves its store nowhere: $_", 'fetch', $_, { error => qr/^-2: .*not allowed/ } ] } '../../secrets/x', '/etc/passwd', 'a//b', 'a/.hidden'),
		[ 'a bad name', 'name_it', { name => '.x/y' }, { error => qr/^-2: artifact name "\.x\/y": 1\.\.100 of/ } ],
		[ 'a name twice', 'name_it', { name => 'x', twice => $t }, { error => qr/^-2: artifact x: there is one of that name already$/ } ],
		[ 'a file that is not there', 'store', { file => "$dir/nothing", pieces => 1 }, { error => qr/^-1: artifact file: .*nothing cannot be opened: No such file/ } ],

		[ 'a result over 1 MiB', 'result', 'big', { status => 'failed', reason => 'result_too_large', error => 'the result is 2097153 bytes of JSON, more than 1048576' } ],
		[ 'a result that is not UTF-8', 'result', 'not_utf8', { status => 'failed', reason => 'bad_result', error => qr/^there is no result: json_pack/ } ],
		[ 'also as text', 'result', 'text_not_utf8', { status => 'failed', reason => 'bad_result', error => 'the result is not UTF-8' } ],
		[ 'a result that is no JSON', 'result', 'not_json', { status => 'failed', reason => 'result_rejected', error => qr/^the database refuses the result: invalid input syntax for type json/ } ],
		[ 'a result with U+0000', 'result', 'nul', { status => 'failed', reason => 'result_rejected', error => qr/^the database refuses the result: / } ],
		[ 'an error that is not UTF-8', 'result', 'error_not_utf8', { status => 'failed', error => qr/^caf\x{FFFD} $/ } ],
		[ 'a reason that is not UTF-8', 'result', 'reason_not_utf8', { status => 'failed', reason => "caf\x{FFFD}", error => 'no coffee' } ],
		[ 'a reason that is too long', 'result', 'reason_too_long', { status => 'failed', reason => 'no_coffee_nor_teas_in_this_caf', error => 'no coffee' } ],
		(map { [ "no result at all: $_", 'result', $_, { status => 'failed', reason => 'error', error => 'the task ended without a result' } ] } 'nothing', 'minus'));
	cmp_ok($quick->{seconds}, '<', 30, '100,000 calls of task_progress cost little');
	my @lines = split /\n/, $two->{error};
	is(shift @lines, 'on top', 'the error, then what lies beneath, from the outside to the inside');
	like($lines[$_], [ qr/^caused by: level 2 \(dig, tasks\.c:\d+\)$/, qr/^caused by: level 1 \(dig, tasks\.c:\d+\)$/, qr/^caused by: bottom \x{FFFD} \(dig, tasks\.c:\d+\)$/ ]->[$_], "cause $_")
		for 0 .. 2;
	is(@lines, 3, 'and no more');
	return;
}

subtest 'tasks of a plug-in run like any other' => sub {
	$stack->start_worker(name => 'worker1', JOBSCHED_TASK_PATH => $tasks, TASK_TIMEOUT => 0.3);
	all_end(
		[ 'the example', 'word_count', { text => 'a b a' }, { status => 'succeeded', result => qr/"total":3/ } ],
		[ 'a job without a time limit has TASK_TIMEOUT', 'sleep', { seconds => 0.6 }, { status => 'failed', reason => 'timeout', error => 'the time limit of 0.3 s is over' } ],
		[ 'one with its own has that', 'sleep', { seconds => 0.6 }, { status => 'succeeded' }, { timeout => '10 s' } ]);
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'every call of jobsched_task.h, on a thread' => sub {
	$stack->start_worker(name => 'worker1', JOBSCHED_TASK_PATH => $tasks);
	api('worker1');
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'and in a process of its own' => sub {
	$stack->start_worker(name => 'worker2', JOBSCHED_TASK_PATH => $tasks, TASK_ISOLATION => 'process');
	api('worker2');
	is($stack->stop_worker, 0, 'it stops');
};

done_testing();
