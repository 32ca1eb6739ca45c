-- submit, submit_many: what is accepted, and a table of what is not and how it is said.
\set SHOW_CONTEXT never
-- runs a statement, gives what it said
CREATE FUNCTION public.said(statement text, OUT state text, OUT field text, OUT message text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	state := 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, field = COLUMN_NAME, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
END $$;

-- in the caller's transaction
BEGIN;
SELECT count(jobsched.submit('echo', '{"a":1}'));
ROLLBACK;
SELECT count(*) FROM jobsched.jobs;
SELECT count(*) FROM jobsched.timers;

SELECT jobsched.submit('echo', '{"a":1}') AS id \gset
SELECT name, status, payload, frequency, queue, priority, max_retries, timeout, cron, owner = current_user AS mine, next_run_at <= clock_timestamp() AS due
FROM jobsched.job_status WHERE id = :'id';
SELECT attempt, failures, losses, priority, cron, segment = jobsched.segment_of(job_id) AS segment, run_at = due_at AS same FROM jobsched.timers;
SELECT tableoid::regclass FROM jobsched.jobs WHERE id = :'id';

-- all arguments, by name
SELECT jobsched.submit(name => 'sleep', payload => '["a"]', run_at => '2030-01-01 00:00+00', queue => 'mail.eu', priority => 9, max_retries => 0,
	timeout => '90 seconds', unique_key => 'k1') AS id \gset
SELECT name, payload, queue, priority, max_retries, timeout, unique_key, next_run_at AT TIME ZONE 'UTC' AS next FROM jobsched.job_status WHERE id = :'id';
-- the same key gives the same job, whatever else is asked; another owner's key is another key
SELECT jobsched.submit('other', unique_key => 'k1') = :'id' AS same;
SELECT count(*) FROM jobsched.jobs WHERE unique_key = 'k1';

-- cron: kept leaf, a schedule, the next whole minute
SELECT jobsched.submit('echo', cron => '*/5 * * * *') AS id \gset
SELECT status, frequency, cron, time_zone, next_run_at > now() AND next_run_at <= now() + interval '5 minutes' AND extract(epoch FROM next_run_at)::int % 300 = 0 AS next
FROM jobsched.job_status WHERE id = :'id';
SELECT tableoid::regclass FROM jobsched.jobs WHERE id = :'id';

-- payload kinds
SELECT jobsched.submit('echo', p) IS NOT NULL AS accepted, p FROM unnest('{"{}","[]","\"text\"","{\"nested\":{\"a\":[1,null]}}"}'::jsonb[]) p;
-- largest name, in characters rather than bytes
SELECT jobsched.submit(repeat('é', 255)) AS id \gset
SELECT length(name) FROM jobsched.job_status WHERE id = :'id';

-- what is refused
SELECT s.* FROM (VALUES
	(1, $$SELECT jobsched.submit(NULL)$$),
	(2, $$SELECT jobsched.submit('')$$),
	(3, $$SELECT jobsched.submit(repeat('x', 256))$$),
	(4, $$SELECT jobsched.submit(E'a\nb')$$),
	(5, $$SELECT jobsched.submit('echo', NULL)$$),
	(6, $$SELECT jobsched.submit('echo', 'null')$$),
	(7, $$SELECT jobsched.submit('echo', '17')$$),
	(8, $$SELECT jobsched.submit('echo', 'true')$$),
	(9, $$SELECT jobsched.submit('echo', to_jsonb(repeat('x', 1048576)))$$),
	(10, $$SELECT jobsched.submit('echo', priority => 10)$$),
	(11, $$SELECT jobsched.submit('echo', priority => -1)$$),
	(12, $$SELECT jobsched.submit('echo', priority => NULL)$$),
	(13, $$SELECT jobsched.submit('echo', max_retries => 1001)$$),
	(14, $$SELECT jobsched.submit('echo', max_retries => -1)$$),
	(15, $$SELECT jobsched.submit('echo', timeout => '0')$$),
	(16, $$SELECT jobsched.submit('echo', timeout => '-1 s')$$),
	(17, $$SELECT jobsched.submit('echo', timeout => '31 days')$$),
	(18, $$SELECT jobsched.submit('echo', run_at => 'infinity')$$),
	(19, $$SELECT jobsched.submit('echo', run_at => '2030-01-01 00:00+00', cron => '* * * * *')$$),
	(20, $$SELECT jobsched.submit('echo', time_zone => 'UTC')$$),
	(21, $$SELECT jobsched.submit('echo', queue => '')$$),
	(22, $$SELECT jobsched.submit('echo', queue => 'a b')$$),
	(23, $$SELECT jobsched.submit('echo', queue => 'amq.direct')$$),
	(24, $$SELECT jobsched.submit('echo', queue => repeat('q', 101))$$),
	(25, $$SELECT jobsched.submit('echo', unique_key => '')$$),
	(26, $$SELECT jobsched.submit('echo', unique_key => repeat('k', 256))$$),
	(27, $$SELECT jobsched.submit('echo', cron => '* 25 * * *')$$),
	(28, $$SELECT jobsched.submit('echo', cron => '* * *')$$),
	(29, $$SELECT jobsched.submit('echo', cron => '0 0 30 2 *')$$),
	(30, $$SELECT jobsched.submit('echo', cron => '* * * * *', time_zone => 'Mars/Olympus')$$)
) t(n, statement), public.said(t.statement) s ORDER BY n;

-- what is at the edge is accepted
SELECT s.state, count(*) FROM (VALUES
	($$SELECT jobsched.submit('echo', to_jsonb(repeat('x', 1048574)))$$),
	($$SELECT jobsched.submit('echo', priority => 0)$$), ($$SELECT jobsched.submit('echo', priority => 9)$$),
	($$SELECT jobsched.submit('echo', max_retries => 0)$$), ($$SELECT jobsched.submit('echo', max_retries => 1000)$$),
	($$SELECT jobsched.submit('echo', timeout => '30 days')$$), ($$SELECT jobsched.submit('echo', timeout => '1 millisecond')$$),
	($$SELECT jobsched.submit('echo', queue => repeat('q', 100))$$), ($$SELECT jobsched.submit('echo', unique_key => repeat('k', 255))$$)
) t(statement), public.said(t.statement) s GROUP BY 1;

-- submit_many: answers in order, the fields of submit
CREATE TEMP TABLE many AS
SELECT id, n FROM jobsched.submit_many('[{"name":"a","priority":1},{"name":"b","payload":["x"],"queue":"other","run_at":"2031-01-01T00:00:00Z"},{"name":"c","max_retries":0,"timeout":1.5}]')
	WITH ORDINALITY m(id, n);
SELECT n, name, payload, queue, priority, max_retries, timeout FROM many JOIN jobsched.job_status USING (id) ORDER BY n;
CREATE TEMP TABLE mixed AS
SELECT id, n FROM jobsched.submit_many('[{"name":"a","unique_key":"m"},{"name":"b","unique_key":"m"},{"name":"c","cron":"0 0 * * *"}]') WITH ORDINALITY m(id, n);
SELECT array_agg(name ORDER BY n) FROM mixed JOIN jobsched.job_status USING (id);
-- of two that are alike the first gets the key; one that is taken gives its job
CREATE TEMP TABLE keyed AS
SELECT id, n FROM jobsched.submit_many('[{"name":"d","unique_key":"z"},{"name":"e","unique_key":"k 1"},{"name":"f","unique_key":"z","unique_mode":"keep"},{"name":"g","unique_key":"m"},{"name":"h"},
	{"name":"i","unique_key":"k"}]') WITH ORDINALITY m(id, n);
SELECT n, name, unique_key, (SELECT k.key FROM jobsched.unique_keys k WHERE k.job_id = s.id AND k.owner = current_user) AS key FROM keyed JOIN jobsched.job_status s USING (id) ORDER BY n;
SELECT jobsched.submit('other', unique_key => 'k') = id AS same FROM keyed WHERE n = 6;
SELECT count(*) FROM jobsched.submit_many('[]');
-- all or nothing, and the item is named
SELECT count(*) AS before FROM jobsched.jobs \gset
SELECT s.* FROM (VALUES
	(1, $$SELECT jobsched.submit_many(NULL)$$),
	(2, $$SELECT jobsched.submit_many('{}')$$),
	(3, $$SELECT jobsched.submit_many('[{"name":"a"},7]')$$),
	(4, $$SELECT jobsched.submit_many('[{"name":"a"},{"payload":{}}]')$$),
	(5, $$SELECT jobsched.submit_many('[{"name":"a"},{"name":"b","colour":"red"}]')$$),
	(6, $$SELECT jobsched.submit_many('[{"name":"a"},{"name":3}]')$$),
	(7, $$SELECT jobsched.submit_many('[{"name":"a"},{"name":"b","priority":"1"}]')$$),
	(8, $$SELECT jobsched.submit_many('[{"name":"a"},{"name":"b","priority":1.5}]')$$),
	(9, $$SELECT jobsched.submit_many('[{"name":"a"},{"name":"b","priority":11}]')$$),
	(10, $$SELECT jobsched.submit_many('[{"name":"a"},{"name":"b","run_at":"2030-13-01T00:00:00Z"}]')$$),
	(11, $$SELECT jobsched.submit_many('[{"name":"a"},{"name":"b","payload":null}]')$$),
	(12, $$SELECT jobsched.submit_many('[{"name":"a"},{"name":"b","cron":"61 * * * *"}]')$$),
	(13, $$SELECT jobsched.submit_many('[{"name":"a"},{"name":"b","timeout":-1}]')$$),
	(14, $$SELECT jobsched.submit_many('[{"name":"a","run_at":"2030-01-01T00:00:00+99"}]')$$),
	-- 600,000 characters, 1,200,002 bytes of JSON
	(15, $$SELECT jobsched.submit_many(jsonb_build_array(jsonb_build_object('name', 'a', 'payload', repeat(E'\n', 600000))))$$)
) t(n, statement), public.said(t.statement) s ORDER BY n;
SELECT count(*) - :before AS stored FROM jobsched.jobs;

-- REST's form
SELECT s.* FROM (VALUES
	(1, $$SELECT jobsched.rest_submit('[]')$$),
	(2, $$SELECT jobsched.rest_submit('{}')$$),
	(3, $$SELECT jobsched.rest_submit('{"name":"echo"}')$$),
	(4, $$SELECT jobsched.rest_submit('{"name":"echo","frequency":"once"}')$$),
	(5, $$SELECT jobsched.rest_submit('{"name":"echo","frequency":"cron"}')$$),
	(6, $$SELECT jobsched.rest_submit('{"name":"echo","frequency":"daily"}')$$),
	(7, $$SELECT jobsched.rest_submit('{"name":"echo","frequency":"once","next_run_time":"soon"}')$$),
	(8, $$SELECT jobsched.rest_submit('{"name":"echo","frequency":"once","next_run_time":-1}')$$),
	(9, $$SELECT jobsched.rest_submit('{"name":"echo","frequency":"once","next_run_time":1e30}')$$),
	(10, $$SELECT jobsched.rest_submit('{"name":"echo","frequency":"once","next_run_time":1,"cron":"* * * * *"}')$$),
	(11, $$SELECT jobsched.rest_submit('{"name":"echo","frequency":"cron","next_run_time":1,"cron":"* * * * *"}')$$),
	(12, $$SELECT jobsched.rest_submit('{"name":"echo","frequency":"once","next_run_time":1,"max_retries":"3"}')$$),
	(13, $$SELECT jobsched.rest_submit('{"name":"echo","frequency":"once","next_run_time":1,"extra":1}')$$),
	(14, $$SELECT jobsched.rest_get('00000000-0000-7000-8000-000000000000')$$),
	(15, $$SELECT jobsched.rest_cancel('00000000-0000-7000-8000-000000000000')$$),
	(16, $$SELECT jobsched.rest_submit('{"name":"echo","frequency":"once","next_run_time":"2030-01-01T00:00:00+99"}')$$)
) t(n, statement), public.said(t.statement) s ORDER BY n;
SELECT r -> 'created' AS created, r #> '{job,name}' AS name, r #> '{job,status}' AS status, r #> '{job,payload}' AS payload, r #> '{job,max_retries}' AS retries,
	r #> '{job,next_run_time}' AS epoch, r #> '{job,next_run_at}' AS at
FROM jobsched.rest_submit('{"name": "crawl_url", "payload": {"url": "https://example.com"}, "frequency": "once", "next_run_time": 1913280500, "max_retries": 3}') r;

-- many bodies of REST at once: each for itself, whatever its neighbours are
CREATE TEMP TABLE answers AS SELECT * FROM jobsched.rest_submit_many(ARRAY[
	'{"name": "echo", "frequency": "once", "next_run_time": 1913280500.25, "payload": {"a": "\u00e9\"", "n": [1.50, 1e3, null]}, "timeout": 1.5, "priority": 9}',
	'{"name": "echo"}',
	'nonsense',
	NULL,
	'{"name": "echo", "frequency": "once", "next_run_time": "2030-08-17T20:15:00+02:00", "payload": "text\n", "queue": "new one"}',
	'{"name": "echo", "frequency": "once", "next_run_time": "2030-08-17T20:15:00+02:00", "payload": "text\n", "queue": "new.one"}',
	'{"name": "echo", "frequency": "once", "next_run_time": 1, "unique_key": "batch"}',
	'{"name": "echo", "frequency": "once", "next_run_time": 1, "unique_key": "batch"}',
	'{"name": "echo", "frequency": "cron", "cron": "0 0 * * *"}',
	'{"name": "\u00e9", "frequency": "once", "next_run_time": 1}',
	'{"name": "echo", "frequency": "once", "next_run_time": 1, "payload": null}',
	'{"name": "echo", "frequency": "once", "next_run_time": "2030-02-29T00:00:00Z"}']);
SELECT n, created, id IS NOT NULL AS id, sqlstate, field, message FROM answers ORDER BY n;
SELECT n, job::jsonb = jobsched.rest_get(id) AS same, job::jsonb ->> 'status' AS status, job::jsonb -> 'payload' AS payload FROM answers WHERE id IS NOT NULL ORDER BY n;
SELECT count(DISTINCT id) FROM answers WHERE n IN (7, 8);
SELECT n, job::jsonb ->> 'next_run_at' AS at, job::jsonb -> 'next_run_time' AS epoch FROM answers WHERE n IN (1, 6) ORDER BY n;
-- bodies that Postgres can read take the same way without a subtransaction for each
SELECT n, created, sqlstate FROM jobsched.rest_submit_many(ARRAY['{"name": "echo", "frequency": "once", "next_run_time": 1}', '{}']);
SELECT count(*) FROM jobsched.rest_submit_many('{}');
-- keys
CREATE TEMP TABLE keyed_answers AS SELECT * FROM jobsched.rest_submit_many(ARRAY[
	'{"name": "echo", "frequency": "once", "next_run_time": 1913280500, "unique_key": "a \"2\""}',
	'{"name": "echo", "frequency": "once", "next_run_time": 1913280500, "unique_key": "a"}',
	'{"name": "other", "frequency": "once", "next_run_time": 1, "unique_key": "a \"2\""}',
	'{"name": "echo", "frequency": "once", "next_run_time": 1913280500}',
	'{"name": "echo", "frequency": "once", "next_run_time": 1913280500, "unique_key": "batch"}']);
SELECT n, created, job::jsonb ->> 'name' AS name, job::jsonb ->> 'unique_key' AS key, job::jsonb = jobsched.rest_get(id) AS same FROM keyed_answers ORDER BY n;
SELECT count(DISTINCT id) FROM keyed_answers;

-- what is plain and what is not gives the same rows
CREATE TEMP TABLE form AS
SELECT n, id FROM jobsched.submit_many('[{"name":"a","run_at":"2031-01-31T23:59:59.999999-03:30","payload":[1],"timeout":90,"retry_delay":0,"expires_at":2000000000,"backoff":"linear"},
	{"name":"a","run_at":"2031-02-01 03:29:59.999999 UTC","payload":[1],"timeout":"90 s","retry_delay":"0","expires_at":"2033-05-18 03:33:20 UTC","backoff":"linear"}]') WITH ORDINALITY m(id, n);
SELECT n, j.name, j.payload, j.timeout, j.retry_delay, j.expires_at AT TIME ZONE 'UTC' AS expires_at, j.backoff, j.state, j.frequency, t.run_at AT TIME ZONE 'UTC' AS run_at, t.due_at = t.run_at AS due, t.task, t.attempt,
	t.segment = jobsched.segment_of(j.id) AS segment, t.cron, j.owner = current_user AS mine
FROM form JOIN jobsched.jobs j USING (id) JOIN jobsched.timers t ON t.job_id = j.id ORDER BY n;
-- no index entry is missing
SET enable_seqscan = off;
SELECT count(*) FROM form JOIN jobsched.jobs j USING (id);
SELECT count(*) FROM form f JOIN jobsched.timers t ON t.job_id = f.id;
RESET enable_seqscan;
-- more than is stored at once; a read-only transaction accepts nothing
SELECT count(DISTINCT id), bool_and(id > before) AS ordered FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before FROM jobsched.submit_many((SELECT jsonb_agg(jsonb_build_object('name', 'bulk',
	'run_at', '2031-01-01T00:00:00Z')) FROM generate_series(1, 2500))) WITH ORDINALITY m(id, n)) x;
