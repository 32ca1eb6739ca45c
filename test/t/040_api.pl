# The REST API: what it takes, what it refuses and how, what it says when the database is away, and how it ends.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use HTTP::Tiny;
use IO::Socket::INET;
use IPC::Run ();
use JobschedTest;
use JSON::PP ();
use POSIX ':sys_wait_h';
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'jobsched-api is not built' if !JobschedTest::built('api');

my $stack = JobschedTest->new(rabbitmq => 0, settings => { 'jobsched.retry_delay' => '1s' });
my %env = $stack->env;
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $no_id = '00000000-0000-0000-0000-000000000000';
my $started = 0;

# ---- an API of the test's own, whose exit code can be asked for ----

sub database_url
{
	return "postgresql+psycopg2://jobsched_api_login:" . $stack->read_file('data/secrets/jobsched_api_login') . "\@127.0.0.1:$env{PGPORT}/jobsched";
}

sub api
{
	my (%settings) = @_;
	my $name = 'api' . ++$started;
	mkdir $stack->dir . "/$name";
	my $pid = $stack->start_program($name, $stack->build . '/jobsched-api', API_LISTEN => '127.0.0.1:0', DATABASE_URL => database_url(),
		LOG_LEVEL => 'DEBUG', %settings);
	$stack->wait_for_log($name, qr/ listening .*port=\d+/);
	my ($port) = $stack->log_text($name) =~ / listening .*port=(\d+)/;
	return { name => $name, pid => $pid, port => $port, url => "http://127.0.0.1:$port" };
}

# The exit code, or 128 + signal; undef when it has not ended in time.
sub exit_code
{
	my ($api, $seconds) = @_;
	my $ended = eval { $stack->wait_for("the end of $api->{name}", sub { return waitpid($api->{pid}, WNOHANG) == $api->{pid} }, $seconds || 60) };
	return $ended ? ($? & 127 ? 128 + ($? & 127) : $? >> 8) : undef;
}

sub stop { my ($api) = @_; kill 'TERM', $api->{pid}; return exit_code($api) }

