-- The life of a run through the worker API in plain SQL.  Promote is the scheduler's; here a statement of the same shape stands for it.
\set SHOW_CONTEXT never
TRUNCATE jobsched.jobs, jobsched.timers, jobsched.schedules, jobsched.job_executions;
CREATE FUNCTION public.promote() RETURNS uuid LANGUAGE sql AS $$
	WITH t AS (DELETE FROM jobsched.timers WHERE due_at <= clock_timestamp() RETURNING *)
	INSERT INTO jobsched.dispatches (id, queue, priority, segment, job_ids, run_ats, attempts, failures, losses)
	SELECT gen_random_uuid(), min(queue), min(priority), min(segment), array_agg(job_id ORDER BY job_id), array_agg(run_at ORDER BY job_id), array_agg(attempt ORDER BY job_id),
		array_agg(failures ORDER BY job_id), array_agg(losses ORDER BY job_id) FROM t HAVING count(*) > 0 RETURNING id $$;
CREATE VIEW public.st AS SELECT name, status, last_attempt AS attempt, last_status, last_reason AS reason, last_error AS error, result_payload AS result FROM jobsched.job_status ORDER BY id;
CREATE VIEW public.ru AS SELECT s.name, r.attempt, r.status, r.final, r.reason FROM jobsched.runs r JOIN jobsched.job_status s ON s.id = r.job_id ORDER BY s.id, r.attempt, r.finished_at;
-- finish of one dispatch whose runs all end alike
CREATE FUNCTION public.fin(w uuid, d uuid, token uuid, runs smallint[], outcome text, OUT run smallint, OUT answer text) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT run, answer FROM jobsched.finish(w, array_fill(d, ARRAY[cardinality(runs)]), array_fill(token, ARRAY[cardinality(runs)]), runs,
		array_fill(NULL::uuid, ARRAY[cardinality(runs)]), array_fill(NULL::timestamptz, ARRAY[cardinality(runs)]), array_fill(1::smallint, ARRAY[cardinality(runs)]),
		array_fill(outcome, ARRAY[cardinality(runs)]), NULL, array_fill('why'::text, ARRAY[cardinality(runs)]),
		array_fill('{"ok":true}'::jsonb, ARRAY[cardinality(runs)]), NULL, array_fill(2000::bigint, ARRAY[cardinality(runs)]), array_fill(1000::bigint, ARRAY[cardinality(runs)]), NULL) $$;

SELECT jobsched.register_worker('w-local', '{jobs}', 4, '{"host": "here"}') AS w \gset
SELECT jobsched.register_worker('w-local', '{jobs}', 4) AS w2 \gset
\set a '11111111-1111-4111-8111-111111111111'
\set b '22222222-2222-4222-8222-222222222222'

