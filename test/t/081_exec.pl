# Tasks that are commands: how they end, what they see, how they are stopped, and that nothing of them is left; Python tasks in
# long-lived interpreters.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'jobsched-worker is not built' if !JobschedTest::built('worker');

my $program = JobschedTest::build() . '/jobsched-worker';
my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : plan skip_all => 'there is no python3';
my $json = JSON::PP->new->utf8->allow_nonref->canonical;
my $stack = JobschedTest->new(settings => { 'jobsched.worker_lease' => '10s', 'jobsched.retry_delay' => '50ms', HEARTBEAT_INTERVAL => 0.3, LOG_LEVEL => 'INFO' });
my $dir = $stack->dir . '/exec';
my $examples = $stack->top . '/docs/examples/python';
mkdir $dir or die "$dir: $!";

# A shell command, as an entry.  Shell is the test's own choice: the worker runs argv as it is.
sub shell { my ($script, %more) = @_; return { argv => [ '/bin/sh', '-c', $script, 'sh' ], grace => 0.3, %more } }

# ps shows MARK in the command line of everything that the tests leave running
my $mark = "jobsched-exec-test-$$";
my $nap = "exec -a $mark-nap sleep 300";

my %commands = (
	count => { argv => [ '/usr/bin/wc', '-c' ], summary => 'Counts the bytes of its payload.' },
	environment => { argv => [ $python, '-c', 'import json, os; print(json.dumps(dict(os.environ)))' ], environment => { GREETING => 'hello you' }, pass_environment => [ 'WORKER_ID', 'NOT_THERE' ] },
	arguments => { argv => [ $python, '-c', 'import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), json.load(sys.stdin), [f for f in sorted(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd/" + f)], [l.split()[1] for l in open("/proc/self/status") if l.startswith("SigBlk")][0]]))', '$HOME; "x" *', '' ], directory => '/usr' },
	exit => shell('read -r code; code=${code%\"}; echo "to standard error" >&2; echo "{}"; exit ${code#\"}'),
	signal => shell('echo dying >&2; kill -SEGV $$'),
	result => { argv => [ $python, '-c', 'import json, sys; sys.stdout.buffer.write(json.load(sys.stdin).encode("latin-1"))' ] },
	huge => shell('exec cat /dev/zero'),
	small => { argv => [ '/bin/cat' ], max_result => 10 },
	noisy => shell('i=0; while [ $i -lt 3000 ]; do echo "line $i of very much" >&2; i=$((i + 1)); done; printf "\377\0end" >&2; exit 3', max_stderr => 100),
	deaf => shell('echo 1'),
	stubborn => shell("trap '' TERM; bash -c '$nap' & echo started >&2; bash -c '$nap'; wait"),
	polite => shell('trap "echo 1; exit 0" TERM; echo started >&2; sleep 300 & wait'),
	slow => shell("bash -c '$nap' & sleep 300", timeout => 0.3),
	behind => shell("bash -c '$nap' & echo 1"),
	hungry => { argv => [ $python, '-c', 'x = bytearray(1 << 30)' ], max_memory_mib => 256 },
	missing => { argv => [ '/nonexistent/program' ] },
	nowhere => { argv => [ '/bin/true' ], directory => '/nonexistent' },
	python => { argv => [ $python, "$examples/jobsched_tasks.py", '--as', 'app.worker.registry', 'my_tasks', 'original' ], mode => 'lines',
		directory => $dir, grace => 0.3, tasks => [ qw(top_words checksum original ghost) ], processes => 2 },
	bad_lines => { argv => [ $python, '-u', '-c', "import sys, time\nfor line in sys.stdin: print(eval(__import__('json').loads(line)['payload'], globals(), {'id': __import__('json').loads(line)['id']}))" ], mode => 'lines', grace => 0.3 },
	fresh => { argv => [ $python, "$examples/jobsched_tasks.py", 'original_pid' ], directory => $dir, mode => 'lines', runs_per_process => 2, tasks => [ 'pid' ] },
	broken => { argv => [ $python, "$examples/jobsched_tasks.py", 'no_such_module' ], mode => 'lines' },
);
$stack->write_file('exec/tasks.json', $json->pretty->encode(\%commands));
$json->indent(0)->space_before(0)->space_after(0);
$stack->write_file('exec/original.py', <<'PYTHON');
import os, signal, subprocess, sys, time

