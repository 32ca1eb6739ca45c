# test: 40 s
# Artifacts over REST: files are streamed, and only such as are artifacts; objects of an S3 server are pointed at.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use lib "$FindBin::Bin/../perl";
use HTTP::Tiny;
use JobschedTest;
use JSON::PP ();
use SwiftTest;
use Test::More;

plan skip_all => 'jobsched-api is not built' if !JobschedTest::built('api');
delete @ENV{qw(http_proxy HTTP_PROXY https_proxy all_proxy)};

my $stack = JobschedTest->new(rabbitmq => 0);
my %env = $stack->env;
my $json = JSON::PP->new->utf8->allow_nonref;
my $blobs = $stack->dir . '/blobs';
my $no_id = '00000000-0000-7000-8000-000000000000';
my %pid;

sub start
{
	my ($name, %settings) = @_;
	mkdir $stack->dir . "/$name";
	my $url = "postgresql://jobsched_api_login:" . $stack->read_file('data/secrets/jobsched_api_login') . "\@127.0.0.1:$env{PGPORT}/jobsched";
	$pid{$name} = $stack->start_program($name, $stack->build . '/jobsched-api', API_LISTEN => '127.0.0.1:0', DATABASE_URL => $url, %settings);
	$stack->wait_for_log($name, qr/ listening .*port=\d+/);
	$stack->wait_for_log($name, qr/database connected/);
	my ($port) = $stack->log_text($name) =~ / listening .*port=(\d+)/;
	return "http://127.0.0.1:$port";
}

# The API's own exit code and words for settings that are no good.
sub refuses
{
	my (%settings) = @_;
	my ($code, $out, $err) = $stack->run($stack->build . '/jobsched-api', { env => { DATABASE_URL => 'postgresql://x@127.0.0.1:1/x', API_LISTEN => '127.0.0.1:0', %settings } });
	return "$code $err";
}

sub get { my ($url, %headers) = @_; my $answer = HTTP::Tiny->new(timeout => 30, max_redirect => 0)->get($url, { headers => \%headers }); return ($answer->{status}, $answer->{content}, $answer->{headers}) }
sub escape { my ($text) = @_; $text =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge; return $text }

