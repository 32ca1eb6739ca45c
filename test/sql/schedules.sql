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
-- alter keeps what is not given
SELECT jobsched.alter_schedule(:'s', cron => '0 5 * * *', jitter => '0')::time AS next;
SELECT cron, overlap_policy, jitter FROM jobsched.schedules;
SELECT jobsched.alter_schedule(:'s', starts_at => '2031-06-01 12:00') AS next;
SELECT jobsched.alter_schedule(:'s', ends_at => '2031-06-01 13:00') IS NULL AS never;
SELECT * FROM public.why(:'s');
SELECT jobsched.schedule('nightly', '0 3 * * *', 'echo') = :'s' AS same;

-- what promote has done is not planned again: a time already fired, a limit already reached
UPDATE jobsched.schedules SET last_run_at = '2033-01-01 03:00' WHERE job_id = :'s';
SELECT jobsched.alter_schedule(:'s', cron => '0 3 * * *') AS next;
UPDATE jobsched.schedules SET fired = 3 WHERE job_id = :'s';
SELECT jobsched.alter_schedule(:'s', max_runs => 3) IS NULL AS never, jobsched.alter_schedule(:'s', max_runs => 4) AS next;
UPDATE jobsched.schedules SET last_run_at = NULL, fired = 0, max_runs = NULL WHERE job_id = :'s';

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
