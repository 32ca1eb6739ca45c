# Keeping.pm: what it costs to keep much, and to let it go.
package Keeping;
use strict;
use warnings;

use Bench;
use Exporter 'import';
use IPC::Run ();
use Time::HiRes qw(time sleep);

our @EXPORT_OK = qw(slot memory);

sub slot
{
	my $n = $jobs // 5_000_000;
	my $left = $n;
	empty();
	while ($left > 0)
	{
		my $part = $left < 1_000_000 ? $left : 1_000_000;
		drain_once($part);
		$left -= $part;
	}
	$stack->guc('jobsched.poll_interval' => '1s');
	$stack->sql(q{CREATE TABLE steps (did text, ms float8);
		CREATE PROCEDURE turn(span interval) LANGUAGE plpgsql AS $$
		DECLARE
			began timestamptz;
			word text;
			t0 timestamptz := (SELECT max(adopted_at) FROM jobsched.cluster);
		BEGIN
			FOR i IN 1 .. 15 LOOP
				LOOP
					began := clock_timestamp();
					word := (jobsched._retain(t0 + i * span + i * interval '1 minute')).did;
					COMMIT;
					INSERT INTO steps VALUES (word, extract(epoch FROM clock_timestamp() - began) * 1000);
					COMMIT;
					EXIT WHEN word ~ '^nothing';
				END LOOP;
			END LOOP;
		END $$});
	# With the settings of the scheduler's sessions.
	my $span = $stack->sql('SELECT jobsched._retention() / 14');
	my $before = $stack->sql('SELECT clock_timestamp()');
	my $turn = IPC::Run::start([ $stack->bin . '/psql', '-XAtq', '-c', 'SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off', '-c', "CALL turn('$span')", '-U', 'postgres', '-d', 'jobsched' ], '>', \my $out, '2>', \my $err, init => sub { %ENV = (%ENV, $stack->env) });
	# What waits for the slot's lock: 500 times a second somebody looks into it.
	$stack->write_file('look.sql', "SELECT count(*) FROM jobsched.jobs_0 j, jobsched.job_executions_0 e WHERE false;\n");
	my $looks = IPC::Run::start([ $stack->bin . '/pgbench', '-n', '-c', '1', '-R', '500', '-T', '1800', '-l', '--log-prefix', $stack->dir . '/looks', '-f', $stack->dir . '/look.sql', '-U', 'postgres', 'jobsched' ],
		'>', \my $ignored, '2>', \my $also, init => sub { %ENV = (%ENV, $stack->env) });
	my $began = time;
	my $count = 0;
	while ($turn->pumpable)
	{
		$stack->sql_as('app', q{SELECT jobsched.submit('echo')});
		$count++;
		$turn->pump_nb;
		die 'the ring has not turned in half an hour' if time - $began > 1800;
	}
	$turn->finish or die "the ring did not turn: $err";
	my $took = time - $began;
	$looks->signal('INT');
	$looks->finish;
	my @waits = map { my @column = split; @column > 6 ? $column[2] / 1000 - $column[6] / 1000 : () } map { split /\n/, $stack->read_file($_) } map { s{.*/}{}r } glob $stack->dir . '/looks.*';
	die 'nobody looked' if @waits < 100;
	wait_until_done();
	my ($runs_seen, $p50, $p99) = latencies('extract(epoch FROM e.started_at - e.run_at) * 1000', "e.queued_at > '$before'");
	my ($steps, $most) = split /\|/, $stack->sql(q{SELECT count(*), max(ms) FROM steps});
	my ($what, $emptied) = split /\|/, $stack->sql(q{SELECT did, ms FROM steps WHERE did ~ 'emptied' ORDER BY ms DESC LIMIT 1});
	my $rest = $stack->sql('SELECT count(*) FROM jobsched.job_executions');
	die "$rest executions are left of $n" if $rest > $count + 10;
	report('slot', n => $n, steps => $steps, seconds => sprintf('%.0f', $took) + 0, longest_step_ms => sprintf('%.1f', $most) + 0, blocked_ms => sprintf('%.1f', (sort { $b <=> $a } @waits)[0]) + 0, did => $what, emptied_ms => sprintf('%.1f', $emptied) + 0,
		meanwhile => $runs_seen, start_p50_ms => $p50, start_p99_ms => $p99);
	return;
}

# Resident or private kilobytes of a process.
sub kilobytes
{
	my ($pid, $what) = @_;
	open my $file, '<', "/proc/$pid/smaps_rollup" or return 0;
	my $sum = 0;
	while (<$file>) { $sum += $1 if /^$what\w*:\s+(\d+) kB/ }
	return $sum;
}

sub memory
{
	my $n = $jobs // 1_000_000;
	empty();
	drain_once(20_000);
	my ($scheduler) = $stack->scheduler_pids;
	my %first = (worker => kilobytes($stack->worker_pid, 'Rss'), scheduler => kilobytes($scheduler, 'Private_'));
	my %most = %first;
	my $window = 0;
	$stack->guc('jobsched.enabled' => 'off');
	$stack->wait_for_sql(q{SELECT bool_and(state <> 'running') FROM jobsched.scheduler_status()}, 't');
	load($n);
	$stack->guc('jobsched.enabled' => 'on');
	my $looks = 0;
	while ($stack->sql('SELECT EXISTS (SELECT FROM jobsched.timers)') eq 't')
	{
		my %now = (worker => kilobytes($stack->worker_pid, 'Rss'), scheduler => kilobytes($scheduler, 'Private_'));
		for (keys %now) { $most{$_} = $now{$_} if $now{$_} > $most{$_} }
		my $held = $stack->sql(q{SELECT count(*) FROM jobsched.dispatches WHERE status = 'queued'});
		$window = $held if $held > $window;
		$looks++;
	}
	die 'it was over before it was looked at' if $looks < 3;
	wait_until_done(600);
	report('memory', due => $n, looks => $looks, worker_rss_kb => $first{worker}, worker_rss_kb_max => $most{worker}, scheduler_private_kb => $first{scheduler}, scheduler_private_kb_max => $most{scheduler},
		queued_dispatches_max => $window + 0);
	empty();
	return;
}

1;
