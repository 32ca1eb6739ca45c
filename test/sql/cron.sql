-- cron_next, cron_next_n and cron_describe: the contract of docs/cron.md, on Postgres's time zones.
\set SHOW_CONTEXT never
SET intervalstyle = 'postgres';

-- the next n times, as the wall clock of the zone shows them
CREATE FUNCTION public.wall(expr text, zone text, after timestamptz, n int) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(to_char(local_time, 'Dy DD HH24:MI') || to_char(local_time, ':SS') || CASE WHEN utc_offset < '0' THEN '-' ELSE '+' END
		|| to_char(greatest(utc_offset, -utc_offset), 'HH24:MI'), ', ' ORDER BY number)
	FROM jobsched.cron_next_n(expr, n, after, zone)
$$;
\pset format unaligned
\pset tuples_only on

\echo == gaps, hour fixed
SELECT expr, public.wall(expr, zone, after::timestamptz, n) FROM (VALUES
	('*/15 2 * * *', 'Europe/Berlin', '2026-03-28 23:59+00', 3),
	('30 1-3 * * *', 'Europe/Berlin', '2026-03-28 23:59+00', 4),
	('0 2 * * *', 'America/New_York', '2026-03-07 12:00+00', 3),
	('*/20 2 * * *', 'Australia/Lord_Howe', '2026-10-03 12:00+00', 4),
	('0 1,2 * * *', 'Antarctica/Troll', '2026-03-28 12:00+00', 3),
	('0 3 * * *', 'Pacific/Chatham', '2026-09-26 12:00+00', 2),
	('30 23 * * 6', 'America/Nuuk', '2026-03-28 12:00+00', 2),
	('0 0 * * 0', 'Africa/Cairo', '2026-04-24 12:00+00', 2),
	('0 0 * * 5', 'Africa/Cairo', '2026-04-23 12:00+00', 2),
	('0 0 30 12 *', 'Pacific/Apia', '2011-12-29 12:00+00', 2),
	('0 */5,3 30 12 *', 'Pacific/Apia', '2011-12-29 12:00+00', 3),
	('0 5,17 * * *', 'Pacific/Apia', '2011-12-29 12:00+00', 4),
	('30 2 * * *', 'Africa/Casablanca', '2026-03-21 12:00+00', 2),
	('30 2 * * *', 'Africa/Casablanca', '2023-04-22 12:00+00', 2),
	('0 0 * * 0', 'America/Asuncion', '2024-10-05 12:00+00', 2),
	('59 23 * * *', 'Asia/Beirut', '2026-03-28 12:00+00', 3)
) t(expr, zone, after, n);

\echo == gaps, hour wildcard
SELECT expr, public.wall(expr, zone, after::timestamptz, n) FROM (VALUES
	('0 * * * *', 'Australia/Lord_Howe', '2026-10-03 14:00+00', 3),
	('*/30 */2 * * *', 'Europe/Berlin', '2026-03-28 23:00+00', 4),
	('0 0-23 * * *', 'Europe/Berlin', '2026-03-28 23:59+00', 4),
	('30 * * * *', 'Antarctica/Troll', '2026-03-29 00:00+00', 4),
	('0 */23 * * *', 'Pacific/Apia', '2011-12-29 12:00+00', 4)
) t(expr, zone, after, n);

\echo == overlaps
SELECT expr, public.wall(expr, zone, after::timestamptz, n) FROM (VALUES
	('30 2 * * *', 'Europe/Berlin', '2026-10-24 12:00+00', 2),
	('*/15 2 * * *', 'Europe/Berlin', '2026-10-25 00:00+00', 5),
	('*/15 2 * * *', 'Europe/Berlin', '2026-10-25 01:05+00', 1),
	('30 * * * *', 'Europe/Berlin', '2026-10-24 23:00+00', 4),
	('30 1-3 * * *', 'Europe/Berlin', '2026-10-24 23:00+00', 4),
	('*/15 1 * * *', 'Australia/Lord_Howe', '2026-04-04 14:00+00', 5),
	('*/15 * * * *', 'Australia/Lord_Howe', '2026-04-04 14:00+00', 8),
	('30 1,2 * * *', 'Antarctica/Troll', '2026-10-24 12:00+00', 3),
	('30 23 * * 6', 'America/Nuuk', '2026-10-24 12:00+00', 2),
	('0 0 * * 0', 'America/Havana', '2026-10-31 12:00+00', 2),
	('0 12 * * *', 'Pacific/Kwajalein', '1969-09-29 12:00+00', 3)
) t(expr, zone, after, n);

\echo == elapsed time
SELECT expr, public.wall(expr, zone, after::timestamptz, n) FROM (VALUES
	('@every 90m', 'Europe/Berlin', '2026-03-28 23:10:05.7+00', 4),
	('@every 30m', 'Europe/Berlin', '2026-10-25 00:00+00', 4)
) t(expr, zone, after, n);