SELECT count(*) FROM jobsched.jobs j JOIN jobsched.timers t ON t.job_id = j.id WHERE j.name = 'bulk';
BEGIN READ ONLY;
SELECT jobsched.submit('echo');
ROLLBACK;

-- traceparent is kept with the job, whichever way it comes; the last one in mode replace
SELECT jobsched.submit('plain', traceparent => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', run_at => '2099-01-01') AS a,
	jobsched.submit('keyed', traceparent => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00', run_at => '2099-01-01', unique_key => 'traced') AS b,
	jobsched.submit('many', run_at => '2099-01-01') AS c \gset
SELECT ARRAY(SELECT jobsched.submit_many('[{"name": "item", "run_at": "2099-01-01T00:00:00Z", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02"},
	{"name": "keyed item", "unique_key": "traced too", "run_at": "2099-01-01T00:00:00Z", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"}]')) AS ids \gset
SELECT (jobsched.rest_submit('{"name": "rest", "frequency": "once", "next_run_time": 4102444800, "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-04"}') #>> '{job,id}')::uuid AS d \gset
SELECT name, traceparent FROM jobsched.job_status WHERE id IN (:'a', :'b', :'c', :'d') OR id = ANY (:'ids') ORDER BY traceparent;
SELECT jobsched.submit('keyed', traceparent => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-05', run_at => '2099-01-01', unique_key => 'traced', unique_mode => 'replace') = :'b' AS same;
SELECT traceparent FROM jobsched.job_status WHERE id = :'b';
SELECT s.state, s.field, s.message FROM unnest('{"",00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01,01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01,00-00000000000000000000000000000000-b7ad6b7169203331-01,00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01,00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x}'::text[]) t,
	public.said(format('SELECT jobsched.submit(''x'', traceparent => %L)', t)) s;
SELECT (public.said($$SELECT jobsched.submit_many('[{"name": "x", "traceparent": "no"}]')$$)).message;
DELETE FROM jobsched.timers t USING jobsched.jobs j WHERE j.id = t.job_id AND j.traceparent IS NOT NULL OR t.job_id = :'c';
DELETE FROM jobsched.unique_keys WHERE key LIKE 'traced%';
DELETE FROM jobsched.jobs WHERE traceparent IS NOT NULL OR id = :'c';
