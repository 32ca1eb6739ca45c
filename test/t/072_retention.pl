# The scheduler turns the ring by itself; whoever reads a slot keeps it, and work goes on meanwhile.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use IPC::Run ();
use Test::More;

my $stack = JobschedTest->new;
$stack->guc('jobsched.retention' => '14s', 'jobsched.retention_failed' => '14s');
$stack->start_worker;

my $first = $stack->sql_as('app', q{SELECT jobsched.submit('echo', '{"n": 1}')});
$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$first'", 'succeeded');
$stack->wait_for_sql('SELECT count(*) >= 3 FROM jobsched.ring', 't', 60);
ok(1, 'the ring turns every fourteenth of jobsched.retention');
like($stack->log_text('postgres'), qr/retention: closed slot 0, opened slot 1/, 'the log says so');
is($stack->sql_as('app', "SELECT status FROM jobsched.job_status WHERE id = '$first'"), 'succeeded', 'what has ended is still there');

# A dump reads the slot that is next but one, in which there is something old.
my $slot = $stack->sql('SELECT (max(slot) + 2) % 16 FROM jobsched.ring');
my ($in, $out) = ("BEGIN; SELECT count(*) FROM jobsched.job_executions_$slot; \\echo reads\n", '');
my $reader = IPC::Run::start([ $stack->bin . '/psql', '-XAtq', '-U', 'postgres', '-d', 'jobsched' ], '<', \$in, '>', \$out, '2>', \my $err, init => sub { my %env = $stack->env; @ENV{ keys %env } = values %env });
$stack->wait_for('the reader', sub { $reader->pump_nb; $out =~ /reads/ }, 30);
$stack->sql("INSERT INTO jobsched.job_executions (slot, attempt, final, job_id, run_at, finished_at, status)
	SELECT $slot, 1, true, gen_random_uuid(), now() - interval '1 h', now() - interval '1 h', 'succeeded' FROM generate_series(1, 1000)");
$stack->wait_for_log('postgres', qr/retention: slot $slot: waits for whoever reads the slot/, 60);
ok(1, 'a reader is waited for');
my $second = $stack->sql_as('app', q{SELECT jobsched.submit('echo', '{"n": 2}')});
$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$second'", 'succeeded');
ok(1, 'jobs run meanwhile');
is($stack->sql("SELECT count(*) FROM jobsched.job_executions_$slot"), 1000, 'and the rows are there');
$in .= "COMMIT;\n\\q\n";
$reader->finish;
$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_executions_$slot", '0', 60);
ok(1, 'the slot is emptied when it has gone');

$stack->wait_for_sql("SELECT count(*) FROM jobsched.jobs WHERE id = '$first'", '0', 120);
is($stack->sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = '$first'"), '0', 'an ended job goes, and its execution');
unlike($stack->log_text('postgres'), qr/ERROR|WARNING/, 'no errors');
$stack->stop;
done_testing;
