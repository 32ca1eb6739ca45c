# A thousand cron jobs of every minute: each fires at the next full minute, once.  (test/bench has ten thousand, for five minutes.)
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;

my $stack = JobschedTest->new(settings => { LOG_LEVEL => 'INFO' });
$stack->start_worker;
# early in a minute, so that all are planned for the same one, however long it takes to write them down
$stack->wait_for_sql('SELECT extract(second FROM clock_timestamp()) < 35', 't', 90);
is($stack->sql_as('app', q{SELECT count(jobsched.schedule('every minute ' || i, '* * * * *', 'echo', jsonb_build_object('n', i))) FROM generate_series(1, 1000) i}), '1000', 'a thousand schedules');
my $minute = $stack->sql('SELECT min(run_at) FROM jobsched.timers');
is($stack->sql('SELECT count(DISTINCT run_at) FROM jobsched.timers'), '1', 'planned for one minute');
$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_executions WHERE run_at = '$minute' AND status = 'succeeded'", '1000', 180);
is($stack->sql("SELECT count(DISTINCT job_id), min(started_at) >= '$minute' FROM jobsched.job_executions WHERE run_at = '$minute'"), '1000|t', 'each fired, none before the minute');
is($stack->sql("SELECT count(*), min(outcome), max(outcome) FROM jobsched.cron_ticks WHERE run_at = '$minute'"), '1000|fired|fired', 'and left its tick');
is($stack->sql(q{SELECT count(*) FROM (SELECT FROM jobsched.job_executions WHERE final GROUP BY job_id, run_at HAVING count(*) > 1) x}), '0', 'none twice');
is($stack->sql("SELECT count(DISTINCT job_id), min(run_at) >= '$minute'::timestamptz + interval '1 minute', max(run_at) <= date_trunc('minute', clock_timestamp()) + interval '1 minute' FROM jobsched.timers WHERE cron"), '1000|t|t',
	'the next minute is planned');
done_testing();
