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

# cancel_takes(ID) -> seconds from the commit of cancel to the end of the run, which must have been told to stop
sub cancel_takes
{
	my ($id) = @_;
	return $stack->sql("SELECT jobsched.cancel('$id')") eq 'cancelling' && status($id, 'cancelled', 20)
		&& $stack->sql("SELECT extract(epoch FROM e.finished_at - j.state_at) FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id WHERE j.id = '$id' AND e.final");
}

subtest 'cancel does not wait for the next heartbeat' => sub {
	$stack->start_worker(name => 'four', MAX_CONCURRENCY => 20, HEARTBEAT_INTERVAL => 6);
	for my $round (1 .. 3)
	{
		my $id = submit('sleep', '{"seconds": 60}');
		status($id, 'running');
		my $took = cancel_takes($id);
		cmp_ok($took, '<', 1, sprintf 'a running task ends cancelled %.3f s after the cancel', $took);
	}

	$stack->sql_as('app', q{SELECT jobsched.schedule('overlapping', '@every 1s', 'sleep', '{"seconds": 60}', overlap_policy => 'cancel_running')});
	$stack->wait_for_sql(q{SELECT count(*) >= 2 FROM jobsched.job_executions e JOIN jobsched.schedules s USING (job_id)
		WHERE s.schedule_name = 'overlapping' AND e.status = 'cancelled' AND e.finished_at - e.started_at < '2.5 s'}, 't', 15);
	pass('also what overlap_policy cancel_running stops');
	$stack->sql_as('app', q{SELECT jobsched.unschedule('overlapping')});

	my ($vhost) = { $stack->env }->{RABBITMQ_URL} =~ m{//[^/]*/(.*)$};
	my ($queue) = $stack->rabbitmqctl('list_queues', '-p', $vhost, 'name') =~ /^(jobsched\.worker\.\S+)/m;
	is($queue, 'jobsched.worker.' . $stack->sql("SELECT id FROM jobsched.workers WHERE worker_id = 'four'"), 'its queue has the name of its registration');
	$stack->sql("UPDATE jobsched.workers SET state = 'stopped' WHERE worker_id = 'four'");    # it registers anew
	my $id = submit('sleep', '{"seconds": 60}');
	status($id, 'running');
	cmp_ok(cancel_takes($id), '<', 1, 'a new registration has its queue too');
	$stack->rabbitmqctl('close_all_connections', '--global', 'test');
	$stack->wait_for_log('four', qr/broker connection is back/);
	$id = submit('sleep', '{"seconds": 60}');
	status($id, 'running');
	cmp_ok(cancel_takes($id), '<', 1, 'and one whose connection was lost');
	is($stack->stop_worker('four'), 0, 'it stops');
	$stack->wait_for('the end of its queue', sub { $stack->rabbitmqctl('list_queues', '-p', $vhost, 'name') !~ /jobsched\.worker/ });
};

done_testing();