-- three runs in one dispatch end differently, in parts
SELECT jobsched.submit('one') AS one \gset
SELECT jobsched.submit('two', max_retries => 1) AS two \gset
SELECT jobsched.submit('three', max_retries => 5, timeout => '90 s') AS three \gset
SELECT public.promote() AS d \gset
SELECT * FROM public.st;
SELECT run, attempt, name, payload, timeout_seconds, max_retries, failures FROM jobsched.claim(:'w', :'a', ARRAY[:'d']::uuid[]);
-- a repeat with the token gives the same; another token, another worker get nothing
SELECT count(*) FROM jobsched.claim(:'w', :'a', ARRAY[:'d']::uuid[]);
SELECT count(*) FROM jobsched.claim(:'w', :'b', ARRAY[:'d']::uuid[]);
SELECT count(*) FROM jobsched.claim(:'w2', :'a', ARRAY[:'d']::uuid[]);
SELECT * FROM public.st;
-- progress: of the worker's own runs, the last word counts, and only while they run
CREATE VIEW public.pr AS SELECT s.name, r.status, r.percent, r.message FROM jobsched.runs r JOIN jobsched.job_status s ON s.id = r.job_id ORDER BY s.id, r.attempt;
SELECT jobsched.report_progress(:'w', array_fill(:'d'::uuid, '{5}'), ARRAY[:'a', :'a', :'a', :'b', :'a']::uuid[], '{0,1,0,2,63}', '{10,null,12.5,50,50}', ARRAY['no', NULL, repeat('ä', 300), 'no', 'no']);
SELECT jobsched.report_progress(:'w2', ARRAY[:'d']::uuid[], ARRAY[:'a']::uuid[], '{2}', '{50}', '{no}');
SELECT name, status, percent, length(message) FROM public.pr;
SELECT jobsched.report_progress(:'w', ARRAY[:'d']::uuid[], ARRAY[:'a']::uuid[], '{0}', '{100.5}', '{no}');
SELECT jobsched.report_progress(:'w', ARRAY[:'d']::uuid[], ARRAY[:'a']::uuid[], '{0}', '{}', '{no}');
SELECT jobsched.report_progress(:'w', ARRAY[:'d']::uuid[], ARRAY[:'a']::uuid[], '{0}', '{100}', '{nearly done}');
SELECT * FROM public.pr;
-- a wrong token, a wrong worker, a run out of range record nothing
SELECT * FROM public.fin(:'w', :'d', :'b', '{0}', 'succeeded');
SELECT * FROM public.fin(:'w2', :'d', :'a', '{0}', 'succeeded');
SELECT * FROM public.fin(:'w', :'d', :'a', '{3,63}', 'succeeded');
SELECT * FROM public.fin(:'w', :'d', :'a', '{0,0}', 'succeeded');
SELECT * FROM public.fin(:'w', :'d', :'a', '{0}', 'succeeded');
SELECT * FROM public.fin(:'w', :'d', :'a', '{1}', 'failed');
SELECT * FROM public.fin(:'w', :'d', :'a', '{2}', 'permanent');
SELECT count(*) AS dispatches FROM jobsched.dispatches;
SELECT * FROM public.st;
SELECT * FROM public.pr;
UPDATE jobsched.progress SET reported_at = now() - interval '2 min';
SELECT jobsched.report_progress(:'w', ARRAY[:'d']::uuid[], ARRAY[:'a']::uuid[], '{0}', '{100}', '{late}');
SELECT count(*) AS left_behind FROM jobsched.progress;
SELECT t.attempt, t.failures, t.due_at - e.finished_at BETWEEN '60 s' AND '67 s' AS backoff FROM jobsched.timers t JOIN jobsched.job_executions e USING (job_id);
-- an answer that was lost: the repeat says that it is recorded
SELECT answer FROM jobsched.job_executions e, jobsched.finish(:'w', ARRAY[:'d']::uuid[], ARRAY[:'a']::uuid[], '{0}', ARRAY[e.job_id], ARRAY[e.run_at], ARRAY[e.attempt],
	'{succeeded}', NULL, NULL, NULL, NULL, '{1}', '{1}', NULL) WHERE e.job_id = :'one';
-- the second failure is the last
UPDATE jobsched.timers SET due_at = now();
SELECT public.promote() AS d \gset
SELECT run, attempt, failures FROM jobsched.claim(:'w', :'b', ARRAY[:'d']::uuid[]);
SELECT * FROM public.fin(:'w', :'d', :'b', '{0}', 'failed');
SELECT * FROM public.ru;
SELECT final, status, started_at IS NOT NULL AS started, finished_at - started_at AS ran FROM jobsched.job_executions WHERE job_id = :'one';

-- backoff doubles to its limit; jitter is at most a tenth
SELECT n, bool_and(d >= w AND d <= w * 1.1) AS within FROM (VALUES (1, interval '1 min'), (2, '2 min'), (5, '16 min'), (6, '30 min'), (1000, '30 min')) v(n, w),
	generate_series(1, 100), jobsched._backoff(n, NULL, NULL) d GROUP BY n ORDER BY n;
SELECT jobsched._backoff(1000, '30 days', '1 hour') BETWEEN '1 hour' AND '1.1 hours' AS nothing_overflows;

