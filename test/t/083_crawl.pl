# crawl_url and http_request: what they bring back, what they refuse, and when they try again, with a real web server.
#
# The worker may visit 127.0.0.3 and no other address of this machine; the same server listens on 127.0.0.1 and 127.0.0.2, which
# stand for the inside, and its log shows that nobody came there.  What needs a name server that lies (a name whose address
# changes between two looks) is in test/unit/test_worker_fetch.c.
use strict;
use warnings;
use utf8;

use Digest::SHA qw(sha256_hex);
use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use JSON::PP ();
use Test::More;
use WebSite;

plan skip_all => 'jobsched-worker is not built' if !JobschedTest::built('worker');
binmode Test::More->builder->$_, ':encoding(UTF-8)' for qw(output failure_output);

my $program = JobschedTest::build() . '/jobsched-worker';
my $stack = JobschedTest->new(settings => { 'jobsched.retry_delay' => '100ms', HEARTBEAT_INTERVAL => 0.2, LOG_LEVEL => 'INFO', CRAWL_ALLOW_PRIVATE => '127.0.0.3' });
my $site = WebSite->new($stack->dir . '/web');
my $port = $site->port;
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my ($true, $false) = (JSON::PP::true, JSON::PP::false);

# runs([TASK, PAYLOAD, {field of the job => value}]...) -> the last execution of each, as hashes, in order: all at once
sub runs
{
	my @jobs = map { { name => $_->[0], payload => $_->[1], max_retries => 0, %{ $_->[2] || {} } } } @_;
	my $text = $json->encode(\@jobs);
	my @ids = split /\n/, $stack->sql("SELECT id FROM jobsched.submit_many(\$p\$$text\$p\$) AS id");
	my $list = "'{" . join(',', @ids) . "}'::uuid[]";
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = ANY ($list) AND final", scalar @ids);
	my $rows = $stack->sql("SELECT json_agg(json_build_object('id', i.id, 'status', status, 'attempt', attempt, 'reason', reason, 'error', error,
		'result', result_payload, 'artifacts', artifacts) ORDER BY i.n)
		FROM unnest($list) WITH ORDINALITY AS i(id, n) JOIN jobsched.job_executions e ON e.job_id = i.id WHERE e.final");
	return @{ $json->decode($rows) };
}

# retry_in(ID) -> seconds from its failure to its next attempt
sub retry_in
{
	my ($id) = @_;
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.timers WHERE job_id = '$id' AND attempt = 2", '1');
	return $stack->sql("SELECT extract(epoch FROM t.due_at - e.finished_at) FROM jobsched.timers t JOIN jobsched.job_executions e USING (job_id) WHERE job_id = '$id' AND t.attempt = 2");
}

# try_out(TASK, PAYLOAD, VARIABLE => value...) -> (exit code, stdout, stderr) of jobsched-worker --run
sub try_out
{
	my ($task, $payload, %env) = @_;
	return $stack->run($program, '--run', $task, $json->encode($payload),
		{ env => { BLOB_DIR => $stack->dir . '/blobs', CRAWL_ALLOW_PRIVATE => '127.0.0.3', %env }, timeout => 60 });
}

my $worker = $stack->start_worker(MAX_CONCURRENCY => 16);

