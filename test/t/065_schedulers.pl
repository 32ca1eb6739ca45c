# Two schedulers share the segments; one ends, one is killed with -9, under load: nothing lost, nothing fired twice.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;

my $stack = JobschedTest->new(settings => { 'jobsched.schedulers' => 2, LOG_LEVEL => 'INFO' });
$stack->start_worker(MAX_CONCURRENCY => 8);
$stack->wait_for_sql(q{SELECT count(*), count(DISTINCT slice) FROM jobsched.scheduler_status() WHERE state LIKE 'running%' OR state LIKE 'idle%'}, '2|2');
pass('two schedulers run, a slice each');

$stack->sql_as('app', q{SELECT count(jobsched.schedule('each second ' || i, '* * * * * *', 'echo', jsonb_build_object('tick', i), overlap_policy => 'allow')) FROM generate_series(1, 50) i});

# how => what is done to the processes while 2,000 jobs pass
sub under_load
{
	my ($name, $break) = @_;
	$stack->sql_as('app', qq{SELECT count(*) FROM jobsched.submit_many((SELECT jsonb_agg(jsonb_build_object('name', 'echo', 'payload', jsonb_build_object('load', '$name'),
		'run_at', to_char((now() + i * interval '2 ms') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))) FROM generate_series(1, 2000) i))});
	my $mine = "FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id WHERE j.payload->>'load' = '$name'";
	$stack->wait_for_sql("SELECT count(*) > 200 $mine", 't');
	$break->();
	$stack->wait_for_sql("SELECT count(*) $mine AND e.final", '2000', 90);
	# The server may be on its way down only now: asked until it answers; dies when it never does so.
	$stack->wait_for_sql("SELECT count(*), count(DISTINCT e.job_id), bool_and(e.status = 'succeeded') $mine AND e.final", '2000|2000|t', 60);
	pass("$name: every job ran, each recorded once");
	return;
}
under_load('one ends', sub { my ($pid) = $stack->scheduler_pids; kill 'TERM', $pid });
$stack->wait_for_sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'jobsched scheduler%'}, '2');
under_load('one is killed', sub { my ($pid) = $stack->scheduler_pids; kill 'KILL', $pid });
$stack->wait_for_sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'jobsched scheduler%'}, '2');
$stack->guc('jobsched.schedulers' => 1);
$stack->wait_for_sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'jobsched scheduler%'}, '1');
under_load('one is left', sub { });

# each schedule goes on, and fired no time twice
my $now = $stack->sql('SELECT clock_timestamp()');
$stack->wait_for_sql("SELECT count(DISTINCT job_id) FROM jobsched.cron_ticks WHERE run_at > '$now' AND outcome = 'fired'", '50');
pass('all fifty schedules go on');
is($stack->sql(q{SELECT count(*) FROM (SELECT e.job_id, e.run_at FROM jobsched.job_executions e JOIN jobsched.schedules s ON s.job_id = e.job_id WHERE e.final GROUP BY 1, 2 HAVING count(*) > 1) x}),
	'0', 'no nominal time ran twice');
is($stack->sql(q{SELECT count(*) FROM jobsched.schedules s WHERE (SELECT count(*) FROM jobsched.timers t WHERE t.job_id = s.job_id AND t.cron) <> 1}), '0', 'each has one time planned');
# a second in which nothing ran may be missed (and made up for by a later time): but then a tick says so
my $lost = q{SELECT count(*) FROM jobsched.cron_ticks k WHERE k.outcome = 'fired' AND NOT EXISTS (SELECT FROM jobsched.runs r WHERE r.job_id = k.job_id AND r.run_at = k.run_at)};
$stack->wait_for_sql($lost, '0');
pass('every tick that fired has its run');
done_testing();
