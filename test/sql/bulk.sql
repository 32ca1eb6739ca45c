-- Waiting for the end of a job, and many jobs cancelled or tried again at once.
\set SHOW_CONTEXT never
TRUNCATE jobsched.jobs, jobsched.timers, jobsched.dispatches, jobsched.schedules, jobsched.job_executions, jobsched.expiries, jobsched.unique_keys;
SELECT jobsched.register_worker('bulk', '{jobs}', 4) AS w \gset
\set a '11111111-1111-4111-8111-111111111111'
\set b '22222222-2222-4222-8222-222222222222'

-- a job of each kind
SELECT jobsched.submit('done') AS done, jobsched.submit('bad', max_retries => 0) AS bad \gset
SELECT public.promote() AS d \gset
SELECT count(*) FROM jobsched.claim(:'w', :'a', ARRAY[:'d']::uuid[]);
SELECT answer FROM public.fin(:'w', :'d', :'a', '{0}', 'succeeded');
SELECT answer FROM public.fin(:'w', :'d', :'a', '{1}', 'failed');
SELECT jobsched.submit('running') AS running, jobsched.submit('tried') AS tried, jobsched.submit('both') AS both \gset
SELECT public.promote() AS d \gset
SELECT count(*) FROM jobsched.claim(:'w', :'b', ARRAY[:'d']::uuid[]);
SELECT answer FROM public.fin(:'w', :'d', :'b', '{1}', 'failed');
SELECT jobsched.submit('queued') AS queued, jobsched.submit('queued too', priority => 9) AS other \gset
SELECT public.promote() AS q \gset
SELECT jobsched.submit('planned', run_at => '2099-01-01') AS planned, jobsched.submit('held', run_at => '2099-01-01') AS held, jobsched.submit('elsewhere', run_at => '2099-01-01', queue => 'slow') AS elsewhere,
	jobsched.submit('dropped', run_at => '2099-01-01') AS dropped, jobsched.submit('late', run_at => '2099-01-01', expires_at => '2098-01-01') AS late, jobsched.schedule('nightly', '0 3 * * *', 'tick') AS cron \gset
SELECT jobsched.pause(:'held'), jobsched.cancel(:'dropped'), jobsched.run_now(:'both') IS NOT NULL AS twice;
UPDATE jobsched.expiries SET expires_at = now(), look_at = now();
SELECT * FROM jobsched._expire(0::smallint, 127::smallint, '-infinity');
SELECT name, status FROM jobsched.job_status ORDER BY name;

-- wait: how it ended, or how it is when the time is over
SELECT jobsched.wait(:'done'), jobsched.wait(:'bad'), jobsched.wait(:'dropped'), jobsched.wait(:'late', '0');
SELECT jobsched.wait(:'running', '0'), jobsched.wait(:'tried', '10 ms'), jobsched.wait(:'queued', '0'), jobsched.wait(:'held', '0');
SELECT clock_timestamp() AS t0 \gset
SELECT jobsched.wait(:'planned', '0.3 s'), clock_timestamp() - :'t0' BETWEEN '0.3 s' AND '2 s' AS in_time;
-- a second run of a job that had ended: the end before it does not count
SELECT jobsched.retry(:'bad') IS NOT NULL AS again;
SELECT jobsched.wait(:'bad', '10 ms');
SELECT s.* FROM unnest(ARRAY[format('SELECT jobsched.wait(%L)', gen_random_uuid()), format('SELECT jobsched.wait(%L)', :'cron'), format('SELECT jobsched.wait(%L, NULL)', :'done'),
	format('SELECT jobsched.wait(%L, ''-1 s'')', :'done'), format('SELECT jobsched.wait(%L, ''2 days'')', :'done')]) WITH ORDINALITY u(q, n)
CROSS JOIN LATERAL (SELECT n, s.state, s.field, regexp_replace(s.message, '[0-9a-f-]{36}', 'ID') AS message, s.hint FROM public.said(u.q) s) s;
-- where it could not see the end
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT state, message, hint FROM public.said(format('SELECT jobsched.wait(%L, ''0'')', :'planned'));
ROLLBACK;
BEGIN;
SELECT jobsched.submit('mine') AS mine \gset
SELECT state, regexp_replace(message, '[0-9a-f-]{36}', 'ID') AS message, hint FROM public.said(format('SELECT jobsched.wait(%L)', :'mine'));
SAVEPOINT s;
SELECT jobsched.retry(:'dropped') IS NOT NULL AS again;
RELEASE s;
SELECT (public.said(format('SELECT jobsched.wait(%L)', :'dropped'))).state, jobsched.wait(:'done'), jobsched.wait(:'planned', '0');
ROLLBACK;
SET statement_timeout = '200ms';
SELECT jobsched.wait(:'planned');
RESET statement_timeout;
CREATE ROLE js_cid; CREATE ROLE js_eye;
GRANT jobsched_submitter TO js_cid;
GRANT jobsched_viewer TO js_eye;
SET ROLE js_cid;
SELECT (public.said(format('SELECT jobsched.wait(%L, ''0'')', :'planned'))).state;
SELECT jobsched.submit('of cid', run_at => '2099-01-01') AS cid \gset
SELECT jobsched.wait(:'cid', '0');
SET ROLE js_eye;
SELECT jobsched.wait(:'planned', '0'), (public.said('SELECT jobsched.cancel_jobs(name => ''planned'')')).state;
RESET ROLE;

