# The worker: how runs end, what it does when the broker, the database or itself goes away, and how it stops.
# test: 150 s
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use HTTP::Tiny;
use JobschedTest;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'jobsched-worker is not built' if !JobschedTest::built('worker');

my $program = JobschedTest::build() . '/jobsched-worker';
my $stack = JobschedTest->new(settings => {
	'jobsched.worker_lease' => '4s', 'jobsched.retry_delay' => '100ms', 'jobsched.max_payload_bytes' => '2MB',
	HEARTBEAT_INTERVAL => 0.5, LOG_LEVEL => 'INFO' });
my $json = JSON::PP->new->utf8->allow_nonref;
my ($vhost) = { $stack->env }->{RABBITMQ_URL} =~ m{//[^/]*/(.*)$};
$vhost = '/' if lc $vhost eq '%2f' || $vhost eq '';

# submit(TASK, PAYLOAD, SQL arguments) -> id
sub submit
{
	my ($task, $payload, $more) = @_;
	my $text = $json->encode($payload);
	return $stack->sql("SELECT jobsched.submit('$task', \$p\$$text\$p\$" . ($more ? ", $more" : '') . ')');
}

# submit_many(N, TASK, PAYLOAD) -> SQL array of ids
sub submit_many
{
	my ($n, $task, $payload) = @_;
	my $item = $json->encode({ name => $task, payload => $payload });
	my $ids = $stack->sql("SELECT string_agg(id::text, ',') FROM jobsched.submit_many((SELECT jsonb_agg(\$p\$$item\$p\$::jsonb) FROM generate_series(1, $n))) AS id");
	return "'{$ids}'::uuid[]";
}

# final(ID) -> (status, attempt, reason, error, result) of its last execution
sub final
{
	my ($id, $timeout) = @_;
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = '$id' AND final", '1', $timeout);
	my $row = $stack->sql("SELECT json_build_array(status, attempt, reason, error, result_payload) FROM jobsched.job_executions WHERE job_id = '$id' AND final");
	return @{ $json->decode($row) };
}

# "succeeded 200" and the like, sorted: executions of these jobs
sub tally
{
	my ($ids) = @_;
	return $stack->sql("SELECT coalesce(string_agg(t, ', ' ORDER BY t), '') FROM (SELECT status || ' ' || count(*) AS t FROM jobsched.job_executions WHERE job_id = ANY ($ids) GROUP BY status) x");
}

sub wait_all
{
	my ($ids, $n, $timeout) = @_;
	return $stack->wait_for_sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = ANY ($ids) AND final", $n, $timeout);
}

# queue('messages') of the queue jobs
sub queue { my ($what) = @_; return $stack->rabbitmqctl('list_queues', '-p', $vhost, 'name', $what) =~ /^jobs\s+(\d+)$/m ? $1 : -1 }

sub nothing_left { return $stack->wait_for_sql('SELECT (SELECT count(*) FROM jobsched.timers) + (SELECT count(*) FROM jobsched.dispatches)', '0') }

subtest 'the command line' => sub {
	my ($code, $out, $err) = $stack->run($program, '--version');
	like($out, qr/^jobsched-worker \d/, '--version');
	($code, $out, $err) = $stack->run($program, '--list-tasks');
	like($out, qr/^$_ +\S/m, "--list-tasks has $_") for 'crawl_url', 'echo', 'fail', 'http_request', 'sleep';
	($code, $out, $err) = $stack->run($program, '--help');
	like($out, qr/\b$_\b/, "--help has $_") for qw(DATABASE_URL RABBITMQ_URL RABBITMQ_QUEUE RABBITMQ_PREFETCH MAX_CONCURRENCY WORKER_ID
		HEARTBEAT_INTERVAL SHUTDOWN_TIMEOUT BLOB_STORE BLOB_DIR CRAWL_ALLOW_PRIVATE CRAWL_USER_AGENT EXEC_TASKS_FILE LOG_LEVEL LOG_FORMAT);
	($code, $out, $err) = $stack->run($program, '--check-config',
		{ env => { DATABASE_URL => 'postgresql://u:secret1@h/d', RABBITMQ_URL => 'amqp://u:secret2@h/v' } });
	is($code, 0, '--check-config accepts what is good');
	unlike("$out$err", qr/secret/, 'and shows no password');
	is(($stack->run($program, '--nonsense'))[0], 2, 'an unknown option ends it');

	my @bad = (
		[ MAX_CONCURRENCY => '0' ], [ MAX_CONCURRENCY => 'many' ], [ MAX_CONCURRENCY => '1001' ], [ RABBITMQ_PREFETCH => '-1' ],
		[ RABBITMQ_PREFETCH => '65536' ], [ HEARTBEAT_INTERVAL => '0' ], [ SHUTDOWN_TIMEOUT => '-1' ], [ BLOB_STORE => 'ftp' ],
		[ LOG_LEVEL => 'LOUD' ], [ LOG_FORMAT => 'xml' ], [ RABBITMQ_QUEUE => ',' ], [ RABBITMQ_QUEUE => 'a,b,a' ], [ RABBITMQ_QUEUE => "a\tb\x01" ],
		[ WORKER_ID => 'x' x 256 ], [ CRAWL_ALLOW_PRIVATE => '10.0.0.1/8' ], [ CRAWL_ALLOW_PRIVATE => 'localhost' ]);
	for my $case (@bad)
	{
		my ($name, $value) = @$case;
		($code, $out, $err) = $stack->run($program, '--check-config', { env => { $name => $value } });
		ok($code == 2 && $err =~ /\b$name\b/ && $err !~ /\n./, sprintf '%s=%.20s is refused in one line', $name, $value =~ s/[^ -~]/?/gr) or diag($err);
	}
	($code, $out, $err) = $stack->run($program, '--check-config', { env => { RABBITMQ_URL => 'http://secret@h' } });
	ok($code == 2 && $err =~ /RABBITMQ_URL/ && $err !~ /secret/, 'a bad RABBITMQ_URL is named, not shown') or diag($err);
};

subtest 'how runs end' => sub {
	$stack->start_worker(MAX_CONCURRENCY => 4);
	my @end = final(submit('echo', { a => [ 1, 'x', undef ] }));
	is_deeply([ @end[0, 4] ], [ 'succeeded', { a => [ 1, 'x', undef ] } ], 'echo: its payload is its result');
	my $id = $stack->sql(q{SELECT jobsched.submit('echo', '{"n": 123456789012345678901234567890.5, "s": "\u00e4 \" \\\\ \n"}')});
	final($id);
	is($stack->sql("SELECT e.result_payload = j.payload FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id WHERE j.id = '$id'"), 't',
		'also with numbers that a double cannot hold, and with everything that wants escaping');
	is_deeply([ (final(submit('sleep', { seconds => 0.25 })))[0, 4] ], [ 'succeeded', { slept => 0.25 } ], 'sleep');
	is_deeply([ final(submit('fail', { message => 'boo', times => 2 })) ], [ 'succeeded', 3, undef, undef, { attempts => 3 } ], 'fail: twice, then not');
	is_deeply([ (final(submit('fail', { message => 'boo' }, 'max_retries => 1')))[0 .. 3] ], [ 'failed', 2, 'error', 'boo' ], 'fail: until its retries are used up');
	is_deeply([ (final(submit('fail', { message => 'boo', permanent => JSON::PP::true })))[0 .. 3] ], [ 'failed', 1, 'error', 'boo' ], 'fail: for good');
	is_deeply([ (final(submit('nope', {})))[0 .. 3] ],
		[ 'failed', 1, 'unknown_task', 'task "nope" is not known to this worker, which knows: crawl_url, echo, fail, http_request, sleep' ], 'an unknown task fails for good');

	my @bad = (
		[ 'sleep', {}, qr/^payload\.seconds: a number/ ], [ 'sleep', { seconds => '1' }, qr/^payload\.seconds: a number/ ],
		[ 'sleep', { seconds => -1 }, qr/^payload\.seconds: -1 is out of range 0\.\.86400/ ], [ 'sleep', [], qr/^payload\.seconds/ ],
		[ 'fail', { message => 1 }, qr/^payload\.message/ ], [ 'fail', { permanent => 1 }, qr/^payload\.permanent/ ], [ 'fail', { times => -1 }, qr/^payload\.times/ ],
		[ 'crawl_url', {}, qr/^payload\.url/ ], [ 'crawl_url', 'ftp://example.com/', qr/only http and https/ ],
		[ 'crawl_url', { url => 'http://u:p@example.com/' }, qr/user name or password/ ]);
	for my $case (@bad)
	{
		my ($task, $payload, $pattern) = @$case;
		my @got = final(submit($task, $payload));
		ok($got[0] eq 'failed' && $got[1] == 1 && $got[3] =~ $pattern, "$task " . $json->encode($payload) . ' fails for good, naming the field') or diag($got[3]);
	}

	@end = final(submit('sleep', { seconds => 60 }, "timeout => interval '0.5 s', max_retries => 0"));
	is_deeply([ @end[0, 2, 3] ], [ 'failed', 'timeout', 'the time limit of 0.5 s is over' ], 'a task that was told to stop at its deadline has timed out');
	$id = submit('sleep', { seconds => 60 });
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'running');
	is($stack->sql("SELECT jobsched.cancel('$id')"), 'cancelling', 'a running job is asked to stop');
	is((final($id))[0], 'cancelled', 'and does, with the next heartbeat');

	$id = $stack->sql(q{SELECT jobsched.submit('echo', to_jsonb(repeat('x', 1100000)))});
	@end = final($id);
	is_deeply([ @end[0 .. 2] ], [ 'failed', 1, 'result_too_large' ], 'a result over 1 MiB fails for good');

	my $ids = submit_many(2000, 'echo', { a => 1 });
	wait_all($ids, 2000);
	is(tally($ids), 'succeeded 2000', 'many small ones');
	nothing_left();
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'messages that are no dispatches' => sub {
	my $log = $stack->start_worker;
	for my $body ('nonsense', '{}', '{\"dispatch\": \"x\"}', '{\"dispatch\": 1}')
	{
		$stack->rabbitmqctl('eval', qq{rabbit_basic:publish(rabbit_misc:r(<<"$vhost">>, exchange, <<"jobsched">>), <<"jobs">>, [], <<"$body">>).});
	}
	$stack->rabbitmqctl('eval', qq{rabbit_basic:publish(rabbit_misc:r(<<"$vhost">>, exchange, <<"jobsched">>), <<"jobs">>, [],
		<<"{\\"dispatch\\":\\"00000000-0000-4000-8000-000000000000\\"}">>).});
	$stack->wait_for('four complaints', sub { my @n = $stack->log_text($log) =~ /message is not a dispatch/g; return @n == 4 });
	is((final(submit('echo', {})))[0], 'succeeded', 'are thrown away, and the worker goes on');
	$stack->wait_for('an empty queue', sub { return queue('messages') == 0 });
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'SIGTERM' => sub {
	$stack->start_worker(MAX_CONCURRENCY => 2);
	my $running = submit_many(2, 'sleep', { seconds => 6 });    # longer than what follows takes
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_status WHERE id = ANY ($running) AND status = 'running'", '2');
	my $waiting = submit_many(20, 'sleep', { seconds => 0.2 });
	sleep 0.3;
	is($stack->stop_worker, 0, 'ends it with exit code 0');
	is(tally($running), 'succeeded 2', 'after what was running');
	is(tally($waiting), '', 'what had not started was given back');
	is($stack->sql("SELECT count(*) FROM jobsched.dispatches WHERE status = 'claimed'"), '0', 'nothing is claimed any more');
	is($stack->sql("SELECT state FROM jobsched.workers ORDER BY started_at DESC LIMIT 1"), 'stopped', 'the database knows that it stopped');
	$stack->start_worker(MAX_CONCURRENCY => 20);
	wait_all($waiting, 20);
	is($stack->sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = ANY ($waiting) AND attempt = 1 AND status = 'succeeded'"), '20', 'and used up no attempt');
	is($stack->stop_worker, 0, 'it stops');

	my $name = $stack->start_worker(SHUTDOWN_TIMEOUT => 0.5);
	my $id = submit('sleep', { seconds => 30 });
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'running');
	my $start = time;
	is($stack->stop_worker, 0, 'a task that does not end in time does not hold it up');
	cmp_ok(time - $start, '<', 20, 'for long');
	is($stack->sql("SELECT status FROM jobsched.job_executions WHERE job_id = '$id'"), 'lost', 'its run is taken back at once');
	$stack->sql("SELECT jobsched.cancel('$id')");

	$name = $stack->start_worker;
	$id = submit('sleep', { seconds => 30 });
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'running');
	kill 'TERM', $stack->worker_pid;
	$stack->wait_for_log($name, qr/shutting down/);
	kill 'TERM', $stack->worker_pid;
	$stack->wait_for('the end', sub { return !$stack->worker_runs }, 20);
	is($stack->worker_status, 1, 'a second one ends it at once');
	$stack->sql("SELECT jobsched.cancel('$id')");
	nothing_left();
};

subtest 'a worker whose threads are all busy' => sub {
	my $busy = $stack->start_worker(MAX_CONCURRENCY => 2);
	my $long = submit_many(2, 'sleep', { seconds => 600 });
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_status WHERE id = ANY ($long) AND status = 'running'", '2');
	my $short = submit_many(12, 'echo', {});
	$stack->wait_for('the queue to have no consumer', sub { return queue('consumers') == 0 });
	pass('stops consuming and gives back');
	my $other = $stack->start_worker(MAX_CONCURRENCY => 2);
	wait_all($short, 12);
	is(tally($long), '', 'so that another does the work, before the long tasks end');
	$stack->stop_worker($other);
	my $later = submit('echo', {});
	$stack->sql("SELECT jobsched.cancel(id) FROM unnest($long) id");
	wait_all($long, 2);
	is((final($later))[0], 'succeeded', 'and consumes again when a thread is free');
	is($stack->sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = ANY ($short) AND status <> 'succeeded'"), '0', 'no attempt was lost');
	is($stack->stop_worker($busy), 0, 'it stops');
};

subtest 'the broker goes away' => sub {
	my $log = $stack->start_worker;
	my $ids = submit_many(400, 'sleep', { seconds => 0.02 });
	$stack->wait_for_sql("SELECT count(*) > 20 FROM jobsched.job_executions WHERE job_id = ANY ($ids)", 't');
	$stack->kill_rabbitmq;
	$stack->start_rabbitmq;
	wait_all($ids, 400);
	is(tally($ids), 'succeeded 400', 'kill -9 and restart: all succeed, each once');
	is(scalar(() = $stack->log_text($log) =~ /broker connection lost/g), 1, 'the loss is logged once');
	is(scalar(() = $stack->log_text($log) =~ /broker connection is back/g), 1, 'and the return');

	$ids = submit_many(400, 'sleep', { seconds => 0.02 });
	$stack->wait_for_sql("SELECT count(*) > 20 FROM jobsched.job_executions WHERE job_id = ANY ($ids)", 't');
	$stack->rabbitmqctl('delete_queue', '-p', $vhost, 'jobs');
	wait_all($ids, 400);
	is(tally($ids), 'succeeded 400', 'its queue deleted: all succeed, each once');
	like($stack->log_text($log), qr/queue was deleted, making it again queue=jobs/, 'the worker notices');
	nothing_left();
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'the database goes away' => sub {
	my $log = $stack->start_worker;
	my $ids = submit_many(200, 'sleep', { seconds => 0.02 });
	my $long = submit('sleep', { seconds => 2 });
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$long'", 'running');
	$stack->kill_postgres;
	sleep 1;
	$stack->start_postgres;
	wait_all($ids, 200);
	is($stack->sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = ANY ($ids) AND status = 'succeeded'"), '200', 'kill -9 and restart: all succeed, each once');
	is((final($long))[0], 'succeeded', 'also the task that ran meanwhile');
	nothing_left();

	$long = submit('sleep', { seconds => 4 });
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$long'", 'running');
	$stack->sql("UPDATE jobsched.workers SET state = 'stopped' WHERE state = 'live'");
	$stack->wait_for_log($log, qr/the database does not know this worker any more/);
	is((final($long))[1], 2, 'a worker that the database has given up drops what it held and registers anew');
	is($stack->sql("SELECT string_agg(status, ',' ORDER BY attempt) FROM jobsched.job_executions WHERE job_id = '$long'"), 'lost,succeeded',
		'and what it had begun is not recorded');
	is($stack->stop_worker, 0, 'it stops');
};

subtest 'the worker is killed' => sub {
	$stack->start_worker(MAX_CONCURRENCY => 8);
	my $ids = submit_many(100, 'sleep', { seconds => 0.3 });
	$stack->wait_for_sql("SELECT count(*) > 10 FROM jobsched.job_executions WHERE job_id = ANY ($ids)", 't');
	is($stack->kill_worker, 137, 'kill -9 in the middle of 100 runs');
	$stack->start_worker(MAX_CONCURRENCY => 8);
	wait_all($ids, 100);
	is($stack->sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = ANY ($ids) AND status = 'succeeded'"), '100', 'all succeed, each once');
	cmp_ok($stack->sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = ANY ($ids) AND status = 'lost'"), '>=', 1, 'what ran is recorded as lost');

	my $name = $stack->start_worker(MAX_CONCURRENCY => 1, name => 'frozen');
	my $id = submit('sleep', { seconds => 4 });
	my $holder = $stack->wait_for('the run', sub { return $stack->sql("SELECT w.worker_id FROM jobsched.dispatches d JOIN jobsched.workers w ON w.id = d.worker WHERE d.status = 'claimed' AND '$id' = ANY (d.job_ids)") });
	kill 'STOP', $stack->worker_pid($holder);
	is((final($id))[1], 2, 'SIGSTOP past the lease: another worker takes the run over');
	kill 'CONT', $stack->worker_pid($holder);
	$stack->wait_for_log($holder, qr/the lease has run out, what runs is told to stop|not this worker's any more|were not recorded/);
	is($stack->sql("SELECT string_agg(status, ',' ORDER BY attempt) FROM jobsched.job_executions WHERE job_id = '$id'"), 'lost,succeeded',
		'and the one that slept cannot record its result');
	nothing_left();
};

done_testing();