subtest 'a page' => sub {
	my $html = $site->slurp('www/page.html');
	my ($run) = runs([ 'crawl_url', { url => "HTTP://127.0.0.3:$port/x/../to?/page.html" } ]);
	my $timing = delete $run->{result}{timing_us};
	is_deeply($run->{result}, { url => $site->url('/to?/page.html'), final_url => $site->url('/page.html'), status => 200, title => "A \x{e4} & \x{fffd}", preview => 'Hello world',
		content_type => 'text/html', charset => 'utf-8', bytes => length $html, sha256 => sha256_hex($html), truncated => $false, redirects => 1 }, 'its result') or diag(explain($run));
	is_deeply([ sort keys %$timing ], [ sort qw(dns connect tls first_byte total) ], 'with times');
	ok($timing->{total} > 0 && $timing->{first_byte} <= $timing->{total}, 'that can be');
	is(scalar @{ $run->{artifacts} }, 1, 'one artifact');
	my $artifact = $run->{artifacts}[0];
	is_deeply([ @$artifact{qw(name size sha256 content_type)} ], [ 'body', length $html, sha256_hex($html), 'text/html' ], 'the body');
	is($stack->read_file("blobs/$artifact->{key}"), $html, 'as it came');
	is(scalar(grep { m{ main GET /robots.txt$} } $site->requests), 1, 'robots.txt was read once');

	my @runs = runs(map { [ 'crawl_url', ref $_ ? $_ : $site->url($_) ] } '/cyrillic.html', '/latin.txt', '/data.json', '/long.txt', '/page.html?utm_source=x&b=1&a=%7e',
		{ url => $site->url('/page.html'), more => 1 });
	is_deeply([ map { $_->{status} } @runs ], [ ('succeeded') x 6 ], 'the payload may be the URL itself, or an object');
	is_deeply([ @{ $runs[0]{result} }{qw(charset title preview)} ], [ 'windows-1251', "\x{43f}\x{440}\x{438}", "\x{432}\x{435}\x{442}" ], 'the encoding that a page declares');
	is_deeply([ @{ $runs[1]{result} }{qw(charset title preview)} ], [ 'windows-1252', undef, "caf\x{e9} \x{20ac}" ], 'the encoding that the server declares');
	is($runs[2]{result}{preview}, '{"a": [1, 2]}', 'JSON');
	is(length $runs[3]{result}{preview}, 299, 'a preview has 300 characters, or 299 when the last one would be a blank');
	is($runs[3]{result}{bytes}, length $site->slurp('www/long.txt'), 'what was compressed is counted unpacked');
	is($runs[4]{result}{url}, $site->url('/page.html?a=~&b=1'), 'the canonical URL is fetched');
	is(scalar(grep { m{ main GET /robots.txt$} } $site->requests), 1, 'robots.txt was still read once');
};

subtest 'robots.txt' => sub {
	my @cases = (
		[ $site->url('/private/x'), 'failed', 'robots' ], [ $site->url('/private/open'), 'failed', 'http_status' ], [ $site->url('/to?/private/x'), 'failed', 'robots' ],
		[ $site->url('/a.secret'), 'failed', 'robots' ], [ $site->url('/page.html', 'missing'), 'succeeded', undef ], [ $site->url('/page.html', 'circular'), 'succeeded', undef ],
		[ $site->url('/x', 'broken'), 'failed', 'error' ], [ $site->url('/x', 'closing'), 'failed', 'error' ], [ $site->url('/x', 'inside'), 'failed', 'address_refused' ]);
	my @runs = runs(map { [ 'crawl_url', $_->[0] ] } @cases);
	is_deeply([ @{ $runs[$_] }{qw(status reason)} ], [ @{ $cases[$_] }[ 1, 2 ] ], $cases[$_][0]) or diag($runs[$_]{error}) for 0 .. $#cases;
	is($runs[6]{error}, $site->url('/robots.txt', 'broken') . ' answered 503: nothing is fetched there until it can be read', 'where it cannot be read, nothing is');
	ok(!(grep { m{ /private/x$| GET /a.secret| (?:broken|closing) GET /x} } $site->requests), 'what it forbids was not asked for');
	my $id = $stack->sql("SELECT jobsched.submit('crawl_url', to_jsonb('" . $site->url('/x', 'broken') . "'::text))");
	cmp_ok(abs(retry_in($id) - 55), '<', 20, 'its Retry-After counts');
	$stack->sql("SELECT jobsched.cancel('$id')");
	my ($code, $out, $err) = try_out('crawl_url', $site->url('/page.html'), CRAWL_USER_AGENT => 'other/1.0');
	ok($code == 1 && $err =~ /\(robots\)/, 'another name, other rules') or diag($err);
};

