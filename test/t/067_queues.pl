# Queues and priorities: a paused queue waits while others go on, 9 goes before 0, and 0 is not starved for ever.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;

my $stack = JobschedTest->new(settings => { LOG_LEVEL => 'INFO' });
$stack->start_worker(MAX_CONCURRENCY => 1, RABBITMQ_QUEUE => 'jobs,other');

sub queue { my ($do) = @_; return $stack->sql_as('admin', "SELECT jobsched.${do}_queue('jobs')") }
sub submit { my ($name, $n, $arguments) = @_; return $stack->sql_as('app', "SELECT count(jobsched.submit('sleep', jsonb_build_object('seconds', 0.01, 'what', '$name'), $arguments)) FROM generate_series(1, $n)") }
sub started { my ($name, $which) = @_; return "(SELECT $which(e.started_at) FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id WHERE j.payload->>'what' = '$name')" }

submit('first', 1, 'priority => 5');
$stack->wait_for_sql(q{SELECT count(*) FROM jobsched.runs WHERE status = 'succeeded'}, '1');

is(queue('pause'), 't', 'a queue is paused');
submit('low', 20, 'priority => 0');
submit('high', 20, 'priority => 9');
submit('elsewhere', 1, q{queue => 'other'});
$stack->wait_for_sql(q{SELECT status FROM jobsched.job_status WHERE payload->>'what' = 'elsewhere'}, 'succeeded');
pass('another goes on');
is($stack->sql(q{SELECT count(*) FROM jobsched.timers}), '40', 'what is in the paused one waits');
like($stack->sql(q{SELECT reason FROM jobsched.job_status s, jobsched.explain_job(s.id) WHERE s.payload->>'what' = 'low' LIMIT 1}), qr/^due, but queue jobs was paused by admin at /, 'and says why');
is(queue('resume'), 't', 'it goes on');
$stack->wait_for_sql(q{SELECT count(*) FROM jobsched.runs WHERE status = 'succeeded'}, '42');
is($stack->sql('SELECT ' . started('high', 'max') . ' <= ' . started('low', 'min')), 't', 'priority 9 before 0, though it came later');

# 10 s of waiting outweigh one step of priority
queue('pause');
submit('old low', 10, 'priority => 0');
submit('new high', 10, 'priority => 9');
$stack->sql(q{UPDATE jobsched.timers t SET due_at = due_at - interval '100 s' FROM jobsched.jobs j WHERE j.id = t.job_id AND j.priority = 0});
queue('resume');
$stack->wait_for_sql(q{SELECT count(*) FROM jobsched.runs WHERE status = 'succeeded'}, '62');
is($stack->sql('SELECT ' . started('old low', 'max') . ' <= ' . started('new high', 'min')), 't', 'a priority 0 that waits for 100 s goes before a new 9');

# a job's pause, resume and retry, on the running system
my ($id) = $stack->sql_as('app', <<'END') =~ /([0-9a-f-]{36})/;
SELECT jobsched.submit('echo', run_at => now() + interval '1 s') AS id \gset
SELECT jobsched.pause(:'id');
\echo :id
END
$stack->wait_for_sql("SELECT clock_timestamp() > run_at + interval '0.3 s' FROM jobsched.timers WHERE job_id = '$id'", 't');
is($stack->sql("SELECT status FROM jobsched.job_status WHERE id = '$id'"), 'paused', 'a paused job waits past its time');
$stack->sql_as('app', "SELECT jobsched.resume('$id')");
$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'succeeded');
pass('and runs when resumed');
$id = $stack->sql_as('app', q{SELECT jobsched.submit('fail', '{"permanent": true, "times": 1}')});
$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'failed');
$stack->sql_as('app', "SELECT jobsched.retry('$id')");
$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = '$id' AND final", '2');
is($stack->sql("SELECT count(DISTINCT run_at) FROM jobsched.job_executions WHERE job_id = '$id'"), '2', 'retry is a new run, with a time of its own');

# expires_at: the scheduler ends what no worker has started by then, wherever it is, and wakes up for that
$stack->guc('jobsched.poll_interval' => '1h');
$stack->wait_for_sql(q{SELECT next_wake > now() + interval '8 s' FROM jobsched.scheduler_status()}, 't');
my %expires = (
	'handed out, in a queue that nobody consumes' => "queue => 'nobody'",
	'not due' => "run_at => now() + interval '1 h'",
	'paused' => "run_at => now() + interval '2 h', expires_at => now() + interval '4 s'",
	'taken in time' => "expires_at => now() + interval '1 h'",
	'over before it was submitted' => "expires_at => now() - interval '1 s'",
);
my %id = map { $_ => $stack->sql_as('app', "SELECT jobsched.submit('echo', " . join(', ', grep { $_ } $expires{$_}, $expires{$_} =~ /expires_at/ ? () : "expires_at => now() + interval '1 s'") . ')') } sort keys %expires;
$stack->sql_as('app', "SELECT jobsched.pause('$id{paused}')");
for my $what (sort keys %id)
{
	my $status = $what =~ /taken/ ? 'succeeded' : 'expired';
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id{$what}'", $status);
	pass("$what: $status");
}
is($stack->sql("SELECT max(e.finished_at - j.expires_at) < interval '30 s' FROM jobsched.jobs j JOIN jobsched.job_executions e ON e.job_id = j.id WHERE e.status = 'expired'"), 't', 'soon after');
$stack->wait_for_sql('SELECT count(*) FROM jobsched.expiries', '1');
is($stack->sql('SELECT count(*) FROM (SELECT FROM jobsched.job_executions WHERE final GROUP BY job_id, run_at HAVING count(*) > 1) x'), '0', 'each end is recorded once');
is($stack->sql("SELECT count(*) FROM jobsched.dispatches d JOIN jobsched.queues q ON q.id = d.queue WHERE q.name = 'nobody'"), '0', 'nothing of it is left to be handed out');
done_testing();
