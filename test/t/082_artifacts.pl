# Artifacts: every kind of store by itself (files; S3 with Signature V4 and V2, against a real server), and through a worker.
# test: 100 s
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use Digest::SHA qw(sha256_hex);
use JobschedTest;
use JSON::PP ();
use SwiftTest;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'jobsched-worker is not built' if !JobschedTest::built('worker');
delete @ENV{qw(http_proxy HTTP_PROXY https_proxy all_proxy)};

my $stack = JobschedTest->new(settings => {
	'jobsched.worker_lease' => '6s', 'jobsched.retry_delay' => '300ms', 'jobsched.retry_delay_max' => '1s', HEARTBEAT_INTERVAL => 0.5, LOG_LEVEL => 'INFO' });
my $json = JSON::PP->new->utf8->allow_nonref;
my $dir = $stack->dir;
my $top = JobschedTest::top();
my $tool = "$dir/blob_tool";

# The tool is compiled while Swift starts.
my $compiler = IPC::Run::start([ 'sh', '-c', "cc -std=gnu11 -D_GNU_SOURCE -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -pthread
	-I$top/src/common -I$top/src/worker/blob \$(pkg-config --cflags libxml-2.0) -o $tool $top/test/t/blob_tool.c $top/src/worker/blob/*.c
	$top/src/common/error.c $top/src/common/clock.c $top/src/common/backoff.c $top/src/common/s3_url.c -lcurl -lxml2 -ls3 -lcrypto -lm" =~ s/\n//gr ], '>', \my $said, '2>&1');
my $swift = SwiftTest->new($stack);
$compiler->finish or BAIL_OUT("blob_tool is not compiled: $said");

# Requests are tried again for so long that no load of the machine ends them; these ends are for what hangs.
my $hangs = 240;

# tool({VARIABLE => value}, COMMAND, ...) -> what it prints
sub tool
{
	my ($env, @command) = @_;
	my ($code, $out, $err) = $stack->run($tool, @command, { env => $env, timeout => $hangs });
	chomp $out;
	return $out . $err;
}

# check(...) -> the same of the command "check", which makes one attempt: again while the answer is that the server cannot now
sub check
{
	my ($env) = @_;
	my ($said, $until) = ('', time + 60);
	do { $said = tool($env, 'check') } while ($said =~ /^failed / && time < $until);
	return $said;
}

# tool_start(...) -> a sub that waits for the end and returns what it printed
sub tool_start
{
	my ($env, @command) = @_;
	local %ENV = (%ENV, %{$env});
	my $out = '';
	my $handle = IPC::Run::start([ $tool, @command ], '>', \$out, '2>&1', init => sub { chdir $dir }, IPC::Run::timeout($hangs));    # there it ends with the stack
	return sub { $handle->finish; chomp $out; return $out };
}

sub file
{
	my ($name, $text) = @_;
	$stack->write_file($name, $text);
	return ("$dir/$name", sha256_hex($text));
}

my ($small, $small_sha) = file('small', "an artifact\n");
my ($empty, $empty_sha) = file('empty', '');
my ($large, $large_sha) = file('large', do { open my $random, '<', '/dev/urandom' or die $!; read $random, my $block, 1 << 20; join '', map { $block . $_ } 1 .. 50 });
my ($medium, $medium_sha) = file('medium', 'medium ' x 2_500_000);
my ($large_size, $medium_size) = (-s $large, -s $medium);
my ($out, $other) = ("$dir/out", "$dir/other");

# What every store does, with keys below KEY.
sub store_ok
{
	my ($env, $key) = @_;
	is(check($env), 'ok 0 ', 'it can be used');
	is(tool($env, 'put', "$key/a:b", $small), "ok 12 $small_sha", 'an object is put');
	is(tool($env, 'stat', "$key/a:b"), 'ok 12 ', 'exists');
	is(tool($env, 'get', "$key/a:b", $out, $small_sha), 'ok 12 ', 'and is got');
	is($stack->read_file('out'), "an artifact\n", 'as it was');
	is(tool($env, 'put', "$key/empty", $empty), "ok 0 $empty_sha", 'an empty one too');
	is(tool($env, 'get', "$key/empty", $out), 'ok 0 ', 'is got');
	like(tool($env, 'get', "$key/none", $out), qr{^missing .*$key/none}, 'one that is not there is missing');
	is(tool($env, 'stat', "$key/none") =~ /^(\w+)/ && $1, 'missing', 'and does not exist');
	is(tool($env, 'putfile', "$key/large", $large), "ok $large_size $large_sha", '50 MiB are put from a file');
	is(tool($env, 'get', "$key/large", $out, $large_sha), "ok $large_size ", 'and got, as they were');
	like(tool($env, 'get', "$key/a:b", $out, $large_sha), qr{^failed .*$key/a:b is damaged}, 'what is not what it should be is noticed');
	return;
}

subtest 'files' => sub {
	my %store = (BLOB_DIR => "$dir/files");
	store_ok(\%store, 'jobs/1');
	like(tool(\%store, 'abort', 'jobs/1/aborted', $medium), qr/^ok/, 'writing is aborted');
	is(tool(\%store, 'stat', 'jobs/1/aborted') =~ /^(\w+)/ && $1, 'missing', 'there is no object then');
	is(join(' ', sort map { s{.*/}{}r } glob "$dir/files/jobs/1/{*,.*.tmp}"), 'a:b empty large', 'and no file is left over');
	mkdir "$dir/closed";
	chmod 0500, "$dir/closed";
	like(tool({ BLOB_DIR => "$dir/closed" }, 'check'), qr{^refused BLOB_DIR=$dir/closed: .*; a directory that this user may write is needed}, 'a directory that may not be written');
};

