# Workers die and stand still: the short form of `make chaos`.
# test: 70 s
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl", "$FindBin::Bin/../chaos";
use Chaos;
use JobschedTest;
use Test::More;

plan skip_all => 'jobsched-worker is not built' if !JobschedTest::built('worker');

my $stack = JobschedTest->new(settings => { 'jobsched.worker_lease' => '3s', 'jobsched.max_losses' => 20 });
Chaos::kills($stack, runs => 600, kills => 6, rate => 60, restart_limit => 20, slack => 20);
Chaos::freezes($stack, rounds => 1);
Chaos::slow_task($stack, timeout => 1000, tick => 1000, seconds => 4);
done_testing();
