-- The extension as a catalog: created alone, nothing for PUBLIC, every public function and relation documented.
SET client_min_messages = warning;
CREATE EXTENSION jobsched;
RESET client_min_messages;

-- roles of the design, none of which can log in
SELECT rolname, rolcanlogin, rolsuper FROM pg_roles WHERE rolname LIKE 'jobsched\_%' AND rolname NOT LIKE '%login%' AND rolname NOT LIKE '%api%' ORDER BY 1;

-- no grant to PUBLIC on the schema, its functions, its relations
SELECT 'schema' AS what, nspname AS name FROM pg_namespace n, aclexplode(n.nspacl) a WHERE nspname = 'jobsched' AND a.grantee = 0
UNION ALL
SELECT 'function', p.oid::regprocedure::text FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
WHERE p.pronamespace = 'jobsched'::regnamespace AND a.grantee = 0
UNION ALL
SELECT 'relation', c.oid::regclass::text FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
WHERE c.relnamespace = 'jobsched'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S') AND a.grantee = 0;

-- SECURITY DEFINER functions have a fixed search_path; those in C set one for the statements that they run
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'jobsched'::regnamespace AND p.prosecdef AND p.prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false);

-- everything that people call or read is documented
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'jobsched'::regnamespace AND p.proname !~ '^_' AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT c.oid::regclass FROM pg_class c
WHERE c.relnamespace = 'jobsched'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition AND obj_description(c.oid, 'pg_class') IS NULL;

-- the script inserts no rows, and every table's rows are dumped (partitioned parents have none of their own)
SELECT count(*) AS rows FROM jobsched.cluster, jobsched.queues, jobsched.ring;
SELECT c.oid::regclass AS not_dumped FROM pg_class c, pg_extension e
WHERE e.extname = 'jobsched' AND c.relnamespace = 'jobsched'::regnamespace AND c.relkind = 'r' AND NOT c.oid = ANY (e.extconfig);

-- the ring: sixteen slots and the kept leaf, for both partitioned tables
SELECT inhparent::regclass, count(*), bool_and(pg_get_expr(c.relpartbound, c.oid) ~ '^FOR VALUES IN') AS lists
FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent IN ('jobsched.jobs'::regclass, 'jobsched.job_executions'::regclass) GROUP BY 1 ORDER BY 1;

-- ids: version 7, variant 10, slot in the top four bits of rand_a, in order
SELECT substr(id::text, 15, 1) AS version, substr(id::text, 20, 1) IN ('8', '9', 'a', 'b') AS variant, jobsched.slot_of(id) AS slot,
	abs(extract(epoch FROM now()) * 1000 - ('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint) < 60000 AS time
FROM jobsched.uuid_v7() id;
SELECT slot, jobsched.slot_of(jobsched._uuid_v7(slot)) FROM unnest('{0,7,15}'::int[]) slot;
SELECT bool_and(id > before) AS ascending, count(DISTINCT id) AS distinct_ids, bool_and(jobsched.segment_of(id) BETWEEN 0 AND 127) AS segments
FROM (SELECT id, coalesce(lag(id) OVER (ORDER BY n), '00000000-0000-0000-0000-000000000000') AS before
	FROM (SELECT n, jobsched._uuid_v7(3) AS id FROM generate_series(1, 10000) n OFFSET 0) x) y;
SELECT count(DISTINCT jobsched.segment_of(jobsched._uuid_v7(0))) > 100 AS spread FROM generate_series(1, 10000);

-- drop and create again; roles stay
DROP EXTENSION jobsched;
SELECT count(*) FROM pg_namespace WHERE nspname = 'jobsched';
SET client_min_messages = warning;
CREATE EXTENSION jobsched;