\echo == what is told of it
SELECT number, at AT TIME ZONE 'UTC', local_time, utc_offset, note FROM jobsched.cron_next_n('*/15 2 * * *', 2, '2026-03-28 12:00+00', 'Europe/Berlin');
SELECT number, at AT TIME ZONE 'UTC', local_time, utc_offset, note FROM jobsched.cron_next_n('30 * * * *', 3, '2026-10-25 00:00+00', 'europe/BERLIN');
SELECT number, at AT TIME ZONE 'UTC', local_time, utc_offset, note FROM jobsched.cron_next_n('30 23 * * 6', 1, '2026-03-28 12:00+00', 'America/Nuuk');
SELECT number, at AT TIME ZONE 'UTC', local_time, utc_offset, note FROM jobsched.cron_next_n('0 0 30 12 *', 1, '2011-12-29 12:00+00', 'Pacific/Apia');
SELECT number, at AT TIME ZONE 'UTC', local_time, utc_offset, note FROM jobsched.cron_next_n('15 30 1 * * *', 1, '2026-10-24 12:00+00', 'Europe/London');
SELECT number, at AT TIME ZONE 'UTC', local_time, utc_offset, note FROM jobsched.cron_next_n('0 12 * * *', 2, '2026-07-01 12:00+00');
SELECT count(*), max(number) FROM jobsched.cron_next_n('* * * * *', 1000);
SELECT count(*) FROM jobsched.cron_next_n('0 0 1 1 *', 3, '9998-06-01 00:00+00', 'UTC');
SELECT count(*) FROM jobsched.cron_next_n('0 0 1 1 *', 3, NULL, 'UTC');

\echo == in order and alike: cron_next follows cron_next_n over years of changes
SELECT bool_and(at = jobsched.cron_next(expr, before, zone)), count(*)
FROM (SELECT expr, zone, at, lag(at, 1, '2011-12-01 00:00+00') OVER (PARTITION BY expr, zone ORDER BY number) AS before
	FROM unnest('{*/30 0-3 * * *,0 */2 * * *,17 2 * * 0}'::text[]) expr, unnest('{Europe/Dublin,Pacific/Apia,Asia/Gaza,Africa/Casablanca}'::text[]) zone,
		jobsched.cron_next_n(expr, 1000, '2011-12-01 00:00+00', zone)) x;

\echo == beyond the tables, by the last rule
SELECT public.wall('30 2 * * 0', 'Europe/Berlin', '2400-03-20 00:00+00', 2), public.wall('30 2 * * *', 'Europe/Berlin', '2437-10-24 00:00+00', 2);
SELECT public.wall('30 23 31 12 *', 'America/New_York', '9998-01-01 00:00+00', 2);

\echo == names of zones
SELECT zone, (jobsched.cron_next('0 12 * * *', '2026-07-01 00:00+00', zone)) AT TIME ZONE 'UTC' FROM unnest('{UTC,utc,Z,GMT,Etc/GMT+5,GMT0,EST5EDT,est,europe/paris,Asia/Kathmandu}'::text[]) zone
WHERE zone <> 'Z';

\echo == what is refused
SELECT statement, s.* FROM (VALUES
	(1, $$SELECT jobsched.cron_next('* * * * *', now(), 'Mars/Olympus')$$),
	(2, $$SELECT jobsched.cron_next('* * * * *', now(), '')$$),
	(3, $$SELECT jobsched.cron_next('* * * * *', now(), 'CET-1CEST')$$),
	(4, $$SELECT jobsched.cron_next('* * * * *', now(), 'UTC+3')$$),
	(5, $$SELECT jobsched.cron_next('* * * * *', now(), '<+03>-3')$$),
	(6, $$SELECT jobsched.cron_next('* * * * *', now(), 'CEST')$$),
	(7, $$SELECT jobsched.cron_next('* * * * *', now(), '+02:00')$$),
	(8, $$SELECT jobsched.cron_next('* * * * *', now(), 'right/Europe/Berlin')$$),
	(9, $$SELECT jobsched.cron_next('* * * * *', now(), '../../etc/passwd')$$),
	(10, $$SELECT jobsched.cron_next('* * * * *', now(), repeat('x', 300))$$),
	(11, $$SELECT jobsched.cron_next('* * * * *', 'infinity', 'UTC')$$),
	(12, $$SELECT jobsched.cron_next('0 0 1 1 *', '9999-06-01 00:00+00', 'Europe/Berlin')$$),
	(13, $$SELECT jobsched.cron_next_n('* * * *', 3)$$),
	(14, $$SELECT jobsched.cron_next_n('* * * * *', 0)$$),
	(15, $$SELECT jobsched.cron_next_n('* * * * *', 1001)$$),
	(16, $$SELECT jobsched.cron_next_n('* * * * *', 1, now(), 'nowhere')$$),
	(17, $$SELECT jobsched.cron_describe('0 25 * * *')$$),
	(18, $$SELECT jobsched.submit('echo', cron => '* * * * *', time_zone => 'UTC+3')$$)
) t(n, statement), public.said(t.statement) s ORDER BY n;

\echo == a job keeps its zone
SELECT jobsched.submit('echo', cron => '0 12 1 7 *', time_zone => 'Asia/Kathmandu') AS id \gset
SELECT time_zone, to_char(next_run_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI') FROM jobsched.job_status WHERE id = :'id';

\echo == jobsched.time_zone is such a name too
\set VERBOSITY default
ALTER SYSTEM SET jobsched.time_zone = 'UTC+3';
ALTER SYSTEM SET jobsched.time_zone = 'Mars/Olympus';
ALTER SYSTEM SET jobsched.time_zone = 'europe/berlin';
ALTER SYSTEM RESET jobsched.time_zone;

\echo == in plain English
SELECT expr || ' => ' || jobsched.cron_describe(expr) FROM unnest(ARRAY['30 6 * * mon-fri', '*/15 9-17 * * *', '@every 1h30m', '0 0 13 * fri']) expr;
SELECT jobsched.cron_describe(NULL) IS NULL;
