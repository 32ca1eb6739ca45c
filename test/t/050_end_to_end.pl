# The main job, end to end: SQL or REST -> Postgres -> scheduler -> RabbitMQ -> worker -> Postgres.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use JSON::PP ();
use Test::More;

my $stack = JobschedTest->new(settings => { 'jobsched.retry_delay' => '100ms', 'jobsched.retry_delay_max' => '1s', LOG_LEVEL => 'INFO', max_prepared_transactions => 2 });
my $worker = $stack->start_worker;
$stack->start_api;

sub submit { my ($arguments) = @_; return $stack->sql_as('app', "SELECT jobsched.submit($arguments)"); }
sub status { my ($id) = @_; return $stack->sql("SELECT status FROM jobsched.job_status WHERE id = '$id'"); }
sub ends { my ($id, $status) = @_; return $stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", $status); }
sub attempts { my ($id) = @_; return $stack->sql("SELECT attempt, status, final, coalesce(reason, '-') FROM jobsched.runs WHERE job_id = '$id' ORDER BY attempt"); }

# ---- once ----
$stack->sql_as('app', q{BEGIN; SELECT jobsched.submit('echo', '{"rolled": "back"}'); ROLLBACK});
is($stack->sql('SELECT (SELECT count(*) FROM jobsched.jobs) + (SELECT count(*) FROM jobsched.timers)'), '0', 'a rolled back submit leaves nothing');
my ($id) = $stack->sql_as('app', q{BEGIN; SELECT jobsched.submit('echo', '{"a": 1}'); COMMIT}) =~ /([0-9a-f-]{36})/;
ends($id, 'succeeded');
is($stack->sql("SELECT result_payload FROM jobsched.job_status WHERE id = '$id'"), '{"a": 1}', 'a committed one runs; job_status shows the result');
is(attempts($id), '1|succeeded|t|-', 'with one execution');
is($stack->sql("SELECT last_worker_id, last_started_at BETWEEN created_at AND last_finished_at, last_finished_at <= now() FROM jobsched.job_status WHERE id = '$id'"),
	"$worker|t|t", 'by our worker, at a credible time');

$id = submit(q{'sleep', '{"seconds": 0.2}'});
ends($id, 'succeeded');
is($stack->sql("SELECT result_payload->'slept' FROM jobsched.job_status WHERE id = '$id'"), '0.2', 'sleep slept');
$id = submit(q{'echo', '["later"]', run_at => now() + interval '4 s'});
is(status($id), 'scheduled', 'a later job waits');
ends($id, 'succeeded');
is($stack->sql("SELECT last_started_at >= last_run_at FROM jobsched.job_status WHERE id = '$id'"), 't', 'and starts no earlier than asked');

# ---- a prepared transaction tells nobody: the scheduler's look at the clock finds it ----
$stack->sql(q{BEGIN; SELECT jobsched.submit('echo', '"prepared"'); PREPARE TRANSACTION 'p'});
$stack->sql(q{COMMIT PREPARED 'p'});
$stack->wait_for_sql(q{SELECT status FROM jobsched.job_status WHERE payload = '"prepared"'}, 'succeeded');
pass('a job from a prepared transaction runs');

# ---- retries ----
$id = submit(q{'fail', '{"message": "not yet", "times": 2}', max_retries => 3});
ends($id, 'succeeded');
is(attempts($id), "1|failed|f|error\n2|failed|f|error\n3|succeeded|t|-", 'two failures, then success: each attempt is a row');
like($stack->sql("SELECT error FROM jobsched.runs WHERE job_id = '$id' AND attempt = 1"), qr/not yet/, 'with its error');
$id = submit(q{'fail', '{"message": "never"}', max_retries => 2});
ends($id, 'failed');
is(attempts($id), "1|failed|f|error\n2|failed|f|error\n3|failed|t|error", 'max_retries is the number of attempts after the first');
$id = submit(q{'fail', '{"message": "broken for good", "permanent": true}', max_retries => 5});
ends($id, 'failed');
is(attempts($id), '1|failed|t|error', 'a permanent failure is not tried again');
$id = submit(q{'no_such_task'});
ends($id, 'failed');
is(attempts($id), '1|failed|t|unknown_task', 'nor is a task that nobody knows');
like($stack->sql("SELECT last_error FROM jobsched.job_status WHERE id = '$id'"), qr/no_such_task.*echo/s, 'its error names it, and those that are known');
$id = submit(q{'sleep', '{"seconds": 60}', timeout => '0.3 s', max_retries => 0});
ends($id, 'failed');
is(attempts($id), '1|failed|t|timeout', 'a task past its timeout is told to stop and fails');

# ---- cron, each second ----
$id = submit(q{'echo', '"tick"', cron => '* * * * * *'});
$stack->wait_for_sql("SELECT count(*) >= 3 FROM jobsched.runs WHERE job_id = '$id' AND status = 'succeeded'", 't');
is($stack->sql("SELECT count(*) - count(DISTINCT run_at) FROM jobsched.runs WHERE job_id = '$id'"), '0', 'a cron job runs once for each nominal time');
is($stack->sql("SELECT bool_and(extract(epoch FROM run_at) % 1 = 0) FROM jobsched.runs WHERE job_id = '$id'"), 't', 'which are whole seconds');
# On a slow machine a second may find the run before it still going, or be made up for by a later one.
is($stack->sql("SELECT count(*) - count(DISTINCT run_at), count(*) FILTER (WHERE outcome = 'fired') >= 3, bool_and(outcome IN ('fired', 'skipped_overlap', 'coalesced')) FROM jobsched.cron_ticks WHERE job_id = '$id'"), '0|t|t', 'and leave a tick each');
like($stack->sql_as('app', "SELECT jobsched.cancel('$id')"), qr/^cancell(?:ed|ing)$/, 'cancelled, or cancelling while a run is going');
$stack->wait_for_sql("SELECT count(*) FROM jobsched.runs WHERE job_id = '$id' AND status IN ('scheduled', 'queued', 'running')", '0');
is(status($id), 'cancelled', 'a cancelled cron job plans nothing more');

# ---- cancel: before, queued, running ----
$id = submit(q{'echo', run_at => now() + interval '1 hour'});
is($stack->sql_as('app', "SELECT jobsched.cancel('$id')"), 'cancelled', 'cancelled before it was due');
is(status($id), 'cancelled', 'and stays so');
$id = submit(q{'echo', queue => 'nobody_listens'});
$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'queued');
is($stack->sql_as('app', "SELECT jobsched.cancel('$id')"), 'cancelled', 'cancelled while queued');
is($stack->sql("SELECT count(*) FROM jobsched.dispatches WHERE '$id' = ANY (job_ids)"), '0', 'its dispatch is gone');
my $late = $stack->start_worker(name => 'late', RABBITMQ_QUEUE => 'nobody_listens');
my $next = submit(q{'echo', '"next"', queue => 'nobody_listens'});
ends($next, 'succeeded');
is(status($id), 'cancelled', 'its message, delivered later, starts nothing');
is(attempts($id), '1|cancelled|t|-', 'and records nothing');
$stack->stop_worker($late);
$id = submit(q{'sleep', '{"seconds": 60}'});
ends($id, 'running');
is($stack->sql_as('app', "SELECT jobsched.cancel('$id')"), 'cancelling', 'a running one is told to stop');
ends($id, 'cancelled');

