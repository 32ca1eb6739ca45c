# The policies of cron jobs: what becomes of each nominal time.  The test holds the time in its hands by placing planned
# times in the past while the scheduler is off.  No worker runs here: what has been promoted stays in dispatches, so the
# test decides when a run ends.
# test: 150 s
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;
use Time::HiRes qw(sleep);

my $stack = JobschedTest->new(settings => { 'jobsched.poll_interval' => '1h', 'jobsched.dispatch_window' => 10000 });

sub off { $stack->guc('jobsched.enabled' => 'off'); $stack->wait_for_sql("SELECT state LIKE 'disabled%' OR state LIKE 'idle%' FROM jobsched.scheduler_status() WHERE slice = 0"); return }
sub on { $stack->guc('jobsched.enabled' => 'on'); return }
sub empty { return $stack->sql('DELETE FROM jobsched.dispatches; DELETE FROM jobsched.timers; DELETE FROM jobsched.schedules; DELETE FROM jobsched.cron_ticks') }

# A cron job whose next planned time is AGO before the last full minute; SET: columns of schedules.
sub job
{
	my ($ago, $set, $cron) = @_;
	$cron //= '* * * * *';
	$set = $set ? "UPDATE jobsched.schedules SET $set WHERE job_id = :'id';" : '';
	# One psql, because a minute is short on a slow machine.
	return $stack->sql(<<~"END");
		SELECT jobsched.submit('echo', cron => '$cron') AS id \\gset
		$set
		UPDATE jobsched.timers SET run_at = date_trunc('minute', now()) - interval '$ago', due_at = date_trunc('minute', now()) - interval '$ago' WHERE job_id = :'id';
		SELECT :'id';
		END
}

# Not late in a minute, so that "the last full minute" stays what it is and the times before it keep their side of a window that ends between two.
sub early_in_a_minute
{
	$stack->wait_for('the begin of a minute', sub { return $stack->sql('SELECT extract(second FROM clock_timestamp()) < 35') eq 't' }, 70);
	return;
}

sub ticks { my ($id) = @_; return $stack->sql("SELECT string_agg(outcome || CASE WHEN n > 1 THEN ' x' || n ELSE '' END, ', ' ORDER BY first) FROM (SELECT outcome, count(*) AS n, min(run_at) AS first FROM jobsched.cron_ticks WHERE job_id = '$id' GROUP BY outcome) t") }
sub in_flight { my ($id) = @_; return $stack->sql("SELECT count(*) FROM jobsched.dispatches d, unnest(d.job_ids) u WHERE u = '$id'") }
sub planned { my ($id) = @_; return "SELECT count(*) = 1 AND bool_and(run_at > now() AND cron AND attempt = 1) FROM jobsched.timers WHERE job_id = '$id'" }
# A run of the job, as if a worker had it.
sub fly { my ($id) = @_; return $stack->sql("INSERT INTO jobsched.dispatches (id, queue, priority, segment, job_ids, run_ats, attempts, failures, losses) SELECT gen_random_uuid(), j.queue, 0, jobsched.segment_of(j.id), ARRAY[j.id], ARRAY[now() - interval '1 day'], '{1}', '{0}', '{0}' FROM jobsched.jobs j WHERE j.id = '$id'") }
sub land { my ($id) = @_; return $stack->sql("DELETE FROM jobsched.dispatches WHERE '$id' = ANY (job_ids)") }

my @table = (
	# name, ago, policies, a run in flight, ticks, runs in flight after
	[ 'on time', '0', '', 0, 'fired', 1 ],
	[ 'late by some seconds is not missed, also for skip', '0', "misfire_policy = 'skip'", 0, 'fired', 1 ],
	[ 'run_once', '10 min', '', 0, 'coalesced x10, fired', 1 ],
	[ 'run_once inside the window', '10 min', "catchup_window = '175 s'", 0, 'misfired x8, coalesced x2, fired', 1 ],
	[ 'skip', '10 min', "misfire_policy = 'skip'", 0, 'misfired x10, fired', 1 ],
	[ 'run_all, overlap allowed', '10 min', "misfire_policy = 'run_all', overlap_policy = 'allow'", 0, 'fired x11', 11 ],
	[ 'run_all up to a maximum', '10 min', "misfire_policy = 'run_all', overlap_policy = 'allow', catchup_max = 4", 0, 'misfired x7, fired x4', 4 ],
	[ 'run_all, one after the other', '10 min', "misfire_policy = 'run_all'", 0, 'fired', 1 ],
	[ 'paused', '10 min', 'paused = true', 0, 'skipped_paused x11', 0 ],
	[ 'overlap: skip', '0', '', 1, 'skipped_overlap', 1 ],
	[ 'overlap: skip, after an outage', '10 min', '', 1, 'coalesced x10, skipped_overlap', 1 ],
	[ 'overlap: allow', '0', "overlap_policy = 'allow'", 1, 'fired', 2 ],
	[ 'starts_at', '10 min', "misfire_policy = 'run_all', overlap_policy = 'allow', starts_at = date_trunc('minute', now()) - interval '2 min'", 0, 'fired x3', 3 ],
	[ 'starts_at is to come', '10 min', "starts_at = now() + interval '1 day'", 0, '', 0 ],
	[ 'an outage of a month leaves the newest thousand', '30 d', "misfire_policy = 'skip'", 0, 'misfired x999, fired', 1 ],
);