if (!$swift)
{
	subtest 'S3' => sub { plan skip_all => SwiftTest::reason() };
	done_testing();
	exit;
}

my %s3 = (v4 => { $swift->env }, v2 => { $swift->env, S3_SIGNATURE => 'v2' });
my $secret = $swift->secret;

# parts_become(NUMBER) -> how many parts the server keeps, at last: a request that it gave up may still end.
sub parts_become
{
	my ($number) = @_;
	eval { $stack->wait_for('the parts', sub { return $swift->parts == $number }, 10) };
	return $swift->parts;
}

for my $version ('v4', 'v2')
{
	subtest "S3 with Signature \U$version" => sub {
		my %store = %{ $s3{$version} };
		my $key = "jobs/$version";
		my $parts = $swift->parts;
		store_ok(\%store, $key);
		is(parts_become($parts + 4), $parts + 4, 'the large object is 4 parts');
		is(tool(\%store, 'write', "$key/pieces", $medium, 999_999), "ok $medium_size $medium_sha", '17.5 MB are written in pieces');
		is(tool(\%store, 'get', "$key/pieces", $out, $medium_sha), "ok $medium_size ", 'and got, as they were');
		my $left;
		for (1 .. 5)    # the server is told once, and in vain when it does not answer within 5 s
		{
			$parts = $swift->parts;
			like(tool(\%store, 'abort', "$key/aborted", $medium), qr/^ok/, 'writing is aborted');
			last if !($left = parts_become($parts) - $parts);
		}
		is($left, 0, 'no part of it is left over');
		is(tool(\%store, 'stat', "$key/aborted") =~ /^(\w+)/ && $1, 'missing', 'and there is no object');
		is(tool({ %store, S3_ENDPOINT => 'http://localhost:' . $swift->port, S3_ADDRESSING => 'virtual' }, 'putfile', "$key/virtual", $small), "ok 12 $small_sha",
			'the bucket may be in the host');

		like($swift->libs3('get', "jobsched/$key/a:b", "filename=$other"), qr/^$/, 'another S3 client gets what is put');
		is($stack->read_file('other'), "an artifact\n", 'as it was');
		like($swift->libs3('put', "jobsched/$key/foreign", "filename=$small"), qr/^$/, 'and puts something');
		is(tool(\%store, 'get', "$key/foreign", $out, $small_sha), 'ok 12 ', 'which is got');

		my %wrong = (%store, S3_SECRET_KEY => 'not-the-secret');
		for my $command ([ 'check' ], [ 'put', "$key/x", $small ], [ 'putfile', "$key/x", $large ], [ 'stat', "$key/x" ])
		{
			my $said = $command->[0] eq 'check' ? check(\%wrong) : tool(\%wrong, @{$command});
			like($said, qr/^refused S3 http:.*bucket jobsched: .*check S3_ACCESS_KEY and S3_SECRET_KEY$/, "a wrong secret: $command->[0]");
			unlike($said, qr/not-the-secret|attempts/, 'is not shown, and not tried again');
		}
		like(check({ %store, S3_BUCKET => 'nobodys' }), qr/^refused .*NoSuchBucket.*make the bucket, or check S3_BUCKET$/, 'a bucket that is not there');
		like(check({ %store, S3_REGION => 'eu-central-1' }), qr/^refused .*check S3_REGION$/, 'a wrong region') if $version eq 'v4';

		$swift->signal('STOP', 'object');
		my $stopped = tool_start({ %store, S3_RETRIES => 20, STOP_AFTER => 0.5 }, 'get', "$key/a:b", $out);
		my $put = tool_start({ %store, S3_RETRIES => 20 }, 'put', "$key/late", $small);
		like(tool({ %store, S3_RETRIES => 0, S3_TIMEOUT => 60 }, 'put', "$key/never", $small), qr/^failed .*PUT $key\/never: the server answered .*(?:503 |.*Please reduce your request rate)/,
			'a server that cannot store now (503): failed, for another attempt');
		like($stopped->(), qr/^stopped /, 'a call ends when the task is told to stop, though the server says nothing');
		$swift->signal('CONT', 'object');
		is($put->(), "ok 12 $small_sha", 'and the request that is tried again succeeds when the server can');
	};
}

