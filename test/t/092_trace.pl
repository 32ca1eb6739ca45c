# traceparent: from whoever submits a job, by SQL, REST or header, to its task on a thread, in a process and in a command, and to the log.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use JSON::PP ();
use Test::More;

plan skip_all => 'programs are not built' if !JobschedTest::built('api') || !JobschedTest::built('worker');

my $stack = JobschedTest->new(settings => { LOG_LEVEL => 'DEBUG' });
my $dir = $stack->dir;
my $trace = '0af7651916cd43dd8448eb211c80319c';
my $n = 0;
sub parent { return sprintf '00-%s-%016x-01', $trace, ++$n }

mkdir "$dir/tasks" or die $!;
$stack->write_file('trace.c', <<'END');
#include <jobsched_task.h>

static int
tell(struct task_context *task, const json_t *payload)
{
	const char *trace = task_traceparent(task);

	(void) payload;
	task_log(task, TASK_LOG_INFO, "at work");
	return task_succeed(task, json_pack("{s:s?}", "trace", trace));
}

JOBSCHED_TASK("tell", .run = tell, .summary = "Tells its trace.");
END
my ($code, $out, $err) = $stack->run('cc', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-I' . JobschedTest::bin() . '/../../../../include',
	'-o', "$dir/tasks/trace.so", "$dir/trace.c", '-ljansson');
is("$code$err", '0', 'a plug-in that asks for it builds');
$stack->write_file('commands.json', JSON::PP->new->encode({
	once => { argv => [ '/bin/sh', '-c', 'printf "{\"trace\": \"%s\"}" "$TRACEPARENT"' ] },
	lines => { argv => [ '/usr/bin/python3', '-u', '-c', "import sys, json\nfor line in sys.stdin:\n    r = json.loads(line)\n    print(json.dumps({'id': r['id'], 'result': {'trace': r.get('traceparent')}}))" ], mode => 'lines' },
}));
my %settings = (JOBSCHED_TASK_PATH => "$dir/tasks", EXEC_TASKS_FILE => "$dir/commands.json");
$stack->start_worker(name => 'threads', %settings);
$stack->start_worker(name => 'processes', RABBITMQ_QUEUE => 'processes', TASK_ISOLATION => 'process', %settings);
$stack->start_api;

# result(ID) -> what the task was told
sub result
{
	my ($id) = @_;
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'succeeded');
	return $stack->sql("SELECT coalesce(result_payload ->> 'trace', 'null') FROM jobsched.job_status WHERE id = '$id'");
}
sub post
{
	my ($body, %headers) = @_;
	my ($status, $h, $job) = $stack->http('POST', '/jobs', { name => 'tell', frequency => 'once', next_run_time => 1, %$body }, \%headers);
	die "POST /jobs: $status " . (ref $job ? $job->{detail} : $job) if $status != 201;
	return $job->{id};
}

for my $case ([ 'on a thread', 'tell', 'jobs', 'threads' ], [ 'in a process', 'tell', 'processes', 'processes' ], [ 'in a command', 'once', 'jobs' ], [ 'in a lasting command', 'lines', 'jobs' ])
{
	my ($what, $task, $queue, $worker) = @$case;
	my $parent = parent();
	my $id = $stack->sql_as('app', "SELECT jobsched.submit('$task', queue => '$queue', traceparent => '$parent')");
	is(result($id), $parent, $what);
	$stack->wait_for_log($worker, qr/ task name=tell job=$id attempt=1 message="at work" traceparent=$parent$/m) if $worker;
}
like(result($stack->sql_as('app', q(SELECT jobsched.submit('once')))), qr/^$/, 'and none when there is none');
is(result($stack->sql_as('app', q(SELECT jobsched.submit('tell', queue => 'processes')))), 'null', 'nor in a process');

my ($header, $field) = (parent(), parent());
is(result(post({}, traceparent => $header)), $header, 'by the header');
is(result(post({ traceparent => $field })), $field, 'by a field');
is(result(post({ traceparent => $field }, traceparent => $header)), $field, 'the field counts more');
is(result(post({ unique_key => 'k' }, traceparent => $header)), $header, 'with a key');
is(result(post({}, traceparent => $header, 'Idempotency-Key' => 'another')), $header, 'with the header that is a key');
is(result(post({}, traceparent => $_)), 'null', "a header that is none is ignored: $_") for '', 'x', "$header-01", uc $header, "00-$trace-0000000000000000-01", "ff-$trace-0000000000000001-01", '00-' . '0' x 32 . '-0000000000000001-01', '"}';
my ($status, $headers, $problem) = $stack->http('POST', '/jobs', { name => 'tell', frequency => 'once', next_run_time => 1, traceparent => 'x' });
is("$status $problem->{field}", '422 traceparent', 'a field that is none is not');
($status, $headers, $problem) = $stack->http('POST', '/jobs/batch', { jobs => [ map { { name => 'tell', frequency => 'once', next_run_time => 1, traceparent => $_ } } $field, $header ] });
is(join(' ', sort map { result($_->{id}) } @{ $problem->{jobs} || $problem->{items} || [] }), join(' ', sort $field, $header), 'in a batch each has its own') or diag(JSON::PP->new->canonical->encode($problem));
done_testing();
