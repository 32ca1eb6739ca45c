-- REST reads: rest_get_many() gives what job_status says, wherever in the ring the rows are
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.place(label text, slot int, ended int, status text = 'succeeded', frequency text = 'once') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	id uuid := jobsched._uuid_v7(slot);
BEGIN
	INSERT INTO jobsched.jobs (slot, id, queue, name, frequency, owner, payload)
	VALUES (CASE frequency WHEN 'cron' THEN 16 ELSE slot END, id, (SELECT min(q.id) FROM jobsched.queues q), label, frequency, current_user, '{}');
	IF ended IS NOT NULL THEN
		INSERT INTO jobsched.job_executions (slot, attempt, final, job_id, run_at, finished_at, status) VALUES (ended, 1, true, id, now(), now(), status);
	END IF;
END $$;
DELETE FROM jobsched.ring;
INSERT INTO jobsched.ring (slot, opened_at) VALUES (3, now());
-- ended in its own slot, in the open one, on the way there around the ring, in the kept one
SELECT pg_temp.place('own', 1, 1), pg_temp.place('open', 1, 3), pg_temp.place('between', 1, 2), pg_temp.place('around', 14, 15), pg_temp.place('around far', 14, 0),
	pg_temp.place('around open', 14, 3), pg_temp.place('kept', 2, 16), pg_temp.place('same', 3, 3, 'failed'), pg_temp.place('last', 15, 15, 'expired'),
	pg_temp.place('cron before', 3, 1, 'succeeded', 'cron'), pg_temp.place('cron after', 3, 9, 'succeeded', 'cron'), pg_temp.place('in flight', 3, NULL),
	pg_temp.place('handed out', 3, NULL), pg_temp.place('told to stop', 3, NULL), pg_temp.place('waiting', 3, NULL);
UPDATE jobsched.jobs SET slot = 16 WHERE name = 'kept';
DO $$ BEGIN PERFORM jobsched.submit('tried', run_at => '2099-01-01'); END $$;
UPDATE jobsched.timers t SET attempt = 2 FROM jobsched.jobs j WHERE j.id = t.job_id AND j.name = 'tried';
SELECT j.name, m.job::jsonb -> 'last_execution' ->> 'status' AS last
FROM jobsched.jobs j LEFT JOIN LATERAL jobsched.rest_get_many(ARRAY[j.id]) m ON true
WHERE j.payload = '{}' AND j.name IN ('own', 'open', 'between', 'around', 'around far', 'around open', 'kept', 'same', 'last', 'cron before', 'cron after', 'in flight') ORDER BY 1;
-- every job of all tests before: each once, and the same status, next run and last execution as in job_status
INSERT INTO jobsched.dispatches (id, status, queue, priority, segment, job_ids, run_ats, attempts, failures, losses)
SELECT gen_random_uuid(), s.status, j.queue, 0, 0, ARRAY[gen_random_uuid(), j.id], '{now,now}', '{1,1}', '{0,0}', '{0,0}'
FROM (VALUES ('claimed', 'in flight'), ('queued', 'handed out'), ('claimed', 'told to stop')) s(status, name) JOIN jobsched.jobs j USING (name);
UPDATE jobsched.jobs SET state = CASE name WHEN 'waiting' THEN 'paused' ELSE 'cancelled' END WHERE name IN ('told to stop', 'waiting');
INSERT INTO jobsched.timers (due_at, run_at, job_id, task, priority, queue, segment) SELECT 'infinity', now(), j.id, 0, 0, j.queue, 0 FROM jobsched.jobs j WHERE j.name = 'waiting';
WITH m AS MATERIALIZED (SELECT m.id, m.job::jsonb AS job FROM jobsched.rest_get_many((SELECT array_agg(j.id) FROM jobsched.jobs j)) m)
SELECT count(*) > 20 AS many, count(*) = (SELECT count(*) FROM jobsched.jobs) AS all_of_them, count(DISTINCT m.id) = count(*) AS once,
	bool_and(m.job ->> 'status' = s.status AND (m.job ->> 'next_run_at')::timestamptz IS NOT DISTINCT FROM s.next_run_at
		AND m.job -> 'last_execution' ->> 'status' IS NOT DISTINCT FROM s.last_status AND (m.job ->> 'id')::uuid = m.id
		AND (m.job -> 'last_execution' ->> 'finished_at')::timestamptz IS NOT DISTINCT FROM s.last_finished_at) AS same
FROM m JOIN jobsched.job_status s ON s.id = m.id;
SELECT DISTINCT status FROM jobsched.job_status ORDER BY 1;
-- an id twice, an unknown one, none
SELECT count(*), count(DISTINCT m.id) FROM jobsched.jobs j, jobsched.rest_get_many(ARRAY[j.id, gen_random_uuid(), j.id, NULL]) m WHERE j.name = 'own';
SELECT count(*) FROM jobsched.rest_get_many('{}');
SELECT count(*) FROM jobsched.rest_get_many(NULL);
-- jobs of others are unknown
CREATE ROLE regress_rest IN ROLE jobsched_submitter;
SET ROLE regress_rest;
SELECT ARRAY[jobsched.submit('echo'), jobsched.submit('echo')] AS ids \gset
SELECT count(*) FROM jobsched.rest_get_many(:'ids');
RESET ROLE;
SELECT array_agg(j.id) AS ids FROM jobsched.jobs j WHERE j.name = 'own' \gset
SET ROLE regress_rest;
SELECT count(*) FROM jobsched.rest_get_many(:'ids');
RESET ROLE;
DELETE FROM jobsched.timers t USING jobsched.jobs j WHERE j.id = t.job_id AND j.name = 'waiting';
DELETE FROM jobsched.dispatches;
DELETE FROM jobsched.ring;