# ---- through a worker ----

# A task that writes in two ways, the second an upload in parts, and is tried again when the store cannot.
$stack->write_file('keep.c', <<'END');
#include <jobsched_task.h>

static int
keep(struct task_context *task, const json_t *payload)
{
	static const char piece[100000];
	struct task_writer *writer;
	int rc = task_artifact(task, "memory", "text/plain", "hello", 5);

	(void) payload;
	if (rc == 0 && (rc = task_writer_open(task, "stream", NULL, &writer)) == 0) {
		for (int i = 0; i < 175 && rc == 0; i++)
			rc = task_writer_write(writer, piece, sizeof(piece));
		rc = task_writer_commit(writer);
	}
	return rc < 0 ? task_fail(task, "%s", task_artifact_error(task)) : task_succeed(task, json_true());
}
JOBSCHED_TASK("keep", .run = keep, .summary = "Keeps artifacts.");
END
my $include = JobschedTest::bin() . '/../../../../include';
mkdir "$dir/tasks";
chmod 0755, "$dir/tasks";
my ($code, undef, $why) = $stack->run('cc', '-std=gnu11', '-fPIC', '-shared', "-I$include", '-o', "$dir/tasks/keep.so", "$dir/keep.c", '-ljansson');
die "keep.c is not compiled: $why" if $code;
my $stream_sha = sha256_hex("\0" x 17_500_000);

sub submit { my ($queue) = @_; return $stack->sql("SELECT jobsched.submit('keep', queue => '$queue', max_retries => 200)") }

sub worker { my ($name, %env) = @_; return $stack->start_worker(name => $name, RABBITMQ_QUEUE => $name, BLOB_STORE => 's3', JOBSCHED_TASK_PATH => "$dir/tasks", %env) }

# kept_ok(ID, STORE): the run succeeded, and what its execution lists is in the store
sub kept_ok
{
	my ($id, $store) = @_;
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'succeeded', 120);
	my ($attempt, $list) = split /\|/, $stack->sql("SELECT attempt, artifacts FROM jobsched.job_executions WHERE job_id = '$id' AND final"), 2;
	$list = $json->decode($list);
	my @keys = map { delete $_->{key} } @{$list};
	is_deeply($list, [ { name => 'memory', size => 5, sha256 => sha256_hex('hello'), content_type => 'text/plain' },
		{ name => 'stream', size => 17_500_000, sha256 => $stream_sha, content_type => 'application/octet-stream' } ], 'its execution lists name, size, SHA-256 and type')
		or diag(explain($list));
	like($keys[$_], qr{^jobs/$id/[-0-9T:.]+Z/$attempt-[-0-9a-f]{36}/$list->[$_]{name}$}, 'and a key of job, run, attempt and claim') for 0, 1;
	is(tool($store, 'get', $keys[$_], $out, $list->[$_]{sha256}), "ok $list->[$_]{size} ", "where $list->[$_]{name} is") for 0, 1;
	return;
}

