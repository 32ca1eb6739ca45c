# A client that is made of openapi.json: the document passes a public linter, openapi-typescript makes types of it, and a
# program that is checked against them submits, lists, cancels and retries (test/web/client.ts).
# test: 30 s
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;
use WebScript;

plan skip_all => 'jobsched-api is not built' if !JobschedTest::built('api');

my $stack = JobschedTest->new;
WebScript::install($stack);
WebScript::run($stack, ['lint.mjs']);
$stack->start_worker;
$stack->start_api;
mkdir $stack->dir . '/client';
WebScript::run($stack, ['client.mjs', $stack->dir . '/client'], API_URL => $stack->api_url);
done_testing();
