# Cron on Postgres's own time zones: all zones that change their offset, over ten years and some past ones, against minutes that
# Postgres counts one by one, and random expressions against croniter.
#
# JOBSCHED_CRON_EXPRESSIONS: how many of these (2000).
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use JobschedTest;
use Test::More;

my $expressions = $ENV{JOBSCHED_CRON_EXPRESSIONS} || 2000;
my $stack = JobschedTest->new(rabbitmq => 0);

subtest 'every zone with gaps or overlaps' => sub {
	# The days on which a zone's offset is another one than the day before, then the minute.
	$stack->sql(<<'END');
CREATE TABLE change AS
WITH days AS (
	SELECT z.name, d AS day, d AT TIME ZONE z.name - d AT TIME ZONE 'UTC' AS utc_offset
	FROM pg_timezone_names z, (VALUES ('2011-11-01'::timestamptz, '2012-02-01'::timestamptz), ('2026-01-01', '2036-01-01')) years(began, ended),
		generate_series(began, ended, '1 day') d
	WHERE z.name !~ '^posix/|^localtime$'),
changed AS (
	SELECT * FROM (SELECT name, day, utc_offset <> lag(utc_offset) OVER (PARTITION BY name ORDER BY day) AS changed FROM days) x
	WHERE changed AND day <> '2026-01-01')
SELECT name, min(t) AS at
FROM (SELECT name, t, (t AT TIME ZONE name) - ((t - interval '1 min') AT TIME ZONE name) <> '1 min' AS changed
	FROM changed, generate_series(day - interval '1 day', day, '1 min') t) x
WHERE changed GROUP BY name, date_trunc('day', t);
CREATE TABLE same_zone AS
SELECT min(name) AS name, array_agg(name) AS names FROM (
	SELECT name, array_agg(at || ' ' || (at AT TIME ZONE name) || ' ' || ((at - interval '1 min') AT TIME ZONE name) ORDER BY at) AS changes FROM change GROUP BY name) x
GROUP BY changes;
CREATE TABLE expression (expr text, wildcard boolean, hours int[], minutes int[], weekdays int[]);
INSERT INTO expression VALUES
	('*/15 * * * *', true, NULL, '{0,15,30,45}', NULL),
	('7 0-23 * * *', true, NULL, '{7}', NULL),
	('0 */2 * * *', true, '{0,2,4,6,8,10,12,14,16,18,20,22}', '{0}', NULL),
	('*/15 2 * * *', false, '{2}', '{0,15,30,45}', NULL),
	('30 0,1,2,3 * * *', false, '{0,1,2,3}', '{30}', NULL),
	('5,50 0-22 * * *', false, '{0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22}', '{5,50}', NULL),
	('0 0 * * 0', false, '{0}', '{0}', '{0}'),
	('*/10 23,0,1 * * sat', false, '{23,0,1}', '{0,10,20,30,40,50}', '{6}');
END
	my ($zones, $changes) = split /\|/, $stack->sql('SELECT count(DISTINCT name), count(*) FROM change');
	cmp_ok($zones, '>', 150, "$zones zones");
	cmp_ok($changes, '>', 2500, "$changes changes");
	for my $name ('Australia/Lord_Howe', 'Antarctica/Troll', 'Pacific/Chatham', 'America/Nuuk', 'Pacific/Apia', 'Africa/Casablanca')
	{
		is($stack->sql("SELECT EXISTS (SELECT FROM change WHERE name = '$name')"), 't', "$name is among them");
	}

	# What the contract says, minute by minute, and what cron_next_n says.
	$stack->sql(<<'END');
CREATE TABLE minute AS
SELECT name, change, t, local, extract(minute FROM local)::int AS minute, extract(hour FROM local)::int AS hour, extract(dow FROM local)::int AS weekday,
	row_number() OVER (PARTITION BY name, change, local ORDER BY t) AS pass
FROM (SELECT c.name, c.at AS change, t, t AT TIME ZONE c.name AS local
	FROM change c JOIN same_zone USING (name), generate_series(c.at - interval '4 h', c.at + interval '6 h', '1 min') t) x;
-- pass 0: the local times that a gap swallows, at its end
INSERT INTO minute
SELECT name, at, at, local, extract(minute FROM local), extract(hour FROM local), extract(dow FROM local), 0
FROM change JOIN same_zone USING (name),
	generate_series(((at - interval '1 min') AT TIME ZONE name) + interval '1 min', (at AT TIME ZONE name) - interval '1 min', '1 min') local;
ANALYZE minute;
CREATE TABLE expected AS
SELECT m.name, m.change, e.expr, array_agg(DISTINCT m.t ORDER BY m.t) AS want
FROM minute m JOIN expression e ON m.minute = ANY (e.minutes) AND (e.hours IS NULL OR m.hour = ANY (e.hours)) AND (e.weekdays IS NULL OR m.weekday = ANY (e.weekdays))
	AND CASE WHEN e.wildcard THEN m.pass > 0 ELSE m.pass < 2 END
WHERE m.t > m.change - interval '3 h' AND m.t < m.change + interval '6 h'
GROUP BY 1, 2, 3;
CREATE TABLE verdict AS
SELECT s.name, s.at AS change, e.expr, coalesce(x.want, '{}') AS want,
	(SELECT coalesce(array_agg(n.at ORDER BY n.at), '{}') FROM jobsched.cron_next_n(e.expr, 50, s.at - interval '3 h', s.name) n WHERE n.at < s.at + interval '6 h') AS got
FROM (SELECT name, at FROM change JOIN same_zone USING (name)) s CROSS JOIN expression e LEFT JOIN expected x ON x.name = s.name AND x.change = s.at AND x.expr = e.expr;
END
	my ($compared, $times) = split /\|/, $stack->sql('SELECT count(*), sum(cardinality(want)) FROM verdict');
	note("$compared changes with expressions, $times times");
	is($stack->sql('SELECT name, change, expr, want, got FROM verdict WHERE want <> got LIMIT 5'), '', 'no difference to the minutes');

	# Zones that change alike fire alike, whatever their names.
	is($stack->sql(<<'END'), '', 'zones of the same changes give the same times');
SELECT s.name, e.expr FROM same_zone s, expression e, unnest(s.names) other,
	LATERAL (SELECT md5(string_agg(n.at || n.local_time::text || coalesce(n.note, ''), ',')) AS times FROM jobsched.cron_next_n(e.expr, 200, '2026-03-07', other) n) x
GROUP BY 1, 2 HAVING count(DISTINCT times) > 1
END
};

