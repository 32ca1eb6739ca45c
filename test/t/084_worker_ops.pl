# The worker as a process among others: its name on the machine, its connections, signals and what it tells about itself.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'jobsched-worker is not built' if !JobschedTest::built('worker');

my $stack = JobschedTest->new(settings => { 'jobsched.worker_lease' => '20s', HEARTBEAT_INTERVAL => 5, LOG_LEVEL => 'INFO' });

sub submit { my ($task, $payload, $more) = @_; return $stack->sql_as('app', "SELECT jobsched.submit('$task', '$payload'" . ($more ? ", $more" : '') . ')') }
sub status { my ($id, $wanted, $seconds) = @_; return $stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", $wanted, $seconds) }

subtest 'who is who on a machine' => sub {
	$stack->start_worker(name => 'one', WORKER_ID => 'same');
	my $id = submit('sleep', '{"seconds": 60}');
	status($id, 'running');
	my $log = $stack->start_worker(name => 'two', WORKER_ID => 'same');
	my $pid = $stack->worker_pid('one');
	$stack->wait_for_log($log, qr/another worker has the same WORKER_ID.* worker_id=same .*pid=$pid\b/);
	pass('a second worker with the same WORKER_ID warns of the first');
	is($stack->sql("SELECT count(*) FROM jobsched.workers WHERE worker_id = 'same' AND state = 'live'"), '2', 'the database tells them apart');
	is($stack->sql("SELECT status FROM jobsched.job_status WHERE id = '$id'"), 'running', 'and leaves the first its run');
	$stack->stop_worker('two');

	$stack->kill_worker('KILL', 'one');
	my $start = time;
	$stack->start_worker(name => 'three', WORKER_ID => 'other', wait => 0);
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.runs WHERE job_id = '$id' AND status = 'running' AND attempt = 2", '1', 15);
	pass(sprintf 'killed, and another started on the machine: its run goes on there, long before the lease of 20 s is over (%.1f s)', time - $start);
	$stack->wait_for_log('three', qr/ended without a word: its runs are taken back.* worker_id=same .*pid=$pid\b/);
	is($stack->sql("SELECT reason FROM jobsched.job_executions WHERE job_id = '$id' AND attempt = 1 AND status = 'lost'"), 'worker_lost', 'the first attempt is recorded as lost');
	$stack->sql("SELECT jobsched.cancel('$id')");
	status($id, 'cancelled');
	is($stack->stop_worker('three'), 0, 'it stops');
};

done_testing();
