# SwiftTest.pm: a real S3 server for a test: OpenStack Swift with its s3api, which checks Signatures V2 and V4.
#
#	my $swift = SwiftTest->new($stack);              # a JobschedTest; starts the server (about 6 s of an idle machine)
#	plan skip_all => SwiftTest::reason() if !$swift;
#	$stack->start_worker(BLOB_STORE => 's3', $swift->env);
#
# Its bucket is there.  It ends with the stack.
package SwiftTest;

use strict;
use warnings;

my $reason = '';

# new(STACK): undef when Swift cannot run in this place; then reason() says why
sub new
{
	my ($class, $stack) = @_;
	my $self = bless { stack => $stack }, $class;
	return $self if eval { $self->start; 1 };
	die $@ if $@ !~ /(Swift needs extended attributes.*)/;
	$reason = $1;
	return;
}

sub reason { return $reason }

sub start { my ($self) = @_; return $self->{stack}->stack('start', 'swift') }
sub stop { my ($self) = @_; return $self->{stack}->stack('stop', 'swift') }

sub port { my ($self) = @_; return $self->{stack}->read_file('ports') =~ /^SWIFT_PORT=(\d+)$/m ? $1 : die 'Swift has no port' }
sub secret { my ($self) = @_; return $self->{stack}->read_file('data/secrets/swift') }

# env() -> the worker's settings
sub env
{
	my ($self) = @_;
	return (S3_ENDPOINT => 'http://127.0.0.1:' . $self->port, S3_BUCKET => 'jobsched', S3_ACCESS_KEY => 'jobsched:worker', S3_SECRET_KEY => $self->secret);
}

# signal('STOP', 'object'): to one of the four servers (account container object proxy)
sub signal
{
	my ($self, $signal, $name) = @_;
	my $parent = $self->{stack}->pid('swift');
	for my $path (glob '/proc/[0-9]*/stat')
	{
		open my $file, '<', $path or next;
		next if (<$file> // '') !~ /^(\d+) \(swift-$name\) \S $parent /;
		return kill $signal, $1;
	}
	die "no server $name of Swift";
}

# parts() -> how many files of at least 1 MiB the object server keeps: whole objects, and parts of uploads.  Small ones do not
# count: where the beginning of an upload was sent twice, because its answer was late, an empty object of the first stays.
sub parts
{
	my ($self) = @_;
	my ($code, $out) = $self->{stack}->run('find', $self->{stack}->dir . '/data/swift/devices/d1/objects', '-name', '*.data', '-size', '+1023k');
	return scalar(() = $out =~ /\n/g);
}

# libs3(ARGUMENTS...) -> its output, '' when it succeeds: the tool of libs3, an S3 client of other people's making (V2).  It does
# not try again by itself when the server says that it cannot now.
sub libs3
{
	my ($self, @arguments) = @_;
	my $said;
	for (1 .. 5)
	{
		$said = $self->libs3_once(@arguments);
		last if $said eq '';
	}
	return $said;
}

sub libs3_once
{
	my ($self, @arguments) = @_;
	my ($code, $out, $err) = $self->{stack}->run('/usr/bin/s3', '-u', @arguments,
		{ env => { S3_HOSTNAME => '127.0.0.1:' . $self->port, S3_ACCESS_KEY_ID => 'jobsched:worker', S3_SECRET_ACCESS_KEY => $self->secret } });
	return $out . $err;
}

1;
