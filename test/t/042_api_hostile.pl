# test: alone, 30 s
# Clients that mean harm, or do not know better: each gets the right status as problem+json, and nobody else notices.
use strict;
use warnings;

# More files than a session may usually have open.
BEGIN { if (!$ENV{MORE_FILES}) { $ENV{MORE_FILES} = 1; exec 'sh', '-c', 'ulimit -Sn "$(ulimit -Hn)"; exec "$@"', 'sh', $^X, (map { "-I$_" } @INC), $0, @ARGV } }

use FindBin;
use lib "$FindBin::Bin/../perl";
use IO::Select;
use IO::Socket::INET;
use JobschedTest;
use JSON::PP ();
use Socket qw(SOL_SOCKET SO_LINGER SO_RCVBUF SHUT_WR);
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'jobsched-api is not built' if !JobschedTest::built('api');

my $stack = JobschedTest->new(rabbitmq => 0, settings => { API_READ_TIMEOUT => 3, LOG_LEVEL => 'INFO' });
$stack->start_api;
my ($port) = $stack->api_url =~ /:(\d+)$/;
my $pid = $stack->pid('api');
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my %once = (name => 'echo', frequency => 'once', next_run_time => 4102444800);
my $job = $json->encode({%once});
$SIG{PIPE} = 'IGNORE';

sub client
{
	my ($receive_buffer) = @_;
	my $socket = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";
	setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack 'i', $receive_buffer if $receive_buffer;
	connect $socket, IO::Socket::INET::pack_sockaddr_in($port, IO::Socket::INET::inet_aton('127.0.0.1')) or die "connect: $!";
	$socket->autoflush(1);
	return $socket;
}

