# What dies and comes back: broker, queue, worker, scheduler, Postgres, in the middle of a thousand jobs.
# test: 80 s
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;
use Time::HiRes qw(time);

my $stack = JobschedTest->new(settings => { 'jobsched.worker_lease' => '5s', 'jobsched.retry_delay' => '100ms', HEARTBEAT_INTERVAL => 1, LOG_LEVEL => 'INFO' });
$stack->start_worker(name => 'w1', MAX_CONCURRENCY => 8);

# A thousand jobs of some 20 ms under a name of their own; the breaking; then: all succeeded, each exactly once.
sub thousand
{
	my ($name, $break, $seconds) = @_;
	my $tag = $name =~ s/\W+/_/gr;
	$stack->sql_as('app', qq{SELECT count(*) FROM jobsched.submit_many((SELECT jsonb_agg(jsonb_build_object('name', 'sleep',
		'payload', jsonb_build_object('seconds', 0.02, 'tag', '$tag'), 'max_retries', 0)) FROM generate_series(1, 1000)))});
	my $mine = "FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id WHERE j.payload->>'tag' = '$tag'";
	$stack->wait_for_sql("SELECT count(*) > 100 $mine AND e.status = 'succeeded'", 't');
	$break->($mine);
	$stack->wait_for_sql("SELECT count(*) $mine AND e.final", '1000', $seconds || 90);
	is($stack->sql("SELECT count(*), count(DISTINCT e.job_id), bool_and(e.status = 'succeeded') $mine AND e.final"), '1000|1000|t', "$name: all succeed, each exactly once");
	is($stack->sql("SELECT count(*) $mine AND e.status NOT IN ('succeeded', 'lost')"), '0', "$name: and nothing else is recorded but lost attempts");
	return $mine;
}

thousand('nothing breaks', sub { });
thousand('broker killed with -9', sub { $stack->kill_rabbitmq; $stack->start_rabbitmq; });
thousand('broker stopped', sub {
	$stack->stop_rabbitmq;
	my $id = $stack->sql_as('app', q{SELECT jobsched.submit('echo', '"meanwhile"')});
	$stack->wait_for_sql(q{SELECT count(*) FROM jobsched.scheduler_status() WHERE broker NOT LIKE 'connected%'}, '1');
	$stack->start_rabbitmq;
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'succeeded');
});
thousand('queue deleted', sub { $stack->rabbitmqctl('delete_queue', '-p', 'jobsched', 'jobs'); });
thousand('queue purged', sub { $stack->rabbitmqctl('purge_queue', '-p', 'jobsched', 'jobs'); });

my $lost = thousand('worker killed with -9', sub { $stack->kill_worker('KILL', 'w1'); $stack->start_worker(name => 'w2', MAX_CONCURRENCY => 8); });
cmp_ok($stack->sql("SELECT count(*) $lost AND e.status = 'lost' AND NOT e.final AND e.reason = 'worker_lost'"), '>', 0, 'the attempts that died with it are rows');
is($stack->sql("SELECT count(*) FROM (SELECT e.job_id, count(*) AS n, max(e.attempt) AS last, count(*) FILTER (WHERE e.final) AS ends $lost GROUP BY 1) x WHERE n <> last OR ends <> 1"),
	'0', 'attempts are numbered without gaps, and each run ends once');

thousand('worker stopped with SIGTERM', sub { is($stack->stop_worker('w2'), 0, 'it drains and exits 0'); $stack->start_worker(name => 'w3', MAX_CONCURRENCY => 8); });
is($stack->sql(q{SELECT count(*) FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id WHERE j.payload->>'tag' = 'worker_stopped_with_SIGTERM' AND attempt > 1}),
	'0', 'without using up an attempt');

thousand('worker that stood still past its lease', sub {
	$stack->kill_worker('STOP', 'w3');
	$stack->start_worker(name => 'w4', MAX_CONCURRENCY => 8);
	$stack->wait_for_sql(q{SELECT count(*) FROM jobsched.dispatches d JOIN jobsched.workers w ON w.id = d.worker WHERE w.worker_id = 'w3'}, '0');
	$stack->kill_worker('CONT', 'w3');
});
$stack->kill_worker('KILL', 'w3');

my ($scheduler) = $stack->scheduler_pids;
thousand('scheduler process ended', sub { kill 'TERM', $scheduler; });
$stack->wait_for('another scheduler', sub { my ($now) = $stack->scheduler_pids; return $now && $now != $scheduler });
pass('the launcher starts another');

thousand('Postgres killed with -9', sub { $stack->kill_postgres; $stack->start_postgres; });
thousand('Postgres stopped for a while', sub { $stack->restart_postgres; });

# A backend killed with -9 makes the postmaster restart everything, the scheduler too.
thousand('scheduler killed with -9', sub { my ($pid) = $stack->scheduler_pids; kill 'KILL', $pid; });

# A task that takes its worker down every time does not do so for ever, and its neighbours do not suffer.
$stack->guc('jobsched.max_losses' => 2);
my $killer = $stack->sql_as('app', q{SELECT jobsched.submit('sleep', '{"seconds": 300, "killer": true}', max_retries => 0)});
for my $round (1 .. 2)
{
	$stack->wait_for_sql("SELECT attempt FROM jobsched.runs WHERE job_id = '$killer' AND status = 'running'", $round, 90);
	my $name = $stack->sql("SELECT w.worker_id FROM jobsched.dispatches d JOIN jobsched.workers w ON w.id = d.worker WHERE d.job_ids \@> ARRAY['$killer'::uuid]");
	$stack->kill_worker('KILL', $name);
	$stack->start_worker(name => "after$round");
}
$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$killer'", 'failed');
is($stack->sql("SELECT attempt, status, final, reason FROM jobsched.runs WHERE job_id = '$killer' ORDER BY attempt"), "1|lost|f|worker_lost\n2|failed|t|worker_lost",
	'a run that loses its worker max_losses times ends failed');

$stack->wait_for_sql('SELECT (SELECT count(*) FROM jobsched.dispatches) + (SELECT count(*) FROM jobsched.timers)', '0');
pass('nothing is left behind');
done_testing();
