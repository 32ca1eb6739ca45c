# The stack itself: servers, worker and API come up on free ports, answer, survive kill -9, and leave nothing behind.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;

my $stack = JobschedTest->new(settings => { 'jobsched.batch_size' => 77, SCHEDULER_SEGMENTS => '0-127', LEADER_LOCK_KEY => 4711 });
my $dir = $stack->dir;

is($stack->sql("SELECT extversion FROM pg_extension WHERE extname = 'jobsched'"), '1.0', 'the extension is there');
is($stack->sql('SHOW jobsched.batch_size'), '77', 'a setting in small letters is a parameter of PostgreSQL');
is($stack->sql('SHOW jobsched.leader_lock_key'), '4711', "the original's name of a setting is understood");
is($stack->sql_as('app', 'SELECT current_user'), 'app', 'app logs in');
is($stack->sql("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust'"), '0', 'nobody gets in without a password');
like($stack->rabbitmqctl('list_users'), qr/^jobsched\t/m, 'the broker has the user jobsched');
unlike($stack->rabbitmqctl('list_users'), qr/^guest\t/m, 'and no guest');

$stack->guc('jobsched.batch_size' => 78);
$stack->wait_for_sql('SHOW jobsched.batch_size', '78');
pass('guc() reloads');

my ($code, $out, $err) = $stack->psql('SELECT 1/0');
isnt($code, 0, 'psql() reports an error');
ok(!eval { $stack->sql('SELECT 1/0'); 1 }, 'sql() dies on an error');
ok(!eval { $stack->wait_for_sql('SELECT 1', '2', 1); 1 }, 'wait_for_sql() has a deadline');

SKIP:
{
	skip 'jobsched-worker is not built', 4 if !JobschedTest::built('worker');
	my $worker = $stack->start_worker;
	ok($stack->worker_runs($worker), 'a worker registers');
	my $id = $stack->sql_as('app', q{SELECT jobsched.submit('echo', '{"a": 1}')});
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'succeeded');
	is($stack->sql("SELECT result_payload FROM jobsched.job_status WHERE id = '$id'"), '{"a": 1}', 'and runs a job');
	is($stack->stop_worker($worker), 0, 'SIGTERM ends it with exit code 0');
	$worker = $stack->start_worker;
	is($stack->kill_worker, 137, 'kill -9 ends it at once');
}

SKIP:
{
	skip 'jobsched-api is not built', 2 if !JobschedTest::built('api');
	$stack->start_api;
	my ($status, $headers, $answer) = $stack->http('GET', '/healthz');
	is($status, 200, 'the API answers');
	($status, $headers, $answer) = $stack->http('GET', '/jobs/no-such-id');
	is($status, 404, 'and says what it does not know');
}

for my $name ('rabbitmq', 'postgres')
{
	my $before = $stack->pid($name);
	$stack->kill_server($name);
	$stack->stack('start', $name);
	isnt($stack->pid($name), $before, "after kill -9 start brings $name up again");
}
is($stack->sql('SELECT 1'), '1', 'and it answers');

my @pids = map { $stack->pid($_) } 'rabbitmq', 'postgres';
$stack->stack('stop');
is($stack->stack('stop'), "stack: stopped\n", 'stop may be said twice');
is(scalar(grep { -e "/proc/$_/exe" } @pids), 0, 'nothing runs any more');

my ($bad) = eval { $stack->write_file('settings', "LOG_LEVEL=INFO\nthis is no setting\n"); $stack->stack('start'); 1 } ? '' : $@;
like($bad, qr/settings, line 2: "this is no setting" is not NAME=value/, 'a bad line of the settings is named');
$stack->write_file('settings', "SCHEDULER_BATCH_SIZE=many\n");
($bad) = eval { $stack->stack('start'); 1 } ? '' : $@;
like($bad, qr/SCHEDULER_BATCH_SIZE=many: it should be a whole number/, 'and so is a bad value');

$stack->stop;
ok(!-e $dir, 'the directory is gone');
done_testing();
