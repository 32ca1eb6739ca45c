# A new tz database while the server runs: cron follows the files, nothing is restarted.  The server sees a tz database of this
# test's: a small library before libc sends it to a copy.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;

my $system = '/usr/share/zoneinfo';
my $stack = JobschedTest->new(rabbitmq => 0);
my $dir = $stack->dir;

$stack->write_file('zones.c', <<'END');
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
static const char *moved(const char *path, char *buffer, size_t size)
{
	const char *from = "/usr/share/zoneinfo", *to = getenv("TEST_ZONEINFO");
	if (!to || strncmp(path, from, strlen(from)) != 0)
		return path;
	snprintf(buffer, size, "%s%s", to, path + strlen(from));
	return buffer;
}
int open(const char *path, int flags, ...)
{
	static int (*next)(const char *, int, ...);
	char buffer[4096];
	va_list list;
	int mode;
	va_start(list, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, int) : 0;
	va_end(list);
	if (!next)
		next = (int (*)(const char *, int, ...)) dlsym(RTLD_NEXT, "open");
	return next(moved(path, buffer, sizeof buffer), flags, mode);
}
DIR *opendir(const char *path)
{
	static DIR *(*next)(const char *);
	char buffer[4096];
	if (!next)
		next = (DIR *(*)(const char *)) dlsym(RTLD_NEXT, "opendir");
	return next(moved(path, buffer, sizeof buffer));
}
int stat(const char *restrict path, struct stat *restrict file)
{
	static int (*next)(const char *, struct stat *);
	char buffer[4096];
	if (!next)
		next = (int (*)(const char *, struct stat *)) dlsym(RTLD_NEXT, "stat");
	return next(moved(path, buffer, sizeof buffer), file);
}
END
my ($code, $out, $err) = eval { $stack->run('cc', '-shared', '-fPIC', '-O1', '-o', "$dir/zones.so", "$dir/zones.c", '-ldl') };
plan skip_all => 'no C compiler' if !defined $code || $code != 0;
plan skip_all => "no $system" if !-e "$system/Europe/Berlin";
$stack->run('cp', '-rL', $system, "$dir/zoneinfo");

# As an update does it: another file in its place.
sub install_zone
{
	my ($name, $source) = @_;
	$stack->run('cp', $source, "$dir/zoneinfo/$name.new");
	return $stack->run('mv', "$dir/zoneinfo/$name.new", "$dir/zoneinfo/$name");
}

# Berlin is the zone that the postmaster itself has read, from which every process inherits it.
$stack->stop_postgres;
$stack->write_file('data/postgres/postgresql.auto.conf', $stack->read_file('data/postgres/postgresql.auto.conf') . "timezone = 'Europe/Berlin'\njobsched.time_zone = 'Europe/Berlin'\njobsched.poll_interval = '1h'\njobsched.dispatch_window = 10000\n");
($code, $out, $err) = $stack->run('sh', '-c', "exec '" . $stack->bin . "/pg_ctl' -w -D '$dir/data/postgres' -l '$dir/log/postgres.log' start >'$dir/log/pg_ctl.log' 2>&1",
	{ env => { LD_PRELOAD => "$dir/zones.so", TEST_ZONEINFO => "$dir/zoneinfo" } });
die "pg_ctl: $code: " . $stack->log_text('pg_ctl') if $code != 0;
$stack->start_postgres;

my %job = map { $_ => $stack->sql("SELECT jobsched.schedule('$_', '0 12 1 7 *', 'echo'" . ($_ eq 'default' ? '' : ", time_zone => '$_'") . ')') } qw(default Europe/Berlin Asia/Tokyo UTC);
sub hours { return $stack->sql("SELECT string_agg(s.schedule_name || ' ' || to_char(t.run_at AT TIME ZONE 'UTC', 'HH24'), ', ' ORDER BY s.schedule_name COLLATE \"C\") FROM jobsched.timers t JOIN jobsched.schedules s USING (job_id)") }
sub asked { return $stack->sql(q{SELECT to_char(jobsched.cron_next('0 12 1 7 *') AT TIME ZONE 'UTC', 'HH24')}) }
sub looks { return scalar(() = $stack->log_text('postgres') =~ /has new rules/g) }

is(hours(), 'Asia/Tokyo 03, Europe/Berlin 10, UTC 12, default 10', 'planned by the rules that are there');
my $pid = ($stack->scheduler_pids)[0];
$stack->wait_for_sql(q{SELECT next_wake > now() + interval '8 s' FROM jobsched.scheduler_status()}, 't');

install_zone('Europe/Berlin', "$system/America/New_York");
is(asked(), '16', 'a new session asks by the new rules');
$stack->sql('SELECT pg_reload_conf()');
$stack->wait_for('the scheduler to plan anew', sub { return hours() eq 'Asia/Tokyo 03, Europe/Berlin 16, UTC 12, default 16' });
pass('planned times are moved, those of other zones stay');
is(looks(), 1, 'the log says which zone has new rules');

# A file that is none, as while it is being written, changes nothing.
$stack->write_file('broken', 'TZif');
install_zone('Europe/Berlin', "$dir/broken");
$stack->sql('SELECT pg_reload_conf()');
$stack->wait_for_sql(q{SELECT next_wake > now() + interval '8 s' FROM jobsched.scheduler_status()}, 't');
is(hours(), 'Asia/Tokyo 03, Europe/Berlin 16, UTC 12, default 16', 'a broken file changes nothing');

# The same rules in another file.
install_zone('Europe/Berlin', "$system/America/New_York");
install_zone('Asia/Tokyo', "$system/Asia/Tokyo");
install_zone('UTC', "$system/Etc/UTC");
my $id = $stack->sql(q{SELECT jobsched.schedule('seconds', '* * * * * *', 'echo', overlap_policy => 'allow')});
$stack->wait_for_sql("SELECT count(*) > 0 FROM jobsched.cron_ticks WHERE job_id = '$id'", 't');
is(looks(), 1, 'nor do the same rules in new files');

# Without a word, while it works: within some ten seconds.
install_zone('Europe/Berlin', "$system/Asia/Kolkata");
$stack->wait_for('the scheduler to notice by itself', sub { return hours() =~ m{Europe/Berlin 06} });
pass('the scheduler notices new rules by itself while it works');
is(($stack->scheduler_pids)[0], $pid, 'all that in one process');
done_testing();