# A job that ended with this artifact, as a worker would have recorded it.
sub job_with
{
	my (%artifact) = @_;
	my $id = $stack->sql(q{SELECT jobsched.submit('echo', run_at => '2099-01-01')});
	my $artifacts = $json->encode([{ sha256 => sha256_hex('x'), content_type => 'text/plain', size => 1, %artifact }]) =~ s/'/''/gr;
	$stack->sql("DELETE FROM jobsched.timers WHERE job_id = '$id';
		INSERT INTO jobsched.job_executions (slot, attempt, final, job_id, run_at, finished_at, status, artifacts) VALUES (jobsched._open_slot(), 1, true, '$id', now(), now(), 'succeeded', '$artifacts')");
	return $id;
}

sub store
{
	my ($key, $bytes) = @_;
	my ($dir) = "$blobs/$key" =~ m{(.*)/};
	$stack->run('mkdir', '-p', $dir);
	$stack->write_file("blobs/$key", $bytes);
	return;
}

mkdir $blobs;
my $api = start('api', BLOB_DIR => $blobs);

subtest 'a file' => sub {
	my $bytes = join '', map { chr($_ % 256) } 1 .. 3_000_000;
	store('jobs/1/body', $bytes);
	my $name = 'a "b" ü.bin';
	utf8::decode(my $decoded = $name);
	my $id = job_with(name => $decoded, key => 'jobs/1/body', size => length $bytes, sha256 => sha256_hex($bytes), content_type => 'image/png');
	my ($status, $content, $headers) = get("$api/jobs/$id/artifacts/" . escape($name));
	is($status, 200, 'is served') or diag($content);
	ok($content eq $bytes, 'whole');
	is($headers->{'content-type'}, 'image/png', 'with its type');
	is($headers->{'content-disposition'}, q{attachment; filename="a__b____.bin"; filename*=UTF-8''a%20%22b%22%20%C3%BC.bin}, 'to be saved');
	is($headers->{'x-content-type-options'}, 'nosniff', 'and taken for nothing else');
	is((get("$api/jobs/$id/artifacts/" . escape($name), 'If-None-Match' => $headers->{etag}))[0], 304, 'a client that has it gets 304');
	my $head = HTTP::Tiny->new->head("$api/jobs/$id/artifacts/" . escape($name));
	is("$head->{status} $head->{headers}{'content-length'}", '200 3000000', 'HEAD');
	my ($run_at) = $stack->sql("SELECT jobsched._iso(run_at) FROM jobsched.job_executions WHERE job_id = '$id'");
	is((get("$api/jobs/$id/artifacts/" . escape($name) . "?run_at=$run_at&attempt=1"))[0], 200, 'of an execution');
	is((get("$api/jobs/$id/artifacts/" . escape($name) . "?run_at=$run_at&attempt=2"))[0], 404, 'which must have it');
	is((get("$api/jobs/$id/artifacts/" . escape($name) . "?attempt=1"))[0], 422, 'and be named by both');
};

subtest 'what is not there' => sub {
	my $id = job_with(name => 'body', key => 'jobs/2/body');
	my ($status, $content) = get("$api/jobs/$id/artifacts/body");
	is($status, 404, 'a file that is gone');
	like($content, qr/unknown-artifact.*No such file/, 'which it says');
	is((get("$api/jobs/$id/artifacts/other"))[0], 404, 'another artifact');
	is((get("$api/jobs/$no_id/artifacts/body"))[0], 404, 'another job');
	store('jobs/2/body', 'more');
	like((get("$api/jobs/$id/artifacts/body"))[1], qr/another one/, 'a file of another size');
};

subtest 'too many open files' => sub {
	store('jobs/5/body', 'b');
	my $id = job_with(name => 'body', key => 'jobs/5/body');
	my $url = start('api_files', BLOB_DIR => $blobs, API_DB_CONNECTIONS => 1);
	my $client = HTTP::Tiny->new(timeout => 30);
	is($client->get("$url/healthz")->{status}, 200, 'a client whose connection stays');
	my $free = 0;
	$free++ while -l "/proc/$pid{api_files}/fd/$free";
	my $limit = sub { my ($code, $out, $err) = $stack->run('prlimit', '--pid', $pid{api_files}, "--nofile=$_[0]:"); die "prlimit: $err" if $code };
	$limit->($free);
	my $answer = $client->get("$url/jobs/$id/artifacts/body");
	$limit->(1000);
	is($answer->{status}, 503, 'an artifact that cannot be opened now is not gone') or diag($answer->{content});
	like($answer->{content}, qr/Too many open files/, 'and the answer says why');
	is($client->get("$url/jobs/$id/artifacts/body")->{status}, 200, 'later it can');
};

subtest 'nothing but artifacts' => sub {
	$stack->write_file('secret', 's');
	store('jobs/3/body', 'b');
	symlink $stack->dir, "$blobs/jobs/link";
	symlink $stack->dir . '/secret', "$blobs/jobs/3/link";
	mkdir "$blobs/jobs/3/dir";
	for my $key ('../secret', 'jobs/../../secret', '/etc/hostname', $stack->dir . '/secret', 'jobs/link/secret', 'jobs/3/link', 'jobs/3/dir', 'jobs//3/body', './jobs/3/body', 'jobs/3/', '', 'jobs/3/.hidden')
	{
		my $id = job_with(name => 'body', key => $key);
		my ($status, $content) = get("$api/jobs/$id/artifacts/body");
		ok($status == 404 && $content =~ /unknown-artifact/, "key \"$key\"") or diag("$status $content");
	}
	my $id = job_with(name => 'body', key => 'jobs/3/body', content_type => "text/html\r\nX-Evil: 1");
	my ($status, $content, $headers) = get("$api/jobs/$id/artifacts/body");
	is("$status $headers->{'content-type'}", '200 application/octet-stream', 'a type that is none');
	ok(!$headers->{'x-evil'}, 'adds no header');
};

subtest 'settings' => sub {
	like(refuses(BLOB_STORE => 's3', S3_BUCKET => 'b'), qr/^2 .*S3_BUCKET is \\"b\\": /s, 'S3_BUCKET');
	like(refuses(BLOB_STORE => 's3', S3_BUCKET => 'bucket'), qr/^2 .*S3_ACCESS_KEY is empty/s, 'S3_ACCESS_KEY');
	like(refuses(BLOB_STORE => 's3', S3_BUCKET => 'bucket', S3_ENDPOINT => 'ftp://x'), qr/^2 .*S3_ENDPOINT is \\"ftp:\/\/x\\": /s, 'S3_ENDPOINT');
	like(refuses(BLOB_STORE => 'ftp'), qr/^2 .*BLOB_STORE/s, 'BLOB_STORE');
};

subtest 'an S3 server' => sub {
	my $swift = SwiftTest->new($stack) or plan skip_all => SwiftTest::reason();
	$stack->start_rabbitmq;
	$stack->start_worker(name => 'w', BLOB_STORE => 's3', $swift->env);
	for my $version ('v4', 'v2')
	{
		my $url = start("api_$version", BLOB_STORE => 's3', $swift->env, S3_SIGNATURE => $version);
		my $id = job_with(name => "body \x{fc}", key => "jobs/4/a b \x{fc}");
		my ($status, undef, $headers) = get("$url/jobs/$id/artifacts/body%20%C3%BC");
		is($status, 302, "$version: 302");
		unlike($headers->{location}, qr/\Q@{[$swift->secret]}\E/, 'without the secret');
		my (undef, $instead) = get("$url/jobs/$id/artifacts/body%20%C3%BC?redirect=false");
		like($instead, qr/^\{"url":"\Q@{[$headers->{location} =~ s{\?.*}{}rs]}\E\?/, 'or the URL as JSON');
		is((get("$url/jobs/$id/artifacts/body%20%C3%BC?redirect=maybe"))[0], 422, 'as it is asked for');
		is((get($headers->{location}))[0], 404, 'an object that is not there: the signature is good');
		is((get($headers->{location} =~ s/Signature=../Signature=00/r))[0], 403, 'another signature is not');
	}
	my $url = start('api_s3', BLOB_STORE => 's3', $swift->env);
	my $id = $stack->sql("SELECT jobsched.submit('crawl_url', jsonb_build_object('url', '$url/docs'))");
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'succeeded', 60);
	my (undef, undef, $headers) = get("$url/jobs/$id/artifacts/body");
	my ($status, $content, $there) = get($headers->{location} // 'http://127.0.0.1:1');
	is($status, 200, 'what a worker has stored there is fetched by the URL');
	is($content, (get("$url/docs"))[1], 'as it was');
	like($there->{'content-disposition'} // '', qr/^attachment; filename="body"/, 'to be saved');
};

done_testing();
