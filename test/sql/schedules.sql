-- Schedules by name, pause and resume, run_now and retry, queues, and why a job has not run.
\set SHOW_CONTEXT never
TRUNCATE jobsched.jobs, jobsched.timers, jobsched.dispatches, jobsched.schedules, jobsched.job_executions;
CREATE FUNCTION public.plain(text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(regexp_replace(regexp_replace($1, '\d{4}-\d\d-\d\dT[\d:.]+Z', 'TIME', 'g'), '\d+ s ago', 'N s ago', 'g'), 'by \S+ at', 'by SOMEBODY at') $$;
CREATE FUNCTION public.why(job uuid, OUT status text, OUT reason text) LANGUAGE sql AS $$ SELECT status, public.plain(reason) FROM jobsched.explain_job(job) $$;

-- upsert by name and owner: the id stays
SELECT jobsched.schedule('nightly', '0 3 * * *', 'echo', '{"a": 1}') AS s \gset
SELECT jobsched.schedule('nightly', '30 4 * * mon', 'report', '{"a": 2}', overlap_policy => 'allow', jitter => '10 min', priority => 5, queue => 'slow') = :'s' AS same;
SELECT s.cron, s.overlap_policy, s.misfire_policy, j.name, j.payload, j.priority, q.name AS queue, extract(isodow FROM t.run_at) AS day, t.run_at::time AS at,
	t.due_at - t.run_at BETWEEN '0' AND '10 min' AS jitter, t.queue = j.queue AND t.priority = j.priority AS moved
FROM jobsched.schedules s JOIN jobsched.jobs j ON j.id = s.job_id JOIN jobsched.queues q ON q.id = j.queue JOIN jobsched.timers t ON t.job_id = j.id;
SELECT count(*) AS timers FROM jobsched.timers;
-- the offset is the same each time
SELECT count(DISTINCT jobsched._jitter(:'s', '10 min')) AS offsets, jobsched._jitter(:'s', NULL) AS none FROM generate_series(1, 10);
SELECT min(o) < '1 min' AND max(o) > '9 min' AND max(o) < '10 min' AS spread FROM (SELECT jobsched._jitter(gen_random_uuid(), '10 min') AS o FROM generate_series(1, 1000)) x;
SELECT min(o) < '1 hour' AND max(o) > '23 hours' AND max(o) < '1 day' AS spread FROM (SELECT jobsched._jitter(gen_random_uuid(), '1 day') AS o FROM generate_series(1, 1000)) x;
-- alter keeps what is not given
SELECT jobsched.alter_schedule(:'s', cron => '0 5 * * *', jitter => '0')::time AS next;
SELECT cron, overlap_policy, jitter FROM jobsched.schedules;
SELECT jobsched.alter_schedule(:'s', starts_at => '2031-06-01 12:00') AS next;
SELECT jobsched.alter_schedule(:'s', ends_at => '2031-06-01 13:00') IS NULL AS never;
SELECT * FROM public.why(:'s');
SELECT status, next_run_at FROM jobsched.job_status WHERE id = :'s';
SELECT jobsched.run_now(:'s') <= clock_timestamp() AS now;
SELECT jobsched.rest_get(:'s')->>'status' AS status;
SELECT jobsched.schedule('nightly', '0 3 * * *', 'echo') = :'s' AS same;

-- what promote has done is not planned again: a time already fired, a limit already reached
UPDATE jobsched.schedules SET last_run_at = '2033-01-01 03:00' WHERE job_id = :'s';
SELECT jobsched.alter_schedule(:'s', cron => '0 3 * * *') AS next;
UPDATE jobsched.schedules SET fired = 3 WHERE job_id = :'s';
SELECT jobsched.alter_schedule(:'s', max_runs => 3) IS NULL AS never, jobsched.alter_schedule(:'s', max_runs => 4) AS next;
SELECT jobsched.alter_schedule(:'s', max_runs => 2) IS NULL AS never;
SELECT * FROM public.why(:'s');
UPDATE jobsched.schedules SET last_run_at = NULL, fired = 0, max_runs = NULL WHERE job_id = :'s';

-- the time zone is kept as it is written in pg_timezone_names, also the default one
SELECT jobsched.schedule('nightly', '0 3 * * *', 'echo', time_zone => 'europe/BERLIN') = :'s' AS same;
SELECT time_zone FROM jobsched.schedules;
SELECT jobsched.alter_schedule(:'s', time_zone => 'utc')::time AS next;
SELECT time_zone FROM jobsched.schedules;
SELECT jobsched.cancel(jobsched.submit('echo', cron => '0 3 * * *', time_zone => 'asia/tokyo'));
SELECT s.time_zone, jobsched.rest_get(s.job_id)->>'time_zone' AS rest, j.status FROM jobsched.schedules s JOIN jobsched.job_status j ON j.id = s.job_id ORDER BY 1;

-- a time that has come, or waits, is the policies' business while expression and zone still say it
UPDATE jobsched.timers SET run_at = date_trunc('day', now()) - interval '21 h', due_at = now() + interval '3 s' WHERE job_id = :'s' AND cron;
UPDATE jobsched.schedules SET waits_until = date_trunc('day', now()) - interval '21 h', overlap_policy = 'queue_one' WHERE job_id = :'s';
SELECT reason FROM public.why(:'s');
SELECT jobsched.alter_schedule(:'s', payload => '{"a": 1}') = date_trunc('day', now()) - interval '21 h' AS kept;
SELECT jobsched.schedule('nightly', '0 3 * * *', 'echo', overlap_policy => 'queue_one') = :'s' AS same;
SELECT t.due_at = t.run_at AS due, s.waits_until = t.run_at AS waits FROM jobsched.timers t JOIN jobsched.schedules s USING (job_id) WHERE t.cron AND s.schedule_name = 'nightly';
-- else it, and what has come since, leaves its row
SELECT jobsched.alter_schedule(:'s', cron => '0 4 * * *') > now() AS planned_anew;
SELECT outcome, run_at::time AS at, min(run_at) = date_trunc('day', now()) - interval '21 h' AS from_then, max(run_at) > now() - interval '1 day' AS till_now
FROM jobsched.cron_ticks WHERE job_id = :'s' GROUP BY 1, 2;
SELECT waits_until, last_run_at = (SELECT max(run_at) FROM jobsched.cron_ticks WHERE job_id = :'s') AS marked FROM jobsched.schedules WHERE job_id = :'s';
TRUNCATE jobsched.cron_ticks;
UPDATE jobsched.schedules SET last_run_at = NULL WHERE job_id = :'s';
UPDATE jobsched.timers SET run_at = date_trunc('minute', now()) - interval '1 year', due_at = date_trunc('minute', now()) - interval '1 year' WHERE job_id = :'s' AND cron;
UPDATE jobsched.schedules SET cron = '* * * * *' WHERE job_id = :'s';
SELECT jobsched.alter_schedule(:'s', cron => '0 3 * * *') > now() AS planned_anew;
SELECT outcome, count(*) FROM jobsched.cron_ticks WHERE job_id = :'s' GROUP BY 1;
TRUNCATE jobsched.cron_ticks;
-- an interval goes on in its rhythm
SELECT jobsched.alter_schedule(:'s', cron => '@every 1h') > now() AS planned;
UPDATE jobsched.timers SET run_at = date_trunc('second', now()) + interval '7 s', due_at = date_trunc('second', now()) + interval '7 s' WHERE job_id = :'s' AND cron;
SELECT jobsched.alter_schedule(:'s', payload => '{"a": 2}') - now() < interval '8 s' AS rhythm_kept, jobsched.alter_schedule(:'s', cron => '@every 2h') - now() > interval '1 h' AS new_rhythm;
SELECT jobsched.alter_schedule(:'s', cron => '0 3 * * *') > now() AS planned;
-- what waits when the schedule ends leaves its row too
SELECT jobsched.schedule('waits', '0 3 * * *', 'echo', overlap_policy => 'queue_one') AS w \gset
UPDATE jobsched.timers SET run_at = run_at - interval '1 day', due_at = now() WHERE job_id = :'w';
UPDATE jobsched.schedules SET waits_until = now() WHERE job_id = :'w';
SELECT jobsched.unschedule('waits');
SELECT outcome, count(*) FROM jobsched.cron_ticks GROUP BY 1;
TRUNCATE jobsched.cron_ticks;
DELETE FROM jobsched.timers WHERE NOT cron;

-- pause, resume
SELECT jobsched.pause(:'s') AS paused, jobsched.pause(:'s') AS again;
SELECT status FROM jobsched.job_status WHERE id = :'s';
SELECT * FROM public.why(:'s');
SELECT jobsched.resume(:'s') AS resumed, jobsched.resume(:'s') AS again;
SELECT jobsched.run_now(:'s') <= clock_timestamp() AS now;
SELECT cron, count(*) FROM jobsched.timers GROUP BY 1 ORDER BY 1;
SELECT jobsched.unschedule('nightly') AS ended, jobsched.unschedule(:'s'::uuid) AS again;
SELECT count(*) AS planned FROM jobsched.timers WHERE cron;
SELECT status FROM jobsched.job_status WHERE id = :'s';
SELECT jobsched.schedule('nightly', '0 3 * * *', 'echo') <> :'s' AS another_job;
-- what a pause held back when the schedule ended does not wait for ever
SELECT count(jobsched.run_now(job_id)) FROM jobsched.schedules WHERE schedule_name = 'nightly';
SELECT count(jobsched.pause(job_id)) FROM jobsched.schedules WHERE schedule_name = 'nightly';
SELECT jobsched.unschedule('nightly') AS ended;
SELECT count(*) FROM jobsched.timers WHERE due_at = 'infinity';
DELETE FROM jobsched.timers;

-- a once job: paused, resumed, cancelled, tried anew
SELECT jobsched.submit('echo', run_at => '2031-01-01') AS j \gset
SELECT * FROM public.why(:'j');
SELECT jobsched.pause(:'j') AS paused;
SELECT status, next_run_at FROM jobsched.job_status WHERE id = :'j';
SELECT jobsched.resume(:'j') AS resumed;
SELECT status, next_run_at FROM jobsched.job_status WHERE id = :'j';
SELECT jobsched.cancel(:'j');
SELECT * FROM public.why(:'j');
SELECT jobsched.retry(:'j') <= clock_timestamp() AS now;
SELECT status FROM jobsched.job_status WHERE id = :'j';
-- in flight: the old end does not hide that it runs again
SELECT jobsched.register_worker('w', '{jobs}', 1) AS w \gset
SELECT public.promote() AS d \gset
SELECT * FROM public.why(:'j');
SELECT count(*) FROM jobsched.claim(:'w', gen_random_uuid(), ARRAY[:'d']::uuid[]);
SELECT * FROM public.why(:'j');
UPDATE jobsched.workers SET last_seen = now() - interval '1 hour';
SELECT jobsched._rescue(0::smallint, 127::smallint);
SELECT status FROM jobsched.job_status WHERE id = :'j';
SELECT public.promote() AS d \gset
SELECT * FROM public.why(:'j');
SELECT jobsched.cancel(:'j');
SELECT status, count(*) FROM jobsched.runs WHERE job_id = :'j' GROUP BY 1 ORDER BY 1;
-- a paused job's retry waits for resume
SELECT jobsched.submit('echo', max_retries => 1) AS k \gset
SELECT public.promote() AS d \gset
UPDATE jobsched.workers SET last_seen = now();
\set a '33333333-3333-4333-8333-333333333333'
SELECT count(*) FROM jobsched.claim(:'w', :'a', ARRAY[:'d']::uuid[]);
UPDATE jobsched.jobs SET state = 'paused' WHERE id = :'k';
SELECT answer FROM public.fin(:'w', :'d', :'a', '{0}', 'failed');
SELECT due_at FROM jobsched.timers WHERE job_id = :'k';
SELECT jobsched.resume(:'k') AS resumed;
SELECT due_at <= clock_timestamp() AS due FROM jobsched.timers WHERE job_id = :'k';

-- queues
SELECT jobsched.pause_queue('jobs') AS paused, jobsched.pause_queue('jobs') AS again, jobsched.resume_queue('jobs') AS resumed;

-- refused
SELECT s.* FROM (VALUES
	(1, format('SELECT jobsched.schedule(NULL, %L, %L)', '* * * * *', 'echo')),
	(2, format('SELECT jobsched.schedule(%L, NULL, %L)', 'x', 'echo')),
	(3, format('SELECT jobsched.schedule(%L, %L, %L)', 'x', '* 24 * * *', 'echo')),
	(4, format('SELECT jobsched.schedule(%L, %L, %L)', 'x', '* * * * *', '')),
	(5, $$SELECT jobsched.schedule('x', '* * * * *', 'echo', misfire_policy => 'never')$$),
	(6, $$SELECT jobsched.schedule('x', '* * * * *', 'echo', overlap_policy => 'never')$$),
	(7, $$SELECT jobsched.schedule('x', '* * * * *', 'echo', dst_gap => 'never')$$),
	(8, $$SELECT jobsched.schedule('x', '* * * * *', 'echo', dst_overlap => 'never')$$),
	(9, $$SELECT jobsched.schedule('x', '* * * * *', 'echo', jitter => '-1 s')$$),
	(10, $$SELECT jobsched.schedule('x', '* * * * *', 'echo', catchup_window => '-1 s')$$),
	(11, $$SELECT jobsched.schedule('x', '* * * * *', 'echo', catchup_max => 0)$$),
	(12, $$SELECT jobsched.schedule('x', '* * * * *', 'echo', max_runs => 0)$$),
	(13, $$SELECT jobsched.schedule('x', '* * * * *', 'echo', starts_at => '2031-01-02', ends_at => '2031-01-01')$$),
	(14, $$SELECT jobsched.unschedule('no such')$$),
	(15, $$SELECT jobsched.pause_queue('no_such')$$),
	(16, $$SELECT jobsched.pause('00000000-0000-7000-8000-000000000000')$$),
	(17, $$SELECT jobsched.resume('00000000-0000-7000-8000-000000000000')$$),
	(18, $$SELECT jobsched.run_now('00000000-0000-7000-8000-000000000000')$$),
	(19, $$SELECT jobsched.retry('00000000-0000-7000-8000-000000000000')$$),
	(20, $$SELECT jobsched.explain_job('00000000-0000-7000-8000-000000000000')$$),
	(21, $$SELECT jobsched.alter_schedule('00000000-0000-7000-8000-000000000000')$$)
) t(n, statement), public.said(t.statement) s ORDER BY n;
SELECT (public.said(format('SELECT jobsched.retry(%L)', :'k'))).state AS retry_planned, (public.said(format('SELECT jobsched.run_now(%L)', :'j'))).state AS run_cancelled,
	(public.said(format('SELECT jobsched.pause(%L)', :'j'))).state AS pause_cancelled, (public.said(format('SELECT jobsched.unschedule(%L::uuid)', :'k'))).state AS unschedule_once;

-- unique_mode: keep, replace while it has not started, error; then the key goes on to a new job
SELECT jobsched.submit('echo', '{"n": 1}', run_at => '2031-01-01', unique_key => 'd') AS a \gset
SELECT jobsched.submit('echo', '{"n": 2}', run_at => '2032-01-01', unique_key => 'd', unique_mode => 'replace', priority => 4, queue => 'slow') = :'a' AS same;
SELECT s.payload, s.next_run_at, s.priority, s.queue, t.priority AS timers, t.queue = (SELECT id FROM jobsched.queues WHERE name = 'slow') AS queues
FROM jobsched.job_status s JOIN jobsched.timers t ON t.job_id = s.id WHERE s.id = :'a';
SELECT regexp_replace(message, '[0-9a-f-]{36}', 'ID') AS message, state FROM public.said($$SELECT jobsched.submit('echo', unique_key => 'd', unique_mode => 'error')$$);
SELECT jobsched.cancel(:'a');
SELECT jobsched.submit('echo', '{"n": 3}', run_at => '2032-01-01', unique_key => 'd', unique_mode => 'replace') AS b \gset
SELECT :'b' <> :'a' AS another, jobsched.submit('echo', unique_key => 'd') = :'b' AS keeps;
SELECT state FROM public.said(format('SELECT jobsched.submit(%L, cron => %L, unique_key => %L)', 'echo', '* * * * *', 'c')) UNION ALL
SELECT state FROM public.said($$SELECT jobsched.submit('echo', unique_key => 'c', unique_mode => 'replace')$$);

-- alter_job: what has not started
SELECT jobsched.alter_job(:'b', payload => '{"x": 1}', run_at => '2031-02-02', priority => 7, queue => 'other', max_retries => 9, timeout => '5 s') AS run_at;
SELECT payload, next_run_at, priority, queue, max_retries, timeout FROM jobsched.job_status WHERE id = :'b';
SELECT jobsched.alter_job(:'b', priority => 1) AS run_at;
SELECT payload, priority, queue FROM jobsched.job_status WHERE id = :'b';
SELECT (public.said(format('SELECT jobsched.alter_job(%L, priority => 10)', :'b'))).state AS priority, (public.said(format('SELECT jobsched.alter_job(%L)', :'a'))).state AS ended;

-- shapes of backoff
SELECT n, shape, bool_and(d BETWEEN w AND w * 1.1) AS within
FROM (VALUES (3, 'linear', interval '3 min'), (100, 'linear', '30 min'), (3, 'constant', '1 min'), (3, 'exponential', '4 min')) v(n, shape, w),
	generate_series(1, 50), jobsched._backoff(n, NULL, NULL, shape) d GROUP BY 1, 2 ORDER BY 2, 1;
SELECT bool_and(d BETWEEN '7 s' AND '7.7 s') AS own_delay FROM generate_series(1, 50), jobsched._backoff(4, '3 s', '7 s') d;

-- backfill: each time once
SELECT jobsched.schedule('hourly', '0 * * * *', 'echo') AS s \gset
SELECT jobsched.backfill(:'s', '2026-01-01 00:00', '2026-01-01 05:00') AS six, jobsched.backfill(:'s', '2026-01-01 00:00', '2026-01-01 06:00') AS one;
SELECT count(DISTINCT run_at), bool_and(due_at <= clock_timestamp()) AS due FROM jobsched.timers WHERE job_id = :'s' AND NOT cron;
SELECT field, state FROM public.said(format('SELECT jobsched.backfill(%L, %L, %L)', :'s', '2026-01-01', '2036-01-01')) UNION ALL
SELECT field, state FROM public.said(format('SELECT jobsched.backfill(%L, %L, %L)', :'s', '2026-01-02', '2026-01-01')) UNION ALL
SELECT field, state FROM public.said(format('SELECT jobsched.backfill(%L, %L, %L)', :'b', '2026-01-01', '2026-01-02'));
SELECT s.* FROM (VALUES
	(1, $$SELECT jobsched.submit('echo', unique_mode => 'merge')$$),
	(2, $$SELECT jobsched.submit('echo', expires_at => 'infinity')$$),
	(3, $$SELECT jobsched.submit('echo', retry_delay => '-1 s')$$),
	(4, $$SELECT jobsched.submit('echo', retry_delay_max => '31 days')$$),
	(5, $$SELECT jobsched.submit('echo', backoff => 'never')$$),
	(6, $$SELECT jobsched.submit_many('[{"name": "x", "backoff": "never"}]')$$),
	(7, $$SELECT jobsched.submit('echo', cron => '0 3 * * *', expires_at => '2031-01-01')$$)
) t(n, statement), public.said(t.statement) s ORDER BY n;
SELECT count(*) FROM jobsched.submit_many('[{"name": "x", "expires_at": "2031-01-01T00:00:00Z", "backoff": "linear", "retry_delay": 5}, {"name": "y", "unique_key": "k", "unique_mode": "replace"}]');

-- expires_at: the scheduler's look ends what no worker has, and stays with a job while a run of it is with one
TRUNCATE jobsched.jobs, jobsched.timers, jobsched.dispatches, jobsched.job_executions, jobsched.schedules, jobsched.expiries;
CREATE FUNCTION public.look(OUT runs int, OUT ahead boolean) LANGUAGE sql AS $$ SELECT runs, next_look > clock_timestamp() FROM jobsched._expire(0::smallint, 127::smallint, '-infinity') $$;
SELECT jobsched.submit('one', max_retries => 1, expires_at => '2031-01-01') AS one, jobsched.submit('two', expires_at => '2031-01-01') AS two, jobsched.submit('for ever') AS ever \gset
SELECT public.promote() AS d \gset
SELECT jobsched.submit('later', run_at => '2032-01-01', expires_at => '2031-01-01') AS later, jobsched.submit('key', unique_key => 'e', run_at => '2032-01-01') AS k \gset
SELECT jobsched.submit('key', unique_key => 'e', unique_mode => 'replace', run_at => '2032-01-01', expires_at => '2031-06-01') = :'k' AS same;
SELECT look_at, count(*) FROM jobsched.expiries GROUP BY 1 ORDER BY 1;
SELECT * FROM public.look();
UPDATE jobsched.jobs SET expires_at = now() WHERE expires_at = '2031-01-01';
UPDATE jobsched.expiries SET expires_at = now(), look_at = now() WHERE expires_at = '2031-01-01';
SELECT jobsched.submit('running', expires_at => '2031-01-01') AS running \gset
SELECT public.promote() AS e \gset
SELECT count(*) FROM jobsched.claim(:'w', :'a', ARRAY[:'e']::uuid[]);
UPDATE jobsched.jobs SET expires_at = now(), state = CASE name WHEN 'two' THEN 'cancelled' ELSE state END WHERE name IN ('running', 'two');
UPDATE jobsched.expiries SET expires_at = now(), look_at = now() WHERE job_id = :'running';
SELECT * FROM public.look();
SELECT name, status, last_status FROM jobsched.job_status ORDER BY id;
SELECT j.name, e.look_at > e.expires_at AS later FROM jobsched.expiries e JOIN jobsched.jobs j ON j.id = e.job_id ORDER BY 1;
SELECT status, cardinality(job_ids) AS runs, done FROM jobsched.dispatches ORDER BY 1;
-- its retry comes too late
SELECT answer FROM public.fin(:'w', :'e', :'a', '{0}', 'failed');
SELECT status FROM jobsched.job_status WHERE id = :'running';
UPDATE jobsched.expiries SET look_at = now() WHERE job_id = :'running';
SELECT * FROM public.look();
SELECT attempt, status, final FROM jobsched.job_executions WHERE job_id = :'running' ORDER BY attempt;
SELECT count(*) AS left FROM jobsched.expiries;
-- run_now and retry begin without one; alter_job moves it
SELECT jobsched.run_now(:'later') <= clock_timestamp() AS now, jobsched.retry(:'one') <= clock_timestamp() AS again;
SELECT name, expires_at FROM jobsched.jobs WHERE id IN (:'later', :'one') ORDER BY 1;
SELECT jobsched.alter_job(:'k', expires_at => '2031-07-01') AS run_at, (SELECT look_at FROM jobsched.expiries) AS before;
SELECT look_at FROM jobsched.expiries;

-- daylight saving time: what schedule() was told is what is planned
SELECT dst_gap, dst_overlap, jobsched.alter_schedule(jobsched.schedule('berlin ' || dst_gap || dst_overlap, cron, 'echo', time_zone => 'Europe/Berlin',
	starts_at => starts_at, dst_gap => dst_gap, dst_overlap => dst_overlap)) AS next
FROM (VALUES ('next_valid', 'first', '30 2 * * *', timestamptz '2031-03-29 12:00+00'), ('skip', 'first', '30 2 * * *', '2031-03-29 12:00+00'),
	('next_valid', 'last', '30 2 * * *', '2031-10-25 12:00+00'), ('skip', 'both', '30 2 * * *', '2031-10-25 12:00+00')) v(dst_gap, dst_overlap, cron, starts_at);
