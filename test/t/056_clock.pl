# Time that misbehaves: the clock is set forwards and backwards under a running server, and planned times are wrong.  The
# server sees a clock that this test sets: a small library before libc adds an offset, kept in a file, to the time of day.
use strict;
use warnings;

use Fcntl qw(O_WRONLY O_CREAT);
use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;
use Time::HiRes qw(sleep);

my $stack = JobschedTest->new(settings => { 'jobsched.dispatch_window' => 10000, 'jobsched.worker_lease' => '10s' });
my $dir = $stack->dir;

$stack->write_file('clock.c', <<'END');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static volatile int64_t *offset;	/* seconds */
__attribute__((constructor)) static void open_offset(void)
{
	const char *path = getenv("TEST_CLOCK_OFFSET");
	int fd = path ? open(path, O_RDONLY) : -1;
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
	offset = map == MAP_FAILED ? NULL : map;
}
int clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*next)(clockid_t, struct timespec *);
	int result;
	if (!next)
		next = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
	result = next(id, t);
	if (id == CLOCK_REALTIME && offset)
		t->tv_sec += *offset;
	return result;
}
int gettimeofday(struct timeval *t, void *zone)
{
	struct timespec now;
	(void) zone;
	clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}
time_t time(time_t *t)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (t)
		*t = now.tv_sec;
	return now.tv_sec;
}
END
my ($code, $out, $err) = eval { $stack->run('cc', '-shared', '-fPIC', '-O1', '-o', "$dir/clock.so", "$dir/clock.c", '-ldl') };
plan skip_all => 'no C compiler' if !defined $code || $code != 0;

sub set_clock
{
	my ($seconds) = @_;
	sysopen my $file, "$dir/clock", O_WRONLY | O_CREAT or die "$dir/clock: $!";    # never shorter: it is mapped
	syswrite $file, pack 'q', $seconds;
	close $file;
	return;
}

# The stack starts servers with a clean environment, but takes over one that pg_ctl has started.
set_clock(0);
$stack->stop_postgres;
($code, $out, $err) = $stack->run('sh', '-c', "exec '" . $stack->bin . "/pg_ctl' -w -D '$dir/data/postgres' -l '$dir/log/postgres.log' start >'$dir/log/pg_ctl.log' 2>&1",
	{ env => { LD_PRELOAD => "$dir/clock.so", TEST_CLOCK_OFFSET => "$dir/clock" } });
die "pg_ctl: $code: " . $stack->log_text('pg_ctl') if $code != 0;
$stack->start_postgres;

