# JobschedTest.pm: a fresh stack for an end-to-end test: PostgreSQL with jobsched, RabbitMQ, workers and API of its own, in a
# temporary directory and on free ports.  It is `src/cli/stack` with another STACK_DIR, so a test runs what people run.
#
#	use JobschedTest;
#	use Test::More;
#
#	my $stack = JobschedTest->new(settings => { 'jobsched.worker_lease' => '2s', MAX_CONCURRENCY => 8 });
#	my $worker = $stack->start_worker;
#	my $id = $stack->sql(q{SELECT jobsched.submit('echo', '{"a": 1}')});
#	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'succeeded');
#	done_testing();
#
# Everything it starts ends with the test, also after die and SIGTERM.  As root a test starts itself again as the user
# postgres, unless its file is named *_root.pl; there the servers step down by themselves.
#
# Environment: JOBSCHED_BUILD, where the programs are (default: as installed in the tree, so that a sanitizer's build can be
# tested too); JOBSCHED_TREE, the private copy of PostgreSQL (default: the checkout's, made by `make private`);
# JOBSCHED_TEST_TMP, where the temporary directories go (default /tmp); JOBSCHED_TEST_KEEP=1 leaves them there.
package JobschedTest;

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use HTTP::Tiny;
use IO::Socket::INET ();
use IPC::Run ();
use JSON::PP ();
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

our $TIMEOUT = $ENV{JOBSCHED_TEST_TIMEOUT} || 60;    # seconds: how long the wait_for_* wait when not told

my $top = abs_path(dirname(__FILE__) . '/../..');
my $command = "$top/src/cli/stack/stack";
my $tree = $ENV{JOBSCHED_TREE} || "$top/.run/data/tree";
my $bin = "$tree/usr/lib/postgresql/15/bin";
my $build = $ENV{JOBSCHED_BUILD} || "$tree/usr/bin";
my $sanitizer_spoke = 0;
my %alive;    # directory -> stack object
my %given;    # ports that free_port has given

# Servers do not run as root, and neither should a test.
sub import
{
	my ($class, %how) = @_;
	if ($> == 0 && $0 !~ /_root\.pl$/)
	{
		my $include = abs_path(dirname(__FILE__));
		$ENV{HOME} = '/tmp';
		exec 'setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', '--', $^X, "-I$include", abs_path($0), @ARGV;
		die "cannot run $0 as the user postgres: $!";
	}
	return;
}

# free_port() -> a port of 127.0.0.1 that nobody listens at, and none that the kernel may give to a connection before it is used
sub free_port
{
	my ($first, $last) = split /-/, $ENV{STACK_PORTS} || '20000-31999';
	for (1 .. 200)
	{
		my $port = $first + int rand($last - $first + 1);
		my $used = $given{$port} || grep { $_->read_file('ports') =~ /=$port$/m } values %alive;
		return $given{$port} = $port if !$used && IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1);
	}
	croak "no free port between $first and $last";
}

# built('worker'), built('api'): is the program there?
sub built { return -x "$build/jobsched-$_[-1]" }

# new(settings => {NAME => value, ...}, rabbitmq => 0): starts PostgreSQL and RabbitMQ.
#   settings: the lines of .run/settings: variables of worker and API in capitals, parameters of PostgreSQL in small letters;
#   rabbitmq => 0: without a broker, start_rabbitmq brings it later;
#   postgres => 0: without PostgreSQL, start_postgres brings it later;
#   durable => 1: with fsync, for measuring.
sub new
{
	my ($class, %how) = @_;
	my $parent = $ENV{JOBSCHED_TEST_TMP} || '/tmp';
	my $self = bless { dir => tempdir('jobsched-test-XXXXXX', DIR => $parent), owner => $$, workers => {}, durable => $how{durable} }, $class;
	chmod 0755, $self->{dir};
	$alive{ $self->{dir} } = $self;

	my %settings = (LOG_LEVEL => 'DEBUG', CRAWL_ALLOW_PRIVATE => '127.0.0.0/8', max_connections => 100, %{ $how{settings} || {} });
	$self->write_file('settings', join '', map { "$_=$settings{$_}\n" } sort keys %settings);
	$self->stack('start', grep { !exists $how{$_} || $how{$_} } 'rabbitmq', 'postgres');
	return $self;
}

