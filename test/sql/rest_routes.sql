-- REST's lists and numbers: pages that together are what job_status says; bad parameters; who sees what
SET client_min_messages = warning;
\set SHOW_CONTEXT never
-- all pages of a list: every id in its order
CREATE FUNCTION pg_temp.pages(query jsonb) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
DECLARE
	page json;
	n int := 0;
BEGIN
	LOOP
		page := jobsched.rest_jobs(query);
		RETURN QUERY SELECT (j ->> 'id')::uuid FROM json_array_elements(page -> 'jobs') j;
		query := query || jsonb_build_object('cursor', page ->> 'next_cursor');
		n := n + 1;
		EXIT WHEN page ->> 'next_cursor' IS NULL OR n > 1000;
	END LOOP;
END $$;
-- what the tests before have left half
DELETE FROM jobsched.jobs j WHERE NOT EXISTS (SELECT FROM jobsched.timers t WHERE t.job_id = j.id) AND NOT EXISTS (SELECT FROM jobsched.job_executions e WHERE e.job_id = j.id AND e.final)
	OR j.frequency = 'cron' AND NOT EXISTS (SELECT FROM jobsched.schedules s WHERE s.job_id = j.id);
-- a job for each way to be found: in dispatches, tried again, held back, with several runs, of schedules
INSERT INTO jobsched.ring (slot, opened_at) VALUES (3, now() - interval '1 day') ON CONFLICT DO NOTHING;
DO $$
BEGIN
	PERFORM jobsched.submit('route ' || n, payload => jsonb_build_object('n', n), run_at => '2099-01-01', queue => CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END) FROM generate_series(1, 12) n;
	PERFORM jobsched.pause(j.id) FROM jobsched.jobs j WHERE j.name IN ('route 1', 'route 2');
	PERFORM jobsched.schedule('s' || n, '0 12 * * *', 'tick', queue => 'even') FROM generate_series(1, 4) n;
	PERFORM jobsched.pause(s.job_id) FROM jobsched.schedules s WHERE s.schedule_name = 's1';
	PERFORM jobsched.unschedule('s2');
	PERFORM jobsched.run_now(s.job_id) FROM jobsched.schedules s, generate_series(1, 3) WHERE s.schedule_name = 's3';
	PERFORM jobsched.cancel(j.id) FROM jobsched.jobs j WHERE j.name = 'route 3';
END $$;
UPDATE jobsched.timers t SET attempt = 2 FROM jobsched.jobs j WHERE j.id = t.job_id AND j.name IN ('route 4', 'route 5');
WITH gone AS (DELETE FROM jobsched.timers t USING jobsched.jobs j WHERE j.id = t.job_id AND j.name IN ('route 6', 'route 7', 'route 8', 'route 9') RETURNING t.*)
INSERT INTO jobsched.dispatches (id, status, worker, claim_token, claimed_at, queue, priority, segment, job_ids, run_ats, attempts, failures, losses)
SELECT gen_random_uuid(), s.status, s.worker, s.worker, CASE WHEN s.status = 'claimed' THEN now() END, min(g.queue), 0, 0, array_agg(g.job_id), array_agg(g.run_at), array_agg(g.attempt), array_agg(g.failures), array_agg(g.losses)
FROM gone g JOIN jobsched.jobs j ON j.id = g.job_id CROSS JOIN LATERAL (SELECT CASE WHEN j.name IN ('route 6', 'route 8') THEN 'claimed' ELSE 'queued' END AS status,
	CASE WHEN j.name IN ('route 6', 'route 8') THEN '11111111-1111-4111-8111-111111111111'::uuid END AS worker) s GROUP BY 2, 3;
UPDATE jobsched.jobs SET state = 'cancelled' WHERE name = 'route 8';
-- one that failed twice and was tried anew with success is found among those that succeeded only
DO $$
DECLARE
	again uuid := jobsched.submit('route again', run_at => '2099-01-01');
BEGIN
	DELETE FROM jobsched.timers t WHERE t.job_id = again;
	INSERT INTO jobsched.job_executions (slot, attempt, final, job_id, run_at, finished_at, status)
	SELECT 3, 1, true, again, now() - n * interval '1 hour', now() - n * interval '1 hour', CASE n WHEN 1 THEN 'succeeded' ELSE 'failed' END FROM generate_series(1, 3) n;
	UPDATE jobsched.jobs j SET rerun_at = now() - interval '90 min' WHERE j.id = again;
