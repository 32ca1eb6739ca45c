# Latency.pm: how soon a job starts, and what the system costs when there is none.
package Latency;
use strict;
use warnings;

use Bench;
use Exporter 'import';
use JobschedTest;
use Time::HiRes qw(time sleep);

our @EXPORT_OK = qw(latency latency_once load_latency burst timers storm idle idle_once with_api mixed);

# Milliseconds of 200 jobs, one every 20 ms, committed alone: (call_p50_ms => ..., call_p99_ms, commit_p50_ms, commit_p99_ms)
sub latency_once
{
	my $before = $stack->sql('SELECT clock_timestamp()');
	my ($code, $out, $err) = $stack->psql(join('', "\\timing on\n", map { "SELECT jobsched.submit('echo', '{\"n\": $_}');\nSELECT pg_sleep(0.02);\n" } 1 .. 200), role => 'app');
	die $err if $code != 0;
	my @took = $out =~ /^Time: ([\d.]+) ms/mg;
	wait_until_done();
	my @call = split /\n/, $stack->sql(qq{SELECT round(extract(epoch FROM e.started_at - e.run_at) * 1000, 3) FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id
		WHERE e.queued_at > '$before' ORDER BY (j.payload ->> 'n')::int}, timeout => 300);
	die scalar(@call) . ' executions' if @call != 200 || @took != 400;
	my @commit = map { $call[$_] - $took[ 2 * $_ ] } 0 .. 199;
	my %ms;
	for ([ call => \@call ], [ commit => \@commit ])
	{
		my ($name, $values) = @$_;
		my @sorted = sort { $a <=> $b } @$values;
		$ms{"${name}_p50_ms"} = sprintf '%.2f', $sorted[99];
		$ms{"${name}_p99_ms"} = sprintf '%.2f', $sorted[197];
	}
	return %ms;
}

sub latency
{
	my %ms;
	for my $run (1 .. $runs)
	{
		my %once = latency_once();
		push @{ $ms{$_} }, $once{$_} for keys %once;
	}
	report('latency', n => 200, runs => $runs, map { spread($_ => @{ $ms{$_} }) } sort keys %ms);
	return;
}

sub load_latency
{
	my $rate = $jobs // 5000;
	my $file = $stack->dir . '/offered.sql';
	open my $fh, '>', $file or die "$file: $!";
	print $fh "SELECT jobsched.submit('echo', '{\"a\": 1}');\n";
	close $fh;
	my (%ms, @offered);
	for my $run (1 .. $runs)
	{
		empty();
		local %ENV = (%ENV, $stack->env);
		my $out = qx{"@{[ $stack->bin ]}/pgbench" -U app -n -M prepared -c 16 -j 1 -T 10 -R $rate -f $file jobsched 2>&1};
		$out =~ /^tps = ([\d.]+)/m or die $out;
		push @offered, int $1;
		push @{ $ms{behind_avg_ms} }, $out =~ /^rate limit schedule lag: avg ([\d.]+)/m;
		wait_until_done();
		my ($n, $p50, $p99) = latencies(q{extract(epoch FROM e.started_at - e.run_at) * 1000}, 'true');
		push @{ $ms{p50_ms} }, $p50;
		push @{ $ms{p99_ms} }, $p99;
	}
	report('load_latency', rate => $rate, seconds => 10, runs => $runs, spread(submitted_per_s => @offered), map { spread($_ => @{ $ms{$_} }) } sort keys %ms);
	empty();
	return;
}

sub burst
{
	my $n = $jobs // 5000;
	my %ms;
	for my $run (0 .. $runs)
	{
		empty();
		my $due = $stack->sql(q{SELECT date_trunc('second', now()) + interval '3 s'});
		load($n, "timestamptz '$due'");
		$stack->wait_for_sql("SELECT now() > '$due'", 't');
		wait_until_done();
		my ($count, $first, $last) = split /\|/, $stack->sql(qq{SELECT count(*), extract(epoch FROM min(started_at) - '$due') * 1000, extract(epoch FROM max(started_at) - '$due') * 1000 FROM jobsched.job_executions});
		die "$count executions" if $count != $n;
		next if $run == 0;
		push @{ $ms{first_ms} }, sprintf '%.1f', $first;
		push @{ $ms{last_ms} }, sprintf '%.1f', $last;
	}
	report('burst', n => $n, runs => $runs, map { spread($_ => @{ $ms{$_} }) } sort keys %ms);
	empty();
	return;
}

