# Bench.pm: what the workloads of test/bench/run share.
package Bench;
use strict;
use warnings;

use Exporter 'import';
use JobschedTest;
use JSON::PP ();
use Time::HiRes ();

our @EXPORT = qw($stack $runs $jobs open_stack new_stack report spread median cpu_by_process empty load drain_once wait_until_done latencies);

our ($stack, $runs, $jobs);

my @settings;

# A fresh private system with durable settings and one worker.
sub new_stack
{
	my $new = JobschedTest->new(durable => 1, settings => { LOG_LEVEL => 'INFO', shared_buffers => '1GB', max_wal_size => '4GB', @settings });
	$new->start_worker;
	return $new;
}

# The system that all workloads use: $stack.
sub open_stack
{
	@settings = @_;
	$stack = new_stack();
	return;
}

# Of an even number the lower one of the two in the middle.
sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[ $#sorted / 2 ] }

# (NAME => median, NAME_min => ..., NAME_max => ...)
sub spread
{
	my ($name, @values) = @_;
	my @sorted = sort { $a <=> $b } @values;
	return ($name => median(@values) + 0, "${name}_min" => $sorted[0] + 0, "${name}_max" => $sorted[-1] + 0);
}

sub report
{
	my ($name, %values) = @_;
	print JSON::PP->new->canonical->encode({ bench => $name, %values }), "\n";
	return;
}

sub slurp { my ($file) = @_; open my $fh, '<', $file or return '0'; local $/ = undef; return scalar <$fh> }

# CPU time so far, microseconds, by process: those of the stack that matter for a job's way, and the API if it runs.
sub cpu_by_process
{
	my %pids = (broker => $stack->pid('rabbitmq'));
	$pids{worker} = $stack->worker_pid if $stack->worker_pid && $stack->worker_runs;
	$pids{api} = $stack->pid('api') if -e $stack->dir . '/pids/api';
	for (split /\n/, $stack->sql(q{SELECT CASE WHEN backend_type = 'jobsched scheduler' THEN 'scheduler' WHEN application_name ~ 'claims' THEN 'claim' WHEN application_name ~ 'results' THEN 'finish'
		WHEN backend_type = 'walwriter' THEN 'walwriter' WHEN backend_type = 'checkpointer' THEN 'checkpointer' END, pid FROM pg_stat_activity}))
	{
		my ($name, $pid) = split /\|/;
		$pids{$name} = $pid if $name;
	}
	return map { my $us = 0; $us += (split ' ', $_)[0] / 1000 for map { slurp($_) } glob "/proc/$pids{$_}/task/*/schedstat"; ($_ => $us) } grep { $pids{$_} } keys %pids;
}

sub wait_until_done { my ($seconds) = @_; return $stack->wait_for_sql('SELECT NOT EXISTS (SELECT FROM jobsched.timers WHERE due_at <= now()) AND NOT EXISTS (SELECT FROM jobsched.dispatches)', 't', $seconds // 60) }

sub empty { $stack->sql('TRUNCATE jobsched.jobs, jobsched.job_executions, jobsched.timers, jobsched.dispatches'); return }

# load(N, SQL of run_at): submits N echo jobs by submit_many, at most 100,000 in a call; jobs a second.  The input is made beforehand.
sub load
{
	my ($n, $run_at) = @_;
	my $step = $n < 100_000 ? $n : 100_000;
	my $due = defined $run_at ? qq{, 'run_at', to_char(($run_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')} : '';
	$stack->sql(qq{DROP TABLE IF EXISTS bench_input; CREATE TABLE bench_input AS
		SELECT jsonb_agg(jsonb_build_object('name', 'echo', 'payload', jsonb_build_object('v', i)$due)) AS jobs FROM generate_series(1, $step) i}, timeout => 120);
	my ($begin, $done) = (Time::HiRes::time(), 0);
	while ($done < $n)
	{
		my $ids = $stack->sql('SELECT count(*) FROM bench_input, jobsched.submit_many(jobs)', timeout => 120);
		die "submit_many gave $ids ids" if $ids != $step;
		$done += $step;
	}
	my $rate = $n / (Time::HiRes::time() - $begin);
	$stack->sql('DROP TABLE bench_input');
	return $rate;
}

# Submits N jobs while the scheduler stands still, then lets it go.  {jobs_per_s (first start to last record), submit_per_s, wal (bytes a job), cpu =>
# {process => us a job}}.  Counts are checked.
sub drain_once
{
	my ($n) = @_;
	my %of;
	$stack->guc('jobsched.enabled' => 'off');
	$stack->wait_for_sql(q{SELECT bool_and(state <> 'running') FROM jobsched.scheduler_status()}, 't');
	my $since = $stack->sql('SELECT clock_timestamp()');
	$of{submit_per_s} = load($n);
	$stack->sql('VACUUM ANALYZE jobsched.timers', timeout => 300);
	$stack->sql('CHECKPOINT', timeout => 300);
	my $lsn = $stack->sql('SELECT pg_current_wal_lsn()');
	my %before = cpu_by_process();
	$stack->guc('jobsched.enabled' => 'on');
	wait_until_done(600);
	my %after = cpu_by_process();
	$of{cpu}{$_} = sprintf '%.1f', ($after{$_} - ($before{$_} // 0)) / $n for keys %after;
	$of{wal} = int($stack->sql("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '$lsn')") / $n);
	my ($ended, $distinct, $rate) = split /\|/, $stack->sql(qq{SELECT count(*), count(DISTINCT job_id), count(*) / extract(epoch FROM max(finished_at) - min(started_at))
		FROM jobsched.job_executions WHERE status = 'succeeded' AND queued_at > '$since'}, timeout => 300);
	die "$ended executions of $distinct jobs" if $ended != $n || $distinct != $n;
	$of{jobs_per_s} = int $rate;
	return \%of;
}

# latencies(SQL of milliseconds over job_executions e, SQL of which) -> (rows, p50, p99)
sub latencies
{
	my ($ms, $which) = @_;
	return split /\|/, $stack->sql(qq{SELECT count(*), round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 2), round(percentile_cont(0.99) WITHIN GROUP (ORDER BY ms)::numeric, 2)
		FROM (SELECT $ms AS ms FROM jobsched.job_executions e WHERE $which) x}, timeout => 300);
}

1;
