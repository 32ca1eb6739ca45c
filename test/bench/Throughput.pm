# Throughput.pm: how many jobs pass, from an empty system and beside what it keeps.
package Throughput;
use strict;
use warnings;

use Bench;
use Exporter 'import';
use IPC::Run ();
use Latency qw(latency_once idle_once with_api);

our @EXPORT_OK = qw(drain single scaling submit future kept snapshot);

# Medians of several drains.
sub drains
{
	my ($name, $n, %more) = @_;
	my @drains = map { empty() if $more{empty} // 1; drain_once($n) } 1 .. $runs;
	delete $more{empty};
	my @processes = keys %{ $drains[0]{cpu} };
	report($name, n => $n, runs => $runs, %more, spread(jobs_per_s => map { $_->{jobs_per_s} } @drains), spread(wal_bytes_per_job => map { $_->{wal} } @drains),
		cpu_us_per_job => { map { my $process = $_; ($process => median(map { $_->{cpu}{$process} // 0 } @drains) + 0) } @processes });
	return @drains;
}

sub drain
{
	my @drains = drains('drain', $jobs // 100_000);
	report('submit_many', n => $jobs // 100_000, runs => $runs, spread(jobs_per_s => map { int $_->{submit_per_s} } @drains));
	return;
}

sub single
{
	$stack->guc('jobsched.dispatch_runs' => 1);
	drains('single', $jobs // 20_000);
	$stack->guc('jobsched.dispatch_runs' => undef);
	return;
}

sub scaling
{
	for my $workers (1, 2, 4)
	{
		$stack->start_worker(name => "more$_") for $workers / 2 + 1 .. ($workers > 1 ? $workers : 0);
		drains('scaling', $jobs // 100_000, workers => $workers);
	}
	$stack->stop_worker("more$_") for 2 .. 4;
	return;
}

sub pgbench
{
	my ($name, $sql) = @_;
	my $file = $stack->dir . "/$name.sql";
	open my $fh, '>', $file or die "$file: $!";
	print $fh "$sql;\n";
	close $fh;
	local %ENV = (%ENV, $stack->env);
	my $out = qx{"@{[ $stack->bin ]}/pgbench" -U app -n -M prepared -c 8 -j 1 -T 5 -f $file jobsched 2>&1};
	return $out =~ /^tps = ([\d.]+)/m ? $1 : die $out;
}

sub submit
{
	my (@submit, @bare, @ratio);
	$stack->sql(q{CREATE TABLE bare (id uuid PRIMARY KEY, slot smallint, priority smallint, max_retries smallint, queue smallint, created_at timestamptz DEFAULT now(),
		name text, frequency text, state text, owner text, payload jsonb, timeout interval, backoff text, due_at timestamptz); GRANT INSERT ON bare TO app});
	for (1 .. $runs)
	{
		push @bare, pgbench('bare', q{INSERT INTO bare (id, slot, priority, max_retries, queue, name, frequency, state, owner, payload, backoff, due_at)
			VALUES (gen_random_uuid(), 0, 0, 3, 1, 'echo', 'once', 'active', 'app', '{"a": 1}', 'exponential', now() + interval '1 day')});
		push @submit, pgbench('submit', q{SELECT jobsched.submit('echo', '{"a": 1}', now() + interval '1 day')});
		push @ratio, sprintf '%.2f', $submit[-1] / $bare[-1];
	}
	report('submit', clients => 8, runs => $runs, spread(jobs_per_s => map { int } @submit), spread(insert_per_s => map { int } @bare), spread(ratio => @ratio));
	$stack->sql('DROP TABLE bare');
	empty();
	return;
}

# Until no autovacuum and no checkpoint is at work, which loading has brought about.
sub wait_until_quiet
{
	$stack->sql('CHECKPOINT', timeout => 600);
	$stack->wait_for_sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'}, '0', 1800);
	return;
}

# Drains of 100,000, latency and idle cost of two systems, one empty and one that keeps much, in turns: a machine's speed changes within minutes.
sub beside
{
	my ($name, $keep, $fill) = @_;
	my ($bare, $full) = ($stack, new_stack());
	for ($bare, $full)
	{
		local $stack = $_;
		with_api();
		empty();
		drain_once(100_000);
		empty();
	}
	my $took = time;
	{
		local $stack = $full;
		$fill->();
		$stack->sql('VACUUM ANALYZE jobsched.timers, jobsched.jobs, jobsched.job_executions', timeout => 1800);
		wait_until_quiet();
	}
	$took = time - $took;
	my (%bare, %full, %ratio);
	my $in_turns = sub {
		my ($times, $look) = @_;
		for (1 .. $times)
		{
			my (%b, %f);
			{ local $stack = $bare; empty(); %b = $look->() }
			{ local $stack = $full; %f = $look->() }
			for (keys %b)
			{
				push @{ $bare{$_} }, $b{$_};
				push @{ $full{$_} }, $f{$_};
				push @{ $ratio{$_} }, sprintf '%.3f', $f{$_} / ($b{$_} || 0.001);
			}
		}
	};
	$in_turns->($runs, sub { return (jobs_per_s => drain_once(100_000)->{jobs_per_s}) });
	for ($bare, $full)
	{
		local $stack = $_;
		wait_until_quiet();
	}
	$in_turns->($runs, sub { return latency_once() });
	$in_turns->(($runs + 1) >> 1, sub { return (idle_percent => { idle_once(20) }->{all}) });
	report($name, kept => $keep, n => 100_000, runs => $runs, fill_s => $took, map { (spread($_ => @{ $full{$_} }), spread("empty_$_" => @{ $bare{$_} }), "ratio_$_" => median(@{ $ratio{$_} }) + 0) } sort keys %full);
	$full->stop;
	empty();
	return;
}

sub future
{
	my $keep = $jobs // 1_000_000;
	return beside('future', $keep, sub { load($keep, q{now() + interval '30 days' + i * interval '1 s'}) });
}

sub kept
{
	my $keep = $jobs // 1_000_000;
	return beside('kept', $keep, sub { drain_once($_) for map { $_ * 1_000_000 < $keep ? 1_000_000 : $keep - ($_ - 1) * 1_000_000 } 1 .. ($keep + 999_999) / 1_000_000 });
}

sub snapshot
{
	my $n = $jobs // 200_000;
	empty();
	drain_once(20_000);
	my @normal = map { empty(); drain_once($n)->{jobs_per_s} } 1 .. $runs;
	empty();
	my ($in, $out) = ("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'held', count(*) FROM jobsched.jobs;\n", '');
	local %ENV = (%ENV, $stack->env);
	my $psql = IPC::Run::start([ $stack->bin . '/psql', '-XAtq', '-U', 'postgres', '-d', 'jobsched' ], '<', \$in, '>', \$out, '2>', \my $err);
	$stack->wait_for('the snapshot', sub { $psql->pump_nb; return $out =~ /held/ }, 10);
	my @held = map { drain_once($n)->{jobs_per_s} } 1 .. $runs;
	$in .= "COMMIT;\n\\q\n";
	$psql->finish;
	report('snapshot', n => $n, runs => $runs, spread(jobs_per_s => @held), spread(normal_jobs_per_s => @normal), last_jobs_per_s => $held[-1], ratio => sprintf('%.2f', median(@held) / median(@normal)) + 0);
	empty();
	return;
}

1;
