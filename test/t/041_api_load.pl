# The REST API with many clients at once: what they share (a transaction, a statement) must not be seen by any of them.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use IO::Select;
use IO::Socket::INET;
use IPC::Run ();
use JobschedTest;
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'jobsched-api is not built' if !JobschedTest::built('api');

my $stack = JobschedTest->new(rabbitmq => 0, settings => { API_REQUEST_TIMEOUT => 4 });
my %env = $stack->env;
$stack->start_api;
my ($port) = $stack->api_url =~ /:(\d+)$/;
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my %once = (name => 'echo', frequency => 'once', next_run_time => 4102444800);

# Sends the requests ([METHOD, PATH, body]) all at once, each on a connection of its own; [status, body] for each, in order.  A sub
# before them is called when all have been sent.
sub at_once
{
	my $sent = ref $_[0] eq 'CODE' ? shift : sub { };
	my (@requests) = @_;
	my @sockets = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or die "connect: $!" } @requests;
	for my $i (0 .. $#requests)
	{
		my ($method, $path, $body) = @{ $requests[$i] };
		my $text = defined $body ? ref $body ? $json->encode($body) : $body : '';
		syswrite $sockets[$i], "$method $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " . length($text) . "\r\n\r\n$text";
	}
	$sent->();
	my %number = map { $sockets[$_] => $_ } 0 .. $#sockets;
	my @text = ('') x @requests;
	my $open = IO::Select->new(@sockets);
	my $deadline = time + 30;
	while ($open->count && time < $deadline)
	{
		for my $socket ($open->can_read(1))
		{
			sysread($socket, my $more, 65536) or $open->remove($socket);
			$text[ $number{$socket} ] .= $more // '';
		}
	}
	return map { my ($status, $body) = m{^HTTP/1.1 (\d+) .*?\r\n\r\n(.*)}s; [$status // 599, length($body // '') ? $json->decode($body) : undef] } @text;
}

# Transactions that stored jobs with such payloads.
sub transactions { my ($tag) = @_; return $stack->sql("SELECT count(DISTINCT xmin::text) FROM jobsched.jobs WHERE payload->>'tag' = '$tag'") }

# A session that has run these statements and keeps its transaction open until ->() is called.
sub session
{
	my ($sql) = @_;
	my ($in, $out) = ("BEGIN; $sql; SELECT 'done';\n", '');
	local %ENV = (%ENV, %env);
	my $psql = IPC::Run::start([$stack->bin . '/psql', '-XAtq', '-U', 'postgres', '-d', 'jobsched'], '<', \$in, '>', \$out, '2>', \my $err);
	$stack->wait_for('the session', sub { $psql->pump_nb; return $out =~ /done/ });
	return sub { $in = "COMMIT;\n"; $psql->finish; return };
}

# A lock that POST and GET wait for, and the sub that lets it go: so that they meet, however slowly they are sent.
sub locked { return session('LOCK TABLE jobsched.jobs IN ACCESS EXCLUSIVE MODE') }

subtest 'POSTs share transactions, and a bad one harms nobody' => sub {
	my @requests = map { ['POST', '/jobs', { %once, payload => { tag => 'many', n => $_ }, ($_ % 10 == 0 ? (priority => 77) : ()), ($_ % 10 == 5 ? (queue => 'not a queue') : ()) }] } 1 .. 100;
	my @answers = at_once(locked(), @requests);
	is_deeply([map { $_->[0] } @answers], [map { $_ % 5 == 0 ? 422 : 201 } 1 .. 100], 'each its own status');
	is_deeply([map { $_->[1]{field} } grep { $_->[0] == 422 } @answers], [('queue', 'priority') x 10], 'the bad ones with their field');
	is_deeply([map { $_->[1]{payload}{n} } grep { $_->[0] == 201 } @answers], [grep { $_ % 5 } 1 .. 100], 'the good ones with their own job');
	my %stored = map { split /\|/ } split /\n/, $stack->sql(q{SELECT payload->>'n', id FROM jobsched.jobs WHERE payload->>'tag' = 'many'});
	is_deeply(\%stored, { map { $_->[1]{payload}{n} => $_->[1]{id} } grep { $_->[0] == 201 } @answers }, 'which is the one that was stored');
	cmp_ok(transactions('many'), '<', 40, 'in a few transactions: ' . transactions('many'));
};

subtest 'GETs share a statement' => sub {
	my @ids = split /\n/, $stack->sql(q{SELECT id FROM jobsched.jobs WHERE payload->>'tag' = 'many' ORDER BY random() LIMIT 40});
	my @wanted = map { ($_, '00000000-0000-0000-0000-0000000000' . sprintf('%02d', 10 + length), uc $_) } @ids;
	$stack->sql('CREATE SEQUENCE public.calls; GRANT USAGE ON SEQUENCE public.calls TO PUBLIC;
		ALTER FUNCTION jobsched.rest_get_many(uuid[], boolean) RENAME TO rest_get_many_kept;
		CREATE FUNCTION jobsched.rest_get_many(ids uuid[]) RETURNS TABLE (id uuid, job text) LANGUAGE sql SECURITY DEFINER AS $$ SELECT nextval($s$public.calls$s$); SELECT * FROM jobsched.rest_get_many_kept(ids) $$');
	my @answers = at_once(locked(), map { ['GET', "/jobs/$_"] } @wanted);
	is_deeply([map { $_->[0] == 200 ? $_->[1]{id} : $_->[0] } @answers], [map { ($_, 404, $_) } @ids], 'each its own job, or 404');
	my $calls = $stack->sql('SELECT last_value FROM public.calls');
	cmp_ok($calls, '<', @wanted / 2, sprintf '%d ids in %d statements', scalar @wanted, $calls);

	# An error that only one id raises.
	$stack->sql("CREATE OR REPLACE FUNCTION jobsched.rest_get_many(ids uuid[]) RETURNS TABLE (id uuid, job text) LANGUAGE plpgsql SECURITY DEFINER AS \$\$ BEGIN
		IF '$ids[7]' = ANY (ids) THEN RAISE EXCEPTION 'broken' USING ERRCODE = 'XX001'; END IF; RETURN QUERY SELECT * FROM jobsched.rest_get_many_kept(ids); END \$\$");
	@answers = at_once(map { ['GET', "/jobs/$_"] } @ids);
	is_deeply([map { $_->[0] } @answers], [map { $_ == 7 ? 500 : 200 } 0 .. $#ids], 'an error that one id causes is answered to that one');
	$stack->sql('DROP FUNCTION jobsched.rest_get_many(uuid[]); ALTER FUNCTION jobsched.rest_get_many_kept(uuid[], boolean) RENAME TO rest_get_many');
};

subtest 'keys' => sub {
	my @keys = map { sprintf 'key-%02d', $_ % 20 } 1 .. 120;
	my @answers = at_once(map { ['POST', '/jobs', { %once, payload => { tag => 'keyed' }, unique_key => $_ }] } @keys);
	is_deeply([grep { $_->[0] != 201 && $_->[0] != 200 } @answers], [], 'all are accepted');
	is((scalar grep { $_->[0] == 201 } @answers), 20, 'each key once');
	my %id;
	for my $i (0 .. $#keys) { $id{ $keys[$i] }{ $answers[$i][1]{id} } = 1 }
	is_deeply([grep { keys %{ $id{$_} } != 1 } keys %id], [], 'and always with the same job');
	is($stack->sql(q{SELECT count(*) FROM jobsched.jobs WHERE payload->>'tag' = 'keyed'}), 20, 'no other is stored');
};

subtest 'a lock holds up only those that need it' => sub {
	my $end = session(q{SET LOCAL ROLE jobsched_api_login; SELECT * FROM jobsched.rest_submit_many(ARRAY['{"name":"echo","frequency":"once","next_run_time":0,"unique_key":"held"}'])});
	my @requests = map { ['POST', '/jobs', { %once, payload => { tag => 'beside' }, ($_ % 8 == 0 ? (unique_key => $_ == 8 ? 'held' : "free-$_") : ()) }] } 1 .. 40;
	my $since = time;
	my @answers = at_once(@requests);
	is_deeply([map { $_->[0] } @answers], [map { $_ == 8 ? 503 : 201 } 1 .. 40], 'only the key that is held waits, in vain') or diag(explain(\@answers));
	is($answers[7][1]{type}, 'urn:jobsched:problem:unavailable', 'and it is known that nothing was done');
	cmp_ok(time - $since, '<', 9, 'soon after the time limit');
	$end->();
	is((at_once(['POST', '/jobs', { %once, unique_key => 'held' }]))[0][0], 200, 'then the key belongs to the job of that session');
};

subtest 'large jobs share transactions of limited size' => sub {
	my $unlock = session('LOCK TABLE jobsched.timers IN ACCESS EXCLUSIVE MODE');
	my $pid = fork // die $!;
	if (!$pid)
	{
		my @answers = at_once(map { ['POST', '/jobs', { %once, payload => { tag => 'large', text => 'x' x 900_000 } }] } 1 .. 20);
		POSIX::_exit(scalar grep { $_->[0] != 201 } @answers);
	}
	sleep 0.3;    # a group gives up after 0.4 s
	$unlock->();
	waitpid $pid, 0;
	is($? >> 8, 0, 'all are accepted');
	my ($largest, $shared) = split /\|/, $stack->sql(q{SELECT max(bytes), max(n) FROM (SELECT sum(octet_length(payload::text)) AS bytes, count(*) AS n
		FROM jobsched.jobs WHERE payload->>'tag' = 'large' GROUP BY xmin::text) x});
	cmp_ok($largest, '<', 4.2e6, "at most 4 MiB of them in one ($shared in one)");
};

subtest 'a queue that somebody is making' => sub {
	my $end = session(q{SELECT jobsched.submit('echo', queue => 'young')});
	my @answers = at_once(map { ['POST', '/jobs', { %once, payload => { tag => 'queue' }, ($_ == 8 ? (queue => 'young') : ()) }] } 1 .. 16);
	is_deeply([map { $_->[0] } @answers], [map { $_ == 8 ? 503 : 201 } 1 .. 16], 'only the job for that queue waits, in vain');
	$end->();
	is((at_once(['POST', '/jobs', { %once, queue => 'young' }]))[0][0], 201, 'then it is there');
};

subtest 'sessions that are ended under a group' => sub {
	my $unlock = session('LOCK TABLE jobsched.timers IN ACCESS EXCLUSIVE MODE');
	my $pid = fork // die $!;
	if (!$pid)
	{
		my @answers = at_once(map { ['POST', '/jobs', { %once, payload => { tag => 'ended', n => $_ } }] } 1 .. 64);
		$stack->write_file('answers', $json->encode(\@answers));
		POSIX::_exit(0);
	}
	$stack->wait_for_sql("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'jobsched-api' AND wait_event_type = 'Lock'");
	$stack->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jobsched-api'");
	sleep 0.1;
	$unlock->();
	waitpid $pid, 0;
	my @answers = @{ $json->decode($stack->read_file('answers')) };
	my @accepted = map { $_->[1]{id} } grep { $_->[0] == 201 } @answers;
	is_deeply([grep { $_->[0] != 201 && $_->[0] != 503 } @answers], [], sprintf '%d accepted, the others 503', scalar @accepted);
	my %stored = map { $_ => 1 } split /\n/, $stack->sql(q{SELECT id FROM jobsched.jobs WHERE payload->>'tag' = 'ended'});
	is_deeply([grep { !$stored{$_} } @accepted], [], 'what was accepted is there');
	is((scalar grep { $_->[0] == 503 && $_->[1]{type} eq 'urn:jobsched:problem:unavailable' } @answers), 64 - keys %stored, 'what is said to have done nothing did nothing');
};

subtest 'batches beside single jobs' => sub {
	my @requests = map { $_ % 4 ? ['POST', '/jobs', { %once, payload => { tag => 'beside batches' } }]
		: ['POST', '/jobs/batch', { jobs => [map { +{ %once, payload => { tag => 'beside batches' }, ($_ % 10 ? () : (unique_key => 'batch-' . $_ % 50)) } } 1 .. 50] }] } 1 .. 40;
	my @answers = at_once(@requests);
	is_deeply([grep { $_->[0] != 201 && $_->[0] != 200 } @answers], [], 'all are answered') or diag(explain(\@answers));
	my $created = 0;
	for (@answers) { $created += $_->[1]{created} // 1 }
	is($stack->sql(q{SELECT count(*) FROM jobsched.jobs WHERE payload->>'tag' = 'beside batches'}), $created, "$created jobs are stored");
	is($created, 30 + 10 * 45 + 5, 'the keys once');
};

# A client in a process of its own that posts jobs until the file `end` is there; each 30th request is a batch, each 10th a GET of
# what was accepted before.  Its file tells what was answered.
sub busy_client
{
	my ($number) = @_;
	my $pid = fork // die $!;
	return $pid if $pid;
	my (@accepted, %statuses, @bad);
	my $recovered = 0;
	for (my $n = 1; !-e $stack->dir . '/end'; $n++)
	{
		my %job = (%once, payload => { tag => 'restart' }, ($n % 7 ? () : (unique_key => "restart-$number-$n")));
		my @call = $n % 30 == 0 ? ('POST', '/jobs/batch', { jobs => [(\%job) x 5] }) : $n % 10 == 0 && @accepted ? ('GET', "/jobs/$accepted[-1]") : ('POST', '/jobs', \%job);
		my ($status, $headers, $body) = $stack->http(@call);
		$statuses{$status}++;
		if ($status == 201) { push @accepted, $body->{id} }
		elsif ($status == 200 && $body->{jobs}) { push @accepted, map { $_->{id} } @{ $body->{jobs} } }
		elsif ($status == 503 && $headers->{'retry-after'} && $headers->{'content-type'} eq 'application/problem+json') { sleep 0.05 }
		elsif ($status != 200) { push @bad, [@call, $status, $body] }
	}
	$stack->write_file("client-$number", $json->encode({ accepted => \@accepted, statuses => \%statuses, bad => \@bad }));
	POSIX::_exit(0);
}

subtest 'PostgreSQL is restarted under load' => sub {
	my @clients = map { busy_client($_) } 1 .. 8;
	my $stored = sub { return $stack->sql(q{SELECT count(*) FROM jobsched.jobs WHERE payload->>'tag' = 'restart'}) };
	my $more = sub { my $before = $stored->(); return eval { $stack->wait_for('new jobs', sub { return $stored->() > $before + 50 }) } };
	ok($more->(), 'jobs come in');
	for my $how ('fast', 'immediate', 'KILL')
	{
		if ($how eq 'KILL') { $stack->kill_postgres }
		elsif ($how eq 'immediate') { $stack->kill_postgres('QUIT'); $stack->wait_for('its end', sub { return !$stack->pid('postgres') || !-e '/proc/' . $stack->pid('postgres') . '/exe' }) }
		else { $stack->stop_postgres }
		sleep 0.3;
		$stack->start_postgres;
		ok($more->(), "and again after a restart ($how), without one of the API");
	}
	$stack->write_file('end', '');
	waitpid $_, 0 for @clients;
	my @told = map { $json->decode($stack->read_file("client-$_")) } 1 .. 8;
	my %statuses;
	for my $each (map { $_->{statuses} } @told) { $statuses{$_} += $each->{$_} for keys %$each }
	is_deeply([map { @{ $_->{bad} } } @told], [], 'nothing but 503 with Retry-After meanwhile: ' . $json->encode(\%statuses));
	cmp_ok($statuses{503}, '>', 0, 'which there were');
	my %there = map { $_ => 1 } split /\n/, $stack->sql(q{SELECT id FROM jobsched.jobs WHERE payload->>'tag' = 'restart'});
	my @accepted = map { @{ $_->{accepted} } } @told;
	is_deeply([grep { !$there{$_} } @accepted], [], @accepted . ' accepted jobs are there');
};

$stack->stop_api;
unlike($stack->log_text('api'), qr/Sanitizer|runtime error/, 'no sanitizer has found anything');
done_testing();
