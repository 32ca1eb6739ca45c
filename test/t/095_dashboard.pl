# People at the dashboard and at /docs: headless Chromium drives both against the real stack (test/web/dashboard.mjs).
# Screenshots of all views go to build/test/screenshots.
# test: 90 s
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use File::Path qw(make_path);
use JobschedTest;
use Test::More;
use WebScript;

plan skip_all => 'jobsched-api is not built' if !JobschedTest::built('api');

my $stack = JobschedTest->new;
my %env = $stack->env;
my %token = map { $_ => "the-token-of-a-$_-of-this-test" } qw(viewer submitter admin);
my $program = $stack->build . '/jobsched-api';
my $tokens = '';

for my $role (sort keys %token)
{
	my ($code, $line, $err) = $stack->run($program, '--hash-token', "the-$role", $role, { stdin => "$token{$role}\n" });
	die $err if $code != 0;
	$tokens .= $line;
}
$stack->write_file('tokens', $tokens);
chmod 0600, $stack->dir . '/tokens';

WebScript::install($stack);

# A task that runs until the script says so (GATE), however slow the machine is.
my $gate = $stack->dir . '/gate';
$stack->write_file('tasks.json', qq({"gate": {"argv": ["/bin/sh", "-c", "until [ -e $gate ]; do sleep 0.1; done; echo '{}'"]}}\n));
chmod 0600, $stack->dir . '/tasks.json';
$stack->start_worker(EXEC_TASKS_FILE => $stack->dir . '/tasks.json');

# api(NAME, VARIABLE => value, ...) -> its URL
sub api
{
	my ($name, %settings) = @_;
	my $database = 'postgresql://jobsched_api_login:' . $stack->read_file('data/secrets/jobsched_api_login') . "\@127.0.0.1:$env{PGPORT}/jobsched";
	mkdir $stack->dir . "/$name";
	$stack->start_program($name, $program, API_LISTEN => '127.0.0.1:0', DATABASE_URL => $database, BLOB_DIR => $stack->dir . '/blobs', LOG_LEVEL => 'DEBUG', %settings);
	$stack->wait_for_log($name, qr/ listening .*port=\d+/);
	return 'http://127.0.0.1:' . ($stack->log_text($name) =~ / listening .*port=(\d+)/)[0];
}

my $shots = JobschedTest::top() . '/build/test/screenshots';
$shots = $stack->dir . '/screenshots' if !eval { make_path($shots); -w $shots };
make_path($shots);
WebScript::run($stack, ['dashboard.mjs'], API_URL => api('open'), TOKENS_URL => api('guarded', API_TOKENS_FILE => $stack->dir . '/tokens'),
	GATE => $gate, SCREENSHOTS => $shots, map { ('TOKEN_' . uc $_ => $token{$_}) } keys %token);
my @pictures = glob "$shots/*.png";
cmp_ok(scalar @pictures, '>=', 24, "screenshots are in $shots");
done_testing();
