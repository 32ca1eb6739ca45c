# Whatever the broker does, Postgres stops within 3 s, DROP DATABASE of another database takes no longer, and no job is lost.
# 021_stop_root.pl adds the host name whose look-up never answers.
# test: alone
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use IO::Socket::INET;
use JobschedTest;
use Socket;
use StopsFast;
use Test::More;

# A message for every job, a window that never fills, and two processes that must both end: much to publish, at all times.
my $SCHEDULERS = 2;
my $stack = JobschedTest->new(settings => { 'jobsched.schedulers' => $SCHEDULERS, 'jobsched.dispatch_runs' => 1, 'jobsched.dispatch_window' => 100_000 });
my $jobs = 0;

sub submit
{
	my ($n) = @_;
	$stack->sql("SELECT count(*) FROM jobsched.submit_many((SELECT jsonb_agg('{\"name\": \"echo\"}'::jsonb) FROM generate_series(1, $n)))");
	$jobs += $n;
	return;
}

# Until so many messages have gone out that nobody has confirmed.
sub wait_for_unconfirmed
{
	my ($n) = @_;
	return $stack->wait_for_sql("SELECT sum(published) - sum(confirmed) >= $n FROM jobsched.scheduler_status()", 't');
}

submit(2000);
wait_for_broker($stack, '^connected to');
$stack->wait_for_sql('SELECT sum(confirmed) > 0 FROM jobsched.scheduler_status()');
submit(2000);
stops_fast($stack, 'broker up, and busy');

$stack->start_postgres;
wait_for_broker($stack, '^connected to');
$stack->rabbitmqctl('set_vm_memory_high_watermark', '0.0000001');
submit(100);    # the broker says it to those that publish
wait_for_broker($stack, '^blocked by broker');
stops_fast($stack, 'broker in memory alarm');
$stack->rabbitmqctl('set_vm_memory_high_watermark', '0.4');

$stack->start_postgres;
wait_for_broker($stack, '^connected to');
$stack->kill_rabbitmq('STOP');
submit(2000);
wait_for_unconfirmed(1000);
wait_for_broker($stack, '^connected to');
stops_fast($stack, 'broker stopped with SIGSTOP while connected');

$stack->start_postgres;
wait_for_broker($stack, '^connecting to');
stops_fast($stack, 'broker stopped with SIGSTOP before connecting');

$stack->kill_rabbitmq('KILL');
$stack->start_postgres;
wait_for_broker($stack, '^not connected: cannot connect to');
stops_fast($stack, 'broker down');

my $hole = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 10, Blocking => 0) or die "listen: $@";
point_to($stack, 'amqp://jobsched:secret@127.0.0.1:' . $hole->sockport . '/jobsched');
$stack->start_postgres;
my @silent;
my $greeted = '';
$stack->wait_for('the greetings', sub {
	while (my $connection = $hole->accept) { push @silent, $connection }
	for my $connection (@silent) { $connection->recv(my $bytes, 100, MSG_DONTWAIT); $greeted .= $bytes // '' }
	return (() = $greeted =~ /AMQP/g) >= $SCHEDULERS;
});
wait_for_broker($stack, '^connecting to');
stops_fast($stack, 'broker accepts and never answers');

# With its backlog full, the kernel answers no SYN, as behind a firewall that drops packets.
socket my $full, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
bind $full, pack_sockaddr_in(0, INADDR_LOOPBACK) and listen $full, 0 or die "listen: $!";
my $port = (unpack_sockaddr_in(getsockname $full))[0];
my @fill = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Blocking => 0) } 1 .. 4;
is($fill[-1]->connected, undef, 'a listener whose backlog is full');
point_to($stack, "amqp://jobsched:secret\@127.0.0.1:$port/jobsched");
$stack->start_postgres;
wait_for_broker($stack, '^connecting to');
stops_fast($stack, 'broker behind a firewall that drops packets');

unlike($stack->log_text('postgres'), qr/recalcitrant|terminated by signal|PANIC/, 'no process had to be killed');
$stack->start_postgres;
is($stack->sql('SELECT (SELECT count(*) FROM jobsched.timers) + (SELECT sum(cardinality(job_ids)) FROM jobsched.dispatches)'), $jobs, 'and all jobs are there');
done_testing();