-- release: the attempt is not used up
SELECT jobsched.submit('four') AS four \gset
SELECT public.promote() AS d \gset
SELECT run, attempt FROM jobsched.claim(:'w', :'a', ARRAY[:'d']::uuid[]);
SELECT run, answer FROM jobsched.release(:'w', ARRAY[:'d']::uuid[], ARRAY[:'b']::uuid[], '{0}');
SELECT run, answer FROM jobsched.release(:'w', ARRAY[:'d']::uuid[], ARRAY[:'a']::uuid[], '{0}');
SELECT run, answer FROM jobsched.release(:'w', ARRAY[:'d']::uuid[], ARRAY[:'a']::uuid[], '{0}');
SELECT attempt, due_at <= clock_timestamp() AS due FROM jobsched.timers;
SELECT * FROM public.fin(:'w', :'d', :'a', '{0}', 'succeeded');

-- rescue: the lease is over; what the worker says afterwards is refused; the fifth loss is the end
SELECT public.promote() AS d \gset
SELECT run, attempt FROM jobsched.claim(:'w', :'a', ARRAY[:'d']::uuid[]);
SELECT jobsched._rescue(0::smallint, 127::smallint) AS too_early;
UPDATE jobsched.workers SET last_seen = now() - interval '31 s' WHERE id = :'w';
SELECT jobsched._rescue(0::smallint, 127::smallint);
SELECT * FROM public.fin(:'w', :'d', :'a', '{0}', 'succeeded');
SELECT attempt, losses, failures, due_at <= clock_timestamp() AS due FROM jobsched.timers;
SELECT command, run FROM jobsched.heartbeat(:'w', ARRAY[:'d']::uuid[], ARRAY[:'a']::uuid[]);
UPDATE jobsched.timers SET losses = 4;
SELECT public.promote() AS d \gset
SELECT run, attempt FROM jobsched.claim(:'w', :'a', ARRAY[:'d']::uuid[]);
SELECT jobsched.unregister_worker(:'w') AS stopped;
SELECT jobsched.unregister_worker(:'w') AS stopped;
SELECT * FROM public.ru WHERE name = 'four';

-- heartbeat: what the worker does not list, claimed over a lease ago, it has forgotten
SELECT jobsched.submit('five') AS five \gset
SELECT public.promote() AS d \gset
SELECT run FROM jobsched.claim(:'w2', :'a', ARRAY[:'d']::uuid[]);
SELECT count(*) FROM jobsched.heartbeat(:'w2', '{}', '{}', '{"means": {"five": 0.01}}');
SELECT status FROM public.st WHERE name = 'five';
UPDATE jobsched.dispatches SET claimed_at = now() - interval '31 s';
SELECT count(*) FROM jobsched.heartbeat(:'w2', ARRAY[:'d']::uuid[], ARRAY[:'a']::uuid[]);
SELECT status FROM public.st WHERE name = 'five';
SELECT count(*) FROM jobsched.heartbeat(:'w2', '{}', '{}');
SELECT status, last_status FROM public.st WHERE name = 'five';