import jobsched_tasks
from app.worker.registry import PermanentTaskError, task


@task("original")
def original(payload):
    what = payload["what"]
    if what == "print":
        print("printed by a task")
        subprocess.run(["echo", "printed by its child"], check=True)
        return ["ä", 0.1, 2 ** 62, None]
    if what == "permanent":
        raise PermanentTaskError("refused by robots.txt")
    if what == "fail":
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError("outer") from error
    if what == "crash":
        print("about to crash", file=sys.stderr)
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "exit":
        sys.exit("good bye")
    if what == "sleep":
        jobsched_tasks.progress(50, "asleep")
        print("sleeping")
        try:
            time.sleep(300)
        finally:
            print("cleaned up")
    if what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("sleeping")
        time.sleep(300)
    return {"nan": float("nan"), "set": {1}, "surrogate": "\ud800", "nul": "\0"}[payload["what"]]
PYTHON
$stack->write_file('exec/original_pid.py', <<'PYTHON');
import os

from jobsched_tasks import current_run, task


@task("pid")
def pid(payload):
    run = current_run()
    return [os.getpid(), run.job_id, run.attempt, run.idempotency_key.startswith(run.job_id + "/" + run.run_at), run.deadline is not None]
PYTHON
chmod 0644, "$dir/tasks.json";

sub submit
{
	my ($task, $payload, $more) = @_;
	my $text = $json->encode($payload);
	return $stack->sql("SELECT jobsched.submit('$task', \$p\$$text\$p\$" . ($more ? ", $more" : ', max_retries => 0') . ')');
}

my $executions = "SELECT json_build_array(status, attempt, reason, error, result_payload) FROM jobsched.job_executions WHERE final AND job_id =";

# final(ID) -> (status, attempt, reason, error, result) of its last execution
sub final
{
	my ($id) = @_;
	my $row;
	$stack->wait_for("the end of $id", sub { return $row = $stack->sql("$executions '$id'") });
	return @{ $json->decode($row) };
}

sub ends { my ($task, $payload, $more) = @_; return final(submit($task, $payload, $more)) }

# all(NAME => [TASK, PAYLOAD, submit_many's other members], ...): runs them at the same time; then end(NAME) is as `final`, and
# id(NAME) the job's id.  Without max_retries there are none.
my (%ends, %ids);
sub all
{
	my (%jobs) = @_;
	my @names = sort keys %jobs;
	my $list = $json->encode([ map { my ($task, $payload, %more) = @{ $jobs{$_} }; +{ name => $task, payload => $payload, max_retries => 0, %more } } @names ]);
	my @new = split /\n/, $stack->sql("SELECT jobsched.submit_many(\$p\$$list\$p\$)");
	my @rows;
	my $many = join ',', map { "'$_'" } @new;
	$stack->wait_for('the end of ' . join(', ', @names), sub {
		@rows = split /\n/, $stack->sql("SELECT job_id, json_build_array(status, attempt, reason, error, result_payload) FROM jobsched.job_executions WHERE final AND job_id IN ($many)");
		return @rows == @new;
	});
	my %row = map { split /\|/, $_, 2 } @rows;
	@ids{@names} = @new;
	$ends{ $names[$_] } = $json->decode($row{ $new[$_] }) for 0 .. $#names;
	return;
}
sub end { my ($name) = @_; return @{ $ends{$name} } }
sub id { return $ids{ $_[0] } }

# retried(STATUS etc. as of `ends`, with one retry): the last attempt is the second
sub retried { my ($task, $payload) = @_; return ends($task, $payload, 'max_retries => 1') }