subtest 'every name of pg_timezone_names, in any case' => sub {
	is($stack->sql(q{SELECT count(*) FROM pg_timezone_names WHERE jobsched.cron_next('0 12 * * *', '2026-07-01', upper(name)) IS NULL}), '0', 'is taken');
	# AT TIME ZONE takes CET and the like for abbreviations, which have no summer.
	is($stack->sql(<<'END'), '', 'and its noon is noon');
SELECT name FROM pg_timezone_names WHERE name NOT IN (SELECT abbrev FROM pg_timezone_abbrevs)
	AND (jobsched.cron_next('0 12 * * *', '2026-07-01', name) AT TIME ZONE name)::time <> '12:00'
END
};

subtest 'croniter' => sub {
	plan skip_all => 'no croniter (Debian: python3-croniter)' if system('/usr/bin/python3 -c "import croniter" 2>/dev/null') != 0;
	my $times = `/usr/bin/python3 $FindBin::Bin/croniter_times.py $expressions 20261124`;
	is($?, 0, 'croniter speaks');
	$stack->write_file('croniter.tsv', $times);
	$stack->sql('CREATE TABLE croniter (expr text, zone text, after timestamptz, next timestamptz)');
	$stack->sql("COPY croniter FROM '" . $stack->dir . '/croniter.tsv' . "'");
	is($stack->sql('SELECT count(*) FROM croniter'), $expressions, "$expressions times");
	is($stack->sql('SELECT *, jobsched.cron_next(expr, after, zone) FROM croniter WHERE next <> jobsched.cron_next(expr, after, zone) LIMIT 10'), '', 'no difference');
};

done_testing();
