# Who may do what over REST: every call with each role and without, tokens that come and go, and browsers that were led astray.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use HTTP::Tiny;
use IO::Socket::INET;
use JobschedTest;
use JSON::PP ();
use POSIX ':sys_wait_h';
use Test::More;

plan skip_all => 'jobsched-api is not built' if !JobschedTest::built('api');

my $stack = JobschedTest->new(rabbitmq => 0);
my %env = $stack->env;
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $program = $stack->build . '/jobsched-api';
my $file = $stack->dir . '/tokens';
my %token = map { $_ => "a token of a $_, which nobody else has" =~ tr/ ,/-/dr } qw(viewer submitter admin);
my @roles = qw(anybody viewer submitter admin);

sub write_tokens
{
	my (@lines) = @_;
	$stack->write_file('tokens', join '', @lines);
	chmod 0600, $file;
	return;
}

# The line that the program makes of a token.
sub line
{
	my ($name, $role, $token) = @_;
	my ($code, $out, $err) = $stack->run($program, '--hash-token', $name, $role, { stdin => "$token\n" });
	die $err if $code != 0;
	return $out;
}

sub start
{
	my ($name, %settings) = @_;
	mkdir $stack->dir . "/$name";
	my $url = "postgresql://jobsched_api_login:" . $stack->read_file('data/secrets/jobsched_api_login') . "\@127.0.0.1:$env{PGPORT}/jobsched";
	my $pid = $stack->start_program($name, $program, API_LISTEN => '127.0.0.1:0', DATABASE_URL => $url, %settings);
	$stack->wait_for_log($name, qr/ listening .*port=\d+/);
	my ($port) = $stack->log_text($name) =~ / listening .*port=(\d+)/;
	return { pid => $pid, port => $port, url => "http://127.0.0.1:$port" };
}