# The command lines of running processes that hold the mark.
sub marked
{
	my @found;
	for my $path (glob '/proc/[0-9]*/cmdline')
	{
		open my $file, '<', $path or next;
		my $line = <$file> // next;
		push @found, $line if $line =~ /^\Q$mark/;
	}
	return @found;
}

sub children { my ($pid) = @_; return split ' ', `ps -o pid= --ppid $pid` }

sub guard { my ($pid) = @_; return (grep { `cat /proc/$_/comm 2>/dev/null` =~ /^jobsched-guard/ } children($pid))[0] }

# No process of the tests runs, and the worker has no zombies.
sub nothing_left
{
	my ($what) = @_;
	nothing_left_of($stack->worker_pid, $what);
	return;
}

sub nothing_left_of
{
	my ($pid, $what) = @_;
	ok(eval { $stack->wait_for('the processes to be gone', sub { return !marked() }) }, "$what: no process is left") or diag(join "\n", marked());
	is(scalar(grep { /^Z/ } split /\n/, `ps -o stat= --ppid $pid`), 0, "$what: no zombie is left");
	return;
}

subtest 'the file' => sub {
	my %env = (DATABASE_URL => 'postgresql://h/d', RABBITMQ_URL => 'amqp://h/', BLOB_DIR => "$dir/blobs");
	my $check = sub {
		my ($name, $text, $mode, $pattern, $what) = @_;
		if (defined $text) { $stack->write_file("exec/$name", $text); chmod $mode, "$dir/$name" }
		my ($code, $out, $err) = $stack->run($program, '--check-config', { env => { %env, EXEC_TASKS_FILE => "$dir/$name" } });
		ok($code == 2 && $err =~ /^jobsched-worker: EXEC_TASKS_FILE=\Q$dir\E\/$name: $pattern/ && $err !~ /\n./, $what) or diag("$code $err");
	};
	$check->('absent', undef, 0, qr/No such file/, 'one that is not there is refused');
	$check->('world', '{}', 0666, qr/its mode is 0666; nobody but its owner may write it/, 'one that others may write is refused');
	$check->('syntax', "{\n\"a\": }", 0644, qr/line 2, column 6: /, 'a syntax error is refused with its line');
	$check->('field', '{"a": {"argv": ["sh", "-c", "true"]}}', 0644, qr/a\.argv\[0\]: the absolute path/, 'a bad field is refused with its name');
	$stack->write_file('exec/taken', '{"a": {"argv": ["/bin/true"], "tasks": ["b", "echo"]}}');
	chmod 0644, "$dir/taken";
	my ($code, $out, $err) = $stack->run($program, '--list-tasks', { env => { %env, EXEC_TASKS_FILE => "$dir/taken" } });
	ok($code == 2 && $err =~ /a\.tasks\[1\]: .*echo/, 'a task that is there already is refused') or diag("$code $err");
	($code, $out, $err) = $stack->run($program, '--list-tasks', { env => { %env, EXEC_TASKS_FILE => "$dir/tasks.json" } });
	like($out, qr/^count +Counts the bytes/m, '--list-tasks has what is listed');
	like($out, qr/^top_words /m, 'and the tasks of an entry that has several');
	($code, $out, $err) = $stack->run($program, '--run', 'count', '{"a": 1}', { env => { %env, EXEC_TASKS_FILE => "$dir/tasks.json" } });
	is("$code $out", "0 8\n", '--run runs one');
	($code, $out, $err) = $stack->run($program, '--run', 'top_words', '"a b a"', { env => { %env, EXEC_TASKS_FILE => "$dir/tasks.json" } });
	is("$code $out", qq(0 {"words":3,"top":["a","b"]}\n), 'also in a long-lived interpreter') or diag($err);
};

my $worker = $stack->start_worker(MAX_CONCURRENCY => 3, EXEC_TASKS_FILE => "$dir/tasks.json", SECRET => 'x');