subtest 'in processes' => sub {
	$stack->stop_worker;
	my $process = $stack->start_worker(TASK_ISOLATION => 'process');
	my $asked = sub { return scalar grep { m{ main GET /robots.txt$} } $site->requests };
	my $before = $asked->();
	for my $path ('/page.html', '/latin.txt')
	{
		my ($run) = runs([ 'crawl_url', $site->url($path) ]);
		is_deeply([ @{$run}{qw(status reason)}, scalar @{ $run->{artifacts} || [] } ], [ 'succeeded', undef, 1 ], "a process fetches $path") or diag(explain($run));
	}
	my ($run) = runs([ 'crawl_url', $site->url('/private/x') ]);
	is($run->{reason}, 'robots', 'and obeys');
	is($asked->() - $before, 1, 'what one has read of robots.txt, the next one knows');
	is($stack->stop_worker, 0, 'the worker stops');
	$worker = $stack->start_worker(MAX_CONCURRENCY => 16);
};

subtest 'statuses' => sub {
	my @cases = ([ '/gone', 1, 'http_status' ], [ '/nowhere', 1, 'http_status' ], [ '/oops', 2, 'error' ], [ '/image.png', 1, 'content_type' ], [ '/bomb2', 1, 'content_encoding' ]);
	my @runs = runs(map { [ 'crawl_url', $site->url($_->[0]), { max_retries => 1 } ] } @cases);
	is_deeply([ @{ $runs[$_] }{qw(status attempt reason)} ], [ 'failed', @{ $cases[$_] }[ 1, 2 ] ], "$cases[$_][0]: attempts, reason") or diag($runs[$_]{error}) for 0 .. $#cases;
	for my $case ([ '/slow-down', 77 ], [ '/down', 300 ])
	{
		my $id = $stack->sql("SELECT jobsched.submit('crawl_url', to_jsonb('" . $site->url($case->[0]) . "'::text))");
		my $wait = retry_in($id);
		ok($wait <= $case->[1] + 1 && $wait > $case->[1] - 60, "$case->[0] is tried again when the server says so") or diag($wait);
		$stack->sql("SELECT jobsched.cancel('$id')");
	}
};