sub ask
{
	my ($api, $method, $path, $body, %headers) = @_;
	$headers{'Content-Type'} = 'application/json' if defined $body;
	my $answer = HTTP::Tiny->new(timeout => 30)->request($method, $api->{url} . $path, { headers => \%headers, defined $body ? (content => $json->encode($body)) : () });
	my $content = $answer->{content};
	if (($answer->{headers}{'content-type'} // '') =~ m{^application/(problem\+)?json} && length $content) { $content = $json->decode($content) }
	return ($answer->{status}, $answer->{headers}, $content);
}

# The same with headers that HTTP::Tiny does not let one set; the status.
sub ask_raw
{
	my ($api, $method, $path, @headers) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $api->{port}, Timeout => 5) or die "connect: $!";
	syswrite $socket, join "\r\n", "$method $path HTTP/1.1", @headers, 'Connection: close', '', '';
	my $answer = do { local $/ = undef; <$socket> };
	return $answer =~ m{^HTTP/1\.1 (\d+) } ? $1 : $answer;
}

write_tokens("# who may call\n\n", map { line("the-$_", $_, $token{$_}) } keys %token);
my $api = start('api1', API_TOKENS_FILE => $file, BLOB_DIR => $stack->dir);
$stack->write_file('artifact', 'a');
my %once = (name => 'echo', frequency => 'once', next_run_time => 4102444800, queue => 'later');
my %schedule = (cron => '0 0 1 1 *', name => 'echo');
$stack->wait_for('the database', sub { return (ask($api, 'GET', '/jobs', undef, Authorization => "Bearer $token{viewer}"))[0] == 200 });

# A job, or schedule, for one call.
sub call { my (@call) = @_; my ($status, undef, $body) = ask($api, @call, Authorization => "Bearer $token{admin}"); die "@call[0, 1]: $status " . $json->encode($body) if $status >= 300; return $body }
sub job { return call('POST', '/jobs', {%once})->{id} }
sub cancelled { my $id = job(); call('DELETE', "/jobs/$id", undef); return $id }

# A job with an artifact: the file above.
sub with_artifact
{
	my $id = cancelled();
	$stack->sql(qq(UPDATE jobsched.job_executions SET artifacts = '[{"name": "a", "key": "artifact", "size": 1}]' WHERE job_id = '$id'));
	return $id;
}
my $n = 0;
sub schedule { my $name = 's' . ++$n; call('PUT', "/schedules/$name", {%schedule}); return $name }

# For every call of the table of routes: the path and body of one that succeeds, made anew each time.
my %good = (
	'GET /' => sub { return '/' },
	'GET /jobs' => sub { return '/jobs?limit=1' },
	'POST /jobs' => sub { return ('/jobs', {%once}) },
	'POST /jobs/batch' => sub { return ('/jobs/batch', { jobs => [{%once}] }) },
	(map { my $what = $_; ("POST /jobs/$what" => sub { job(); return ("/jobs/$what", { queue => 'later', dry_run => JSON::PP::true }) }) } qw(cancel retry)),
	'GET /jobs/{id}' => sub { return '/jobs/' . job() },
	'PATCH /jobs/{id}' => sub { return ('/jobs/' . job(), { priority => 1 }) },
	'DELETE /jobs/{id}' => sub { return '/jobs/' . job() },
	(map { my $what = $_; ("GET /jobs/{id}/$what" => sub { return '/jobs/' . job() . "/$what" }) } qw(executions explain)),
	'GET /jobs/{id}/artifacts/{name}' => sub { return '/jobs/' . with_artifact() . '/artifacts/a' },
	(map { my $what = $_; ("POST /jobs/{id}/$what" => sub { return '/jobs/' . ($what eq 'retry' ? cancelled() : job()) . "/$what" }) } qw(pause resume run retry)),
	'GET /schedules' => sub { return '/schedules' },
	'GET /schedules/{name}' => sub { return '/schedules/' . schedule() },
	'PUT /schedules/{name}' => sub { return ('/schedules/' . schedule(), {%schedule}) },
	'DELETE /schedules/{name}' => sub { return '/schedules/' . schedule() },
	(map { my $what = $_; ("POST /schedules/{name}/$what" => sub { return '/schedules/' . schedule() . "/$what" }) } qw(pause resume run)),
	'GET /queues' => sub { return '/queues' },
	'GET /queues/{name}' => sub { return '/queues/later' },
	(map { my $what = $_; ("POST /queues/{name}/$what" => sub { return "/queues/later/$what" }) } qw(pause resume)),
	'GET /workers' => sub { return '/workers' },
	'GET /cron/next' => sub { return '/cron/next?expr=*%20*%20*%20*%20*' },
	'GET /stats' => sub { return '/stats' },
	'GET /stats/history' => sub { return '/stats/history' },
	'GET /metrics' => sub { return '/metrics' },
	'GET /healthz' => sub { return '/healthz' },
	'GET /readyz' => sub { return '/readyz' },
	'GET /openapi.json' => sub { return '/openapi.json' },
	'GET /whoami' => sub { return '/whoami' },
	'GET /docs' => sub { return '/docs' },
	'GET /docs/*' => sub { return '/docs/swagger-ui.css' },
	'GET /web/*' => sub { return '/web/docs.js' },
);

subtest 'every call with every role' => sub {
	job();
	my ($code, $out) = $stack->run($program, '--routes');
	my %role = map { my ($method, $path, $role) = split /\t/; ("$method $path" => $role) } split /\n/, $out;
	is_deeply([grep { !$good{$_} } sort keys %role], [], 'this test knows all calls');
	is_deeply([grep { $role{$_} !~ /^(?:anybody|viewer|submitter|admin)$/ } keys %role], [], 'and their roles');
	for my $call (grep { $good{$_} } sort keys %role)
	{
		my ($method) = split / /, $call;
		my (@got, @expected);
		my ($least) = grep { $roles[$_] eq $role{$call} } 0 .. 3;
		for my $i (0 .. 3)
		{
			my ($path, $body) = $good{$call}->();
			my ($status) = ask($api, $method, $path, $body, $i ? (Authorization => "Bearer $token{ $roles[$i] }") : ());
			push @got, $status =~ /^2/ ? '2xx' : $status;
			push @expected, $i >= $least ? '2xx' : $i ? 403 : 401;
		}
		my ($path, $body) = $good{$call}->();
		push @got, (ask($api, $method, $path, $body, Authorization => 'Bearer of-bad-news-which-is-no-token'))[0] =~ s/^2\d\d/2xx/r;
		push @expected, $least ? 401 : '2xx';
		is_deeply(\@got, \@expected, "$call: $role{$call}");
	}
};

subtest 'what is said' => sub {
	my ($status, $headers, $problem) = ask($api, 'POST', '/jobs', {%once});
	is_deeply([$status, $headers->{'www-authenticate'}, $problem->{type}], [401, 'Bearer realm="jobsched"', 'urn:jobsched:problem:unauthorized'], 'no token');
	like($problem->{detail}, qr/role submitter or higher/, 'the role is named');
	for my $bad ("Bearer $token{admin}x", 'Bearer', 'Bearer ', "Basic $token{admin}", $token{admin}, 'Bearer ' . substr $token{admin}, 1)
	{
		($status, $headers, $problem) = ask($api, 'POST', '/jobs', {%once}, Authorization => $bad);
		is_deeply([$status, $headers->{'www-authenticate'}], [401, 'Bearer realm="jobsched", error="invalid_token"'], "\"$bad\"");
		unlike($json->encode($problem), qr/nobody/, 'is not repeated');
	}
	($status, $headers, $problem) = ask($api, 'POST', '/jobs', {%once}, Authorization => "Bearer $token{viewer}");
	is_deeply([$status, $problem->{type}, $problem->{detail}], [403, 'urn:jobsched:problem:role-too-low', 'this needs the role submitter; the token "the-viewer" has the role viewer'], 'a role that is too low');
	is((ask($api, 'GET', '/jobs', undef, Authorization => "bearer   $token{viewer}"))[0], 200, 'Bearer in any case, with blanks');
	is((ask($api, 'HEAD', '/jobs'))[0], 401, 'HEAD needs what GET needs');
	is_deeply((ask($api, 'GET', '/whoami', undef, Authorization => "Bearer $token{submitter}"))[2], { name => 'the-submitter', role => 'submitter', tokens => JSON::PP::true }, 'whoami');
	is_deeply((ask($api, 'GET', '/whoami'))[2], { name => undef, role => 'anybody', tokens => JSON::PP::true }, 'nobody');
	for my $expect ('X: y', 'Expect: 100-continue')
	{
		my @head = ('Host: localhost', 'Content-Length: 1000000', $expect);
		is(ask_raw($api, 'POST', '/jobs', @head), 401, "$expect: who may not submit need not send the body");
		is(ask_raw($api, 'POST', '/jobs', @head, "Authorization: Bearer $token{viewer}"), 403, 'whoever he is');
	}
	my $digest = (split / /, line('x', 'viewer', $token{admin}))[1];
	is((ask($api, 'GET', '/jobs', undef, Authorization => "Bearer $digest"))[0], 401, 'the digest is no token');
	unlike($stack->log_text('api1'), qr/which-nobody/, 'no log holds a token');
};

subtest 'SIGHUP' => sub {
	my $new = 'a-token-that-is-new-here';
	write_tokens(line('new', 'viewer', $new));
	kill 'HUP', $api->{pid};
	$stack->wait_for_log('api1', qr/tokens read .*tokens=1$/m);
	is((ask($api, 'GET', '/jobs', undef, Authorization => "Bearer $new"))[0], 200, 'a new token');
	is((ask($api, 'GET', '/jobs', undef, Authorization => "Bearer $token{admin}"))[0], 401, 'an old one is none any more');
	write_tokens("new what viewer\n");
	kill 'HUP', $api->{pid};
	$stack->wait_for_log('api1', qr/tokens not read, the old ones stay reason=".*, line 1: \\"new\\" has no SHA-256/);
	is((ask($api, 'GET', '/jobs', undef, Authorization => "Bearer $new"))[0], 200, 'a bad file changes nothing');
	write_tokens(line('new', 'viewer', $new), map { line("the-$_", $_, $token{$_}) } keys %token);
	kill 'HUP', $api->{pid};
	$stack->wait_for_log('api1', qr/tokens read .*tokens=4$/m);
};

subtest 'without tokens' => sub {
	my $open = start('api2', API_ALLOWED_HOSTS => 'jobs.example.com, 192.0.2.7');
	$stack->wait_for_log('api2', qr/database connected/);
	is_deeply((ask($open, 'GET', '/whoami'))[2], { name => undef, role => 'admin', tokens => JSON::PP::false }, 'everybody is admin');
	my $post = sub { return (ask($open, 'POST', '/jobs', {%once}, @_))[0] };
	is($post->(), 201, 'a program may submit');
	is($post->(Authorization => 'Bearer of-bad-news-which-is-no-token'), 201, 'with a token that nobody asks for, too');
	is($post->('Sec-Fetch-Site' => 'same-origin', Origin => $open->{url}), 201, 'so may a page that came from here');
	is($post->('Sec-Fetch-Site' => 'none'), 201, 'and who typed it in');
	for my $site ('cross-site', 'same-site') { is($post->('Sec-Fetch-Site' => $site), 403, "a $site page may not") }
	for my $origin ('http://evil.example', 'null', 'file://', "http://127.0.0.1:1", "$open->{url}.evil.example", 'https://127.0.0.1')
	{
		is($post->(Origin => $origin), 403, "nor one of the origin $origin");
		is((ask($open, 'DELETE', '/jobs/00000000-0000-0000-0000-000000000000', undef, Origin => $origin))[0], 403, 'whatever it does');
	}
	is((ask($open, 'GET', '/jobs', undef, Origin => 'http://evil.example', 'Sec-Fetch-Site' => 'cross-site'))[0], 200, 'reading changes nothing');
	is((ask($open, 'GET', '/jobs', undef, Origin => 'http://evil.example'))[1]{'access-control-allow-origin'}, undef, 'and the page does not get to see it');
	for my $host ('localhost', "localhost:$open->{port}", 'LOCALHOST', '127.0.0.1', '127.1.2.3:1', '[::1]:8000', 'jobs.example.com:443', '192.0.2.7')
	{
		is(ask_raw($open, 'GET', '/jobs', "Host: $host"), 200, "the host $host");
	}
	for my $host ('evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '192.0.2.8', '[::2]', 'jobs.example.co', '0.0.0.0', '1', '')
	{
		is(ask_raw($open, 'GET', '/jobs', "Host: $host"), 421, "not the host \"$host\"");
	}
	is(ask_raw($open, 'GET', 'http://evil.example/jobs', 'Host: localhost'), 421, 'nor in the target');
	is(ask_raw($api, 'GET', '/healthz', 'Host: evil.example'), 200, 'with tokens any host will do');
	kill 'TERM', $open->{pid};
};

subtest 'settings' => sub {
	my $refused = sub {
		my ($what, $pattern, %settings) = @_;
		my ($code, $out, $err) = $stack->run($program, { env => { API_LISTEN => '127.0.0.1:0', %settings }, timeout => 60 });
		ok($code == 2 && $err =~ $pattern, "$what: exit code 2 and why") or diag($code, $err);
	};
	$refused->('every address', qr/not a loopback address, and API_TOKENS_FILE is not set and API_TLS_TERMINATED is off; either .*127\.0\.0\.1/, API_LISTEN => '0.0.0.0:0');
	$refused->('every address, with tokens', qr/not a loopback address, and API_TLS_TERMINATED is off/, API_LISTEN => '[::]:0', API_TOKENS_FILE => $file);
	$refused->('every address, with TLS', qr/not a loopback address, and API_TOKENS_FILE is not set;/, API_LISTEN => '0.0.0.0:0', API_TLS_TERMINATED => 'on');
	$refused->('no such file', qr{/nowhere: cannot be read}, API_TOKENS_FILE => '/nowhere');
	chmod 0644, $file;
	$refused->('a file that others read', qr/has mode 0644; allowed: 0600 or 0640/, API_TOKENS_FILE => $file);
	chmod 0600, $file;
	my $all = start('api3', API_LISTEN => '0.0.0.0:0', API_TOKENS_FILE => $file, API_TLS_TERMINATED => 'on');
	is((ask($all, 'GET', '/jobs'))[0], 401, 'with both it listens everywhere');
	kill 'TERM', $all->{pid};
	for (['no name', qr/needs NAME and ROLE/], ['no such role', qr/"boss" is no role/, 'a', 'boss'], ['a short token', qr/no token; allowed: 20 or more/, 'a', 'admin'])
	{
		my ($what, $pattern, @arguments) = @$_;
		my ($code, $out, $err) = $stack->run($program, '--hash-token', @arguments, { stdin => "short\n" });
		ok($code == 2 && $err =~ $pattern && $out eq '', "--hash-token, $what: exit code 2 and why") or diag($code, $err);
	}
};

subtest 'pages' => sub {
	my ($status, $headers, $page) = ask($api, 'GET', '/', undef, Accept => 'text/html,application/xhtml+xml,*/*;q=0.8');
	ok($status == 200 && $headers->{'content-type'} eq 'text/html; charset=utf-8' && $page =~ /<title>jobsched/, 'a browser gets a page');
	like($headers->{'content-security-policy'}, qr/default-src 'none'.*script-src 'self';.*frame-ancestors 'none'/, 'that loads nothing from elsewhere');
	my ($docs) = (ask($api, 'GET', '/docs'))[2];
	my @parts = $docs =~ /(?:src|href)="([^":]+)"/g;
	cmp_ok(scalar @parts, '>=', 3, 'docs is made of files');
	for my $part (@parts) { is((ask($api, 'GET', "/$part"))[0], 200, $part) }
	unlike($docs, qr/<script>|<style|style=| on\w+=/, 'and holds no script or style');
	for my $each (['/docs/swagger-ui-bundle.js', qr/^text\/javascript/], ['/web/vendor/uPlot.iife.min.js', qr/^text\/javascript/], ['/web/vendor/uPlot.min.css', qr/^text\/css/])
	{
		my ($path, $type) = @$each;
		($status, $headers, my $plain) = ask($api, 'GET', $path);
		my ($etag, $length) = @$headers{qw(etag content-length)};
		ok($status == 200 && $headers->{'content-type'} =~ $type && length $plain == $length && $headers->{'x-content-type-options'} eq 'nosniff', $path);
		($status, $headers, my $zipped) = ask($api, 'GET', $path, undef, 'Accept-Encoding' => 'gzip');
		my ($code, $out) = $stack->run('gzip', '-dc', { stdin => $zipped });
		ok($headers->{'content-encoding'} eq 'gzip' && $headers->{vary} eq 'Accept-Encoding' && length $zipped < length($plain) / 2 && $out eq $plain, 'the same with gzip');
		is((ask($api, 'GET', $path, undef, 'If-None-Match' => $etag))[0], 304, 'once is enough');
	}
	for my $path ('/web/../tokens.c', '/web/%2e%2e/tokens.c', '/web//etc/passwd', '/docs/', '/docs/docs.html') { is((ask($api, 'GET', $path))[0], 404, "no $path") }
};

subtest 'behind nginx, as docs/api.md says' => sub {
	plan skip_all => 'no nginx' if !-x '/usr/sbin/nginx';
	my $dir = $stack->dir . '/nginx';
	mkdir $dir;
	my $docs = do { local (@ARGV, $/) = ($stack->top . '/docs/api.md'); <> };
	my ($server) = $docs =~ /^(    server \{\n.*?^    \})$/ms or return fail('the example');
	my $port = JobschedTest::free_port();
	my ($code, $out, $err) = $stack->run('openssl', qw(req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=jobs.example.com -keyout), "$dir/key", '-out', "$dir/pem");
	die $err if $code != 0;
	$server =~ s/listen 443/listen 127.0.0.1:$port/;
	$server =~ s{/etc/ssl/jobs.example.com.pem}{$dir/pem};
	$server =~ s{/etc/ssl/private/jobs.example.com.key}{$dir/key};
	$server =~ s{127.0.0.1:8000}{127.0.0.1:$api->{port}};
	$stack->write_file('nginx/nginx.conf', "daemon off; pid $dir/pid; error_log $dir/error.log; events {} http { access_log off; "
		. join(' ', map { "${_}_temp_path $dir/$_;" } qw(client_body proxy fastcgi uwsgi scgi)) . "\n$server\n}\n");
	my $nginx = fork // die $!;
	if (!$nginx)
	{
		chdir $dir;
		open STDERR, '>', "$dir/output";
		exec '/usr/sbin/nginx', '-p', $dir, '-c', "$dir/nginx.conf", '-e', "$dir/error.log" or POSIX::_exit(127);
	}
	my $curl = sub {
		my ($c, $o, $e) = $stack->run('curl', '-sS', '--cacert', "$dir/pem", '--connect-to', "jobs.example.com:443:127.0.0.1:$port", '-o', '/dev/null', '-w', '%{http_code}', @_);
		return $c == 0 ? $o : $e;
	};
	my @token = ('-H', "Authorization: Bearer $token{submitter}");
	ok(eval { $stack->wait_for('nginx', sub { return $curl->('https://jobs.example.com/healthz') eq '200' }) }, 'it passes requests on') or diag($stack->read_file('nginx/output'), $stack->read_file('nginx/error.log'));
	is($curl->('https://jobs.example.com/jobs'), 401, 'without a token');
	is($curl->('https://jobs.example.com/jobs', @token), 200, 'with one');
	is($curl->('https://jobs.example.com/jobs', @token, '--json', $json->encode({%once})), 201, 'with a body');
	is($curl->('https://jobs.example.com/schedules/' . schedule(), @token), 200, 'with a name');
	call('PUT', '/schedules/a%2Fb%20%C3%BC', {%schedule});
	is($curl->('https://jobs.example.com/schedules/a%2Fb%20%C3%BC', @token), 200, 'with a name that has a slash in it');
	$stack->write_file('large', $json->encode({ %once, payload => 'x' x 1_100_000 }));
	is($curl->('https://jobs.example.com/jobs', @token, '--json', '@' . $stack->dir . '/large'), 413, 'too large');
	kill 'TERM', $nginx;
	waitpid $nginx, 0;
};

kill 'TERM', $api->{pid};
is((scalar grep { $stack->log_text($_) =~ /Sanitizer|runtime error/ } 'api1', 'api2', 'api3'), 0, 'no sanitizer has found anything');
done_testing();