subtest 'what a command gets' => sub {
	all(payload => [ 'count', { a => 1 } ], exec => [ 'exec', { command => 'count', payload => [ 1, 2 ] } ], unlisted => [ 'exec', { command => 'rm' } ], task => [ 'rm', {} ],
		none => [ 'exec', {} ], several => [ 'exec', { command => 'python' } ], arguments => [ 'arguments', { n => 1 } ], deaf => [ 'deaf', 'x' x 500_000 ],
		environment => [ 'environment', {}, timeout => '1 min' ]);
	is_deeply([ (end('payload'))[0, 4] ], [ 'succeeded', 8 ], 'the payload is on standard input, the result on standard output');
	is_deeply([ (end('exec'))[0, 4] ], [ 'succeeded', 6 ], 'the task exec names an entry');
	is_deeply([ (end('unlisted'))[0, 2, 3] ],
		[ 'failed', 'bad_payload', 'payload.command: "rm" is not in EXEC_TASKS_FILE, which has: ' . join ', ', sort keys %commands ],
		'one that is not listed is refused');
	is((end('task'))[2], 'unknown_task', 'also as a task');
	like((end('none'))[3], qr/^payload\.command: /, 'and so is none');
	like((end('several'))[3], qr/^payload\.command: python serves several tasks/, 'and one that serves several tasks');
	is_deeply((end('arguments'))[4], [ [ '$HOME; "x" *', '' ], '/usr', { n => 1 }, [ '0', '1', '2' ], '0000000000000000' ],
		'arguments as they are, no shell; the directory; no other descriptor; no signal blocked') or diag((end('arguments'))[3]);
	is((end('deaf'))[0], 'succeeded', 'a command need not read its input');

	my %env = %{ (end('environment'))[4] };
	my $id = id('environment');
	ok($env{JOBSCHED_TIME_LEFT} > 50 && $env{JOBSCHED_TIME_LEFT} <= 60, 'JOBSCHED_TIME_LEFT') or diag($env{JOBSCHED_TIME_LEFT});
	is($stack->sql("SELECT '$env{JOBSCHED_DEADLINE}' BETWEEN started_at + '59 s' AND started_at + '61 s', '$env{JOBSCHED_RUN_AT}' = run_at FROM jobsched.job_executions WHERE job_id = '$id'"),
		't|t', 'JOBSCHED_DEADLINE and JOBSCHED_RUN_AT') or diag("$env{JOBSCHED_DEADLINE} $env{JOBSCHED_RUN_AT}");
	is($env{JOBSCHED_IDEMPOTENCY_KEY}, "$id/$env{JOBSCHED_RUN_AT}", 'JOBSCHED_IDEMPOTENCY_KEY');
	delete @env{qw(JOBSCHED_TIME_LEFT JOBSCHED_DEADLINE JOBSCHED_RUN_AT JOBSCHED_IDEMPOTENCY_KEY)};
	is_deeply(\%env, { GREETING => 'hello you', WORKER_ID => $worker, PATH => '/usr/local/bin:/usr/bin:/bin', LC_CTYPE => 'C.UTF-8', JOBSCHED_COMMAND => 'environment',
		JOBSCHED_TASK => 'environment', JOBSCHED_JOB_ID => $id, JOBSCHED_ATTEMPT => 1, JOBSCHED_FAILURES => 0, JOBSCHED_MAX_RETRIES => 0 },
		'the environment: what the entry sets and passes, the run, nothing else of the worker');
};

