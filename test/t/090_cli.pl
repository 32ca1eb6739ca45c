# test: 40 s
# The command line: every command with good and bad input, as a table and as JSON, exit codes, completion and the manual.
use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/../perl";
use IPC::Run ();
use JobschedTest;
use JSON::PP ();
use Test::More;

my $program = JobschedTest::build() . '/jobsched';
plan skip_all => 'jobsched is not built' if !-x $program;
binmode Test::More->builder->$_, ':encoding(UTF-8)' for 'output', 'failure_output';

my $stack = JobschedTest->new(settings => { 'jobsched.worker_lease' => '4s', 'jobsched.retry_delay' => '1h', HEARTBEAT_INTERVAL => 0.5, LOG_LEVEL => 'INFO' });
$stack->start_worker(name => 'w1', MAX_CONCURRENCY => 4, RABBITMQ_QUEUE => 'jobs,other');
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $uuid = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
my $nobody = '01900000-0000-7000-8000-000000000000';
my $sanitizers = '';

# cli(ARGUMENTS..., {env => {...}, stdin => text}) -> (exit code, stdout, stderr); as the role app
sub cli
{
	my @words = @_;
	my $how = ref $words[-1] ? pop @words : {};
	my ($code, $out, $err) = $stack->run($program, @words,
		{ %$how, timeout => 120, env => { $stack->env, PGUSER => 'app', PGDATABASE => 'jobsched', PGTZ => 'UTC', LC_ALL => 'C.UTF-8', %{ $how->{env} || {} } } });
	$sanitizers .= $err if $err =~ /Sanitizer|runtime error/;
	return ($code, $out, $err);
}

# good(ARGUMENTS...) -> stdout of a call that succeeds and says nothing else
sub good
{
	my ($code, $out, $err) = cli(@_);
	my @words = grep { !ref } @_;
	die "jobsched @words: exit code $code\n$err" if $code != 0 || $err ne '';
	return $out;
}
sub data { return $json->decode(good('-o', 'json', @_)) }
sub submit { my $id = good('submit', @_); chomp $id; return $id }
sub admin { return { env => { PGUSER => 'admin' } } }

# refused(CODE, qr/stderr/, ARGUMENTS...)
sub refused
{
	my ($expected, $pattern, @words) = @_;
	my ($code, $out, $err) = cli(@words);
	my $name = join ' ', map { length > 40 ? substr($_, 0, 40) . '...' : $_ } grep { !ref } @words;
	return is("$code, $out", "$expected, ", "$name: exit code $expected") && like($err, $pattern, ' and why');
}

subtest 'help' => sub {
	my $help = good('--help');
	is(good('-h'), $help, '-h is --help');
	is(good('--version'), "jobsched 1.0\n", '--version');
	my @commands = $help =~ /^  ([a-z]+(?: [a-z]+)?) {2,}[A-Z]/mg;
	cmp_ok(scalar @commands, '>=', 19, 'lists the commands');
	for my $command (@commands)
	{
		my $text = good(split(/ /, $command), '--help');
		like($text, qr/\AUsage: jobsched \Q$command\E\b.*\n\S.*\.\n(?:.*\n)*\nOptions:\n(?:  .*\n)+\n/, "$command --help");
		my ($long) = grep { length > 150 } split /\n/, $text;
		is($long, undef, ' has no endless lines');
	}
	like(good('queue', '--help'), qr/\A(?:  jobsched queue \w+ +\S.*\n){3}\z/, 'queue --help lists what queue can do');
	refused(2, qr/^jobsched: no command/);
	refused(2, qr/^jobsched: there is no command "frobnicate"\nTry "jobsched --help"\.$/, 'frobnicate');
	refused(2, qr/^jobsched: there is no command "queue drop"; there are\n  jobsched queue list/, 'queue', 'drop');
	refused(2, qr/^jobsched: "queue" is not all of a command/, 'queue');
	refused(2, qr/option "--frob" is unknown/, 'list', '--frob');
	refused(2, qr/option -x is unknown/, 'list', '-x');
	refused(2, qr/option -d is unknown or lacks its value/, 'list', '-d');
	refused(2, qr/--output: "xml": allowed: table, json/, '-o', 'xml', 'list');
	refused(2, qr/"extra" is too much/, 'list', 'extra');
	refused(2, qr/get: something is missing: ID/, 'get');
	refused(2, qr/option "--wait=1"/, 'submit', 'echo', '--wait=1');
};

