-- retention: the ring turns, what has ended goes in time and nothing goes early; time is given to _retain().
\set SHOW_CONTEXT never
TRUNCATE jobsched.jobs, jobsched.job_executions, jobsched.timers, jobsched.dispatches, jobsched.schedules, jobsched.cron_ticks, jobsched.unique_keys, jobsched.workers;
-- steps until nothing is left to do at that time; what they did, without those that found nothing
CREATE FUNCTION public.steps(at timestamptz) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	did text;
BEGIN
	FOR i IN 1 .. 200 LOOP
		did := (jobsched._retain(at)).did;
		IF did ~ ': [1-9]' OR did ~ 'opened|waits|again' THEN
			RETURN NEXT did;
		END IF;
		EXIT WHEN did ~ '^nothing|waits';
		IF i = 200 THEN
			RAISE EXCEPTION 'no end: %', did;
		END IF;
	END LOOP;
END $$;
-- the job has ended so
CREATE FUNCTION public.ended(id uuid, status text, at timestamptz, reason text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	DELETE FROM jobsched.timers t WHERE t.job_id = ended.id;
	INSERT INTO jobsched.job_executions (slot, attempt, final, job_id, run_at, started_at, finished_at, status, reason)
	VALUES (jobsched._open_slot(), 1, true, ended.id, at, at, at, ended.status, ended.reason);
$$;
CREATE FUNCTION public.leaf(id uuid) RETURNS text LANGUAGE sql AS $$ SELECT tableoid::regclass::text FROM jobsched.jobs j WHERE j.id = leaf.id $$;

SELECT jobsched._retention(), jobsched._retention_failed();
UPDATE jobsched.cluster SET adopted_at = now();
-- not at once: it may be a restore that is under way
SELECT did FROM jobsched._retain(now());
SELECT clock_timestamp() AS t0, jobsched.submit('good') AS good, jobsched.submit('bad') AS bad, jobsched.submit('planned', run_at => '2099-01-01') AS planned,
	jobsched.submit('keyed', unique_key => 'k') AS keyed, jobsched.submit('tick', cron => '0 0 * * *') AS cron, jobsched.submit('paused') AS paused, jobsched.submit('flying') AS flying \gset
SELECT public.ended(:'good', 'succeeded', :'t0'), public.ended(:'bad', 'failed', :'t0', 'error'), public.ended(:'keyed', 'succeeded', :'t0'), jobsched.pause(:'paused');
-- one is being run by a worker
DELETE FROM jobsched.timers WHERE job_id = :'flying';
INSERT INTO jobsched.dispatches (id, queue, priority, segment, job_ids, run_ats, attempts, failures, losses)
VALUES (gen_random_uuid(), 1, 0, 0, ARRAY[:'flying'::uuid], ARRAY[now()], '{1}', '{0}', '{0}');

SELECT public.steps(:'t0');
SELECT public.leaf(:'good') AS good, public.leaf(:'cron') AS cron;
-- a slot is open for a fourteenth of the retention
SELECT public.steps(:'t0'::timestamptz + jobsched._retention() / 14 - interval '1 minute');
SELECT public.steps(:'t0'::timestamptz + jobsched._retention() / 14 + interval '1 minute');
SELECT jobsched.slot_of(jobsched.submit('later', run_at => '2099-01-01'));
-- up to the last moment everything is there
SELECT public.steps(:'t0'::timestamptz + i * jobsched._retention() / 14 + i * interval '1 minute') FROM generate_series(2, 14) i;
SELECT public.leaf(:'good') AS good, public.leaf(:'bad') AS bad, public.leaf(:'planned') AS planned;
-- and then those go that have ended; the others are found where they are kept
SELECT public.steps(:'t0'::timestamptz + 15 * jobsched._retention() / 14 + interval '15 minutes');
SELECT public.leaf(:'good') AS good, public.leaf(:'bad') AS bad, public.leaf(:'planned') AS planned, public.leaf(:'keyed') AS keyed, public.leaf(:'cron') AS cron,
	public.leaf(:'paused') AS paused, public.leaf(:'flying') AS flying;
SELECT tableoid::regclass, status FROM jobsched.job_executions;
SELECT id = :'planned' AS planned, status FROM jobsched.job_status WHERE id IN (:'planned', :'bad', :'paused') ORDER BY status;
SELECT jobsched.submit('again', unique_key => 'k') <> :'keyed' AS another;
SELECT jobsched.cancel(:'planned'), jobsched.resume(:'paused');
SELECT jobsched.rest_get('00000000-0000-7000-8000-000000000001');
-- a failed job longer: until its own time is over
SELECT count(*) FROM public.steps(:'t0'::timestamptz + jobsched._retention_failed() - interval '1 day');
SELECT public.leaf(:'bad') AS bad;
SELECT count(*) > 0 AS steps FROM public.steps(:'t0'::timestamptz + jobsched._retention_failed() + interval '1 day');
SELECT public.leaf(:'bad') AS bad, public.leaf(:'planned') AS planned, public.leaf(:'cron') AS cron, public.leaf(:'paused') AS paused;

-- who comes back to life while the slot is being emptied
CREATE FUNCTION public.open_again() RETURNS timestamptz LANGUAGE sql AS $$ SELECT opened_at FROM jobsched.ring WHERE closed_at IS NULL $$;
SELECT jobsched.submit('revived') AS revived, public.open_again() AS t1 \gset
SELECT public.ended(:'revived', 'succeeded', :'t1');
SELECT count(*) > 0 AS steps FROM (SELECT public.steps(:'t1'::timestamptz + i * (jobsched._retention() / 14 + interval '1 minute')) FROM generate_series(1, 14) i) s;
SELECT :'t1'::timestamptz + 15 * (jobsched._retention() / 14 + interval '1 minute') AS t15 \gset
DO $$
BEGIN
	FOR i IN 1 .. 50 LOOP
		EXIT WHEN EXISTS (SELECT FROM jobsched.sweeps s, jobsched.jobs j WHERE j.name = 'revived' AND s.slot = jobsched.slot_of(j.id) AND s.phase = 'empty');
		PERFORM jobsched._retain((SELECT opened_at FROM jobsched.ring WHERE closed_at IS NULL) + (jobsched._retention() / 14 + interval '1 minute') * (i = 1)::int);
	END LOOP;
END $$;
SELECT public.leaf(:'revived') = 'jobsched.jobs_' || jobsched.slot_of(:'revived') AS in_its_slot;
BEGIN;
SELECT jobsched.run_now(:'revived') IS NOT NULL AS planned;
COMMIT;
SELECT regexp_replace(did, '\d+', 'N') AS did, again FROM jobsched._retain(:'t15');
SELECT count(*) > 0 AS steps FROM public.steps(:'t15');
SELECT public.leaf(:'revived');

-- a simulated year: what ended within the retention is there, nothing else is, and no leaf grows
TRUNCATE jobsched.jobs, jobsched.job_executions, jobsched.timers, jobsched.dispatches, jobsched.ring, jobsched.sweeps;
CREATE TABLE public.made (id uuid, at timestamptz, status text);
DO $$
DECLARE
	t timestamptz := clock_timestamp();
	status text;
	job uuid;
BEGIN
	FOR day IN 1 .. 365 LOOP
		FOREACH status IN ARRAY '{succeeded,failed,cancelled,succeeded}'::text[] LOOP
			job := jobsched.submit('daily');
			PERFORM public.ended(job, status, t);
			INSERT INTO public.made VALUES (job, t, status);
		END LOOP;
		t := t + interval '1 day';
		PERFORM count(*) FROM public.steps(t);
	END LOOP;
	INSERT INTO public.made VALUES (NULL, t, 'end');
END $$;
SELECT m.status, count(*) AS kept, max(e.at - m.at) <= CASE m.status WHEN 'failed' THEN jobsched._retention_failed() ELSE jobsched._retention() END + jobsched._retention() / 14 * 2 AS gone_in_time
FROM public.made m JOIN jobsched.jobs j USING (id), (SELECT at FROM public.made WHERE id IS NULL) e GROUP BY 1 ORDER BY 1;
SELECT count(*) AS lost FROM public.made m, (SELECT at FROM public.made WHERE id IS NULL) e
WHERE m.at > e.at - CASE m.status WHEN 'failed' THEN jobsched._retention_failed() ELSE jobsched._retention() END AND m.id IS NOT NULL
	AND NOT (EXISTS (SELECT FROM jobsched.jobs j WHERE j.id = m.id) AND EXISTS (SELECT FROM jobsched.job_executions x WHERE x.job_id = m.id));
-- a job goes no later than its last execution
SELECT count(*) AS without FROM jobsched.jobs j WHERE NOT EXISTS (SELECT FROM jobsched.job_executions x WHERE x.job_id = j.id);
SELECT count(*) FILTER (WHERE closed_at IS NULL) AS open, count(*) AS slots FROM jobsched.ring;
-- what a person sees
SELECT name, note IS NOT NULL AS note, table_bytes IS NOT NULL AS size FROM jobsched.stats() WHERE name IN ('timers', 'jobs_kept', 'oldest snapshot') ORDER BY name;
SELECT count(*) FROM jobsched.stats() WHERE note ~ '^open since';
