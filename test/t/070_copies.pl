# A copy of a database, however it was made, has every row and runs nothing before jobsched.adopt(): pg_upgrade, which copies or
# links; pg_dump | psql and pg_restore -j, into another server and into the same, while schedulers and workers are at it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use File::Temp qw(tempdir);
use JobschedTest;
use Test::More;

my @restored = ('copy_psql', 'copy_custom', 'copy_directory');
my $stack = JobschedTest->new(settings => { 'jobsched.database' => join(',', 'jobsched', 'fresh', @restored), 'jobsched.worker_lease' => '4s',
	'jobsched.enabled' => 'off', max_worker_processes => 20 });
my $dir = $stack->dir;
my %main = $stack->env;
my $password = $stack->read_file('data/secrets/postgres');
my $PRELOAD = "shared_preload_libraries = 'jobsched'";

# ---- programs and other servers ----

my @superuser = ('-U', 'postgres');
my @connection = ('-h', '127.0.0.1', '-p', $main{PGPORT}, @superuser);
my @quiet = ('-X', '-q', '-v', 'ON_ERROR_STOP=1');

# A program of PostgreSQL as the superuser; dies when it fails; returns what it said on standard error.
sub program
{
	my ($name, @arguments) = @_;
	my ($code, $out, $err) = $stack->run('env', '-C', "$dir/data", $stack->bin . "/$name", @arguments, { env => { PGPASSWORD => $password, PGCTLTIMEOUT => 170 } });
	die "$name @arguments: exit code $code\n$out$err" if $code != 0;
	return $err;
}

sub copy_files { my ($from, $to) = @_; return system('cp', '-a', "$dir/data/$from", "$dir/data/$to") == 0 || die "cp $from $to failed" }

# An empty cluster in data/NAME, with the stack's passwords.
sub cluster_make
{
	my ($name, @settings) = @_;
	my $cluster = { name => $name, data => "$dir/data/$name", port => JobschedTest::free_port() };
	copy_files('template', $name);
	cluster_set($cluster, "port = $cluster->{port}", "listen_addresses = '127.0.0.1'", "unix_socket_directories = ''", 'fsync = off',
		"jobsched.worker_lease = '4s'", "jobsched.amqp_url = 'amqp://127.0.0.1:1/'", @settings);
	return $cluster;
}

sub cluster_set
{
	my ($cluster, @settings) = @_;
	my $file = "data/$cluster->{name}/postgresql.conf";
	return $stack->write_file($file, $stack->read_file($file) . join '', map { "$_\n" } @settings);
}

sub cluster_start { my ($cluster) = @_; return program('pg_ctl', 'start', '-w', '-D', $cluster->{data}, '-l', "$dir/log/$cluster->{name}.log") }
sub cluster_stop { my ($cluster) = @_; return program('pg_ctl', 'stop', '-w', '-m', 'fast', '-D', $cluster->{data}) }

# Functions that execute SQL: in a database of the stack's server, and of another one.
sub in_database { my ($database) = @_; return sub { my ($sql) = @_; return $stack->sql($sql, database => $database) } }
sub in_cluster
{
	my ($cluster, $database) = @_;
	return sub {
		my ($sql) = @_;
		local $ENV{PGPASSWORD} = $password;
		return $stack->sql($sql, database => $database, args => [ '-p', $cluster->{port} ]);
	};
}

# ---- what is in a database, and whether anything moves ----

# A line for every table and leaf of the schema, whether a dump knows it or not (but sweeps, which is dumped empty): name, rows, checksum of its contents.
my $CONTENTS = q{SELECT format('SELECT %L, count(*), md5(string_agg(t::text, E''\n'' ORDER BY t::text COLLATE "C")) FROM ONLY jobsched.%I t',
	relname, relname) FROM pg_class WHERE relnamespace = 'jobsched'::regnamespace AND relkind = 'r' AND relname <> 'sweeps' ORDER BY relname \gexec};