subtest 'submit' => sub {
	my $id = submit('echo', '{"a": 1}');
	like($id, qr/^$uuid$/, 'prints the id');
	is(good('wait', $id), "$id  succeeded\n", 'it runs');
	my $job = data('submit', 'echo', '[1, "ü"]', '--at', '+1h', '--queue', 'other', '--priority', 9, '--max-retries', 0, '--timeout', '1m30s', '--unique-key', 'k1', '--expires-at', '+2h',
		'--retry-delay', '500ms', '--retry-delay-max', '1d', '--backoff', 'linear', '--traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
	is_deeply([ @$job{qw(name status queue priority max_retries timeout unique_key payload)} ], [ 'echo', 'scheduled', 'other', 9, 0, 90, 'k1', [ 1, "\x{fc}" ] ], 'takes all options');
	is($stack->sql("SELECT retry_delay, retry_delay_max, backoff, expires_at - created_at BETWEEN '2 h' AND '2 h 5 s', right(traceparent, 5) FROM jobsched.jobs WHERE id = '$job->{id}'"), '00:00:00.5|24:00:00|linear|t|31-01', 'really');
	is($stack->sql("SELECT due_at - now() BETWEEN '59 min' AND '1 h 1 s' FROM jobsched.timers WHERE job_id = '$job->{id}'"), 't', 'at the time');
	is(submit('echo', '--unique-key', 'k1'), $job->{id}, 'the key has its job');
	refused(1, qr/^jobsched: unique_key 'k1' belongs to job $job->{id}\nHINT: /, 'submit', 'echo', '--unique-key', 'k1', '--unique-mode', 'error');

	$stack->write_file('payload.json', '{"from": "file"}');
	is_deeply(data('submit', 'echo', "\@$stack->{dir}/payload.json", '--wait')->{last_execution}{result_payload}, { from => 'file' }, '@file');
	is_deeply(data('submit', 'echo', '-', '--wait', { stdin => '{"from": "stdin"}' })->{last_execution}{result_payload}, { from => 'stdin' }, '-: standard input');
	my $big = 'x' x 300_000;
	is(data('submit', 'echo', '-', '--at', '+1d', { stdin => qq({"big": "$big"}) })->{payload}{big}, $big, 'a large one');
	refused(1, qr{^jobsched: /nowhere: cannot be read: No such file}, 'submit', 'echo', '@/nowhere');
	refused(1, qr/contains a NUL byte/, 'submit', 'echo', '-', { stdin => "{\0}" });
	refused(1, qr/^jobsched: invalid input syntax for type json\nDETAIL: /, 'submit', 'echo', '{bad');
	refused(1, qr/^jobsched: payload: 1 is not allowed\nHINT: The payload is a JSON object, array or string\.$/, 'submit', 'echo', '1');
	refused(1, qr/^jobsched: priority: 10 is out of range 0\.\.9\nHINT: 9 goes first, 0 last\.$/, 'submit', 'echo', '--priority', 10);
	refused(2, qr/--priority: "high": a whole number is expected/, 'submit', 'echo', '--priority', 'high');
	refused(2, qr/--priority: "99999999999": a whole number/, 'submit', 'echo', '--priority', '99999999999');
	refused(2, qr/--unique-mode: "never": allowed: keep\|replace\|error/, 'submit', 'echo', '--unique-mode', 'never');
	refused(1, qr/^jobsched: queue: '\/' is not a queue name/, 'submit', 'echo', '--queue', '/');
	refused(1, qr/^jobsched: name: empty/, 'submit', '');
	refused(1, qr/run_at: .* together with cron/, 'submit', 'echo', '--at', '+1h', '--cron', '* * * * *');
	refused(2, qr/submit: something is missing: TASK \[PAYLOAD\]/, 'submit');

	# a hostile name reaches neither the statement nor the terminal
	my $evil = q{'); DROP SCHEMA jobsched CASCADE; --};
	is(data('submit', $evil, '--at', '+1d')->{name}, $evil, 'a name is a name');
};

subtest 'times and durations' => sub {
	my %times = ('2027-01-31T09:00:00Z' => '2027-01-31 09:00:00+00', '2027-01-31 09:00+01:00' => '2027-01-31 08:00:00+00', '2028-02-29T23:59:59.25-05:30' => '2028-03-01 05:29:59.25+00',
		'1800000000' => '2027-01-15 08:00:00+00', '1800000000.5' => '2027-01-15 08:00:00.5+00');
	for my $time (sort keys %times)
	{
		my $id = submit('echo', '--at', $time);
		is($stack->sql("SET timezone = 'UTC'; SELECT run_at FROM jobsched.timers WHERE job_id = '$id'"), $times{$time}, "at $time");
	}
	my %ahead = ('+1h30m' => '90 min', '+90' => '90 s', '+2d' => '2 d', '+1w' => '7 d', '+1500000ms' => '25 min', '+0.5h' => '30 min');
	for my $time (sort keys %ahead)
	{
		my $id = submit('echo', '--at', $time);
		is($stack->sql("SELECT due_at - created_at BETWEEN interval '$ahead{$time}' - interval '1 s' AND interval '$ahead{$time}' + interval '1 s' FROM jobsched.timers t JOIN jobsched.jobs j ON j.id = t.job_id WHERE job_id = '$id'"), 't', "at $time");
	}
	refused(2, qr/--at: "\Q$_\E": a time is expected: /, 'submit', 'echo', '--at', $_)
		for 'tomorrow', '2027-13-01T00:00:00Z', '2027-02-29T00:00:00Z', '2027-01-31', '2027-01-31T09:00:00', '2027-01-31T25:00:00Z', '2027-01-31T09:00:00.Z', '2027-01-31T09:00:00Zz', '', '+', '+1x', '+1h30', '1e9', 'inf', '99999999999999',
		'+99999999999d', '-';
	refused(2, qr/--timeout: "\Q$_\E": a duration is expected/, 'submit', 'echo', '--timeout', $_) for '', '-1s', '1 h', 'soon', '5mm', '0x10', 'nan';
	refused(1, qr/^jobsched: timeout: 00:00:00 is out of range/, 'submit', 'echo', '--timeout', 0);
};

subtest 'get, list, explain' => sub {
	my $failed = submit('fail', '{"permanent": true, "times": 9, "message": "gone wrong"}');
	my ($code, $out) = cli('wait', $failed);
	is("$code $out", "1 $failed  failed\n", 'wait tells by its exit code');
	$out = good('get', $failed);
	like($out, qr/^id +$failed\nname +fail\nstatus +failed\n(?:.*\n)*last_error +gone wrong\n(?:.*\n)*\nrun_at +attempt  status .*\n20.* +1  failed .*gone wrong/, 'get');
	my $job = data('get', $failed);
	is_deeply([ @$job{qw(id status)}, $job->{last_execution}{error}, scalar @{ $job->{executions} }, $job->{executions}[0]{worker_id} ], [ $failed, 'failed', 'gone wrong', 1, 'w1' ], 'as JSON, that of REST');
	like($job->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/, 'with RFC 3339 times');
	refused(1, qr/^jobsched: job $nobody does not exist\nHINT: /, 'get', $nobody);
	refused(2, qr/"7" is not a job's id/, 'get', 7);

	my @all = map { $_->{id} } @{ data('list', '--limit', 1000) };
	is_deeply([ sort { $b cmp $a } @all ], \@all, 'list: the newest first');
	is_deeply([ map { $_->{id} } @{ data('list', '-l', 2, '--older-than', $all[3]) } ], [ @all[ 4, 5 ] ], 'goes on after a job');
	is_deeply([ map { $_->{id} } @{ data('list', '--name', 'fail', '--status', 'failed', '--queue', 'jobs', '--created-after', '-1h', '--created-before', '+1h') } ], [$failed], 'filters');
	is(good('-o', 'json', 'list', '--created-before', '2001-01-01T00:00:00Z'), "[]\n", 'none');
	like(good('list', '--name', 'fail'), qr/\Aid {36}name  status  queue  priority  created_at .*\n$failed  fail  failed  jobs          0  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00 .*gone wrong\n\z/, 'as a table');
	refused(2, qr/--status: "odd": allowed/, 'list', '--status', 'odd');
	refused(2, qr/"x" is not a job's id/, 'list', '--older-than', 'x');

	like(good('explain', $failed), qr/^status  failed\nreason  ended failed at .*: gone wrong$/, 'explain');
	is(data('explain', $failed)->{status}, 'failed', 'as JSON');
	refused(1, qr/does not exist/, 'explain', $nobody);

	# widths are columns, not bytes; what could move the cursor is shown, not sent
	my $hostile = submit('fail', '{"permanent": true, "times": 9, "message": "a\u001b[2J\u009b2Jb\nc\u202e"}');
	cli('wait', $hostile);
	like(good('list', '--name', 'fail', '-l', 1), qr/a\\x1b\[2J\\x9b2Jb\\nc\?$/m, 'escapes are shown');
	like(good('get', $hostile), qr/^last_error +a\\x1b\[2J\\x9b2Jb\\nc\?$/m, 'everywhere');
	utf8::encode(my $wide = '日本ü');
	submit($wide, '--at', '+1d');
	submit('ab', '--at', '+1d');
	utf8::decode($out = good('list', '-l', 2));
	my ($head, @lines) = split /\n/, $out;
	like($lines[1], qr/  日本ü  scheduled  /, 'other letters are not');
	is(index($lines[0], 'scheduled'), index($lines[1], 'scheduled') + 2, 'wide characters count two columns');
	utf8::decode($out = good('list', '-l', 2, { env => { LC_ALL => 'C' } }));
	like($out, qr/日本ü/, 'whatever the locale');
	unlike($out, qr/\e/, 'no colours in a pipe');
	($code, $out) = $stack->run('script', '-qec', "$program list -l 1", '/dev/null', { env => { $stack->env, PGUSER => 'app', PGDATABASE => 'jobsched', TERM => 'xterm' } });
	like($out, qr/\e\[1mid/, 'colours on a terminal');
	($code, $out) = $stack->run('script', '-qec', "$program list -l 1", '/dev/null', { env => { $stack->env, PGUSER => 'app', PGDATABASE => 'jobsched', TERM => 'xterm', NO_COLOR => 1 } });
	unlike($out, qr/\e/, 'unless NO_COLOR is set');
};

subtest 'wait' => sub {
	my @ids = (submit('sleep', '{"seconds": 0.3}'), submit('echo'));
	is(good('wait', @ids), join('', map { "$_  succeeded\n" } @ids), 'several');
	is_deeply([ map { $json->decode($_) } split /\n/, good('wait', '-o', 'json', @ids) ], [ map { { id => $_, status => 'succeeded' } } @ids ], 'an object a line');
	my $later = submit('echo', '--at', '+1h');
	my ($code, $out, $err) = cli('wait', '--at-most', '300ms', $later);
	is("$code $out$err", "1 $later  scheduled\n", 'no longer than told');
	($code, $out, $err) = cli('submit', 'echo', '--at', '+1h', '--wait-at-most', '0.2s');
	is($code, 1, 'submit --wait-at-most');
	like($out, qr/^status +scheduled$/m, 'shows how it is then');
	($code, $out, $err) = cli('submit', 'fail', '{"permanent": true, "times": 9}', '-w', '-o', 'json');
	is("$code " . $json->decode($out)->{status}, '1 failed', 'submit --wait of one that fails');
	refused(1, qr/does not exist/, 'wait', $nobody);
	refused(2, qr/is not a job's id/, 'wait', $later, 'x');

	# the statement that waits is ended by SIGINT, and nothing stays behind
	my ($waiting_out, $waiting_err) = ('', '');
	local %ENV = (%ENV, $stack->env, PGUSER => 'app', PGDATABASE => 'jobsched', PGAPPNAME => 'interrupted');
	my $waiting = IPC::Run::start([ $program, 'wait', $later ], '<', \'', '>', \$waiting_out, '2>', \$waiting_err, IPC::Run::timeout(180));
	$stack->wait_for_sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'interrupted' AND state = 'active' AND query ~ 'wait'", '1');
	$waiting->signal('INT');
	$waiting->finish;
	is($waiting->full_result(0) & 127, 2, 'SIGINT ends it');
	$stack->wait_for_sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'interrupted'", '0');
};

subtest 'jobsched.wait() beside what happens' => sub {
	my $worker = $stack->start_worker(name => 'w3', MAX_CONCURRENCY => 1, RABBITMQ_QUEUE => 'third');
	is($stack->sql_as('app', <<'END'), 'succeeded', 'sees the end in another transaction of the same session');
SELECT jobsched.submit('sleep', '{"seconds": 0.2}', queue => 'third') AS id \gset
SELECT jobsched.wait(:'id', '60 s');
END
	my ($code, $out, $err) = $stack->psql(q{BEGIN; SELECT jobsched.submit('echo') AS id \gset
SELECT jobsched.wait(:'id', '60 s');}, role => 'app');
	like($err, qr/submitted or changed in this very transaction/, 'refuses its own transaction at once');
	$stack->stop_worker('w3');
};

subtest 'cancel and retry' => sub {
	my @ids = map { submit('echo', '--at', '+1h', '--queue', 'q1') } 1 .. 3;
	my $running = submit('sleep', '{"seconds": 60}');
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$running'", 'running');
	is(good('cancel', $ids[0], $running), "$ids[0]  cancelled\n$running  cancelling\n", 'cancel by id');
	is(good('cancel', $ids[0]), "$ids[0]  cancelled\n", 'again');
	my ($code, $out, $err) = cli('cancel', '-o', 'json', $nobody, $ids[1]);
	is($code, 1, 'one of them is unknown');
	is_deeply($json->decode($out), { id => $ids[1], status => 'cancelled' }, 'the other is cancelled');
	like($err, qr/^jobsched: job $nobody does not exist/, 'and it says so');
	like(good('retry', $ids[0]), qr/^$ids[0]  20\d\d-.*\n$/, 'retry by id');
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$ids[0]'", 'queued');
	refused(1, qr/^jobsched: job $ids[0] is queued\nHINT: Jobs that are failed/, 'retry', $ids[0]);
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$running'", 'cancelled');

	submit('bulk', '--at', '+1h', '--queue', 'q2') for 1 .. 5;
	is(good('cancel', '--queue', 'q2', '--dry-run'), "5 jobs would be cancelled\n", 'how many it would be');
	is(good('cancel', '--queue', 'q2', '--limit', 2), "2 jobs cancelled; there may be more\n", 'some of them');
	is_deeply(data('cancel', '--name', 'bulk', '--status', 'scheduled', '--created-after', '-1h', '--created-before', 'now'), { jobs => 3, dry_run => JSON::PP::false, limit => 100000 }, 'the rest');
	is(good('cancel', '--queue', 'q2'), "0 jobs cancelled\n", 'no more');
	is(good('retry', '--name', 'bulk', '--status', 'cancelled', '--dry-run'), "5 jobs would be planned anew\n", 'retry: how many');
	is(good('retry', '--name', 'bulk'), "5 jobs planned anew\n", 'and all of them');
	refused(1, qr/^jobsched: queue 'nowhere' does not exist/, 'cancel', '--queue', 'nowhere');
	refused(2, qr/cancel: which jobs\? Give ids, or at least one of --name/, 'cancel');
	refused(2, qr/retry: which jobs\?/, 'retry', '--dry-run');
	refused(2, qr/ids and filters are not for one call/, 'cancel', $nobody, '--queue', 'q2');
	refused(2, qr/--status: "failed": allowed/, 'cancel', '--status', 'failed');
	refused(1, qr/^jobsched: limit: 0 is out of range/, 'cancel', '--queue', 'q2', '--limit', 0);
};

subtest 'schedule' => sub {
	like(good('schedule', 'add', 'nightly', '30 3 * * *', 'report', '{"a": 1}', '--time-zone', 'Europe/Berlin'), qr/^schedule_name +nightly\ncron +30 3 \* \* \*\ntime_zone +Europe\/Berlin\ntask +report\n/, 'add');
	my $schedule = data('schedule', 'add', 'nightly', '0 4 * * *', 'report', '--queue', 'other', '-p', 3, '-r', 1, '-t', '5m', '--misfire-policy', 'run_all', '--overlap-policy', 'allow', '--catchup-window', '2d', '--catchup-max', 7, '--jitter',
		'10m', '--starts-at', '2027-01-01T00:00:00Z', '--ends-at', '2099-01-01T00:00:00Z', '--max-runs', 99, '--dst-gap', 'skip', '--dst-overlap', 'both');
	is_deeply([ @$schedule{qw(schedule_name cron time_zone queue)} ], [ 'nightly', '0 4 * * *', 'UTC', 'other' ], 'again: all anew');
	is($stack->sql("SELECT misfire_policy, overlap_policy, catchup_window, catchup_max, jitter, starts_at, ends_at, max_runs, dst_gap, dst_overlap FROM jobsched.schedules WHERE job_id = '$schedule->{id}'"),
		'run_all|allow|48:00:00|7|00:10:00|2027-01-01 00:00:00+00|2099-01-01 00:00:00+00|99|skip|both', 'with all options');
	is(data('schedule', 'list')->[0]{schedule_name}, 'nightly', 'list');
	like(good('schedule', 'list'), qr/^schedule_name  cron .*\nnightly        0 4 \* \* \*  UTC /, 'as a table');
	is(good('schedule', 'pause', 'nightly'), "paused\n", 'pause');
	is(good('schedule', 'pause', $schedule->{id}), "it was paused already\n", 'by id too');
	is_deeply(data('schedule', 'resume', 'nightly'), { id => $schedule->{id}, changed => JSON::PP::true }, 'resume');
	is(good('schedule', 'resume', 'nightly'), "it was not paused\n", 'again');
	is_deeply([ map { $_->{at} } @{ data('schedule', 'next', 'nightly', '-n', 2, '--after', '2031-01-01T12:00:00Z') } ], [ '2031-01-02T04:00:00+00:00', '2031-01-03T04:00:00+00:00' ], 'next');
	like(good('schedule', 'next', '--cron', '30 2 * * *', '--time-zone', 'Europe/Berlin', '--after', '2027-03-27T12:00:00Z'), qr/^number  at .*\n +1  2027-03-28 01:00:00\+00  2027-03-28 03:00:00  \S/m, 'of an expression, with what the clock does');
	is(scalar @{ data('schedule', 'next', 'nightly') }, 5, 'five');
	refused(1, qr/^jobsched: cron field 2 \(hour\): 25/, 'schedule', 'next', '--cron', '0 25 * * *');
	refused(1, qr/^jobsched: .*n: 0 /i, 'schedule', 'next', 'nightly', '-n', 0);
	refused(2, qr/give a schedule or --cron/, 'schedule', 'next');
	refused(2, qr/give a schedule or --cron/, 'schedule', 'next', 'nightly', '--cron', '* * * * *');
	refused(2, qr/--time-zone belongs to --cron/, 'schedule', 'next', 'nightly', '-z', 'UTC');
	refused(1, qr/^jobsched: schedule "daily" does not exist/, 'schedule', $_, 'daily') for 'pause', 'resume', 'delete', 'next';
	refused(1, qr/^jobsched: cron field/, 'schedule', 'add', 'bad', '99 * * * *', 'x');
	refused(2, qr/--overlap-policy: "maybe"/, 'schedule', 'add', 'bad', '* * * * *', 'x', '--overlap-policy', 'maybe');
	refused(2, qr/something is missing: NAME CRON TASK/, 'schedule', 'add', 'bad');

	# one's own first; others' only when it is clear whose
	good('schedule', 'add', 'nightly', '0 5 * * *', 'report', admin());
	is(data('schedule', 'next', 'nightly', '-n', 1, '--after', '2031-01-01T12:00:00Z')->[0]{at}, '2031-01-02T04:00:00+00:00', 'the own one of that name');
	refused(1, qr/^jobsched: several roles have a schedule "nightly"; name it by its id:\n  $uuid of admin\n  $uuid of app\n/, 'schedule', 'next', 'nightly', { env => { PGUSER => 'postgres' } });
	is(good('schedule', 'delete', 'nightly'), "deleted\n", 'delete');
	refused(1, qr/does not exist|belong to another role/, 'schedule', 'delete', 'nightly');
	is(good('schedule', 'delete', $schedule->{id}), "it had been deleted already\n", 'again, by id');
	is(scalar @{ data('schedule', 'list') }, 1, 'not listed any more');
	is(scalar @{ data('schedule', 'list', '--prefix', 'night', '-l', 1) }, 1, 'by the beginning of its name, up to a limit');
	is(good('-o', 'json', 'schedule', 'list', '--prefix', 'x'), "[]\n", 'none');
};

subtest 'queues, workers, stats' => sub {
	my ($jobs) = grep { $_->{name} eq 'jobs' } @{ data('queue', 'list') };
	is_deeply([ @$jobs{qw(paused workers)} ], [ JSON::PP::false, 1 ], 'queue list');
	like(good('queue', 'list'), qr/^jobs +no /m, 'as a table');
	is(good('queue', 'pause', 'other', admin()), "paused\n", 'pause');
	is(good('queue', 'pause', 'other', admin()), "it was paused already\n", 'again');
	like(good('queue', 'list'), qr/^other +yes .* admin +20/m, 'is seen');
	is_deeply(data('queue', 'resume', 'other', admin()), { queue => 'other', changed => JSON::PP::true }, 'resume');
	is(good('queue', 'resume', 'other', admin()), "it was not paused\n", 'again');
	refused(1, qr/^jobsched: permission denied for function pause_queue\nHINT: The role needs /, 'queue', 'pause', 'other');
	refused(1, qr/^jobsched: queue 'nowhere' does not exist\nHINT: /, 'queue', 'pause', 'nowhere', admin());
	refused(2, qr/something is missing: QUEUE/, 'queue', 'resume');

	my ($worker) = @{ data('worker', 'list') };
	is_deeply([ @$worker{qw(worker_id state queues slots)} ], [ 'w1', 'live', [ 'jobs', 'other' ], 4 ], 'worker list');
	like(good('worker', 'list'), qr/^w1 +live +jobs,other +4 /m, 'as a table');
	like(good('worker', 'list', '--all'), qr/^w3 +stopped /m, '--all');
	unlike(good('worker', 'list'), qr/stopped/, 'and without');

	$stack->wait_for_sql("SELECT state LIKE 'running%' AND NOT EXISTS (SELECT FROM jobsched.timers WHERE due_at <= now()) FROM jobsched.scheduler_status()");
	like(good('stats'), qr/\Ascheduler +running\nbroker +connected to .*\n(?:.*\n)*due +0\n(?:.*\n)*\nslice  state .*\n +0  running .*\n\nname +live_rows .*\n(?:.*\n)*timers /, 'stats');
	is(data('stats')->{ready}{scheduler}, 'running', 'as JSON');
};

subtest 'tail' => sub {
	my $old = submit('echo', '{}', '-w') =~ /^id +(\S+)/ ? $1 : '';
	my ($out, $err) = ('', '');
	local %ENV = (%ENV, $stack->env, PGUSER => 'app', PGDATABASE => 'jobsched');
	my $tail = IPC::Run::start([ $program, 'tail', '-o', 'json', '--name', 'echo', '-n', 1 ], '<', \'', '>', \$out, '2>', \$err, IPC::Run::timeout(180));
	$tail->pump until $out =~ /\n/;
	is($json->decode($out)->{job_id}, $old, 'begins with what has ended');
	$out = '';
	my @ids = map { submit('echo') } 1 .. 5;
	my $failing = submit('fail', '{"permanent": true, "times": 9}');
	$tail->pump until ($out =~ tr/\n//) >= 5;
	cli('wait', $failing);
	my $last = submit('echo');
	$tail->pump until ($out =~ tr/\n//) >= 6;
	is_deeply([ sort map { $json->decode($_)->{job_id} } split /\n/, $out ], [ sort @ids, $last ], 'each that ends, once, and nothing else');
	$tail->signal('INT');
	$tail->finish;
	is($tail->full_result(0) & 127, 2, 'until it is interrupted');
	is($err, '', 'without complaints');
	$sanitizers .= $err;

	like(good('tail', '--status', 'failed', '-c', 1), qr/\Afinished_at +status  name  queue  attempt  seconds  job_id .*\n20\S+ \S+  failed  fail  jobs         1 +\d+\.\d\d\d  $uuid .*\n\z/, '--count ends it; as a table');
	refused(2, qr/--count 1 or more/, 'tail', '-c', 0);
	refused(2, qr/--lines: "x": a whole number/, 'tail', '-n', 'x');
	# jobs of others are not seen
	is($stack->sql_as('app', "SET ROLE app; SELECT count(*) > 0 FROM jobsched.ended_since(now() - interval '1 hour')"), 't', 'own ones and, for a viewer, all');
	$stack->sql('CREATE ROLE alone LOGIN IN ROLE jobsched_submitter');
	is($stack->sql('SET ROLE alone; SELECT count(*) FROM jobsched.ended_since(now() - interval \'1 hour\')'), '0', 'nobody sees those of others');
};

subtest 'the database' => sub {
	my %env = $stack->env;
	my $url = "postgresql://app\@/jobsched?host=$env{PGHOST}&port=$env{PGPORT}";
	$url = "postgresql+psycopg2://app\@$env{PGHOST}:$env{PGPORT}/jobsched" if $env{PGHOST} !~ m{^/};
	my $without = { env => { PGHOST => '/nowhere', PGUSER => 'nobody', PGDATABASE => 'nothing' } };
	is($json->decode(good('-d', $url, '-o', 'json', 'stats', $without))->{ready}{scheduler}, 'running', '-d');
	is($json->decode(good('stats', '-o', 'json', '--database', $url, $without))->{ready}{scheduler}, 'running', 'behind the command too');
	is($json->decode(good('stats', '-o', 'json', { env => { %{ $without->{env} }, DATABASE_URL => $url } }))->{ready}{scheduler}, 'running', 'DATABASE_URL');
	refused(1, qr/^jobsched: connection to server .* failed: /, 'list', $without);
	refused(1, qr/^jobsched: .*IPv6 host address in URI/, 'list', '-d', 'postgresql://[');
	refused(1, qr/^jobsched: schema "jobsched" does not exist\nHINT: Is this the database where the extension was created/, 'submit', 'echo', { env => { PGDATABASE => 'postgres', PGUSER => 'postgres' } });
	my ($code) = $stack->run('sh', '-c', 'exec "$@" >/dev/full', 'sh', $program, '--help');
	is($code, 1, 'a full disk is no success');
};

subtest 'completion' => sub {
	my $file = JobschedTest::top() . '/share/bash-completion/jobsched';
	my $script = <<'END';
set -e
source "$1"
program=$2; shift 2
complete -p jobsched >/dev/null
COMP_WORDS=("$program" "$@"); COMP_CWORD=$#
_jobsched 2>&1
printf '%s\n' "${COMPREPLY[@]}"
END
	my $complete = sub { my ($code, $out, $err) = $stack->run('bash', '-c', $script, 'bash', $file, $program, @_); is("$code$err", '0', "@_") ; return join ' ', split /\n/, $out };
	is($complete->('s'), 'submit schedule stats', 'commands');
	is($complete->('queue', ''), 'list pause resume', 'their second words');
	is($complete->('-d', 'x', 'schedule', 'pa'), 'pause', 'behind options');
	is($complete->('submit', 'echo', '--unique-'), '--unique-key --unique-mode', 'options');
	is($complete->('submit', '--unique-mode', ''), 'keep replace error', 'values');
	is($complete->('submit', '--unique-mode', '=', 'r'), 'replace', 'also behind =');
	is($complete->('list', '-o', ''), 'table json', 'of common ones');
	is($complete->('list', '-s', 'run'), 'running', 'and of letters');
	is($complete->('submit', 'echo', '@' . JobschedTest::top() . '/Makef'), '@' . JobschedTest::top() . '/Makefile', 'files behind @');
	for my $command (good('--help') =~ /^  ([a-z]+(?: [a-z]+)?) {2,}[A-Z]/mg)
	{
		my @options = good(split(/ /, $command), '--help') =~ /^  (?:-.,|   ) (--[a-z-]+)/mg;
		my %offered = map { $_ => 1 } split / /, $complete->(split(/ /, $command), '--');
		is(join(' ', grep { !$offered{$_} } @options), '', "$command: every option of its --help");
	}
};

subtest 'the manual' => sub {
	my $page = JobschedTest::top() . '/docs/jobsched.1';
	my ($code, $out, $err) = eval { $stack->run('man', '--warnings', '-E', 'UTF-8', '-l', '-P', 'cat', $page, { env => { MANWIDTH => 100, MANROFFOPT => '-Wall' } }) };
	plan skip_all => 'man is not installed' if !defined $code;
	is("$code$err", '0', 'renders without warnings');
	$out =~ s/.\x08//g;
	for my $command (good('--help') =~ /^  ([a-z]+(?: [a-z]+)?) {2,}[A-Z]/mg)
	{
		like($out, qr/^ +\Q$command\E\b/m, "tells of $command");
	}
	my %known = map { $_ => 1 } $out =~ /(--[a-z-]+)/g;
	my %all;
	for my $command (good('--help') =~ /^  ([a-z]+(?: [a-z]+)?) {2,}[A-Z]/mg) { $all{$_} = 1 for good(split(/ /, $command), '--help') =~ /^  (?:-.,|   ) (--[a-z-]+)/mg }
	is(join(' ', grep { !$known{$_} } sort keys %all), '', 'and of every option');
};

is($sanitizers, '', 'no sanitizer has spoken');
done_testing();
