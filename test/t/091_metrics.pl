# test: 30 s
# The numbers for Prometheus: they agree with the tables, do not fall when rows go, and cost no look at jobs and executions.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use HTTP::Tiny;
use JobschedTest;
use JSON::PP ();
use Test::More;

plan skip_all => 'jobsched-api is not built' if !JobschedTest::built('api');

my $stack = JobschedTest->new(settings => { 'jobsched.worker_lease' => '4s', 'jobsched.retry_delay' => '100ms', HEARTBEAT_INTERVAL => 0.3, LOG_LEVEL => 'INFO', max_prepared_transactions => 2 });
my $top = $stack->top;
my ($promtool) = grep { -x } "$top/build/vendor/promtool", map { "$_/promtool" } split /:/, $ENV{PATH};

# metrics() -> { 'name{labels}' => value }, as GET /metrics says it
my $text;
sub metrics
{
	(my $status, my $headers, $text) = $stack->http('GET', '/metrics');
	die "GET /metrics: $status $text" if $status != 200;
	return { map { /^(\S+?(?:\{.*\})?) (\S+)$/ ? ($1 => $2) : () } grep { !/^#/ } split /\n/, $text };
}
sub value { my ($name) = @_; return metrics()->{$name} // 'none' }

# agrees(WHAT): counters and tables say the same
sub agrees
{
	my ($what) = @_;
	my $expected = $stack->sql(<<'END');
SELECT 'submitted ' || name || ' ' || count(*) FROM jobsched.jobs GROUP BY name
UNION ALL
SELECT 'ended ' || j.name || ' ' || CASE WHEN e.status = 'failed' AND NOT e.final THEN 'retried' ELSE e.status END || ' ' || count(*)
FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id GROUP BY j.name, CASE WHEN e.status = 'failed' AND NOT e.final THEN 'retried' ELSE e.status END
UNION ALL
SELECT 'ran ' || j.name || ' ' || count(*) FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id WHERE e.started_at IS NOT NULL GROUP BY j.name
UNION ALL
SELECT 'started ' || count(*) FROM jobsched.job_executions WHERE started_at IS NOT NULL AND attempt = 1
END
	my $got = metrics();
	my @lines;
	for my $name (keys %$got)
	{
		next if $got->{$name} == 0 && $name ne 'jobsched_start_latency_seconds_count';
		push @lines, "submitted $1 $got->{$name}" if $name =~ /^jobsched_jobs_submitted_total\{task="(.*)"\}/;
		push @lines, "ended $2 $1 $got->{$name}" if $name =~ /^jobsched_attempts_ended_total\{status="(.*)",task="(.*)"\}/;
		push @lines, "ran $1 $got->{$name}" if $name =~ /^jobsched_run_seconds_count\{task="(.*)"\}/;
		push @lines, "started $got->{$name}" if $name eq 'jobsched_start_latency_seconds_count';
	}
	return is(join("\n", sort @lines), join("\n", sort split /\n/, $expected), $what);
}
sub ended { my ($id, $status) = @_; return $stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", $status) }
sub submit { my ($arguments) = @_; return $stack->sql_as('app', "SELECT jobsched.submit($arguments)") }

my $exporter = JobschedTest::free_port();
$stack->start_worker(name => 'w1', MAX_CONCURRENCY => 4);
$stack->start_api;

subtest 'what happens to jobs' => sub {
	my @ids = map { submit(qq('echo', '{"n": $_}')) } 1 .. 20;
	my $retried = submit(q('fail', '{"times": 2}'));
	my $failed = submit(q('fail', '{"times": 9, "permanent": true}'));
	ended($_, 'succeeded') for @ids, $retried;
	ended($failed, 'failed');
	agrees('succeeded, failed, tried again');

	my $running = submit(q('sleep', '{"seconds": 60}'));
	ended($running, 'running');
	submit(q('later', run_at => now() + interval '1 day')) for 1 .. 3;
	submit(q('later', queue => 'nobody'));
	$stack->sql_as('app', q(SELECT jobsched.cancel_jobs(name => 'later')));
	my $planned = submit(q('planned', run_at => now() + interval '1 day'));
	$stack->sql_as('app', "SELECT jobsched.cancel('$planned'), jobsched.cancel('$running')");
	ended($running, 'cancelled');
	my $expired = submit(q('too late', queue => 'nobody', expires_at => now() + interval '0.2 s'));
	ended($expired, 'expired');
	agrees('cancelled and expired, wherever they were');

	my $lost = submit(q('sleep', '{"seconds": 3}'));
	ended($lost, 'running');
	$stack->kill_worker('KILL', 'w1');
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = '$lost' AND status = 'lost'", '1');
	$stack->start_worker(name => 'w2', MAX_CONCURRENCY => 4, METRICS_LISTEN => "127.0.0.1:$exporter");
	ended($lost, 'succeeded');
	agrees('lost, and run by another worker');

	my $cron = $stack->sql_as('app', q(SELECT jobsched.schedule('each second', '* * * * * *', 'tick', overlap_policy => 'cancel_running')));
	$stack->wait_for_sql("SELECT count(*) > 1 FROM jobsched.job_executions WHERE job_id = '$cron'", 't');
	$stack->sql_as('app', q(SELECT jobsched.unschedule('each second')));
	$stack->wait_for_sql("SELECT (SELECT count(*) FROM jobsched.timers WHERE job_id = '$cron') + (SELECT count(*) FROM jobsched.dispatches WHERE '$cron' = ANY (job_ids))", '0');
	agrees('runs of a cron job');
};

subtest 'transactions' => sub {
	$stack->sql_as('app', q(BEGIN; SELECT jobsched.submit('rolled back', run_at => '2099-01-01') FROM generate_series(1, 5); ROLLBACK));
	is(value('jobsched_jobs_submitted_total{task="rolled back"}'), 'none', 'what was rolled back was not submitted');
	$stack->sql_as('app', <<'END');
BEGIN;
SELECT jobsched.submit('in pieces', run_at => '2099-01-01');
SAVEPOINT a;
SELECT jobsched.submit('in pieces', run_at => '2099-01-01');
SAVEPOINT b;
SELECT jobsched.submit('in pieces', run_at => '2099-01-01') FROM generate_series(1, 10);
RELEASE b;
SELECT jobsched.submit('in pieces', run_at => '2099-01-01') FROM generate_series(1, 10);
ROLLBACK TO a;
SELECT jobsched.submit('in pieces', run_at => '2099-01-01');
SAVEPOINT c;
SELECT jobsched.submit('in pieces', run_at => '2099-01-01');
RELEASE c;
COMMIT;
END
	is(value('jobsched_jobs_submitted_total{task="in pieces"}'), 3, 'nor what a savepoint took back');
	$stack->sql_as('app', q(BEGIN; SELECT jobsched.submit('prepared', run_at => '2099-01-01'); PREPARE TRANSACTION 'p'));
	is(value('jobsched_jobs_submitted_total{task="prepared"}'), 1, 'what is prepared counts at once');
	cmp_ok(value('jobsched_oldest_transaction_seconds'), '>', 0, 'and keeps dead rows');
	$stack->sql_as('app', q(COMMIT PREPARED 'p'));
	is($stack->sql_as('app', q(SELECT count(*) FROM jobsched.submit_many((SELECT jsonb_agg(jsonb_build_object('name', 'many', 'run_at', '2099-01-01T00:00:00Z')) FROM generate_series(1, 100))))), 100, 'many at once');
	is(value('jobsched_jobs_submitted_total{task="many"}'), 100, 'are counted');
	submit(q('key', unique_key => 'k', run_at => '2099-01-01')) for 1 .. 3;
	is(value('jobsched_jobs_submitted_total{task="key"}'), 1, 'one key, one job');
	agrees('all of it');
};

subtest 'gauges' => sub {
	my $before = metrics();
	is($before->{'jobsched_workers{state="live"}'} . $before->{'jobsched_scheduler_up{slice="0"}'} . $before->{'jobsched_scheduler_broker_connected{slice="0"}'}, '111', 'what is up');
	is($before->{'jobsched_worker_slots'}, 4, 'slots');
	$stack->sql_as('admin', q(SELECT jobsched.pause_queue('jobs')));
	submit(q('echo', run_at => now() - interval '1 hour')) for 1 .. 4;
	my $now = metrics();
	is($now->{'jobsched_due{queue="jobs"}'} . $now->{'jobsched_queue_paused{queue="jobs"}'}, '41', 'what is due in a paused queue');
	cmp_ok($now->{'jobsched_oldest_due_seconds{queue="jobs"}'}, '>=', 3600, 'and for how long');
	$stack->sql_as('admin', q(SELECT jobsched.resume_queue('jobs')));
	$stack->wait_for('the queue to be empty', sub { return value('jobsched_due{queue="jobs"}') == 0 });
	$stack->wait_for('the last confirm', sub { return value('jobsched_unconfirmed{slice="0"}') == 0 && value('jobsched_runs_in_flight{state="queued"}') == 0 });
	my $counters = $stack->sql('SELECT promoted, published, confirmed, republished, rescued FROM jobsched.scheduler_status()');
	$now = metrics();
	is(join('|', map { $now->{"jobsched_scheduler_${_}_total{slice=\"0\"}"} } qw(promoted published confirmed republished rescued)), $counters, 'the counters of the scheduler');
	cmp_ok($now->{'jobsched_dispatch_latency_seconds_count{slice="0"}'}, '>', 20, 'confirms are timed');
	cmp_ok($now->{'jobsched_dispatch_latency_seconds_count{slice="0"}'}, '<=', $now->{'jobsched_scheduler_confirmed_total{slice="0"}'}, 'each once');
	# a late job was not waited for before it was submitted
	cmp_ok($now->{'jobsched_start_latency_seconds_sum'}, '<', 600, 'start latency begins with the submit');
	is($stack->psql(<<'END', role => 'jobsched_worker_login') ? 'refused' : 'said', 'said', 'a result with a wrong token');
SELECT answer FROM jobsched.finish(gen_random_uuid(), ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], '{0}', ARRAY[gen_random_uuid()], ARRAY[now()], '{1}', '{succeeded}', NULL, NULL, NULL, NULL, '{1000}', '{1000}', NULL);
SELECT answer FROM jobsched.finish(gen_random_uuid(), ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], '{0}', ARRAY[gen_random_uuid()], ARRAY[now()], '{1}', '{succeeded}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{1000}', '{1000}', '{NULL}');
END
	cmp_ok(value('jobsched_stale_results_total') - $before->{'jobsched_stale_results_total'}, '>=', 1, 'is counted as refused');
};

subtest 'the API itself' => sub {
	my $before = metrics();
	my $id = submit(q('echo', run_at => '2099-01-01'));
	is(($stack->http('GET', "/jobs/$id"))[0], 200, 'a job is looked at') for 1 .. 3;
	is(($stack->http('GET', "/jobs/$id?wait=0.1"))[0], 200, 'waited for');
	is(($stack->http('GET', '/jobs/00000000-0000-4000-8000-000000000000'))[0], 404, 'not found');
	is(($stack->http('GET', '/nowhere'))[0], 404, 'nor that');
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $stack->api_url =~ /:(\d+)/) or die "connect: $@";
	print $socket "nonsense\r\n\r\n";
	like(join('', <$socket>), qr{^HTTP/1.1 400 }, 'and nonsense is refused');
	my $now = metrics();
	my $more = sub { my ($name) = @_; return ($now->{$name} // 0) - ($before->{$name} // 0) };
	my $route = 'method="GET",route="/jobs/{id}"';
	is($more->("jobsched_api_requests_total{$route,status=\"200\"}"), 4, 'requests are counted by route and status');
	is($more->("jobsched_api_requests_total{$route,status=\"404\"}"), 1, 'each');
	is($more->('jobsched_api_requests_total{method="",route="(none)",status="404"}'), 1, 'those without a route too');
	is($more->("jobsched_api_request_seconds_count{$route}"), 4, 'and timed, but not who waits for a job');
	is($more->("jobsched_api_request_seconds_bucket{$route,le=\"+Inf\"}"), 4, 'in a histogram');
	is($more->('jobsched_api_refused_total{status="400"}'), 1, 'what is no HTTP is refused');
	cmp_ok($more->('jobsched_api_statements_total{statement="get"}'), '>=', 4, 'statements are counted');
	cmp_ok($more->('jobsched_api_statement_calls_total{statement="get"}'), '>=', $more->('jobsched_api_statements_total{statement="get"}'), 'with the calls in them');
	cmp_ok($now->{jobsched_api_connections}, '>=', 1, 'who asks is connected');
	is($now->{jobsched_api_database_up}, 1, 'the database answers');
};

subtest 'promtool' => sub {
	plan skip_all => 'promtool cannot be had' if !$promtool;
	metrics();
	my ($code, $out, $err) = $stack->run($promtool, 'check', 'metrics', { stdin => $text });
	is("$code$out$err", '0', 'the API speaks well');
	($code, $out, $err) = $stack->run($promtool, 'check', 'metrics', { stdin => HTTP::Tiny->new->get("http://127.0.0.1:$exporter/metrics")->{content} });
	is("$code$out$err", '0', 'and so does a worker');
	($code, $out, $err) = $stack->run($promtool, 'check', 'rules', "$top/docs/alerts.yml");
	is($code, 0, 'the rules are well made') or diag($out, $err);
};

subtest 'files for Prometheus and Grafana name what there is' => sub {
	my %known = map { s/[{ ].*//sr => 1 } keys %{ metrics() };
	my $c = do { local (@ARGV, $/) = ("$top/src/worker/metrics.c"); <> };
	$known{"jobsched_worker_$1"} = 1 while $c =~ /P "(\w+)/g;
	for my $file ('docs/alerts.yml', 'docs/grafana/jobsched.json')
	{
		my $content = do { local (@ARGV, $/) = ("$top/$file"); <> };
		my %named = map { $_ => 1 } $content =~ /\b(jobsched_[a-z_]+[a-z])\b(?=[\s{\[\\)"=<>])/g;
		cmp_ok(scalar keys %named, '>', 8, "$file names some");
		is(join(' ', grep { !$known{$_} } sort keys %named), '', ' all of which there are');
	}
	my $board = JSON::PP->new->decode(do { local (@ARGV, $/) = ("$top/docs/grafana/jobsched.json"); <> });
	my @panels = grep { $_->{type} ne 'row' } @{ $board->{panels} };
	cmp_ok(scalar @panels, '>', 15, 'the dashboard has panels');
	is(scalar(grep { !@{ $_->{targets} } || !$_->{title} } @panels), 0, 'each with a title and a query');
};

subtest 'bounds' => sub {
	# what this transaction has read; others read meanwhile
	is($stack->sql(q(BEGIN; SELECT count(*) > 0 FROM jobsched.metrics(); SELECT sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0)) FROM pg_stat_xact_user_tables
		WHERE relname LIKE 'jobs\_%' OR relname LIKE 'job\_executions\_%'; COMMIT)), "t\n0", 'jobs and executions are not read');
	$stack->sql_as('app', q(SELECT jobsched.submit('task ' || n, run_at => '2099-01-01') FROM generate_series(1, 200) n));
	my $all = metrics();
	my @tasks = grep { /^jobsched_jobs_submitted_total/ } keys %$all;
	# those that were only rolled back are known too
	cmp_ok(scalar @tasks, '>', 120, 'many tasks are known');
	cmp_ok(scalar @tasks, '<=', 129, 'but no more than 128, and the others');
	my $sum = 0;
	$sum += $all->{$_} for @tasks;
	is($sum, $stack->sql('SELECT count(*) FROM jobsched.jobs'), 'none is left out');
	my $planned = q(SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'timers') FROM pg_stat_user_tables WHERE relname = 'timers');
	$stack->sql(q(SELECT jobsched.pause_queue('jobs'); SELECT pg_stat_force_next_flush()));
	my $looked = $stack->sql($planned);
	$stack->sql('SELECT count(*) FROM jobsched.metrics(); SELECT pg_stat_force_next_flush()');
	cmp_ok($stack->sql($planned) - $looked, '<', 100, 'nor runs that are not due');
	$stack->sql('TRUNCATE jobsched.job_executions, jobsched.jobs');
	my $after = metrics();
	is(join(' ', grep { /_(?:total|count|sum|bucket)(?:\{|$)/ && !/^jobsched_scheduler_/ && ($after->{$_} // -1) < $all->{$_} } sort keys %$all), '', 'counters do not fall when rows go');
	is($stack->sql("SET ROLE jobsched_viewer; SELECT count(*) > 100 FROM jobsched.metrics()"), 't', 'viewers may see them');
	my ($code, $out, $err) = $stack->psql('SET ROLE jobsched_submitter; SELECT count(*) FROM jobsched.metrics()');
	like($err, qr/permission denied for function metrics/, 'others may not');
};

subtest 'names of tasks' => sub {
	$stack->stop_postgres;
	$stack->wait_for('the API to notice', sub { return value('jobsched_api_database_up') eq '0' });
	is(join(' ', grep { /^jobsched_/ && !/^jobsched_api_/ } keys %{ metrics() }), '', 'without the database there are the numbers of the API alone');
	$stack->start_postgres;
	$stack->wait_for('the API', sub { return value('jobsched_api_database_up') eq '1' });
	submit(q('a"b\c', run_at => '2099-01-01'));
	is(value('jobsched_jobs_submitted_total{task="a\"b\\\\c"}'), 1, 'are escaped');
	is(scalar(grep { /^jobsched_jobs_submitted_total/ } keys %{ metrics() }), 1, 'and counters begin anew with the server');
};
done_testing();