sub timers
{
	my (%late);
	for my $run (1 .. $runs)
	{
		my $before = $stack->sql('SELECT clock_timestamp()');
		load(1000, q{now() + interval '2 s' + random() * interval '10 s'});
		$stack->wait_for_sql('SELECT NOT EXISTS (SELECT FROM jobsched.timers) AND NOT EXISTS (SELECT FROM jobsched.dispatches)', 't');
		for my $what ('queued_at', 'started_at')
		{
			my ($n, $p50, $p99) = latencies("extract(epoch FROM e.$what - e.run_at) * 1000", "e.queued_at > '$before'");
			die "$n executions" if $n != 1000;
			push @{ $late{"${what}_p50_ms"} }, $p50;
			push @{ $late{"${what}_p99_ms"} }, $p99;
		}
	}
	report('timers', n => 1000, runs => $runs, map { spread($_ => @{ $late{$_} }) } sort keys %late);
	return;
}

sub storm
{
	my $jobs = $jobs // 10_000;
	$stack->wait_for_sql('SELECT extract(second FROM clock_timestamp()) < 20', 't', 60);
	$stack->sql_as('app', qq{SELECT count(jobsched.schedule('storm ' || i, '* * * * *', 'echo', jsonb_build_object('n', i))) FROM generate_series(1, $jobs) i}, timeout => 300);
	my $first = $stack->sql('SELECT max(run_at) FROM jobsched.timers');
	# Counting costs what is measured: not before the last minute.
	$stack->wait_for_sql("SELECT clock_timestamp() >= '$first'::timestamptz + interval '4 min 2 s'", 't', 420);
	$stack->wait_for_sql("SELECT count(*) >= $jobs FROM jobsched.job_executions WHERE run_at = '$first'::timestamptz + interval '4 min'", 't', 60);
	my ($fired, $late, $twice) = split /\|/, $stack->sql(qq{SELECT count(*), percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM queued_at - run_at) * 1000), count(*) - count(DISTINCT (job_id, run_at))
		FROM jobsched.job_executions WHERE run_at BETWEEN '$first' AND '$first'::timestamptz + interval '4 min'}, timeout => 120);
	die "$fired runs, $twice twice" if $fired != 5 * $jobs || $twice != 0;
	report('storm', n => $jobs, minutes => 5, fired => $fired + 0, late_p99_ms => sprintf('%.1f', $late) + 0);
	$stack->sql(q{SELECT count(jobsched.unschedule(job_id)) FROM jobsched.schedules}, timeout => 300);
	return;
}

# Per cent of a core by process over SECONDS without a job, and of all that are ours.
sub idle_once
{
	my ($seconds) = @_;
	my %before = cpu_by_process();
	sleep $seconds;
	my %after = cpu_by_process();
	my %percent = map { $_ => ($after{$_} - ($before{$_} // 0)) / $seconds / 1e4 } keys %after;
	# Both connections of the worker are worked for by a process of PostgreSQL.
	my $all = 0;
	$all += $percent{$_} // 0 for 'scheduler', 'worker', 'claim', 'finish', 'api';
	return (%percent, all => sprintf '%.3f', $all);
}

sub with_api
{
	return if -e $stack->dir . '/pids/api';
	$stack->start_api;
	$stack->wait_for('the API', sub { return ($stack->http('GET', '/readyz'))[0] == 200 });
	return;
}

sub idle
{
	my $seconds = $jobs // 30;
	with_api();
	wait_until_done();
	my %used;
	for my $run (1 .. $runs)
	{
		my %percent = idle_once($seconds);
		push @{ $used{$_} }, $percent{$_} for keys %percent;
	}
	my @all = @{ delete $used{all} };
	report('idle', seconds => $seconds, runs => $runs, spread(percent_of_a_core => @all), by_process => { map { $_ => sprintf('%.3f', median(@{ $used{$_} })) + 0 } keys %used });
	return;
}

sub mixed
{
	my $n = $jobs // 2000;
	my $threads = 8;
	$stack->start_worker(name => 'eight', MAX_CONCURRENCY => $threads);
	$stack->stop_worker('worker1');
	my @busy;
	for my $run (1 .. $runs)
	{
		empty();
		$stack->sql_as('app', qq{SELECT count(*) FROM jobsched.submit_many((SELECT jsonb_agg(jsonb_build_object('name', 'sleep',
			'payload', jsonb_build_object('seconds', CASE WHEN i % 100 = 0 THEN 0.5 WHEN i % 10 = 0 THEN 0.05 ELSE 0.002 END))) FROM generate_series(1, $n) i))});
		wait_until_done(300);
		push @busy, $stack->sql(qq{SELECT round(100 * extract(epoch FROM sum(finished_at - started_at)) / ($threads * extract(epoch FROM max(finished_at) - min(started_at))), 1) FROM jobsched.job_executions});
	}
	report('mixed', n => $n, threads => $threads, runs => $runs, spread(busy_percent => @busy));
	$stack->start_worker(name => 'worker1');
	$stack->stop_worker('eight');
	empty();
	return;
}

1;
