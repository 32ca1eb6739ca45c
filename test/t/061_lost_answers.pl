# The answer to a claim or a finish is lost after the server has committed: the worker asks again, and nothing runs or is recorded twice.
# test: 40 s
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use IO::Select;
use IO::Socket::INET;
use JobschedTest;
use Test::More;

my $stack = JobschedTest->new(settings => { 'jobsched.worker_lease' => '10s', HEARTBEAT_INTERVAL => 1, LOG_LEVEL => 'INFO' });
my %env = $stack->env;
my $armed = $stack->dir . '/armed';

# Between worker and PostgreSQL.  While the file `armed` names a statement, the next message that runs it goes through, its answer comes
# back from the server, and then nobody gets it: both connections end, and the file goes.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16) or die "listen: $!";
my $proxy = fork // die "fork: $!";
if ($proxy == 0)
{
	my (%other, %server, %doomed);
	my $open = IO::Select->new($listener);
	while (1)
	{
		for my $from ($open->can_read)
		{
			if ($from == $listener)
			{
				my $client = $listener->accept or next;
				my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $env{PGPORT}) or next;
				($other{$client}, $other{$server}, $server{$server}) = ($server, $client, 1);
				$open->add($client, $server);
				next;
			}
			my $to = delete $other{$from} or next;
			my $n = sysread $from, my $bytes, 65536;
			my $lost = $n && $doomed{$from};
			if (!$n || $lost)
			{
				unlink $armed if $lost;
				$open->remove($from, $to);
				delete $other{$to};
				delete @doomed{ $from, $to };
				delete @server{ $from, $to };    # another socket may get the name
				close $_ for $from, $to;
				next;
			}
			$other{$from} = $to;
			if (!$server{$from} && open my $file, '<', $armed)
			{
				my $word = <$file>;
				$doomed{$to} = 1 if index($bytes, "B") == 0 && index($bytes, "\0$word\0") >= 0;
			}
			for (my $sent = 0; $sent < length $bytes;)
			{
				my $more = syswrite $to, $bytes, length($bytes) - $sent, $sent;
				last if !$more;
				$sent += $more;
			}
		}
	}
}
END { kill 'KILL', $proxy if $proxy; }

my $worker = $stack->start_worker(MAX_CONCURRENCY => 4,
	DATABASE_URL => 'postgresql://jobsched_worker_login:' . $stack->read_file('data/secrets/jobsched_worker_login') . '@127.0.0.1:' . $listener->sockport . '/jobsched');

for my $word (qw(claim finish claim finish finish))
{
	$stack->sql('TRUNCATE jobsched.job_executions, jobsched.jobs');
	$stack->write_file('armed', $word);
	$stack->sql_as('app', q{SELECT count(*) FROM jobsched.submit_many((SELECT jsonb_agg(jsonb_build_object('name', 'sleep', 'payload', '{"seconds": 0.01}'::jsonb)) FROM generate_series(1, 20)))});
	$stack->wait_for("the answer to a $word to be lost", sub { return !-e $armed });
	$stack->wait_for_sql('SELECT count(*) FROM jobsched.job_executions WHERE final', '20');
	is($stack->sql(q{SELECT count(*), count(DISTINCT job_id), bool_and(final AND status = 'succeeded' AND attempt = 1) FROM jobsched.job_executions}), '20|20|t',
		"the answer to a $word was lost: each run is recorded once, at its first attempt");
	$stack->wait_for_sql('SELECT count(*) FROM jobsched.dispatches', '0');
}
is($stack->sql(q{SELECT count(*) FROM jobsched.workers WHERE state = 'live'}), '1', 'the worker is still the one that registered');
like($stack->log_text($worker), qr/lost|connect/i, 'and has noticed');
is($stack->stop_worker($worker), 0, 'it stops as usual');
done_testing();