-- what is asked for must be said
SELECT s.* FROM unnest('{"","name => NULL","status => ''succeeded''","status => ''cancelling''","queue => ''nowhere''","queue => ''slow'', \"limit\" => 0","name => ''x'', \"limit\" => 100001","name => ''x'', \"limit\" => NULL",
	"created_after => ''2031-01-01'', created_before => ''2031-01-01''"}'::text[]) u(a)
CROSS JOIN LATERAL (SELECT * FROM public.said(format('SELECT jobsched.cancel_jobs(%s)', u.a))) s;
SELECT s.* FROM unnest('{"","status => ''running''","queue => ''nowhere''"}'::text[]) u(a) CROSS JOIN LATERAL (SELECT * FROM public.said(format('SELECT jobsched.retry_jobs(%s)', u.a))) s;

-- dry_run says how many, by each status, and changes nothing
SELECT s AS status, jobsched.cancel_jobs(status => s, dry_run => true) AS cancel, (SELECT count(*) FROM jobsched.job_status j WHERE j.status = s AND j.frequency = 'once') AS in_view
FROM unnest('{scheduled,queued,running,retrying,paused}'::text[]) s;
SELECT s AS status, jobsched.retry_jobs(status => s, dry_run => true) AS retry, (SELECT count(*) FROM jobsched.job_status j WHERE j.status = s AND j.frequency = 'once') AS in_view
FROM unnest('{failed,cancelled,expired}'::text[]) s;
SELECT jobsched.cancel_jobs(created_after => '2001-01-01', dry_run => true) AS all_that_live, jobsched.cancel_jobs(created_after => '2001-01-01', dry_run => true, "limit" => 3) AS three,
	jobsched.cancel_jobs(created_before => '2001-01-01', dry_run => true) AS none, jobsched.cancel_jobs(name => 'planned', status => 'paused', dry_run => true) AS none,
	jobsched.cancel_jobs(name => 'planned', queue => 'jobs', status => 'scheduled', created_after => '2001-01-01', created_before => '2099-01-01', dry_run => true) AS one;
SELECT jobsched.retry_jobs(created_after => '2001-01-01', dry_run => true) AS all_that_failed, jobsched.retry_jobs(name => 'late', queue => 'jobs', dry_run => true) AS one, jobsched.retry_jobs(queue => 'slow', dry_run => true) AS none;
SELECT count(*) FROM jobsched.jobs WHERE state = 'cancelled';
-- what GET /jobs finds by time, these find: by the time in the id, whenever the transaction began that submitted it
BEGIN;
UPDATE jobsched.jobs SET created_at = '2001-01-01' WHERE name IN ('planned', 'queued', 'late');
SELECT jobsched.cancel_jobs(name => 'planned', created_after => '2001-02-01', dry_run => true) AS planned, jobsched.cancel_jobs(name => 'queued', created_after => '2001-02-01', dry_run => true) AS queued,
	jobsched.retry_jobs(name => 'late', created_before => '2001-02-01', dry_run => true) AS late, json_array_length(jobsched.rest_jobs('{"name": "planned", "created_after": "2001-02-01T00:00:00Z"}') -> 'jobs') AS listed;
ROLLBACK;
SELECT jobsched.cancel_jobs(created_after => '-infinity', created_before => 'infinity', dry_run => true) = jobsched.cancel_jobs(created_after => '2001-01-01', dry_run => true) AS all_of_them;

-- a submitter changes only its own
SET ROLE js_cid;
SELECT jobsched.cancel_jobs(created_after => '2001-01-01', dry_run => true) AS own, jobsched.cancel_jobs(created_after => '2001-01-01') AS cancelled, jobsched.retry_jobs(status => 'cancelled') AS again,
	jobsched.retry_jobs(status => 'cancelled') AS no_more, jobsched.cancel_jobs(name => 'of cid') AS and_back;