subtest 'how commands end' => sub {
	my @once = (max_retries => 1);
	all(zero => [ 'exit', '0' ], temporary => [ 'exit', '75', @once ], one => [ 'exit', '1', @once ], signal => [ 'signal', {}, @once ],
		number => [ 'result', " [0.1, 12345678901234567890123]\r\n" ], text => [ 'result', 'hello', @once ], empty => [ 'result', '' ], bytes => [ 'result', "\"a\xff\"" ],
		huge => [ 'huge', {}, @once ], small => [ 'small', '12345678' ], larger => [ 'small', '123456789' ], noisy => [ 'noisy', {} ], hungry => [ 'hungry', {}, @once ],
		missing => [ 'missing', {}, @once ], nowhere => [ 'nowhere', {} ], behind => [ 'behind', {} ]);
	is_deeply([ (end('zero'))[0, 4] ], [ 'succeeded', {} ], 'exit code 0 is success');
	is_deeply([ (end('temporary'))[0, 1, 3] ], [ 'failed', 2, 'exit code 75: to standard error' ], 'exit code 75 is tried again, standard error is kept');
	is_deeply([ (end('one'))[0 .. 3] ], [ 'failed', 1, 'exit_code', 'exit code 1: to standard error' ], 'others fail for good');
	my $id = id('one');
	like($stack->log_text($worker), qr/name=exit job=$id attempt=1 message="exit: to standard error"/, 'standard error is logged');
	is_deeply([ (end('signal'))[0 .. 3] ], [ 'failed', 2, 'signal', 'killed by signal SIGSEGV: dying' ], 'a signal is named, and the run tried again');

	$id = id('number');
	is($stack->sql("SELECT status, result_payload FROM jobsched.job_executions WHERE job_id = '$id'"), 'succeeded|[0.1, 12345678901234567890123]', 'a result is kept digit for digit');
	is_deeply([ (end('text'))[0 .. 3] ], [ 'failed', 1, 'bad_result', "standard output is no JSON: line 1, column 5: invalid token near 'hello': hello" ],
		'a result that is no JSON fails for good');
	like((end('empty'))[3], qr/^standard output is no JSON: it is empty$/, 'and so does none');
	like((end('bytes'))[3], qr/^standard output is no JSON: line 1, column 2: unable to decode byte 0xff/, 'and one that is not UTF-8');
	is_deeply([ (end('huge'))[0 .. 3] ], [ 'failed', 1, 'result_too_large', 'more than 1048576 bytes on standard output' ], 'endless output fails for good');
	is((end('small'))[0], 'succeeded', 'an entry may allow less');
	is((end('larger'))[2], 'result_too_large', 'and then more is too large');
	my $error = (end('noisy'))[3];
	ok($error =~ /^exit code 3: \.\.\./ && $error =~ /\nline 2999 of very much\n\x{FFFD}\x{FFFD}end$/ && length $error < 120, 'the end of much standard error is kept') or diag($error);
	is_deeply([ (end('hungry'))[0, 1] ], [ 'failed', 1 ], 'an allocation above max_memory_mib fails');
	is_deeply([ (end('missing'))[0 .. 3] ], [ 'failed', 2, 'not_started', '/nonexistent/program: No such file or directory' ], 'a program that is not there is named');
	is((end('nowhere'))[3], 'directory /nonexistent: No such file or directory', 'and so is a directory');
	is_deeply([ (end('behind'))[0, 4] ], [ 'succeeded', 1 ], 'what a command leaves in the background is not waited for');
	nothing_left('after these');
};

subtest 'cancelling and time limits' => sub {
	for my $case ([ 'stubborn', 'cancelled', 'SIGTERM is followed by SIGKILL' ], [ 'polite', 'succeeded', 'a command that ends well on SIGTERM has succeeded' ])
	{
		my ($task, $status, $what) = @$case;
		my $id = submit($task, {});
		$stack->wait_for_log($worker, qr/job=$id attempt=1 message="$task: started"/);
		is($stack->sql("SELECT jobsched.cancel('$id')"), 'cancelling', "$task is cancelled");
		my $from = time;
		is((final($id))[0], $status, $what);
		cmp_ok(time - $from, '<', 20, 'soon');
	}
	is_deeply([ (retried('slow', {}))[0 .. 3] ], [ 'failed', 2, 'timeout', "the command's time limit of 0.3 s is over" ], "a command's own time limit");
	is_deeply([ (ends('stubborn', {}, "timeout => interval '0.5 s', max_retries => 0"))[0, 2, 3] ], [ 'failed', 'timeout', 'the time limit of 0.5 s is over' ], "and a job's");
	nothing_left('after these');
};