END $$;

SELECT s.status, count(*) > 0 AS there, count(*) = count(DISTINCT s.id) AS once,
	array_agg(s.id ORDER BY s.id DESC) = ARRAY(SELECT pg_temp.pages(jsonb_build_object('status', s.status, 'limit', '3'))) AS by_three,
	array_agg(s.id ORDER BY s.id DESC) = ARRAY(SELECT pg_temp.pages(jsonb_build_object('status', s.status, 'limit', '200'))) AS at_once
FROM jobsched.job_status s GROUP BY 1 ORDER BY 1;
SELECT array_agg(s.id ORDER BY s.id DESC) = ARRAY(SELECT pg_temp.pages('{"limit": "7"}')) AS everything, count(*) > 30 AS many FROM jobsched.job_status s;
-- the filters, alone and together with a status
SELECT f.filter, coalesce(array_agg(s.id ORDER BY s.id DESC) FILTER (WHERE s.id IS NOT NULL), '{}') = ARRAY(SELECT pg_temp.pages(f.query || '{"limit": "2"}')) AS same, count(s.id) AS jobs
FROM (VALUES ('name', '{"name": "route 6"}'::jsonb), ('q', '{"q": "route "}'), ('queue', '{"queue": "even"}'), ('once', '{"queue": "even", "frequency": "once"}'),
	('cron', '{"frequency": "cron"}'), ('schedule', '{"schedule": "s3"}'), ('queue and status', '{"queue": "even", "status": "scheduled"}'),
	('cron and status', '{"frequency": "cron", "status": "paused"}'), ('once and cancelled', '{"frequency": "once", "status": "cancelled"}'), ('no such queue', '{"queue": "nowhere"}'),
	('no such task', '{"name": "nothing"}')) f(filter, query)
LEFT JOIN jobsched.job_status s ON (f.query ->> 'name' IS NULL OR s.name = f.query ->> 'name') AND (f.query ->> 'q' IS NULL OR starts_with(s.name, f.query ->> 'q'))
	AND (f.query ->> 'queue' IS NULL OR s.queue = f.query ->> 'queue') AND (f.query ->> 'frequency' IS NULL OR s.frequency = f.query ->> 'frequency')
	AND (f.query ->> 'schedule' IS NULL OR s.schedule_name = f.query ->> 'schedule') AND (f.query ->> 'status' IS NULL OR s.status = f.query ->> 'status')
GROUP BY f.filter, f.query ORDER BY 1;
-- by the beginning of the id, by time
SELECT count(*) FILTER (WHERE ARRAY(SELECT pg_temp.pages(jsonb_build_object('q', j.id))) = ARRAY[j.id]) AS whole,
	count(*) FILTER (WHERE j.id = ANY (ARRAY(SELECT pg_temp.pages(jsonb_build_object('q', upper(left(j.id::text, 20))))))) AS beginning FROM jobsched.jobs j WHERE j.name LIKE 'route _';
SELECT (SELECT count(*) FROM pg_temp.pages(jsonb_build_object('created_after', extract(epoch FROM now() - interval '1 hour')::bigint, 'name', 'route 6'))) AS lately,
	(SELECT count(*) FROM pg_temp.pages(jsonb_build_object('created_before', extract(epoch FROM now() - interval '1 hour')::bigint, 'name', 'route 6'))) AS before,
	(SELECT count(*) FROM pg_temp.pages('{"created_after": "2020-01-01T00:00:00Z", "created_before": "2099-01-01T00:00:00 02:00", "name": "route 6"}')) AS between;
-- whole milliseconds: one is in that which its id tells, from its beginning to its end
SELECT x.bound, count(*) FILTER (WHERE j.id IN (SELECT pg_temp.pages(jsonb_build_object('name', j.name, x.bound, jobsched._iso(m.at + interval '900 us'))))) AS within,
	count(*) FILTER (WHERE j.id IN (SELECT pg_temp.pages(jsonb_build_object('name', j.name, x.bound, jobsched._iso(m.at + interval '1 ms'))))) AS of_the_next