subtest 'a worker with S3' => sub {
	my $v4 = worker('v4', $swift->env);
	my %minio = (MINIO_ENDPOINT => '127.0.0.1:' . $swift->port, MINIO_SECURE => 'false', MINIO_BUCKET => 'jobsched', MINIO_ACCESS_KEY => 'jobsched:worker',
		MINIO_SECRET_KEY => $secret);
	my $v2 = worker('v2', S3_SIGNATURE => 'v2', %minio, S3_RETRIES => 1);
	kept_ok(submit('v4'), $s3{v4});
	kept_ok(submit('v2'), $s3{v2});

	my $refused = worker('refused', $swift->env, S3_SECRET_KEY => 'not-the-secret', wait => 0);
	$stack->wait_for('it to end', sub { return !$stack->worker_runs($refused) });
	is($stack->worker_status($refused), 1, 'with a wrong secret it does not start');
	like($stack->log_text($refused), qr/ERROR.*cannot start error=.*SignatureDoesNotMatch.*check S3_ACCESS_KEY and S3_SECRET_KEY/, 'and says why');

	$swift->stop;
	my $again = tool_start({ %{ $s3{v4} }, S3_RETRIES => 20 }, 'putfile', 'jobs/again', $medium);
	my $wrong = worker('wrong', $swift->env, S3_SECRET_KEY => 'not-the-secret');
	like($stack->log_text($wrong), qr/WARNING.*artifact store does not answer error=.*connect/i, 'a server that is away does not keep a worker from starting');
	my ($spoiled, @ids) = map { submit($_) } 'wrong', 'v4', 'v2';
	my $failed = "FROM jobsched.job_executions WHERE job_id = '$ids[1]' AND status = 'failed' AND NOT final";
	$stack->wait_for_sql("SELECT count(*) > 0 $failed");
	like($stack->sql("SELECT error $failed ORDER BY attempt LIMIT 1"),
		qr{^S3 http://127.0.0.1:\d+, bucket jobsched: PUT jobs/$ids[1]/\S+/memory: no connection to the server \(2 attempts\)$}, 'its runs fail, with the reason, and are tried again');
	$swift->start;
	kept_ok($_, $s3{v4}) for @ids;
	is($again->(), "ok $medium_size $medium_sha", 'a request that is tried long enough succeeds too');
	$stack->wait_for_sql("SELECT count(*) > 0 FROM jobsched.job_executions WHERE job_id = '$spoiled' AND error ~ '(403|SignatureDoesNotMatch).*; check S3_ACCESS_KEY and S3_SECRET_KEY'");
	pass('a wrong secret that is found out later is in the error of the run');
	$stack->sql("SELECT jobsched.cancel('$spoiled')");

	is($stack->stop_worker($_), 0, "$_ stops") for $v4, $v2, $wrong;
	unlike($stack->log_text($_), qr/\Q$secret\E|not-the-secret/, "no secret in the log of $_") for $v4, $v2, $refused, $wrong;
	my ($code, $out, $err) = $stack->run(JobschedTest::build() . '/jobsched-worker', '--check-config', { env => { BLOB_STORE => 's3', %minio } });
	like($out, qr/^S3_BUCKET=jobsched$/m, '--check-config shows what would be used');
	unlike("$out$err", qr/\Q$secret\E/, 'but not the secret');
	for my $case ([ S3_BUCKET => 'a b', qr/S3_BUCKET=a b: 3\.\.255 of/ ], [ S3_ENDPOINT => 'ftp://h', qr{S3_ENDPOINT=ftp://h: the scheme is ftp} ],
		[ S3_SECRET_KEY => '', qr/S3_SECRET_KEY: empty/ ], [ S3_SIGNATURE => 'v3', qr/S3_SIGNATURE is "v3"; allowed: v4 v2/ ], [ S3_TIMEOUT => 0, qr/S3_TIMEOUT is "0"; allowed/ ])
	{
		($code, $out, $err) = $stack->run(JobschedTest::build() . '/jobsched-worker', '--check-config', { env => { BLOB_STORE => 's3', $swift->env, $case->[0] => $case->[1] } });
		is($code, 2, "$case->[0]=$case->[1] is refused");
		like($err, $case->[2], 'by name, with what is allowed');
	}
};

done_testing();
