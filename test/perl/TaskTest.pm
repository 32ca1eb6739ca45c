# TaskTest.pm: what the tests of tasks share: building plug-ins, submitting jobs, looking at how they ended.
#
#	TaskTest::on($stack);
#	build('test/plugin/tasks.c', "$directory/tests.so");
#	all_end([ 'a task that crashes', 'misbehave', { do => 'crash' }, { status => 'failed', reason => 'signal' } ]);
package TaskTest;

use strict;
use warnings;

use Exporter qw(import);
use JobschedTest ();
use JSON::PP ();
use Test::More;

our @EXPORT = qw(build submit final all_end);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $stack;

# Where make install has put jobsched_task.h.
sub include { return JobschedTest::bin() . '/../../../../include' }

# on(STACK): the stack that the functions below mean
sub on { ($stack) = @_; return }

# build(SOURCE, OBJECT, flags) -> OBJECT: a shared object from a file, or from text
sub build
{
	my ($source, $object, @flags) = @_;
	if ($source =~ /\n/) { $stack->write_file('source.c', $source); $source = $stack->dir . '/source.c'; }
	my ($code, $out, $err) = $stack->run('cc', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-I' . include(), @flags, '-o', $object, $source, '-ljansson');
	die "$object cannot be built: $out$err" if $code;
	return $object;
}

# submit(TASK, PAYLOAD, SQL arguments) -> id
sub submit
{
	my ($task, $payload, $more) = @_;
	my $text = $json->encode($payload);
	return $stack->sql_as('app', "SELECT jobsched.submit('$task', \$p\$$text\$p\$" . ($more ? ", $more" : '') . ')');
}

# final(ID) -> its last execution: {status, attempt, reason, error, result, artifacts, seconds}
sub final
{
	my ($id, $timeout) = @_;
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = '$id' AND final", '1', $timeout);
	return $json->decode($stack->sql("SELECT json_build_object('status', status, 'attempt', attempt, 'reason', reason, 'error', error, 'result', result_payload,
		'artifacts', artifacts, 'seconds', extract(epoch FROM finished_at - started_at)) FROM jobsched.job_executions WHERE job_id = '$id' AND final"));
}

# all_end([WHAT, TASK, PAYLOAD, {field => value or pattern}, {max_retries => ..., timeout => ...}], ...): submits all, and looks at the
# last execution of each.  Returns what final() returns, of each.
sub all_end
{
	my (@cases) = @_;
	my $jobs = $json->encode([ map { { name => $_->[1], payload => $_->[2], max_retries => 0, %{ $_->[4] || {} } } } @cases ]);
	my @ids = split /\n/, $stack->sql_as('app', "SELECT * FROM jobsched.submit_many(\$p\$$jobs\$p\$)");
	my $mine = "'{" . join(',', @ids) . "}'::uuid[]";
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = ANY ($mine) AND final", scalar @ids, 150);
	my %got = map { my $e = $json->decode($_); ($e->{id} => $e) } split /\n/, $stack->sql("SELECT json_build_object('id', job_id, 'status', status, 'attempt', attempt,
		'reason', reason, 'error', error, 'result', result_payload, 'artifacts', artifacts, 'seconds', extract(epoch FROM finished_at - started_at))
		FROM jobsched.job_executions WHERE job_id = ANY ($mine) AND final");
	for my $case (@cases)
	{
		my ($what, $task, $payload, $want) = @$case;
		my $got = $got{ $ids[0] };
		my @wrong = grep {
			my $value = ref $got->{$_} ? $json->encode($got->{$_}) : $got->{$_} // 'null';
			my $wanted = ref $want->{$_} eq 'HASH' ? $json->encode($want->{$_}) : $want->{$_};
			ref $wanted ? $value !~ $wanted : $value ne $wanted
		} sort keys %$want;
		ok(!@wrong, $what) or diag("@wrong: ", $json->encode($got));
		push @ids, shift @ids;
	}
	return map { $got{$_} } @ids;
}

1;
