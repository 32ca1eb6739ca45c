# test: 40 s
# The REST API's routes: each is documented in openapi.json and answers as that says, and the reverse; what they do and refuse.
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
use Time::HiRes qw(time);

plan skip_all => 'jobsched-api is not built' if !JobschedTest::built('api');

my $stack = JobschedTest->new(settings => { 'jobsched.retry_delay' => '1s' });
my %env = $stack->env;
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $no_id = '00000000-0000-7000-8000-000000000000';
my $api_json = $stack->top . '/src/api/openapi.json';
my $document = $json->decode(do { local (@ARGV, $/) = ($api_json); <> });
my (@calls, %good);

$stack->start_worker(name => 'w1', MAX_CONCURRENCY => 4);
my $url = "postgresql://jobsched_api_login:" . $stack->read_file('data/secrets/jobsched_api_login') . "\@127.0.0.1:$env{PGPORT}/jobsched";
my $api = $stack->start_program('api', $stack->build . '/jobsched-api', API_LISTEN => '127.0.0.1:0', DATABASE_URL => $url, LOG_LEVEL => 'DEBUG', BLOB_DIR => $stack->dir . '/blobs');
$stack->wait_for_log('api', qr/ listening .*port=\d+/);
my ($port) = $stack->log_text('api') =~ / listening .*port=(\d+)/;
$stack->wait_for_log('api', qr/database connected/);

