# Idle: no process wakes up without a reason that docs/operations.md names, and what must happen at a time happens then.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $stack = JobschedTest->new(settings => { 'jobsched.poll_interval' => '1h' });

sub wakes { return map { $_ // 0 } split /\|/, $stack->sql('SELECT woken_by_latch, woken_by_time, woken_by_broker, loops FROM jobsched.scheduler_status()') }

# What happened in some seconds of nothing: by latch, time, broker, turns; and the seconds.
sub rest
{
	my ($seconds) = @_;
	my @before = wakes();
	my $began = time;
	sleep $seconds;
	my @after = wakes();
	return ((map { $after[$_] - $before[$_] } 0 .. 3), time - $began);
}

# A job long ahead, so that there is something to sleep for.
$stack->sql(q{SELECT jobsched.submit('echo', run_at => now() + interval '1 day')});
$stack->wait_for_sql(q{SELECT broker LIKE 'connected%' FROM jobsched.scheduler_status()}, 't');
$stack->wait_for_sql(q{SELECT next_wake > now() + interval '8 s' FROM jobsched.scheduler_status()}, 't');

my ($latch, $time, $broker, $turns) = rest(3);
is($latch, 0, 'with a poll interval of an hour it sleeps');
cmp_ok($time, '<=', 1, 'except once a minute, for retention');
cmp_ok($broker, '<=', 2, 'but for the heartbeats of its connection');
# One may be under way while this looks.
cmp_ok(abs($turns - $latch - $time - $broker), '<=', 1, 'it takes no turn without having been woken');
is($stack->sql(q{SELECT next_wake <= now() + interval '10 min' FROM jobsched.scheduler_status()}), 't', 'for at most ten minutes: then it looks at the planned times');

$stack->guc('jobsched.poll_interval' => '500ms');
$stack->wait_for_sql(q{SELECT next_wake < now() + interval '2 s' FROM jobsched.scheduler_status()}, 't');
my $seconds;
($latch, $time, $broker, $turns, $seconds) = rest(4);
is($latch, 0, 'nobody calls an idle scheduler');
cmp_ok($time, '<=', 2 * $seconds + 2, sprintf 'it wakes up once each poll interval: %d times in %.1f s at 0.5 s', $time, $seconds);
cmp_ok($time, '>=', 1, 'and does');
cmp_ok(abs($turns - $latch - $time - $broker), '<=', 1, 'one turn for each');

done_testing();