FROM jobsched.jobs j CROSS JOIN (VALUES ('created_after'), ('created_before')) x(bound)
CROSS JOIN LATERAL (SELECT to_timestamp(('x' || left(translate(j.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) AS at) m WHERE j.name LIKE 'route _' GROUP BY 1 ORDER BY 1;

-- what is large as text is left out too, however small it is stored
BEGIN;
SELECT jobsched.submit('route large', payload => jsonb_build_object('all_alike', repeat('a', 100000)), run_at => '2099-01-01') AS large \gset
INSERT INTO jobsched.job_executions (slot, attempt, final, job_id, run_at, finished_at, status, result_payload)
SELECT 3, a.n, false, :'large', now(), now(), 'failed', jsonb_build_object('all_alike', repeat('a', a.size)) FROM unnest('{1000,100000}'::int[]) WITH ORDINALITY a(size, n);
SELECT j -> 'payload' AS payload, j -> 'omitted' AS omitted FROM json_array_elements(jobsched.rest_jobs('{"name": "route large"}') -> 'jobs') j;
SELECT e -> 'omitted' AS omitted, length(e ->> 'result_payload') AS length FROM json_array_elements(jobsched.rest_executions(:'large', '{}') -> 'executions') e;
SELECT length(jobsched.rest_get(:'large') -> 'payload' ->> 'all_alike') AS whole;
ROLLBACK;

-- executions: what is planned and under way first, then page by page
SELECT e ->> 'status' AS status, e ->> 'attempt' AS attempt FROM json_array_elements((SELECT jobsched.rest_executions(j.id, '{"limit": "10"}') FROM jobsched.jobs j JOIN jobsched.schedules s ON s.job_id = j.id WHERE s.schedule_name = 's3') -> 'executions') e;
SELECT e ->> 'status' AS status, e ->> 'started_at' IS NOT NULL AS started FROM jobsched.jobs j, json_array_elements(jobsched.rest_executions(j.id, '{}') -> 'executions') e WHERE j.name IN ('route 6', 'route 7') ORDER BY 1;
SELECT j.id AS again FROM jobsched.jobs j WHERE j.name = 'route again' \gset
SELECT p.page -> 'executions' -> 0 ->> 'status' AS first, json_array_length(p.page -> 'executions') AS n, p.page ->> 'next_cursor' IS NULL AS last
FROM (SELECT jobsched.rest_executions(:'again', '{"limit": "2"}') UNION ALL
	SELECT jobsched.rest_executions(:'again', jsonb_build_object('limit', '2', 'cursor', jobsched.rest_executions(:'again', '{"limit": "2"}') ->> 'next_cursor'))) p(page);
-- in the order of the slots, those kept longer last
INSERT INTO jobsched.job_executions (slot, attempt, final, job_id, run_at, finished_at, status)
SELECT s.slot, 1, true, :'again', now() - s.slot * interval '1 day', now() - s.slot * interval '1 day', 'failed' FROM (VALUES (16), (2), (15)) s(slot);
INSERT INTO jobsched.ring (slot, opened_at, closed_at) VALUES (2, now() - interval '3 days', now() - interval '1 day'), (15, now() - interval '30 days', now() - interval '29 days') ON CONFLICT DO NOTHING;
WITH RECURSIVE p(page, n) AS (SELECT jobsched.rest_executions(:'again', '{"limit": "1"}')::jsonb, 1 UNION ALL
	SELECT jobsched.rest_executions(:'again', jsonb_build_object('limit', '1', 'cursor', p.page ->> 'next_cursor'))::jsonb, p.n + 1 FROM p WHERE p.page ->> 'next_cursor' IS NOT NULL)
SELECT array_agg(split_part(p.page ->> 'next_cursor', '-', 1) ORDER BY p.n) AS slots, count(DISTINCT p.page -> 'executions' -> 0 ->> 'run_at') AS runs FROM p;

-- schedules, queues, numbers
SELECT x ->> 'schedule_name' AS name, x ->> 'status' AS status, x ->> 'description' AS description, x ->> 'next_run_at' IS NULL AS no_next, json_array_length(x -> 'next') AS next
FROM json_array_elements(jobsched.rest_schedules('{"q": "s", "next": "2"}') -> 'schedules') x WHERE x ->> 'name' = 'tick';
SELECT r.created, r.answer ->> 'cron' AS cron, r.answer ->> 'jitter' AS jitter FROM jobsched.rest_put_schedule('s4', '{"cron": "@every 90s", "name": "tick", "jitter": 1.5}') r;
SELECT (x -> 'next' -> 1 ->> 'time')::numeric - (x -> 'next' -> 0 ->> 'time')::numeric AS rhythm, x -> 'next' -> 0 ->> 'utc_offset' AS utc_offset FROM jobsched.rest_schedule('s4', '{"next": "2"}') x;
SELECT jobsched.rest_put_schedule('s5', '{"cron": "0 0 1 1 *", "name": "tick", "max_runs": 2}') IS NOT NULL AS made;
SELECT json_array_length(jobsched.rest_schedule('s5', '{"next": "5"}') -> 'next') AS as_many_as_are_left;
SELECT x ->> 'name' AS name, x ->> 'due' AS due, x ->> 'scheduled' AS scheduled, x ->> 'held' AS held, x ->> 'queued' AS queued, x ->> 'running' AS running, x ->> 'dispatches' AS dispatches
FROM json_array_elements(jobsched.rest_queues('{"limit": "200"}') -> 'queues') x WHERE x ->> 'name' IN ('even', 'odd');
SELECT jobsched.rest_pause_queue('odd') ->> 'paused' AS paused, jobsched.rest_resume_queue('odd') ->> 'paused' AS resumed;
SELECT bool_and(x ->> 'name' = q.name) AS by_name, jobsched.rest_queues('{"limit": "1"}') ->> 'next_cursor' = min(q.name) AS first FROM (SELECT q.name, row_number() OVER (ORDER BY q.name) AS n FROM jobsched.queues q) q
JOIN json_array_elements(jobsched.rest_queues('{"limit": "200"}') -> 'queues') WITH ORDINALITY AS x(x, n) USING (n);
SELECT (s -> 'counts' ->> 'retrying')::int >= 2 AS retrying, (s -> 'counts' ->> 'paused')::int >= 2 AS paused, (s -> 'counts' ->> 'running')::int AS running, (s -> 'counts' ->> 'queued')::int AS queued FROM jobsched.rest_stats('{}') s;
BEGIN;
DELETE FROM jobsched.queues;
SELECT s -> 'counts' ->> 'due' AS due, s -> 'counts' ->> 'scheduled' AS scheduled FROM jobsched.rest_stats('{"tables": "false"}') s;
ROLLBACK;
SELECT json_array_length(h -> 'minutes') AS minutes, h ->> 'sampled' AS sampled FROM jobsched.rest_history('{"minutes": "90"}') h;
SELECT sum((m ->> 'succeeded')::int) > 0 AS some FROM json_array_elements(jobsched.rest_history('{"minutes": "1440"}') -> 'minutes') m;
-- a sample is scaled up: 40 minutes of 1,000 ends each, read by tenths
SELECT date_trunc('minute', now()) AS base \gset
INSERT INTO jobsched.ring (slot, opened_at, closed_at) VALUES (7, now() - interval '41 min', now());
INSERT INTO jobsched.job_executions (slot, attempt, final, job_id, run_at, started_at, finished_at, status)
SELECT 7, 1, true, gen_random_uuid(), now(), :'base'::timestamptz - n * interval '60 ms', :'base'::timestamptz - n * interval '60 ms', 'expired' FROM generate_series(40000, 1, -1) n;
SELECT min(e.sampled) BETWEEN 0.2 AND 0.5 AS a_part, count(*) / min(e.sampled) BETWEEN 36000 AND 44000 AS scaled, count(DISTINCT date_trunc('minute', e.finished_at)) >= 30 AS spread
FROM jobsched._recent_ends(now() - interval '1 hour', 200) e WHERE e.status = 'expired';
SELECT count(*) AS those_of_ten_minutes FROM jobsched._recent_ends(:'base'::timestamptz - interval '10 min', 2000) e WHERE e.status = 'expired';
TRUNCATE jobsched.job_executions_7;

-- waiting: those that have ended, and with a null those that there are not
SELECT count(*) AS rows, count(w.job) AS jobs FROM jobsched.rest_wait(ARRAY(SELECT j.id FROM jobsched.jobs j WHERE j.name LIKE 'route%') || '00000000-0000-7000-8000-000000000000'::uuid) w;
SELECT j.name, w.job::json ->> 'status' AS status FROM jobsched.rest_wait(ARRAY(SELECT j.id FROM jobsched.jobs j WHERE j.name LIKE 'route%' OR j.name = 'tick')) w JOIN jobsched.jobs j USING (id) ORDER BY 1, 2;
SELECT count(*) FROM jobsched.rest_wait('{}');

-- artifacts: the last one of that name, or that of an execution
UPDATE jobsched.job_executions e SET artifacts = jsonb_build_array(jsonb_build_object('name', 'body', 'key', e.status, 'size', 1), jsonb_build_object('name', e.status, 'key', 'x', 'size', 2)) WHERE e.job_id = :'again' AND e.slot = 3;
SELECT jobsched.rest_artifact(:'again', 'body', '{}') ->> 'key' AS last, jobsched.rest_artifact(:'again', 'failed', '{}') ->> 'size' AS older,
	jobsched.rest_artifact(:'again', 'body', jsonb_build_object('run_at', (SELECT jobsched._iso(min(e.run_at)) FROM jobsched.job_executions e WHERE e.job_id = :'again' AND e.slot = 3), 'attempt', '1')) ->> 'key' AS of_a_run;

-- what is refused, and how
SELECT (public.said(q)).state, (public.said(q)).field, regexp_replace((public.said(q)).message, '[0-9a-fA-F-]{36}', 'ID') AS message FROM unnest(ARRAY[
	$$SELECT jobsched.rest_jobs('{"limit": "0"}')$$, $$SELECT jobsched.rest_jobs('{"limit": "1e2"}')$$, $$SELECT jobsched.rest_jobs('{"limit": "99999999999999999999"}')$$,
	$$SELECT jobsched.rest_jobs('{"status": "Failed"}')$$, $$SELECT jobsched.rest_jobs('{"frequency": "twice"}')$$, $$SELECT jobsched.rest_jobs('{"cursor": "x"}')$$,
	$$SELECT jobsched.rest_jobs('{"created_after": "infinity"}')$$, $$SELECT jobsched.rest_jobs('{"created_before": "2027-13-01T00:00:00Z"}')$$, $$SELECT jobsched.rest_jobs('{"created_before": "2027-01-01T00:00:00"}')$$,
	$$SELECT jobsched.rest_executions('00000000-0000-7000-8000-000000000000', '{}')$$, format('SELECT jobsched.rest_executions(%L, %L)', :'again', '{"cursor": "17-1-1-1"}'),
	format('SELECT jobsched.rest_artifact(%L, %L, %L)', :'again', 'nothing', '{}'), format('SELECT jobsched.rest_artifact(%L, %L, %L)', :'again', 'body', '{"attempt": "1"}'),
	$$SELECT jobsched.rest_alter('00000000-0000-7000-8000-000000000000', '{"name": "x"}')$$, format('SELECT jobsched.rest_alter(%L, %L)', :'again', '{"priority": 1}'), format('SELECT jobsched.rest_alter(%L, %L)', :'again', '{"payload": null}'),
	$$SELECT jobsched.rest_cron_next('{}')$$, $$SELECT jobsched.rest_cron_next('{"expr": "* * * *"}')$$, $$SELECT jobsched.rest_cron_next('{"expr": "* * * * *", "n": "1001"}')$$, $$SELECT jobsched.rest_cron_next('{"expr": "* * * * *", "time_zone": "Mars"}')$$,
	$$SELECT jobsched.rest_schedule('none', '{}')$$, $$SELECT jobsched.rest_schedule('s5', '{"next": "21"}')$$, $$SELECT jobsched.rest_put_schedule('s6', '{"name": "tick"}')$$, $$SELECT jobsched.rest_put_schedule('s6', '{"cron": "* * * * *"}')$$,
	$$SELECT jobsched.rest_put_schedule('', '{"cron": "* * * * *", "name": "tick"}')$$, $$SELECT jobsched.rest_put_schedule('s6', '{"cron": "* * * * *", "name": "tick", "catchup_max": 1.5}')$$, $$SELECT jobsched.rest_delete_schedule('none')$$,
	$$SELECT jobsched.rest_queue('none')$$, $$SELECT jobsched.rest_pause_queue('none')$$, $$SELECT jobsched.rest_workers('{"state": "dead"}')$$, $$SELECT jobsched.rest_history('{"minutes": "1441"}')$$, $$SELECT jobsched.rest_stats('{"tables": "no"}')$$,
	format('SELECT jobsched.rest_put_schedule(%L, %L)', (SELECT upper(s.job_id::text) FROM jobsched.schedules s WHERE s.schedule_name = 's5'), '{"cron": "* * * * *", "name": "tick"}'),
	$$SELECT jobsched.rest_cancel_many('{}')$$, $$SELECT jobsched.rest_retry_many('{"limit": 1.5, "queue": "odd"}')$$, $$SELECT jobsched.rest_cancel_many('[]')$$]) q;

-- however many it has, only those that are shown are read
INSERT INTO jobsched.job_executions (slot, attempt, final, job_id, run_at, finished_at, status)
SELECT 3, 1, true, :'again', now() - interval '1 day' - n * interval '1 s', now() - interval '1 day' - n * interval '1 s', 'failed' FROM generate_series(1, 20000) n;
ANALYZE jobsched.job_executions_3;
BEGIN;
SELECT json_array_length(jobsched.rest_executions(:'again', jsonb_build_object('limit', '50', 'cursor', jobsched.rest_executions(:'again', '{"limit": "50"}') ->> 'next_cursor')) -> 'executions') AS executions,
	jobsched.rest_get(:'again') -> 'last_execution' ->> 'status' AS last, (SELECT s.status FROM jobsched.job_status s WHERE s.id = :'again') AS status;
SELECT sum(x.idx_tup_fetch) BETWEEN 100 AND 1000 AND sum(x.seq_tup_read) < 1000 AS few FROM pg_stat_xact_user_tables x WHERE x.relname = 'job_executions_3';
COMMIT;
DELETE FROM jobsched.job_executions e WHERE e.slot = 3 AND e.job_id = :'again' AND e.finished_at < now() - interval '1 day';

-- who sees and does what: a submitter its own, a viewer all and nothing more, the API all, an admin too
SET client_min_messages = error;
DROP ROLE IF EXISTS js_own, js_see, js_api;
CREATE ROLE js_own IN ROLE jobsched_submitter; CREATE ROLE js_see IN ROLE jobsched_viewer; CREATE ROLE js_api IN ROLE jobsched_api;
CREATE FUNCTION public.routes(of_another uuid) RETURNS TABLE (jobs text, executions text, pause text, queues text, pause_queue text, stats text, put text, view text, submit text) LANGUAGE sql AS $$
	SELECT CASE WHEN json_array_length(jobsched.rest_jobs('{"q": "route "}') -> 'jobs') > 5 THEN 'all' ELSE json_array_length(jobsched.rest_jobs('{"q": "route "}') -> 'jobs')::text END,
		(public.said(format('SELECT jobsched.rest_executions(%L, %L)', of_another, '{}'))).state, (public.said(format('SELECT jobsched.rest_pause(%L)', of_another))).state,
		(public.said($q$SELECT jobsched.rest_queues('{}')$q$)).state, (public.said($q$SELECT jobsched.rest_pause_queue('odd')$q$)).state, (public.said($q$SELECT jobsched.rest_stats('{}')$q$)).state,
		(public.said($q$SELECT jobsched.rest_put_schedule('s4', '{"cron": "* * * * *", "name": "tick"}')$q$)).state,
		(public.said($q$SELECT * FROM jobsched.job_status$q$)).state, (public.said($q$SELECT jobsched.submit('x')$q$)).state
$$;
SELECT j.id AS another FROM jobsched.jobs j WHERE j.name = 'route 12' \gset
SET ROLE js_own;
SELECT jobsched.submit('route of js_own', run_at => '2099-01-01') IS NOT NULL AS mine;
SELECT * FROM public.routes(:'another');
SET ROLE js_see;
SELECT jobs, executions, queues, stats, pause_queue, put, view, submit FROM public.routes(:'another');
SET ROLE js_api;
SELECT * FROM public.routes(:'another');
RESET ROLE;
DROP FUNCTION public.routes(uuid);
TRUNCATE jobsched.dispatches, jobsched.schedules;
DELETE FROM jobsched.timers t USING jobsched.jobs j WHERE j.id = t.job_id AND (j.name LIKE 'route%' OR j.name = 'tick');
DELETE FROM jobsched.job_executions e USING jobsched.jobs j WHERE j.id = e.job_id AND (j.name LIKE 'route%' OR j.name = 'tick');
DELETE FROM jobsched.jobs j WHERE j.name LIKE 'route%' OR j.name = 'tick';
UPDATE jobsched.queues SET paused = false;
DELETE FROM jobsched.ring;
DROP ROLE js_own, js_see, js_api;