-- cancel: before, queued, running
SELECT jobsched.submit('six', run_at => '2031-01-01') AS six \gset
SELECT jobsched.cancel(:'six');
SELECT jobsched.cancel(:'six');
SELECT jobsched.submit('seven') AS seven, jobsched.cancel(:'five') \gset
SELECT jobsched.submit('eight') AS eight \gset
SELECT public.promote() AS d \gset
SELECT jobsched.cancel(:'seven');
SELECT run, name FROM jobsched.claim(:'w2', :'a', ARRAY[:'d']::uuid[]);
SELECT jobsched.cancel(:'eight');
SELECT name, status FROM public.st WHERE name IN ('five', 'six', 'seven', 'eight');
SELECT run, command FROM jobsched.heartbeat(:'w2', ARRAY[:'d']::uuid[], ARRAY[:'a']::uuid[]);
-- a failing task of a cancelled job ends cancelled, though retries are left
SELECT * FROM public.fin(:'w2', :'d', :'a', '{1}', 'failed');
SELECT name, status FROM public.st WHERE name = 'eight';
-- a succeeding one succeeds
SELECT jobsched.submit('nine') AS nine \gset
SELECT public.promote() AS d \gset
SELECT run FROM jobsched.claim(:'w2', :'a', ARRAY[:'d']::uuid[]);
SELECT jobsched.cancel(:'nine');
SELECT * FROM public.fin(:'w2', :'d', :'a', '{0}', 'succeeded');
SELECT name, status FROM public.st WHERE name = 'nine';
SELECT jobsched.cancel(:'nine');
-- cancelled after the dispatch was made without cancel seeing it: ends at claim, the neighbour goes on
SELECT jobsched.submit('ten') AS ten \gset
SELECT jobsched.submit('eleven') AS eleven \gset
SELECT public.promote() AS d \gset
UPDATE jobsched.jobs SET state = 'cancelled' WHERE id = :'ten';
SELECT run, name FROM jobsched.claim(:'w2', :'a', ARRAY[:'d']::uuid[]);
-- and a repeat ends nothing: the task may be running
UPDATE jobsched.jobs SET state = 'cancelled' WHERE id = :'eleven';
SELECT run, name FROM jobsched.claim(:'w2', :'a', ARRAY[:'d']::uuid[]);
SELECT * FROM public.ru WHERE name IN ('ten', 'eleven');
-- a job that is gone
SELECT jobsched.submit('twelve') AS twelve \gset
SELECT public.promote() AS d \gset
DELETE FROM jobsched.jobs WHERE id = :'twelve';
SELECT count(*) FROM jobsched.claim(:'w2', :'b', ARRAY[:'d']::uuid[]);
SELECT status, final, reason FROM jobsched.job_executions WHERE job_id = :'twelve';
SELECT count(*) FROM jobsched.dispatches WHERE id = :'d';
-- expired before it started
SELECT jobsched.submit('thirteen') AS thirteen \gset
UPDATE jobsched.jobs SET expires_at = now() WHERE id = :'thirteen';
SELECT public.promote() AS d \gset
SELECT count(*) FROM jobsched.claim(:'w2', :'b', ARRAY[:'d']::uuid[]);
SELECT name, status FROM public.st WHERE name = 'thirteen';

-- 64 runs in a dispatch: all bits
SELECT count(*) FROM jobsched.submit_many((SELECT jsonb_agg(jsonb_build_object('name', 'bulk')) FROM generate_series(1, 64)));
SELECT public.promote() AS d \gset
SELECT count(*), min(run), max(run) FROM jobsched.claim(:'w2', :'b', ARRAY[:'d']::uuid[]);
SELECT answer, count(*) FROM public.fin(:'w2', :'d', :'b', (SELECT array_agg(i) FROM generate_series(0, 62) i)::smallint[], 'succeeded') GROUP BY 1;
SELECT count(*) FROM jobsched.dispatches WHERE id = :'d';
SELECT answer, count(*) FROM public.fin(:'w2', :'d', :'b', (SELECT array_agg(i) FROM generate_series(0, 63) i)::smallint[], 'succeeded') GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM jobsched.dispatches WHERE id = :'d';
SELECT status, count(*) FROM public.st WHERE name = 'bulk' GROUP BY 1;

-- what looked tiny to the planner may be full of dead rows later: claim and finish never read dispatches from end to end
VACUUM ANALYZE jobsched.dispatches;
SELECT jobsched.submit('lean') AS lean \gset
SELECT public.promote() AS d \gset
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*) FROM jobsched.claim(:'w2', :'b', ARRAY[:'d']::uuid[]);
SELECT answer FROM public.fin(:'w2', :'d', :'b', '{0}', 'succeeded');
SELECT seq_scan AS read_whole, idx_scan > 0 AS by_index FROM pg_stat_xact_all_tables WHERE relid = 'jobsched.dispatches'::regclass;
COMMIT;