# What comes until the server closes or is silent for so long; (text, whether it closed)
sub receive
{
	my ($socket, $silence) = @_;
	my ($text, $select) = ('', IO::Select->new($socket));
	while ($select->can_read($silence // 2)) { sysread $socket, my $more, 65536 or return ($text, 1); $text .= $more }
	return ($text, 0);
}

# Sends this and waits until the server closes; (text, closed)
sub raw
{
	my ($bytes) = @_;
	my $socket = client();
	syswrite $socket, $bytes;
	return receive($socket, 20);
}

# The answers in a text: [status, headers, body]
sub answers
{
	my ($text) = @_;
	my @answers;
	while ($text =~ s{^HTTP/1\.1 (\d+) [^\r\n]*\r\n(.*?)\r\n\r\n}{}s)
	{
		my ($status, $head) = ($1, $2);
		my %head = map { my ($name, $value) = split /: /, $_, 2; (lc $name => $value) } split /\r\n/, $head;
		push @answers, [$status, \%head, substr $text, 0, $head{'content-length'} // 0, ''];
	}
	push @answers, ['rest', {}, $text] if length $text;
	return @answers;
}

sub is_problem
{
	my ($answer, $status) = @_;
	my $problem = eval { $json->decode($answer->[2]) };
	return $answer->[0] == $status && $answer->[1]{'content-type'} eq 'application/problem+json' && ref $problem eq 'HASH' && $problem->{status} == $status
		&& $problem->{type} =~ /^urn:jobsched:problem:/ && length $problem->{detail};
}

sub post { my ($body, $headers) = @_; return "POST /jobs HTTP/1.1\r\nHost: localhost\r\n" . ($headers // '') . 'Content-Length: ' . length($body) . "\r\n\r\n$body" }
sub head { return "POST /jobs HTTP/1.1\r\nHost: localhost\r\n" . join '', @_ }
sub open_files { my @files = glob "/proc/$pid/fd/*"; return scalar @files }
my $alive = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

# ---- requests that are none: one refusal, then the end of the connection ----

my $smuggled = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
my @broken = (
	['TLS', "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400],
	['bytes', join('', map { chr } 0 .. 255) . "\r\n\r\n", 400],
	['HTTP/0.9', "GET /\r\n\r\n", 400],
	['HTTP/2 without upgrade', "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
	['bare LF', "GET /healthz HTTP/1.1\nHost: localhost\n\n", 400],
	['no Host', "GET /healthz HTTP/1.1\r\n\r\n", 400],
	['two Hosts', "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400],
	['a folded header', "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", 400],
	['a blank before a colon', head("Content-Length : 5\r\n\r\nhello"), 400],
	['NUL in a header', "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", 400],
	['NUL in the path', "GET /jobs/\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
	['%00 in the path', "GET /jobs/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
	['no UTF-8 in the path', "GET /jobs/%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
	['a fragment', "GET /jobs#x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
	['CONNECT', "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
	['another expectation', head("Expect: tea\r\nContent-Length: 2\r\n\r\n{}"), 417],
	['a long path', 'GET /' . 'a' x 9000 . " HTTP/1.1\r\nHost: localhost\r\n\r\n", 414],
	['a path without end', 'GET /' . 'a' x 100_000, 414],
	['large headers', "GET /healthz HTTP/1.1\r\nHost: localhost\r\n" . join('', map { "X$_: " . 'a' x 1000 . "\r\n" } 1 .. 20) . "\r\n", 431],
	['many headers', "GET /healthz HTTP/1.1\r\nHost: localhost\r\n" . "X: 1\r\n" x 200 . "\r\n", 431],
	['headers without end', "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " . 'a' x 100_000, 431],
	['two lengths', head("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), 400],
	['the same length twice', head("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), 400],
	['a list of lengths', head("Content-Length: 5, 5\r\n\r\nhello"), 400],
	['a signed length', head("Content-Length: +5\r\n\r\nhello"), 400],
	['a negative length', head("Content-Length: -5\r\n\r\nhello"), 400],
	['a hexadecimal length', head("Content-Length: 0x5\r\n\r\nhello"), 400],
	['a length beyond 64 bits', head("Content-Length: 18446744073709551621\r\n\r\nhello"), 413],
	['a large length', head("Content-Length: 1048577\r\n\r\n"), 413],
	['length and chunks', head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400],
	['chunks and length', head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), 400],
	['chunks twice', head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400],
	['an unknown encoding', head("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 501],
	['an encoding that hides', head("Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"), 400],
	['two encodings', head("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501],
	['chunks in HTTP/1.0', "POST /jobs HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
	['a chunk size that is none', head("Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), 400],
	['a chunk size with a blank', head("Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n"), 400],
	['a chunk longer than its size', head("Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n"), 400],
	['a bare LF after a chunk size', head("Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"), 400],
	['a huge chunk', head("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"), 413],
	['chunks that add up', head("Transfer-Encoding: chunked\r\n\r\n") . ("10000\r\n" . 'a' x 65536 . "\r\n") x 17, 413],
	['a trailer without end', head("Transfer-Encoding: chunked\r\n\r\n0\r\n") . "X: 1\r\n" x 2000, 400],
);

subtest 'what is not HTTP' => sub {
	for (@broken)
	{
		my ($what, $bytes, $status) = @$_;
		my ($text, $closed) = raw($bytes . $smuggled);
		my @answers = answers($text);
		ok(@answers == 1 && is_problem($answers[0], $status) && $answers[0][1]{connection} eq 'close' && $closed, "$what: one $status and the end") or diag($text);
	}
};

# ---- bodies that are no jobs: refused, and the connection goes on ----

my @bodies = (
	['nothing', '', 400], ['half', '{"name":', 400], ['a key twice', '{"name":"a","name":"b"}', 400], ['no UTF-8', "{\"name\":\"\xc3\x28\"}", 400], ['overlong UTF-8', "{\"name\":\"\xc0\xaf\"}", 400],
	['a surrogate', '{"name":"\ud800"}', 400], ['a BOM', "\xef\xbb\xbf$job", 400], ['UTF-16', join('', map { "$_\0" } split //, $job), 400],
	['100,000 brackets', '[' x 100_000, 400], ['100,000 levels', '{"name":"a","frequency":"once","next_run_time":1,"payload":' . '[' x 100_000 . ']' x 100_000 . '}', 400],
	['100,000 objects', '{"a":' x 100_000, 400], ['\u0000', '{"name":"a\u0000","frequency":"once","next_run_time":1}', 422], ['a NUL', "{\"name\":\"a\0\"}", 400], ['1e999', '{"name":"a","frequency":"once","next_run_time":1e999}', 422],
	['many digits', '{"name":"a","frequency":"once","next_run_time":1,"payload":[' . '9' x 100_000 . ']}', 422], ['a time that is no number', '{"name":"a","frequency":"once","next_run_time":NaN}', 400],
	['a wrong type', '{"name":[],"frequency":"once","next_run_time":1}', 422], ['text', '"x"', 422], ['true', 'true', 422], ['__proto__', '{"__proto__":{}}', 422], ['a second document', "$job$job", 400],
	['SQL', '{"name":"a\'; DROP SCHEMA jobsched CASCADE; --","frequency":"never"}', 422],
);

subtest 'bodies that are no jobs' => sub {
	my $before = $stack->sql('SELECT count(*) FROM jobsched.jobs');
	for (@bodies)
	{
		my ($what, $body, $status) = @$_;
		for my $sent (post($body), head("Transfer-Encoding: chunked\r\n\r\n", map({ sprintf "%x\r\n%s\r\n", length, $_ } $body =~ /(.{1,1000})/gs), "0\r\n\r\n"))
		{
			my @answers = answers((raw($sent . $alive =~ s/localhost/localhost\r\nConnection: close/r))[0]);
			ok(@answers == 2 && is_problem($answers[0], $status) && $answers[1][0] == 200, "$what: $status, and the next request is served") or diag(explain(\@answers));
		}
	}
	is($stack->sql('SELECT count(*) FROM jobsched.jobs'), $before, 'none became a job');
};

# ---- pieces and orders ----

subtest 'bytes one by one, and many at once' => sub {
	my $socket = client();
	for my $byte (split //, head("Transfer-Encoding: chunked\r\n\r\n", map({ sprintf "%x\r\n%s\r\n", length, $_ } $job =~ /(.{1,7})/gs), "0\r\nT: 1\r\n\r\n")) { syswrite $socket, $byte }
	my @answers = answers((receive($socket, 3))[0]);
	ok(@answers == 1 && $answers[0][0] == 201, 'a job that comes byte by byte, in chunks') or diag(explain(\@answers));

	my @order = map { $_ % 3 == 0 ? ['GET /healthz', 200] : $_ % 3 == 1 ? ['POST /jobs', 201] : ["GET /nothing-$_", 404] } 1 .. 300;
	my $text = join '', map { $_->[0] =~ /^POST/ ? post($job) : "$_->[0] HTTP/1.1\r\nHost: localhost\r\n\r\n" } @order;
	$socket = client();
	syswrite $socket, $text;
	($text) = receive($socket, 3);
	is_deeply([map { $_->[0] } answers($text)], [map { $_->[1] } @order], '300 pipelined requests are answered in order');
	is_deeply([map { $_->[2] =~ /nothing-(\d+)/ } answers($text)], [grep { $_ % 3 == 2 } 1 .. 300], 'each with its own answer');

	# More requests than answers are taken: the server stops reading, and goes on when there is room.
	$socket = client(4096);
	my $sent = 0;
	$socket->blocking(0);
	my $until = time + 2;
	my $requests = ("GET /nothing-" . 'x' x 3000 . " HTTP/1.1\r\nHost: localhost\r\n\r\n") x 20;
	while (time < $until) { my $n = syswrite $socket, $requests, 65536, $sent % length $requests; if ($n) { $sent += $n } else { sleep 0.02 } }
	cmp_ok($sent, '<', 30_000_000, sprintf 'a client that takes nothing can send only so much (%d bytes)', $sent);
	close $socket;

	# The same for one that was refused, and sends all the more.
	$socket = client();
	syswrite $socket, "no HTTP\r\n\r\n";
	$sent = 0;
	$until = time + 10;
	while (time < $until) { $sent += syswrite($socket, 'x' x 65536) || last }
	cmp_ok($sent, '<', 30_000_000, sprintf 'one that was refused can, too (%d bytes)', $sent);
};

subtest 'half-closed connections' => sub {
	my $socket = client();
	syswrite $socket, post($job) x 3;
	shutdown $socket, SHUT_WR;
	my ($text, $closed) = receive($socket, 20);
	is_deeply([map { $_->[0] } answers($text)], [201, 201, 201], 'what was sent before is answered');
	ok($closed, 'then the server closes too');

	$socket = client();
	syswrite $socket, substr post($job), 0, -5;
	shutdown $socket, SHUT_WR;
	($text, $closed) = receive($socket, 20);
	my @answers = answers($text);
	ok(@answers == 1 && is_problem($answers[0], 400) && $closed, 'half a request: 400') or diag($text);

	for my $bytes ('', 'GET', $alive, post($job), substr post($job), 0, -5)
	{
		for (1 .. 20)
		{
			$socket = client();
			syswrite $socket, $bytes;
			setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;    # RST
			close $socket;
		}
	}
	is((answers((raw($alive =~ s/localhost/localhost\r\nConnection: close/r))[0]))[0][0], 200, '100 connections that are reset do no harm');
};

subtest 'too slow' => sub {
	my $socket = client();
	syswrite $socket, 'GET /healthz HTTP/1.1';
	my ($text, $closed) = receive($socket, 20);
	my @answers = answers($text);
	ok(@answers == 1 && is_problem($answers[0], 408) && $closed, 'half a request and no more: 408') or diag($text);
	$socket = client();
	my $since = time;
	($text, $closed) = receive($socket, 20);
	ok($text eq '' && $closed, sprintf 'nothing at all: closed without a word after %.1f s', time - $since);
	$socket = client();
	$since = time;
	syswrite $socket, head("Transfer-Encoding: chunked\r\n\r\n");
	while (syswrite $socket, "1\r\n \r\n") { sleep 0.1; last if time - $since > 30 }
	cmp_ok(time - $since, '<', 30, 'a body without end is cut off');
};

# ---- many ----

subtest '1,000 slow connections' => sub {
	my @slow;
	for my $n (1 .. 1000)
	{
		my $socket = client();
		syswrite $socket, $n % 3 == 0 ? '' : $n % 3 == 1 ? "GET /healthz HTTP/1.1\r\nX-$n: " : head("Content-Length: 1000\r\n\r\n{");
		push @slow, $socket;
	}
	my ($bad, $asked, $until, @took) = (0, 0, time + 2);
	while (time < $until)
	{
		syswrite $slow[rand @slow], 'a' for 1 .. 20;
		my $since = time;
		my $socket = client();
		syswrite $socket, $alive;
		sysread $socket, my $answer, 4096;
		$bad++ if ($answer // '') !~ m{^HTTP/1.1 200 };
		push @took, time - $since;
		$asked++;
	}
	is($bad, 0, "$asked times healthz beside them");
	# Not the worst: it is the machine's when others use it too.
	@took = sort { $a <=> $b } @took;
	cmp_ok($took[ 0.95 * @took ], '<', 0.1, sprintf '95 %% of them within 100 ms (%.1f ms, %.1f ms at most)', 1000 * $took[ 0.95 * @took ], 1000 * $took[-1]);
	close $_ for @slow;
	ok(eval { $stack->wait_for('the connections to be forgotten', sub { return open_files() < 30 }) }, 'all are forgotten: ' . open_files() . ' open files');
};

subtest 'more connections than there may be' => sub {
	my @slow = map { my $socket = client(); syswrite $socket, 'GET /'; $socket } 1 .. 1100;
	sleep 1.2;
	my $since = time;
	my ($text) = raw($alive =~ s/\r\n\r\n/\r\nConnection: close\r\n\r\n/r);
	ok((answers($text))[0][0] == 200 && time - $since < 1, sprintf 'one more takes the place of a slow one (%.0f ms)', (time - $since) * 1000) or diag($text);
};

is($stack->pid('api'), $pid, 'it is the same process');
$stack->stop_api;
unlike($stack->log_text('api'), qr/Sanitizer|runtime error/, 'no sanitizer has found anything');
done_testing();