subtest 'refused' => sub {
	my $here = ":$port";
	my @refused = (
		# loopback, in all its spellings
		(map { [ "http://$_$here/page.html", 'address_refused' ] } '127.0.0.1', '127.0.0.2', '127.1', '127.0.1', '2130706433', '0x7f000001', '0X7F.0x0.0x0.0x1', '0x7f.1', '0177.0.0.1',
			'017700000001', '0177.0.0.01', '00000177.1', '127.0x1', '127.255.255.254', '0', '0.0.0.0', '0x0', '%31%32%37.0.0.1', "\x{ff11}\x{ff12}\x{ff17}.0.0.1",
			"\x{2460}\x{2461}\x{2466}.0.0.1", "127\x{3002}0\x{3002}0\x{3002}1", 'localhost', 'LOCALHOST', '[::1]', '[0:0:0:0:0:0:0:1]', '[::]'),
		# IPv4 in IPv6: mapped, compatible, NAT64, 6to4, Teredo
		(map { [ "http://$_$here/page.html", 'address_refused' ] } '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:ffff:127.0.0.1]', '[::ffff:127.0.0.3]', '[::127.0.0.1]', '[::7f00:1]',
			'[64:ff9b::127.0.0.1]', '[64:ff9b::7f00:1]', '[64:ff9b:1::7f00:1]', '[2002:7f00:1::]', '[2001:0:4136:e378:8000:63bf:80ff:fffe]', '[::ffff:0:127.0.0.1]'),
		# link-local, where clouds keep their secrets
		(map { [ "http://$_/latest/meta-data/", 'address_refused' ] } '169.254.169.254', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '169.254.43518', '[::ffff:169.254.169.254]',
			'[fd00:ec2::254]', '[fe80::1]'),
		# private, shared, reserved, multicast
		(map { [ "http://$_/", 'address_refused' ] } '10.0.0.1', '10.1', '172.16.0.1', '172.31.255.255', '192.168.0.1', '192.168.257', '100.64.0.1', '192.0.0.170', '192.0.2.1', '192.88.99.1', '198.18.0.1',
			'198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.250', '240.0.0.1', '255.255.255.255', '[fec0::1]', '[fc00::1]', '[ff02::1]', '[100::1]', '[2001:db8::1]', '[3fff::1]', '[5f00::1]'),
		# not a URL that is visited at all
		(map { [ $_, 'bad_url' ] } "http://127.0.0.1.$here/", "http://1.2.3.4.5$here/", "http://256.0.0.1$here/", "http://4294967297$here/", "http://[fe80::1%25lo]$here/", "http://[::1%lo]$here/",
			"http://user:secret\@127.0.0.3$here/page.html", "http://127.0.0.3\@127.0.0.1$here/", "http://127.0.0.3$here\@127.0.0.1$here/", "http://127.0.0.3\\\@127.0.0.1$here/", "http://127.0.0.3%00.example$here/",
			"http://127.0.0.3:0/", 'http://127.0.0.3:99999/', 'file:///etc/passwd', 'gopher://127.0.0.3:70/_x', 'dict://127.0.0.3:11211/stat', 'ftp://127.0.0.3/', 'ldap://127.0.0.3/', 'smb://127.0.0.3/x',
			'tftp://127.0.0.3/x', 'jar:http://127.0.0.3!/', 'data:text/html,x', 'javascript:alert(1)', '//127.0.0.3/', '127.0.0.3', "http://127.0.0.3$here/\nx", ''),
		# redirects to such places
		(map { [ $site->url("/to?$_->[0]"), $_->[1] ] } [ "http://127.0.0.1$here/page.html", 'address_refused' ], [ "http://2130706433$here/page.html", 'address_refused' ], [ "http://0x7f.1$here/page.html", 'address_refused' ],
			[ "http://0177.1$here/page.html", 'address_refused' ], [ "//127.0.0.2$here/page.html", 'address_refused' ], [ "http://localhost$here/page.html", 'address_refused' ],
			[ "http://[::1]$here/page.html", 'address_refused' ], [ "http://[::ffff:127.0.0.1]$here/page.html", 'address_refused' ], [ 'http://169.254.169.254/latest/', 'address_refused' ], [ 'http://10.0.0.1/', 'address_refused' ],
			[ "http://127.0.0.3$here/to?http://127.0.0.1$here/page.html", 'address_refused' ], [ 'file:///etc/passwd', 'bad_url' ], [ 'gopher://127.0.0.1:70/_x', 'bad_url' ], [ 'ftp://127.0.0.3/', 'bad_url' ],
			[ 'dict://127.0.0.1:11211/stat', 'bad_url' ], [ "http://u:p\@127.0.0.3$here/page.html", 'bad_url' ], [ "http://127.0.0.3\@127.0.0.1$here/", 'bad_url' ], [ 'http://127.0.0.1./', 'bad_url' ]),
		[ $site->url('/loop'), 'redirects' ], [ $site->url('/hop/11111'), 'redirects' ]);

	my @crawls = runs(map { [ 'crawl_url', { url => $_->[0] }, { max_retries => 3 } ] } @refused);
	my @requests = runs(map { [ 'http_request', { url => $_->[0] }, { max_retries => 3 } ] } @refused);
	for my $i (0 .. $#refused)
	{
		my ($url, $reason) = @{ $refused[$i] };
		for my $case ([ 'crawl_url', $crawls[$i] ], [ 'http_request', $requests[$i] ])
		{
			my ($task, $run) = @$case;
			is_deeply([ @$run{qw(status attempt reason)} ], [ 'failed', 1, $reason ], "$task $url: $reason") or diag($run->{error});
		}
	}
	cmp_ok(scalar @refused, '>=', 60, 'a table of ' . @refused . ' URLs');
	my @inside = grep { !/^127\.0\.0\.3 / } $site->requests;
	is_deeply(\@inside, [], 'nobody came to the addresses that may not be visited');
	unlike(join(' ', map { $_->{error} } @crawls), qr/secret/, 'no password is in the messages') or diag(grep { /secret/ } map { $_->{error} } @crawls);
	my ($code, $out, $err) = try_out('crawl_url', $site->url('/page.html'), CRAWL_ALLOW_PRIVATE => '');
	ok($code == 1 && $err =~ /address_refused/, 'nothing inside may be visited when nothing is said') or diag($code, $err);
	my %proxies = map { ($_ => 'http://127.0.0.1:9') } qw(http_proxy HTTP_PROXY all_proxy ALL_PROXY);
	($code, $out, $err) = try_out('crawl_url', $site->url('/page.html'), %proxies);
	is($code, 0, 'proxies of the environment are not used') or diag($err);
};

subtest 'capped' => sub {
	my @runs = runs(map { [ 'crawl_url', $site->url($_) ] } '/endless.txt', '/bomb');
	my @what = ('a body without end', 'a small body that unpacks to 20 MB');
	is_deeply([ $runs[$_]{status}, @{ $runs[$_]{result} }{qw(bytes truncated)} ], [ 'succeeded', 512000, $true ], "$what[$_] is cut at 512,000 bytes") or diag($runs[$_]{error}) for 0, 1;
	@runs = runs([ 'crawl_url', $site->url('/drip'), { timeout => 1 } ], [ 'http_request', { url => $site->url('/drip'), timeout => 0.5 } ], [ 'http_request', { url => $site->url('/silent'), timeout => 0.5 } ]);
	is_deeply([ @{ $runs[0] }{qw(status reason)} ], [ 'failed', 'timeout' ], 'a body that drips: until the time limit of the job') or diag($runs[0]{error});
	like($runs[1]{error}, qr/timed out/, 'or of the request');
	like($runs[2]{error}, qr/timed out/, 'and so does a server that says nothing');

	for my $path ('/drip', '/silent')
	{
		my $id = $stack->sql("SELECT jobsched.submit('http_request', jsonb_build_object('url', '" . $site->url($path) . "'))");
		$stack->wait_for('the request', sub { return scalar grep { m{GET /drip} || $path ne '/drip' } $site->requests }) if $path eq '/drip';
		$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'running');
		my $told = $stack->sql("SELECT clock_timestamp() FROM jobsched.cancel('$id')");
		$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = '$id' AND status = 'cancelled'", '1');
		cmp_ok($stack->sql("SELECT extract(epoch FROM finished_at - '$told') FROM jobsched.job_executions WHERE job_id = '$id'"), '<', 10,
			"$path: the transfer of a cancelled job ends at once");
	}
};