-- nor do those who look at what is in flight, or cancel
SELECT jobsched.submit('lean') AS lean \gset
SELECT public.promote() AS d \gset
BEGIN;
SELECT job::json ->> 'status' AS status FROM jobsched.rest_get_many(ARRAY[:'lean']::uuid[]);
SELECT count(*) AS over FROM jobsched.rest_wait(ARRAY[:'lean']::uuid[]);
SELECT json_array_length(jobsched.rest_executions(:'lean', '{}') -> 'executions') AS runs, json_array_length(jobsched.rest_jobs('{"status": "queued"}') -> 'jobs') > 0 AS listed,
	json_array_length(jobsched.rest_queues('{}') -> 'queues') > 0 AS queues, json_array_length(jobsched.rest_workers('{}') -> 'workers') > 0 AS workers,
	(jobsched.rest_stats('{}') #>> '{counts,queued}')::int > 0 AS queued, (SELECT count(*) > 0 FROM jobsched.metrics()) AS metrics;
SELECT jobsched.cancel(:'lean');
SELECT seq_scan AS read_whole FROM pg_stat_xact_all_tables WHERE relid = 'jobsched.dispatches'::regclass;
COMMIT;

-- others of the same label or machine, as long as they have not ended
SELECT jobsched.register_worker('n1', '{jobs}', 1, '{"machine": "m/1", "pid": 7}') AS n1 \gset
SELECT jobsched.register_worker('n2', '{jobs}', 1, '{"machine": "m/1", "pid": 8}') AS n2 \gset
SELECT jobsched.register_worker('n1', '{jobs}', 1, '{"machine": "m/2", "pid": 9}') AS n3 \gset
SELECT jobsched.register_worker('n4', '{jobs}', 1) AS n4 \gset
SELECT worker_id, info, silent_seconds BETWEEN 0 AND 10 AS heard FROM jobsched.neighbours(:'n1') ORDER BY info->>'pid';
SELECT worker_id, info FROM jobsched.neighbours(:'n2');
SELECT worker_id, info FROM jobsched.neighbours(:'n4');
SELECT jobsched.unregister_worker(:'n2');
SELECT worker_id, info FROM jobsched.neighbours(:'n1');
SELECT count(*) FROM jobsched.neighbours('00000000-0000-0000-0000-000000000000');
SELECT jobsched.unregister_worker(id) FROM jobsched.workers WHERE worker_id IN ('n1', 'n4');

-- the mask of a dispatch of each size
SELECT n, jobsched._all_bits(n) FROM unnest('{0, 1, 62, 63, 64}'::int[]) n ORDER BY n;

-- bad arguments
SELECT s.* FROM (VALUES
	(1, $$SELECT jobsched.register_worker('', '{jobs}', 1)$$),
	(2, $$SELECT jobsched.register_worker('w', '{}', 1)$$),
	(3, $$SELECT jobsched.register_worker('w', '{jobs}', 0)$$),
	(4, $$SELECT jobsched.register_worker('w', '{jobs}', 1, '[]')$$),
	(5, $$SELECT jobsched.claim('00000000-0000-0000-0000-000000000000', gen_random_uuid(), '{}')$$),
	(6, $$SELECT jobsched.claim('00000000-0000-0000-0000-000000000000', NULL, '{}')$$),
	(7, $$SELECT jobsched.claim('00000000-0000-0000-0000-000000000000', gen_random_uuid(), NULL)$$),
	(8, $$SELECT jobsched.heartbeat('00000000-0000-0000-0000-000000000000', '{}', '{}')$$),
	(9, $$SELECT jobsched.heartbeat('00000000-0000-0000-0000-000000000000', NULL, '{}')$$),
	(10, $$SELECT jobsched.heartbeat('00000000-0000-0000-0000-000000000000', '{}', '{}', '{"means": {"x": "slow"}}')$$),
	(11, $$SELECT jobsched.release('00000000-0000-0000-0000-000000000000', '{}', '{}', '{1}')$$),
	(12, $$SELECT jobsched.finish('00000000-0000-0000-0000-000000000000', ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], '{0}', ARRAY[gen_random_uuid()], ARRAY[now()], '{1}', '{done}', NULL, NULL, NULL, NULL, '{1}', '{1}', NULL)$$),
	(13, $$SELECT jobsched.finish('00000000-0000-0000-0000-000000000000', ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], '{0}', ARRAY[gen_random_uuid()], ARRAY[now()], '{1}', '{succeeded}', NULL, '{}', NULL, NULL, '{1}', '{1}', NULL)$$)
) t(n, statement), public.said(t.statement) s ORDER BY n;
