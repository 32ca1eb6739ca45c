# The worker as a process among others: its name on the machine, its connections, signals and what it tells about itself.
# test: 80 s
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use HTTP::Tiny;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JobschedTest;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'jobsched-worker is not built' if !JobschedTest::built('worker');

my $stack = JobschedTest->new(rabbitmq => 0, settings => { 'jobsched.worker_lease' => '20s', HEARTBEAT_INTERVAL => 5, LOG_LEVEL => 'INFO' });
my $tls_port = JobschedTest::free_port();
my $pki = make_certificates($stack->dir . '/pki');
mkdir $stack->dir . "/data/rabbitmq$_" for '', '/conf.d';
$stack->write_file('data/rabbitmq/conf.d/tls.conf', <<"END");
listeners.ssl.default = 127.0.0.1:$tls_port
ssl_options.cacertfile = $pki/ca.crt
ssl_options.certfile = $pki/server.crt
ssl_options.keyfile = $pki/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
END
$stack->start_rabbitmq;

sub submit { my ($task, $payload, $more) = @_; return $stack->sql_as('app', "SELECT jobsched.submit('$task', '$payload'" . ($more ? ", $more" : '') . ')') }
sub status { my ($id, $wanted, $seconds) = @_; return $stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", $wanted, $seconds) }

subtest 'who is who on a machine' => sub {
	$stack->start_worker(name => 'one', WORKER_ID => 'same');
	my $id = submit('sleep', '{"seconds": 60}');
	status($id, 'running');
	my $log = $stack->start_worker(name => 'two', WORKER_ID => 'same');
	my $pid = $stack->worker_pid('one');
	$stack->wait_for_log($log, qr/another worker has the same WORKER_ID.* worker_id=same .*pid=$pid\b/);
	pass('a second worker with the same WORKER_ID warns of the first');
	is($stack->sql("SELECT count(*) FROM jobsched.workers WHERE worker_id = 'same' AND state = 'live'"), '2', 'the database tells them apart');
	is($stack->sql("SELECT status FROM jobsched.job_status WHERE id = '$id'"), 'running', 'and leaves the first its run');
	$stack->stop_worker('two');

	$stack->kill_worker('KILL', 'one');
	my $start = time;
	$stack->start_worker(name => 'three', WORKER_ID => 'other', wait => 0);
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.runs WHERE job_id = '$id' AND status = 'running' AND attempt = 2", '1', 15);
	pass(sprintf 'killed, and another started on the machine: its run goes on there, long before the lease of 20 s is over (%.1f s)', time - $start);
	$stack->wait_for_log('three', qr/ended without a word: its runs are taken back.* worker_id=same .*pid=$pid\b/);
	is($stack->sql("SELECT reason FROM jobsched.job_executions WHERE job_id = '$id' AND attempt = 1 AND status = 'lost'"), 'worker_lost', 'the first attempt is recorded as lost');
	$stack->sql("SELECT jobsched.cancel('$id')");
	status($id, 'cancelled');
	is($stack->stop_worker('three'), 0, 'it stops');
};

# cancel_takes(ID) -> seconds from the commit of cancel to the end of the run, which must have been told to stop
sub cancel_takes
{
	my ($id) = @_;
	return $stack->sql("SELECT jobsched.cancel('$id')") eq 'cancelling' && status($id, 'cancelled')
		&& $stack->sql("SELECT extract(epoch FROM e.finished_at - j.state_at) FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id WHERE j.id = '$id' AND e.final");
}

subtest 'cancel does not wait for the next heartbeat' => sub {
	$stack->start_worker(name => 'four', MAX_CONCURRENCY => 20, HEARTBEAT_INTERVAL => 6);
	my @took = sort { $a <=> $b } map {
		my $id = submit('sleep', '{"seconds": 60}');
		status($id, 'running');
		cancel_takes($id);
	} 1 .. 3;
	cmp_ok($took[1], '<', 1, sprintf 'a running task ends cancelled %.3f s after the cancel (median of %d)', $took[1], scalar @took);

	$stack->sql_as('app', q{SELECT jobsched.schedule('overlapping', '@every 1s', 'sleep', '{"seconds": 60}', overlap_policy => 'cancel_running')});
	$stack->wait_for_sql(q{SELECT count(*) >= 2 FROM jobsched.job_executions e JOIN jobsched.schedules s USING (job_id)
		WHERE s.schedule_name = 'overlapping' AND e.status = 'cancelled' AND e.finished_at - e.started_at < '2.5 s'}, 't');
	pass('also what overlap_policy cancel_running stops');
	$stack->sql_as('app', q{SELECT jobsched.unschedule('overlapping')});

	my ($vhost) = { $stack->env }->{RABBITMQ_URL} =~ m{//[^/]*/(.*)$};
	my ($queue) = $stack->rabbitmqctl('list_queues', '-p', $vhost, 'name') =~ /^(jobsched\.worker\.\S+)/m;
	is($queue, 'jobsched.worker.' . $stack->sql("SELECT id FROM jobsched.workers WHERE worker_id = 'four'"), 'its queue has the name of its registration');
	$stack->sql("UPDATE jobsched.workers SET state = 'stopped' WHERE worker_id = 'four'");    # it registers anew
	my $id = submit('sleep', '{"seconds": 60}');
	status($id, 'running');
	cmp_ok(cancel_takes($id), '<', 4, 'a new registration has its queue too');
	$stack->rabbitmqctl('close_all_connections', '--global', 'test');
	$stack->wait_for_log('four', qr/broker connection is back/);
	$id = submit('sleep', '{"seconds": 60}');
	status($id, 'running');
	cmp_ok(cancel_takes($id), '<', 4, 'and one whose connection was lost');
	is($stack->stop_worker('four'), 0, 'it stops');
	$stack->wait_for('the end of its queue', sub { $stack->rabbitmqctl('list_queues', '-p', $vhost, 'name') !~ /jobsched\.worker/ });
};

subtest 'what it tells about itself' => sub {
	my $port = JobschedTest::free_port();
	my $path = $stack->dir . '/notify';
	my $systemd = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "$path: $!";
	my $told = '';
	my $hear = sub {
		my ($pattern) = @_;
		$stack->wait_for("$pattern at the socket", sub {
			while (defined $systemd->recv(my $lines, 4096, Socket::MSG_DONTWAIT())) { $told .= $lines }
			return $told =~ $pattern;
		});
	};
	$stack->start_worker(name => 'five', MAX_CONCURRENCY => 3, METRICS_LISTEN => "127.0.0.1:$port", NOTIFY_SOCKET => $path, WATCHDOG_USEC => 600_000);
	$hear->(qr/^READY=1$/m);
	$hear->(qr/^STATUS=running: 0 of 3 threads busy, 0 runs waiting, lease fresh, broker connected$/m);
	$hear->(qr/(?:^WATCHDOG=1\n(?s:.*?)){3}/m);
	pass('systemd hears that it is ready, how it is, and that it lives');
	$stack->kill_worker('STOP', 'five');
	sleep 0.1;
	$hear->(qr//);
	$told = '';
	sleep 0.7;
	$hear->(qr//);
	is($told, '', 'and nothing from one that stands still');
	$stack->kill_worker('CONT', 'five');

	my $get = sub { my ($what) = @_; my $answer = HTTP::Tiny->new(timeout => 10)->get("http://127.0.0.1:$port$what"); return ($answer->{status}, $answer->{content}, $answer->{headers}{'content-type'}) };
	my @ids = (submit('echo', '{}'), submit('fail', '{"permanent": true}'), submit('nope', '{}'));
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_executions WHERE final AND job_id IN ('" . join("','", @ids) . "')", '3');
	my $long = submit('sleep', '{"seconds": 60}');
	status($long, 'running');
	my ($status, $text, $type) = $get->('/metrics');
	is("$status $type", '200 text/plain; version=0.0.4; charset=utf-8', '/metrics');
	like($text, qr/^\Qjobsched_worker_$_\E$/m, $_) for 'runs_total{task="echo",status="succeeded"} 1', 'runs_total{task="fail",status="failed_for_good"} 1',
		'runs_total{task="(unknown)",status="failed_for_good"} 1', 'run_seconds_count{task="echo"} 1', 'run_seconds_bucket{task="echo",le="+Inf"} 1', 'threads 3',
		'runs_in_flight 1', 'runs_claimed_total 4', 'dispatches_claimed_total 4', 'stale_results_total 0', 'lease_seconds 20', 'lease_fresh 1', 'connected{to="rabbitmq"} 1',
		'connected{to="postgres_claims"} 1', 'connection_losses_total{to="postgres_results"} 0';
	like($text, qr/^jobsched_worker_info\{version="[^"]+",worker_id="five"\} 1$/m, 'info');
	my ($age) = $text =~ /^jobsched_worker_lease_age_seconds (\S+)$/m;
	ok($age >= 0 && $age < 6, "lease_age_seconds ($age)");
	my %help = map { $_ => 1 } $text =~ /^# HELP (\S+) \S/mg;
	my %type = map { $_ => 1 } $text =~ /^# TYPE (\S+) (?:counter|gauge|histogram)$/mg;
	my @bare = grep { !$help{ $_ =~ s/_(?:bucket|sum|count)$//r } || !$type{ $_ =~ s/_(?:bucket|sum|count)$//r } } $text =~ /^([a-z]\w*)/mg;
	is_deeply(\@bare, [], 'each has its HELP and TYPE');
	is_deeply([ ($get->('/healthz'))[0, 1] ], [ 200, "lease fresh, broker connected\n" ], '/healthz');
	is(($get->('/'))[0], 404, 'nothing else is there');
	is(HTTP::Tiny->new->post("http://127.0.0.1:$port/metrics", { content => 'x' })->{status} =~ /^(?:405|599)$/, 1, 'and nothing can be sent');

	kill 'USR1', $stack->worker_pid('five');
	$stack->wait_for_log('five', qr/INFO jobsched-worker state phase=running .*lease_fresh=yes threads=3 running=1 .*broker=yes/);
	$stack->wait_for_log('five', qr/state of a task job=$long task=sleep attempt=1 seconds=\d+ told_to_stop=no/);
	pass('SIGUSR1 logs the state and what runs');

	kill 'TERM', $stack->worker_pid('five');
	$hear->(qr/^STOPPING=1$/m);
	is(($get->('/healthz'))[0], 503, 'while it drains it is not healthy');
	kill 'QUIT', $stack->worker_pid('five');
	$stack->wait_for('the end', sub { return !$stack->worker_runs('five') }, 20);
	is($stack->worker_status('five'), 1, 'SIGQUIT ends it at once');
	$stack->sql("SELECT jobsched.cancel('$long')");

	$stack->start_worker(name => 'six', METRICS_LISTEN => "127.0.0.1:$port");
	status($long, 'cancelled');
	my $second = $stack->start_worker(name => 'seven', METRICS_LISTEN => "127.0.0.1:$port", wait => 0);
	$stack->wait_for('its end', sub { return !$stack->worker_runs('seven') });
	is($stack->worker_status('seven'), 1, 'a port that is taken stops a worker');
	like($stack->log_text('seven'), qr/cannot start error="METRICS_LISTEN=127.0.0.1:$port: Address already in use"/, 'with the reason');
	$stack->stop_worker('six');
};

subtest 'the lease runs out while Postgres is away' => sub {
	$stack->guc('jobsched.worker_lease' => '4s');
	$stack->start_worker(name => 'eight', HEARTBEAT_INTERVAL => 0.5, LOG_LEVEL => 'DEBUG');
	my $long = submit('sleep', '{"seconds": 60}');
	status($long, 'running');
	my $short = submit('sleep', '{"seconds": 2.5}');
	status($short, 'running');
	$stack->kill_postgres;
	$stack->wait_for_log('eight', qr/the lease has run out, what runs is told to stop running=1/);
	$stack->wait_for_log('eight', qr/run ended job=$_ attempt=1/, 30) for $long, $short;
	pass('what runs is told to stop');
	$stack->start_postgres;
	$stack->wait_for_sql("SELECT string_agg(status, ',' ORDER BY attempt) FROM jobsched.runs WHERE job_id = '$_'", 'lost,running') for $long;
	pass('and is taken back when it can be told: a lost attempt, and another');
	status($short, 'succeeded');
	is($stack->sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = '$short'"), '1', 'what had ended meanwhile is recorded, whether or not the lease was over');
	$stack->sql("SELECT jobsched.cancel('$long')");
	status($long, 'cancelled');
	is($stack->stop_worker('eight'), 0, 'it stops');
	$stack->guc('jobsched.worker_lease' => '20s');
};

# make_certificates(DIR): an authority, a server named localhost, a client; and an authority that nobody knows.  Returns DIR.
sub make_certificates
{
	my ($dir) = @_;
	my $openssl = sub { my ($code, $out, $err) = JobschedTest->run('openssl', @_); die "openssl @_: $out$err" if $code != 0 };
	my @key = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes');
	mkdir $dir;
	$openssl->('req', '-x509', @key, '-days', 2, '-subj', "/CN=$_", '-keyout', "$dir/$_.key", '-out', "$dir/$_.crt") for 'ca', 'stranger';
	for my $who ('server', 'client')
	{
		open my $file, '>', "$dir/$who.ext" or die $!;
		print {$file} $who eq 'server' ? "subjectAltName=DNS:localhost\n" : "extendedKeyUsage=clientAuth\n";
		close $file;
		$openssl->('req', @key, '-subj', "/CN=$who", '-keyout', "$dir/$who.key", '-out', "$dir/$who.csr");
		$openssl->('x509', '-req', '-in', "$dir/$who.csr", '-CA', "$dir/ca.crt", '-CAkey', "$dir/ca.key", '-CAcreateserial', '-days', 2, '-extfile', "$dir/$who.ext", '-out', "$dir/$who.crt");
	}
	chmod 0600, glob "$dir/*.key";
	return $dir;
}

subtest 'TLS' => sub {
	$stack->guc('ssl' => 'on', 'ssl_cert_file' => "$pki/server.crt", 'ssl_key_file' => "$pki/server.key");
	$stack->wait_for_sql('SHOW ssl', 'on');
	my %env = $stack->env;
	my ($login) = $env{RABBITMQ_URL} =~ m{//([^@]*)@};
	my $password = $stack->read_file('data/secrets/jobsched_worker_login');
	my $broker = sub { my ($host, $query) = @_; return "amqps://$login\@$host:$tls_port/jobsched?heartbeat=10&verify=verify_peer&$query" };
	my $database = sub { my ($host, $ca) = @_; return "postgresql://jobsched_worker_login:$password\@$host:$env{PGPORT}/jobsched?sslmode=verify-full&sslrootcert=$pki/$ca.crt" };
	my $client = "certfile=$pki/client.crt&keyfile=$pki/client.key";
	my $good = $broker->('localhost', "cacertfile=$pki/ca.crt&$client" =~ s{/}{%2F}gr);

	$stack->start_worker(name => 'nine', DATABASE_URL => $database->('localhost', 'ca'), RABBITMQ_URL => $good);
	status(submit('echo', '{}'), 'succeeded');
	is($stack->sql(q{SELECT bool_and(s.ssl), count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name LIKE 'jobsched-worker%'}), 't|2',
		'sslmode=verify-full: a job runs, both connections are encrypted');
	is($stack->rabbitmqctl('list_connections', 'ssl', 'peer_cert_subject') =~ /^true\s+CN=client$/m, 1, 'amqps: with authority, client certificate and host name');
	is($stack->stop_worker('nine'), 0, 'it stops');

	my $refused = sub {
		my ($name, $pattern, %urls) = @_;
		my $log = $stack->start_worker(name => $name =~ s/\W+/_/gr, wait => 0, DATABASE_URL => $database->('localhost', 'ca'), RABBITMQ_URL => $good, %urls);
		ok($stack->wait_for_log($log, $pattern), $name);
		unlike($stack->log_text($log), qr/\Q$password\E|\Q@{[ $login =~ s{.*:}{}r ]}\E/, 'without a password in the log');
		$stack->kill_worker('KILL', $log);
	};
	$refused->('a broker of another name is refused', qr/broker cannot be reached.*hostname verification failed/, RABBITMQ_URL => $broker->('127.0.0.1', "cacertfile=$pki/ca.crt&$client"));
	$refused->('a broker of another authority is refused', qr/broker cannot be reached.*peer cert verification failed/, RABBITMQ_URL => $broker->('localhost', "cacertfile=$pki/stranger.crt&$client"));
	$refused->('the broker refuses who has no certificate', qr/broker cannot be reached.*error=/, RABBITMQ_URL => $broker->('localhost', "cacertfile=$pki/ca.crt"));
	$refused->('a database of another name is refused', qr/database cannot be reached.*does not match host name/, DATABASE_URL => $database->('127.0.0.1', 'ca'));
	$refused->('a database of another authority is refused', qr/database cannot be reached.*certificate verify failed/, DATABASE_URL => $database->('localhost', 'stranger'));

	for my $case ([ "amqp://u:p\@h/v?cacertfile=$pki/ca.crt", 'cacertfile is for amqps:// only' ], [ 'amqps://u:p@h/v?cacertfile=/nowhere', 'cacertfile=/nowhere: No such file or directory' ],
		[ "amqps://u:p\@h/v?certfile=$pki/client.crt", 'certfile and keyfile are needed together' ], [ 'amqps://u:p@h/v?verify=verify_none', 'verify=verify_none: only verify_peer is allowed' ])
	{
		my ($code, undef, $err) = $stack->run($stack->build . '/jobsched-worker', '--check-config', { env => { RABBITMQ_URL => $case->[0] } });
		is("$code $err", "2 jobsched-worker: RABBITMQ_URL: $case->[1]\n", "refused: $case->[1]");
	}
	$stack->guc('ssl' => 'off');
};

subtest 'units for systemd' => sub {
	plan skip_all => 'systemd-analyze is not installed' if !-x '/usr/bin/systemd-analyze';
	for my $name ('jobsched-worker', 'jobsched-api')
	{
		open my $file, '<', $stack->top . "/share/systemd/$name.service" or die "$name: $!";
		my $unit = join '', <$file>;
		my $build = $stack->build;
		ok($unit =~ s{^ExecStart=/usr/local/bin/}{ExecStart=$build/}m, "$name: starts the program");
		$stack->write_file("$name.service", $unit);
		my $path = $stack->dir . "/$name.service";
		my ($code, $out, $err) = $stack->run('systemd-analyze', 'verify', $path);
		is("$code $out$err", '0 ', 'and systemd finds nothing wrong');
		($code, $out, $err) = $stack->run('systemd-analyze', 'security', '--offline=true', '--threshold=25', $path);
		is($code, 0, 'its exposure is at most 2.5 of 10') or diag($out, $err);
	}
};

done_testing();