# (status, headers, decoded body, seconds)
sub ask
{
	my ($api, $method, $path, $body, $headers) = @_;
	my %request = (headers => { %{ $headers || {} } });
	if (defined $body)
	{
		$request{content} = ref $body ? $json->encode($body) : $body;
		$request{headers}{'Content-Type'} //= 'application/json';
	}
	my $since = time;
	my $answer = HTTP::Tiny->new(timeout => 30)->request($method, $api->{url} . $path, \%request);
	my $content = $answer->{content};
	if (($answer->{headers}{'content-type'} // '') =~ m{^application/(problem\+)?json} && length $content) { $content = $json->decode($content) }
	return ($answer->{status}, $answer->{headers}, $content, time - $since);
}

# Bytes to a fresh connection; what comes back until the server closes it or, having begun, says nothing for a second.
sub raw
{
	my ($api, @parts) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $api->{port}, Timeout => 5) or die "connect: $!";
	local $SIG{PIPE} = 'IGNORE';
	for my $part (@parts) { syswrite $socket, $part; }
	my $answer = '';
	my $bits = '';
	vec($bits, fileno($socket), 1) = 1;
	while (select(my $ready = $bits, undef, undef, length $answer ? 1 : 20))
	{
		sysread($socket, my $more, 65536) or return ($answer, 1);
		$answer .= $more;
	}
	return ($answer, 0);
}

sub post_text { my ($body, $headers) = @_; return "POST /jobs HTTP/1.1\r\nHost: localhost\r\n" . ($headers // '') . 'Content-Length: ' . length($body) . "\r\n\r\n$body" }

# Holds a lock that every call needs, in another session, until ->() is called.
sub hold_lock
{
	my ($in, $out) = ("BEGIN; LOCK TABLE jobsched.timers IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n", '');
	local %ENV = (%ENV, %env);
	my $psql = IPC::Run::start([$stack->bin . '/psql', '-XAtq', '-U', 'postgres', '-d', 'jobsched'], '<', \$in, '>', \$out, '2>', \my $err);
	$stack->wait_for('the lock', sub { $psql->pump_nb; return $out =~ /locked/ });
	return sub { $in = "COMMIT;\n"; $psql->finish; return };
}

# A request in another process; ->() gives its status, body and seconds.
sub in_background
{
	my @request = @_;
	pipe my $read, my $write or die $!;
	my $pid = fork // die $!;
	if (!$pid)
	{
		my ($status, $headers, $body, $seconds) = eval { ask(@request) };
		print {$write} $json->encode([$status // 599, $body, $seconds]);
		close $write;
		POSIX::_exit(0);
	}
	close $write;
	return sub { local $/ = undef; my $answer = <$read>; waitpid $pid, 0; return @{ $json->decode($answer) } };
}

my %once = (name => 'echo', frequency => 'once', next_run_time => 4102444800);
my %cron = (name => 'echo', frequency => 'cron', cron => '*/5 * * * *');
my $api = api(API_REQUEST_TIMEOUT => 4);

# ---- a job's life ----

subtest 'ready before the first job' => sub {
	my ($status, $headers, $body);
	ok(eval { $stack->wait_for('readiness', sub { ($status, $headers, $body) = ask($api, 'GET', '/readyz'); return $status == 200 }) }, 'ready') or diag(explain($body));
	ok($body->{code} eq 'idle' && $body->{scheduler} =~ /no job yet/, 'the scheduler idles') or diag(explain($body));
};

subtest 'a job is submitted, read and cancelled' => sub {
	my ($status, $headers, $job) = ask($api, 'POST', '/jobs', { %once, payload => { a => [1, "\x{fc}", undef] }, max_retries => 2, queue => 'jobs', priority => 7, timeout => 1.5 });
	is($status, 201, 'created');
	is($headers->{location}, "/jobs/$job->{id}", 'Location names it');
	is($headers->{'content-type'}, 'application/json', 'as JSON');
	is_deeply([@$job{qw(name frequency status queue priority max_retries timeout next_run_time next_run_at cron last_execution)}],
		['echo', 'once', 'scheduled', 'jobs', 7, 2, 1.5, 4102444800, '2100-01-01T00:00:00.000000Z', undef, undef], 'it is what was asked for');
	is_deeply($job->{payload}, { a => [1, "\x{fc}", undef] }, 'with its payload');
	is($stack->sql("SELECT status FROM jobsched.job_status WHERE id = '$job->{id}'"), 'scheduled', 'and is there in SQL');

	my $id = $job->{id};
	($status, $headers, $job) = ask($api, 'GET', "/jobs/$id");
	is_deeply([$status, $job->{id}], [200, $id], 'GET gives it');
	is((ask($api, 'GET', '/jobs/' . uc $id))[0], 200, 'an id may be written in capitals');
	($status, $headers, $job) = ask($api, 'DELETE', "/jobs/$id");
	is_deeply([$status, $job->{id}, $job->{status}], [200, $id, 'cancelled'], 'DELETE cancels it');
	($status, $headers, $job) = ask($api, 'DELETE', "/jobs/$id");
	is_deeply([$status, $job->{status}], [200, 'cancelled'], 'once more changes nothing');

	($status, $headers, $job) = ask($api, 'POST', '/jobs', { %once, unique_key => 'k1' });
	is($status, 201, 'a unique_key for the first time');
	my $first = $job->{id};
	($status, $headers, $job) = ask($api, 'POST', '/jobs', { %once, unique_key => 'k1' });
	is_deeply([$status, $job->{id}, $headers->{location}], [200, $first, undef], 'the second time gives the same job');
};

# ---- what is taken ----

my @good = (
	['epoch seconds' => {%once}],
	['a fraction of a second' => { %once, next_run_time => 4102444800.25 }],
	['a time that is over' => { %once, next_run_time => 1 }],
	['RFC 3339, UTC' => { %once, next_run_time => '2100-01-01T00:00:00Z' }],
	['RFC 3339, offset and fraction' => { %once, next_run_time => '2100-01-01T02:00:00.5+02:00' }],
	['cron' => {%cron}],
	['cron in a zone' => { %cron, time_zone => 'UTC' }],
	['an array' => { %once, payload => [1, 2] }],
	['a text' => { %once, payload => 'text' }],
	['null fields' => { %once, cron => undef, queue => undef, unique_key => undef, timeout => undef, max_retries => undef, priority => undef, time_zone => undef }],
	['max_retries 0' => { %once, max_retries => 0 }],
	['numbers beyond 64 bits' => '{"name":"echo","frequency":"once","next_run_time":4102444800,"payload":{"n":123456789012345678901234567890},"max_retries":2}'],
	['blanks around it' => "  \n" . $json->encode({%once}) . "\r\n\t"],
	['escapes' => '{"name":"ec\u0068o","frequency":"once","next_run_time":4102444800,"payload":"\ud83d\ude00"}'],
	['a name of 255 characters' => { %once, name => 'x' x 255 }],
);

subtest 'good jobs' => sub {
	for (@good)
	{
		my ($what, $body) = @$_;
		my ($status, $headers, $job) = ask($api, 'POST', '/jobs', $body);
		is($status, 201, $what) or diag(explain($job));
	}
	my ($status, $headers, $job) = ask($api, 'POST', '/jobs', $good[11][1]);
	is($stack->sql("SELECT payload->>'n' FROM jobsched.job_status WHERE id = '$job->{id}'"), '123456789012345678901234567890', 'a large number arrives whole');
	is((ask($api, 'POST', '/jobs', {%once}, { 'Content-Type' => 'Application/JSON; charset=UTF-8' }))[0], 201, 'Content-Type in any case, with parameters');
	like((raw($api, post_text($json->encode({%once}))))[0], qr{^HTTP/1.1 201 }, 'Content-Type left out');
	my $text = $json->encode({%once});
	like((raw($api, sprintf "POST /jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", length $text, $text))[0],
		qr{^HTTP/1.1 201 }, 'chunked');
};

# ---- what is refused ----

# what, body, status, field (undef: none), pattern of detail or hint
my @bad = (
	['nothing', '', 400, undef, qr/body is empty/],
	['no JSON', 'name=echo', 400, undef, qr/not JSON: line 1, column/],
	['half of it', '{"name":"echo"', 400, undef, qr/not JSON/],
	['text after it', $json->encode({%once}) . ' x', 400, undef, qr/end of file expected/],
	['not UTF-8', "{\"name\":\"\xff\"}", 400, undef, qr/not JSON/],
	['half a surrogate pair', '{"name":"\ud800"}', 400, undef, qr/not JSON/],
	['a key twice', '{"name":"a","name":"b"}', 400, undef, qr/duplicate object key/],
	['a key twice in the payload', '{"name":"a","frequency":"once","next_run_time":1,"payload":{"a":{"k":1,"k":1}}}', 400, undef, qr/duplicate object key/],
	['3000 levels', '{"name":"a","frequency":"once","next_run_time":1,"payload":' . '[' x 3000 . ']' x 3000 . '}', 400, undef, qr/too deeply/],
	['NUL in a name', '{"name":"a\u0000","frequency":"once","next_run_time":1}', 422, undef, qr/\\u0000/],
	['NUL in the payload', '{"name":"a","frequency":"once","next_run_time":1,"payload":{"a":"\u0000"}}', 422, undef, qr/\\u0000/],
	['a number beyond a double', '{"name":"a","frequency":"once","next_run_time":1,"payload":[1e999]}', 422, undef, qr/too large/],
	['an array', '[]', 422, undef, qr/body is \[\]; allowed: a JSON object/],
	['a number', '5', 422, undef, qr/body is 5/],
	['an unknown field', { %once, nmae => 1 }, 422, 'nmae', qr/unknown field "nmae"; allowed: name, payload/],
	['no name', { frequency => 'once', next_run_time => 1 }, 422, 'name', qr/name is missing; allowed: a string/],
	['null name', { %once, name => undef }, 422, 'name', qr/name is null/],
	['name of a wrong type', { %once, name => 5 }, 422, 'name', qr/name is 5; allowed: a string/],
	['empty name', { %once, name => '' }, 422, 'name', qr/name/],
	['name too long', { %once, name => 'x' x 256 }, 422, 'name', qr/name/],
	['control character in name', { %once, name => "a\nb" }, 422, 'name', qr/name/],
	['no frequency', { name => 'a', next_run_time => 1 }, 422, 'frequency', qr/frequency is missing; allowed: "once" or "cron"/],
	['other frequency', { %once, frequency => 'daily' }, 422, 'frequency', qr/frequency is "daily"; allowed: "once" or "cron"/],
	['once without time', { name => 'a', frequency => 'once' }, 422, 'next_run_time', qr/next_run_time is missing/],
	['once with null time', { %once, next_run_time => undef }, 422, 'next_run_time', qr/next_run_time is missing/],
	['once with cron', { %once, cron => '* * * * *' }, 422, 'cron', qr/only with frequency "cron"/],
	['cron without cron', { name => 'a', frequency => 'cron' }, 422, 'cron', qr/cron is missing/],
	['cron with time', { %cron, next_run_time => 1 }, 422, 'next_run_time', qr/only with frequency "once"/],
	['time of a wrong type', { %once, next_run_time => [] }, 422, 'next_run_time', qr/next_run_time is \[\]; allowed: a number of seconds/],
	['time that is none', { %once, next_run_time => 'tomorrow' }, 422, 'next_run_time', qr/next_run_time is "tomorrow"; allowed: .*RFC 3339/],
	['time without zone', { %once, next_run_time => '2100-01-01T00:00:00' }, 422, 'next_run_time', qr/RFC 3339/],
	['time that is on no clock', { %once, next_run_time => '2100-13-01T00:00:00Z' }, 422, qr/^(next_run_time)?$/, qr/2100-13-01/],
	['time beyond all calendars', '{"name":"a","frequency":"once","next_run_time":1e300}', 422, 'next_run_time', qr/next_run_time/],
	['cron that is none', { %cron, cron => '61 * * * *' }, 422, 'cron', qr/61/],
	['cron of a wrong type', { %cron, cron => 5 }, 422, 'cron', qr/cron is 5; allowed: a string/],
	['unknown zone', { %cron, time_zone => 'Mars/Olympus' }, 422, 'time_zone', qr{Mars/Olympus}],
	['payload a number', { %once, payload => 5 }, 422, 'payload', qr/payload is 5; allowed: an object, an array or a string/],
	['payload null', { %once, payload => undef }, 422, 'payload', qr/payload is null/],
	['priority 10', { %once, priority => 10 }, 422, 'priority', qr/10/],
	['priority as a string', { %once, priority => '5' }, 422, 'priority', qr/priority is "5"; allowed: an integer/],
	['max_retries -1', { %once, max_retries => -1 }, 422, 'max_retries', qr/-1/],
	['max_retries 1001', { %once, max_retries => 1001 }, 422, 'max_retries', qr/1001/],
	['max_retries 2.5', '{"name":"a","frequency":"once","next_run_time":1,"max_retries":2.5}', 422, 'max_retries', qr/max_retries is 2.5/],
	['max_retries beyond 32 bits', '{"name":"a","frequency":"once","next_run_time":1,"max_retries":99999999999}', 422, 'max_retries', qr/99999999999/],
	['timeout -1', { %once, timeout => -1 }, 422, 'timeout', qr/timeout/],
	['timeout as a string', { %once, timeout => '5s' }, 422, 'timeout', qr/timeout is "5s"; allowed: a number of seconds/],
	['timeout beyond all intervals', '{"name":"a","frequency":"once","next_run_time":1,"timeout":1e300}', 422, 'timeout', qr/timeout/],
	['empty queue', { %once, queue => '' }, 422, 'queue', qr/queue/],
	['queue of a wrong type', { %once, queue => {} }, 422, 'queue', qr/queue is \{\}; allowed: a string/],
	['unique_key of a wrong type', { %once, unique_key => 1 }, 422, 'unique_key', qr/unique_key is 1; allowed: a string/],
);

subtest 'bad jobs' => sub {
	my $before = $stack->sql('SELECT count(*) FROM jobsched.jobs');
	for (@bad)
	{
		my ($what, $body, $expected, $field, $pattern) = @$_;
		my ($status, $headers, $problem) = ask($api, 'POST', '/jobs', $body);
		my $said = ref $problem ? join(' ', grep { defined } @$problem{qw(detail hint)}) : $problem;
		ok($status == $expected && $headers->{'content-type'} eq 'application/problem+json' && $problem->{status} == $status
			&& $problem->{type} =~ /^urn:jobsched:problem:/ && $problem->{title} && ($problem->{field} // '') =~ (ref $field ? $field : '^' . ($field // '') . '$') && $said =~ $pattern,
			"$what: $expected") or diag("status $status, ", explain($problem));
	}
	is($stack->sql('SELECT count(*) FROM jobsched.jobs'), $before, 'none of them became a job');
};

# ---- many at once ----

subtest 'a batch' => sub {
	my $before = $stack->sql('SELECT count(*) FROM jobsched.jobs');
	my @jobs = ({ %once, payload => { a => "\x{fc}" } }, { %once, priority => 10 }, { %once, nmae => 1 }, 'text', {%cron}, { %once, unique_key => 'b2' }, { %once, unique_key => 'b1' },
		{ %once, unique_key => 'b2' }, { %once, next_run_time => '2100-02-30T00:00:00Z' });
	my ($status, $headers, $body) = ask($api, 'POST', '/jobs/batch', { jobs => \@jobs });
	is($status, 200, 'is answered');
	is_deeply([@$body{qw(created existing failed)}], [4, 1, 4], 'and counted') or diag(explain($body));
	my @items = @{ $body->{jobs} };
	is_deeply([map { $_->{problem} ? $_->{problem}{field} // $_->{problem}{type} : $_->{created} ? 'created' : 'there' } @items],
		['created', 'priority', 'nmae', 'urn:jobsched:problem:not-an-object', 'created', 'created', 'created', 'there', 'next_run_time'], 'each item by itself, in order') or diag(explain($body));
	is_deeply([map { $_->{problem}{status} } grep { $_->{problem} } @items], [(422) x 4], 'with its status');
	is($items[7]{id}, $items[5]{id}, 'the same key gives the same job');
	is((ask($api, 'GET', "/jobs/$items[0]{id}"))[2]{payload}{a}, "\x{fc}", 'the first is the first');
	is((ask($api, 'GET', "/jobs/$items[6]{id}"))[2]{unique_key}, 'b1', 'a keyed one is itself');
	is($stack->sql('SELECT count(*) FROM jobsched.jobs'), $before + 4, 'no more and no less is stored');

	($status, $headers, $body) = ask($api, 'POST', '/jobs/batch', { jobs => [ {}, 1 ] });
	is_deeply([$status, @$body{qw(created existing failed)}], [200, 0, 0, 2], 'nothing but bad ones');
	($status, $headers, $body) = ask($api, 'POST', '/jobs/batch', { jobs => [ map { +{ %once, payload => $_ % 7 ? { n => $_ } : $_ } } 1 .. 1000 ] });
	is_deeply([$status, @$body{qw(created existing failed)}], [200, 858, 0, 142], '1,000 items');
	for (['more than 1000', { jobs => [ (1) x 1001 ] }, 422, qr/more than 1000 items/], ['no array', { jobs => {} }, 422, qr/jobs is \{\}/], ['an array', [], 422, qr/object with "jobs"/],
		['nothing', '', 400, qr/empty/], ['no JSON inside', '{"jobs":[{"name":}]}', 400, qr/not JSON: line 1/], ['half of it', '{"jobs":[' . $json->encode({%once}), 400, qr/expected/])
	{
		my ($what, $sent, $expected, $pattern) = @$_;
		($status, $headers, $body) = ask($api, 'POST', '/jobs/batch', $sent);
		ok($status == $expected && $body->{detail} =~ $pattern, "$what: $expected") or diag($status, explain($body));
	}
	is((ask($api, 'POST', '/jobs/batch', '{}', { 'Content-Type' => 'text/plain' }))[0], 415, 'of another media type');
	is_deeply([(ask($api, 'GET', '/jobs/batch'))[0, 1]]->[1]{allow}, 'POST, OPTIONS', 'GET is not for it');
};

subtest 'paths and methods' => sub {
	for my $path ('/nothing', '/jobs/', "/jobs/$no_id/x", '/jobs//', '/Jobs')
	{
		my ($status, $headers, $problem) = ask($api, 'GET', $path);
		is_deeply([$status, $problem->{status}], [404, 404], "404 for $path");
	}
	for my $id ('xyz', '1', "{$no_id}", substr($no_id, 1), 'g' . substr $no_id, 1)
	{
		my ($status, $headers, $problem) = ask($api, 'GET', "/jobs/$id");
		is_deeply([$status, $problem->{type}], [404, 'urn:jobsched:problem:unknown-job'], "404 for the id $id");
	}
	for my $method ('GET', 'DELETE')
	{
		my ($status, $headers, $problem) = ask($api, $method, "/jobs/$no_id");
		is_deeply([$status, $problem->{sqlstate}], [404, 'JS002'], "404 for $method of an unknown id");
		like($problem->{detail}, qr/$no_id/, 'which it names');
	}
	my ($status, $headers, $problem) = ask($api, 'PUT', '/jobs');
	is_deeply([$status, $headers->{allow}], [405, 'GET, HEAD, POST, OPTIONS'], '405 for PUT /jobs');
	($status, $headers, $problem) = ask($api, 'POST', "/jobs/$no_id", '{}');
	is_deeply([$status, $headers->{allow}], [405, 'GET, HEAD, PATCH, DELETE, OPTIONS'], '405 for POST of a job');
	($status, $headers) = ask($api, 'OPTIONS', '/jobs');
	is_deeply([$status, $headers->{allow}], [204, 'GET, HEAD, POST, OPTIONS'], 'OPTIONS');
	my ($answer) = raw($api, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
	ok($answer =~ m{^HTTP/1.1 200 .*\r\n\r\n$}s, 'HEAD: headers only');
	($answer) = raw($api, "HEAD /jobs/$no_id HTTP/1.1\r\nHost: localhost\r\n\r\n");
	ok($answer =~ m{^HTTP/1.1 404 .*\r\n\r\n$}s, 'HEAD of an unknown job');
	($status, $headers, $answer) = ask($api, 'GET', '/');
	ok($status == 200 && $answer =~ m{POST +/jobs} && $answer =~ m{/readyz}, 'GET / lists what there is');
	is((ask($api, 'GET', '/healthz?x=1'))[0], 200, 'a query is no part of the path');
};

subtest 'limits and media types' => sub {
	for my $type ('text/plain', 'application/jsonx', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x')
	{
		is((ask($api, 'POST', '/jobs', $json->encode({%once}), { 'Content-Type' => $type }))[0], 415, "415 for $type");
	}
	my $frame = length $json->encode({ %once, payload => '' });
	my ($status, $headers, $problem) = ask($api, 'POST', '/jobs', { %once, payload => 'x' x (1048576 - $frame) });
	is($status, 201, 'a body of 1 MiB');
	($status, $headers, $problem) = ask($api, 'POST', '/jobs', { %once, payload => 'x' x (1048577 - $frame) });
	is_deeply([$status, $problem->{type}], [413, 'urn:jobsched:problem:too-large'], 'one byte more is too large');
	like($problem->{detail}, qr/1048577 bytes; allowed: up to 1048576/, 'and says so');
	is((ask($api, 'POST', '/jobs', 'x' x 6_000_000))[0], 413, 'so is very much more');
	like((raw($api, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " . 'a' x 20_000 . "\r\n\r\n"))[0], qr{^HTTP/1.1 431 }, 'headers of 20,000 bytes are refused');
};

subtest 'connections' => sub {
	my ($answer, $closed) = raw($api, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
	ok(!$closed, 'HTTP/1.1 is kept alive');
	($answer, $closed) = raw($api, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	ok($closed && $answer =~ /^Connection: close\r$/mi, 'unless it asks for the end');
	($answer, $closed) = raw($api, "GET /healthz HTTP/1.0\r\n\r\n");
	ok($closed && $answer =~ / 200 OK/, 'HTTP/1.0 is not');
	my $job = post_text($json->encode({%once}));
	($answer, $closed) = raw($api, $job . $job . "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
	my @statuses = $answer =~ m{HTTP/1.1 (\d+)}g;
	is_deeply(\@statuses, [201, 201, 404], 'pipelined requests are answered in order');
	($answer, $closed) = raw($api, "DELETE /jobs/$no_id HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is_deeply([$answer =~ m{HTTP/1.1 (\d+)}g], [404, 200], 'a body where none is needed is read over');

	my %ambiguous = (
		'two lengths' => "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		'length and chunks' => "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		'a signed length' => "Content-Length: +5\r\n\r\nhello",
		'a negative length' => "Content-Length: -5\r\n\r\nhello",
		'a length that is none' => "Content-Length: 5x\r\n\r\nhello",
	);
	for my $what (sort keys %ambiguous)
	{
		($answer, $closed) = raw($api, "POST /jobs HTTP/1.1\r\nHost: localhost\r\n$ambiguous{$what}GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
		ok($answer =~ m{^HTTP/1.1 400 } && $closed && (() = $answer =~ m{HTTP/1.1 }g) == 1, "$what: 400 and the end of the connection")
			or diag($answer);
	}
	($answer, $closed) = raw($api, "\x00\x01\x02\r\n\r\n");
	ok($closed && $answer =~ / 400 /, 'what is no HTTP: 400');
	($answer, $closed) = raw($api, "POST /jobs HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
	like($answer, qr{^HTTP/1.1 100 }, 'Expect: 100-continue');
};

# ---- ready or not ----

sub ready { my ($status, $headers, $body) = ask($api, 'GET', '/readyz'); return ($status, $body) }
sub await_ready
{
	my ($expected, $what) = @_;
	my ($status, $body);
	ok(eval { $stack->wait_for("readiness $expected", sub { ($status, $body) = ready(); return $status == $expected }) }, $what) or diag($status, explain($body));
	return $body;
}

subtest 'ready, not ready, ready' => sub {
	my $body = await_ready(200, 'ready');
	ok($body->{ready} && $body->{code} eq 'running' && $body->{database} eq 'connected' && $body->{scheduler} eq 'running' && $body->{adopted}, 'it says what it found') or diag(explain($body));

	$stack->guc('jobsched.enabled' => 'off');
	$body = await_ready(503, 'not ready when the scheduler is switched off');
	is($body->{code}, 'disabled', 'which it says');
	$stack->guc('jobsched.enabled' => undef);
	await_ready(200, 'ready again');

	$stack->sql('UPDATE jobsched.cluster SET system_identifier = system_identifier || \'0\'');
	$body = await_ready(503, 'not ready in a copy');
	is($body->{code}, 'not_adopted', 'which it says');
	$stack->sql('SELECT jobsched.adopt()');
	await_ready(200, 'ready once it is adopted');

	$stack->sql('ALTER FUNCTION jobsched.health() RENAME TO health_gone');
	$body = await_ready(503, 'not ready without the function');
	is_deeply([@$body{qw(code database)}], ['failed', 'connected'], 'though the database is there');
	$stack->sql('ALTER FUNCTION jobsched.health_gone() RENAME TO health');
	await_ready(200, 'ready when it is back, on the same connections');
};

subtest 'a database without the extension' => sub {
	$stack->sql('CREATE DATABASE empty');
	my $other = api(DATABASE_URL => database_url() =~ s{/jobsched$}{/empty}r);
	$stack->wait_for_log($other->{name}, qr/database connected/);
	my ($status, $headers, $body) = ask($other, 'POST', '/jobs', {%once});
	is_deeply([$status, $body->{type}, $headers->{'retry-after'}], [503, 'urn:jobsched:problem:not-installed', 1], '503: the extension is missing');
	($status, $headers, $body) = ask($other, 'GET', '/readyz');
	is_deeply([$status, $body->{database}], [503, 'connected'], 'and not ready');
	is(stop($other), 0, 'ends');
};

# ---- errors of the database ----

subtest 'what the database says becomes a status, and no more' => sub {
	my $replace = sub { $stack->sql("CREATE OR REPLACE FUNCTION jobsched.rest_get_many(ids uuid[], brief boolean DEFAULT false) RETURNS TABLE (id uuid, job text) LANGUAGE plpgsql STABLE ROWS 64 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS \$\$ BEGIN $_[0] END \$\$") };
	my $original = $stack->sql("SELECT pg_get_functiondef('jobsched.rest_get_many(uuid[], boolean)'::regprocedure)");
	for (['JS003', 409, 'conflict'], ['42501', 403, 'forbidden'], ['53300', 503, 'unavailable'], ['40P01', 503, 'unavailable'], ['XX000', 500, 'internal'])
	{
		my ($sqlstate, $expected, $type) = @$_;
		$replace->("RAISE EXCEPTION 'words of the server' USING ERRCODE = '$sqlstate';");
		my ($status, $headers, $problem) = ask($api, 'GET', "/jobs/$no_id");
		is_deeply([$status, $problem->{sqlstate}, $problem->{type}], [$expected, $sqlstate, "urn:jobsched:problem:$type"], "$sqlstate: $expected");
		is($headers->{'retry-after'}, $status == 503 ? 1 : undef, 'Retry-After only with 503');
		unlike($json->encode($problem), qr/words of the server/, 'what was not foreseen is not shown') if $status == 500;
	}
	like($stack->log_text($api->{name}), qr/ERROR .*database error .*sqlstate=XX000 message="words of the server"/, 'but logged');
	$replace->("PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5);");
	my ($status, $headers, $problem) = ask($api, 'GET', "/jobs/$no_id");
	is_deeply([$status, $problem->{sqlstate}], [503, '57P01'], 'a session that is ended under a request: 503');
	$stack->sql($original);
	is((ask($api, 'GET', "/jobs/$no_id"))[0], 404, 'and the next one is served');
};

# ---- time ----

subtest 'a database that is slow' => sub {
	my $unlock = hold_lock();
	my @waiting = map { in_background($api, 'POST', '/jobs', {%once}) } 1 .. 8;
	my ($status, $headers, $body, $seconds) = ask($api, 'GET', '/healthz');
	ok($status == 200 && $seconds < 3.5, 'healthz is served meanwhile');
	my @answers = map { [$_->()] } @waiting;
	is_deeply([map { $_->[0] } @answers], [(503) x 8], 'every waiting request is answered 503');
	ok((!grep { $_->[2] > 9 } @answers), 'soon after the limit of 4 s') or diag(explain(\@answers));
	is_deeply([grep { $_->[1]{type} ne 'urn:jobsched:problem:unavailable' } @answers], [], 'knowing that nothing was done');
	$unlock->();
	is((ask($api, 'POST', '/jobs', {%once}))[0], 201, 'then it goes on');
};

subtest 'a database that hangs' => sub {
	my $postmaster = $stack->pid('postgres');
	# a process may end while this looks; that is not ours then
	my $parent = sub { my ($pid) = @_; open my $stat, '<', "/proc/$pid/stat" or return 0; return (<$stat> // '') =~ /^\d+ \(.*\) \S (\d+)/ ? $1 : 0 };
	my @family = ($postmaster, grep { $parent->($_) == $postmaster } map { m{/(\d+)/} } glob '/proc/[0-9]*/stat');
	kill 'STOP', @family;
	my ($status, $headers, $problem, $seconds) = ask($api, 'POST', '/jobs', {%once});
	kill 'CONT', @family;
	is($status, 503, 'a POST is answered');
	cmp_ok($seconds, '<', 9, 'soon after the limit');
	is($problem->{type}, 'urn:jobsched:problem:outcome-unknown', 'saying that it may have been accepted');
	like($problem->{hint}, qr/unique_key/, 'and how to be safe');
	await_ready(200, 'it recovers');
};

subtest 'a database that is away' => sub {
	$stack->stop_postgres;
	$stack->wait_for_log($api->{name}, qr/ERROR \S+ database (lost|unavailable)/);
	$stack->wait_for('an immediate answer', sub { my @answer = ask($api, 'GET', '/readyz'); return $answer[0] == 503 && $answer[3] < 0.5 });
	for (['POST', '/jobs', {%once}], ['GET', "/jobs/$no_id"], ['DELETE', "/jobs/$no_id"])
	{
		my ($status, $headers, $problem, $seconds) = ask($api, @$_);
		is_deeply([$status, $headers->{'retry-after'}, $problem->{type}], [503, 1, 'urn:jobsched:problem:unavailable'], "$_->[0] $_->[1]: 503");
		cmp_ok($seconds, '<', 3, 'at once, not after the limit of 4 s');
	}
	my ($status, $headers, $body) = ask($api, 'GET', '/readyz');
	ok($status == 503 && !$body->{ready} && $body->{code} eq 'not_connected' && $body->{detail}, 'readyz says what is missing');
	is((ask($api, 'GET', '/healthz'))[0], 200, 'healthz does not need it');
	is((ask($api, 'POST', '/jobs', '{'))[0], 400, 'neither does the check of a body');

	my $other = api();
	$stack->wait_for('the first attempt of another', sub { return (ask($other, 'POST', '/jobs', {%once}))[0] == 503 });
	pass('an API that starts without database serves');

	$stack->start_postgres;
	for my $each ($api, $other)
	{
		ok(eval { $stack->wait_for('recovery', sub { return (ask($each, 'POST', '/jobs', {%once}))[0] == 201 }) }, 'both come back by themselves');
	}
	is(stop($other), 0, 'ends');
	my @lost = $stack->log_text($api->{name}) =~ /database lost/g;
	cmp_ok(scalar @lost, '<=', 2, 'the log says once that it was lost') or diag($stack->log_text($api->{name}));
};

subtest 'a database killed under load loses no accepted job' => sub {
	my (%accepted, $unknown);
	my $deadline = time + 6;
	my $killed = 0;
	my $count = 0;
	while (time < $deadline || $killed < 2)
	{
		if (!$killed && time > $deadline - 5)
		{
			$stack->kill_postgres;
			$killed = 1;
		}
		elsif ($killed == 1 && time > $deadline - 4)
		{
			$stack->start_postgres;
			$deadline = time + 3;
			$killed = 2;
		}
		my $key = 'load-' . ++$count;
		my ($status, $headers, $job) = ask($api, 'POST', '/jobs', { %once, unique_key => $key });
		if ($status == 201) { $accepted{ $job->{id} } = 1 }
		elsif ($status != 503 || !$headers->{'retry-after'}) { fail("status $status"); diag(explain($job)) }
		else { sleep 0.02 }
	}
	my %there = map { $_ => 1 } split /\n/, $stack->sql("SELECT id FROM jobsched.jobs WHERE unique_key LIKE 'load-%'");
	cmp_ok(scalar keys %accepted, '>', 20, sprintf '%d accepted', scalar keys %accepted);
	is_deeply([grep { !$there{$_} } keys %accepted], [], 'all of them are there');
};

# ---- clients ----

subtest 'slow clients and many of them' => sub {
	my $small = api(API_MAX_CONNECTIONS => 10, API_READ_TIMEOUT => 2);
	my @idle = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $small->{port}) } 1 .. 10;
	my ($status, $headers, $body, $seconds) = ask($small, 'GET', '/healthz');
	is($status, 200, 'with all connections taken one more waits its turn');
	cmp_ok($seconds, '<', 20, sprintf 'and gets it when the idle ones are closed (%.1f s)', $seconds);

	my $slow = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $small->{port});
	local $SIG{PIPE} = 'IGNORE';
	my $since = time;
	my $sent = syswrite $slow, "GET /healthz HTTP/1.1\r\nX: ";
	while ($sent && time - $since < 30) { sleep 0.2; $sent = syswrite $slow, 'x' }
	cmp_ok(time - $since, '<', 25, 'a request that trickles is cut off');

	my $busy = HTTP::Tiny->new(keep_alive => 1);
	my @statuses = map { sleep 0.1; $busy->get("$small->{url}/healthz")->{status} } 1 .. 40;
	is_deeply([grep { $_ != 200 } @statuses], [], 'a connection in use lives longer than that');

	my $gone = 0;
	for (1 .. 300)
	{
		my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $small->{port}, Timeout => 5) or next;
		syswrite $socket, $_ % 3 ? post_text($json->encode({%once})) : "POST /jobs HTTP/1.1\r\nContent-Le";
		close $socket;
		$gone++;
	}
	is((ask($small, 'GET', '/healthz'))[0], 200, "$gone clients that hang up in the middle harm nobody");
	$stack->wait_for('the connections to be forgotten', sub { return (() = glob "/proc/$small->{pid}/fd/*") < 30 });
	pass('and leave no open files');
	is(stop($small), 0, 'ends');
};

# ---- start and end ----

subtest 'SIGTERM' => sub {
	my $other = api();
	my $unlock = hold_lock();
	my $idle = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $other->{port});
	my $waiting = in_background($other, 'POST', '/jobs', {%once});
	$stack->wait_for_sql("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'jobsched-api' AND wait_event_type = 'Lock')");
	kill 'TERM', $other->{pid};
	$stack->wait_for_log($other->{name}, qr/ stopping signal=SIGTERM/);
	ok(!IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $other->{port}), 'no new connections');
	ok(!defined exit_code($other, 0.3), 'it waits for the request under way');
	$unlock->();
	is(($waiting->())[0], 201, 'which gets its answer');
	is(exit_code($other), 0, 'then exit code 0');
	unlike($stack->log_text($other->{name}), qr/Sanitizer|runtime error/, 'clean');

	my $impatient = api(SHUTDOWN_TIMEOUT => 1);
	$unlock = hold_lock();
	$waiting = in_background($impatient, 'POST', '/jobs', {%once});
	$stack->wait_for_sql("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'jobsched-api' AND wait_event_type = 'Lock')");
	my $since = time;
	is(stop($impatient), 0, 'after SHUTDOWN_TIMEOUT it ends too');
	cmp_ok(time - $since, '<', 8, 'in time');
	$waiting->();

	$impatient = api();
	$waiting = in_background($impatient, 'POST', '/jobs', {%once});
	$stack->wait_for_log($impatient->{name}, qr/database connected/);
	sleep 0.3;
	kill 'TERM', $impatient->{pid};
	$stack->wait_for_log($impatient->{name}, qr/ stopping /);
	kill 'TERM', $impatient->{pid};
	is(exit_code($impatient, 15), 0, 'a second SIGTERM ends it at once');
	$waiting->();
	$unlock->();
};

subtest 'settings' => sub {
	my $program = $stack->build . '/jobsched-api';
	my ($code, $out, $err) = $stack->run($program, '--help');
	ok($code == 0 && $out =~ /API_LISTEN/ && $out =~ /API_REQUEST_TIMEOUT/ && $out =~ /SHUTDOWN_TIMEOUT/, '--help lists them');
	($code, $out, $err) = $stack->run($program, '--version');
	ok($code == 0 && $out =~ /^jobsched-api \d/, '--version');
	($code, $out, $err) = $stack->run($program, '--check-config', { env => { DATABASE_URL => 'postgresql://u:hunter2@h/d?sslpassword=hunter3', API_LISTEN => '[::1]:81' } });
	ok($code == 0 && $out =~ m{^DATABASE_URL=postgresql://u:\*\*\*\@h/d\?sslpassword=\*\*\*$}m && $out =~ /^API_LISTEN=\[::1\]:81$/m && "$out$err" !~ /hunter/,
		'--check-config shows what would be used, without passwords') or diag($out, $err);
	($code, $out, $err) = $stack->run($program, '--nonsense');
	is($code, 2, 'an unknown option: exit code 2');
	($code, $out, $err) = $stack->run($program, 'nonsense');
	is($code, 2, 'an argument too');

	my @wrong = (
		[API_LISTEN => '0.0.0.0:8000', qr/API_LISTEN is "0.0.0.0" port 8000, not a loopback address/],
		[API_LISTEN => '8000', qr/API_LISTEN is "8000"; allowed/],
		[API_DB_CONNECTIONS => '0', qr/API_DB_CONNECTIONS is "0"; allowed: a whole number from 1 to 64/],
		[API_REQUEST_TIMEOUT => 'soon', qr/API_REQUEST_TIMEOUT is "soon"; allowed: seconds from 0.1 to 300/],
		[API_MAX_CONNECTIONS => '1e3', qr/API_MAX_CONNECTIONS is "1e3"; allowed/],
		[LOG_LEVEL => 'LOUD', qr/LOG_LEVEL is "LOUD"; allowed: DEBUG INFO WARNING/],
		[LOG_FORMAT => 'xml', qr/LOG_FORMAT is "xml"; allowed: text json/],
		[DATABASE_URL => 'postgresql://u:hunter2@[x/d', qr/DATABASE_URL cannot be understood/],
	);
	for (@wrong)
	{
		my ($name, $value, $pattern) = @$_;
		($code, $out, $err) = $stack->run($program, { env => { API_LISTEN => '127.0.0.1:0', $name => $value }, timeout => 60 });
		ok($code == 2 && $err =~ $pattern && $err !~ /hunter/, "$name=$value: exit code 2 and why") or diag($code, $err);
	}
	($code, $out, $err) = $stack->run($program, { env => { API_LISTEN => "127.0.0.1:$api->{port}" }, timeout => 60 });
	ok($code == 1 && $err =~ /cannot listen on 127.0.0.1 port $api->{port}: Address already in use/, 'a port that is taken: exit code 1 and why') or diag($code, $err);

	mkdir $stack->dir . '/json';
	my $pid = $stack->start_program('json', $program, API_LISTEN => '127.0.0.1:0', DATABASE_URL => database_url(), LOG_FORMAT => 'json');
	$stack->wait_for_log('json', qr/"event":"database connected"/);
	kill 'TERM', $pid;
	is(exit_code({ pid => $pid, name => 'json' }), 0, 'LOG_FORMAT=json');
	my @lines = map { $json->decode($_) } split /\n/, $stack->log_text('json');
	is_deeply([map { $_->{event} } @lines], ['starting', 'listening', 'database connected', 'stopping', 'stopped'], 'an object a line, one an event');
};

is(stop($api), 0, 'the API that has seen it all ends with exit code 0');
my @logs = map { $stack->log_text("api$_") } 1 .. $started;
is((scalar grep { /Sanitizer|runtime error/ } @logs), 0, 'no sanitizer has found anything');
my $password = $stack->read_file('data/secrets/jobsched_api_login');
is((scalar grep { /\Q$password\E/ } @logs), 0, 'no log holds the password');

done_testing();