subtest 'policies' => sub {
	early_in_a_minute();
	off();
	my @ids;
	for my $case (@table)
	{
		my ($name, $ago, $policies, $flying) = @$case;
		push @ids, job($ago, $policies);
		fly($ids[-1]) if $flying;
	}
	on();
	for my $i (0 .. $#table)
	{
		my ($name, $ago, $policies, $flying, $ticks, $runs) = @{ $table[$i] };
		if ($name eq 'run_all, one after the other')
		{
			$stack->wait_for_sql("SELECT count(*) FROM jobsched.cron_ticks WHERE job_id = '$ids[$i]'", '1');
		}
		else
		{
			$stack->wait_for_sql(planned($ids[$i]), 't');
		}
		$stack->wait_for_sql("SELECT count(*) FROM jobsched.dispatches d, unnest(d.job_ids) u WHERE u = '$ids[$i]'", $runs);
		is(ticks($ids[$i]), $ticks, $name);
	}
	is($stack->sql("SELECT count(*) FROM jobsched.timers WHERE job_id = '$ids[6]' AND NOT cron"), '0', 'runs made up for have all been handed out');
	is($stack->sql("SELECT bool_and(outcome = 'fired') FROM jobsched.dispatches d, unnest(d.job_ids, d.run_ats) u(id, at) JOIN jobsched.cron_ticks t ON t.job_id = u.id AND t.run_at = u.at"), 't',
		'a run carries the nominal time whose row says fired');
	is($stack->sql('SELECT bool_and(s.last_run_at = t.last AND s.fired = t.fired) FROM jobsched.schedules s JOIN (SELECT job_id, max(run_at) AS last, count(*) FILTER (WHERE outcome = \'fired\') AS fired FROM jobsched.cron_ticks GROUP BY 1) t USING (job_id)'), 't',
		'schedules count the runs and know the last time');
};

subtest 'the end of a schedule' => sub {
	early_in_a_minute();
	off();
	empty();
	my $ends = job('10 min', "misfire_policy = 'run_all', overlap_policy = 'allow', ends_at = date_trunc('minute', now()) - interval '8 min'");
	my $over = job('0', "ends_at = now() - interval '1 h'");
	my $most = job('10 min', "misfire_policy = 'run_all', overlap_policy = 'allow', max_runs = 5, fired = 2");
	my $last = job('0', 'max_runs = 1');
	my $used = job('0', 'max_runs = 1, fired = 1');
	on();
	$stack->wait_for_sql('SELECT count(*) FROM jobsched.timers', '0');
	pass('after ends_at and max_runs nothing is planned');
	is(ticks($ends), 'fired x3', 'ends_at: what was before it');
	is(ticks($over), '', 'ends_at before the planned time');
	is(ticks($most), 'fired x3', 'max_runs: the remaining runs, the earliest');
	is(ticks($last), 'fired', 'max_runs: one run');
	is(ticks($used), '', 'max_runs: used up');
	is(in_flight($most), '3', 'they were handed out');
};

subtest 'jitter' => sub {
	early_in_a_minute();
	off();
	empty();
	my @ids = map { job('1 h', "jitter = '20 min'", '0 0 1 1 *') } 1 .. 20;
	# Not all have come: some are due more than the hour later.
	$stack->sql("UPDATE jobsched.schedules SET cron = '0 * * * *'");
	$stack->sql("UPDATE jobsched.timers SET run_at = date_trunc('hour', now()), due_at = now()");
	on();
	$stack->wait_for_sql('SELECT count(*) FROM jobsched.cron_ticks', '20');
	is($stack->sql("SELECT bool_and(t.run_at = date_trunc('hour', t.run_at) AND t.due_at = t.run_at + jobsched._jitter(t.job_id, s.jitter)), count(DISTINCT t.due_at) > 10, bool_and(t.due_at - t.run_at < interval '20 min') FROM jobsched.timers t JOIN jobsched.schedules s USING (job_id)"),
		't|t|t', 'the next time is due after an offset of the job\'s own; its name is the nominal time');
	off();
	$stack->sql("DELETE FROM jobsched.dispatches; UPDATE jobsched.schedules SET jitter = '1 day', cron = '* * * * *', last_run_at = NULL; DELETE FROM jobsched.cron_ticks;
		UPDATE jobsched.timers SET run_at = date_trunc('minute', now() - jobsched._jitter(job_id, '1 day')), due_at = now()");
	on();
	$stack->wait_for_sql('SELECT count(DISTINCT job_id) FROM jobsched.cron_ticks', '20');
	is($stack->sql('SELECT bool_and(first = (SELECT min(run_at) FROM jobsched.cron_ticks t WHERE t.job_id = x.job_id)), count(*) FROM (SELECT d.job_ids[1] AS job_id, min(d.run_ats[1]) AS first FROM jobsched.dispatches d GROUP BY 1) x'), 't|20',
		'a jitter longer than the period misses nothing');
};

subtest 'queue_one: one waits for the end' => sub {
	early_in_a_minute();
	off();
	empty();
	my $id = job('0', "overlap_policy = 'queue_one'");
	fly($id);
	on();
	$stack->wait_for_sql("SELECT waits_until = date_trunc('minute', now()) FROM jobsched.schedules WHERE job_id = '$id'", 't');
	is(ticks($id), '', 'nothing is decided yet');
	is($stack->sql("SELECT count(*), bool_and(run_at = date_trunc('minute', now()) AND due_at > run_at) FROM jobsched.timers WHERE job_id = '$id'"), '1|t', 'its timer waits');
	$stack->sql("UPDATE jobsched.schedules SET waits_until = waits_until - interval '3 min' WHERE job_id = '$id'; UPDATE jobsched.timers SET run_at = run_at - interval '3 min' WHERE job_id = '$id'");
	sleep 1;
	is(ticks($id), '', 'it goes on waiting when it is late');
	land($id);
	$stack->wait_for_sql(planned($id), 't');
	is(ticks($id), 'fired, skipped_overlap x3', 'then it runs; of the times that came meanwhile none waited');
	is($stack->sql("SELECT d.run_ats[1] = date_trunc('minute', now()) - interval '3 min' FROM jobsched.dispatches d WHERE d.job_ids[1] = '$id'"), 't', 'under its own nominal time');
	is($stack->sql("SELECT waits_until IS NULL FROM jobsched.schedules WHERE job_id = '$id'"), 't', 'and nothing waits any more');
};

subtest 'run_all, one after the other' => sub {
	early_in_a_minute();
	off();
	empty();
	my $id = job('4 min', "misfire_policy = 'run_all', catchup_max = 4");
	on();
	for my $n (1 .. 3)
	{
		$stack->wait_for_sql("SELECT count(*) FILTER (WHERE outcome = 'fired') FROM jobsched.cron_ticks WHERE job_id = '$id'", $n);
		is(in_flight($id), '1', "run $n, alone");
		land($id);
	}
	$stack->wait_for_sql(planned($id), 't');
	is(ticks($id), 'misfired, fired x3, skipped_overlap', 'all missed ones that catchup_max admits; the one on time found a run before it');
};

subtest 'cancel_running' => sub {
	early_in_a_minute();
	off();
	empty();
	my ($queued, $retrying) = map { job('0', "overlap_policy = 'cancel_running'") } 1 .. 2;
	fly($queued);
	$stack->sql("INSERT INTO jobsched.timers SELECT now() + interval '1 h', now() - interval '1 h', job_id, task, 2, 1, 0, priority, queue, segment, false FROM jobsched.timers WHERE job_id = '$retrying'");
	on();
	$stack->wait_for_sql(planned($_), 't') for $queued, $retrying;
	is(in_flight($_), '1', 'one run is in flight') for $queued, $retrying;
	is($stack->sql("SELECT bool_and(d.run_ats[1] = s.last_run_at) FROM jobsched.dispatches d JOIN jobsched.schedules s ON s.job_id = d.job_ids[1]"), 't', 'the newer one');
	is($stack->sql("SELECT string_agg(status || ' ' || reason || ' ' || final || ' ' || attempt, ', ' ORDER BY attempt) FROM jobsched.job_executions WHERE job_id IN ('$queued', '$retrying')"),
		'cancelled overlap true 1, cancelled overlap true 2', 'the earlier one ended cancelled: one that nobody had claimed, and one that was to be tried again');

	# With a worker that runs it.
	off();
	empty();
	my $worker = $stack->start_worker;
	my $id = $stack->sql(q{SELECT jobsched.submit('sleep', '{"seconds": 60}', cron => '0 0 1 1 *')});
	$stack->sql("UPDATE jobsched.schedules SET overlap_policy = 'cancel_running' WHERE job_id = '$id'; UPDATE jobsched.timers SET run_at = now() - interval '30 s', due_at = now() WHERE job_id = '$id'");
	on();
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.dispatches WHERE status = 'claimed'", '1');
	my $first = $stack->sql("SELECT run_at FROM jobsched.runs WHERE job_id = '$id' AND status = 'running'");
	sleep 0.5;
	$stack->sql("UPDATE jobsched.timers SET run_at = now(), due_at = now() WHERE job_id = '$id'; SELECT jobsched._wake(queue, priority, now()) FROM jobsched.timers WHERE job_id = '$id'");
	$stack->wait_for_sql("SELECT status FROM jobsched.job_executions WHERE job_id = '$id' AND run_at = '$first'", 'cancelled');
	is($stack->sql("SELECT final FROM jobsched.job_executions WHERE job_id = '$id'"), 't', 'a running one is told to stop, and is not tried again');
	$stack->wait_for_sql("SELECT string_agg(status, ',' ORDER BY status) FROM jobsched.runs WHERE job_id = '$id' AND NOT final", 'running,scheduled');
	is($stack->sql("SELECT status FROM jobsched.job_status WHERE id = '$id'"), 'scheduled', 'the job itself goes on');
	$stack->kill_worker('KILL', $worker);
};

subtest 'a retry counts as a run' => sub {
	early_in_a_minute();
	off();
	empty();
	my $id = job('0', '');
	$stack->sql("INSERT INTO jobsched.timers SELECT now() + interval '1 h', now() - interval '1 h', job_id, task, 2, 1, 0, priority, queue, segment, false FROM jobsched.timers WHERE job_id = '$id'");
	on();
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.cron_ticks WHERE job_id = '$id'", '1');
	is(ticks($id), 'skipped_overlap', 'a run that is to be tried again has not ended');
};

subtest 'no nominal time twice' => sub {
	early_in_a_minute();
	off();
	empty();
	my $again = job('0', "last_run_at = date_trunc('minute', now())");
	my $set_back = job('0', "last_run_at = now() - interval '1 h', overlap_policy = 'allow'");
	$stack->sql("INSERT INTO jobsched.cron_ticks VALUES ('$set_back', date_trunc('minute', now()), 'fired', now() - interval '1 day')");
	my $written_off = job('0', "last_run_at = now() - interval '1 h', overlap_policy = 'allow'");
	$stack->sql("INSERT INTO jobsched.cron_ticks VALUES ('$written_off', date_trunc('minute', now()), 'coalesced', now() - interval '1 day')");
	on();
	$stack->wait_for_sql(planned($_), 't') for $again, $set_back, $written_off;
	is(in_flight($again), '0', 'not when last_run_at has passed it');
	is(in_flight($set_back), '0', 'not when its row says that it fired');
	is(in_flight($written_off), '1', 'but when it was written off while the clock was ahead');
	is(ticks($written_off), 'fired', 'which its row then says');
	is($stack->sql("SELECT fired FROM jobsched.schedules WHERE job_id = '$set_back'"), '0', 'what did not run is not counted');
};

subtest 'a killed scheduler' => sub {
	early_in_a_minute();
	off();
	empty();
	my @ids = map { job('30 min', "misfire_policy = 'run_all', overlap_policy = 'allow'") } 1 .. 100;
	on();
	$stack->wait_for_sql('SELECT count(*) > 0 FROM jobsched.cron_ticks', 't');
	kill 'KILL', $_ for $stack->scheduler_pids;
	$stack->wait_for_sql("SELECT count(*) >= 3100 AND bool_and(outcome = 'fired') FROM jobsched.cron_ticks", 't', 90);
	$stack->wait_for_sql('SELECT count(*) FROM jobsched.timers WHERE NOT cron', '0', 60);
	# A minute that has begun meanwhile is in both.
	is($stack->sql('SELECT count(*) = count(DISTINCT (u.id, u.at)), count(*) = (SELECT count(*) FROM jobsched.cron_ticks) FROM jobsched.dispatches d, unnest(d.job_ids, d.run_ats) u(id, at)'),
		't|t', 'loses no run, and hands none out twice');
	is($stack->sql('SELECT count(*), count(DISTINCT job_id) FROM jobsched.timers WHERE cron'), '100|100', 'each job has one planned time');
};

done_testing();
