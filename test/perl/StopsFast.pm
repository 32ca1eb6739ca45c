# StopsFast.pm: the promise that 020_stop.pl and 021_stop_root.pl test in every state of the broker: `pg_ctl stop -m fast` and
# DROP DATABASE of another database end within 3 s.
package StopsFast;

use strict;
use warnings;

use Exporter qw(import);
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(wait_for_broker point_to stops_fast);

my $LIMIT = 3;    # seconds, promised
my $PATIENCE = 60;    # seconds: so long pg_ctl waits before the test gives up

# As root, the words that make a command run as the server's user: pg_ctl insists on it.
sub as_server { return $> == 0 ? ('setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', '--') : () }

# Until all scheduler processes say this of the broker (a regular expression of PostgreSQL).
sub wait_for_broker
{
	my ($stack, $pattern) = @_;
	return $stack->wait_for_sql("SELECT bool_and(coalesce(broker, '') ~ '$pattern') FROM jobsched.scheduler_status()");
}

# Writes the URL of the broker for the server's next start or reload.
sub point_to
{
	my ($stack, $url) = @_;
	my $file = 'data/postgres/amqp_url';
	my ($uid, $gid) = (stat $stack->dir . "/$file")[ 4, 5 ];
	$stack->write_file("$file.new", "$url\n");
	chmod 0600, $stack->dir . "/$file.new";
	chown $uid, $gid, $stack->dir . "/$file.new";
	rename $stack->dir . "/$file.new", $stack->dir . "/$file";
	return;
}

# Drops another database, then stops the server, which the caller may start again.
sub stops_fast
{
	my ($stack, $case) = @_;
	$stack->sql('CREATE DATABASE other');
	my $start = time;
	$stack->sql('DROP DATABASE other');
	my $took = time - $start;
	cmp_ok($took, '<', $LIMIT, sprintf '%s: DROP DATABASE of another database within %d s (%.2f s)', $case, $LIMIT, $took);

	# In /, because pg_ctl wants to know where it is, and root's directories are closed to the server's user.
	$start = time;
	my ($code, $out, $err) = $stack->run('env', '-C', '/', as_server(), $stack->bin . '/pg_ctl', 'stop', '-m', 'fast', '-w', '-t', $PATIENCE,
		'-D', $stack->dir . '/data/postgres', { timeout => 2 * $PATIENCE });
	$took = time - $start;
	is($code, 0, "$case: pg_ctl stop -m fast succeeds") or diag($out . $err);
	cmp_ok($took, '<', $LIMIT, sprintf '%s: within %d s (%.2f s)', $case, $LIMIT, $took);
	return;
}

1;