subtest 'Python tasks' => sub {
	my @once = (max_retries => 1);
	is_deeply([ (ends('top_words', { text => 'to be or not to be' }))[0, 4] ], [ 'succeeded', { words => 6, top => [ 'be', 'to', 'not' ] } ], 'a task of the example');
	all(text => [ 'top_words', 'a b a' ], ghost => [ 'ghost', {} ], permanent => [ 'original', { what => 'permanent' }, @once ],
		map { $_ => [ 'original', { what => $_ }, $_ eq 'print' ? () : @once ] } qw(print fail exit nan set surrogate nul));
	is_deeply((end('text'))[4], { words => 3, top => [ 'a', 'b' ] }, 'one with plain text');
	is_deeply([ (end('print'))[0, 4] ], [ 'succeeded', [ "\x{e4}", 0.1, 4611686018427387904, undef ] ], 'a task of another system runs unchanged') or diag((end('print'))[3]);
	like($stack->log_text($worker), qr/message="python: printed by \Q$_\E"/, "what is printed by $_ goes to the log") for 'a task', 'its child';
	my $id = id('print');
	is($stack->sql("SELECT result_payload FROM jobsched.job_executions WHERE job_id = '$id'"), qq(["\xc3\xa4", 0.1, 4611686018427387904, null]), 'its result digit for digit');

	my @end = end('permanent');
	ok($end[1] == 1 && $end[3] =~ /^refused by robots\.txt\nTraceback .*original\.py/s, 'PermanentTaskError fails for good, with the traceback') or diag($end[3]);
	@end = end('fail');
	ok($end[1] == 2 && $end[3] =~ /^RuntimeError: outer\nTraceback.*KeyError: 'inner'.*direct cause.*RuntimeError: outer/s, 'another exception is tried again, its causes are kept') or diag($end[3]);
	ok((end('exit'))[1] == 2 && (end('exit'))[3] =~ /^SystemExit: good bye/, 'also one that would end the interpreter');
	ok((end($_))[1] == 1 && (end($_))[2] eq 'bad_result' && (end($_))[3] =~ /^the result of original is no JSON: /, "a result with $_ is none") or diag((end($_))[3]) for qw(nan set surrogate nul);
	is((end('ghost'))[2], 'unknown_task', 'a task that the modules do not have');

	my @interpreters = $stack->log_text($worker) =~ /a command's process has started command=python pid=(\d+)/g;
	cmp_ok(scalar @interpreters, '<=', 2, 'all of this were two interpreters');
	@end = retried('original', { what => 'crash' });
	is_deeply([ @end[0 .. 3] ], [ 'failed', 2, 'signal', 'the process ended before it answered, killed by signal SIGKILL: about to crash' ], 'an interpreter that dies costs an attempt');
	is((ends('top_words', 'a'))[0], 'succeeded', 'and another takes its place');

	$id = submit('original', { what => 'sleep' });
	$stack->wait_for_log($worker, qr/job=$id attempt=1 message="python: sleeping"/);
	$stack->wait_for_sql("SELECT percent, message FROM jobsched.progress WHERE job_id = '$id'", '50|asleep');
	pass('progress is seen');
	$stack->sql("SELECT jobsched.cancel('$id')");
	is((final($id))[0], 'cancelled', 'a task is cancelled');
	$stack->wait_for_log($worker, qr/job=$id attempt=1 message="python: cleaned up"/);
	pass('and its finally blocks run');
	is_deeply([ (ends('original', { what => 'stubborn' }, "timeout => interval '0.5 s', max_retries => 0"))[0, 2] ], [ 'failed', 'timeout' ], 'one that does not listen is killed');

	my $before = () = $stack->log_text($worker) =~ /has started command=python/g;
	my @ids = map { submit('original', { what => 'sleep' }) } 1 .. 3;
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_status WHERE id IN ('" . join("','", @ids) . "') AND status = 'running'", '3');
	$stack->wait_for('two sleepers', sub { return 2 == grep { $stack->log_text($worker) =~ /job=$_ attempt=1 message="python: sleeping"/ } @ids });
	my ($waiting) = grep { $stack->log_text($worker) !~ /job=$_ / } @ids;
	$stack->sql("SELECT jobsched.cancel('$waiting')");
	is((final($waiting))[0], 'cancelled', 'a run that waits for an interpreter is cancelled');
	$stack->sql("SELECT jobsched.cancel('$_')") for @ids;
	is((final($_))[0], 'cancelled', 'and so is one that has one') for grep { $_ ne $waiting } @ids;
	my $after = () = $stack->log_text($worker) =~ /has started command=python/g;
	is($after - $before, 2, 'there were not more interpreters than the entry allows');
};