sub dir { return $_[0]{dir} }    # settings, log/, pids/, data/, env as in .run
sub top { return $top }    # the checkout
sub bin { return $bin }    # PostgreSQL's programs
sub build { return $build }    # jobsched-worker and jobsched-api
sub release { return "$tree/usr/bin" }    # the same as they are installed, without sanitizers

# ---- files and commands ----

sub read_file
{
	my ($self, $name) = @_;
	open my $file, '<', "$self->{dir}/$name" or return '';
	local $/ = undef;
	return scalar <$file>;
}

sub write_file
{
	my ($self, $name, $text) = @_;
	open my $file, '>', "$self->{dir}/$name" or croak "$self->{dir}/$name: $!";
	print {$file} $text;
	close $file or croak "$self->{dir}/$name: $!";
	return;
}

# log_text('postgres' | 'rabbitmq' | 'api' | 'worker', or the name that start_worker was given)
sub log_text { return $_[0]->read_file("log/$_[1].log") }

# run(@command) -> (exit code, stdout, stderr).  The last argument may be a hash: {stdin => text, env => {...}, timeout => seconds}.
sub run
{
	my ($self, @command) = @_;
	my $how = ref $command[-1] ? pop @command : {};
	my ($out, $err) = ('', '');
	local %ENV = (%ENV, %{ $how->{env} || {} });
	my $timer = IPC::Run::timeout($how->{timeout} || 180);
	my $handle = eval { IPC::Run::start(\@command, '<', \($how->{stdin} // ''), '>', \$out, '2>', \$err, $timer) } or croak "@command: $@";
	if (!eval { $handle->finish; 1 })
	{
		my $why = $@;
		$handle->kill_kill;
		croak "@command: $why$out$err";
	}
	return ($handle->full_result(0) >> 8 || ($handle->full_result(0) & 127 ? 128 + ($handle->full_result(0) & 127) : 0), $out, $err);
}

# stack('start', 'api'): a command of src/cli/stack/stack on this stack; dies when it fails
sub stack
{
	my ($self, @arguments) = @_;
	my ($code, $out, $err) = $self->run($command, @arguments,
		{ env => { STACK_DIR => $self->{dir}, STACK_FAST => $self->{durable} ? '' : 1, JOBSCHED_TREE => $tree, JOBSCHED_BUILD => $build } });
	croak "stack @arguments: exit code $code\n$out$err" if $code != 0;
	return $out;
}

# ---- SQL ----

# env() -> (PGHOST => ..., RABBITMQ_URL => ..., ...): what .run/env exports
sub env { my ($self) = @_; return $self->read_file('env') =~ /^export (\w+)=(.*)$/mg }

# The words and the environment of psql.
sub psql_command
{
	my ($self, %how) = @_;
	return ({ $self->env, PGAPPNAME => 'test', PGOPTIONS => '-c client_min_messages=warning' }, "$bin/psql", '-XAtq', '-v', 'ON_ERROR_STOP=1',
		'-U', $how{role} || 'postgres', '-d', $how{database} || 'jobsched', @{ $how{args} || [] }, '-f', '-');
}

# psql(SQL, role => 'app', database => 'jobsched', args => [...]) -> (exit code, stdout, stderr).  Roles: postgres (superuser),
# admin, app, jobsched_api_login, jobsched_worker_login.
sub psql
{
	my ($self, $sql, %how) = @_;
	my ($env, @command) = $self->psql_command(%how);
	my ($code, $out, $err) = $self->run(@command, { stdin => $sql, env => $env, timeout => $how{timeout} });
	chomp $out;
	return ($code, $out, $err);
}

# sql(SQL): as superuser; columns are separated by |, rows by newlines; dies on an error
sub sql { my ($self, $sql, %how) = @_; return $self->sql_as($how{role} || 'postgres', $sql, %how) }

sub sql_as
{
	my ($self, $role, $sql, %how) = @_;
	my ($code, $out, $err) = $self->psql($sql, %how, role => $role);
	croak "$sql\n$err" if $code != 0;
	return $out;
}

# wait_for(WHAT, sub {...}, seconds): polls until the sub answers true, and returns that; dies at the deadline
sub wait_for
{
	my ($self, $what, $condition, $timeout) = @_;
	my $deadline = time + ($timeout || $TIMEOUT);
	my $pause = 0.02;
	while (1)
	{
		my $answer = $condition->();
		return $answer if $answer;
		croak sprintf 'waited %d s for %s', $timeout || $TIMEOUT, $what if time > $deadline;
		sleep $pause;
		$pause *= 1.5 if $pause < 0.2;
	}
}

# wait_for_sql(SQL, EXPECTED, seconds): until the query answers that (default 't').  Errors count as "not yet" (the server may
# be restarting).  Dies at the deadline, naming the last answer.
sub wait_for_sql
{
	my ($self, $sql, $expected, $timeout) = @_;
	my ($last, $session) = ('');
	$expected //= 't';
	my $seen = eval {
		$self->wait_for($sql, sub {
			(my $code, $last) = $self->ask_again(\$session, $sql);
			return $code == 0 && $last eq $expected;
		}, $timeout);
	};
	my $why = $@;
	session_end($session) if $session;
	croak "${why}expected: $expected\nlast answer: $last" if !$seen;
	return 1;
}

# ask_again(\$session, SQL) -> (0, answer) or (not 0, error): like psql(SQL), in one session as long as no error ends it.  A
# psql and a server process for each look would cost more than what is being waited for.
sub ask_again
{
	my ($self, $session, $sql) = @_;
	my $now = $$session;
	if (!$now)
	{
		my ($env, @command) = $self->psql_command;
		local %ENV = (%ENV, %{$env});
		$now = $$session = { in => '', out => '', err => '', timer => IPC::Run::timer(30) };
		$now->{psql} = IPC::Run::start(\@command, '<', \$now->{in}, '>', \$now->{out}, '2>', \$now->{err}, $now->{timer});
	}
	$now->{out} = '';
	$now->{in} .= "$sql\n;\n\\echo :end of answer:\n";
	$now->{timer}->start(30);
	my $alive = eval { while ($now->{out} !~ /^:end of answer:$/m && $now->{psql}->pumpable && !$now->{timer}->is_expired) { $now->{psql}->pump } 1 };
	return (0, $1) if $alive && $now->{out} =~ /\A(.*?)\n?^:end of answer:$/ms;
	$$session = undef;
	my $why = $now->{timer}->is_expired ? "no answer within 30 s\n" : '';
	session_end($now);
	return (1, $why . $now->{err});
}

sub session_end
{
	my ($session) = @_;
	local $?;
	if ($session->{timer}->is_expired) { $session->{psql}->kill_kill }
	else
	{
		$session->{timer}->reset;
		eval { $session->{psql}->finish };
	}
	return;
}

# wait_for_log(NAME, qr/.../, seconds)
sub wait_for_log
{
	my ($self, $name, $pattern, $timeout) = @_;
	return $self->wait_for("$pattern in the log of $name", sub { return $self->log_text($name) =~ $pattern }, $timeout);
}

# guc(NAME => value, ...): ALTER SYSTEM and reload; undef resets.  Postmaster parameters also need restart_postgres.
sub guc
{
	my ($self, %values) = @_;
	for my $name (sort keys %values)
	{
		my $value = $values{$name};
		$value =~ s/'/''/g if defined $value;
		$self->sql(defined $value ? "ALTER SYSTEM SET $name = '$value'" : "ALTER SYSTEM RESET $name");
	}
	$self->sql('SELECT pg_reload_conf()');
	return;
}

# ---- servers ----

sub pid { my ($self, $name) = @_; return $self->read_file("pids/$name") =~ /^(\d+)/ ? $1 : undef }

sub start_postgres { return $_[0]->stack('start', 'postgres') }
sub stop_postgres { return $_[0]->stack('stop', 'postgres') }
sub restart_postgres { my ($self) = @_; $self->stop_postgres; return $self->start_postgres }
sub start_rabbitmq { return $_[0]->stack('start', 'rabbitmq') }
sub stop_rabbitmq { return $_[0]->stack('stop', 'rabbitmq') }
sub rabbitmqctl { my ($self, @arguments) = @_; return $self->stack('rabbitmqctl', @arguments) }

# kill_server('rabbitmq' | 'postgres' | 'api', 'KILL'): sends the signal to the main process; waits for its end after KILL
sub kill_server
{
	my ($self, $name, $signal) = @_;
	my $pid = $self->pid($name) or croak "$name does not run";
	$signal ||= 'KILL';
	kill $signal, $pid or croak "kill $name ($pid): $!";
	if ($signal eq 'KILL') { $self->wait_for("the end of $name", sub { return !-e "/proc/$pid/exe" }) }
	return;
}
sub kill_rabbitmq { my ($self, $signal) = @_; return $self->kill_server('rabbitmq', $signal) }
sub kill_postgres { my ($self, $signal) = @_; return $self->kill_server('postgres', $signal) }

# scheduler_pids() -> pids of the scheduler processes, launcher not counted
sub scheduler_pids
{
	my ($self) = @_;
	return split /\n/, $self->sql("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'jobsched scheduler%'");
}

# ---- worker ----

# start_worker(name => 'worker1', MAX_CONCURRENCY => 2, ...) -> name.  Waits until it has registered, unless wait => 0.
# program => PATH: another one than the build's.  The log is log_text(name), the pid worker_pid(name); where a name may be left
# out below, the worker started last is meant.
sub start_worker
{
	my ($self, %env) = @_;
	my $name = delete $env{name} // 'worker' . (1 + keys %{ $self->{workers} });
	my $wait = delete $env{wait} // 1;
	my $program = delete $env{program} // "$build/jobsched-worker";
	my %base = $self->env;
	my $password = $self->read_file('data/secrets/jobsched_worker_login');
	mkdir "$self->{dir}/$name" unless -d "$self->{dir}/$name";
	mkdir "$self->{dir}/blobs" unless -d "$self->{dir}/blobs";
	my $pid = $self->start_program($name, $program,
		DATABASE_URL => "postgresql://jobsched_worker_login:$password\@127.0.0.1:$base{PGPORT}/jobsched",
		RABBITMQ_URL => $base{RABBITMQ_URL}, BLOB_DIR => "$self->{dir}/blobs", WORKER_ID => $name, $self->program_settings, %env);
	$self->{workers}{$name} = $pid;
	$self->{newest} = $name;
	if ($wait)
	{
		my $session;
		$self->wait_for("worker $name to register", sub {
			croak "worker $name ended: " . $self->log_text($name) if !$self->worker_runs($name);
			my ($code, $answer) = $self->ask_again(\$session, "SELECT count(*) FROM jobsched.workers WHERE state = 'live' AND info->>'pid' = '$pid'");
			return $code == 0 && $answer eq '1';
		});
		session_end($session);
	}
	return $name;
}

# start_program(NAME, PATH, VARIABLE => value, ...) -> pid: in its own directory, with exactly these variables
sub start_program
{
	my ($self, $name, $path, %env) = @_;
	my @sanitizer = grep { /^(?:ASAN|UBSAN|TSAN|LSAN)_OPTIONS$/ } keys %ENV;
	my $pid = fork // croak "fork: $!";
	return $pid if $pid;
	POSIX::setsid();
	open STDIN, '<', '/dev/null';
	open STDOUT, '>>', "$self->{dir}/log/$name.log";
	open STDERR, '>&', \*STDOUT;
	chdir "$self->{dir}/$name";
	%ENV = (PATH => '/usr/bin:/bin', LANG => 'C.UTF-8', (map { $_ => $ENV{$_} } @sanitizer), %env);
	exec { $path } $path or POSIX::_exit(127);
}

# The settings in capitals, which go to the programs.
sub program_settings
{
	my ($self) = @_;
	my %all = $self->read_file('settings') =~ /^(\w+)=(.*)$/mg;
	return map { $_ => $all{$_} } grep { /^[A-Z0-9_]+$/ && !/^SCHEDULER_|^LEADER_LOCK_KEY$|_PORT$/ } keys %all;
}

sub worker_pid { my ($self, $name) = @_; return $self->{workers}{ $name // $self->{newest} } }

# worker_runs(name): false after its end; then worker_status(name) is its exit code, or 128 + signal
sub worker_runs
{
	my ($self, $name) = @_;
	$name //= $self->{newest};
	return 0 if exists $self->{status}{$name} && $self->{status_pid}{$name} == $self->{workers}{$name};
	return 1 if waitpid($self->{workers}{$name}, WNOHANG) == 0;
	$self->{status_pid}{$name} = $self->{workers}{$name};
	$self->{status}{$name} = $? & 127 ? 128 + ($? & 127) : $? >> 8;
	return 0;
}
sub worker_status { my ($self, $name) = @_; return $self->{status}{ $name // $self->{newest} } }

# kill_worker(signal, name): KILL when not told; waits for its end, except after STOP and CONT
sub kill_worker
{
	my ($self, $signal, $name) = @_;
	$signal ||= 'KILL';
	$name //= $self->{newest};
	return if !$self->worker_runs($name);
	kill $signal, $self->{workers}{$name};
	return if $signal =~ /^(?:STOP|CONT)$/;
	$self->wait_for("the end of $name", sub { return !$self->worker_runs($name) });
	return $self->worker_status($name);
}

# stop_worker(name) -> its exit code
sub stop_worker { my ($self, $name) = @_; return $self->kill_worker('TERM', $name) }

# ---- API ----

sub start_api { return $_[0]->stack('start', 'api') }
sub stop_api { return $_[0]->stack('stop', 'api') }
sub api_url { my %env = $_[0]->env; return $env{API_URL} }

# http(METHOD, PATH, body, {header => value}) -> (status, headers, answer).  A body that is a reference is sent as JSON; an
# answer whose type says JSON comes back decoded.  Status 599: no answer, the text says why.
sub http
{
	my ($self, $method, $path, $body, $headers) = @_;
	my %request = (headers => { %{ $headers || {} } });
	if (defined $body)
	{
		$request{content} = ref $body ? JSON::PP->new->utf8->canonical->allow_nonref->encode($body) : $body;
		$request{headers}{'Content-Type'} //= 'application/json';
	}
	my $answer = HTTP::Tiny->new(timeout => 30, max_redirect => 0)->request($method, $self->api_url . $path, \%request);
	my $content = $answer->{content};
	if (($answer->{headers}{'content-type'} // '') =~ m{^application/(?:[\w.]+\+)?json} && length $content)
	{
		$content = eval { JSON::PP->new->utf8->allow_nonref->decode($content) } // croak "not JSON: $content";
	}
	return ($answer->{status}, $answer->{headers}, $content);
}

# ---- the end ----

# What a failed test's reader wants to see.
sub tail_logs
{
	my ($self) = @_;
	for my $path (sort glob "$self->{dir}/log/*.log")
	{
		open my $file, '<', $path or next;
		my @lines = <$file>;
		splice @lines, 0, -30;
		print STDERR "# $path\n", map { "#   $_" } @lines;
	}
	return;
}

# What a sanitizer said in any log, on standard error; false when nothing.
sub sanitizer_reports
{
	my ($self) = @_;
	my $found = 0;
	for my $path (glob "$self->{dir}/log/*.log")
	{
		my $name = $path =~ s{.*/|\.log$}{}gr;
		next if $self->log_text($name) !~ /^(.*(?:ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: ).*(?:\n.*){0,40})/m;
		print STDERR map { "# $name: $_\n" } split /\n/, $1;
		$found = 1;
	}
	return $found;
}

# stop: ends everything and removes the directory; done by itself at the end of the test
sub stop
{
	my ($self) = @_;
	return if $self->{stopped} || $self->{owner} != $$;
	local ($?, $@, $!);
	$self->{stopped} = 1;
	delete $alive{ $self->{dir} };
	for my $name (keys %{ $self->{workers} })
	{
		next if !$self->worker_runs($name);
		kill 'KILL', $self->{workers}{$name};
		waitpid $self->{workers}{$name}, 0;
	}
	# SIGTERM to a stopped server would wait.
	for my $name ('api', 'postgres', 'rabbitmq') { my $pid = $self->pid($name); kill 'CONT', $pid if $pid; }
	eval { $self->stack('stop'); 1 } or warn "# $@";
	eval { $self->stack('sweep', $self->{dir}); 1 } or warn "# $@";
	$sanitizer_spoke = 1 if $self->sanitizer_reports;
	if ($ENV{JOBSCHED_TEST_KEEP}) { print STDERR "# kept: $self->{dir}\n" }
	else { remove_tree($self->{dir}) }
	return;
}

$SIG{$_} = sub { exit 1 } for 'TERM', 'INT', 'HUP', 'PIPE';

END
{
	my $code = $?;
	$SIG{$_} = sub { } for 'TERM', 'INT', 'HUP', 'PIPE';    # not twice: a second one would leave servers running
	my $failed = $code != 0 || (Test::More->can('builder') && !Test::More->builder->is_passing);
	for my $self (values %alive)
	{
		$self->tail_logs if $failed && $self->{owner} == $$;
		$self->stop;
	}
	$? = $code || $sanitizer_spoke;
}

1;