sub contents { my ($sql) = @_; return [ split /\n/, $sql->($CONTENTS) ] }
sub without { my ($tables, $contents) = @_; return [ grep { !/^(?:$tables)\|/ } @$contents ] }

sub looks { my ($sql) = @_; return $sql->('SELECT loops FROM jobsched.scheduler_status() WHERE database = current_database()') || 0 }

# Until the schedulers of these databases have had three more looks at them.
sub wait_for_looks
{
	my (@databases) = @_;
	my @from = map { looks($_) } @databases;
	for my $n (0 .. $#databases) { $stack->wait_for('the scheduler to look', sub { return looks($databases[$n]) >= $from[$n] + 3 }) }
	return;
}

# A copy that nobody has adopted: nothing moves, it says why, and turns workers away.
sub check_waiting
{
	my ($sql, $name, $contents, $except) = @_;
	$except //= 'none';
	is_deeply(without($except, contents($sql)), without($except, $contents), "$name: every row is there, and none more");
	is($sql->(q{SELECT jobsched.health()->>'code'}), 'not_adopted', "$name: health() says that it is not adopted");
	my $none = 'gen_random_uuid()';
	for my $call (q{register_worker('w', '{jobs}', 1)}, "claim($none, $none, ARRAY[$none])", "heartbeat($none, '{}', '{}')")
	{
		my $state = $sql->("DO \$\$ BEGIN PERFORM jobsched.$call; EXCEPTION WHEN OTHERS THEN PERFORM set_config('test.state', SQLSTATE, false); END \$\$;
			SELECT current_setting('test.state', true)");
		is($state, 'JS003', "$name: " . ($call =~ s/\(.*//r) . ' raises JS003');
	}
	return;
}

sub check_idle
{
	my ($sql, $name) = @_;
	like($sql->(q{SELECT jobsched.health()->>'scheduler'}), qr/^idle: .*adopt/, "$name: the scheduler waits for adopt()");
	return;
}

# Of the job that is due, the cron job that is due, the run that a worker held when the copy was made: how many are on their
# way (again) or have succeeded.
my $GONE_ON = q{SELECT count(*) FROM jobsched.jobs j WHERE payload->>'is' IN ('due', 'cron', 'claimed') AND (
	EXISTS (SELECT FROM jobsched.dispatches d WHERE d.job_ids @> ARRAY[j.id] AND d.status = 'queued')
	OR EXISTS (SELECT FROM jobsched.job_executions e WHERE e.job_id = j.id AND e.status = 'succeeded'))};

sub check_going_on
{
	my ($sql, $name) = @_;
	my $went = eval { $stack->wait_for('due jobs to go on', sub { return $sql->($GONE_ON) eq '3' }) };
	ok($went, "$name: its due jobs run");
	is($sql->(q{SELECT count(*) FROM jobsched.timers t JOIN jobsched.jobs j ON j.id = t.job_id WHERE j.payload->>'is' = 'cron' AND t.run_at > now()}), '1',
		"$name: the cron job has its next time");
	is($sql->(q{SELECT count(*) FROM jobsched.timers t JOIN jobsched.jobs j ON j.id = t.job_id WHERE j.payload->>'is' = 'later'}), '1', "$name: what is not due waits");
	return;
}

# ---- the original: rows in every table and every slot ----

# Text with all that COPY must quote; `big` is stored outside its row.
my $odd = q{E'a\tb\\\\N\nc "d" ''e'' \u00e4\u20ac\U0001F600'};

$stack->sql(<<~"END");
	INSERT INTO jobsched.ring SELECT n, now() - (16 - n) * interval '1 day', CASE WHEN n < 15 THEN now() - (15 - n) * interval '1 day' END FROM generate_series(0, 15) n;
	SELECT jobsched.submit('echo', '{"is": "due"}');
	SELECT jobsched.submit('echo', '{"is": "cron"}', cron => '0 0 1 1 *', time_zone => 'UTC');
	SELECT jobsched.submit('echo', '{"is": "later"}', run_at => now() + interval '1 day', queue => 'other', unique_key => 'the only one');
	SELECT jobsched.submit('echo', '{"is": "queued"}');
	SELECT jobsched.submit('echo', '{"is": "claimed"}');
	UPDATE jobsched.timers t SET due_at = now() - interval '20 min', run_at = now() - interval '20 min' FROM jobsched.jobs j WHERE j.id = t.job_id AND j.payload->>'is' = 'cron';
	UPDATE jobsched.schedules SET last_run_at = now() - interval '25 min', schedule_name = $odd;

	INSERT INTO jobsched.jobs (slot, id, priority, max_retries, queue, name, frequency, state, owner, payload, timeout, retry_delay, retry_delay_max, expires_at, unique_key)
	SELECT n, jobsched._uuid_v7(n % 16), n % 10, n, 1, $odd, 'once', (ARRAY['active', 'paused', 'cancelled'])[1 + n % 3], 'app',
		jsonb_build_object('odd', $odd, 'big', (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 1000) i)),
		interval '1 min', interval '1 s', interval '1 day', now() + interval '1 year', 'key ' || n
	FROM generate_series(0, 16) n;
	INSERT INTO jobsched.job_executions (slot, attempt, final, job_id, worker_id, run_at, queued_at, started_at, finished_at, status, reason, error, result_payload, artifacts)
	SELECT n, s, s = 5, j.id, gen_random_uuid(), now(), now(), now(), now() + s * interval '1 us', (ARRAY['lost', 'failed', 'cancelled', 'expired', 'succeeded'])[s],
		CASE s WHEN 2 THEN 'timeout' END, CASE s WHEN 2 THEN $odd END, CASE s WHEN 5 THEN j.payload END, CASE s WHEN 5 THEN '[{"name": "a"}]'::jsonb END
	FROM generate_series(0, 16) n, generate_series(1, 5) s, LATERAL (SELECT * FROM jobsched.jobs j WHERE j.slot = n AND j.name = $odd LIMIT 1) j;

	INSERT INTO jobsched.dispatches (id, queue, priority, segment, job_ids, run_ats, attempts, failures, losses)
	SELECT gen_random_uuid(), t.queue, t.priority, t.segment, ARRAY[t.job_id], ARRAY[t.run_at], ARRAY[t.attempt], ARRAY[t.failures], ARRAY[t.losses]
	FROM jobsched.timers t JOIN jobsched.jobs j ON j.id = t.job_id WHERE j.payload->>'is' IN ('queued', 'claimed');
	DELETE FROM jobsched.timers t USING jobsched.dispatches d WHERE t.job_id = d.job_ids[1];
	SELECT jobsched.claim(jobsched.register_worker('the original''s', '{jobs}', 4, '{"host": "gone"}'), gen_random_uuid(), ARRAY[d.id])
	FROM jobsched.dispatches d JOIN jobsched.jobs j ON j.id = d.job_ids[1] WHERE j.payload->>'is' = 'claimed';
	INSERT INTO jobsched.progress SELECT d.job_ids[1], d.run_ats[1], 1, 12.5, $odd FROM jobsched.dispatches d WHERE d.status = 'claimed';
	INSERT INTO jobsched.expiries SELECT id, expires_at, expires_at, jobsched.segment_of(id) FROM jobsched.jobs WHERE expires_at IS NOT NULL ON CONFLICT DO NOTHING;
	INSERT INTO jobsched.cron_ticks SELECT job_id, last_run_at, 'fired' FROM jobsched.schedules;
	END
my $original = in_database('jobsched');
my $contents = contents($original);
is_deeply([ grep { /\|0\|/ } @$contents ], [], 'the test has put rows into every table');
is(scalar(grep { /^(?:jobs|job_executions)_(?:\d+|kept)\|/ } @$contents), 34, 'and into every slot');

program('pg_dump', @connection, '-f', "$dir/data/plain.sql", 'jobsched');
program('pg_dump', @connection, '-Fc', '-f', "$dir/data/custom.dump", 'jobsched');
program('pg_dump', @connection, '-Fd', '-j2', '-f', "$dir/data/directory.dump", 'jobsched');

# From here on the original's scheduler may run, also while pg_upgrade has the server up.
$stack->sql('ALTER SYSTEM SET jobsched.enabled = on');
$stack->stop_postgres;

# ---- other servers: pg_upgrade; a dump, at first without the library ----

$stack->write_file('data/password', $password);
program('initdb', '-D', "$dir/data/template", @superuser, '-E', 'UTF8', '--locale=C.UTF-8', '--auth=scram-sha-256', "--pwfile=$dir/data/password", '--no-sync');
my $sockets = tempdir('jobsched-upgrade-XXXXXX', DIR => '/tmp', CLEANUP => 1);    # the path of a socket has to be short
my @others;
copy_files('postgres', 'old');
for my $way ([ 'copy', 'postgres' ], [ 'link', 'old', '--link' ])
{
	my ($name, $old, @how) = @$way;
	my $cluster = cluster_make($name, $PRELOAD, "jobsched.database = 'jobsched'");
	program('pg_upgrade', '-b', $stack->bin, '-B', $stack->bin, '-d', "$dir/data/$old", '-D', $cluster->{data}, @superuser, '-s', $sockets, '--no-sync', @how);
	cluster_start($cluster);
	push @others, { name => "pg_upgrade ($name)", cluster => $cluster, sql => in_cluster($cluster, 'jobsched') };
}

my $elsewhere = cluster_make('elsewhere');
my $copy = in_cluster($elsewhere, 'copy');
cluster_start($elsewhere);
in_cluster($elsewhere, 'postgres')->('CREATE DATABASE copy');
like(program('psql', '-h', '127.0.0.1', '-p', $elsewhere->{port}, @superuser, @quiet, '-f', "$dir/data/plain.sql", 'copy'),
	qr/WARNING:  jobsched is not in shared_preload_libraries.*\n.*HINT:  Add jobsched to shared_preload_libraries/, 'a server without the library: a warning says what to do');
check_waiting($copy, 'without the library', $contents);
like($copy->(q{SELECT jobsched.health()->>'scheduler'}), qr/^not running: shared_preload_libraries/, 'without the library: health() says so');
cluster_stop($elsewhere);
cluster_set($elsewhere, $PRELOAD, "jobsched.database = 'copy'");
cluster_start($elsewhere);
push @others, { name => 'another server', cluster => $elsewhere, sql => $copy };

wait_for_looks(map { $_->{sql} } @others);
for my $other (@others)
{
	check_waiting($other->{sql}, $other->{name}, $contents);
	check_idle($other->{sql}, $other->{name});
	is($other->{sql}->('SELECT jobsched.adopt()'), 't', "$other->{name}: adopt()");
}
for my $other (@others)
{
	check_going_on($other->{sql}, $other->{name});
	cluster_stop($other->{cluster});
}

# ---- the same server ----

$stack->start_postgres;
check_going_on($original, 'the original');

my $fresh = in_database('fresh');
$stack->sql('CREATE DATABASE fresh');
$fresh->('CREATE EXTENSION jobsched');
my $worker = 'early';
my %copies = map { $_ => in_database($_) } @restored;
for my $name (@restored) { $stack->sql("CREATE DATABASE $name") }

program('psql', @connection, @quiet, '-f', "$dir/data/plain.sql", 'copy_psql');
program('pg_restore', @connection, '-j2', '--exit-on-error', '-d', 'copy_custom', "$dir/data/custom.dump");

# A worker comes in the middle of a restore, and the first step of a submit: neither makes the copy run.
program('pg_restore', @connection, '-j2', '--exit-on-error', '--section=pre-data', '-d', 'copy_directory', "$dir/data/directory.dump");
$stack->start_worker(name => $worker, wait => 0, HEARTBEAT_INTERVAL => 1, DATABASE_URL => 'postgresql://jobsched_worker_login:'
	. $stack->read_file('data/secrets/jobsched_worker_login') . "\@127.0.0.1:$main{PGPORT}/copy_directory");
$stack->wait_for_log($worker, qr/registered/);
$copies{copy_directory}->('SELECT jobsched._first_use()');
wait_for_looks($copies{copy_directory});
program('pg_restore', @connection, '-j2', '--exit-on-error', '--section=data', '--section=post-data', '-d', 'copy_directory', "$dir/data/directory.dump");

wait_for_looks($fresh, values %copies);
is_deeply([ grep { !/\|0\|$/ } @{ contents($fresh) } ], [], 'neither CREATE EXTENSION nor the scheduler inserts a row');
program('pg_dump', @connection, '--data-only', '-f', "$dir/data/fresh.sql", 'fresh');
my @sections = $stack->read_file('data/fresh.sql') =~ /^COPY jobsched\..*\n(.*)/mg;
is_deeply([ grep { $_ ne '\.' } @sections ], [], 'and a dump has none');
is(scalar @sections, 1 + @$contents, 'although it has all tables');

for my $name (@restored)
{
	check_waiting($copies{$name}, $name, $contents, $name eq 'copy_directory' ? 'workers|cluster' : undef);
	check_idle($copies{$name}, $name);
}
$stack->wait_for_log($worker, qr/JS003|adopt/);
pass('copy_directory: the worker says why it does nothing');

my $id = $stack->sql_as('app', q{SELECT jobsched.submit('echo', '{"is": "new"}')}, database => 'copy_directory');
wait_for_looks($copies{copy_directory});
is($copies{copy_directory}->("SELECT status FROM jobsched.job_status WHERE id = '$id'"), 'scheduled', 'copy_directory: a new job is accepted and waits too');

for my $name (@restored)
{
	is($stack->sql_as('admin', 'SELECT jobsched.adopt(), jobsched.adopt()', database => $name), 't|f', "$name: adopt()");
}
for my $name (@restored) { check_going_on($copies{$name}, $name) }
$stack->wait_for('all that is due', sub { return $copies{copy_directory}->(q{SELECT count(DISTINCT job_id) FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id
	WHERE j.payload->>'is' IN ('due', 'cron', 'queued', 'claimed', 'new') AND e.status = 'succeeded'}) eq '5' });
is($copies{copy_directory}->(q{SELECT string_agg(e.attempt || ' ' || e.status, ', ' ORDER BY e.attempt) FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id
	WHERE j.payload->>'is' = 'claimed'}), '1 lost, 2 succeeded', 'copy_directory: what the original\'s worker held is run again');

# ---- over a copy that runs ----

program('pg_restore', @connection, '--clean', '--exit-on-error', '-d', 'copy_custom', "$dir/data/custom.dump");
wait_for_looks($copies{copy_custom});
check_waiting($copies{copy_custom}, 'restored again', $contents);
check_idle($copies{copy_custom}, 'restored again');
$copies{copy_custom}->('DROP EXTENSION jobsched; CREATE EXTENSION jobsched');
$id = $stack->sql_as('app', q{SELECT jobsched.submit('echo', '{}')}, database => 'copy_custom');
$stack->wait_for('the new job', sub { return $copies{copy_custom}->("SELECT count(*) FROM jobsched.dispatches WHERE job_ids \@> ARRAY['$id'::uuid]") eq '1' });
pass('and after DROP EXTENSION and CREATE EXTENSION it runs again');

# Lines of background processes name no user.
unlike($stack->log_text('postgres'), qr/\[\d+\] (?:ERROR:  (?!canceling autovacuum)|PANIC:)/, 'no errors of the scheduler in the log');
done_testing();