# ---- REST ----
my ($code, $headers, $job) = $stack->http('POST', '/jobs', { name => 'echo', payload => { via => 'REST' }, frequency => 'once', next_run_time => time, max_retries => 3 });
is($code, 201, 'POST /jobs');
is($headers->{location}, "/jobs/$job->{id}", 'says where the job is');
ends($job->{id}, 'succeeded');
($code, $headers, $job) = $stack->http('GET', "/jobs/$job->{id}");
is($code, 200, 'GET /jobs/{id}');
is_deeply($job->{last_execution}{result_payload}, { via => 'REST' }, 'has the result');
($code, $headers, $job) = $stack->http('POST', '/jobs', { name => 'echo', frequency => 'once', next_run_time => '2031-01-01T00:00:00Z' });
is($job->{next_run_at}, '2031-01-01T00:00:00.000000Z', 'RFC 3339 in, RFC 3339 out');
($code, $headers, $job) = $stack->http('DELETE', "/jobs/$job->{id}");
is("$code $job->{status}", '200 cancelled', 'DELETE cancels');

# ---- many ----
is($stack->sql_as('app', q{SELECT count(DISTINCT id) FROM jobsched.submit_many((SELECT jsonb_agg(jsonb_build_object('name', 'echo', 'payload', jsonb_build_object('bulk', i))) FROM generate_series(1, 10000) i)) id}),
	'10000', 'ten thousand jobs in one call');
$stack->wait_for_sql(q{SELECT count(*) FROM jobsched.runs WHERE status = 'succeeded' AND result_payload ? 'bulk'}, '10000', 200);
is($stack->sql(q{SELECT count(*), count(DISTINCT job_id), count(DISTINCT result_payload->'bulk') FROM jobsched.job_executions WHERE result_payload ? 'bulk'}),
	'10000|10000|10000', 'each ran once and gave its own result');
$stack->wait_for_sql('SELECT (SELECT count(*) FROM jobsched.dispatches) + (SELECT count(*) FROM jobsched.timers)', '0');
pass('nothing is left behind');

# ---- crawl_url, and the way an address is refused ----
my $url = $stack->api_url . '/healthz';
$id = submit("'crawl_url', jsonb_build_object('url', '$url')");
ends($id, 'succeeded');
is($stack->sql("SELECT result_payload->>'status', artifacts->0->>'name' FROM jobsched.job_status WHERE id = '$id'"), '200|body', 'a page is fetched and kept');
my $key = $stack->sql("SELECT artifacts->0->>'key' FROM jobsched.job_status WHERE id = '$id'");
like($key, qr{^jobs/$id/.*/1-[0-9a-f-]{36}/body$}, 'under a key that names job, run, attempt and claim');
ok(-s $stack->dir . "/blobs/$key", 'in the blob store');
$stack->stop_worker($worker);
$worker = $stack->start_worker(name => 'strict', CRAWL_ALLOW_PRIVATE => '');
$id = submit("'crawl_url', jsonb_build_object('url', '$url'), max_retries => 0");
ends($id, 'failed');
like($stack->sql("SELECT last_error FROM jobsched.job_status WHERE id = '$id'"), qr/127\.0\.0\.1/, 'a private address is refused unless it was allowed');

is($stack->stop_worker($worker), 0, 'the worker ends well');
done_testing();