subtest 'http_request' => sub {
	my $url = $site->url('/echo?b=2&a=1&utm_source=x');
	my ($run) = runs([ 'http_request', { url => $url, json => { a => [ 1, undef, "\x{e4}" ] }, headers => { 'X-Test' => 'yes', Authorization => 'Bearer t' } } ]);
	my $got = $json->decode(JSON::PP->new->utf8->allow_nonref->encode($run->{result}{body} // 'null'));
	$got = eval { JSON::PP->new->decode($got) } || diag(explain($run));
	like(delete $got->{key}, qr{^$run->{id}/\d{4}-\d\d-\d\dT}, 'a key that is the same for all attempts of a run');
	is_deeply($got, { method => 'POST', args => 'b=2&a=1&utm_source=x', type => 'application/json', agent => 'jobsched/1.0', x => 'yes', auth => 'Bearer t', body => { a => [ 1, undef, "\x{e4}" ] } },
		'JSON to an unchanged URL');
	is($run->{result}{headers}{'content-type'}, 'application/json', 'the headers of the answer');
	is_deeply([ sort keys %{ $run->{result} } ], [ sort qw(url final_url status headers content_type body bytes sha256 truncated redirects timing_us) ], 'and what else is told');
	is($run->{artifacts}, undef, 'no artifact');

	my $put = { url => $site->url('/echo'), method => 'put', body => '"x"', headers => { 'Content-Type' => 'a/b', 'Idempotency-Key' => 'mine' } };
	my @runs = runs([ 'http_request', $put ], map { [ 'http_request', $_, { max_retries => 1 } ] } { url => $site->url('/echo'), method => 'DELETE' }, { url => $site->url('/page.html'), method => 'HEAD' },
		{ url => $site->url('/binary'), save => $true }, { url => $site->url('/long.txt') }, { url => $site->url('/no-body') }, { url => $site->url('/gone'), expect => [ 404, 410 ] },
		{ url => $site->url('/moved'), redirects => 0, expect => '3xx' }, { url => $site->url('/private/x') });
	like($runs[0]{result}{body}, qr/"PUT", .*"type": "a\/b", "key": "mine", .*"body": "x"}/, 'PUT, with headers of its own') or diag(explain($runs[0]));
	like($runs[1]{result}{body}, qr/"DELETE"/, 'DELETE') or diag(explain($runs[1]));
	is_deeply([ @{ $runs[2]{result} }{qw(status body bytes)} ], [ 200, '', 0 ], 'HEAD');
	is_deeply([ $runs[3]{result}{body}, $runs[3]{artifacts}[0]{size}, $runs[3]{result}{sha256} ], [ undef, 6, sha256_hex("\x89PNG\r\n") ], 'bytes that are no text are saved when asked for, not told');
	is_deeply([ length $runs[4]{result}{body}, @{ $runs[4]{result} }{qw(truncated bytes)} ], [ 65536, $true, length $site->slurp('www/long.txt') ], 'no more than 64 KiB are told');
	is($runs[5]{result}{status}, 204, 'a success without a body');
	is_deeply([ @{ $runs[6] }{qw(status attempt)} ], [ 'succeeded', 1 ], 'a status that is expected is a success');
	is_deeply([ @{ $runs[7]{result} }{qw(status redirects)}, $runs[7]{result}{headers}{location} =~ m{/page\.html$} ? 1 : 0 ], [ 301, 0, 1 ], 'also a redirect');
	is($runs[8]{reason}, 'http_status', 'robots.txt is for crawlers');

	@runs = runs(map { [ 'http_request', $_, { max_retries => 1 } ] } { url => $site->url('/teapot') }, { url => $site->url('/page.html'), expect => 201 }, { url => $site->url('/oops') }, { url => $site->url('/x', 'closing'), method => 'POST' },
		{ url => $site->url('/moved'), body => 'x' }, { url => $site->url('/'), hedaers => {} });
	is_deeply([ @{ $runs[0] }{qw(attempt reason error)} ], [ 1, 'http_status', $site->url('/teapot') . ' answered 418: {"error": "I am a teapot"}' ], 'a status that is not expected, with what the server says');
	is_deeply([ @{ $runs[1] }{qw(attempt reason error)} ], [ 1, 'http_status', $site->url('/page.html') . ' answered 200: Hello world' ], 'also 200');
	is_deeply([ @{ $runs[2] }{qw(attempt reason)} ], [ 2, 'error' ], '500 is tried again');
	is_deeply([ @{ $runs[3] }{qw(attempt reason)} ], [ 2, 'error' ], 'and so is no answer');
	is_deeply([ @{ $runs[4] }{qw(attempt reason)} ], [ 1, 'http_status' ], 'POST follows no redirect');
	is_deeply([ @{ $runs[5] }{qw(attempt reason)} ], [ 1, 'bad_payload' ], 'a field that is not known');
};

subtest 'TLS' => sub {
	my $url = $site->url('/page.html', 'tls');
	my ($code, $out, $err) = try_out('crawl_url', $url, SSL_CERT_FILE => $site->certificate);
	is($code, 0, 'a certificate of an authority that SSL_CERT_FILE names') or diag($err);
	cmp_ok($json->decode($out || '{}')->{timing_us}{tls} // 0, '>=', 0, 'its time is told');
	($code, $out, $err) = try_out('crawl_url', $url);
	ok($code == 75 && $err =~ /certificate/, 'of another one: no page') or diag($code, $err);
};

subtest 'settings' => sub {
	for my $case ([ CRAWL_USER_AGENT => '' ], [ CRAWL_USER_AGENT => '1bot' ], [ CRAWL_USER_AGENT => 'bot!' ], [ CRAWL_USER_AGENT => "bot/1 \x01" ], [ CRAWL_ALLOW_PRIVATE => '127.0.0.0/33' ],
		[ CRAWL_ALLOW_PRIVATE => '10.0.0.1/8' ], [ CRAWL_ALLOW_PRIVATE => 'fe80::/129' ])
	{
		my ($code, $out, $err) = $stack->run($program, '--check-config', { env => { $case->[0] => $case->[1] } });
		ok($code == 2 && $err =~ /\b$case->[0]=/ && $err !~ /\n./, "$case->[0]=" . ($case->[1] =~ s/[^ -~]/?/gr) . ' is refused in one line') or diag($code, $err);
	}
};

is($stack->stop_worker, 0, 'the worker stops');
$site->stop;
done_testing();