sub seen { return scalar(() = $stack->log_text('postgres') =~ /the clock was set/g) }
sub step
{
	my ($seconds) = @_;
	my $before = seen();
	set_clock($seconds);
	return $stack->wait_for('the scheduler to notice', sub { return seen() > $before });
}
sub no_time_twice { return $stack->sql('SELECT count(*) - count(DISTINCT (u.id, u.at)) FROM jobsched.dispatches d, unnest(d.job_ids, d.run_ats) u(id, at)') }
sub empty { return $stack->sql('DELETE FROM jobsched.dispatches; DELETE FROM jobsched.timers; DELETE FROM jobsched.schedules; DELETE FROM jobsched.cron_ticks') }
sub submit { my ($cron, $set) = @_; my $id = $stack->sql("SELECT jobsched.submit('echo', cron => '$cron')"); $stack->sql("UPDATE jobsched.schedules SET $set WHERE job_id = '$id'") if $set; return $id; }
sub fired { my ($id) = @_; return $stack->sql("SELECT count(*) FROM jobsched.cron_ticks WHERE job_id = '$id' AND outcome = 'fired'"); }
sub goes_on { my ($id, $n) = @_; my $more = fired($id) + ($n // 2); return $stack->wait_for_sql("SELECT count(*) >= $more FROM jobsched.cron_ticks WHERE job_id = '$id' AND outcome = 'fired'", 't', 90); }
sub timer { my ($id, $set) = @_; return $stack->sql("UPDATE jobsched.timers SET $set WHERE job_id = '$id'") }

subtest 'the clock is ahead by a year for a while' => sub {
	my $minute = submit('* * * * *', "overlap_policy = 'allow'");
	my $second = submit('* * * * * *', "overlap_policy = 'allow'");
	my $once = $stack->sql(q{SELECT jobsched.submit('echo', run_at => now() + interval '30 days')});
	goes_on($second);
	step(365 * 86400);
	$stack->wait_for_sql("SELECT count(*) > 0 FROM jobsched.cron_ticks WHERE job_id = '$minute' AND outcome = 'fired' AND run_at > now() - interval '2 min'", 't');
	is($stack->sql("SELECT count(*) FROM jobsched.cron_ticks WHERE job_id = '$minute' AND outcome = 'coalesced'") >= 990, 1, 'what was missed becomes one run');
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.dispatches WHERE '$once' = ANY (job_ids)", '1');
	pass('a once job whose time has come runs');
	goes_on($second);

	step(0);
	$stack->wait_for_sql("SELECT bool_and(t.run_at <= now() + interval '1 min') AND bool_and(s.last_run_at <= now() + interval '1 s') FROM jobsched.timers t JOIN jobsched.schedules s USING (job_id)", 't');
	pass('set back, no job waits for the year to pass');
	goes_on($second);
	goes_on($minute, 1);
	is(no_time_twice(), '0', 'no nominal time was handed out twice');
};

subtest 'small steps' => sub {
	empty();
	my $second = submit('* * * * * *', "overlap_policy = 'allow'");
	goes_on($second, 3);
	step(-20);
	my $then = fired($second);
	sleep 3;
	is(fired($second) - $then, 0, 'set back by 20 s, it waits until the clock has made up for that') or diag($stack->sql("SELECT * FROM jobsched.cron_ticks ORDER BY run_at"));
	step(0);
	goes_on($second, 3);
	is(no_time_twice(), '0', 'no time twice');
	step(-3600);
	goes_on($second, 3);
	step(0);
	goes_on($second, 3);
	is(no_time_twice(), '0', 'nor after an hour back and forth');
};

subtest 'workers are not taken for dead' => sub {
	empty();
	my $worker = $stack->start_worker;
	my $id = $stack->sql(q{SELECT jobsched.submit('sleep', '{"seconds": 6}')});
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'running');
	step(86400);
	$stack->wait_for_sql("SELECT status FROM jobsched.job_status WHERE id = '$id'", 'succeeded');
	is($stack->sql("SELECT count(*) FROM jobsched.job_executions WHERE job_id = '$id'"), '1', 'their runs go on while the clock is set forwards');
	step(0);
	$stack->kill_worker('KILL', $worker);
	$stack->sql('DELETE FROM jobsched.workers');
};

subtest 'planned times that are wrong' => sub {
	$stack->guc('jobsched.enabled' => 'off');
	$stack->wait_for_sql("SELECT state LIKE 'disabled%' FROM jobsched.scheduler_status() WHERE slice = 0");
	empty();
	my $yearly = '0 0 1 1 *';
	my %job = map { $_ => submit($yearly) } qw(right late gone ended odd every infinite waiting jitter);
	my $expected = $stack->sql("SELECT jobsched.cron_next('$yearly')");
	timer($job{late}, "run_at = run_at + interval '5 years', due_at = due_at + interval '5 years'");
	$stack->sql("DELETE FROM jobsched.timers WHERE job_id IN ('$job{gone}', '$job{ended}')");
	$stack->sql("UPDATE jobsched.schedules SET max_runs = 1, fired = 1 WHERE job_id = '$job{ended}'");
	timer($job{odd}, "run_at = run_at - interval '1 h', due_at = due_at - interval '1 h'");    # as a zone's new rules would
	$stack->sql("UPDATE jobsched.schedules SET cron = '\@every 2h' WHERE job_id = '$job{every}'");
	timer($job{every}, "run_at = date_trunc('second', now()) + interval '1 h 17 s', due_at = date_trunc('second', now()) + interval '1 h 17 s'");
	timer($job{infinite}, "due_at = 'infinity'");
	$stack->sql("UPDATE jobsched.schedules SET jitter = '1 h' WHERE job_id = '$job{jitter}'");
	my $before = $stack->sql("SELECT string_agg(run_at || ' ' || due_at, ',' ORDER BY job_id) FROM jobsched.timers WHERE job_id IN ('$job{right}', '$job{every}', '$job{infinite}')");
	$stack->guc('jobsched.enabled' => 'on');
	$stack->wait_for_sql("SELECT count(*) FROM jobsched.timers WHERE job_id = '$job{gone}'", '1');
	is($stack->sql("SELECT DISTINCT run_at FROM jobsched.timers WHERE job_id IN ('$job{late}', '$job{gone}', '$job{odd}', '$job{jitter}')"), $expected, 'too late, gone, or not a time of the expression: planned anew');
	is($stack->sql("SELECT count(*), count(DISTINCT job_id) FROM jobsched.timers"), '8|8', 'one planned time for each job that goes on');
	is($stack->sql("SELECT due_at = run_at + jobsched._jitter(job_id, '1 h') FROM jobsched.timers WHERE job_id = '$job{jitter}'"), 't', 'with its jitter');
	is($stack->sql("SELECT string_agg(run_at || ' ' || due_at, ',' ORDER BY job_id) FROM jobsched.timers WHERE job_id IN ('$job{right}', '$job{every}', '$job{infinite}')"), $before, 'what is right is left alone');
	is($stack->sql('SELECT count(*) FROM jobsched.cron_ticks'), '0', 'nothing has run');
};

done_testing();
