# WebScript.pm: scripts of test/web, run by node, as a part of a TAP test.
#
#	WebScript::install($stack);                           # the packages from npm, unless they are there
#	WebScript::run($stack, ['dashboard.mjs'], API_URL => $stack->api_url);
#
# A script prints "ok - what" and "not ok - what", and lines with # that explain; its exit code must agree.
package WebScript;

use strict;
use warnings;

use JobschedTest;
use Test::More;

my $web = JobschedTest::top() . '/test/web';

sub install
{
	my ($stack) = @_;
	my ($code, $out, $err) = $stack->run("$web/install");
	die $err if $code != 0;
	return;
}

# run($stack, [SCRIPT, ARGUMENT...], VARIABLE => value, ...): in a home of its own, because browsers write there
sub run
{
	my ($stack, $command, %env) = @_;
	my ($script, @arguments) = @{$command};
	my $home = $stack->dir . '/home';
	mkdir $home;
	my $pid = open(my $lines, '-|') // die "fork: $!";
	if (!$pid)
	{
		open STDERR, '>&', \*STDOUT;
		chdir $home;
		%ENV = (PATH => '/usr/bin:/bin', LANG => 'C.UTF-8', TZ => 'UTC', HOME => $home, %env);
		exec 'node', "$web/$script", @arguments or die "node: $!";
	}
	my ($failed, $n) = (0, 0);
	while (my $line = <$lines>)
	{
		chomp $line;
		if ($line =~ /^(not )?ok - (.*)/)
		{
			ok(!$1, $2);
			$n++;
			$failed++ if $1;
		}
		else
		{
			$line =~ s/^# //;
			diag($line);
		}
	}
	close $lines;
	ok($n > 0 && ($? == 0) == ($failed == 0), "$script came to its end") or diag("exit status $?");
	return;
}

1;