subtest 'long-lived processes that misbehave' => sub {
	is((ends('bad_lines', q({'id': id, 'result': 5} and __import__('json').dumps({'id': id, 'result': 5}))))[4], 5, 'a process of another make');
	my @end = retried('bad_lines', q('hello'));
	is_deeply([ @end[0 .. 3] ], [ 'failed', 2, 'bad_answer', "what came on standard output is no answer: column 5: invalid token near 'hello': hello" ], 'an answer that is none is shown');
	is((ends('bad_lines', q('{"id": 77, "result": 1}')))[3], 'what came on standard output is no answer: its id is not that of the request, 1: {"id": 77, "result": 1}', 'one to another request too');
	is((ends('bad_lines', q('{"id": %d, "result": "%s"}' % (id, 'x' * 2000000))))[2], 'result_too_large', 'one that is too large');
	is((ends('bad_lines', q(sys.exit(3))))[3], 'the process ended before it answered, exit code 3', 'one that ends instead');
	is((ends('bad_lines', q(__import__('os').close(1) or time.sleep(300))))[3], 'the process closed its standard output without an answer: it was ended', 'one that closes its output');
	is((ends('bad_lines', q('{"id": %d, "result": 1}\nhello' % id)))[4], 1, 'one that says more after its answer has answered');
	is((ends('bad_lines', q('{"id": 1, "result": 2}')))[4], 2, 'but serves nobody else');
	@end = retried('broken', {});
	ok($end[1] == 2 && $end[3] =~ /^the process ended before it answered, exit code 1: Traceback.*No module named 'no_such_module'$/s, 'one that cannot start says why') or diag($end[3]);

	my @runs = map { (ends('pid', {}, "timeout => interval '1 min'"))[4] } 1 .. 4;
	is_deeply([ map { @$_[2 .. 4] } @runs ], [ (1, JSON::PP::true, JSON::PP::true) x 4 ], 'a task can ask which run it is');
	ok($runs[0][0] == $runs[1][0] && $runs[1][0] != $runs[2][0] && $runs[2][0] == $runs[3][0], 'an interpreter ends after runs_per_process');
	nothing_left('after these');
};

subtest 'the end of the worker' => sub {
	my $pid = $stack->worker_pid;
	my $guard = guard($pid);
	ok($guard, 'a guard is there');
	$stack->guc('jobsched.worker_lease' => '3s');
	my $id = submit('stubborn', {}, 'max_retries => 0');
	$stack->wait_for('the commands to run', sub { return marked() == 2 });
	$stack->kill_worker('KILL');
	nothing_left_of($pid, 'after the worker was killed');
	$stack->sql("SELECT jobsched.cancel('$id')");

	$stack->start_worker(EXEC_TASKS_FILE => "$dir/tasks.json", MAX_CONCURRENCY => 2);
	is((ends('top_words', 'a'))[0], 'succeeded', 'another one starts');
	$pid = $stack->worker_pid;
	my @children = children($pid);
	is(scalar @children, 2, 'with a guard and an interpreter');
	is($stack->stop_worker, 0, 'it ends');
	$stack->wait_for('the end of its children', sub { return !grep { -e "/proc/$_" } @children });
	pass('and so do they');
};

done_testing();
