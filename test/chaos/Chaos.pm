# Chaos.pm: what breaks workers, in sizes: test/chaos/run does it at length (make chaos), test/t/085_chaos.pl shortly.
package Chaos;

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep time);

# The value below which that share of the numbers lies.
sub percentile
{
	my ($share, @numbers) = @_;
	return 0 if !@numbers;
	@numbers = sort { $a <=> $b } @numbers;
	my $at = int($share * @numbers);
	return $numbers[ $at < @numbers ? $at : -1 ];
}

sub line
{
	my ($what, @seconds) = @_;
	return sprintf '%s: %d runs, p50 %.2f s, p99 %.2f s, worst %.2f s', $what, scalar @seconds, percentile(0.5, @seconds), percentile(0.99, @seconds),
		percentile(1, @seconds);
}

# kills($stack, runs => 20000, kills => 100, rate => runs a second): two workers, killed with -9 at random moments while that
# many runs of 20 to 180 ms come due one after the other.  Every other victim is started again at once, every other one only
# when its runs have been taken back.
sub kills
{
	my ($stack, %how) = @_;
	my $tag = 'kills';
	my $lease = $stack->sql('SELECT extract(epoch FROM jobsched.worker_lease())');
	my %worker = (MAX_CONCURRENCY => 12, HEARTBEAT_INTERVAL => 0.5, LOG_LEVEL => 'INFO');
	my $every = 1 / $how{rate};
	my @killed;
	my $seed = $how{seed} // int(time);
	srand $seed;
	note "seed $seed";

	$stack->start_worker(name => $_, %worker) for 'one', 'two';
	my $mine = "FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id WHERE j.payload->>'tag' = '$tag'";
	for (my $first = 0; $first < $how{runs}; $first += 5000)
	{
		my $last = $first + 5000 < $how{runs} ? $first + 4999 : $how{runs} - 1;
		$stack->sql_as('app', qq{SELECT count(*) FROM jobsched.submit_many((SELECT jsonb_agg(jsonb_build_object('name', 'sleep', 'max_retries', 0,
			'run_at', now() + i * interval '$every s',
			'payload', jsonb_build_object('seconds', round((0.02 + random() * 0.16)::numeric, 3), 'tag', '$tag'))) FROM generate_series($first, $last) i))});
	}
	my $end = time + $how{runs} * $every;

	my $kill = sub {
		my ($name, $next) = @_;
		push @killed, { name => $name, at => time, next => $next };
		return $stack->kill_worker('KILL', $name);
	};
	for my $n (1 .. $how{kills})
	{
		my $name = rand() < 0.5 ? 'one' : 'two';
		my $share = ($end - time) / ($how{kills} - $n + 1);
		sleep rand(2 * ($share > $lease / 2 ? $share - $lease / 2 : 0.1)) if $share > 0;
		my $pid = $stack->worker_pid($name);
		$kill->($name, $n % 2 ? 'restarted' : 'elsewhere');
		if ($n % 2 == 0)
		{
			$stack->wait_for_sql("SELECT count(*) FROM jobsched.dispatches d JOIN jobsched.workers w ON w.id = d.worker WHERE w.info->>'pid' = '$pid'", '0');
		}
		elsif (rand() < 0.2)    # killed again while it starts
		{
			$stack->start_worker(name => $name, wait => 0, %worker);
			sleep rand 0.1;
			$kill->($name, 'restarted');
		}
		$stack->start_worker(name => $name, wait => 0, %worker);
	}

	$stack->wait_for_sql("SELECT count(*) $mine AND e.final", $how{runs}, $end - time + 120);
	is($stack->sql("SELECT count(*), count(DISTINCT e.job_id), bool_and(e.status = 'succeeded') $mine AND e.final"), "$how{runs}|$how{runs}|t",
		"$how{kills} times kill -9 over $how{runs} runs: none lost, each recorded as succeeded exactly once");
	is($stack->sql("SELECT count(*) $mine AND e.status NOT IN ('succeeded', 'lost')"), '0', 'nothing else is recorded but lost attempts');
	is($stack->sql("SELECT count(*) FROM (SELECT e.job_id, count(*) AS n, max(e.attempt) AS last $mine GROUP BY 1) x WHERE n <> last"), '0', 'attempts are numbered without gaps');
	$stack->wait_for_sql('SELECT (SELECT count(*) FROM jobsched.dispatches) + (SELECT count(*) FROM jobsched.timers)', '0');
	pass('nothing is left behind');

	# A run that is lost for the second time waits on purpose, so only first losses are measured; what was lost twice has no start.
	# Counted from the last kill of the worker before its run was taken back: one that was killed again had not started.
	my %recovery = (restarted => [], elsewhere => []);
	my $rows = $stack->sql("SELECT w.worker_id, extract(epoch FROM e.finished_at), extract(epoch FROM next.started_at) $mine AND e.status = 'lost' AND e.attempt = 1"
		=~ s/ WHERE / JOIN jobsched.workers w ON w.id = e.worker_id JOIN jobsched.job_executions next ON next.job_id = e.job_id AND next.attempt = 2 AND next.started_at IS NOT NULL WHERE /r);
	for my $row (split /\n/, $rows)
	{
		my ($name, $taken_back, $started) = split /\|/, $row;
		my ($last) = grep { $_->{name} eq $name && $_->{at} <= $taken_back } reverse @killed;
		push @{ $recovery{ $last->{next} } }, $started - $last->{at} if $last;
	}
	my ($restart, $slack) = ($how{restart_limit} // 2, $how{slack} // 5);
	cmp_ok(@{ $recovery{restarted} } + @{ $recovery{elsewhere} }, '>=', $how{kills} / 2, 'enough runs were lost to measure');
	diag(line("from the kill to the next start, worker started again at once", @{ $recovery{restarted} }));
	diag(line("from the kill to the next start, on the other worker (lease $lease s)", @{ $recovery{elsewhere} }));
	cmp_ok(percentile(0.99, @{ $recovery{restarted} }), '<', $restart, "started again on the same machine: runs go on within $restart s (p99)");
	cmp_ok(percentile(0.99, @{ $recovery{elsewhere} }), '<', $lease + $slack, "not started again: within the lease and $slack s (p99)");
	$stack->stop_worker($_) for 'one', 'two';
	return;
}

# freezes($stack, rounds => 20): a worker stands still past its lease with two runs, one that has ended when it wakes up and one
# that has not.  The late result is refused, the task that still runs is told to stop.
sub freezes
{
	my ($stack, %how) = @_;
	my %worker = (HEARTBEAT_INTERVAL => 0.3, LOG_LEVEL => 'DEBUG');
	my ($refused, $told, $late, $gave_up) = (0, 0, 0, 0);

	for my $round (1 .. $how{rounds})
	{
		my $victim = $stack->start_worker(name => "frozen$round", MAX_CONCURRENCY => 2, %worker);
		my ($short, $long) = split /\n/, $stack->sql_as('app', q{SELECT jobsched.submit('sleep', format('{"seconds": %s}', s)::jsonb, max_retries => 0) FROM unnest('{3, 100}'::float[]) s});
		$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_status WHERE id IN ('$short', '$long') AND status = 'running'", '2');
		$stack->kill_worker('STOP', $victim);
		my $other = $stack->start_worker(name => "awake$round", MAX_CONCURRENCY => 2, %worker);
		$stack->wait_for_sql("SELECT string_agg(status, ',' ORDER BY attempt) FROM jobsched.job_executions WHERE job_id = '$short'", 'lost,succeeded');
		$stack->wait_for_sql("SELECT count(*) FROM jobsched.runs WHERE job_id = '$long' AND status = 'running' AND attempt = 2", '1');
		$stack->kill_worker('CONT', $victim);

		$told += eval { $stack->wait_for_log($victim, qr/run ended job=$long attempt=1/, 60); 1 } // 0;
		# Its task ends before or after it is told that the lease is over: a result that is refused, or none at all.
		my $ended = eval { $stack->wait_for_log($victim, qr/run ended job=$short attempt=1/, 60); 1 };
		my $beat = $stack->sql("SELECT last_seen FROM jobsched.workers WHERE worker_id = '$victim' AND state = 'live'");
		$stack->wait_for_sql("SELECT last_seen > '$beat' FROM jobsched.workers WHERE worker_id = '$victim' AND state = 'live'", 't');
		$stack->log_text($victim) =~ /not this worker's any more|were not recorded/ ? $late++ : $gave_up++;
		my $rows = $stack->sql(qq{SELECT count(*) FROM jobsched.job_executions e JOIN jobsched.workers w ON w.id = e.worker_id
			WHERE e.job_id IN ('$short', '$long') AND w.worker_id = '$victim' AND e.status <> 'lost'});
		my $course = $stack->sql("SELECT string_agg(status, ',' ORDER BY attempt) FROM jobsched.job_executions WHERE job_id = '$short'");
		$refused++ if $ended && $rows eq '0' && $course eq 'lost,succeeded';
		$stack->sql("SELECT jobsched.cancel('$long')");
		$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$long'", 'cancelled');
		$stack->stop_worker($_) for $victim, $other;
	}
	is($refused, $how{rounds}, "stood still past the lease, $how{rounds} times: the late result is refused");
	diag("$late late results were refused, $gave_up tasks gave up when they heard that the lease was over");
	is($told, $how{rounds}, 'and the task that still ran was told to stop');
	return;
}

# slow_task($stack, timeout => milliseconds, tick => milliseconds, seconds => 150): a task that runs much longer than RabbitMQ
# lets a delivery wait for its acknowledgement.  RabbitMQ looks only once in a tick, a minute by default.
sub slow_task
{
	my ($stack, %how) = @_;
	$stack->rabbitmqctl('eval', "application:set_env(rabbit, consumer_timeout, $how{timeout}), application:set_env(rabbit, channel_tick_interval, $how{tick}).");
	my $log = $stack->start_worker(name => 'slow', MAX_CONCURRENCY => 1, HEARTBEAT_INTERVAL => 0.5, LOG_LEVEL => 'INFO');
	my $id = $stack->sql_as('app', qq{SELECT jobsched.submit('sleep', '{"seconds": $how{seconds}}', max_retries => 0)});
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'succeeded', $how{seconds} + 60);
	is($stack->sql("SELECT count(*), min(attempt), min(status) FROM jobsched.job_executions WHERE job_id = '$id'"), '1|1|succeeded',
		"a task of $how{seconds} s under a consumer timeout of " . $how{timeout} / 1000 . ' s completes once');
	unlike($stack->log_text($log), qr/broker connection lost/, 'and its worker keeps its connection');
	# The timeout is in force: who stands still with a delivery has its channel closed.  With a long tick AMQP's heartbeat is faster.
	if ($how{tick} < 5000)
	{
		$stack->kill_worker('STOP', 'slow');
		$id = $stack->sql_as('app', q{SELECT jobsched.submit('echo', '{}')});
		ok($stack->wait_for_log('rabbitmq', qr/delivery acknowledgement.*timed out|Consumer .* has timed out|delivery ack(?:nowledgement)? timed out/s), 'which the broker does enforce');
		$stack->kill_worker('CONT', 'slow');
		$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'succeeded');
	}
	$stack->stop_worker('slow');
	return;
}

1;