# (status, decoded body, headers) of METHOD and a path of the document, whose braces are filled from the hash; what was
# answered is compared with the document at the end.
sub ask
{
	my ($method, $path, $parts, $query, $body, $headers) = @_;
	(my $target = $path) =~ s/\{(\w+)\}/escape($parts->{$1})/ge;
	$target .= "?$query" if defined $query;
	my %request = (headers => { %{ $headers || {} } });
	if (defined $body)
	{
		$request{content} = ref $body ? $json->encode($body) : $body;
		$request{headers}{'Content-Type'} = 'application/json';
	}
	my $answer = HTTP::Tiny->new(timeout => 30, max_redirect => 0)->request($method, "http://127.0.0.1:$port$target", \%request);
	my $type = ($answer->{headers}{'content-type'} // '') =~ s/;.*//r;
	utf8::decode(my $text = $answer->{content} // '');
	push @calls, { method => $method, path => $path, status => 0 + $answer->{status}, type => $type, body => $text };
	$good{"$method $path"}++ if $answer->{status} < 400;
	my $content = $type =~ /json$/ && length $answer->{content} ? $json->decode($answer->{content}) : $answer->{content};
	return ($answer->{status}, $content, $answer->{headers});
}

sub escape { my ($text) = @_; $text =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge; return $text }

# refused(label, status, field or type, call...)
sub refused
{
	my ($label, $status, $what, @call) = @_;
	my ($got, $problem) = ask(@call);
	my $type = ref $problem ? $problem->{type} =~ s/^urn:jobsched:problem://r : '';
	ok($got == $status && (($problem->{field} // '') eq $what || $type eq $what), "$label: $status $what") or diag(explain([$got, $problem]));
	return;
}

sub submit
{
	my (%job) = @_;
	my ($status, $job) = ask('POST', '/jobs', {}, undef, { name => 'echo', frequency => 'once', next_run_time => 0, %job });
	die "submit: $status " . $json->encode($job) if $status != 201;
	return $job->{id};
}

sub ended { my ($id, $status) = @_; return $stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", $status) }

subtest 'the table of routes is the document' => sub {
	my ($code, $out) = $stack->run($stack->build . '/jobsched-api', '--routes');
	is($code, 0, '--routes');
	my (%table, %parameters);
	for (split /\n/, $out)
	{
		my ($method, $path, $role, $query) = split /\t/, $_, -1;
		next if $path =~ m{^/(?:|docs.*|web/.*|metrics)$};    # pages, and what is not JSON
		$table{"$method $path"} = $role;
		$parameters{"$method $path"} = join ' ', sort split / /, $query;
	}
	my (%documented, %named);
	for my $path (keys %{ $document->{paths} })
	{
		my $item = $document->{paths}{$path};
		for my $method (grep { $item->{$_} } qw(get put post patch delete))
		{
			my $name = uc($method) . " $path";
			$documented{$name} = $item->{$method}{'x-jobsched-role'} // 'anybody';
			my @all = map { $_->{'$ref'} ? $document->{components}{parameters}{ $_->{'$ref'} =~ s{.*/}{}r } : $_ } @{ $item->{$method}{parameters} || [] };
			$named{$name} = join ' ', sort map { $_->{name} } grep { $_->{in} eq 'query' } @all;
		}
	}
	is_deeply(\%table, \%documented, 'calls and roles');
	is_deeply(\%parameters, \%named, 'parameters of queries');
};

subtest 'jobs in lists' => sub {
	my @ids = map { submit(name => $_ % 2 ? 'echo' : 'sleep', queue => 'nobody', payload => { n => $_ }, next_run_time => 4102444800) } 1 .. 7;
	my ($status, $page) = ask('GET', '/jobs', {}, 'queue=nobody&limit=3');
	is_deeply([$status, map { $_->{id} } @{ $page->{jobs} }], [200, @ids[6, 5, 4]], 'newest first');
	my @all;
	my $cursor = '';
	do
	{
		($status, $page) = ask('GET', '/jobs', {}, "queue=nobody&limit=3&cursor=$cursor");
		push @all, map { $_->{id} } @{ $page->{jobs} };
		$cursor = $page->{next_cursor};
	} while (defined $cursor && @all < 20);
	is_deeply(\@all, [reverse @ids], 'page by page, each once');
	my $one = sub { my ($query) = @_; my ($got, $answer) = ask('GET', '/jobs', {}, $query); return join ' ', $got, map { $_->{payload}{n} // '?' } @{ $answer->{jobs} } };
	is($one->('queue=nobody&name=sleep'), '200 6 4 2', 'by task');
	is($one->('queue=nobody&q=sle'), '200 6 4 2', 'by the beginning of the task');
	is($one->("q=$ids[2]"), '200 3', 'by id');
	is($one->('queue=nobody&q=' . substr($ids[2], 0, 8)), '200 7 6 5 4 3 2 1', 'by the beginning of an id');
	is($one->('queue=nobody&status=scheduled&frequency=once&limit=2'), '200 7 6', 'by status');
	is($one->('queue=nobody&status=succeeded'), '200', 'none of another status');
	is($one->('queue=none'), '200', 'nor of a queue that there is not');
	is($one->('queue=nobody&frequency=cron'), '200', 'nor cron jobs');
	is($one->('queue=nobody&created_after=4000000000'), '200', 'nor from the future');
	is($one->('queue=nobody&created_before=2020-01-01T00:00:00Z'), '200', 'nor from the past');
	is($one->('queue=nobody&created_after=2020-01-01T00:00:00+01:00&name=sleep'), '200 6 4 2', 'an unescaped + in a time');
	my $big = submit(queue => 'nobody', payload => { text => join('', map { chr(97 + rand 26) } 1 .. 5000) }, next_run_time => 4102444800);
	($status, $page) = ask('GET', '/jobs', {}, "q=$big");
	is_deeply([$page->{jobs}[0]{payload}, $page->{jobs}[0]{omitted}], [undef, ['payload']], 'a large payload is left out');
	refused('limit', 422, 'limit', 'GET', '/jobs', {}, 'limit=201');
	refused('status', 422, 'status', 'GET', '/jobs', {}, 'status=done');
	refused('cursor', 422, 'cursor', 'GET', '/jobs', {}, 'cursor=7');
	refused('time', 422, 'created_after', 'GET', '/jobs', {}, 'created_after=tomorrow');
	refused('unknown parameter', 422, 'sort', 'GET', '/jobs', {}, 'sort=name');
	refused('twice', 422, 'name', 'GET', '/jobs', {}, 'name=a&name=b');
	refused('where there is none', 422, 'x', @$_) for ['POST', '/jobs', {}, 'x=1', {}], ['POST', '/jobs/batch', {}, 'x=1', {}], ['DELETE', '/jobs/{id}', { id => $big }, 'x=1'],
		['POST', '/jobs/{id}/pause', { id => $big }, 'x=1'], ['GET', '/queues/{name}', { name => 'nobody' }, 'x=1'];
};

subtest 'every status is found' => sub {
	my %ids = (scheduled => submit(queue => 's', next_run_time => 4102444800), succeeded => submit(queue => 's'), failed => submit(queue => 's', name => 'fail', max_retries => 0));
	$stack->start_worker(name => 'w2', RABBITMQ_QUEUE => 's', MAX_CONCURRENCY => 2);
	$ids{retrying} = $stack->sql_as('app', q{SELECT jobsched.submit('fail', queue => 's', retry_delay => '1 h', retry_delay_max => '1 h')});
	$ids{running} = submit(queue => 's', name => 'sleep', payload => { seconds => 600 });
	$ids{cancelled} = submit(queue => 's', next_run_time => 4102444800);
	ask('DELETE', '/jobs/{id}', { id => $ids{cancelled} });
	$ids{paused} = submit(queue => 's', next_run_time => 4102444800);
	ask('POST', '/jobs/{id}/pause', { id => $ids{paused} });
	$ids{queued} = submit(queue => 'deserted');
	ended($ids{$_}, $_) for qw(succeeded failed running queued retrying);
	for my $wanted (sort keys %ids)
	{
		my ($status, $page) = ask('GET', '/jobs', {}, 'status=' . $wanted);
		ok((grep { $_->{id} eq $ids{$wanted} } @{ $page->{jobs} }) == 1 && !(grep { $_->{status} ne $wanted } @{ $page->{jobs} }), $wanted) or diag(explain([$status, $page]));
	}
	my ($status, $job) = ask('DELETE', '/jobs/{id}', { id => $ids{running} });
	like($job->{status}, qr/^cancell/, 'what runs is told to stop');
};

subtest 'a job is steered' => sub {
	my $id = submit(queue => 'nobody', next_run_time => 4102444800);
	my %id = (id => $id);
	is((ask('POST', '/jobs/{id}/pause', \%id))[1]{status}, 'paused', 'pause');
	like((ask('GET', '/jobs/{id}/explain', \%id))[1]{reason}, qr/^paused by /, 'explained');
	is((ask('POST', '/jobs/{id}/resume', \%id))[1]{status}, 'scheduled', 'resume');
	my ($status, $job) = ask('PATCH', '/jobs/{id}', \%id, undef, { priority => 9, next_run_time => '2100-01-02T00:00:00+01:00', payload => { new => 1 }, timeout => 2.5 });
	is_deeply([$status, @{$job}{qw(priority next_run_at payload timeout)}], [200, 9, '2100-01-01T23:00:00.000000Z', { new => 1 }, 2.5], 'change');
	refused('priority', 422, 'priority', 'PATCH', '/jobs/{id}', \%id, undef, { priority => 10 });
	refused('field', 422, 'name', 'PATCH', '/jobs/{id}', \%id, undef, { name => 'x' });
	refused('no body', 400, 'not-json', 'PATCH', '/jobs/{id}', \%id);
	refused('not an object', 422, 'not-an-object', 'PATCH', '/jobs/{id}', \%id, undef, '[1]');
	is((ask('PATCH', '/jobs/{id}', \%id, undef, { queue => 'jobs' }))[1]{queue}, 'jobs', 'another queue');
	is((ask('POST', '/jobs/{id}/run', \%id))[0], 200, 'run now');
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.runs WHERE job_id = '$id' AND status = 'succeeded'", 1);
	my ($got, $page) = ask('GET', '/jobs/{id}/executions', \%id);
	is_deeply([map { [$_->{status}, $_->{final}, $_->{worker_id}] } @{ $page->{executions} }], [['scheduled', JSON::PP::false, undef], ['succeeded', JSON::PP::true, 'w1']], 'what is planned and what has run')
		or diag(explain($page));
	is((ask('DELETE', '/jobs/{id}', \%id))[1]{status}, 'cancelled', 'cancel');
	refused('a cancelled one', 409, 'conflict', 'POST', '/jobs/{id}/run', \%id);
	is((ask('POST', '/jobs/{id}/retry', \%id))[0], 200, 'retry');
	refused('again', 409, 'conflict', 'POST', '/jobs/{id}/retry', \%id);
	for (['GET', '/jobs/{id}/executions'], ['GET', '/jobs/{id}/explain'], map { ['POST', "/jobs/{id}/$_"] } qw(pause resume run retry))
	{
		refused("$_->[1] of none", 404, 'unknown-job', $_->[0], $_->[1], { id => $no_id });
	}
	refused('none', 404, 'unknown-job', 'PATCH', '/jobs/{id}', { id => $no_id }, undef, {});
};

subtest 'executions page by page' => sub {
	my $id = submit(name => 'fail', payload => { message => 'no', times => 2 }, max_retries => 5);
	ended($id, 'succeeded');
	my ($status, $page) = ask('GET', '/jobs/{id}/executions', { id => $id }, 'limit=2');
	is_deeply([map { $_->{attempt} } @{ $page->{executions} }], [3, 2], 'the last that ended first');
	($status, $page) = ask('GET', '/jobs/{id}/executions', { id => $id }, "limit=2&cursor=$page->{next_cursor}");
	is_deeply([map { [@{$_}{qw(attempt status error)}] } @{ $page->{executions} }], [[1, 'failed', 'no']], 'and the rest');
	is($page->{next_cursor}, undef, 'that was all');
	refused('cursor', 422, 'cursor', 'GET', '/jobs/{id}/executions', { id => $id }, 'cursor=x');
};

subtest 'an artifact' => sub {
	my $id = submit();
	ended($id, 'succeeded');
	$stack->write_file('blobs/a', 'bytes');
	$stack->sql(qq(UPDATE jobsched.job_executions SET artifacts = '[{"name": "body", "key": "a", "size": 5, "content_type": "text/plain"}]' WHERE job_id = '$id'));
	is_deeply([(ask('GET', '/jobs/{id}/artifacts/{name}', { id => $id, name => 'body' }))[0, 1]], [200, 'bytes'], 'its bytes');
	refused('none', 404, 'unknown-artifact', 'GET', '/jobs/{id}/artifacts/{name}', { id => $id, name => 'x' });
	refused('attempt', 422, 'attempt', 'GET', '/jobs/{id}/artifacts/{name}', { id => $id, name => 'x' }, 'attempt=0');
};

subtest 'many jobs at once' => sub {
	submit(queue => 'bulk', name => $_ % 2 ? 'echo' : 'sleep', next_run_time => 4102444800) for 1 .. 6;
	my $many = sub { my ($what, %filter) = @_; return (ask('POST', "/jobs/$what", {}, undef, \%filter))[1]{jobs} };
	my ($status, $answer) = ask('POST', '/jobs/cancel', {}, undef, { queue => 'bulk', name => 'echo', dry_run => JSON::PP::true });
	is_deeply([$status, $answer], [200, { jobs => 3, dry_run => JSON::PP::true }], 'how many it would cancel');
	is($many->('cancel', queue => 'bulk', status => 'scheduled', limit => 4), 4, 'four of them');
	is($many->('cancel', queue => 'bulk', created_after => 0), 2, 'the rest');
	is($many->('retry', queue => 'bulk', status => 'cancelled', dry_run => JSON::PP::true), 6, 'all could be tried anew');
	is($many->('retry', queue => 'bulk', name => 'sleep', created_before => '2099-01-01T00:00:00Z'), 3, 'three are');
	is($many->('cancel', queue => 'bulk'), 3, 'and cancelled again');
	for my $what ('cancel', 'retry')
	{
		refused("$what without a filter", 422, 'invalid-field', 'POST', "/jobs/$what", {}, undef, {});
		refused('unknown field', 422, 'owner', 'POST', "/jobs/$what", {}, undef, { owner => 'x' });
		refused('queue', 404, 'unknown-queue', 'POST', "/jobs/$what", {}, undef, { queue => 'nowhere' });
		refused('status', 422, 'status', 'POST', "/jobs/$what", {}, undef, { status => 'done' });
		refused('dry_run', 422, 'dry_run', 'POST', "/jobs/$what", {}, undef, { queue => 'bulk', dry_run => 1 });
		refused('limit', 422, 'limit', 'POST', "/jobs/$what", {}, undef, { queue => 'bulk', limit => 0 });
		refused('time', 422, 'created_after', 'POST', "/jobs/$what", {}, undef, { created_after => 'x' });
	}
};

subtest 'schedules' => sub {
	my %name = (name => 'morning / "report" ü');
	my %body = (cron => '30 6 * * mon-fri', time_zone => 'Europe/Berlin', name => 'echo', payload => { a => 1 }, jitter => 5, catchup_window => 3600, max_runs => 100);
	my ($status, $schedule) = ask('PUT', '/schedules/{name}', \%name, undef, \%body);
	is_deeply([$status, @{$schedule}{qw(schedule_name status cron time_zone jitter catchup_window max_runs)}],
		[201, "morning / \"report\" \x{fc}", 'scheduled', '30 6 * * mon-fri', 'Europe/Berlin', 5, 3600, 100], 'made') or diag(explain($schedule));
	my $id = $schedule->{id};
	($status, $schedule) = ask('PUT', '/schedules/{name}', \%name, undef, { %body, max_runs => undef, cron => '0 7 * * *' });
	is_deeply([$status, @{$schedule}{qw(id cron max_runs)}], [200, $id, '0 7 * * *', undef], 'changed');
	($status, $schedule) = ask('GET', '/schedules/{name}', \%name, 'next=5');
	is(scalar @{ $schedule->{next} }, 5, 'the next five times');
	is($schedule->{next}[0]{at}, $schedule->{next_run_at} =~ s/:\d\d\.\d+Z$/:00.000000Z/r, 'the first is the next run, without its jitter');
	like($schedule->{next}[0]{local_time}, qr/T07:00:00$/, 'on its clock');
	is((ask('GET', '/schedules/{name}', { name => $id }))[1]{id}, $id, 'by its id too');
	is((ask('POST', '/schedules/{name}/pause', \%name))[1]{status}, 'paused', 'pause');
	is((ask('GET', '/jobs', {}, 'status=paused&frequency=cron'))[1]{jobs}[0]{id}, $id, 'found among the paused jobs');
	is((ask('POST', '/schedules/{name}/resume', \%name))[1]{status}, 'scheduled', 'resume');
	is((ask('POST', '/schedules/{name}/run', \%name))[0], 200, 'run');
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.runs WHERE job_id = '$id' AND status = 'succeeded'", 1);
	ask('PUT', '/schedules/{name}', { name => "s$_" }, undef, \%body) for 1 .. 3;
	my ($got, $page) = ask('GET', '/schedules', {}, 'limit=2&next=2');
	is_deeply([map { $_->{schedule_name} } @{ $page->{schedules} }], ['s3', 's2'], 'a list');
	($got, $page) = ask('GET', '/schedules', {}, "limit=2&cursor=$page->{next_cursor}");
	is_deeply([map { $_->{schedule_name} } @{ $page->{schedules} }], ['s1', "morning / \"report\" \x{fc}"], 'its next page');
	is(scalar @{ (ask('GET', '/schedules', {}, 'q=s'))[1]{schedules} }, 3, 'by the beginning of a name');
	is((ask('GET', '/jobs', {}, 'schedule=s2'))[1]{jobs}[0]{cron}, '30 6 * * mon-fri', 'the job of a schedule');
	is((ask('DELETE', '/schedules/{name}', \%name))[1]{status}, 'cancelled', 'end');
	refused('ended', 404, 'unknown-schedule', 'GET', '/schedules/{name}', \%name);
	refused('expression', 422, 'cron', 'PUT', '/schedules/{name}', { name => 's1' }, undef, { %body, cron => '61 * * * *' });
	refused('policy', 422, 'misfire_policy', 'PUT', '/schedules/{name}', { name => 's1' }, undef, { %body, misfire_policy => 'x' });
	refused('field', 422, 'frequency', 'PUT', '/schedules/{name}', { name => 's1' }, undef, { %body, frequency => 'cron' });
	$stack->sql_as('app', q{SELECT jobsched.schedule('of app', '0 0 * * *', 'echo')});
	is((ask('GET', '/schedules/{name}', { name => 'of app' }))[1]{owner}, 'app', "another role's can be seen");
	refused("but is not made twice", 409, 'conflict', 'PUT', '/schedules/{name}', { name => 'of app' }, undef, \%body);
	is((ask('POST', '/schedules/{name}/pause', { name => 'of app' }))[1]{status}, 'paused', 'and can be paused');
};

subtest 'cron preview' => sub {
	my ($status, $preview) = ask('GET', '/cron/next', {}, 'expr=30+2+*+*+*&time_zone=Europe/Berlin&n=2&after=2027-03-27T12:00:00Z');
	is_deeply($preview->{times}[0], { at => '2027-03-28T01:00:00.000000Z', time => 1806195600, local_time => '2027-03-28T03:00:00', utc_offset => '+02:00', note => $preview->{times}[0]{note} }, 'the gap is said')
		or diag(explain($preview));
	like($preview->{times}[0]{note}, qr/./, 'and noted');
	is($preview->{time_zone}, 'Europe/Berlin', 'the zone');
	refused('missing', 422, 'expr', 'GET', '/cron/next', {});
	refused('zone', 422, 'time_zone', 'GET', '/cron/next', {}, 'expr=*+*+*+*+*&time_zone=Mars');
	refused('number', 422, 'n', 'GET', '/cron/next', {}, 'expr=*+*+*+*+*&n=0');
};

subtest 'queues, workers, numbers' => sub {
	my ($status, $page) = ask('GET', '/queues', {}, 'limit=1');
	is(scalar @{ $page->{queues} }, 1, 'a page of queues');
	is_deeply([@{ (ask('GET', '/queues/{name}', { name => 'nobody' }))[1] }{qw(name paused scheduled due workers)}], ['nobody', JSON::PP::false, 8, 0, 0], 'what waits in one');
	my $paused = (ask('POST', '/queues/{name}/pause', { name => 'nobody' }))[1];
	is_deeply([@{$paused}{qw(paused paused_by)}], [JSON::PP::true, 'jobsched_api_login'], 'pause');
	is((ask('POST', '/queues/{name}/resume', { name => 'nobody' }))[1]{paused}, JSON::PP::false, 'resume');
	refused('none', 404, 'unknown-queue', $_->[0], $_->[1], { name => 'x' }) for ['GET', '/queues/{name}'], ['POST', '/queues/{name}/pause'], ['POST', '/queues/{name}/resume'];
	my $workers = (ask('GET', '/workers', {}))[1]{workers};
	is_deeply([sort map { "$_->{worker_id} $_->{state}" } @{$workers}], ['w1 live', 'w2 live'], 'workers');
	is_deeply((ask('GET', '/workers', {}, 'state=silent'))[1]{workers}, [], 'none of them silent');
	my $stats = (ask('GET', '/stats', {}))[1];
	is($stats->{workers}{slots}, 6, 'slots of the workers');
	cmp_ok($stats->{counts}{scheduled}, '>=', 8, 'runs that are planned');
	is(scalar(grep { $_->{name} eq 'jobs_0' } @{ $stats->{tables} }), 1, 'tables');
	ok(!exists((ask('GET', '/stats', {}, 'tables=false'))[1]{tables}), 'which can be left out');
	my $truth = sub { return $stack->sql("SELECT count(*) FILTER (WHERE status = 'succeeded') || ' ' || count(*) FILTER (WHERE status = 'failed' AND final) || ' ' || count(*) FILTER (WHERE status = 'cancelled')
		|| ' ' || count(*) FILTER (WHERE status = 'failed' AND NOT final) FROM jobsched.job_executions") };
	my ($history, %sums, $said, $before);
	$stack->wait_for('a history during which nothing ends', sub {
		$before = $truth->();
		$history = (ask('GET', '/stats/history', {}, 'minutes=30'))[1];
		%sums = ();
		for my $minute (@{ $history->{minutes} }) { $sums{$_} += $minute->{$_} for qw(succeeded failed cancelled retried) }
		$said = "$sums{succeeded} $sums{failed} $sums{cancelled} $sums{retried}";
		return $before eq $truth->();
	});
	is(scalar @{ $history->{minutes} }, 30, 'a row for each minute');
	is($said, $before, 'that agree with SQL');
	refused('minutes', 422, 'minutes', 'GET', '/stats/history', {}, 'minutes=x');
	refused('tables', 422, 'tables', 'GET', '/stats', {}, 'tables=some');
};

subtest 'the API connects as a role that can do nothing else' => sub {
	for my $sql ('SELECT * FROM jobsched.job_status', 'SELECT * FROM jobsched.jobs', q{SELECT jobsched.submit('echo')}, 'SELECT jobsched.adopt()', q{SELECT jobsched.pause_queue('jobs')})
	{
		my ($code, undef, $error) = $stack->psql($sql, role => 'jobsched_api_login');
		like($error, qr/permission denied/, $sql);
	}
};

# ---- what the rest has not called ----

ask('POST', '/jobs/batch', {}, undef, { jobs => [{ name => 'echo', frequency => 'once', next_run_time => 0 }, { name => 'echo' }] });
ask('GET', '/healthz', {});
ask('GET', $_, {}) for '/readyz', '/whoami';

subtest 'waiting for the end of a job' => sub {
	my $wait = sub {
		my ($id, $query) = @_;
		my $since = time;
		my ($status, $job) = ask('GET', '/jobs/{id}', { id => $id }, $query);
		return ($status, $job->{status}, time - $since);
	};
	my $id = submit(name => 'sleep', payload => { seconds => 3 });
	my ($status, $what, $took) = $wait->($id, 'wait=20');
	is("$status $what", '200 succeeded', 'the answer comes with the end');
	ok($took > 0.5 && $took < 19, sprintf 'after %.2f s', $took);
	($status, $what, $took) = $wait->($id, 'wait=20');
	ok($what eq 'succeeded' && $took < 15, 'at once when it has ended already');
	$id = submit(queue => 'nobody', next_run_time => 4102444800);
	($status, $what, $took) = $wait->($id, 'wait=0.5');
	ok($what eq 'scheduled' && $took > 0.4 && $took < 15, sprintf 'and when the time is over, %.2f s', $took);
	is(($wait->($id, 'wait='))[1], 'scheduled', 'an empty one is none');
	refused('unknown', 404, 'unknown-job', 'GET', '/jobs/{id}', { id => $no_id }, 'wait=20');
	refused("wait=$_", 422, 'wait', 'GET', '/jobs/{id}', { id => $id }, "wait=$_") for qw(61 -1 x 1e1 1.2.3);
	refused('unknown parameter', 422, 'wat', 'GET', '/jobs/{id}', { id => $id }, 'wat=1');

	# Many who wait, some for the same, some who go away.
	my @ids = map { submit(queue => 'nobody', next_run_time => 4102444800) } 1 .. 20;
	my @sockets = map {
		my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
		print {$socket} "GET /jobs/$ids[$_ % 20]?wait=60 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
		$socket;
	} 0 .. 399;
	is((ask('GET', '/healthz', {}))[0], 200, 'meanwhile others are served');
	close $_ for @sockets[380 .. 399];
	my $since = time;
	$stack->sql("SELECT jobsched.cancel(id) FROM unnest('{" . join(',', @ids) . "}'::uuid[]) id");
	my %seen;
	for my $socket (@sockets[0 .. 379])
	{
		local $/ = undef;
		my $answer = <$socket>;
		$seen{"$1 $2"}++ if $answer =~ m{^HTTP/1.1 (\d+) .*"status" ?: ?"(\w+)"}s;
	}
	is_deeply(\%seen, { '200 cancelled' => 380 }, sprintf '400 wait for 20 jobs, 20 of them not to the end: %.2f s after these ended', time - $since);

	# A statement that takes long comes seldom.
	my $rest_wait = $stack->sql(q{SELECT pg_get_functiondef('jobsched.rest_wait(uuid[])'::regprocedure)});
	(my $slow = $rest_wait) =~ s/\bBEGIN\b/BEGIN PERFORM pg_sleep(1);/ or die $rest_wait;
	$stack->sql($slow);
	($status, $what, $took) = $wait->($id, 'wait=2');
	$stack->sql($rest_wait);
	ok($what eq 'scheduled' && $took > 1.9 && $took < 5, sprintf 'nobody waits longer than asked for when the database is slow, %.2f s', $took);
};

subtest 'an answer that the client has already' => sub {
	my %id = (id => submit(queue => 'nobody', next_run_time => 4102444800));
	for my $path ('/jobs/{id}', '/openapi.json')
	{
		my ($status, $answer, $headers) = ask('GET', $path, \%id);
		my $etag = $headers->{etag};
		like($etag, qr{^W/"[0-9a-f]{16}"$}, "$path has an ETag");
		is((ask('GET', $path, \%id, undef, undef, { 'If-None-Match' => $_ }))[0], 304, "304 for $_") for $etag, qq{"x", $etag}, '*', $etag =~ s{^W/}{}r;
		is((ask('GET', $path, \%id, undef, undef, { 'If-None-Match' => '"x"' }))[0], 200, '200 for another');
	}
	my $etag = (ask('GET', '/jobs/{id}', \%id))[2]{etag};
	ask('PATCH', '/jobs/{id}', \%id, undef, { priority => 3 });
	is((ask('GET', '/jobs/{id}', \%id, undef, undef, { 'If-None-Match' => $etag }))[0], 200, 'and when it has changed');
};

subtest 'Idempotency-Key is the unique_key' => sub {
	my %job = (name => 'echo', queue => 'nobody', frequency => 'once', next_run_time => 4102444800);
	my ($status, $job) = ask('POST', '/jobs', {}, undef, \%job, { 'Idempotency-Key' => 'a "key" \\' });
	is_deeply([$status, $job->{unique_key}], [201, 'a "key" \\'], 'a job with it');
	is_deeply([(ask('POST', '/jobs', {}, undef, \%job, { 'Idempotency-Key' => 'a "key" \\' }))[0, 1]], [200, $job], 'the same once more');
	is((ask('POST', '/jobs', {}, undef, { %job, unique_key => undef }, { 'Idempotency-Key' => 'a "key" \\' }))[1]{id}, $job->{id}, 'null is no key');
	is((ask('POST', '/jobs', {}, undef, { %job, unique_key => 'a "key" \\' }, { 'Idempotency-Key' => 'a "key" \\' }))[1]{id}, $job->{id}, 'in both places');
	refused('another key in the body', 422, 'unique_key', 'POST', '/jobs', {}, undef, { %job, unique_key => 'b' }, { 'Idempotency-Key' => 'a' });
	refused('with a batch', 422, 'Idempotency-Key', 'POST', '/jobs/batch', {}, undef, { jobs => [\%job] }, { 'Idempotency-Key' => 'a' });
	refused('empty', 422, 'Idempotency-Key', 'POST', '/jobs', {}, undef, \%job, { 'Idempotency-Key' => '' });
};

is_deeply((ask('GET', '/openapi.json', {}))[1], $document, 'the document is served');

subtest 'an API that ends answers those who wait' => sub {
	my $id = submit(queue => 'nobody', next_run_time => 4102444800);
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
	my $now = $stack->sql('SELECT clock_timestamp()');
	print {$socket} "GET /jobs/$id?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n";
	$stack->wait_for_sql(qq{SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%rest_wait(%' AND usename = 'jobsched_api_login' AND query_start > '$now'});
	kill 'TERM', $api;
	local $/ = undef;
	like(scalar(<$socket>), qr{^HTTP/1.1 200 .*"status" ?: ?"scheduled"}s, 'with what is so now');
	ok($stack->wait_for('the end of the API', sub { return waitpid($api, WNOHANG) == $api }) && $? == 0, 'it ends well');
};

subtest 'the document' => sub {
	for my $path (sort keys %{ $document->{paths} })
	{
		my @missing = grep { !$good{$_} } map { uc($_) . " $path" } grep { $document->{paths}{$path}{$_} } qw(get put post patch delete);
		is("@missing", '', "$path: each call was made");
	}
	$stack->write_file('calls', join '', map { $json->encode($_) . "\n" } @calls);
	my ($code, $out, $err) = $stack->run('/usr/bin/python3', $stack->top . '/test/t/openapi_check.py', $api_json, $stack->dir . '/calls');
	is($code, 0, 'was compared with the answers') or diag($err);
	is($out, 'checked ' . @calls . " calls\n", 'which are as it says');
};

done_testing();
