# Tasks in processes of their own, TASK_ISOLATION=process: what goes wrong costs an attempt and says why, the worker goes on, and
# nothing is left of it; and what the same costs on threads.
# test: 90 s
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use JSON::PP ();
use TaskTest;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'jobsched-worker is not built' if !JobschedTest::built('worker');

my $program = JobschedTest::build() . '/jobsched-worker';
my $stack = JobschedTest->new(settings => { 'jobsched.worker_lease' => '4s', 'jobsched.retry_delay' => '50ms', HEARTBEAT_INTERVAL => 0.5, LOG_LEVEL => 'INFO' });
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $dir = $stack->dir;
TaskTest::on($stack);
mkdir "$dir/tasks" or die "$dir/tasks: $!";
build("$FindBin::Bin/../plugin/$_.c", "$dir/tasks/$_.so") for 'tasks', 'misbehave';

my %process = (JOBSCHED_TASK_PATH => "$dir/tasks", TASK_ISOLATION => 'process', TASK_GRACE => 3, MAX_CONCURRENCY => 6);

sub gone { my ($pid) = @_; return $stack->wait_for("the end of process $pid", sub { return !-e "/proc/$pid" }) }
sub started { my ($id) = @_; return $stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'running') }
sub surroundings { return final(submit('surroundings', {}))->{result} }
# do(WHAT, more): the payload of the task misbehave
sub do_it { my ($what, %more) = @_; return ('misbehave', { do => $what, %more }) }
sub slurp { my ($path) = @_; open my $file, '<', $path or return ''; local $/ = undef; return <$file> // '' }

# pid -> (its name, its parent), or () when there is none
sub process
{
	my ($pid) = @_;
	return slurp("/proc/$pid/stat") =~ /\((.*)\) \S (\d+)/s ? ($1, $2) : ();
}

# What has come from this process: pid => name.
sub family
{
	my ($ancestor) = @_;
	my %all = map { my ($pid) = /(\d+)/; ($pid => [ process($pid) ]) } glob '/proc/[1-9]*';
	my %in = ($ancestor => 1);
	for (1 .. 5) { $in{$_} = 1 for grep { $in{ $all{$_}[1] // '' } } keys %all }
	return map { ($_ => $all{$_}[0]) } grep { $_ != $ancestor } keys %in;
}

sub goes_wrong
{
	my (%env) = @_;
	my $worker = $stack->start_worker(%process, TASK_MAX_CPU => 1, TASK_MAX_PROCESSES => 20, %env);
	my @ends = all_end(
		[ 'a crash', do_it('crash'), { status => 'failed', reason => 'signal', error => 'killed by signal 11 (Segmentation fault)' } ],
		[ 'an assertion', do_it('abort'), { status => 'failed', reason => 'signal', error => 'killed by signal 6 (Aborted)' } ],
		[ 'a signal from outside', do_it('kill'), { status => 'failed', reason => 'signal', error => qr/^killed by signal 9 \(Killed\), not by the worker: / } ],
		[ 'exit', do_it('exit'), { status => 'failed', reason => 'exit_code', error => 'the task ended its process without a result, exit code 3' } ],
		[ 'also with exit code 0', do_it('exit at once'), { status => 'failed', reason => 'exit_code', error => 'the task ended its process without a result, exit code 0' } ],
		[ 'a hang', do_it('hang'), { status => 'failed', reason => 'timeout', error => 'the time limit of 0.5 s is over; the task did not stop within 3 s more, and was killed' }, { timeout => '0.5 s' } ],
		[ 'too much CPU time', do_it('loop'), { status => 'failed', reason => 'cpu_limit', error => qr/^killed by signal \d+ \(.*\); TASK_MAX_CPU is 1 s$/ } ],
		[ 'a bomb of processes', do_it('multiply'), { status => 'failed', reason => 'process_limit', error => qr/^killed: it had started \d+ processes .*; TASK_MAX_PROCESSES is 20$/ } ],
		[ 'a few processes are allowed', do_it('start some'), { status => 'succeeded' } ],
		[ 'a closed socket', do_it('close'), { status => 'failed', reason => 'bad_answer', error => qr/closed its socket/ } ],
		[ 'garbage on the socket', do_it('garble'), { status => 'failed', reason => 'bad_answer', error => qr/^the task's process sent what no task sends/ } ],
		[ 'a crash with half an artifact', do_it('half an artifact'), { status => 'failed', reason => 'signal', artifacts => 'null' } ],
		[ 'a result over 1 MiB', 'result', 'big', { status => 'failed', reason => 'result_too_large', error => qr/^the result is 2097153 bytes of JSON/ } ],
		[ 'a result that is not UTF-8', 'result', 'not_utf8', { status => 'failed', reason => 'bad_result' } ],
		[ 'an error that is not UTF-8', 'result', 'error_not_utf8', { status => 'failed', error => qr/^caf\x{FFFD} $/ } ],
		[ 'a reason that is not UTF-8', 'result', 'reason_not_utf8', { status => 'failed', reason => "caf\x{FFFD}", error => 'no coffee' } ],
		[ 'a reason that is too long', 'result', 'reason_too_long', { status => 'failed', reason => 'no_coffee_nor_teas_in_this_caf', error => 'no coffee' } ],
		[ 'a crash is tried again', do_it('crash', times => 2), { status => 'succeeded', attempt => 3, result => 'better' }, { max_retries => 2 } ],
		[ 'as often as the job says', do_it('crash'), { status => 'failed', attempt => 2, reason => 'signal' }, { max_retries => 1 } ],
		[ 'the time limit stops a task that looks', 'sleep', { seconds => 60 }, { status => 'failed', reason => 'timeout', error => 'the time limit of 0.3 s is over' }, { timeout => '0.3 s' } ],
		[ 'what is late and succeeds has succeeded', do_it('ignore'), { status => 'succeeded' }, { timeout => '0.3 s' } ],
		[ 'a process in the background', do_it('leave a process'), { status => 'succeeded', result => qr/^\d+$/ } ],
		[ 'a daemon', do_it('leave a daemon'), { status => 'succeeded', result => qr/^\d+$/ } ]);
	cmp_ok($ends[5]{seconds}, '<', 20, 'a hang is killed when its grace is over');
	gone($_->{result}) for @ends[ -2, -1 ];
	pass('what a task leaves running is killed');
	my $server = surroundings()->{parent};
	$stack->wait_for('nothing but spare processes', sub { my %family = family($server); return !grep { $_ ne 'jobsched-tasks' } values %family });
	pass('nothing is left of the bomb');
	my $seed = int rand 1e6;
	$stack->sql_as('app', qq{SELECT count(*) FROM jobsched.submit_many((SELECT jsonb_agg(jsonb_build_object('name', 'misbehave', 'max_retries', 0,
		'payload', jsonb_build_object('do', 'babble', 'seed', $seed + i))) FROM generate_series(1, 200) i))});
	$stack->wait_for_sql(qq{SELECT count(*) FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id
		WHERE (j.payload->>'seed')::int BETWEEN $seed + 1 AND $seed + 200 AND e.final}, '200');    # by chance it may be a result
	pass("anything on the socket, 200 times (seed $seed)");
	$stack->sql_as('app', qq{SELECT count(*) FROM jobsched.submit_many((SELECT jsonb_agg(jsonb_build_object('name', 'echo', 'payload', jsonb_build_array($seed, i))) FROM generate_series(1, 500) i))});
	$stack->wait_for_sql(qq{SELECT count(DISTINCT result_payload) FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id
		WHERE j.name = 'echo' AND e.status = 'succeeded' AND e.result_payload = j.payload AND e.result_payload->>0 = '$seed'}, '500');
	pass('500 short runs');
	is(join(' ', glob "$dir/blobs/jobs/*/*/*/*half* $dir/blobs/jobs/*/*/*/.*tmp"), '', 'nor of half an artifact');
	unlike($stack->log_text($worker), qr/task server/, 'the task server has gone on');
	unlike($stack->log_text($worker), qr/ended before it had a run/, 'and taken no process that had a run for one that had none');
	ok($stack->worker_runs($worker), 'and so has the worker');
	is($stack->stop_worker, 0, 'it stops');
	gone($server);
	return;
}

subtest 'what goes wrong costs an attempt, and says why' => sub { goes_wrong() };
subtest 'also in processes that serve many runs' => sub { goes_wrong(TASK_RUNS_PER_PROCESS => 10) };

subtest 'processes that serve many runs' => sub {
	my $pid = sub { return surroundings()->{pid} };
	$stack->start_worker(%process, MAX_CONCURRENCY => 1, TASK_RUNS_PER_PROCESS => 3);
	my @pids = map { $pid->() } 1 .. 7;
	is(join(' ', map { $pids[$_] == $pids[ $_ - 1 ] ? 'same' : 'other' } 1 .. 6), 'same same other same same other', 'so many, and then another one');
	is($stack->stop_worker, 0, 'it stops');

	$stack->start_worker(%process, MAX_CONCURRENCY => 1, TASK_RUNS_PER_PROCESS => 1000, TASK_MAX_CPU => 1);
	for my $case ([ 'a failure', 1, 'fail', {} ], [ 'a time limit', 1, 'sleep', { seconds => 60 } ], [ 'signals that are blocked, and one that would come', 1, do_it('spoil signals') ],
		[ 'a crash', 0, do_it('crash') ], [ 'a process', 0, do_it('leave a process') ], [ 'a daemon', 0, do_it('leave a daemon') ], [ 'a thread', 0, do_it('leave a thread') ])
	{
		my ($what, $stays, $task, $payload) = @$case;
		my $before = $pid->();
		final(submit($task, $payload, "max_retries => 0, timeout => interval '0.5 s'"));
		my $after = $pid->();
		ok($stays ? $after == $before : $after != $before, "$what: the process " . ($stays ? 'serves on' : 'ends'));
	}
	my $last = $pid->();
	all_end([ 'spoils signals', do_it('spoil signals'), { status => 'succeeded' } ], [ 'what the next run does not notice', 'sleep', { seconds => 1.5 }, { status => 'succeeded' } ]);
	is($pid->(), $last, 'in the same process');
	all_end([ 'leaves a signal', do_it('leave a signal'), { status => 'succeeded' } ]);
	all_end([ 'which the next run does not get', 'echo', {}, { status => 'succeeded' } ]);
	is($pid->(), $last, 'in the same process');
	all_end([ 'leaves an alarm', do_it('leave an alarm'), { status => 'succeeded' } ]);
	sleep 1.3;    # the alarm's second
	is($pid->(), $last, 'which does not end the process while it waits');
	all_end(map { [ "a run of 0.6 s CPU time, the $_", do_it('work'), { status => 'succeeded' } ] } 'first', 'second', 'third');
	is($pid->(), $last, 'in the same process');
	all_end([ 'each run has its CPU time', do_it('loop'), { status => 'failed', reason => 'cpu_limit' } ]);
	isnt($pid->(), $last, 'and when it is used up the process ends');
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'its surroundings' => sub {
	my $worker = $stack->start_worker(%process, S3_SECRET_KEY => 'secret', OF_MY_OWN => 1);
	my $pid = $stack->worker_pid;
	my $one = surroundings();
	my $two = surroundings();
	isnt($one->{pid}, $two->{pid}, 'each run has a process of its own');
	is($one->{session}, $one->{pid}, 'which leads a session');
	is($one->{parent}, $two->{parent}, 'from one server');
	my %environment = map { $_ => 1 } @{ $one->{environment} };
	is(join(' ', grep { $environment{$_} } qw(DATABASE_URL RABBITMQ_URL S3_SECRET_KEY)), '', 'it does not see the secrets');
	ok($environment{OF_MY_OWN} && $environment{WORKER_ID}, 'it sees other variables');
	$stack->wait_for_log($worker, qr/^printed by surroundings$/m);
	pass('what it prints is not lost');
	is(final(submit('pid', {}))->{result}, $pid, 'a task may ask to be on a thread');
	kill $_, $one->{parent} for qw(INT TERM HUP QUIT USR1);
	is(surroundings()->{parent}, $one->{parent}, "signals that a terminal or systemd sends to all do not matter to the server");
	is($stack->stop_worker, 0, 'it stops');
	gone($one->{parent});
};

subtest 'what was seen before its task has ended' => sub {
	$stack->start_worker(%process);
	my $server = surroundings()->{parent};
	my $id = submit(do_it('leave a session'));
	my $left;
	$stack->wait_for('what it starts', sub {
		my %family = family($server);
		($left) = grep { $family{$_} eq 'misbehave' && ($family{ (process($_))[1] // 0 } // '') eq 'misbehave' } keys %family;
		return $left;
	});
	# From here on nothing is forked: that alone would make the server look.
	$stack->wait_for('the end of the task', sub { my ($name, $parent) = process($left); return !$name || $parent == $server });
	ok(eval { $stack->wait_for("the end of process $left", sub { return !-e "/proc/$left" }, 3) }, 'is killed at once');
	is(final($id)->{status}, 'succeeded', 'the run has succeeded');
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'cancelling' => sub {
	$stack->start_worker(%process);
	my $server = surroundings()->{parent};
	my @ids = (submit(do_it('hang')), submit('sleep', { seconds => 60 }));
	started($_) for @ids;
	my %before = family($server);
	is(scalar(grep { $_ eq 'misbehave' || $_ eq 'sleep' } values %before), 2, 'a process has the name of its task');
	my $start = time;
	$stack->sql("SELECT jobsched.cancel('$_')") for @ids;
	is(final($_)->{status}, 'cancelled', 'a cancelled run ends') for reverse @ids;
	cmp_ok(time - $start, '<', 25, 'when its grace is over');
	$stack->wait_for('the end of their processes', sub { my %now = family($server); return !grep { $_ eq 'misbehave' || $_ eq 'sleep' } values %now });
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'the task server dies' => sub {
	my $worker = $stack->start_worker(%process);
	my $server = surroundings()->{parent};
	my @ids = map { submit(do_it('hang', times => 1), 'max_retries => 1') } 1 .. 2;
	my $other = submit(do_it('hang'), 'max_retries => 0');
	started($_) for @ids, $other;
	my %family = family($server);
	kill 'KILL', $server;
	my $end = final($other);
	is_deeply([ @{$end}{qw(status reason)} ], [ 'failed', 'server_lost' ], 'runs in flight have failed');
	is($end->{error}, q{the task server has ended (killed by signal 9 (Killed)), and the task's process with it}, 'and say why');
	is(final($_)->{result}, 'better', 'and are tried again') for @ids;
	gone($_) for keys %family;
	pass('its processes are gone');
	isnt(surroundings()->{parent}, $server, 'there is another');
	like($stack->log_text($worker), qr/ERROR jobsched-worker the task server has ended.* how="killed by signal 9 \(Killed\)".* runs_lost=3/, 'the log tells');

	kill 'STOP', $server = surroundings()->{parent};
	@ids = map { submit('echo', {}) } 1 .. 20;
	is(final($_)->{status}, 'succeeded', 'a server that stands still does not stop the worker for long') for $ids[-1];
	gone($server);
	ok($stack->worker_runs, 'the worker has gone on');
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'no process can be had' => sub {
	plan skip_all => 'root is not limited' if $> == 0;
	my $worker = $stack->start_worker(%process, MAX_CONCURRENCY => 20);
	my $server = surroundings()->{parent};
	my $limit = sub { my ($code, $out, $err) = $stack->run('prlimit', '--pid', $server, '--nproc=' . $_[0] . ':'); die "prlimit: $err" if $code };
	my ($before) = slurp("/proc/$server/limits") =~ /^Max processes\s+(\S+)/m;
	$limit->(1);
	my @ids = map { submit('echo', { n => $_ }) } 1 .. 10;
	$stack->wait_for_log($worker, qr/the task server cannot fork, runs wait error="Resource temporarily unavailable"/);
	my $stopped = submit('echo', {}, "timeout => interval '0.3 s', max_retries => 0");
	is(final($stopped)->{reason}, 'timeout', 'a run whose time is up does not wait longer');
	$limit->($before);
	is(scalar(grep { final($_)->{status} eq 'succeeded' } @ids), 10, 'the others run when there are processes again');
	is(surroundings()->{parent}, $server, 'with the same server');
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'the worker ends' => sub {
	my $worker = $stack->start_worker(%process, SHUTDOWN_TIMEOUT => 30);
	my $server = surroundings()->{parent};
	my $id = submit('sleep', { seconds => 3 });
	started($id);
	is($stack->stop_worker, 0, 'a worker that stops lets tasks end');
	is(final($id)->{attempt}, 1, 'and records them');
	gone($server);

	$stack->start_worker(%process, SHUTDOWN_TIMEOUT => 0.5);
	$server = surroundings()->{parent};
	$id = submit(do_it('hang', times => 1));
	started($id);
	my %family = family($server);
	is($stack->stop_worker, 0, 'it does not wait for ever');
	gone($_) for $server, keys %family;
	is($stack->sql("SELECT status, reason FROM jobsched.job_executions WHERE job_id = '$id'"), 'lost|worker_lost', 'what runs then is handed back');
	$stack->start_worker(%process);
	is(final($id)->{result}, 'better', 'and starts elsewhere');

	$server = surroundings()->{parent};
	my @ids = map { submit(do_it($_, times => 1)) } 'hang', 'start a session';
	$stack->wait_for('what they have started', sub { %family = family($server); return 3 == grep { $_ eq 'misbehave' } values %family });
	$stack->kill_worker('KILL');
	gone($_) for $server, keys %family;
	pass('killed, it leaves no process behind');
	$stack->start_worker(%process);
	is(final($_)->{result}, 'better', 'and its runs start again') for @ids;
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'the worker stands still' => sub {
	my $worker = $stack->start_worker(%process);
	my $server = surroundings()->{parent};
	my $id = submit(do_it('hang', times => 1));
	started($id);
	my %family = family($server);
	$stack->kill_worker('STOP');
	gone($_) for grep { $family{$_} eq 'misbehave' } keys %family;
	pass('its tasks are killed when its lease is over');
	$stack->wait_for_log($worker, qr/the lease has run out and the worker stands still, what runs is killed running=1$/m);
	pass('by the task server');
	$stack->kill_worker('CONT');
	is(final($id)->{result}, 'better', 'when it wakes up, what ran is no failure but starts again');
	is($stack->sql("SELECT attempt, status, reason FROM jobsched.job_executions WHERE job_id = '$id' AND NOT final"), '1|lost|worker_lost', 'as the database has taken it back');
	is(surroundings()->{parent}, $server, 'with the same server');
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'a limit of memory' => sub {
	# A sanitizer's shadow is larger than any limit.
	my %env = (%process, program => JobschedTest::release() . '/jobsched-worker', TASK_MAX_MEMORY => 64);
	$stack->start_worker(%env);
	all_end(
		[ 'a task that takes too much crashes', do_it('eat'), { status => 'failed', reason => 'signal', error => qr/^killed by signal 11 \(Segmentation fault\); TASK_MAX_MEMORY is 64 MiB, at most (?:[4-9]\d) MiB were resident$/ } ],
		[ 'one that sees it can say so', do_it('eat politely'), { status => 'failed', reason => 'no_memory', error => 'there is no more memory' } ],
		[ 'others do not notice', 'echo', { a => 1 }, { status => 'succeeded' } ]);
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'on threads' => sub {
	my %env = (JOBSCHED_TASK_PATH => "$dir/tasks");
	my $worker = $stack->start_worker(%env);
	all_end(
		[ 'a result over 1 MiB', 'result', 'big', { status => 'failed', reason => 'result_too_large' } ],
		[ 'a result that is not UTF-8', 'result', 'not_utf8', { status => 'failed', reason => 'bad_result' } ],
		[ 'the time limit stops a task that looks', 'sleep', { seconds => 60 }, { status => 'failed', reason => 'timeout' }, { timeout => '0.3 s' } ]);
	$stack->guc('jobsched.max_losses' => 2);
	my $id = submit(do_it('crash'));
	$stack->wait_for("the end of $worker", sub { return !$stack->worker_runs($worker) });
	is($stack->worker_status($worker), 128 + 11, 'a crash takes the worker with it');
	$worker = $stack->start_worker(%env, wait => 0);
	is_deeply([ @{ final($id) }{qw(status attempt reason)} ], [ 'failed', 2, 'worker_lost' ], 'jobsched.max_losses times');
	$stack->kill_worker('KILL');
	$stack->start_worker(%env);
	is(final(submit('echo', {}))->{status}, 'succeeded', 'then others have their turn again');
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'for people who write tasks' => sub {
	my $run = sub { my ($arguments, %more) = @_; return $stack->run($program, @$arguments, { env => { BLOB_DIR => "$dir/blobs", %process, %more } }) };
	my ($code, $out, $err) = $run->([ '--run', 'misbehave', '{"do": "crash"}' ]);
	is($code, 75, '--run in a process');
	like($err, qr/^jobsched-worker: failed \(signal\), would be tried again: killed by signal 11 \(Segmentation fault\)$/m, 'says what a worker would record');
	($code, $out) = $run->([ '--run', 'echo', '{"a":1}' ]);
	is("$code $out", qq(0 {"a":1}\n), 'or the result');
	($code, $out, $err) = $run->([ '--task-server' ]);
	is("$code $err", "2 jobsched-worker: --task-server is what the worker starts by itself\n", '--task-server is not for people');
	for my $name ('TASK_MAX_MEMORY', 'TASK_MAX_CPU')
	{
		($code, $out, $err) = $run->([ '--check-config' ], TASK_ISOLATION => 'thread', $name => 10);
		is("$code $err", "2 jobsched-worker: $name=10: threads have no limits: TASK_ISOLATION=process is needed, or 0\n", "$name is refused on threads");
	}
};

done_testing();
