# Postgres stops within 3 s, and DROP DATABASE of another database takes no longer, while the look-up of the broker's name gets
# no answer.  The name server is a socket that swallows queries; a mount namespace of its own makes /etc/resolv.conf name it.
# test: alone
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use File::Temp;
use IO::Socket::INET;
use JobschedTest;
use StopsFast;
use Test::More;

my $TESTS = 8;

# Why this cannot be tested here, or undef when the second run of this file has everything in place.
sub why_not
{
	return 'only root can make a mount namespace' if $> != 0;
	return undef if $ENV{JOBSCHED_TEST_NAMESPACE};
	my $why = `unshare --mount sh -c 'mount --bind /etc/hosts /etc/resolv.conf' 2>&1`;
	return "no mount namespace: $why" =~ s/\s+/ /gr if $? != 0;
	exec 'env', 'JOBSCHED_TEST_NAMESPACE=1', 'unshare', '--mount', $^X, "$FindBin::Bin/$FindBin::Script";
	die "unshare: $!";
}

sub swallowed
{
	my ($dns, $name) = @_;
	my $found = 0;
	while (defined $dns->recv(my $query, 1024, MSG_DONTWAIT)) { $found++ if index($query, $name) >= 0 }
	return $found;
}

SKIP:
{
	my $why = why_not();
	skip $why, $TESTS if defined $why;

	# Of the loopback network's 16 million addresses one that no other run uses.
	my ($address, $dns);
	for my $try (1 .. 20)
	{
		$address = join '.', 127, map { 1 + int rand 254 } 1 .. 3;
		last if $dns = IO::Socket::INET->new(LocalAddr => $address, LocalPort => 53, Proto => 'udp', Blocking => 0);
	}
	skip "no UDP socket on port 53: $!", $TESTS if !$dns;
	my $resolv = File::Temp->new;
	print {$resolv} "nameserver $address\n";
	$resolv->flush;
	chmod 0644, $resolv->filename;
	system('mount', '--bind', $resolv->filename, '/etc/resolv.conf') == 0 or die 'mount failed';

	my $stack = JobschedTest->new;
	$stack->sql(q{SELECT jobsched.submit('echo', '{}') FROM generate_series(1, 100)});
	wait_for_broker($stack, '^connected to');

	# The name changes while it runs, so that nothing of it is known yet.
	point_to($stack, 'amqp://jobsched:secret@broker.jobsched.test:5672/jobsched');
	$stack->sql('SELECT pg_reload_conf()');
	$stack->wait_for('a query at the name server', sub { return swallowed($dns, 'broker') });
	wait_for_broker($stack, '^connecting to broker.jobsched.test');
	stops_fast($stack, 'name without answer, after a reload');

	$stack->start_postgres;
	$stack->wait_for('a query at the name server', sub { return swallowed($dns, 'broker') });
	wait_for_broker($stack, '^connecting to broker.jobsched.test');
	stops_fast($stack, 'name without answer, from the start');

	# The same name in libc: does the socket hold up whoever looks it up in the ordinary way?
	my ($code) = $stack->run('timeout', '3', 'getent', 'ahosts', 'broker.jobsched.test');
	is($code, 124, 'getaddrinfo() would wait longer');
	unlike($stack->log_text('postgres'), qr/recalcitrant|terminated by signal|PANIC/, 'no process had to be killed');
}
done_testing();
