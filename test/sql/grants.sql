-- Who may do what: two submitters, a viewer, an admin, a stranger.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS js_ann, js_bob, js_view, js_boss, js_work, js_none;
RESET client_min_messages;
CREATE ROLE js_ann; CREATE ROLE js_bob; CREATE ROLE js_view; CREATE ROLE js_boss; CREATE ROLE js_work; CREATE ROLE js_none;
GRANT jobsched_submitter TO js_ann, js_bob;
GRANT jobsched_viewer TO js_view;
GRANT jobsched_admin TO js_boss;
GRANT jobsched_worker TO js_work;
GRANT js_bob TO js_ann;

SET SESSION AUTHORIZATION js_ann;
SELECT jobsched.caller();
SELECT jobsched.submit('of ann', unique_key => 'same') AS ann \gset
-- another role that it may be: acts as bob, sees what is bob's, not what is ann's
SET ROLE js_bob;
SELECT jobsched.caller();
SELECT jobsched.submit('of bob', unique_key => 'same') AS bob \gset
SELECT name FROM jobsched.job_status WHERE owner LIKE 'js%' ORDER BY name;
SELECT (public.said(format('SELECT jobsched.cancel(%L)', :'ann'))).state;
SELECT (public.said(format('SELECT jobsched.rest_get(%L)', :'ann'))).state;
SELECT count(*) FROM jobsched.runs;
RESET ROLE;
SELECT name FROM jobsched.job_status ORDER BY name;
SELECT (public.said(format('SELECT jobsched.cancel(%L)', :'bob'))).state;
SELECT (public.said(format('SELECT jobsched.rest_cancel(%L)', :'bob'))).state;
SELECT (public.said(format('SELECT jobsched.rest_get(%L)', :'bob'))).state;
SELECT count(*) FROM jobsched.runs;
-- no table is in reach, neither are the workers' calls
SELECT t, (public.said(format('SELECT * FROM jobsched.%I', t))).state FROM unnest('{jobs,jobs_0,timers,dispatches,job_executions,workers,cluster,unique_keys}'::text[]) t;
SELECT (public.said($$DELETE FROM jobsched.timers$$)).state;
SELECT (public.said($$SELECT jobsched.claim(gen_random_uuid(), gen_random_uuid(), '{}')$$)).state;
SELECT (public.said($$SELECT jobsched._rescue(0::smallint, 127::smallint)$$)).state;
SELECT (public.said($$SELECT jobsched.adopt()$$)).state;

-- through a function of somebody else's the job is still the caller's
RESET SESSION AUTHORIZATION;
CREATE FUNCTION public.through() RETURNS uuid LANGUAGE sql SECURITY DEFINER AS $$ SELECT jobsched.submit('through a function') $$;
SET SESSION AUTHORIZATION js_bob;
SELECT public.through() AS id \gset
SELECT name, owner FROM jobsched.job_status WHERE id = :'id';

-- a hostile filter does not see other owners' rows before they are filtered (security_barrier)
CREATE FUNCTION pg_temp.peek(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
SELECT count(*) FROM jobsched.job_status WHERE pg_temp.peek(name);
DROP FUNCTION pg_temp.peek(text);

SET SESSION AUTHORIZATION js_view;
SELECT count(*) FROM jobsched.job_status WHERE owner LIKE 'js%';
SELECT (public.said($$SELECT jobsched.submit('x')$$)).state, (public.said(format('SELECT jobsched.cancel(%L)', :'ann'))).state AS cancel;

SET SESSION AUTHORIZATION js_boss;
SELECT jobsched.cancel(:'ann');
SELECT name, status FROM jobsched.job_status WHERE owner LIKE 'js%' ORDER BY name;

SET SESSION AUTHORIZATION js_work;
SELECT jobsched.register_worker('w', '{jobs}', 1) IS NOT NULL AS registered;
SELECT (public.said($$SELECT jobsched.submit('x')$$)).state, (public.said($$SELECT * FROM jobsched.job_status$$)).state AS view;

RESET SESSION AUTHORIZATION;
-- a worker may call what docs/protocol.md tells, the API what its routes are, and nothing else
SELECT array_agg(DISTINCT p.proname ORDER BY p.proname) FROM pg_proc p WHERE p.pronamespace = 'jobsched'::regnamespace AND has_function_privilege('js_work', p.oid, 'EXECUTE');
SELECT array_agg(p.proname) FROM pg_proc p WHERE p.pronamespace = 'jobsched'::regnamespace AND has_function_privilege('jobsched_api', p.oid, 'EXECUTE') AND p.proname !~ '^(rest_|health$)';

SET SESSION AUTHORIZATION js_none;
SELECT (public.said($$SELECT jobsched.submit('x')$$)).state, (public.said($$SELECT * FROM jobsched.job_status$$)).state AS view, (public.said($$SELECT jobsched.uuid_v7()$$)).state AS uuid;

RESET SESSION AUTHORIZATION;
DROP FUNCTION public.through();
DROP ROLE js_ann, js_bob, js_view, js_boss, js_work, js_none;