RESET ROLE;

-- cancelled: what no worker has ends, what runs is told to stop
SELECT jobsched.cancel_jobs(queue => 'slow') AS slow, jobsched.cancel_jobs(queue => 'slow') AS no_more;
SELECT jobsched.cancel_jobs(name => 'queued') AS queued, jobsched.cancel_jobs(name => 'running') AS running, jobsched.cancel_jobs(name => 'both') AS both;
SELECT jobsched.cancel_jobs(name => 'running') AS told_already;
SELECT name, status, last_status FROM jobsched.job_status WHERE name IN ('elsewhere', 'queued', 'queued too', 'running', 'both') ORDER BY name;
SELECT status, done FROM jobsched.dispatches ORDER BY status;
SELECT run, command FROM jobsched.heartbeat(:'w', ARRAY[:'d']::uuid[], ARRAY[:'b']::uuid[]) ORDER BY run;
-- in pieces, until the answer is 0
SELECT jobsched.cancel_jobs(created_after => '2001-01-01', "limit" => 3) AS a, jobsched.cancel_jobs(created_after => '2001-01-01', "limit" => 3) AS b, jobsched.cancel_jobs(created_after => '2001-01-01', "limit" => 3) AS c;
SELECT name, status FROM jobsched.job_status ORDER BY name;
SELECT count(*) AS timers, count(*) FILTER (WHERE cron) AS of_cron FROM jobsched.timers;
SELECT count(*) AS twice FROM (SELECT FROM jobsched.job_executions GROUP BY job_id, run_at HAVING count(*) FILTER (WHERE final) > 1) x;
SELECT DISTINCT state_by = current_user AS by_me FROM jobsched.jobs WHERE state = 'cancelled' AND owner = current_user;

-- tried again: as retry() does, with all retries and without expires_at
SELECT answer FROM public.fin(:'w', :'d', :'b', '{0,2}', 'failed');
SELECT jobsched.retry_jobs(status => 'expired') AS expired, jobsched.retry_jobs(name => 'both') AS both, jobsched.retry_jobs(name => 'both') AS no_more;
SELECT j.name, j.state, j.expires_at, t.attempt, t.due_at <= clock_timestamp() AS due, t.run_at = j.rerun_at AS new_run, t.task = jobsched._task_hash(j.name) AS task FROM jobsched.timers t JOIN jobsched.jobs j ON j.id = t.job_id WHERE NOT t.cron ORDER BY 1;
SELECT count(*) FROM jobsched.expiries;
SELECT jobsched.retry_jobs(created_after => '2001-01-01', "limit" => 4) AS a, jobsched.retry_jobs(created_after => '2001-01-01', "limit" => 4) AS b, jobsched.retry_jobs(created_after => '2001-01-01', "limit" => 4) AS c,
	jobsched.retry_jobs(created_after => '2001-01-01', "limit" => 4) AS d;
SELECT status, count(*) FROM jobsched.job_status GROUP BY 1 ORDER BY 1;
-- one that ended in two runs at the same moment counts once
TRUNCATE jobsched.timers, jobsched.dispatches;
DO $$ BEGIN PERFORM jobsched.run_now(jobsched.submit('pair', run_at => '2099-01-01')); END $$;
SELECT jobsched.cancel_jobs(name => 'pair') AS one, (SELECT count(*) FROM jobsched.job_executions e JOIN jobsched.jobs j ON j.id = e.job_id WHERE j.name = 'pair') AS none_yet;
SELECT jobsched.retry_jobs(name => 'pair', dry_run => true) AS one, jobsched.retry_jobs(name => 'pair') AS again;

-- what has ended, each once: by what had been committed when it was looked the last time
SELECT count(*) > 10 AS many FROM jobsched.ended_since(now() - interval '1 hour');
SELECT pg_current_snapshot() AS seen, now() - interval '1 min' AS since, jobsched.submit('follow') AS f \gset
SELECT count(*) AS none FROM jobsched.ended_since(:'since', :'seen');
SELECT jobsched.cancel(:'f');
SELECT name, queue, status, attempt, final FROM jobsched.ended_since(:'since', :'seen');
SELECT count(*) AS none FROM jobsched.ended_since(:'since', pg_current_snapshot());
SET ROLE js_cid;
SELECT DISTINCT name FROM jobsched.ended_since(now() - interval '1 hour');
RESET ROLE;
TRUNCATE jobsched.jobs, jobsched.timers, jobsched.dispatches, jobsched.schedules, jobsched.job_executions;
DROP ROLE js_cid, js_eye;
