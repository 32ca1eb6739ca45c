# The scheduler process: wakes up at commit, plans its sleep, comes back, and is in nobody's way.  No worker runs here, so
# what it has promoted stays in dispatches.
# test: 80 s
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $stack = JobschedTest->new(settings => { 'jobsched.poll_interval' => '1h', max_prepared_transactions => 5 });

sub state { return $stack->sql('SELECT state FROM jobsched.scheduler_status() WHERE slice = 0') }
sub wait_for_state
{
	my ($pattern) = @_;
	return $stack->wait_for("state $pattern", sub { my $state = eval { &state() } // ''; return $state =~ $pattern });
}
sub submit { my ($arguments) = @_; return $stack->sql("SELECT jobsched.submit('echo', '{}'" . ($arguments // '') . ')') }

# How a test looks at one job: 't' as soon as a dispatch holds it.
sub promoted { my ($id) = @_; return "SELECT EXISTS (SELECT FROM jobsched.dispatches WHERE '$id' = ANY (job_ids))" }
sub empty { return $stack->sql('DELETE FROM jobsched.dispatches; DELETE FROM jobsched.timers') }

subtest 'before the first job' => sub {
	like(&state(), qr/^idle: no job yet/, 'nothing is done in a database that nobody has used');
	is($stack->sql('SELECT count(*) FROM jobsched.cluster'), '0', 'and nothing is written there');
	like($stack->sql("SELECT query FROM pg_stat_activity WHERE backend_type = 'jobsched scheduler'"), qr/^idle/, 'pg_stat_activity says so');
	is($stack->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobsched launcher'"), '1', 'the launcher is there');
};

subtest 'wake-up at commit, with a poll interval of an hour' => sub {
	$stack->wait_for_sql(promoted(submit()), 't');
	pass('the first job of a database is promoted');
	wait_for_state(qr/^running/);

	# Three seconds without work, so that it has nothing left to do and sleeps for long.
	empty();
	$stack->wait_for_sql("SELECT next_wake > now() + interval '8 s' FROM jobsched.scheduler_status()", 't');
	pass('it plans to sleep for long');

	my @waited = sort { $a <=> $b } map {
		my $id = submit();
		$stack->wait_for_sql(promoted($id), 't');
		$stack->sql("SELECT extract(epoch FROM d.queued_at - j.created_at) * 1000 FROM jobsched.dispatches d, jobsched.jobs j WHERE j.id = '$id' AND j.id = ANY (d.job_ids)");
	} 1 .. 7;
	cmp_ok($waited[3], '<', 500, sprintf 'submit to promote: %.1f ms, median of 7', $waited[3]);

	my ($rolled_back) = $stack->sql("BEGIN; SELECT jobsched.submit('echo', '{}'); ROLLBACK") =~ /(\S+)/;
	my $id = submit(", run_at => now() + interval '4 s'");
	is($stack->sql(promoted($id)), 'f', 'a later job waits');
	$stack->wait_for_sql(promoted($id), 't');
	cmp_ok($stack->sql("SELECT extract(epoch FROM queued_at - run_ats[1]) FROM jobsched.dispatches WHERE '$id' = ANY (job_ids)"), '>=', 0, 'until its time');
	is($stack->sql(promoted($rolled_back)), 'f', 'what was rolled back is not there');

	empty();
	my $later = submit(", run_at => now() + interval '1 h'");
	my $sooner = submit(", run_at => now() + interval '1 s'");
	$stack->wait_for_sql(promoted($sooner), 't');
	is($stack->sql(promoted($later)), 'f', 'an earlier job moves the planned wake-up forward');
};

subtest 'the safety net' => sub {
	$stack->guc('jobsched.poll_interval' => '1s');
	my ($id) = $stack->sql("BEGIN; SELECT jobsched.submit('echo', '{}'); PREPARE TRANSACTION 'p'") =~ /(\S+)/;
	$stack->sql("COMMIT PREPARED 'p'");
	$stack->wait_for_sql(promoted($id), 't');
	pass('finds what a prepared transaction left');
	$stack->guc('jobsched.poll_interval' => '1h');
};

subtest 'paused queue, full window' => sub {
	empty();
	my $held = submit(", queue => 'held'");
	$stack->wait_for_sql(promoted($held), 't');
	$stack->sql("UPDATE jobsched.queues SET paused = true WHERE name = 'held'");
	$held = submit(", queue => 'held'");
	my $other = submit();
	$stack->wait_for_sql(promoted($other), 't');
	is($stack->sql(promoted($held)), 'f', 'a paused queue waits, the other does not');
	$stack->sql("UPDATE jobsched.queues SET paused = false WHERE name = 'held'; SELECT jobsched._wake(id, 0::smallint, '-infinity') FROM jobsched.queues WHERE name = 'held'");
	$stack->wait_for_sql(promoted($held), 't');
	pass('until it is open again');

	$stack->guc('jobsched.dispatch_window' => 3);
	empty();
	$stack->wait_for_sql("SELECT next_wake > now() + interval '8 s' FROM jobsched.scheduler_status()", 't');
	$stack->sql("SELECT jobsched.submit('echo', '{}') FROM generate_series(1, 10)");
	$stack->wait_for_sql('SELECT count(*) FROM jobsched.dispatches', '3');
	sleep 1.2;
	is($stack->sql('SELECT count(*) FROM jobsched.dispatches'), '3', 'no more than the window');
	$stack->sql('WITH d AS (DELETE FROM jobsched.dispatches WHERE id = (SELECT id FROM jobsched.dispatches LIMIT 1) RETURNING queue) SELECT jobsched._dequeued(queue, 1) FROM d');
	$stack->wait_for_sql('SELECT count(*) FROM jobsched.timers', '6');
	is($stack->sql('SELECT count(*) FROM jobsched.dispatches'), '3', 'room for one lets one in');
	$stack->guc('jobsched.dispatch_window' => undef);
	$stack->wait_for_sql('SELECT count(*) FROM jobsched.timers', '1');
	pass('a wider window is filled at once');
};

subtest 'priority and ageing' => sub {
	empty();
	$stack->guc('jobsched.enabled' => 'off');
	wait_for_state(qr/^disabled/);
	my $old = submit(", run_at => now() - interval '200 s'");
	my $low = submit();
	my $high = submit(', priority => 9');
	$stack->guc('jobsched.dispatch_window' => 1, 'jobsched.enabled' => 'on');
	for my $next ([ $old, 'priority 0 that waits for 200 s' ], [ $high, 'then priority 9' ], [ $low, 'then priority 0' ])
	{
		$stack->wait_for_sql(promoted($next->[0]), 't');
		is($stack->sql('SELECT count(*) FROM jobsched.dispatches'), '1', $next->[1]);
		$stack->sql('WITH d AS (DELETE FROM jobsched.dispatches RETURNING queue) SELECT jobsched._dequeued(queue, 1) FROM d');
	}
	$stack->guc('jobsched.dispatch_window' => undef);
};

subtest 'cron' => sub {
	empty();
	my $id = $stack->sql("SELECT jobsched.submit('echo', '{}', cron => '0 0 1 1 *')");
	my $first = $stack->sql("SELECT run_at FROM jobsched.timers WHERE job_id = '$id'");
	$stack->sql("UPDATE jobsched.timers SET due_at = now() WHERE job_id = '$id' RETURNING jobsched._wake(queue, priority, due_at)");
	$stack->wait_for_sql(promoted($id), 't');
	is($stack->sql("SELECT count(*), bool_and(run_at = due_at AND attempt = 1 AND cron AND run_at > '$first') FROM jobsched.timers WHERE job_id = '$id'"), '1|t', 'promoting one time plans the next');
	is($stack->sql("SELECT run_at, outcome FROM jobsched.cron_ticks WHERE job_id = '$id'"), "$first|fired", 'and notes it');

	# A retry of the same nominal time.
	$stack->sql("INSERT INTO jobsched.timers SELECT now(), '$first', job_id, task, 2, 1, 0, priority, queue, segment, true FROM jobsched.timers WHERE job_id = '$id'; SELECT jobsched._wake(queue, priority, now()) FROM jobsched.timers WHERE job_id = '$id'");
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.dispatches WHERE '$id' = ANY (job_ids)", '2');
	is($stack->sql("SELECT count(*) FROM jobsched.timers WHERE job_id = '$id'"), '1', 'a retry plans nothing');
};

subtest 'the process' => sub {
	my ($pid) = $stack->scheduler_pids;
	$stack->sql("SELECT pg_terminate_backend($pid)");
	$stack->wait_for_sql("SELECT pid <> $pid AND pid <> 0 FROM jobsched.scheduler_status()", 't');
	$stack->wait_for_sql(promoted(submit()), 't');
	pass('comes back after SIGTERM');

	($pid) = $stack->scheduler_pids;
	$stack->sql("SELECT pg_cancel_backend($pid)");
	$stack->wait_for_sql(promoted(submit()), 't');
	is(($stack->scheduler_pids)[0], $pid, 'lives through a cancel');

	kill 'KILL', $pid;
	$stack->wait_for('another process', sub { my $now = eval { ($stack->scheduler_pids)[0] }; return $now && $now != $pid });
	$stack->wait_for_sql(promoted(submit()), 't');
	pass('comes back after a crash of the server');

	# A new launcher finds the process of the old one: a second one would take its place at the wake-ups.
	($pid) = $stack->scheduler_pids;
	my $launcher = $stack->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'jobsched launcher'");
	$stack->sql("SELECT pg_terminate_backend($launcher)");
	$stack->wait_for_sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobsched launcher' AND pid <> $launcher", '1');
	sleep 3;
	is($stack->sql("SELECT array_agg(pid) FROM pg_stat_activity WHERE backend_type = 'jobsched scheduler'"), "{$pid}", 'a new launcher starts no second process');
	kill 'TERM', $pid;
	$stack->wait_for_sql("SELECT pid <> $pid AND pid <> 0 AND state = 'running' FROM jobsched.scheduler_status()", 't');
	$stack->wait_for_sql(promoted(submit()), 't');
	pass('but starts the next one');

	$stack->guc('jobsched.schedulers' => 3);
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.scheduler_status() WHERE state = 'running'", '3');
	empty();
	$stack->guc('jobsched.dispatch_window' => 1000);
	$stack->sql("SELECT jobsched.submit('echo', '{}') FROM generate_series(1, 100)");
	$stack->wait_for_sql('SELECT sum(cardinality(job_ids)) FROM jobsched.dispatches', '100');
	is($stack->sql('SELECT count(*) FROM jobsched.timers WHERE NOT cron'), '0', 'three processes share the segments');
	$stack->guc('jobsched.segments' => '0-0');
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.scheduler_status() WHERE state LIKE 'idle: no segments%'", '2');
	is($stack->sql("SELECT h->>'code', h->>'scheduler', h->>'ready' FROM jobsched.health() h"), 'running|running|true', 'those without segments have no say in how it goes');
	is($stack->sql("SELECT sum(value) FROM jobsched.metrics() WHERE name = 'jobsched_scheduler_up'"), '3', 'and are not down');
	$stack->guc('jobsched.segments' => undef);
	$stack->guc('jobsched.schedulers' => undef, 'jobsched.dispatch_window' => undef);
	$stack->wait_for_sql('SELECT count(*) FROM jobsched.scheduler_status()', '1');

	my $lock = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 19027 AND pid IN (SELECT pid FROM jobsched.scheduler_status())";
	$stack->wait_for_sql($lock, '1');
	$stack->sql('SELECT pg_advisory_lock(424242, 0)');
	wait_for_state(qr/^running/);
	pass('its lock is one that SQL cannot take');
};

subtest 'nobody is in its way, it is in nobody\'s way' => sub {
	$stack->sql('CREATE DATABASE other');
	my $start = time;
	$stack->sql('DROP DATABASE other');
	cmp_ok(time - $start, '<', 10, 'DROP DATABASE of another database');

	for my $round (1, 2)
	{
		$start = time;
		$stack->sql('DROP EXTENSION jobsched CASCADE');
		cmp_ok(time - $start, '<', 10, "DROP EXTENSION, round $round");
		$stack->wait_for("it to notice", sub {
			return $stack->sql("SELECT query FROM pg_stat_activity WHERE backend_type = 'jobsched scheduler'") =~ /^waiting: no CREATE EXTENSION/ });
		$stack->sql('CREATE EXTENSION jobsched');
		$stack->wait_for_sql(promoted(submit()), 't');
	}
	$stack->sql('DROP EXTENSION jobsched CASCADE; CREATE EXTENSION jobsched');
	$stack->wait_for_sql(promoted(submit()), 't');
	pass('and works on after CREATE EXTENSION');

	$stack->sql("UPDATE jobsched.cluster SET system_identifier = '1'");
	my $id = $stack->sql('SELECT id FROM jobsched.jobs LIMIT 1');
	$stack->wait_for('it to stop', sub {
		$stack->sql("INSERT INTO jobsched.timers SELECT now(), now(), '$id', 0, 1, 0, 0, 0, 1, 0, false; SELECT jobsched._wake(1::smallint, 0::smallint, now())");
		return &state() =~ /adopt/;
	});
	empty();
	$stack->sql("INSERT INTO jobsched.timers SELECT now(), now(), '$id', 0, 1, 0, 0, 0, 1, 0, false; SELECT jobsched._wake(1::smallint, 0::smallint, now())");
	sleep 1.5;
	is($stack->sql('SELECT count(*) FROM jobsched.dispatches'), '0', 'a copy runs nothing');
	$stack->sql('SELECT jobsched.adopt()');
	$stack->wait_for_sql(promoted($id), 't');
	pass('until it is adopted');
};

subtest 'the file with the URL of the broker' => sub {
	my $url = $stack->sql("SELECT setting FROM pg_file_settings WHERE name = 'jobsched.amqp_url' ORDER BY seqno DESC LIMIT 1") || { $stack->env }->{RABBITMQ_URL};
	my $file = $stack->dir . '/broker_url';
	$stack->write_file('broker_url', "$url\n");
	chmod 0644, $file;
	$stack->guc('jobsched.amqp_url_file' => $file);
	$stack->wait_for_log('postgres', qr/broker_url.*has mode 0644/);
	pass('is refused when others may read it');
	chmod 0600, $file;
	$stack->sql('SELECT pg_reload_conf()');
	$stack->wait_for_sql("SELECT broker LIKE 'connected to%' FROM jobsched.scheduler_status()", 't');
	pass('and used when it is private');
};

# lines of background processes carry no user@database
unlike($stack->log_text('postgres'), qr/\[\d+\] (?:ERROR:  (?!canceling)|PANIC:)/, 'no errors of the scheduler in the log');
done_testing();
