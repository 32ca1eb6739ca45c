/* jobsched 1.0: schema, functions, grants.
 *
 * The protocol (timers -> dispatches -> job_executions) is model-checked in test/model.  A statement that is one of the
 * model's guards says so: "guard: NAME" is the mutant of test/model/mutants that fails without it.
 *
 * The script inserts no rows: a dump brings its own.  The first submit makes them.  register_worker does not, because workers
 * that wait for a database to come back register in the middle of its restore.
 */
\echo Use "CREATE EXTENSION jobsched" to load this file. \quit

CREATE SCHEMA jobsched;
COMMENT ON SCHEMA jobsched IS 'distributed job scheduler';

/* ------------------------------------------------------------------ roles */

DO $$
DECLARE
	r text;
BEGIN
	FOREACH r IN ARRAY ARRAY['jobsched_submitter', 'jobsched_worker', 'jobsched_viewer', 'jobsched_admin', 'jobsched_api', 'jobsched_scheduler'] LOOP
		IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r) THEN
			BEGIN
				EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', r);
			EXCEPTION WHEN duplicate_object OR unique_violation THEN
				NULL;	/* another database made it in the same moment */
			END;
		END IF;
	END LOOP;
	IF NOT pg_catalog.pg_has_role('jobsched_admin', 'jobsched_submitter', 'MEMBER') THEN
		GRANT jobsched_submitter TO jobsched_admin;
	END IF;
	IF NOT pg_catalog.pg_has_role('jobsched_admin', 'jobsched_viewer', 'MEMBER') THEN
		GRANT jobsched_viewer TO jobsched_admin;
	END IF;
END $$;

/* ----------------------------------------------------------------- tables */

CREATE TABLE jobsched.jobs (
	slot smallint NOT NULL,
	id uuid NOT NULL,
	priority smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 9),
	max_retries smallint NOT NULL DEFAULT 3 CHECK (max_retries BETWEEN 0 AND 1000),
	queue smallint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	name text NOT NULL,
	frequency text NOT NULL CHECK (frequency IN ('once', 'cron')),
	state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'cancelled')),
	owner text NOT NULL,
	payload jsonb NOT NULL,
	timeout interval,
	retry_delay interval,
	retry_delay_max interval,
	backoff text NOT NULL DEFAULT 'exponential' CHECK (backoff IN ('exponential', 'linear', 'constant')),
	expires_at timestamptz,
	unique_key text,
	rerun_at timestamptz,
	state_by text,
	state_at timestamptz,
	traceparent text,
	PRIMARY KEY (id, slot)
) PARTITION BY LIST (slot);

CREATE TABLE jobsched.job_executions (
	slot smallint NOT NULL,
	attempt smallint NOT NULL,
	final boolean NOT NULL,
	job_id uuid NOT NULL,
	worker_id uuid,
	run_at timestamptz NOT NULL,
	queued_at timestamptz,
	started_at timestamptz,
	finished_at timestamptz NOT NULL,
	status text NOT NULL CHECK (status IN ('succeeded', 'failed', 'lost', 'cancelled', 'expired')),
	reason text,
	error text,
	result_payload jsonb,
	artifacts jsonb
) PARTITION BY LIST (slot);

/* The ring: no DDL ever happens while the scheduler runs, so all leaves are made here and are members of the extension. */
DO $$
DECLARE
	base text;
	i int;
BEGIN
	FOREACH base IN ARRAY ARRAY['jobs', 'job_executions'] LOOP
		FOR i IN 0 .. 16 LOOP
			EXECUTE pg_catalog.format('CREATE TABLE jobsched.%I PARTITION OF jobsched.%I FOR VALUES IN (%s)',
				base || CASE i WHEN 16 THEN '_kept' ELSE '_' || i END, base, i);
			EXECUTE pg_catalog.format('SELECT pg_catalog.pg_extension_config_dump(%L, '''')',
				'jobsched.' || base || CASE i WHEN 16 THEN '_kept' ELSE '_' || i END);
		END LOOP;
	END LOOP;
END $$;

/* The last execution of a job is found at once, however many it has: a cron job may have millions. */
CREATE INDEX ON jobsched.job_executions (job_id, finished_at);
CREATE INDEX ON jobsched.job_executions (status, job_id) WHERE final AND status IN ('failed', 'cancelled', 'expired');
/* What has ended lately, at nearly no cost: rows come in the order of time. */
CREATE INDEX ON jobsched.job_executions USING brin (finished_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE jobsched.timers (
	due_at timestamptz NOT NULL,
	run_at timestamptz NOT NULL,
	job_id uuid NOT NULL,
	task integer NOT NULL,
	attempt smallint NOT NULL DEFAULT 1,
	failures smallint NOT NULL DEFAULT 0,
	losses smallint NOT NULL DEFAULT 0,
	priority smallint NOT NULL,
	queue smallint NOT NULL,
	segment smallint NOT NULL,
	cron boolean NOT NULL DEFAULT false
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX timers_due ON jobsched.timers (queue, priority, due_at);
CREATE INDEX timers_job ON jobsched.timers (job_id);
/* For lists and counts of what is rare among millions; one index, because each costs a submit a microsecond. */
CREATE INDEX timers_rare ON jobsched.timers (job_id) WHERE attempt > 1 OR due_at = 'infinity';

/* Arrays of up to 64 runs stay inline (toast_tuple_target); room for the claim's new version on the same page. */
CREATE TABLE jobsched.dispatches (
	id uuid PRIMARY KEY,
	worker uuid,
	claim_token uuid,
	queued_at timestamptz NOT NULL DEFAULT now(),
	claimed_at timestamptz,
	done bigint NOT NULL DEFAULT 0,
	cancels bigint NOT NULL DEFAULT 0,
	queue smallint NOT NULL,
	priority smallint NOT NULL,
	segment smallint NOT NULL,
	status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'claimed')),
	job_ids uuid[] NOT NULL,
	run_ats timestamptz[] NOT NULL,
	attempts smallint[] NOT NULL,
	failures smallint[] NOT NULL,
	losses smallint[] NOT NULL,
	tasks integer[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50, toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE TABLE jobsched.schedules (
	job_id uuid PRIMARY KEY,
	schedule_name text,
	owner text NOT NULL,
	cron text NOT NULL,
	time_zone text NOT NULL,
	last_run_at timestamptz,
	waits_until timestamptz,
	starts_at timestamptz,
	ends_at timestamptz,
	max_runs bigint CHECK (max_runs > 0),
	fired bigint NOT NULL DEFAULT 0,
	jitter interval CHECK (jitter >= interval '0'),
	catchup_window interval NOT NULL DEFAULT '1 day' CHECK (catchup_window >= interval '0'),
	catchup_max integer NOT NULL DEFAULT 100 CHECK (catchup_max BETWEEN 1 AND 10000),
	paused boolean NOT NULL DEFAULT false,
	misfire_policy text NOT NULL DEFAULT 'run_once' CHECK (misfire_policy IN ('run_once', 'skip', 'run_all')),
	overlap_policy text NOT NULL DEFAULT 'skip' CHECK (overlap_policy IN ('skip', 'queue_one', 'allow', 'cancel_running')),
	dst_gap text NOT NULL DEFAULT 'next_valid' CHECK (dst_gap IN ('next_valid', 'skip')),
	dst_overlap text NOT NULL DEFAULT 'first' CHECK (dst_overlap IN ('first', 'last', 'both')),
	UNIQUE (owner, schedule_name)
) WITH (fillfactor = 80);

CREATE TABLE jobsched.cron_ticks (
	job_id uuid NOT NULL,
	run_at timestamptz NOT NULL,
	outcome text NOT NULL CHECK (outcome IN ('fired', 'skipped_overlap', 'skipped_paused', 'misfired', 'coalesced')),
	decided_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (job_id, run_at)
);

CREATE TABLE jobsched.queues (
	id smallint PRIMARY KEY,
	name text NOT NULL UNIQUE,
	paused boolean NOT NULL DEFAULT false,
	dispatch_window integer CHECK (dispatch_window > 0),
	paused_by text,
	paused_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE jobsched.unique_keys (
	owner text NOT NULL,
	key text NOT NULL,
	job_id uuid NOT NULL,
	PRIMARY KEY (owner, key)
);

CREATE TABLE jobsched.workers (
	id uuid PRIMARY KEY,
	worker_id text NOT NULL,
	queues text[] NOT NULL,
	slots integer NOT NULL,
	state text NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'stopped')),
	started_at timestamptz NOT NULL DEFAULT now(),
	last_seen timestamptz NOT NULL,
	load jsonb NOT NULL DEFAULT '{}',
	info jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);

CREATE TABLE jobsched.ring (
	slot smallint PRIMARY KEY CHECK (slot BETWEEN 0 AND 15),
	opened_at timestamptz NOT NULL,
	closed_at timestamptz
);

CREATE TABLE jobsched.sweeps (
	slot smallint PRIMARY KEY CHECK (slot BETWEEN 0 AND 16),
	began_at timestamptz NOT NULL,
	phase text NOT NULL DEFAULT 'sweep' CHECK (phase IN ('sweep', 'keep', 'empty', 'emptied')),
	swept_to uuid,
	moved_in xid8
);
CREATE TABLE jobsched.expiries (
	job_id uuid PRIMARY KEY,
	expires_at timestamptz NOT NULL,
	look_at timestamptz NOT NULL,
	segment smallint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX expiries_look ON jobsched.expiries (look_at);

CREATE TABLE jobsched.cluster (
	system_identifier text NOT NULL,
	database oid NOT NULL,
	adopted_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (system_identifier, database)
);

CREATE UNLOGGED TABLE jobsched.progress (
	job_id uuid NOT NULL,
	run_at timestamptz NOT NULL,
	attempt smallint NOT NULL,
	percent real CHECK (percent BETWEEN 0 AND 100),
	message text,
	reported_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (job_id, run_at)
);

SELECT pg_catalog.pg_extension_config_dump('jobsched.timers', '');
SELECT pg_catalog.pg_extension_config_dump('jobsched.dispatches', '');
SELECT pg_catalog.pg_extension_config_dump('jobsched.schedules', '');
SELECT pg_catalog.pg_extension_config_dump('jobsched.cron_ticks', '');
SELECT pg_catalog.pg_extension_config_dump('jobsched.queues', '');
SELECT pg_catalog.pg_extension_config_dump('jobsched.unique_keys', '');
SELECT pg_catalog.pg_extension_config_dump('jobsched.workers', '');
SELECT pg_catalog.pg_extension_config_dump('jobsched.ring', '');
SELECT pg_catalog.pg_extension_config_dump('jobsched.sweeps', 'WHERE false');
SELECT pg_catalog.pg_extension_config_dump('jobsched.expiries', '');
SELECT pg_catalog.pg_extension_config_dump('jobsched.cluster', '');
SELECT pg_catalog.pg_extension_config_dump('jobsched.progress', '');

COMMENT ON TABLE jobsched.jobs IS 'what to run: one row a job, in a ring of slots (0..15, and 16 = kept)';
COMMENT ON COLUMN jobsched.jobs.slot IS 'leaf: the slot named in the id, or 16 (jobs_kept: cron jobs and what outlives its slot)';
COMMENT ON COLUMN jobsched.jobs.name IS 'task that workers run';
COMMENT ON COLUMN jobsched.jobs.queue IS 'queues.id';
COMMENT ON COLUMN jobsched.jobs.rerun_at IS 'run_at of the run that run_now or retry planned last: earlier ends do not count';
COMMENT ON COLUMN jobsched.jobs.state_by IS 'who paused, resumed or cancelled it last';
COMMENT ON COLUMN jobsched.jobs.traceparent IS 'W3C Trace Context of whoever submitted it, for its task';
COMMENT ON COLUMN jobsched.jobs.owner IS 'role the submitter acted as';
COMMENT ON TABLE jobsched.job_executions IS 'one row an ended attempt; append-only, in the same ring as jobs';
COMMENT ON COLUMN jobsched.job_executions.final IS 'true: the run ended with this attempt; false: it is tried again';
COMMENT ON COLUMN jobsched.job_executions.run_at IS 'nominal time of the run; with job_id its name, and the idempotency key of its task';
COMMENT ON COLUMN jobsched.job_executions.started_at IS 'when the task started; null if it never did, or if nobody knows (lost)';
COMMENT ON COLUMN jobsched.job_executions.worker_id IS 'workers.id of the process that ran it';
COMMENT ON TABLE jobsched.timers IS 'when a run is due; the only table that the due scan reads';
COMMENT ON COLUMN jobsched.timers.task IS 'hash of the job''s name, so that a dispatch can be sized without reading jobs';
COMMENT ON COLUMN jobsched.timers.segment IS 'hash of job_id, 0..127: the slices that schedulers share';
COMMENT ON COLUMN jobsched.timers.cron IS 'true: the planned time of a cron job; promoting it plans the next one';
COMMENT ON TABLE jobsched.dispatches IS 'up to 64 runs handed out together: one message; only work in flight';
COMMENT ON COLUMN jobsched.dispatches.done IS 'bit n set: run n has ended or gone elsewhere';
COMMENT ON COLUMN jobsched.dispatches.cancels IS 'bit n set: run n, of a job that goes on, is told to stop (overlap_policy cancel_running); it ends cancelled unless it succeeds';
COMMENT ON COLUMN jobsched.dispatches.tasks IS 'timers.task of each run, for the metrics';
COMMENT ON TABLE jobsched.schedules IS 'the narrow part of a cron job, which each tick locks and updates';
COMMENT ON COLUMN jobsched.schedules.fired IS 'runs planned by the clock so far, for max_runs';
COMMENT ON COLUMN jobsched.schedules.paused IS 'true: its times pass as skipped_paused';
COMMENT ON COLUMN jobsched.schedules.last_run_at IS 'latest nominal time promoted; guards against planning a time twice';
COMMENT ON COLUMN jobsched.schedules.waits_until IS 'times up to this one were promised a run and wait for the end of the one before (queue_one, run_all)';
COMMENT ON TABLE jobsched.cron_ticks IS 'what became of each nominal time of a cron job';
COMMENT ON TABLE jobsched.queues IS 'queues: each has a RabbitMQ queue of the same name';
COMMENT ON COLUMN jobsched.queues.dispatch_window IS 'largest number of unclaimed dispatches; null: jobsched.dispatch_window';
COMMENT ON TABLE jobsched.unique_keys IS 'unique_key of submit, by owner';
COMMENT ON TABLE jobsched.workers IS 'one row a start of a worker process';
COMMENT ON COLUMN jobsched.workers.worker_id IS 'label given by WORKER_ID; several processes may share it';
COMMENT ON TABLE jobsched.ring IS 'slots of the ring that have been opened; the open one has no closed_at';
COMMENT ON TABLE jobsched.sweeps IS 'how far the next slot of the ring has been emptied; 16: the kept leaves.  Not in dumps: it begins anew';
COMMENT ON COLUMN jobsched.sweeps.swept_to IS 'jobs up to this id have been looked at';
COMMENT ON COLUMN jobsched.sweeps.moved_in IS 'transaction of the last move of rows out of the slot';
COMMENT ON TABLE jobsched.expiries IS 'jobs with expires_at whose end the scheduler has to see to';
COMMENT ON COLUMN jobsched.expiries.look_at IS 'when to look: expires_at, or later, while a run of the job is with a worker then';
COMMENT ON TABLE jobsched.cluster IS 'the system and database that this data belongs to; any other row makes it a copy; see adopt()';
COMMENT ON TABLE jobsched.progress IS 'progress that running tasks report; unlogged';

/* --------------------------------------------------------- functions in C */

CREATE FUNCTION jobsched._uuid_v7(slot int) RETURNS uuid LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'js_uuid_v7';
CREATE FUNCTION jobsched.slot_of(id uuid) RETURNS smallint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_slot_of';
CREATE FUNCTION jobsched.segment_of(id uuid) RETURNS smallint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_segment_of';
CREATE FUNCTION jobsched._task_hash(name text) RETURNS integer LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_task_hash';
CREATE FUNCTION jobsched.caller() RETURNS text LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'js_caller';
CREATE FUNCTION jobsched._wake(queue smallint, priority smallint, due timestamptz) RETURNS void LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'js_wake';
CREATE FUNCTION jobsched._dequeued(queue smallint, n int) RETURNS void LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'js_dequeued';
CREATE FUNCTION jobsched._urge(worker uuid) RETURNS void LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'js_urge';
CREATE FUNCTION jobsched._wake_expiry(at timestamptz) RETURNS void LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'js_wake_expiry';
CREATE FUNCTION jobsched._submitted(name text) RETURNS void LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'js_submitted';
/* Counts the end of an attempt, as the metrics want it, and returns the slot in which it is recorded; status: that of job_executions, and `retried` for failed ones that are tried again. */
CREATE FUNCTION jobsched._counted(slot smallint, task int, status text, job_id uuid DEFAULT NULL, run_at timestamptz DEFAULT NULL, attempt smallint DEFAULT NULL,
		started_at timestamptz DEFAULT NULL, ran_us bigint DEFAULT NULL) RETURNS smallint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'js_counted';
CREATE FUNCTION jobsched._counters(OUT name text, OUT task text, OUT label text, OUT le float8, OUT value float8) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL SAFE ROWS 500 AS 'MODULE_PATHNAME', 'js_counters';
CREATE FUNCTION jobsched._system_identifier() RETURNS text LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_system_identifier';
CREATE FUNCTION jobsched._preloaded() RETURNS boolean LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_preloaded';
CREATE FUNCTION jobsched.worker_lease() RETURNS interval LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_worker_lease';
CREATE FUNCTION jobsched._max_losses() RETURNS int LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_max_losses';
CREATE FUNCTION jobsched._max_payload_bytes() RETURNS int LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_max_payload_bytes';
CREATE FUNCTION jobsched._retry_delay() RETURNS interval LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_retry_delay';
CREATE FUNCTION jobsched._retry_delay_max() RETURNS interval LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_retry_delay_max';
CREATE FUNCTION jobsched._retention() RETURNS interval LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_retention_interval';
CREATE FUNCTION jobsched._retention_failed() RETURNS interval LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_retention_failed_interval';
CREATE FUNCTION jobsched._default_queue() RETURNS text LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_default_queue';
CREATE FUNCTION jobsched._default_time_zone() RETURNS text LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_default_time_zone';
CREATE FUNCTION jobsched.cron_next(expr text, after timestamptz DEFAULT now(), time_zone text DEFAULT NULL) RETURNS timestamptz
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_cron_next';
CREATE FUNCTION jobsched._cron_next(expr text, after timestamptz, time_zone text, dst_gap text, dst_overlap text) RETURNS timestamptz
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_cron_next';
CREATE FUNCTION jobsched.cron_next_n(expr text, n int, after timestamptz DEFAULT now(), time_zone text DEFAULT NULL,
		OUT number int, OUT at timestamptz, OUT local_time timestamp, OUT utc_offset interval, OUT note text) RETURNS SETOF record
	LANGUAGE c STABLE PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'js_cron_next_n';
CREATE FUNCTION jobsched._zone_name(time_zone text) RETURNS text LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_zone_name';
CREATE FUNCTION jobsched.cron_describe(expr text) RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_cron_describe';
CREATE FUNCTION jobsched.scheduler_status(OUT database text, OUT slice int, OUT pid int, OUT state text, OUT broker text,
	OUT started_at timestamptz, OUT next_wake timestamptz, OUT promoted bigint, OUT published bigint, OUT confirmed bigint,
	OUT returned bigint, OUT republished bigint, OUT rescued bigint, OUT loops bigint,
	OUT woken_by_latch bigint, OUT woken_by_time bigint, OUT woken_by_broker bigint, OUT expired bigint) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'js_scheduler_status';

COMMENT ON FUNCTION jobsched.slot_of(uuid) IS 'slot of the ring in which a job with this id was made (0..15)';
COMMENT ON FUNCTION jobsched.segment_of(uuid) IS 'segment of a job (0..127): which scheduler process promotes it';
COMMENT ON FUNCTION jobsched.caller() IS 'role the caller acts as: SET ROLE counts, SECURITY DEFINER functions in between do not';
COMMENT ON FUNCTION jobsched.worker_lease() IS 'jobsched.worker_lease: how long a worker may go unheard before its runs are taken back';
COMMENT ON FUNCTION jobsched.cron_next(text, timestamptz, text) IS
	'first time strictly later than `after` that matches the cron expression, in whole seconds; JS001 names the field at fault';
COMMENT ON FUNCTION jobsched.cron_next_n(text, int, timestamptz, text) IS
	'the next n (1..1000) times of a cron expression, on the clock of the time zone too; note says where daylight saving time moved or repeated one';
COMMENT ON FUNCTION jobsched.cron_describe(text) IS 'a cron expression in plain English';
COMMENT ON FUNCTION jobsched.scheduler_status() IS
	'scheduler processes of this server: state, broker connection, counters since their start; no row when the library is not preloaded';

/* ---------------------------------------------------------- small helpers */

CREATE FUNCTION jobsched._sees_all() RETURNS boolean LANGUAGE sql STABLE AS
	$$ SELECT pg_catalog.pg_has_role(jobsched.caller()::name, 'jobsched_viewer', 'USAGE') OR pg_catalog.pg_has_role(jobsched.caller()::name, 'jobsched_api', 'USAGE') $$;
CREATE FUNCTION jobsched._manages_all() RETURNS boolean LANGUAGE sql STABLE AS
	$$ SELECT pg_catalog.pg_has_role(jobsched.caller()::name, 'jobsched_admin', 'USAGE') OR pg_catalog.pg_has_role(jobsched.caller()::name, 'jobsched_api', 'USAGE') $$;

CREATE FUNCTION jobsched._open_slot() RETURNS smallint LANGUAGE sql STABLE AS
	$$ SELECT coalesce((SELECT r.slot FROM jobsched.ring r WHERE r.closed_at IS NULL ORDER BY r.opened_at DESC LIMIT 1), 0::smallint) $$;

CREATE FUNCTION jobsched.uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ SELECT jobsched._uuid_v7(jobsched._open_slot()) $$;
COMMENT ON FUNCTION jobsched.uuid_v7() IS 'a new id: UUIDv7 (RFC 9562) whose top four bits of rand_a are the open slot of the ring';

/*
 * What the scheduler processes of this database do: the state of the one that is worst off, where one without segments counts least; null
 * when there is none.  The words before its colon are for programs.
 */
CREATE FUNCTION jobsched._scheduler_state() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT x.state
	FROM (SELECT CASE WHEN s.pid <> 0 OR s.state LIKE 'waiting: %' THEN s.state ELSE 'not running' END AS state
		FROM jobsched.scheduler_status() s WHERE s.database = current_database()) x
	ORDER BY array_position('{not running,waiting,resting,disabled,starting,running,standby,idle}'::text[], split_part(x.state, ':', 1)) LIMIT 1
$$;

/* A submit in the middle of a restore claims the database too early: the row that the restore brings takes that back.  In PL/pgSQL, whose plan is kept. */
CREATE FUNCTION jobsched._adopted() RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN (SELECT coalesce(bool_and(c.system_identifier = jobsched._system_identifier()
			AND c.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())), false)
		FROM jobsched.cluster c);
END $$;

/* The first use of a new database claims it; a restored one brings its row along and is left alone. */
CREATE FUNCTION jobsched._first_use() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM jobsched.cluster) THEN
		INSERT INTO jobsched.cluster (system_identifier, database)
		SELECT jobsched._system_identifier(), d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()
		ON CONFLICT DO NOTHING;
	END IF;
END $$;

CREATE FUNCTION jobsched._invalid(field text, message text, hint text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'JS001', MESSAGE = message, HINT = hint, COLUMN = coalesce(field, '');
END $$;

CREATE FUNCTION jobsched._unknown_job(id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'JS002', MESSAGE = format('job %s does not exist', id),
		HINT = 'It may never have existed, belong to another role, or be older than the retention.';
END $$;

CREATE FUNCTION jobsched._unknown_queue(queue text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'JS002', MESSAGE = format('queue %L does not exist', left(queue, 200)),
		HINT = 'SELECT name FROM jobsched.queues lists those that jobs or workers have named.', COLUMN = 'queue';
END $$;

CREATE FUNCTION jobsched._check_queue(queue text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF coalesce(queue !~ '^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}$' OR queue ~* '^amq\.', true) THEN
		PERFORM jobsched._invalid('queue', format('queue: %L is not a queue name', left(queue, 200)),
			'1 to 100 letters, digits, "_", ".", ":" or "-", the first a letter, digit or "_"; names that begin with "amq." are RabbitMQ''s.');
	END IF;
END $$;

CREATE FUNCTION jobsched._queue_id(queue text) RETURNS smallint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	found_id smallint;
BEGIN
	LOOP
		SELECT q.id INTO found_id FROM jobsched.queues q WHERE q.name = _queue_id.queue;
		IF FOUND THEN
			RETURN found_id;
		END IF;
		PERFORM jobsched._check_queue(_queue_id.queue);
		INSERT INTO jobsched.queues (id, name)
		SELECT coalesce(max(q.id), 0) + 1, _queue_id.queue FROM jobsched.queues q
		ON CONFLICT DO NOTHING;
	END LOOP;
END $$;

/* Delay before the attempt that follows failure number n (1..): base, doubled, multiplied or as it is, to a limit, plus up to 10 % jitter. */
CREATE FUNCTION jobsched._backoff(n int, base interval, most interval, shape text DEFAULT 'exponential') RETURNS interval LANGUAGE sql VOLATILE AS
	$$ SELECT least(extract(epoch FROM coalesce(most, jobsched._retry_delay_max()))::float8,	/* an interval would overflow */
			extract(epoch FROM coalesce(base, jobsched._retry_delay()))::float8
			* CASE shape WHEN 'linear' THEN n WHEN 'constant' THEN 1 ELSE power(2::float8, least(n - 1, 100)) END)
		* (1 + random() * 0.1) * interval '1 second' $$;

/*
 * All of dispatches, by its index.  After a rush the heap is long and nearly all dead until vacuum comes, but dead entries of the index are
 * marked when they have been met once.  The planner, to whom the table looks empty, would read the heap.
 */
CREATE FUNCTION jobsched._in_flight() RETURNS SETOF jobsched.dispatches LANGUAGE plpgsql STABLE ROWS 20
	SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
	RETURN QUERY SELECT d.* FROM jobsched.dispatches d WHERE d.id >= '00000000-0000-0000-0000-000000000000';
END $$;

/* Bits 0..n-1.  Not (1 << n) - 1, which overflows at 63. */
CREATE FUNCTION jobsched._all_bits(n int) RETURNS bigint LANGUAGE sql IMMUTABLE AS
	$$ SELECT CASE WHEN n >= 64 THEN -1::bigint ELSE ~(-1::bigint << n) END $$;

/* ----------------------------------------------------------------- submit */

CREATE FUNCTION jobsched._check_retry(expires_at timestamptz, retry_delay interval, retry_delay_max interval, backoff text, label text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF expires_at IN ('infinity', '-infinity') THEN
		PERFORM jobsched._invalid('expires_at', label || format('expires_at: %s is not a time', expires_at), 'NULL: it waits for as long as it takes.');
	END IF;
	IF retry_delay < interval '0' OR retry_delay > interval '30 days' THEN
		PERFORM jobsched._invalid('retry_delay', label || format('retry_delay: %s is out of range 0..30 days', retry_delay), 'NULL: jobsched.retry_delay.');
	END IF;
	IF retry_delay_max < interval '0' OR retry_delay_max > interval '30 days' THEN
		PERFORM jobsched._invalid('retry_delay_max', label || format('retry_delay_max: %s is out of range 0..30 days', retry_delay_max), 'NULL: jobsched.retry_delay_max.');
	END IF;
	IF backoff IS NULL OR backoff NOT IN ('exponential', 'linear', 'constant') THEN
		PERFORM jobsched._invalid('backoff', label || format('backoff: %L is not allowed', backoff), 'Allowed: exponential, linear, constant.');
	END IF;
END $$;

/* What is checked of every job, new or changed. */
CREATE FUNCTION jobsched._check_job(name text, payload jsonb, priority int, max_retries int, timeout interval, label text) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_variable
BEGIN
	IF name IS NULL OR length(name) NOT BETWEEN 1 AND 255 OR name ~ '[[:cntrl:]]' THEN
		PERFORM jobsched._invalid('name', label || CASE
			WHEN name IS NULL THEN 'name: missing'
			WHEN name = '' THEN 'name: empty'
			WHEN length(name) > 255 THEN format('name: %s characters are too many', length(name))
			ELSE format('name: %s contains a control character', to_json(name)) END,
			'The task''s name has 1 to 255 characters, none of them a control character.');
	END IF;
	IF payload IS NULL OR jsonb_typeof(payload) NOT IN ('object', 'array', 'string') THEN
		PERFORM jobsched._invalid('payload', label || format('payload: %s is not allowed', coalesce(payload::text, 'NULL')),
			'The payload is a JSON object, array or string.');
	END IF;
	IF octet_length(payload::text) > jobsched._max_payload_bytes() THEN
		PERFORM jobsched._invalid('payload', label || format('payload: %s bytes are too many, at most %s',
			octet_length(payload::text), jobsched._max_payload_bytes()),
			'Store large data elsewhere and submit a reference, or raise jobsched.max_payload_bytes.');
	END IF;
	IF priority IS NULL OR priority NOT BETWEEN 0 AND 9 THEN
		PERFORM jobsched._invalid('priority', label || format('priority: %s is out of range 0..9', coalesce(priority::text, 'NULL')),
			'9 goes first, 0 last.');
	END IF;
	IF max_retries IS NULL OR max_retries NOT BETWEEN 0 AND 1000 THEN
		PERFORM jobsched._invalid('max_retries', label || format('max_retries: %s is out of range 0..1000', coalesce(max_retries::text, 'NULL')),
			'The number of attempts after the first one; 0: the task is tried once.');
	END IF;
	IF timeout <= interval '0' OR timeout > interval '30 days' THEN
		PERFORM jobsched._invalid('timeout', label || format('timeout: %s is out of range, more than 0 and at most 30 days', timeout),
			'NULL: no time limit of its own.');
	END IF;
END $$;

/* jobs.expires_at has become this: the scheduler looks then.  The caller holds the job. */
CREATE FUNCTION jobsched._set_expiry(id uuid, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF at IS NULL THEN
		DELETE FROM jobsched.expiries e WHERE e.job_id = id;
		RETURN;
	END IF;
	INSERT INTO jobsched.expiries (job_id, expires_at, look_at, segment) VALUES (id, at, at, jobsched.segment_of(id))
	ON CONFLICT (job_id) DO UPDATE SET expires_at = excluded.expires_at, look_at = excluded.look_at;
	PERFORM jobsched._wake_expiry(at);
END $$;

/* The same for jobs that are new. */
CREATE FUNCTION jobsched._new_expiries(ids uuid[], ats timestamptz[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO jobsched.expiries (job_id, expires_at, look_at, segment)
	SELECT u.id, u.at, u.at, jobsched.segment_of(u.id) FROM unnest(ids, ats) AS u(id, at);
	PERFORM jobsched._wake_expiry(min(u.at)) FROM unnest(ats) AS u(at);
END $$;

/* New content and time for a once job that has not started; false when it has.  The caller has checked the values. */
CREATE FUNCTION jobsched._replace(id uuid, name text, payload jsonb, due timestamptz, queue smallint, priority int, max_retries int, timeout interval,
	expires_at timestamptz, retry_delay interval, retry_delay_max interval, backoff text) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	job jobsched.jobs;
BEGIN
	/* Twice: it may have been moved to the kept leaf while its row was waited for. */
	FOR i IN 1 .. 2 LOOP
		SELECT j.* INTO job FROM jobsched.jobs j WHERE j.id = id AND j.slot IN (jobsched.slot_of(id), 16) FOR UPDATE;
		EXIT WHEN FOUND;
	END LOOP;
	IF job.id IS NULL THEN
		RETURN false;
	END IF;
	IF job.frequency <> 'once' THEN
		PERFORM jobsched._conflict(format('job %s is a cron job', id), 'schedule() changes a cron job by its name.');
	END IF;
	UPDATE jobsched.timers t SET due_at = CASE job.state WHEN 'paused' THEN 'infinity' ELSE due END, run_at = due, task = jobsched._task_hash(name),
		priority = _replace.priority, queue = _replace.queue
	WHERE t.job_id = id AND t.attempt = 1;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	UPDATE jobsched.jobs j SET name = _replace.name, payload = _replace.payload, queue = _replace.queue, priority = _replace.priority, max_retries = _replace.max_retries,
		timeout = _replace.timeout, expires_at = _replace.expires_at, retry_delay = _replace.retry_delay, retry_delay_max = _replace.retry_delay_max, backoff = _replace.backoff
	WHERE j.id = id AND j.slot = job.slot;
	IF expires_at IS DISTINCT FROM job.expires_at THEN
		PERFORM jobsched._set_expiry(id, expires_at);
	END IF;
	PERFORM jobsched._wake(queue, priority::smallint, due);
	RETURN true;
END $$;

CREATE FUNCTION jobsched._submit(name text, payload jsonb, run_at timestamptz, cron text, time_zone text, queue text, priority int,
	max_retries int, timeout interval, unique_key text, label text, unique_mode text DEFAULT 'keep', expires_at timestamptz DEFAULT NULL,
	retry_delay interval DEFAULT NULL, retry_delay_max interval DEFAULT NULL, backoff text DEFAULT 'exponential', traceparent text DEFAULT NULL, OUT id uuid, OUT created boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	who text := jobsched.caller();
	queue_id smallint;
	due timestamptz;
	zone text;
	known uuid;
BEGIN
	PERFORM jobsched._check_job(name, payload, priority, max_retries, timeout, label);
	PERFORM jobsched._check_retry(expires_at, retry_delay, retry_delay_max, backoff, label);
	IF unique_mode IS NULL OR unique_mode NOT IN ('keep', 'replace', 'error') THEN
		PERFORM jobsched._invalid('unique_mode', label || format('unique_mode: %L is not allowed', unique_mode), 'Allowed: keep, replace, error.');
	END IF;
	IF unique_key IS NOT NULL AND (length(unique_key) NOT BETWEEN 1 AND 255 OR unique_key ~ '[[:cntrl:]]') THEN
		PERFORM jobsched._invalid('unique_key', label || format('unique_key: %s is not allowed', to_json(left(unique_key, 300))),
			'1 to 255 characters, none of them a control character.');
	END IF;
	IF traceparent !~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$' OR traceparent ~ '^00-(0{32}|.{32}-0{16})-' THEN
		PERFORM jobsched._invalid('traceparent', label || format('traceparent: %s is none', to_json(left(traceparent, 100))), 'W3C Trace Context, version 00: 00-<32 hexadecimal digits>-<16>-<2>, in lower case.');
	END IF;
	IF run_at IS NOT NULL AND cron IS NOT NULL THEN
		PERFORM jobsched._invalid('run_at', label || format('run_at: %s together with cron %L', run_at, cron),
			'Give run_at for a job that runs once, or cron for one that recurs.');
	END IF;
	IF expires_at IS NOT NULL AND cron IS NOT NULL THEN
		PERFORM jobsched._invalid('expires_at', label || format('expires_at: %s together with cron %L', expires_at, cron),
			'It is for a job that runs once; schedule() has ends_at for the times of a cron job.');
	END IF;
	IF run_at IN ('infinity', '-infinity') THEN
		PERFORM jobsched._invalid('run_at', label || format('run_at: %s is not a time', run_at), 'Give a finite time; NULL is now.');
	END IF;
	IF time_zone IS NOT NULL AND cron IS NULL THEN
		PERFORM jobsched._invalid('time_zone', label || format('time_zone: %L without cron', time_zone),
			'A time zone belongs to a cron expression; run_at carries its own offset.');
	END IF;
	IF cron IS NOT NULL THEN
		zone := coalesce(time_zone, jobsched._default_time_zone());
		due := jobsched.cron_next(cron, clock_timestamp(), zone);
		zone := jobsched._zone_name(zone);
	ELSE
		due := coalesce(run_at, clock_timestamp());
	END IF;
	PERFORM jobsched._first_use();
	queue_id := jobsched._queue_id(coalesce(queue, jobsched._default_queue()));

	id := jobsched._uuid_v7(jobsched._open_slot());
	created := true;
	IF unique_key IS NOT NULL THEN
		LOOP
			INSERT INTO jobsched.unique_keys (owner, key, job_id) VALUES (who, unique_key, id) ON CONFLICT DO NOTHING;
			EXIT WHEN FOUND;
			SELECT k.job_id INTO known FROM jobsched.unique_keys k WHERE k.owner = who AND k.key = unique_key FOR UPDATE;
			CONTINUE WHEN NOT FOUND;
			IF unique_mode = 'error' THEN
				PERFORM jobsched._conflict(format('unique_key %L belongs to job %s', unique_key, known), 'unique_mode keep answers that job, replace changes it while it has not started.');
			END IF;
			IF unique_mode = 'keep' OR jobsched._replace(known, name, payload, due, queue_id, priority, max_retries, timeout, expires_at, retry_delay, retry_delay_max, backoff) THEN
				IF unique_mode = 'replace' THEN
					UPDATE jobsched.jobs j SET traceparent = _submit.traceparent WHERE j.id = known AND j.slot IN (jobsched.slot_of(known), 16) AND j.traceparent IS DISTINCT FROM _submit.traceparent;
				END IF;
				id := known;
				created := false;
				RETURN;
			END IF;
			/* It has started or ended: the key goes on to a new job. */
			UPDATE jobsched.unique_keys k SET job_id = id WHERE k.owner = who AND k.key = unique_key;
			EXIT;
		END LOOP;
	END IF;

	INSERT INTO jobsched.jobs (slot, id, name, payload, frequency, queue, priority, max_retries, timeout, unique_key, owner, expires_at, retry_delay, retry_delay_max, backoff, traceparent)
	VALUES (CASE WHEN cron IS NULL THEN jobsched.slot_of(id) ELSE 16 END, id, name, payload,
		CASE WHEN cron IS NULL THEN 'once' ELSE 'cron' END, queue_id, priority, max_retries, timeout, unique_key, who, expires_at, retry_delay, retry_delay_max, backoff, traceparent);
	IF expires_at IS NOT NULL THEN
		PERFORM jobsched._set_expiry(id, expires_at);
	END IF;
	IF cron IS NOT NULL THEN
		INSERT INTO jobsched.schedules (job_id, owner, cron, time_zone) VALUES (id, who, cron, zone);
	END IF;
	INSERT INTO jobsched.timers (due_at, run_at, job_id, task, priority, queue, segment, cron)
	VALUES (due, due, id, jobsched._task_hash(name), priority, queue_id, jobsched.segment_of(id), cron IS NOT NULL);
	PERFORM jobsched._submitted(name);
	PERFORM jobsched._wake(queue_id, priority::smallint, due);
END $$;

/* In C (submit.c): plain jobs are stored without any plan, all others, and what is to be refused, go through _submit(). */
CREATE FUNCTION jobsched.submit(name text, payload jsonb DEFAULT '{}', run_at timestamptz DEFAULT NULL, cron text DEFAULT NULL,
	time_zone text DEFAULT NULL, queue text DEFAULT NULL, priority int DEFAULT 0, max_retries int DEFAULT 3, timeout interval DEFAULT NULL,
	unique_key text DEFAULT NULL, unique_mode text DEFAULT 'keep', expires_at timestamptz DEFAULT NULL, retry_delay interval DEFAULT NULL,
	retry_delay_max interval DEFAULT NULL, backoff text DEFAULT 'exponential', traceparent text DEFAULT NULL) RETURNS uuid LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER AS 'MODULE_PATHNAME', 'js_submit';
COMMENT ON FUNCTION jobsched.submit(text, jsonb, timestamptz, text, text, text, int, int, interval, text, text, timestamptz, interval, interval, text, text) IS
'Accepts a job, in the caller''s transaction; returns its id.
name: the task, 1..255 characters. payload: JSON object, array or string, at most jobsched.max_payload_bytes.
run_at: when to run it once (NULL: now); or cron: a cron expression, evaluated in time_zone (NULL: jobsched.time_zone).
queue: NULL is jobsched.queue. priority 0..9, 9 first. max_retries 0..1000. timeout: of one attempt, NULL none.
unique_key: with unique_mode keep, the same key of the same owner gives the job that has it and changes nothing; replace: gives it a new payload, time and
settings while it has not started, else makes a new job that takes the key (so debouncing is one call); error: JS003.
expires_at: a run that has not started by then ends expired. retry_delay, retry_delay_max (NULL: the settings), backoff (exponential, linear, constant): time between attempts.
traceparent: W3C Trace Context of the caller, which the task is told.
Errors: JS001 names the argument.';

/* Types of the fields of a job in JSON; null counts as absent. */
CREATE FUNCTION jobsched._check_fields(job jsonb, allowed jsonb, label text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	k text;
	v jsonb;
BEGIN
	IF jsonb_typeof(job) IS DISTINCT FROM 'object' THEN
		PERFORM jobsched._invalid(CASE label WHEN '' THEN '' ELSE 'jobs' END, format('%s: %s is not a JSON object', coalesce(nullif(rtrim(label, '.'), ''), 'job'),
			left(coalesce(job::text, 'NULL'), 100)), 'A job is a JSON object with at least the field "name".');
	END IF;
	FOR k, v IN SELECT * FROM jsonb_each(job) LOOP
		IF NOT allowed ? k THEN
			PERFORM jobsched._invalid(left(k, 200), format('%s%s: unknown field', label, left(k, 200)),
				format('Known fields: %s.', (SELECT string_agg(a, ', ' ORDER BY a) FROM jsonb_object_keys(allowed) a)));
		END IF;
		IF jsonb_typeof(v) <> ALL (string_to_array(allowed ->> k, '|')) AND (jsonb_typeof(v) <> 'null' OR k = 'payload') THEN
			PERFORM jobsched._invalid(k, format('%s%s: %s is not of type %s', label, k, left(v::text, 100), replace(allowed ->> k, '|', ' or ')),
				format('Allowed: JSON %s.', replace(allowed ->> k, '|', ', ')));
		END IF;
	END LOOP;
END $$;

CREATE FUNCTION jobsched._int_field(job jsonb, field text, label text, otherwise int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	v numeric := (job ->> field)::numeric;
BEGIN
	IF v <> trunc(v) OR v NOT BETWEEN -2147483648 AND 2147483647 THEN
		PERFORM jobsched._invalid(field, format('%s%s: %s is not a whole number', label, field, left(job ->> field, 60)), 'A whole number without quotes.');
	END IF;
	RETURN coalesce(v::int, otherwise);
END $$;

/* Seconds since the epoch, or a text that Postgres reads as a time (RFC 3339 and others). */
CREATE FUNCTION jobsched._time_field(job jsonb, field text, label text) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
	v text := job ->> field;
BEGIN
	IF v IS NULL THEN
		RETURN NULL;
	END IF;
	IF jsonb_typeof(job -> field) = 'number' THEN
		IF v::numeric NOT BETWEEN 0 AND 253402300799 THEN
			PERFORM jobsched._invalid(field, format('%s%s: %s is out of range 0..253402300799', label, field, left(v, 60)),
				'Seconds since 1970-01-01 00:00 UTC, up to the end of the year 9999.');
		END IF;
		RETURN to_timestamp(v::float8);
	END IF;
	RETURN v::timestamptz;
EXCEPTION WHEN data_exception THEN
	PERFORM jobsched._invalid(field, format('%s%s: %s is not a time', label, field, to_json(left(v, 100))),
		'Seconds since the epoch, or RFC 3339: 2027-01-31T09:00:00Z.');
END $$;

CREATE FUNCTION jobsched._duration_field(job jsonb, field text, label text) RETURNS interval LANGUAGE plpgsql AS $$
DECLARE
	v text := job ->> field;
BEGIN
	IF jsonb_typeof(job -> field) = 'number' THEN
		RETURN make_interval(secs => v::float8);
	END IF;
	RETURN v::interval;
EXCEPTION WHEN data_exception THEN
	PERFORM jobsched._invalid(field, format('%s%s: %s is not a duration', label, field, to_json(left(v, 100))),
		'Seconds as a number, or a text such as "90 seconds".');
END $$;

CREATE FUNCTION jobsched._submit_item(job jsonb, label text, OUT id uuid, OUT created boolean) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM jobsched._check_fields(job, '{"name": "string", "payload": "object|array|string", "run_at": "string|number", "cron": "string",
		"time_zone": "string", "queue": "string", "priority": "number", "max_retries": "number", "timeout": "number|string",
		"unique_key": "string", "unique_mode": "string", "expires_at": "string|number", "retry_delay": "number|string", "retry_delay_max": "number|string",
		"backoff": "string", "traceparent": "string"}', label);
	SELECT s.id, s.created INTO id, created FROM jobsched._submit(job ->> 'name', coalesce(job -> 'payload', '{}'),
		jobsched._time_field(job, 'run_at', label), job ->> 'cron', job ->> 'time_zone', job ->> 'queue',
		jobsched._int_field(job, 'priority', label, 0), jobsched._int_field(job, 'max_retries', label, 3),
		jobsched._duration_field(job, 'timeout', label), job ->> 'unique_key', label, coalesce(job ->> 'unique_mode', 'keep'),
		jobsched._time_field(job, 'expires_at', label), jobsched._duration_field(job, 'retry_delay', label), jobsched._duration_field(job, 'retry_delay_max', label),
		coalesce(job ->> 'backoff', 'exponential'), job ->> 'traceparent') s;
END $$;

CREATE FUNCTION jobsched.submit_many(jobs jsonb) RETURNS SETOF uuid LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER ROWS 1000 AS 'MODULE_PATHNAME', 'js_submit_many';
COMMENT ON FUNCTION jobsched.submit_many(jsonb) IS
'Accepts many jobs, all or none: a JSON array of objects whose fields are the arguments of submit (run_at: RFC 3339 or epoch seconds; timeout: seconds).
Returns the ids in the order of the array. Errors: JS001 names item and field.';

/* ----------------------------------------------------------- worker calls */

CREATE FUNCTION jobsched.register_worker(worker_id text, queues text[], slots int, info jsonb DEFAULT '{}') RETURNS uuid
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	id uuid := gen_random_uuid();
	adopted boolean;
	q text;
BEGIN
	IF worker_id IS NULL OR length(worker_id) NOT BETWEEN 1 AND 255 OR worker_id ~ '[[:cntrl:]]' THEN
		PERFORM jobsched._invalid('worker_id', format('worker_id: %s is not allowed', coalesce(to_json(left(worker_id, 300))::text, 'NULL')),
			'1 to 255 characters, none of them a control character.');
	END IF;
	IF queues IS NULL OR cardinality(queues) = 0 THEN
		PERFORM jobsched._invalid('queues', 'queues: empty', 'Name at least one queue.');
	END IF;
	IF slots IS NULL OR slots NOT BETWEEN 1 AND 10000 THEN
		PERFORM jobsched._invalid('slots', format('slots: %s is out of range 1..10000', coalesce(slots::text, 'NULL')), 'The number of tasks run at once.');
	END IF;
	IF info IS NULL OR jsonb_typeof(info) <> 'object' THEN
		PERFORM jobsched._invalid('info', format('info: %s is not a JSON object', left(coalesce(info::text, 'NULL'), 100)), 'A JSON object.');
	END IF;
	adopted := jobsched._refuse_copy();
	FOREACH q IN ARRAY queues LOOP
		IF adopted THEN
			PERFORM jobsched._queue_id(q);
		ELSE
			PERFORM jobsched._check_queue(q);
		END IF;
	END LOOP;
	INSERT INTO jobsched.workers (id, worker_id, queues, slots, info, last_seen)
	VALUES (id, worker_id, queues, slots, info, clock_timestamp());
	RETURN id;
END $$;

/* True in a database whose jobs may run; false while it has had none, or is being restored and that cannot be known yet. */
CREATE FUNCTION jobsched._refuse_copy() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF jobsched._adopted() THEN
		RETURN true;
	END IF;
	IF EXISTS (SELECT FROM jobsched.cluster) THEN
		RAISE EXCEPTION USING ERRCODE = 'JS003', MESSAGE = 'this database is a copy: its jobs belong to another system or database',
			HINT = 'If they shall run here, and no longer there, call jobsched.adopt().';
	END IF;
	RETURN false;
END $$;

CREATE FUNCTION jobsched._unknown_worker(worker uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'JS002', MESSAGE = format('worker %s is not registered', coalesce(worker::text, 'NULL')),
		HINT = 'Call jobsched.register_worker() and drop what the old registration held.';
END $$;

CREATE FUNCTION jobsched._check_lengths(variadic lengths int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF array_position(lengths, NULL) = 1 OR EXISTS (SELECT FROM unnest(lengths) l WHERE l <> lengths[1]) THEN
		PERFORM jobsched._invalid('dispatches', format('array arguments: lengths %s differ', array_to_string(lengths, ', ', 'NULL')),
			'Parallel arrays: one entry a run in each.');
	END IF;
END $$;

/*
 * The queued ones of these dispatches become claimed; returns their ids.  A cancel() locks the dispatch until its transaction ends,
 * which may be long: after a short wait such ones are left alone, so that they do not hold up the others.  They are published again.
 */
CREATE FUNCTION jobsched._take_queued(worker uuid, token uuid, dispatches uuid[], at timestamptz) RETURNS uuid[] LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	mine uuid[];
	lock_timeout text := current_setting('lock_timeout');
BEGIN
	BEGIN
		PERFORM set_config('lock_timeout', least(3000, extract(epoch FROM jobsched.worker_lease()) * 100)::int::text, true);
		/* guard: M_CLAIM_NO_STATUS */
		WITH c AS (
			UPDATE jobsched.dispatches d SET status = 'claimed', worker = _take_queued.worker, claim_token = _take_queued.token, claimed_at = at
			WHERE d.id = ANY (_take_queued.dispatches) AND d.status = 'queued'
			RETURNING d.id, d.queue)
		SELECT array_agg(c.id) INTO mine FROM (SELECT c.id, jobsched._dequeued(c.queue, 1) FROM c) c;
	EXCEPTION WHEN lock_not_available THEN
		WITH free AS MATERIALIZED (
			SELECT d.id FROM jobsched.dispatches d
			WHERE d.id = ANY (_take_queued.dispatches) AND d.status = 'queued'
			ORDER BY d.id FOR UPDATE SKIP LOCKED),
		c AS (
			UPDATE jobsched.dispatches d SET status = 'claimed', worker = _take_queued.worker, claim_token = _take_queued.token, claimed_at = at
			FROM free WHERE d.id = free.id AND d.status = 'queued'
			RETURNING d.id, d.queue)
		SELECT array_agg(c.id) INTO mine FROM (SELECT c.id, jobsched._dequeued(c.queue, 1) FROM c) c;
	END;
	PERFORM set_config('lock_timeout', lock_timeout, true);
	RETURN mine;
END $$;

/* Takes the dispatches; `at` is null when nothing has been handed out here. */
CREATE FUNCTION jobsched._claim(worker uuid, token uuid, dispatches uuid[], OUT at timestamptz, OUT mine uuid[]) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	adopted boolean;
BEGIN
	IF _claim.token IS NULL OR _claim.dispatches IS NULL THEN
		PERFORM jobsched._invalid(CASE WHEN _claim.token IS NULL THEN 'token' ELSE 'dispatches' END,
			CASE WHEN _claim.token IS NULL THEN 'token: NULL' ELSE 'dispatches: NULL' END, 'A random UUID made by the worker for this call; an array of dispatch ids.');
	END IF;
	adopted := jobsched._refuse_copy();
	IF NOT EXISTS (SELECT FROM jobsched.workers w WHERE w.id = _claim.worker AND w.state = 'live') THEN
		PERFORM jobsched._unknown_worker(_claim.worker);
	END IF;
	IF NOT adopted THEN
		RETURN;		/* a message from elsewhere: nothing has been handed out here */
	END IF;
	/* What a crash takes away of this commit only repeats work: the token sorts it out. */
	PERFORM set_config('synchronous_commit', 'off', true);
	at := clock_timestamp();
	mine := jobsched._take_queued(_claim.worker, _claim.token, _claim.dispatches, at);
END $$;

/* The runs of what was claimed, and the end of those that are over before they begin. */
CREATE FUNCTION jobsched._claim_rows(worker uuid, token uuid, dispatches uuid[], mine uuid[], at timestamptz)
	RETURNS TABLE (dispatch uuid, run smallint, job_id uuid, run_at timestamptz, attempt smallint, name text, payload jsonb,
		timeout_seconds float8, max_retries int, failures smallint, traceparent text)
	LANGUAGE plpgsql ROWS 64 AS $$
#variable_conflict use_column
DECLARE
	r record;
BEGIN
	/*
	 * guard: D_CLAIM_NOT_REPEATABLE: what this very token claimed before is answered again;
	 * guard: M_REPEAT_ENDS_CANCELLED: and then ends nothing, since the tasks may be running.
	 */
	FOR r IN
		SELECT d.id AS dispatch, (u.n - 1)::smallint AS run, u.job_id, u.run_at, u.attempt, u.failures, d.queued_at, d.tasks[u.n] AS task, j.name, j.payload,
			extract(epoch FROM j.timeout)::float8 AS timeout, j.max_retries, j.traceparent,
			CASE WHEN d.id = ANY (_claim_rows.mine) THEN
				CASE WHEN j.id IS NULL THEN 'job_missing'
					WHEN j.state = 'cancelled' THEN 'cancelled'
					WHEN j.expires_at <= _claim_rows.at THEN 'expired' END
			END AS over
		FROM jobsched.dispatches d
		CROSS JOIN LATERAL unnest(d.job_ids, d.run_ats, d.attempts, d.failures) WITH ORDINALITY AS u(job_id, run_at, attempt, failures, n)
		LEFT JOIN LATERAL (SELECT j.* FROM jobsched.jobs j WHERE j.id = u.job_id AND j.slot IN (jobsched.slot_of(u.job_id), 16)) j ON true
		WHERE d.id = ANY (_claim_rows.dispatches) AND d.claim_token = _claim_rows.token AND d.worker = _claim_rows.worker AND d.status = 'claimed'
			AND (d.done >> (u.n - 1)::int) & 1 = 0
		ORDER BY array_position(_claim_rows.dispatches, d.id), u.n
	LOOP
		IF r.over IS NOT NULL THEN	/* guard: M_CANCEL_NOT_AT_CLAIM */
			UPDATE jobsched.dispatches d SET done = d.done | (1::bigint << r.run) WHERE d.id = r.dispatch;
			INSERT INTO jobsched.job_executions (slot, job_id, run_at, attempt, status, final, reason, queued_at, finished_at, worker_id)
			VALUES (jobsched._counted(jobsched._open_slot(), r.task, CASE r.over WHEN 'job_missing' THEN 'failed' ELSE r.over END), r.job_id, r.run_at, r.attempt, CASE r.over WHEN 'job_missing' THEN 'failed' ELSE r.over END, true,
				CASE r.over WHEN 'job_missing' THEN 'job_missing' END, r.queued_at, _claim_rows.at, _claim_rows.worker);
		ELSIF r.name IS NOT NULL THEN
			dispatch := r.dispatch; run := r.run; job_id := r.job_id; run_at := r.run_at; attempt := r.attempt; name := r.name;
			payload := r.payload; timeout_seconds := r.timeout; max_retries := r.max_retries; failures := r.failures; traceparent := r.traceparent;
			RETURN NEXT;
		END IF;
	END LOOP;
	IF _claim_rows.mine IS NOT NULL THEN
		DELETE FROM jobsched.dispatches d WHERE d.id = ANY (_claim_rows.mine) AND d.done = jobsched._all_bits(cardinality(d.job_ids));
	END IF;
END $$;

/* In C (claim.c). */
CREATE FUNCTION jobsched.claim(worker uuid, token uuid, dispatches uuid[])
	RETURNS TABLE (dispatch uuid, run smallint, job_id uuid, run_at timestamptz, attempt smallint, name text, payload jsonb,
		timeout_seconds float8, max_retries int, failures smallint, traceparent text)
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 64 SECURITY DEFINER AS 'MODULE_PATHNAME', 'js_claim';

/*
 * May a timer of this job wait for resume()?  A resume() that is under way would not see that timer: it waits for the lock taken
 * here, and when it has the job already (SKIP LOCKED: nothing here waits for people), the timer must not wait.
 */
CREATE FUNCTION jobsched._still_paused(id uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM jobsched.jobs j WHERE j.id = _still_paused.id AND j.slot IN (jobsched.slot_of(_still_paused.id), 16) AND j.state = 'paused'
	FOR SHARE SKIP LOCKED;
	RETURN FOUND;
END $$;

/* All that finish() does not do itself: what did not succeed, and what has nothing to do with a dispatch that is held. */
CREATE FUNCTION jobsched._finish(worker uuid, dispatches uuid[], tokens uuid[], runs smallint[], job_ids uuid[], run_ats timestamptz[],
		attempts smallint[], outcomes text[], reasons text[], errors text[], results jsonb[], artifacts jsonb[],
		started_us bigint[], ran_us bigint[], retry_us bigint[])
	RETURNS TABLE (dispatch uuid, run smallint, answer text)
	LANGUAGE plpgsql ROWS 64 AS $$
#variable_conflict use_column
DECLARE
	at timestamptz := clock_timestamp();
	slot smallint := jobsched._open_slot();
BEGIN
	PERFORM jobsched._check_lengths(coalesce(cardinality(_finish.dispatches), NULL), coalesce(cardinality(_finish.tokens), -1),
		coalesce(cardinality(_finish.runs), -1), coalesce(cardinality(_finish.job_ids), -1), coalesce(cardinality(_finish.run_ats), -1),
		coalesce(cardinality(_finish.attempts), -1), coalesce(cardinality(_finish.outcomes), -1), coalesce(cardinality(_finish.started_us), -1),
		coalesce(cardinality(_finish.ran_us), -1), cardinality(_finish.reasons), cardinality(_finish.errors), cardinality(_finish.results),
		cardinality(_finish.artifacts), cardinality(_finish.retry_us));
	IF NOT _finish.outcomes <@ ARRAY['succeeded', 'failed', 'permanent', 'cancelled'] OR array_position(_finish.outcomes, NULL) IS NOT NULL THEN
		PERFORM jobsched._invalid('outcomes', format('outcomes: %s', left(_finish.outcomes::text, 200)), 'Each is succeeded, failed, permanent or cancelled.');
	END IF;

	RETURN QUERY
	WITH r AS MATERIALIZED (
		SELECT x.*, row_number() OVER (PARTITION BY x.dispatch, x.token, x.run) = 1 AS first
		FROM unnest(_finish.dispatches, _finish.tokens, _finish.runs, _finish.job_ids, _finish.run_ats, _finish.attempts, _finish.outcomes,
				_finish.reasons, _finish.errors, _finish.results, _finish.artifacts, _finish.started_us, _finish.ran_us, _finish.retry_us)
			WITH ORDINALITY AS x(dispatch, token, run, job_id, run_at, attempt, outcome, reason, error, result, artifacts, started_us, ran_us, retry_us, n)),
	m AS (SELECT r.dispatch, r.token, bit_or(1::bigint << r.run) AS bits FROM r WHERE r.run BETWEEN 0 AND 63 GROUP BY 1, 2),
	/* guard: M_FINISH_NO_TOKEN */
	l AS MATERIALIZED (
		SELECT d.*, d.done AS old, d.done | m.bits & jobsched._all_bits(cardinality(d.job_ids)) AS new
		FROM jobsched.dispatches d JOIN m ON d.id = m.dispatch
		WHERE d.claim_token = m.token AND d.status = 'claimed' AND d.worker = _finish.worker
		ORDER BY d.id FOR UPDATE OF d),
	gone AS (DELETE FROM jobsched.dispatches d USING l WHERE d.id = l.id AND l.new = jobsched._all_bits(cardinality(l.job_ids))),
	/* guard: M_FINISH_NOT_MASKING */
	part AS (UPDATE jobsched.dispatches d SET done = l.new FROM l WHERE d.id = l.id AND l.new <> jobsched._all_bits(cardinality(l.job_ids))),
	/* guard: D_FINISH_NO_MASK_GUARD */
	f AS MATERIALIZED (
		SELECT r.*, l.job_ids[r.run + 1] AS id, l.run_ats[r.run + 1] AS nominal, l.attempts[r.run + 1] AS try, l.failures[r.run + 1] AS failed,
			l.losses[r.run + 1] AS lost, l.tasks[r.run + 1] AS task, l.queued_at, l.queue, l.priority,
			j.state, j.max_retries, j.retry_delay, j.retry_delay_max, j.backoff, j.name,
			CASE WHEN r.outcome = 'succeeded' THEN 'succeeded'
				WHEN j.state = 'cancelled' OR (l.cancels >> r.run) & 1 = 1 THEN 'cancelled'
				WHEN j.id IS NULL OR r.outcome = 'permanent' THEN 'failed'
				WHEN l.failures[r.run + 1] < j.max_retries THEN 'retry'
				ELSE 'failed' END AS verdict
		FROM r JOIN l ON l.id = r.dispatch AND l.claim_token = r.token
		LEFT JOIN LATERAL (SELECT j.* FROM jobsched.jobs j
			WHERE r.outcome <> 'succeeded' AND j.id = l.job_ids[r.run + 1] AND j.slot IN (jobsched.slot_of(l.job_ids[r.run + 1]), 16)) j ON true
		WHERE r.first AND r.run BETWEEN 0 AND cardinality(l.job_ids) - 1 AND (l.old >> r.run) & 1 = 0),
	e AS (
		INSERT INTO jobsched.job_executions (slot, job_id, run_at, attempt, status, final, reason, error, result_payload, artifacts,
			queued_at, started_at, finished_at, worker_id)
		SELECT jobsched._counted(the_slot.slot, f.task, CASE f.verdict WHEN 'retry' THEN 'retried' ELSE f.verdict END, f.id, f.nominal, f.try, at - f.started_us * interval '1 microsecond', f.ran_us),
			f.id, f.nominal, f.try, CASE f.verdict WHEN 'retry' THEN 'failed' ELSE f.verdict END, f.verdict <> 'retry',
			CASE WHEN f.verdict <> 'succeeded' THEN coalesce(f.reason, CASE WHEN f.outcome = 'permanent' THEN 'permanent' ELSE 'error' END) END,
			f.error, f.result, f.artifacts, f.queued_at, at - f.started_us * interval '1 microsecond',
			CASE WHEN f.started_us IS NULL THEN at ELSE least(at, at - (f.started_us - coalesce(f.ran_us, 0)) * interval '1 microsecond') END, _finish.worker
		FROM f, (SELECT slot) AS the_slot),
	t AS (
		INSERT INTO jobsched.timers AS t (due_at, run_at, job_id, task, attempt, failures, losses, priority, queue, segment)
		SELECT CASE WHEN f.state = 'paused' AND jobsched._still_paused(f.id) THEN 'infinity'
			ELSE at + coalesce(f.retry_us * interval '1 microsecond', jobsched._backoff(f.failed + 1, f.retry_delay, f.retry_delay_max, f.backoff)) END,
			f.nominal, f.id, jobsched._task_hash(f.name), f.try + 1, f.failed + 1, f.lost, f.priority, f.queue, jobsched.segment_of(f.id)
		FROM f WHERE f.verdict = 'retry'
		RETURNING jobsched._wake(t.queue, t.priority, t.due_at))
	SELECT r.dispatch, r.run,
		CASE WHEN f.id IS NOT NULL THEN 'recorded'
			WHEN l.id IS NOT NULL AND r.run BETWEEN 0 AND cardinality(l.job_ids) - 1 THEN 'already'
			WHEN EXISTS (SELECT FROM jobsched.job_executions x
				WHERE x.job_id = r.job_id AND x.run_at = r.run_at AND x.attempt = r.attempt AND x.worker_id = _finish.worker AND x.status <> 'lost') THEN 'already'
			ELSE 'lost' END
	FROM r
	LEFT JOIN l ON l.id = r.dispatch AND l.claim_token = r.token
	LEFT JOIN f ON f.n = r.n
	ORDER BY r.n;
END $$;

/* In C (finish.c). */
CREATE FUNCTION jobsched.finish(worker uuid, dispatches uuid[], tokens uuid[], runs smallint[], job_ids uuid[], run_ats timestamptz[],
		attempts smallint[], outcomes text[], reasons text[], errors text[], results jsonb[], artifacts jsonb[],
		started_us bigint[], ran_us bigint[], retry_us bigint[])
	RETURNS TABLE (dispatch uuid, run smallint, answer text)
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 64 SECURITY DEFINER AS 'MODULE_PATHNAME', 'js_finish';

CREATE FUNCTION jobsched.release(worker uuid, dispatches uuid[], tokens uuid[], runs smallint[])
	RETURNS TABLE (dispatch uuid, run smallint, answer text)
	LANGUAGE plpgsql ROWS 64 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	at timestamptz := clock_timestamp();
BEGIN
	PERFORM jobsched._check_lengths(cardinality(release.dispatches), coalesce(cardinality(release.tokens), -1), coalesce(cardinality(release.runs), -1));

	RETURN QUERY
	WITH r AS MATERIALIZED (
		SELECT x.*, row_number() OVER (PARTITION BY x.dispatch, x.token, x.run) = 1 AS first
		FROM unnest(release.dispatches, release.tokens, release.runs) WITH ORDINALITY AS x(dispatch, token, run, n)),
	m AS (SELECT r.dispatch, r.token, bit_or(1::bigint << r.run) AS bits FROM r WHERE r.run BETWEEN 0 AND 63 GROUP BY 1, 2),
	/* guard: M_RELEASE_NO_TOKEN */
	l AS MATERIALIZED (
		SELECT d.*, d.done AS old, d.done | m.bits & jobsched._all_bits(cardinality(d.job_ids)) AS new
		FROM jobsched.dispatches d JOIN m ON d.id = m.dispatch
		WHERE d.claim_token = m.token AND d.status = 'claimed' AND d.worker = release.worker
		ORDER BY d.id FOR UPDATE OF d),
	gone AS (DELETE FROM jobsched.dispatches d USING l WHERE d.id = l.id AND l.new = jobsched._all_bits(cardinality(l.job_ids))),
	part AS (UPDATE jobsched.dispatches d SET done = l.new FROM l WHERE d.id = l.id AND l.new <> jobsched._all_bits(cardinality(l.job_ids))),
	/* guard: D_FINISH_NO_MASK_GUARD */
	f AS MATERIALIZED (
		SELECT r.n, l.job_ids[r.run + 1] AS id, l.run_ats[r.run + 1] AS nominal, l.attempts[r.run + 1] AS try, l.failures[r.run + 1] AS failed,
			l.losses[r.run + 1] AS lost, l.queue, l.priority, coalesce(j.name, '') AS name, j.state,
			(l.cancels >> r.run) & 1 = 1 AS stopped, l.queued_at
		FROM r JOIN l ON l.id = r.dispatch AND l.claim_token = r.token
		LEFT JOIN LATERAL (SELECT j.name, j.state FROM jobsched.jobs j
			WHERE j.id = l.job_ids[r.run + 1] AND j.slot IN (jobsched.slot_of(l.job_ids[r.run + 1]), 16)) j ON true
		WHERE r.first AND r.run BETWEEN 0 AND cardinality(l.job_ids) - 1 AND (l.old >> r.run) & 1 = 0),
	e AS (	/* it was to give way to the next run */
		INSERT INTO jobsched.job_executions (slot, job_id, run_at, attempt, status, final, reason, queued_at, finished_at)
		SELECT jobsched._counted(jobsched._open_slot(), jobsched._task_hash(f.name), 'cancelled'), f.id, f.nominal, f.try, 'cancelled', true, 'overlap', f.queued_at, at FROM f WHERE f.stopped),
	t AS (	/* guard: M_RELEASE_ROW: no execution, the attempt is not used up */
		INSERT INTO jobsched.timers AS t (due_at, run_at, job_id, task, attempt, failures, losses, priority, queue, segment)
		SELECT CASE WHEN f.state = 'paused' AND jobsched._still_paused(f.id) THEN 'infinity' ELSE at END, f.nominal, f.id, jobsched._task_hash(f.name), f.try, f.failed, f.lost, f.priority, f.queue, jobsched.segment_of(f.id)
		FROM f WHERE NOT f.stopped
		RETURNING jobsched._wake(t.queue, t.priority, t.due_at))
	SELECT r.dispatch, r.run,
		CASE WHEN f.id IS NOT NULL THEN 'released'
			WHEN l.id IS NOT NULL AND r.run BETWEEN 0 AND cardinality(l.job_ids) - 1 THEN 'already'
			ELSE 'lost' END
	FROM r
	LEFT JOIN l ON l.id = r.dispatch AND l.claim_token = r.token
	LEFT JOIN f ON f.n = r.n
	ORDER BY r.n;
END $$;

/*
 * Takes back what workers lost.  With worker NULL: dispatches whose worker's lease is over (or whose row is gone), in segments
 * lo..hi.  Else: what the database holds for this worker, claimed over a lease ago or the worker stopped, and it does not list.
 * Returns the number of runs taken back, at most those of 200 dispatches.  Once a second, so by the index: after a rush the table is
 * long, and empty until it is vacuumed.
 */
CREATE FUNCTION jobsched._take_back(worker uuid, dispatches uuid[], tokens uuid[], lo smallint, hi smallint) RETURNS int LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
	at timestamptz := clock_timestamp();
	lease interval := jobsched.worker_lease();
	most int := jobsched._max_losses();
	slot smallint := jobsched._open_slot();
	expired uuid[];
	n int;
BEGIN
	/*
	 * guard: M_RESCUE_NO_LEASE, M_RESCUE_TWO_STEP: the worker's row is locked, so that a heartbeat comes either before, and is
	 * seen, or after, and hears which dispatches are gone.
	 */
	IF _take_back.worker IS NULL THEN
		SELECT array_agg(w.id) INTO expired
		FROM (SELECT w.id FROM jobsched.workers w
			WHERE NOT (w.state = 'live' AND w.last_seen > at - lease)
				AND w.id IN (SELECT d.worker FROM jobsched.dispatches d
					WHERE d.id >= '00000000-0000-0000-0000-000000000000' AND d.status = 'claimed' AND d.segment BETWEEN _take_back.lo AND _take_back.hi)
			FOR UPDATE OF w SKIP LOCKED) w;
	END IF;

	WITH dead AS MATERIALIZED (	/* guard: D_LEASE_PER_WORKER */
		SELECT d.*
		FROM jobsched.dispatches d
		WHERE d.id >= '00000000-0000-0000-0000-000000000000' AND d.status = 'claimed'
			AND CASE WHEN _take_back.worker IS NULL THEN
				d.segment BETWEEN _take_back.lo AND _take_back.hi
				AND (d.worker = ANY (expired) OR NOT EXISTS (SELECT FROM jobsched.workers w WHERE w.id = d.worker))
			ELSE
				d.worker = _take_back.worker
				AND (d.claimed_at < at - lease OR EXISTS (SELECT FROM jobsched.workers w WHERE w.id = d.worker AND w.state = 'stopped'))
				AND NOT EXISTS (SELECT FROM unnest(_take_back.dispatches, _take_back.tokens) h(dispatch, token) WHERE h.dispatch = d.id AND h.token = d.claim_token)
			END
		ORDER BY d.id LIMIT 200 FOR UPDATE SKIP LOCKED),
	gone AS (DELETE FROM jobsched.dispatches d USING dead WHERE d.id = dead.id),
	f AS MATERIALIZED (
		SELECT dead.worker, dead.queued_at, dead.claimed_at, dead.queue, dead.priority, dead.tasks[u.n] AS task, u.job_id, u.run_at, u.attempt, u.failures, u.losses + 1 AS losses, coalesce(j.name, '') AS name, j.state,
			CASE WHEN j.state = 'cancelled' OR (dead.cancels >> (u.n - 1)::int) & 1 = 1 THEN 'cancelled'
				WHEN u.losses + 1 >= most THEN 'failed'		/* guard: M_NO_LOSS_LIMIT */
				ELSE 'lost' END AS verdict,
			coalesce('worker ' || w.worker_id || ' (' || coalesce(w.info ->> 'host', 'host unknown') || ') was last seen at '
				|| to_char(w.last_seen AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'worker ' || dead.worker || ' is gone') AS error
		FROM dead
		CROSS JOIN LATERAL unnest(dead.job_ids, dead.run_ats, dead.attempts, dead.failures, dead.losses) WITH ORDINALITY AS u(job_id, run_at, attempt, failures, losses, n)
		LEFT JOIN jobsched.workers w ON w.id = dead.worker
		LEFT JOIN LATERAL (SELECT j.name, j.state FROM jobsched.jobs j WHERE j.id = u.job_id AND j.slot IN (jobsched.slot_of(u.job_id), 16)) j ON true
		WHERE (dead.done >> (u.n - 1)::int) & 1 = 0),
	e AS (
		INSERT INTO jobsched.job_executions (slot, job_id, run_at, attempt, status, final, reason, error, queued_at, finished_at, worker_id)
		SELECT jobsched._counted(s.slot, f.task, f.verdict), f.job_id, f.run_at, f.attempt, f.verdict, f.verdict <> 'lost', 'worker_lost', f.error, f.queued_at, at, f.worker
		FROM f, (SELECT slot) s),
	t AS (
		INSERT INTO jobsched.timers AS t (due_at, run_at, job_id, task, attempt, failures, losses, priority, queue, segment)
		SELECT CASE WHEN f.state = 'paused' AND jobsched._still_paused(f.job_id) THEN 'infinity' WHEN f.losses = 1 THEN at ELSE at + f.losses * interval '10 seconds' * (1 + random() * 0.1) END,
			f.run_at, f.job_id, jobsched._task_hash(f.name), f.attempt + 1, f.failures, f.losses, f.priority, f.queue, jobsched.segment_of(f.job_id)
		FROM f WHERE f.verdict = 'lost'
		RETURNING jobsched._wake(t.queue, t.priority, t.due_at))
	SELECT count(*) INTO n FROM f;
	RETURN n;
END $$;

/*
 * overlap_policy cancel_running: the runs of these cron jobs other than the one at run_ats give way to it.  The caller holds the
 * schedules and the dispatches, so that this waits for nobody.  What has not been claimed ends here, what runs is told to stop.
 */
CREATE FUNCTION jobsched._supersede(job_ids uuid[], run_ats timestamptz[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	at timestamptz := clock_timestamp();
	d record;
BEGIN
	WITH gone AS (
		DELETE FROM jobsched.timers t USING unnest(_supersede.job_ids, _supersede.run_ats) AS n(job_id, run_at)
		WHERE t.job_id = n.job_id AND t.run_at <> n.run_at AND NOT t.cron RETURNING t.job_id, t.run_at, t.attempt, t.task)
	INSERT INTO jobsched.job_executions (slot, job_id, run_at, attempt, status, final, reason, finished_at)
	SELECT jobsched._counted(jobsched._open_slot(), gone.task, 'cancelled'), gone.job_id, gone.run_at, gone.attempt, 'cancelled', true, 'overlap', at FROM gone;

	FOR d IN
		SELECT x.id, x.queue, x.worker, x.status, x.queued_at, x.done, jobsched._all_bits(cardinality(x.job_ids)) AS all_bits, bit_or(1::bigint << (u.n - 1)::int) AS bits,
			array_agg(u.job_id) AS job_ids, array_agg(u.run_at) AS run_ats, array_agg(u.attempt) AS attempts, array_agg(x.tasks[u.n]) AS tasks
		FROM jobsched.dispatches x
		CROSS JOIN LATERAL unnest(x.job_ids, x.run_ats, x.attempts) WITH ORDINALITY AS u(job_id, run_at, attempt, n)
		JOIN unnest(_supersede.job_ids, _supersede.run_ats) AS n(job_id, run_at) ON u.job_id = n.job_id AND u.run_at <> n.run_at
		WHERE (x.done >> (u.n - 1)::int) & 1 = 0
		GROUP BY x.id
	LOOP
		IF d.status = 'claimed' THEN
			UPDATE jobsched.dispatches x SET cancels = x.cancels | d.bits WHERE x.id = d.id;
			PERFORM jobsched._urge(d.worker);
			CONTINUE;
		END IF;
		INSERT INTO jobsched.job_executions (slot, job_id, run_at, attempt, status, final, reason, queued_at, finished_at)
		SELECT jobsched._counted(jobsched._open_slot(), u.task, 'cancelled'), u.job_id, u.run_at, u.attempt, 'cancelled', true, 'overlap', d.queued_at, at
		FROM unnest(d.job_ids, d.run_ats, d.attempts, d.tasks) AS u(job_id, run_at, attempt, task);
		IF d.done | d.bits = d.all_bits THEN
			DELETE FROM jobsched.dispatches x WHERE x.id = d.id;
			PERFORM jobsched._dequeued(d.queue, 1);
		ELSE
			UPDATE jobsched.dispatches x SET done = x.done | d.bits WHERE x.id = d.id;
		END IF;
	END LOOP;
END $$;

/*
 * Ends the runs of these jobs in a dispatch that is queued and that the caller has locked; returns how many.  A run of a job that is
 * cancelled ends so, whatever `over` says.
 */
CREATE FUNCTION jobsched._end_queued(d jobsched.dispatches, ids uuid[], over text, at timestamptz) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	ended int := 0;
	word text;
BEGIN
	FOR i IN 1 .. cardinality(d.job_ids) LOOP
		CONTINUE WHEN d.job_ids[i] <> ALL (ids) OR (d.done >> (i - 1)) & 1 = 1;
		d.done := d.done | (1::bigint << (i - 1));
		ended := ended + 1;
		word := CASE WHEN EXISTS (SELECT FROM jobsched.jobs j WHERE j.id = d.job_ids[i] AND j.slot IN (jobsched.slot_of(d.job_ids[i]), 16) AND j.state = 'cancelled') THEN 'cancelled' ELSE over END;
		INSERT INTO jobsched.job_executions (slot, job_id, run_at, attempt, status, final, queued_at, finished_at)
		VALUES (jobsched._counted(jobsched._open_slot(), d.tasks[i], word), d.job_ids[i], d.run_ats[i], d.attempts[i], word, true, d.queued_at, at);
	END LOOP;
	IF d.done = jobsched._all_bits(cardinality(d.job_ids)) THEN
		DELETE FROM jobsched.dispatches x WHERE x.id = d.id;
		PERFORM jobsched._dequeued(d.queue, 1);
	ELSIF ended > 0 THEN
		UPDATE jobsched.dispatches x SET done = d.done WHERE x.id = d.id;
	END IF;
	RETURN ended;
END $$;

/*
 * expires_at: ends the runs of jobs whose time is over, and that no worker has, in segments lo..hi; of 1,000 jobs at most, and not those
 * with look_at before `since`.  It passes over what is locked and waits for nobody.  The row in expiries, which whoever changes
 * expires_at locks, stays until no run of the job is left: a retry may come yet.  next_look: of the earliest row.
 *
 * guard: M_EXPIRE_CLAIMED: as cancel() does, it ends what is in its own statement a timer or in a queued dispatch, nothing else
 */
CREATE FUNCTION jobsched._expire(lo smallint, hi smallint, since timestamptz, OUT runs int, OUT next_look timestamptz) LANGUAGE plpgsql
	SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	at timestamptz := clock_timestamp();
	ids uuid[];
	held uuid[];
	d jobsched.dispatches;
BEGIN
	runs := 0;
	SELECT array_agg(e.job_id) INTO ids FROM (
		SELECT e.job_id FROM jobsched.expiries e WHERE e.look_at >= _expire.since AND e.look_at <= at AND e.segment BETWEEN _expire.lo AND _expire.hi
		ORDER BY e.look_at LIMIT 1000 FOR UPDATE SKIP LOCKED) e;
	IF ids IS NOT NULL THEN
		WITH due AS MATERIALIZED (
			SELECT t.ctid FROM jobsched.timers t WHERE t.job_id = ANY (ids) AND NOT t.cron FOR UPDATE SKIP LOCKED),
		gone AS (DELETE FROM jobsched.timers t USING due WHERE t.ctid = due.ctid RETURNING t.job_id, t.run_at, t.attempt, t.task),
		ended AS (
			INSERT INTO jobsched.job_executions (slot, job_id, run_at, attempt, status, final, finished_at)
			SELECT jobsched._counted(jobsched._open_slot(), gone.task, CASE j.state WHEN 'cancelled' THEN 'cancelled' ELSE 'expired' END),
				gone.job_id, gone.run_at, gone.attempt, CASE j.state WHEN 'cancelled' THEN 'cancelled' ELSE 'expired' END, true, at
			FROM gone LEFT JOIN jobsched.jobs j ON j.id = gone.job_id AND j.slot IN (jobsched.slot_of(gone.job_id), 16)
			RETURNING 1)
		SELECT count(*) INTO runs FROM ended;

		SELECT array_agg(DISTINCT x.id) INTO held
		FROM jobsched._in_flight() x CROSS JOIN LATERAL unnest(x.job_ids) AS u(job_id) JOIN unnest(ids) AS i(job_id) ON u.job_id = i.job_id;
		FOR d IN
			SELECT x.* FROM jobsched.dispatches x WHERE x.id = ANY (held) AND x.status = 'queued' ORDER BY x.id FOR UPDATE SKIP LOCKED
		LOOP
			runs := runs + jobsched._end_queued(d, ids, 'expired', at);
		END LOOP;

		/* In one snapshot, where a run is in one place: what promote moves at this moment is seen. */
		WITH going_on AS MATERIALIZED (
			SELECT t.job_id FROM jobsched.timers t WHERE t.job_id = ANY (ids)
			UNION
			SELECT u.job_id FROM jobsched._in_flight() x CROSS JOIN LATERAL unnest(x.job_ids) WITH ORDINALITY AS u(job_id, n) JOIN unnest(ids) AS i(job_id) ON u.job_id = i.job_id
			WHERE (x.done >> (u.n - 1)::int) & 1 = 0),
		over AS (DELETE FROM jobsched.expiries e WHERE e.job_id = ANY (ids) AND NOT EXISTS (SELECT FROM going_on g WHERE g.job_id = e.job_id))
		UPDATE jobsched.expiries e SET look_at = at + least(interval '1 min', greatest(interval '1 s', (at - e.expires_at) / 8))
		FROM going_on g WHERE e.job_id = g.job_id AND e.job_id = ANY (ids);
	END IF;
	SELECT e.look_at INTO next_look FROM jobsched.expiries e WHERE e.look_at >= _expire.since AND e.segment BETWEEN _expire.lo AND _expire.hi ORDER BY e.look_at LIMIT 1;
END $$;

CREATE FUNCTION jobsched._rescue(lo smallint, hi smallint) RETURNS int LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ SELECT jobsched._take_back(NULL, NULL, NULL, lo, hi) $$;

CREATE FUNCTION jobsched.heartbeat(worker uuid, dispatches uuid[], tokens uuid[], load jsonb DEFAULT '{}')
	RETURNS TABLE (dispatch uuid, run smallint, command text)
	LANGUAGE plpgsql ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	PERFORM jobsched._check_lengths(cardinality(heartbeat.dispatches), coalesce(cardinality(heartbeat.tokens), -1));
	IF heartbeat.load IS NULL OR jsonb_typeof(heartbeat.load) <> 'object' OR heartbeat.load ? 'means' AND (jsonb_typeof(heartbeat.load -> 'means') <> 'object'
			OR EXISTS (SELECT FROM jsonb_each(heartbeat.load -> 'means') e WHERE jsonb_typeof(e.value) <> 'number')) THEN
		PERFORM jobsched._invalid('load', format('load: %s', left(coalesce(heartbeat.load::text, 'NULL'), 200)),
			'A JSON object; "means", if there, an object of numbers (seconds).');
	END IF;
	PERFORM jobsched._refuse_copy();
	UPDATE jobsched.workers w SET last_seen = clock_timestamp(), load = heartbeat.load WHERE w.id = heartbeat.worker AND w.state = 'live';
	IF NOT FOUND THEN
		PERFORM jobsched._unknown_worker(heartbeat.worker);
	END IF;
	PERFORM jobsched._take_back(heartbeat.worker, heartbeat.dispatches, heartbeat.tokens, NULL, NULL);
	RETURN QUERY
	SELECT h.dispatch, NULL::smallint, 'drop'
	FROM unnest(heartbeat.dispatches, heartbeat.tokens) AS h(dispatch, token)
	WHERE NOT EXISTS (SELECT FROM jobsched.dispatches d WHERE d.id = h.dispatch AND d.claim_token = h.token)
	UNION ALL
	SELECT d.id, (u.n - 1)::smallint, 'cancel'
	FROM unnest(heartbeat.dispatches, heartbeat.tokens) AS h(dispatch, token)
	JOIN jobsched.dispatches d ON d.id = h.dispatch AND d.claim_token = h.token
	CROSS JOIN LATERAL unnest(d.job_ids) WITH ORDINALITY AS u(job_id, n)
	WHERE (d.done >> (u.n - 1)::int) & 1 = 0
		AND ((d.cancels >> (u.n - 1)::int) & 1 = 1 OR EXISTS (SELECT FROM jobsched.jobs j
			WHERE j.id = u.job_id AND j.slot IN (jobsched.slot_of(u.job_id), 16) AND j.state = 'cancelled'));
END $$;

/*
 * The rows of runs that have ended stay behind, so that finish need not look for them; each report takes away those that are over a
 * minute old.
 */
CREATE FUNCTION jobsched.report_progress(worker uuid, dispatches uuid[], tokens uuid[], runs smallint[], percents real[], messages text[])
	RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	at timestamptz := clock_timestamp();
	n int;
BEGIN
	PERFORM jobsched._check_lengths(cardinality(report_progress.dispatches), coalesce(cardinality(report_progress.tokens), -1),
		coalesce(cardinality(report_progress.runs), -1), coalesce(cardinality(report_progress.percents), -1), coalesce(cardinality(report_progress.messages), -1));
	IF EXISTS (SELECT FROM unnest(report_progress.percents) AS u(percent) WHERE NOT percent BETWEEN 0 AND 100) THEN
		PERFORM jobsched._invalid('percents', format('percents: %s', left(report_progress.percents::text, 200)), 'Each is 0..100 or null.');
	END IF;
	WITH r AS (
		SELECT DISTINCT ON (1, 2) d.job_ids[x.run + 1] AS job_id, d.run_ats[x.run + 1] AS run_at, d.attempts[x.run + 1] AS attempt, x.percent, left(x.message, 200) AS message
		FROM unnest(report_progress.dispatches, report_progress.tokens, report_progress.runs, report_progress.percents, report_progress.messages)
			WITH ORDINALITY AS x(dispatch, token, run, percent, message, n)
		JOIN jobsched.dispatches d ON d.id = x.dispatch AND d.claim_token = x.token
		WHERE d.status = 'claimed' AND d.worker = report_progress.worker AND x.run BETWEEN 0 AND cardinality(d.job_ids) - 1 AND (d.done >> x.run) & 1 = 0
		ORDER BY 1, 2, x.n DESC),
	p AS (
		INSERT INTO jobsched.progress AS p (job_id, run_at, attempt, percent, message, reported_at)
		SELECT r.job_id, r.run_at, r.attempt, r.percent, r.message, at FROM r
		ON CONFLICT (job_id, run_at) DO UPDATE SET attempt = excluded.attempt, percent = excluded.percent, message = excluded.message, reported_at = excluded.reported_at
		RETURNING 1)
	SELECT count(*) INTO n FROM p;
	DELETE FROM jobsched.progress p WHERE p.reported_at < at - interval '1 minute'
		AND NOT EXISTS (SELECT FROM jobsched.dispatches d WHERE d.job_ids @> ARRAY[p.job_id] AND d.status = 'claimed');
	RETURN n;
END $$;

CREATE FUNCTION jobsched.unregister_worker(worker uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	UPDATE jobsched.workers w SET state = 'stopped', last_seen = clock_timestamp() WHERE w.id = unregister_worker.worker AND w.state = 'live';
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	WHILE jobsched._take_back(unregister_worker.worker, '{}', '{}', NULL, NULL) > 0 LOOP
		NULL;
	END LOOP;
	RETURN true;
END $$;

CREATE FUNCTION jobsched.neighbours(worker uuid) RETURNS TABLE (neighbour uuid, worker_id text, info jsonb, silent_seconds float8)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT w.id, w.worker_id, w.info, extract(epoch FROM clock_timestamp() - w.last_seen)
	FROM jobsched.workers me JOIN jobsched.workers w ON w.worker_id = me.worker_id OR w.info ->> 'machine' = me.info ->> 'machine'
	WHERE me.id = neighbours.worker AND w.id <> me.id AND w.state = 'live'
	ORDER BY w.last_seen DESC
$$;

COMMENT ON FUNCTION jobsched.register_worker(text, text[], int, jsonb) IS 'registers one start of a worker process; returns its id for all other worker calls';
COMMENT ON FUNCTION jobsched.claim(uuid, uuid, uuid[]) IS
'Takes dispatches for a worker. token: random, made by the worker for this call; a repeat with the same token gives the same answer.
Returns the runs that are the worker''s now. Raises JS002 for an unknown worker, JS003 in a copy that is not adopted.';
COMMENT ON FUNCTION jobsched.finish(uuid, uuid[], uuid[], smallint[], uuid[], timestamptz[], smallint[], text[], text[], text[], jsonb[], jsonb[], bigint[], bigint[], bigint[]) IS
'Records ended runs; parallel arrays, one entry a run. Answers recorded, already or lost for each. See docs/protocol.md.';
COMMENT ON FUNCTION jobsched.release(uuid, uuid[], uuid[], smallint[]) IS 'gives back runs that never started: due now, attempt unchanged; answers released, already or lost';
COMMENT ON FUNCTION jobsched.heartbeat(uuid, uuid[], uuid[], jsonb) IS
'Renews a worker''s lease. Lists all (dispatch, token) that the worker holds or is claiming; returns runs to cancel and dispatches to drop.';
COMMENT ON FUNCTION jobsched.neighbours(uuid) IS
'Other registrations that have not ended and have the same worker_id, or the same "machine" in info. silent_seconds: since their last heartbeat.
A worker that starts unregisters those whose process it finds gone, and warns of those that share its worker_id.';
COMMENT ON FUNCTION jobsched.report_progress(uuid, uuid[], uuid[], smallint[], real[], text[]) IS
'Says how far running tasks are: percent (0..100 or null) and a few words (cut after 200 characters) for each run; shown in jobsched.runs while they run.
Runs that are not the worker''s are left out. Returns how many were taken.';
COMMENT ON FUNCTION jobsched.unregister_worker(uuid) IS 'the worker process ends: what it still holds is taken back at once; false when it was not live';

/* ----------------------------------------------------------------- cancel */

CREATE FUNCTION jobsched.cancel(id uuid) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
	job record;
	at timestamptz := clock_timestamp();
	ended int := 0;
	going_on boolean;
	workers uuid[];
	over text;
	d jobsched.dispatches;
BEGIN
	/* Locks in the order jobs, schedules, timers, dispatches: promote skips what is locked, claim and finish lock only dispatches. */
	SELECT j.slot, j.id, j.frequency, j.state, j.owner, j.rerun_at INTO job FROM jobsched._lock_job(cancel.id) j;
	PERFORM FROM jobsched.schedules s WHERE s.job_id = cancel.id FOR UPDATE;

	/* guard: D_CANCEL_BY_JOB_STATE: `cancelled` is said only for runs that these statements ended */
	WITH gone AS (DELETE FROM jobsched.timers t WHERE t.job_id = cancel.id RETURNING t.run_at, t.attempt, t.task),
	e AS (
		INSERT INTO jobsched.job_executions (slot, job_id, run_at, attempt, status, final, finished_at)
		SELECT jobsched._counted(jobsched._open_slot(), gone.task, 'cancelled'), cancel.id, gone.run_at, gone.attempt, 'cancelled', true, at FROM gone RETURNING 1)
	SELECT count(*) INTO ended FROM e;

	FOR d IN
		SELECT x.* FROM jobsched.dispatches x WHERE x.id = ANY (ARRAY(SELECT y.id FROM jobsched._in_flight() y WHERE y.job_ids @> ARRAY[cancel.id])) AND x.status = 'queued' ORDER BY x.id FOR UPDATE
	LOOP
		ended := ended + jobsched._end_queued(d, ARRAY[cancel.id], 'cancelled', at);
	END LOOP;

	/*
	 * What is left is claimed, or was moved meanwhile: whoever moves it next sees the job's state.  It is not locked, so that a
	 * worker's finish never waits for the end of the caller's transaction.  Workers that hold something are told to ask for orders.
	 */
	SELECT count(*) > 0 OR EXISTS (SELECT FROM jobsched.timers t WHERE t.job_id = cancel.id), array_agg(x.worker) INTO going_on, workers
	FROM jobsched._in_flight() x CROSS JOIN LATERAL unnest(x.job_ids) WITH ORDINALITY AS u(job_id, n)
	WHERE x.job_ids @> ARRAY[cancel.id] AND u.job_id = cancel.id AND (x.done >> (u.n - 1)::int) & 1 = 0;
	PERFORM jobsched._urge(w) FROM unnest(workers) w;
	IF ended = 0 AND NOT going_on AND job.frequency = 'once' THEN
		SELECT e.status INTO over FROM jobsched.job_executions e WHERE e.job_id = cancel.id AND e.final AND (job.rerun_at IS NULL OR e.finished_at >= job.rerun_at) ORDER BY e.finished_at DESC LIMIT 1;
		IF over IS NOT NULL THEN
			RETURN over;
		END IF;
		going_on := true;
	END IF;
	UPDATE jobsched.jobs j SET state = 'cancelled', state_by = jobsched.caller(), state_at = at WHERE j.id = cancel.id AND j.slot = job.slot AND j.state <> 'cancelled';
	RETURN CASE WHEN going_on THEN 'cancelling' ELSE 'cancelled' END;
END $$;
COMMENT ON FUNCTION jobsched.cancel(uuid) IS
'Cancels a job: `cancelled` (it has not started and never will), `cancelling` (a task runs and was told to stop; no retry is made), or the status already reached.
A cron job plans no further runs. Raises JS002 for an unknown id or another owner''s job.';

/* ------------------------------------------------------------------ views */

/* rest_get_many() derives the status in the same way; the test rest.sql compares the two. */
CREATE VIEW jobsched.job_status WITH (security_barrier) AS
SELECT j.id, j.name,
	CASE
		WHEN j.frequency = 'cron' THEN CASE WHEN j.state <> 'active' THEN j.state
			WHEN t.cron OR EXISTS (SELECT FROM jobsched.timers c WHERE c.job_id = j.id AND c.cron) THEN 'scheduled' ELSE 'ended' END
		WHEN t.job_id IS NOT NULL THEN
			CASE WHEN j.state = 'cancelled' THEN 'cancelling' WHEN j.state = 'paused' THEN 'paused' WHEN t.attempt > 1 THEN 'retrying' ELSE 'scheduled' END
		WHEN e.final AND (j.rerun_at IS NULL OR e.finished_at >= j.rerun_at) THEN e.status
		ELSE coalesce((SELECT CASE WHEN j.state = 'cancelled' THEN 'cancelling' WHEN d.status = 'claimed' THEN 'running' ELSE 'queued' END
			FROM jobsched.dispatches d WHERE d.job_ids @> ARRAY[j.id] LIMIT 1), 'queued')
	END AS status,
	j.payload, j.frequency, q.name AS queue, j.priority, j.max_retries, j.timeout, s.cron, s.time_zone, s.schedule_name, j.unique_key, j.owner, j.created_at,
	CASE WHEN t.due_at < 'infinity' THEN t.due_at END AS next_run_at,
	e.attempt AS last_attempt, e.status AS last_status, e.reason AS last_reason, e.error AS last_error, e.result_payload, e.artifacts,
	e.run_at AS last_run_at, e.queued_at AS last_queued_at, e.started_at AS last_started_at, e.finished_at AS last_finished_at,
	e.worker_id AS last_worker, w.worker_id AS last_worker_id, j.traceparent
FROM jobsched.jobs j
JOIN jobsched.queues q ON q.id = j.queue
LEFT JOIN jobsched.schedules s ON s.job_id = j.id
LEFT JOIN LATERAL (SELECT t.* FROM jobsched.timers t WHERE t.job_id = j.id ORDER BY t.due_at LIMIT 1) t ON true
LEFT JOIN LATERAL (SELECT e.* FROM jobsched.job_executions e WHERE e.job_id = j.id ORDER BY e.finished_at DESC, e.attempt DESC LIMIT 1) e ON true
LEFT JOIN jobsched.workers w ON w.id = e.worker_id
WHERE (SELECT jobsched._sees_all()) OR j.owner = (SELECT jobsched.caller());
COMMENT ON VIEW jobsched.job_status IS
'Jobs that the caller may see (own ones; all for jobsched_viewer), with derived status, next run and last execution.
status: running, queued, paused, retrying, scheduled, cancelling, or how a once job ended: succeeded, failed, cancelled, expired; a cron job is scheduled, paused, cancelled, or ended: its schedule has no further time.';

CREATE VIEW jobsched.runs WITH (security_barrier) AS
SELECT r.*, w.worker_id, p.percent, p.message
FROM (
	SELECT t.job_id, t.run_at, t.attempt, CASE WHEN t.due_at = 'infinity' THEN 'paused' WHEN t.attempt > 1 THEN 'retrying' ELSE 'scheduled' END AS status,
		false AS final, t.due_at, NULL::timestamptz AS queued_at, NULL::timestamptz AS started_at, NULL::timestamptz AS finished_at,
		NULL::text AS reason, NULL::text AS error, NULL::jsonb AS result_payload, NULL::jsonb AS artifacts, NULL::uuid AS worker
	FROM jobsched.timers t
	UNION ALL
	SELECT u.job_id, u.run_at, u.attempt, CASE d.status WHEN 'claimed' THEN 'running' ELSE 'queued' END,
		false, NULL, d.queued_at, d.claimed_at, NULL, NULL, NULL, NULL, NULL, d.worker
	FROM jobsched.dispatches d
	CROSS JOIN LATERAL unnest(d.job_ids, d.run_ats, d.attempts) WITH ORDINALITY AS u(job_id, run_at, attempt, n)
	WHERE (d.done >> (u.n - 1)::int) & 1 = 0
	UNION ALL
	SELECT e.job_id, e.run_at, e.attempt, e.status, e.final, NULL, e.queued_at, e.started_at, e.finished_at, e.reason, e.error, e.result_payload, e.artifacts, e.worker_id
	FROM jobsched.job_executions e
) r
LEFT JOIN jobsched.workers w ON w.id = r.worker
LEFT JOIN jobsched.progress p ON p.job_id = r.job_id AND p.run_at = r.run_at AND p.attempt = r.attempt AND r.status = 'running'
WHERE (SELECT jobsched._sees_all()) OR EXISTS (SELECT FROM jobsched.jobs j WHERE j.id = r.job_id AND j.owner = (SELECT jobsched.caller()));
COMMENT ON VIEW jobsched.runs IS
'Every run that the caller may see: planned (scheduled, retrying, paused), in flight (queued, running; started_at is when it was claimed; percent and message are what its task said last), ended attempts (final tells whether the run ended with it).';

/* -------------------------------------------------- schedules, pause, retry */

/* Locks the caller's job; raises JS002 when there is none that the caller may change. */
CREATE FUNCTION jobsched._lock_job(id uuid) RETURNS jobsched.jobs LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	job jobsched.jobs;
BEGIN
	/* Twice: it may have been moved to the kept leaf while its row was waited for. */
	FOR i IN 1 .. 2 LOOP
		SELECT j.* INTO job FROM jobsched.jobs j
		WHERE j.id = _lock_job.id AND j.slot IN (jobsched.slot_of(_lock_job.id), 16) AND (j.owner = jobsched.caller() OR jobsched._manages_all())
		FOR UPDATE;
		IF FOUND THEN
			RETURN job;
		END IF;
	END LOOP;
	PERFORM jobsched._unknown_job(_lock_job.id);
	RETURN NULL;
END $$;

CREATE FUNCTION jobsched._conflict(message text, hint text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'JS003', MESSAGE = message, HINT = hint;
END $$;

/* A run that people ask for: due now, named by this moment.  The job's state becomes active. */
CREATE FUNCTION jobsched._plan_now(job jobsched.jobs) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
	at timestamptz := clock_timestamp();
BEGIN
	INSERT INTO jobsched.timers (due_at, run_at, job_id, task, priority, queue, segment)
	VALUES (at, at, job.id, jobsched._task_hash(job.name), job.priority, job.queue, jobsched.segment_of(job.id));
	IF job.frequency = 'once' THEN
		UPDATE jobsched.jobs j SET state = 'active', rerun_at = at WHERE j.id = job.id AND j.slot = job.slot;
	END IF;
	PERFORM jobsched._wake(job.queue, job.priority, at);
	RETURN at;
END $$;

CREATE FUNCTION jobsched.run_now(id uuid) RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	job jobsched.jobs := jobsched._lock_job(id);
BEGIN
	IF job.state = 'cancelled' THEN
		PERFORM jobsched._conflict(format('job %s is cancelled', id), 'retry() starts a cancelled once job anew.');
	END IF;
	IF job.expires_at <= clock_timestamp() THEN
		UPDATE jobsched.jobs j SET expires_at = NULL WHERE j.id = job.id AND j.slot = job.slot;
		PERFORM jobsched._set_expiry(id, NULL);
	END IF;
	RETURN jobsched._plan_now(job);
END $$;
COMMENT ON FUNCTION jobsched.run_now(uuid) IS
'Plans one more run of a job, due now, beside what is planned already; returns its run_at. An expires_at that has passed is forgotten. JS002 unknown, JS003 when the job is cancelled.';

CREATE FUNCTION jobsched.retry(id uuid) RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	job jobsched.jobs := jobsched._lock_job(id);
	status text;
BEGIN
	IF job.frequency = 'cron' THEN
		PERFORM jobsched._conflict(format('job %s is a cron job', id), 'run_now() plans a run of it.');
	END IF;
	SELECT s.status INTO status FROM jobsched.job_status s WHERE s.id = retry.id;
	IF status NOT IN ('failed', 'cancelled', 'expired') THEN
		PERFORM jobsched._conflict(format('job %s is %s', id, status), 'Jobs that are failed, cancelled or expired can be tried again.');
	END IF;
	UPDATE jobsched.jobs j SET expires_at = NULL WHERE j.id = job.id AND j.slot = job.slot AND j.expires_at IS NOT NULL;
	PERFORM jobsched._set_expiry(id, NULL);
	RETURN jobsched._plan_now(job);
END $$;
COMMENT ON FUNCTION jobsched.retry(uuid) IS
'Tries a failed, cancelled or expired once job anew, with all its retries: plans a run due now; returns its run_at. JS003 for other states.';

CREATE FUNCTION jobsched.pause(id uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	job jobsched.jobs := jobsched._lock_job(id);
BEGIN
	IF job.state = 'paused' THEN
		RETURN false;
	END IF;
	IF job.state = 'cancelled' THEN
		PERFORM jobsched._conflict(format('job %s is cancelled', id), 'Only a job that may still run can be paused.');
	END IF;
	UPDATE jobsched.schedules s SET paused = true WHERE s.job_id = pause.id;
	UPDATE jobsched.timers t SET due_at = 'infinity' WHERE t.job_id = pause.id AND NOT t.cron;
	IF job.frequency = 'once' AND NOT FOUND THEN
		PERFORM jobsched._conflict(format('job %s has started or ended', id), 'Only runs that have not been handed out can be paused; cancel() stops a running one.');
	END IF;
	UPDATE jobsched.jobs j SET state = 'paused', state_by = jobsched.caller(), state_at = clock_timestamp() WHERE j.id = job.id AND j.slot = job.slot;
	RETURN true;
END $$;
COMMENT ON FUNCTION jobsched.pause(uuid) IS
'Holds back a job: runs that have not been handed out wait until resume(); the times of a cron job pass as skipped_paused. True when it was not paused before; JS003 when there is nothing to pause.';

CREATE FUNCTION jobsched.resume(id uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	job jobsched.jobs := jobsched._lock_job(id);
	at timestamptz := clock_timestamp();
	t jobsched.timers;
BEGIN
	IF job.state <> 'paused' THEN
		RETURN false;
	END IF;
	UPDATE jobsched.schedules s SET paused = false WHERE s.job_id = resume.id;
	UPDATE jobsched.jobs j SET state = 'active', state_by = jobsched.caller(), state_at = at WHERE j.id = job.id AND j.slot = job.slot;
	FOR t IN UPDATE jobsched.timers x SET due_at = greatest(x.run_at, at) WHERE x.job_id = resume.id AND x.due_at = 'infinity' RETURNING x.* LOOP
		PERFORM jobsched._wake(t.queue, t.priority, t.due_at);
	END LOOP;
	RETURN true;
END $$;
COMMENT ON FUNCTION jobsched.resume(uuid) IS 'Lets a paused job go on: what was due meanwhile runs now, a cron job at its next time. False when it was not paused.';

CREATE FUNCTION jobsched._pause_queue(queue text, pause boolean) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	id smallint;
BEGIN
	UPDATE jobsched.queues q SET paused = _pause_queue.pause, paused_by = jobsched.caller(), paused_at = clock_timestamp()
	WHERE q.name = _pause_queue.queue AND q.paused <> _pause_queue.pause RETURNING q.id INTO id;
	IF NOT FOUND THEN
		IF NOT EXISTS (SELECT FROM jobsched.queues q WHERE q.name = _pause_queue.queue) THEN
			PERFORM jobsched._unknown_queue(_pause_queue.queue);
		END IF;
		RETURN false;
	END IF;
	IF NOT pause THEN
		PERFORM jobsched._wake(id, p::smallint, '-infinity') FROM generate_series(0, 9) p;
	END IF;
	RETURN true;
END $$;
CREATE FUNCTION jobsched.pause_queue(queue text) RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ SELECT jobsched._pause_queue(queue, true) $$;
CREATE FUNCTION jobsched.resume_queue(queue text) RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ SELECT jobsched._pause_queue(queue, false) $$;
COMMENT ON FUNCTION jobsched.pause_queue(text) IS 'Hands out nothing more of a queue until resume_queue(); running tasks go on. False when it was paused already; JS002 for an unknown queue.';
COMMENT ON FUNCTION jobsched.resume_queue(text) IS 'Hands out a paused queue''s runs again. False when it was not paused; JS002 for an unknown queue.';

/* The next nominal time of a schedule after a time, inside starts_at .. ends_at; null when there is none. */
CREATE FUNCTION jobsched._next_time(s jobsched.schedules, after timestamptz) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
	planned timestamptz := jobsched._cron_next(s.cron, greatest(after, s.last_run_at, s.starts_at - interval '1 microsecond'), s.time_zone,
		s.dst_gap, s.dst_overlap);
BEGIN
	IF planned > s.ends_at OR s.fired >= s.max_runs THEN
		RETURN NULL;
	END IF;
	RETURN planned;
END $$;

/*
 * A planned time is given up: when it has come, or waits, it and the times after it up to now leave a row, at most 1,000, and do not
 * come back.  The caller holds the schedules row; `old` is what it was.
 */
CREATE FUNCTION jobsched._give_up(old jobsched.schedules, planned timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	at timestamptz := clock_timestamp();
	word text := CASE WHEN old.paused THEN 'skipped_paused' WHEN old.waits_until >= planned THEN 'skipped_overlap' ELSE 'misfired' END;
	latest timestamptz;
	n int := 0;
BEGIN
	WHILE n < 1000 AND planned <= least(at, old.ends_at) AND (planned > old.last_run_at OR old.last_run_at IS NULL) LOOP
		INSERT INTO jobsched.cron_ticks (job_id, run_at, outcome) VALUES (old.job_id, planned, word) ON CONFLICT DO NOTHING;
		latest := planned;
		n := n + 1;
		BEGIN
			planned := jobsched._cron_next(old.cron, planned, old.time_zone, old.dst_gap, old.dst_overlap);
		EXCEPTION WHEN SQLSTATE 'JS001' THEN
			EXIT;	/* it has no further time */
		END;
	END LOOP;
	UPDATE jobsched.schedules s SET waits_until = NULL, last_run_at = greatest(s.last_run_at, latest) WHERE s.job_id = old.job_id;
END $$;

/*
 * Plans the next time of a schedule anew, after its expression, zone, limits or its job's queue have changed; `old` is what it was.
 * A time that has come is left to the policies while expression and zone still say it, and so is the rhythm of @every.
 * guard: D_ALTER_UNLOCKED: the schedules row is locked by the caller, and last_run_at says what promote has done.
 */
CREATE FUNCTION jobsched._replan(job jobsched.jobs, old jobsched.schedules) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
	s jobsched.schedules;
	at timestamptz := clock_timestamp();
	had timestamptz;
	keeps boolean;
	planned timestamptz;
	due timestamptz;
BEGIN
	SELECT x.* INTO s FROM jobsched.schedules x WHERE x.job_id = job.id;
	planned := jobsched._next_time(s, at);
	WITH gone AS (DELETE FROM jobsched.timers t WHERE t.job_id = job.id AND t.cron RETURNING t.run_at) SELECT min(gone.run_at) INTO had FROM gone;
	keeps := (s.cron, s.time_zone, s.dst_gap, s.dst_overlap) = (old.cron, old.time_zone, old.dst_gap, old.dst_overlap)
		AND had BETWEEN coalesce(s.starts_at, had) AND coalesce(s.ends_at, had)
		AND (s.last_run_at IS NULL OR had > s.last_run_at) AND (s.max_runs IS NULL OR s.fired < s.max_runs);
	IF keeps AND (had <= at OR s.cron ~* '^\s*@every' AND had < planned) THEN
		planned := had;
	ELSIF had IS NOT NULL THEN
		PERFORM jobsched._give_up(old, had);
	END IF;
	IF planned IS NOT NULL THEN
		due := planned + jobsched._jitter(job.id, s.jitter);
		INSERT INTO jobsched.timers (due_at, run_at, job_id, task, priority, queue, segment, cron)
		VALUES (due, planned, job.id, jobsched._task_hash(job.name), job.priority, job.queue, jobsched.segment_of(job.id), true);
		PERFORM jobsched._wake(job.queue, job.priority, due);
	END IF;
	RETURN planned;
END $$;

/* Offset inside a schedule's jitter: a hash of the job's id, so the same for each of its times. */
CREATE FUNCTION jobsched._jitter(id uuid, jitter interval) RETURNS interval LANGUAGE sql IMMUTABLE AS
	$$ SELECT coalesce(jitter * ((('x' || right(id::text, 8))::bit(32)::bigint & 4294967295) / 4294967296.0), interval '0') $$;

CREATE FUNCTION jobsched._schedule_id(schedule_name text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
	ids uuid[];
BEGIN
	SELECT array_agg(s.job_id) INTO ids FROM jobsched.schedules s
	WHERE s.schedule_name = _schedule_id.schedule_name AND s.owner = jobsched.caller();
	IF ids IS NULL AND jobsched._manages_all() THEN
		SELECT array_agg(s.job_id) INTO ids FROM jobsched.schedules s WHERE s.schedule_name = _schedule_id.schedule_name;
	END IF;
	IF ids IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'JS002', MESSAGE = format('schedule %L does not exist', _schedule_id.schedule_name),
			HINT = 'It may never have existed, or belong to another role.';
	ELSIF cardinality(ids) > 1 THEN
		PERFORM jobsched._conflict(format('schedule %L exists for %s owners', _schedule_id.schedule_name, cardinality(ids)), 'Name it by its id.');
	END IF;
	RETURN ids[1];
END $$;

CREATE FUNCTION jobsched._check_policies(starts_at timestamptz, ends_at timestamptz, max_runs bigint, jitter interval, catchup_window interval,
	catchup_max int, misfire_policy text, overlap_policy text, dst_gap text, dst_overlap text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF misfire_policy NOT IN ('run_once', 'skip', 'run_all') THEN
		PERFORM jobsched._invalid('misfire_policy', format('misfire_policy: %L is not allowed', misfire_policy), 'Allowed: run_once, skip, run_all.');
	END IF;
	IF overlap_policy NOT IN ('skip', 'queue_one', 'allow', 'cancel_running') THEN
		PERFORM jobsched._invalid('overlap_policy', format('overlap_policy: %L is not allowed', overlap_policy), 'Allowed: skip, queue_one, allow, cancel_running.');
	END IF;
	IF dst_gap NOT IN ('next_valid', 'skip') THEN
		PERFORM jobsched._invalid('dst_gap', format('dst_gap: %L is not allowed', dst_gap), 'Allowed: next_valid, skip.');
	END IF;
	IF dst_overlap NOT IN ('first', 'last', 'both') THEN
		PERFORM jobsched._invalid('dst_overlap', format('dst_overlap: %L is not allowed', dst_overlap), 'Allowed: first, last, both.');
	END IF;
	IF jitter < interval '0' OR jitter > interval '1 day' THEN
		PERFORM jobsched._invalid('jitter', format('jitter: %s is out of range 0..1 day', jitter), 'The interval over which the starts are spread.');
	END IF;
	IF catchup_window < interval '0' THEN
		PERFORM jobsched._invalid('catchup_window', format('catchup_window: %s is negative', catchup_window), 'Missed times older than this are given up.');
	END IF;
	IF catchup_max NOT BETWEEN 1 AND 10000 THEN
		PERFORM jobsched._invalid('catchup_max', format('catchup_max: %s is out of range 1..10000', catchup_max), 'The largest number of missed times that run_all makes up for.');
	END IF;
	IF max_runs < 1 THEN
		PERFORM jobsched._invalid('max_runs', format('max_runs: %s is out of range, at least 1', max_runs), 'NULL: no limit.');
	END IF;
	IF ends_at <= starts_at THEN
		PERFORM jobsched._invalid('ends_at', format('ends_at: %s is not after starts_at %s', ends_at, starts_at), 'NULL: no end.');
	END IF;
END $$;

CREATE FUNCTION jobsched.schedule(schedule_name text, cron text, name text, payload jsonb DEFAULT '{}', time_zone text DEFAULT NULL, queue text DEFAULT NULL,
	priority int DEFAULT 0, max_retries int DEFAULT 3, timeout interval DEFAULT NULL, misfire_policy text DEFAULT 'run_once', overlap_policy text DEFAULT 'skip',
	catchup_window interval DEFAULT '1 day', catchup_max int DEFAULT 100, jitter interval DEFAULT NULL, starts_at timestamptz DEFAULT NULL,
	ends_at timestamptz DEFAULT NULL, max_runs bigint DEFAULT NULL, dst_gap text DEFAULT 'next_valid', dst_overlap text DEFAULT 'first')
	RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	id uuid;
	job jobsched.jobs;
	old jobsched.schedules;
BEGIN
	IF schedule_name IS NULL OR length(schedule_name) NOT BETWEEN 1 AND 255 OR schedule_name ~ '[[:cntrl:]]' THEN
		PERFORM jobsched._invalid('schedule_name', format('schedule_name: %s is not allowed', coalesce(to_json(left(schedule_name, 300))::text, 'NULL')),
			'1 to 255 characters, none of them a control character.');
	END IF;
	IF cron IS NULL THEN
		PERFORM jobsched._invalid('cron', 'cron: missing', 'A cron expression.');
	END IF;
	PERFORM jobsched._check_policies(starts_at, ends_at, max_runs, jitter, catchup_window, catchup_max, misfire_policy, overlap_policy, dst_gap, dst_overlap);
	/* One at a time for a name, so that two callers do not both make it. */
	PERFORM pg_advisory_xact_lock(hashtextextended('jobsched.schedule ' || jobsched.caller() || ' ' || schedule_name, 0));
	SELECT s.job_id INTO id FROM jobsched.schedules s WHERE s.owner = jobsched.caller() AND s.schedule_name = schedule.schedule_name;
	IF NOT FOUND THEN
		SELECT x.id INTO id FROM jobsched._submit(name, payload, NULL, cron, time_zone, queue, priority, max_retries, timeout, NULL, '') x;
		UPDATE jobsched.schedules s SET schedule_name = schedule.schedule_name WHERE s.job_id = id;
		job := jobsched._lock_job(id);
	ELSE
		job := jobsched._lock_job(id);
		PERFORM jobsched._check_job(name, payload, priority, max_retries, timeout, '');
		job.name := name; job.payload := payload; job.priority := priority; job.max_retries := max_retries; job.timeout := timeout;
		job.queue := jobsched._queue_id(coalesce(queue, jobsched._default_queue()));
		UPDATE jobsched.jobs j SET name = job.name, payload = job.payload, priority = job.priority, max_retries = job.max_retries, timeout = job.timeout,
			queue = job.queue, state = CASE j.state WHEN 'cancelled' THEN 'active' ELSE j.state END
		WHERE j.id = id AND j.slot = job.slot;
	END IF;
	SELECT s.* INTO old FROM jobsched.schedules s WHERE s.job_id = id FOR UPDATE;
	UPDATE jobsched.schedules s SET cron = schedule.cron, time_zone = jobsched._zone_name(coalesce(schedule.time_zone, jobsched._default_time_zone())), starts_at = schedule.starts_at,
		ends_at = schedule.ends_at, max_runs = schedule.max_runs, jitter = schedule.jitter, catchup_window = schedule.catchup_window,
		catchup_max = schedule.catchup_max, misfire_policy = schedule.misfire_policy, overlap_policy = schedule.overlap_policy,
		dst_gap = schedule.dst_gap, dst_overlap = schedule.dst_overlap
	WHERE s.job_id = id;
	PERFORM jobsched._replan(job, old);
	RETURN id;
END $$;
COMMENT ON FUNCTION jobsched.schedule(text, text, text, jsonb, text, text, int, int, interval, text, text, interval, int, interval, timestamptz, timestamptz, bigint, text, text) IS
'Makes a cron job with a name, or changes the caller''s one of that name to just these arguments; returns its id, which stays the same.
cron, time_zone: when; name, payload, queue, priority, max_retries, timeout: what, as in submit. Policies: docs/scheduling.md. Errors: JS001 names the argument.';

CREATE FUNCTION jobsched.unschedule(id uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	job jobsched.jobs := jobsched._lock_job(id);
	old jobsched.schedules;
	planned timestamptz;
BEGIN
	IF job.frequency <> 'cron' THEN
		PERFORM jobsched._conflict(format('job %s is no cron job', id), 'cancel() ends a once job.');
	END IF;
	IF job.state = 'cancelled' THEN
		RETURN false;
	END IF;
	SELECT s.* INTO old FROM jobsched.schedules s WHERE s.job_id = unschedule.id FOR UPDATE;
	WITH gone AS (DELETE FROM jobsched.timers t WHERE t.job_id = unschedule.id AND t.cron RETURNING t.run_at) SELECT min(gone.run_at) INTO planned FROM gone;
	PERFORM jobsched._give_up(old, planned);
	/* Retries that a pause holds back end at claim. */
	PERFORM jobsched._wake(t.queue, t.priority, '-infinity') FROM jobsched.timers t WHERE t.job_id = unschedule.id AND t.due_at = 'infinity';
	UPDATE jobsched.timers t SET due_at = t.run_at WHERE t.job_id = unschedule.id AND t.due_at = 'infinity';
	UPDATE jobsched.schedules s SET schedule_name = NULL WHERE s.job_id = unschedule.id;
	UPDATE jobsched.jobs j SET state = 'cancelled', state_by = jobsched.caller(), state_at = clock_timestamp() WHERE j.id = job.id AND j.slot = job.slot;
	RETURN true;
END $$;
CREATE FUNCTION jobsched.unschedule(schedule_name text) RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ SELECT jobsched.unschedule(jobsched._schedule_id(schedule_name)) $$;
COMMENT ON FUNCTION jobsched.unschedule(uuid) IS 'Ends a cron job: no further times; a run under way is told to stop as by cancel(). Its name is free again. False when it had ended.';
COMMENT ON FUNCTION jobsched.unschedule(text) IS 'unschedule(id) for the caller''s schedule of this name.';

CREATE FUNCTION jobsched.alter_schedule(id uuid, cron text DEFAULT NULL, time_zone text DEFAULT NULL, payload jsonb DEFAULT NULL, misfire_policy text DEFAULT NULL,
	overlap_policy text DEFAULT NULL, catchup_window interval DEFAULT NULL, catchup_max int DEFAULT NULL, jitter interval DEFAULT NULL, starts_at timestamptz DEFAULT NULL,
	ends_at timestamptz DEFAULT NULL, max_runs bigint DEFAULT NULL, dst_gap text DEFAULT NULL, dst_overlap text DEFAULT NULL)
	RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	job jobsched.jobs := jobsched._lock_job(id);
	s jobsched.schedules;
BEGIN
	SELECT x.* INTO s FROM jobsched.schedules x WHERE x.job_id = id FOR UPDATE;
	IF NOT FOUND OR job.state = 'cancelled' THEN
		PERFORM jobsched._conflict(format('job %s is no active cron job', id), 'schedule() makes one.');
	END IF;
	PERFORM jobsched._check_policies(coalesce(starts_at, s.starts_at), coalesce(ends_at, s.ends_at), max_runs, jitter, catchup_window, catchup_max,
		misfire_policy, overlap_policy, dst_gap, dst_overlap);
	IF payload IS NOT NULL THEN
		PERFORM jobsched._check_job(job.name, payload, job.priority, job.max_retries, job.timeout, '');
		UPDATE jobsched.jobs j SET payload = alter_schedule.payload WHERE j.id = job.id AND j.slot = job.slot;
	END IF;
	UPDATE jobsched.schedules x SET cron = coalesce(alter_schedule.cron, s.cron), time_zone = coalesce(jobsched._zone_name(alter_schedule.time_zone), s.time_zone),
		misfire_policy = coalesce(alter_schedule.misfire_policy, s.misfire_policy), overlap_policy = coalesce(alter_schedule.overlap_policy, s.overlap_policy),
		catchup_window = coalesce(alter_schedule.catchup_window, s.catchup_window), catchup_max = coalesce(alter_schedule.catchup_max, s.catchup_max),
		jitter = coalesce(alter_schedule.jitter, s.jitter), starts_at = coalesce(alter_schedule.starts_at, s.starts_at),
		ends_at = coalesce(alter_schedule.ends_at, s.ends_at), max_runs = coalesce(alter_schedule.max_runs, s.max_runs),
		dst_gap = coalesce(alter_schedule.dst_gap, s.dst_gap), dst_overlap = coalesce(alter_schedule.dst_overlap, s.dst_overlap)
	WHERE x.job_id = id;
	RETURN jobsched._replan(job, s);
END $$;
COMMENT ON FUNCTION jobsched.alter_schedule(uuid, text, text, jsonb, text, text, interval, int, interval, timestamptz, timestamptz, bigint, text, text) IS
'Changes what is given of a cron job, keeps the rest (schedule() sets all); returns its next time, null when there is none.';

CREATE FUNCTION jobsched.alter_job(id uuid, payload jsonb DEFAULT NULL, run_at timestamptz DEFAULT NULL, queue text DEFAULT NULL, priority int DEFAULT NULL,
	max_retries int DEFAULT NULL, timeout interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL, retry_delay interval DEFAULT NULL, retry_delay_max interval DEFAULT NULL,
	backoff text DEFAULT NULL) RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	job jobsched.jobs := jobsched._lock_job(id);
	due timestamptz;
BEGIN
	IF job.frequency = 'cron' THEN
		PERFORM jobsched._conflict(format('job %s is a cron job', id), 'alter_schedule() changes it.');
	END IF;
	SELECT t.run_at INTO due FROM jobsched.timers t WHERE t.job_id = id AND t.attempt = 1;
	due := coalesce(run_at, due, clock_timestamp());
	IF due IN ('infinity', '-infinity') THEN
		PERFORM jobsched._invalid('run_at', format('run_at: %s is not a time', due), 'Give a finite time.');
	END IF;
	payload := coalesce(payload, job.payload);
	priority := coalesce(priority, job.priority);
	max_retries := coalesce(max_retries, job.max_retries);
	timeout := coalesce(timeout, job.timeout);
	PERFORM jobsched._check_job(job.name, payload, priority, max_retries, timeout, '');
	PERFORM jobsched._check_retry(expires_at, retry_delay, retry_delay_max, coalesce(backoff, job.backoff), '');
	IF NOT jobsched._replace(id, job.name, payload, due, CASE WHEN queue IS NULL THEN job.queue ELSE jobsched._queue_id(queue) END, priority, max_retries, timeout,
			coalesce(expires_at, job.expires_at), coalesce(retry_delay, job.retry_delay), coalesce(retry_delay_max, job.retry_delay_max), coalesce(backoff, job.backoff)) THEN
		PERFORM jobsched._conflict(format('job %s has started or ended', id), 'Only a job that has not started can be changed.');
	END IF;
	RETURN due;
END $$;
COMMENT ON FUNCTION jobsched.alter_job(uuid, jsonb, timestamptz, text, int, int, interval, timestamptz, interval, interval, text) IS
'Changes what is given of a once job that has not started, keeps the rest; returns its run_at. JS003 when it has started or ended, or is a cron job.';

CREATE FUNCTION jobsched.backfill(id uuid, "from" timestamptz, "to" timestamptz) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	job jobsched.jobs := jobsched._lock_job(id);
	s jobsched.schedules;
	nominal timestamptz;
	at timestamptz := clock_timestamp();
	n int := 0;
BEGIN
	SELECT x.* INTO s FROM jobsched.schedules x WHERE x.job_id = id FOR UPDATE;
	IF NOT FOUND OR job.state = 'cancelled' THEN
		PERFORM jobsched._conflict(format('job %s is no active cron job', id), 'Only times of a cron job can be made up for.');
	END IF;
	IF "to" IS NULL OR "to" > at THEN
		PERFORM jobsched._invalid('to', format('to: %s is not in the past', coalesce("to"::text, 'NULL')), 'Later times come by themselves.');
	END IF;
	IF "from" IS NULL OR "from" > "to" OR "from" = '-infinity' THEN
		PERFORM jobsched._invalid('from', format('from: %s is not a time before to', coalesce("from"::text, 'NULL')), 'from and to are both included.');
	END IF;
	nominal := jobsched._cron_next(s.cron, "from" - interval '1 microsecond', s.time_zone, s.dst_gap, s.dst_overlap);
	WHILE nominal <= "to" LOOP
		INSERT INTO jobsched.cron_ticks AS k (job_id, run_at, outcome) VALUES (id, nominal, 'fired')
		ON CONFLICT (job_id, run_at) DO UPDATE SET outcome = 'fired', decided_at = now() WHERE k.outcome <> 'fired';
		IF FOUND THEN
			n := n + 1;
			IF n > 10000 THEN
				PERFORM jobsched._invalid('to', format('to: more than 10000 times between %s and %s', "from", "to"), 'Make up for a shorter time.');
			END IF;
			INSERT INTO jobsched.timers (due_at, run_at, job_id, task, priority, queue, segment)
			VALUES (CASE job.state WHEN 'paused' THEN 'infinity' ELSE at END, nominal, id, jobsched._task_hash(job.name), job.priority, job.queue, jobsched.segment_of(id));
		END IF;
		nominal := jobsched._cron_next(s.cron, nominal, s.time_zone, s.dst_gap, s.dst_overlap);
	END LOOP;
	PERFORM jobsched._wake(job.queue, job.priority, at);
	RETURN n;
END $$;
COMMENT ON FUNCTION jobsched.backfill(uuid, timestamptz, timestamptz) IS
'Plans a run now for each time of a cron job between from and to (both included, in the past) that did not fire; returns their number, at most 10000.';

/* ---------------------------------------------------------------- explain */

CREATE FUNCTION jobsched.explain_job(id uuid, OUT status text, OUT reason text) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	s jobsched.job_status;
	j jobsched.jobs;
	q jobsched.queues;
	t jobsched.timers;
	d jobsched.dispatches;
	c jobsched.schedules;
	planned timestamptz;
	again timestamptz;
	at timestamptz := clock_timestamp();
	live int;
	sched record;
BEGIN
	SELECT x.* INTO s FROM jobsched.job_status x WHERE x.id = explain_job.id;
	IF NOT FOUND THEN
		PERFORM jobsched._unknown_job(explain_job.id);
	END IF;
	SELECT x.* INTO j FROM jobsched.jobs x WHERE x.id = explain_job.id;
	SELECT x.* INTO q FROM jobsched.queues x WHERE x.id = j.queue;
	SELECT x.* INTO t FROM jobsched.timers x WHERE x.job_id = explain_job.id ORDER BY x.due_at LIMIT 1;
	SELECT x.* INTO d FROM jobsched._in_flight() x WHERE x.job_ids @> ARRAY[explain_job.id]
		AND (x.done >> array_position(x.job_ids, explain_job.id) - 1) & 1 = 0 LIMIT 1;
	SELECT x.* INTO c FROM jobsched.schedules x WHERE x.job_id = explain_job.id;
	SELECT min(x.run_at) FILTER (WHERE x.cron), min(x.due_at) FILTER (WHERE NOT x.cron) INTO planned, again FROM jobsched.timers x WHERE x.job_id = explain_job.id;
	SELECT count(*) INTO live FROM jobsched.workers w
	WHERE w.state = 'live' AND w.last_seen > at - jobsched.worker_lease() AND q.name = ANY (w.queues);
	SELECT jobsched._scheduler_state() AS state, min(x.broker) AS broker INTO sched FROM jobsched.scheduler_status() x WHERE x.database = current_database();
	status := s.status;
	reason := CASE
		WHEN j.state = 'paused' THEN format('paused by %s at %s', coalesce(j.state_by, 'somebody'), jobsched._iso(j.state_at))
		WHEN j.state = 'cancelled' AND s.status <> 'cancelling' THEN format('cancelled by %s at %s', coalesce(j.state_by, 'somebody'), jobsched._iso(j.state_at))
		WHEN c.waits_until >= planned THEN format('the run of %s waits for the earlier run of this job (%s), which %s', jobsched._iso(planned),
			CASE c.overlap_policy WHEN 'queue_one' THEN 'overlap_policy queue_one' ELSE 'missed times run one after the other' END, CASE
			WHEN d.status = 'claimed' THEN format('worker %s took %s s ago', coalesce((SELECT w.worker_id FROM jobsched.workers w WHERE w.id = d.worker), d.worker::text), round(extract(epoch FROM at - d.claimed_at)))
			WHEN d.status = 'queued' THEN format('was handed out %s s ago and not claimed yet', round(extract(epoch FROM at - d.queued_at)))
			WHEN again IS NOT NULL THEN format('is planned for %s', jobsched._iso(again))
			ELSE 'has just ended' END)
		WHEN d.status = 'claimed' THEN format('%sstarted or about to start on worker %s, which took it %s s ago', CASE s.status WHEN 'cancelling' THEN 'told to stop; ' ELSE '' END,
			coalesce((SELECT w.worker_id FROM jobsched.workers w WHERE w.id = d.worker), d.worker::text), round(extract(epoch FROM at - d.claimed_at)))
		WHEN d.status = 'queued' AND live = 0 THEN format('handed out %s s ago, but no live worker consumes queue %s', round(extract(epoch FROM at - d.queued_at)), q.name)
		WHEN d.status = 'queued' THEN format('handed out %s s ago and not claimed yet: %s live worker(s) of queue %s are busy or the message is under way (broker: %s)',
			round(extract(epoch FROM at - d.queued_at)), live, q.name, coalesce(sched.broker, 'unknown'))
		WHEN t.job_id IS NULL AND j.frequency = 'cron' THEN 'its schedule has no further time: ' || CASE
			WHEN c.fired >= c.max_runs THEN format('max_runs %s is reached', c.max_runs)
			WHEN c.ends_at IS NOT NULL THEN format('none is left up to ends_at %s', jobsched._iso(c.ends_at))
			ELSE 'its expression has none' END
		WHEN t.job_id IS NULL THEN format('ended %s at %s%s', s.status, jobsched._iso(s.last_finished_at), coalesce(': ' || s.last_error, ''))
		WHEN t.due_at > at AND t.attempt > 1 AND t.failures > 0 THEN format('retry %s of %s at %s, after: %s', t.failures, j.max_retries, jobsched._iso(t.due_at), coalesce(s.last_error, s.last_reason))
		WHEN t.due_at > at AND t.attempt > 1 THEN format('lost with its worker, tried again at %s', jobsched._iso(t.due_at))
		WHEN t.due_at > at THEN format('not due until %s', jobsched._iso(t.due_at))
		WHEN NOT jobsched._adopted() THEN 'due, but this database is a copy that nobody has adopted: jobsched.adopt()'
		WHEN sched.state IS NULL THEN 'due, but no scheduler runs for this database: see jobsched.database and shared_preload_libraries'
		WHEN q.paused THEN format('due, but queue %s was paused by %s at %s', q.name, coalesce(q.paused_by, 'somebody'), jobsched._iso(q.paused_at))
		WHEN sched.state <> 'running' THEN format('due, but the scheduler is %s', sched.state)
		WHEN live = 0 THEN format('due, but no live worker consumes queue %s', q.name)
		ELSE format('due since %s: waiting for room among the %s dispatches of queue %s that no worker has claimed yet, behind higher priorities', jobsched._iso(t.due_at),
			(SELECT count(*) FROM jobsched._in_flight() x WHERE x.queue = q.id AND x.status = 'queued'), q.name)
	END;
END $$;
COMMENT ON FUNCTION jobsched.explain_job(uuid) IS 'Why has this job not run? Its status and one sentence of plain words. JS002 for an unknown id.';

/* ------------------------------------------------------- waiting, in bulk */

CREATE FUNCTION jobsched._is_own_change(xmin xid) RETURNS boolean LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'js_is_own_change';

/* Each look is a statement of its own, which in READ COMMITTED sees what has been committed before it. */
CREATE FUNCTION jobsched.wait(id uuid, timeout interval DEFAULT '60 s') RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	over timestamptz := clock_timestamp() + wait.timeout;
	everything boolean := jobsched._sees_all();
	who text := jobsched.caller();
	pause float8 := 0.005;
	job record;
	left_s float8;
	status text;
BEGIN
	IF wait.timeout IS NULL OR wait.timeout < interval '0' OR wait.timeout > interval '1 day' THEN
		PERFORM jobsched._invalid('timeout', format('timeout: %s is out of range 0..1 day', coalesce(wait.timeout::text, 'NULL')), 'How long to wait at most.');
	END IF;
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		PERFORM jobsched._conflict(format('wait() would see nothing happen in a %s transaction', upper(current_setting('transaction_isolation'))),
			'Wait in a READ COMMITTED transaction, best in one of its own.');
	END IF;
	LOOP
		SELECT j.frequency, jobsched._is_own_change(j.xmin) AS own,
			CASE WHEN NOT EXISTS (SELECT FROM jobsched.timers t WHERE t.job_id = wait.id) THEN
				(SELECT CASE WHEN e.final AND (j.rerun_at IS NULL OR e.finished_at >= j.rerun_at) THEN e.status END
				FROM jobsched.job_executions e WHERE e.job_id = wait.id ORDER BY e.finished_at DESC, e.attempt DESC LIMIT 1) END AS ended
		INTO job FROM jobsched.jobs j WHERE j.id = wait.id AND j.slot IN (jobsched.slot_of(wait.id), 16) AND (everything OR j.owner = who);
		IF NOT FOUND THEN
			PERFORM jobsched._unknown_job(wait.id);
		ELSIF job.frequency = 'cron' THEN
			PERFORM jobsched._conflict(format('job %s is a cron job', wait.id), 'It has no end to wait for; jobsched.runs shows how its runs end.');
		ELSIF job.ended IS NOT NULL THEN
			RETURN job.ended;
		ELSIF job.own THEN
			PERFORM jobsched._conflict(format('job %s was submitted or changed in this very transaction, which nobody else sees yet', wait.id), 'COMMIT first, then wait.');
		END IF;
		left_s := extract(epoch FROM over - clock_timestamp());
		EXIT WHEN left_s <= 0;
		PERFORM pg_sleep(least(pause, left_s));
		pause := least(pause * 1.3, 0.1);
	END LOOP;
	SELECT s.status INTO status FROM jobsched.job_status s WHERE s.id = wait.id;
	RETURN status;
END $$;
COMMENT ON FUNCTION jobsched.wait(uuid, interval) IS
'Waits until a once job has ended, at most `timeout` (0..1 day); returns its status then: succeeded, failed, cancelled, expired, or another one when the time is over.
It looks every 5 to 100 ms. The statement that waits holds its snapshot meanwhile, as any long statement does. JS002 unknown; JS003 for a cron job, in a REPEATABLE READ or SERIALIZABLE
transaction, and in the transaction that submitted or changed the job: there it could never see it end.';

/* What both bulk functions check of their filters; the queue's id, null when none was named. */
CREATE FUNCTION jobsched._check_filter(verb text, allowed text[], name text, queue text, status text, created_after timestamptz, created_before timestamptz, "limit" int)
	RETURNS smallint LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	queue_id smallint;
BEGIN
	IF coalesce(name, queue, status, created_after::text, created_before::text) IS NULL THEN
		PERFORM jobsched._invalid(NULL, format('no filter: nothing says which jobs to %s', verb), 'Give at least one of name, queue, status, created_after, created_before.');
	END IF;
	IF status <> ALL (allowed) THEN
		PERFORM jobsched._invalid('status', format('status: %L is not allowed', left(status, 100)), format('Allowed: %s.', array_to_string(allowed, ', ')));
	END IF;
	IF created_before <= created_after THEN
		PERFORM jobsched._invalid('created_before', format('created_before: %s is not after created_after %s', created_before, created_after), 'created_after is included, created_before is not.');
	END IF;
	IF "limit" IS NULL OR "limit" NOT BETWEEN 1 AND 100000 THEN
		PERFORM jobsched._invalid('limit', format('limit: %s is out of range 1..100000', coalesce("limit"::text, 'NULL')), 'The largest number of jobs changed by one call.');
	END IF;
	IF queue IS NOT NULL THEN
		SELECT q.id INTO queue_id FROM jobsched.queues q WHERE q.name = queue;
		IF NOT FOUND THEN
			PERFORM jobsched._unknown_queue(queue);
		END IF;
	END IF;
	RETURN queue_id;
END $$;

/*
 * The functions that follow are told how to read: from what is rare, by indexes, job by job.  Statistics of tables that have just been filled
 * or emptied talk the planner into reading all of jobs again and again; jit costs more than it all.
 *
 * Locks these jobs, in the order of their ids, as all do who lock several: nobody waits for a job while holding one that comes later,
 * and other locks are taken after all of these.  Those that retention moved while their rows were waited for are found in the kept
 * leaf; when even there somebody is faster, they are left out.
 */
CREATE FUNCTION jobsched._lock_jobs(ids uuid[]) RETURNS SETOF jobsched.jobs LANGUAGE plpgsql ROWS 1000
	SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET enable_seqscan = off AS $$
DECLARE
	job jobsched.jobs;
	found_ids uuid[] := '{}';
BEGIN
	FOR job IN
		SELECT j.* FROM unnest(ids) AS u(id) JOIN jobsched.jobs j ON j.id = u.id AND j.slot IN (jobsched.slot_of(u.id), 16) ORDER BY j.id FOR UPDATE OF j
	LOOP
		found_ids := found_ids || job.id;
		RETURN NEXT job;
	END LOOP;
	IF cardinality(found_ids) < cardinality(ids) THEN
		RETURN QUERY SELECT j.* FROM (SELECT unnest(ids) EXCEPT SELECT unnest(found_ids)) AS u(id) JOIN jobsched.jobs j ON j.id = u.id AND j.slot = 16
		ORDER BY j.id FOR UPDATE OF j SKIP LOCKED;
	END IF;
END $$;

/* Once jobs that have not ended and that nobody has cancelled, at most `most`; status as job_status says it. */
CREATE FUNCTION jobsched._find_live(name text, queue smallint, status text, created_after timestamptz, created_before timestamptz, most int)
	RETURNS uuid[] LANGUAGE plpgsql STABLE
	SET plan_cache_mode = force_custom_plan SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
	everything boolean := jobsched._manages_all();
	who text := jobsched.caller();
	task int := jobsched._task_hash(name);
	lowest uuid := jobsched._id_at(created_after);
	below uuid := jobsched._id_at(created_before);
	handed_out uuid[] := '{}';
	planned uuid[] := '{}';
BEGIN
	IF status IS NULL OR status IN ('queued', 'running') THEN
		handed_out := ARRAY(
			SELECT d.job_id
			FROM (SELECT DISTINCT u.job_id FROM jobsched._in_flight() d CROSS JOIN LATERAL unnest(d.job_ids) WITH ORDINALITY AS u(job_id, n)
				WHERE (d.done >> (u.n - 1)::int) & 1 = 0 AND (queue IS NULL OR d.queue = queue) AND (status IS NULL OR d.status = CASE status WHEN 'running' THEN 'claimed' ELSE status END)) d
			CROSS JOIN LATERAL (SELECT FROM jobsched.jobs j WHERE j.id = d.job_id AND j.slot IN (jobsched.slot_of(d.job_id), 16)
				AND j.frequency = 'once' AND j.state <> 'cancelled' AND (everything OR j.owner = who) AND (name IS NULL OR j.name = name)
				AND (lowest IS NULL OR j.id >= lowest) AND (below IS NULL OR j.id < below) OFFSET 0) j
			WHERE (SELECT NOT EXISTS (SELECT FROM jobsched.timers t WHERE t.job_id = d.job_id))
			LIMIT most);
	END IF;
	IF (status IS NULL OR status IN ('scheduled', 'retrying', 'paused')) AND cardinality(handed_out) < most THEN
		planned := ARRAY(
			SELECT t.job_id
			FROM jobsched.timers t
			CROSS JOIN LATERAL (SELECT j.state FROM jobsched.jobs j WHERE j.id = t.job_id AND j.slot IN (jobsched.slot_of(t.job_id), 16)
				AND j.frequency = 'once' AND j.state <> 'cancelled' AND (everything OR j.owner = who) AND (name IS NULL OR j.name = name)
				AND (lowest IS NULL OR j.id >= lowest) AND (below IS NULL OR j.id < below) OFFSET 0) j
			WHERE NOT t.cron AND (queue IS NULL OR t.queue = queue) AND (task IS NULL OR t.task = task)
				AND (status IS DISTINCT FROM 'retrying' OR t.attempt > 1) AND (status IS DISTINCT FROM 'paused' OR t.due_at = 'infinity')
				AND (status IS NULL OR status = CASE WHEN j.state = 'paused' THEN 'paused' WHEN t.attempt > 1 THEN 'retrying' ELSE 'scheduled' END)
				/* once, with the run that comes first */
				AND t.run_at = (SELECT x.run_at FROM jobsched.timers x WHERE x.job_id = t.job_id ORDER BY x.due_at, x.run_at LIMIT 1)
			LIMIT most - cardinality(handed_out));
	END IF;
	RETURN handed_out || planned;
END $$;

/*
 * As cancel() of each, with these differences: locks are taken for all together, in its order; and a dispatch that somebody has locked is
 * passed over, so that no order of dispatches matters.  It is being claimed, or another job in it cancelled: its runs end at claim,
 * or the worker is told to stop, since their jobs are cancelled.
 */
CREATE FUNCTION jobsched._cancel_jobs(ids uuid[]) RETURNS bigint LANGUAGE plpgsql SET jit = off SET enable_material = off SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
	at timestamptz;
	leaf smallint;
	d jobsched.dispatches;
	n bigint;
	total bigint := 0;
BEGIN
	ids := ARRAY(SELECT l.id FROM jobsched._lock_jobs(ids) l WHERE l.state <> 'cancelled');
	at := clock_timestamp();
	/* Nothing of it is left when it has ended meanwhile; what is in neither is being moved. */
	ids := ARRAY(SELECT u.id FROM unnest(ids) AS u(id)
		CROSS JOIN LATERAL (SELECT j.rerun_at FROM jobsched.jobs j WHERE j.id = u.id AND j.slot IN (jobsched.slot_of(u.id), 16) OFFSET 0) j
		WHERE (SELECT EXISTS (SELECT FROM jobsched.timers t WHERE t.job_id = u.id)) OR NOT coalesce((
			SELECT e.final AND (j.rerun_at IS NULL OR e.finished_at >= j.rerun_at) FROM jobsched.job_executions e WHERE e.job_id = u.id ORDER BY e.finished_at DESC, e.attempt DESC LIMIT 1), false));

	WITH gone AS (DELETE FROM jobsched.timers t WHERE t.job_id = ANY (ids) RETURNING t.job_id, t.run_at, t.attempt, t.task)
	INSERT INTO jobsched.job_executions (slot, job_id, run_at, attempt, status, final, finished_at)
	SELECT jobsched._counted(jobsched._open_slot(), gone.task, 'cancelled'), gone.job_id, gone.run_at, gone.attempt, 'cancelled', true, at FROM gone;

	/* guard: D_CANCEL_BY_JOB_STATE: only runs in dispatches that are still queued end here */
	FOR d IN
		SELECT x.* FROM jobsched.dispatches x
		WHERE x.status = 'queued' AND x.id IN (SELECT y.id FROM jobsched._in_flight() y CROSS JOIN LATERAL unnest(y.job_ids) AS r(job_id) JOIN unnest(ids) AS u(id) ON u.id = r.job_id)
		ORDER BY x.id FOR UPDATE SKIP LOCKED
	LOOP
		PERFORM jobsched._end_queued(d, ARRAY(SELECT unnest(d.job_ids) INTERSECT SELECT unnest(ids)), 'cancelled', at);
	END LOOP;
	PERFORM jobsched._urge(w.worker) FROM (SELECT DISTINCT y.worker FROM jobsched._in_flight() y CROSS JOIN LATERAL unnest(y.job_ids) WITH ORDINALITY AS r(job_id, n) JOIN unnest(ids) AS u(id) ON u.id = r.job_id
		WHERE y.status = 'claimed' AND (y.done >> (r.n - 1)::int) & 1 = 0) w;

	/* They are locked, so they stay where they are. */
	FOR leaf IN SELECT jobsched.slot_of(u.id) FROM unnest(ids) AS u(id) UNION SELECT 16 LOOP
		UPDATE jobsched.jobs j SET state = 'cancelled', state_by = jobsched.caller(), state_at = at
		WHERE j.slot = leaf AND j.id = ANY (CASE leaf WHEN 16 THEN ids ELSE ARRAY(SELECT u.id FROM unnest(ids) AS u(id) WHERE jobsched.slot_of(u.id) = leaf) END);
		GET DIAGNOSTICS n = ROW_COUNT;
		total := total + n;
	END LOOP;
	RETURN total;
END $$;

CREATE FUNCTION jobsched.cancel_jobs(name text DEFAULT NULL, queue text DEFAULT NULL, status text DEFAULT NULL, created_after timestamptz DEFAULT NULL,
	created_before timestamptz DEFAULT NULL, dry_run boolean DEFAULT false, "limit" int DEFAULT 10000) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	queue_id smallint := jobsched._check_filter('cancel', '{scheduled,queued,running,retrying,paused}', name, queue, status, created_after, created_before, "limit");
	ids uuid[] := jobsched._find_live(name, queue_id, status, created_after, created_before, "limit");
BEGIN
	RETURN CASE WHEN dry_run THEN cardinality(ids) ELSE jobsched._cancel_jobs(ids) END;
END $$;
COMMENT ON FUNCTION jobsched.cancel_jobs(text, text, text, timestamptz, timestamptz, boolean, int) IS
'Cancels the once jobs that have not ended, that the caller may cancel, and that all the given filters fit, as cancel() does each; at least one is needed.
name: the task. status: scheduled, queued, running, retrying, paused. created_after (included), created_before (not included): the time in the id, which is when it was submitted, in
milliseconds, as in GET /jobs; created_at tells when the transaction that submitted it began.
Returns how many it has cancelled or told to stop, at most `limit` (1..100000): call it again until the answer is 0. dry_run: only how many that would be.
Cron jobs are left alone: unschedule(). It waits for whoever is changing one of the jobs. Errors: JS001 names the argument, JS002 unknown queue.';

/* Once jobs that have ended so, at most `most`; status as job_status says it. */
CREATE FUNCTION jobsched._find_failed(name text, queue smallint, status text, created_after timestamptz, created_before timestamptz, most int)
	RETURNS uuid[] LANGUAGE plpgsql STABLE
	SET plan_cache_mode = force_custom_plan SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
	everything boolean := jobsched._manages_all();
	who text := jobsched.caller();
	lowest uuid := jobsched._id_at(created_after);
	below uuid := jobsched._id_at(created_before);
BEGIN
	RETURN ARRAY(
		SELECT e.job_id
		FROM jobsched.job_executions e
		CROSS JOIN LATERAL (SELECT FROM jobsched.jobs j WHERE j.id = e.job_id AND j.slot IN (jobsched.slot_of(e.job_id), 16)
			AND j.frequency = 'once' AND (everything OR j.owner = who) AND (name IS NULL OR j.name = name) AND (queue IS NULL OR j.queue = queue)
			AND (j.rerun_at IS NULL OR e.finished_at >= j.rerun_at)
			AND (lowest IS NULL OR j.id >= lowest) AND (below IS NULL OR j.id < below) OFFSET 0) j
		CROSS JOIN LATERAL (SELECT x.run_at, x.attempt FROM jobsched.job_executions x WHERE x.job_id = e.job_id ORDER BY x.finished_at DESC, x.attempt DESC, x.run_at LIMIT 1) l
		WHERE e.final AND e.status IN ('failed', 'cancelled', 'expired') AND (status IS NULL OR e.status = status)
			AND (SELECT NOT EXISTS (SELECT FROM jobsched.timers t WHERE t.job_id = e.job_id))
			/* its last one, and one of them when several ended in one moment */
			AND e.run_at = l.run_at AND e.attempt = l.attempt
		LIMIT most);
END $$;

/* As retry() of each; those that somebody else has retried meanwhile are left out. */
CREATE FUNCTION jobsched._retry_jobs(ids uuid[]) RETURNS bigint LANGUAGE plpgsql SET jit = off SET enable_material = off SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
	at timestamptz;
	leaf smallint;
	n bigint;
	total bigint := 0;
BEGIN
	ids := ARRAY(SELECT l.id FROM jobsched._lock_jobs(ids) l);
	at := clock_timestamp();
	/* They are locked, so they stay where they are. */
	FOR leaf IN SELECT jobsched.slot_of(u.id) FROM unnest(ids) AS u(id) UNION SELECT 16 LOOP
		WITH again AS (
			UPDATE jobsched.jobs j SET state = 'active', expires_at = NULL, rerun_at = at
			WHERE j.slot = leaf AND j.id = ANY (CASE leaf WHEN 16 THEN ids ELSE ARRAY(SELECT u.id FROM unnest(ids) AS u(id) WHERE jobsched.slot_of(u.id) = leaf) END)
				AND (SELECT NOT EXISTS (SELECT FROM jobsched.timers t WHERE t.job_id = j.id))
				AND (SELECT e.final AND e.status IN ('failed', 'cancelled', 'expired') AND (j.rerun_at IS NULL OR e.finished_at >= j.rerun_at)
					FROM jobsched.job_executions e WHERE e.job_id = j.id ORDER BY e.finished_at DESC, e.attempt DESC LIMIT 1)
			RETURNING j.id, j.name, j.priority, j.queue),
		calm AS (DELETE FROM jobsched.expiries e USING again a WHERE e.job_id = a.id),
		t AS (
			INSERT INTO jobsched.timers AS t (due_at, run_at, job_id, task, priority, queue, segment)
			SELECT at, at, a.id, jobsched._task_hash(a.name), a.priority, a.queue, jobsched.segment_of(a.id) FROM again a
			RETURNING jobsched._wake(t.queue, t.priority, t.due_at))
		SELECT count(*) INTO n FROM t;
		total := total + n;
	END LOOP;
	RETURN total;
END $$;

CREATE FUNCTION jobsched.retry_jobs(name text DEFAULT NULL, queue text DEFAULT NULL, status text DEFAULT NULL, created_after timestamptz DEFAULT NULL,
	created_before timestamptz DEFAULT NULL, dry_run boolean DEFAULT false, "limit" int DEFAULT 10000) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	queue_id smallint := jobsched._check_filter('retry', '{failed,cancelled,expired}', name, queue, status, created_after, created_before, "limit");
	ids uuid[] := jobsched._find_failed(name, queue_id, status, created_after, created_before, "limit");
BEGIN
	RETURN CASE WHEN dry_run THEN cardinality(ids) ELSE jobsched._retry_jobs(ids) END;
END $$;
COMMENT ON FUNCTION jobsched.retry_jobs(text, text, text, timestamptz, timestamptz, boolean, int) IS
'Tries the once jobs anew that have failed, were cancelled or have expired, that the caller may change, and that all the given filters fit, as retry() does each; at least one is needed.
name: the task. status: failed, cancelled, expired. created_after (included), created_before (not included): as in cancel_jobs().
Returns how many runs it has planned, at most `limit` (1..100000): call it again until the answer is 0. dry_run: only how many that would be.
It waits for whoever is changing one of the jobs. Errors: JS001 names the argument, JS002 unknown queue.';

/*
 * What has been committed since a snapshot was taken: finished_at alone would not tell, since it is set before the commit.  The index
 * finds the recent ones; a row's xmin, which has 32 bits, becomes the highest xid8 below the present that ends with them.
 */
CREATE FUNCTION jobsched.ended_since(since timestamptz, seen pg_snapshot DEFAULT NULL) RETURNS TABLE (job_id uuid, run_at timestamptz, attempt smallint, name text, queue text, status text, final boolean,
		reason text, error text, result_payload jsonb, queued_at timestamptz, started_at timestamptz, finished_at timestamptz, worker_id text)
	LANGUAGE plpgsql STABLE ROWS 100 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
	leaf smallint := jobsched._open_slot();
	before smallint := (leaf + 15) % 16;	/* the ring may just have turned */
	high bigint := pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
	everything boolean := jobsched._sees_all();
	who text := jobsched.caller();
BEGIN
	RETURN QUERY
	SELECT e.job_id, e.run_at, e.attempt, j.name, q.name, e.status, e.final, e.reason, e.error, e.result_payload, e.queued_at, e.started_at, e.finished_at, coalesce(w.worker_id, e.worker_id::text)
	FROM jobsched.job_executions e
	JOIN jobsched.jobs j ON j.id = e.job_id AND j.slot IN (jobsched.slot_of(e.job_id), 16)
	JOIN jobsched.queues q ON q.id = j.queue
	LEFT JOIN jobsched.workers w ON w.id = e.worker_id
	WHERE e.slot IN (leaf, before) AND e.finished_at > ended_since.since AND (everything OR j.owner = who)
		AND (seen IS NULL OR NOT pg_visible_in_snapshot((high - ((high - e.xmin::text::bigint) & 4294967295))::text::xid8, seen));
END $$;
COMMENT ON FUNCTION jobsched.ended_since(timestamptz, pg_snapshot) IS
'Attempts that the caller may see and that ended after `since`, in the two latest slots of the ring. seen: only those that were not committed yet in that snapshot; who asks again and again
with the pg_current_snapshot() of the statement before, and a `since` some seconds before that, gets each once (what ended after a SAVEPOINT, in a transaction that was still open then, may be left out).';

/* ------------------------------------------------------------------- REST */

CREATE FUNCTION jobsched._iso(t timestamptz) RETURNS text LANGUAGE sql STABLE AS
	$$ SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

/* As it is stored, at no cost, or as text: what is all alike is stored in a hundredth of that. */
CREATE FUNCTION jobsched._is_large(value jsonb, most int) RETURNS boolean LANGUAGE sql STABLE AS
	$$ SELECT pg_column_size(value) > most OR octet_length(value::text) > most $$;

/*
 * The status is that of job_status; here only those leaves are read that can hold something of the job: its own slot, for a once job
 * the slots opened since, and the kept ones.  Dispatches are read once for all, and only when one of the jobs is in flight.
 * brief: what is large is left out, and "omitted" names it.
 */
CREATE FUNCTION jobsched.rest_get_many(ids uuid[], brief boolean DEFAULT false) RETURNS TABLE (id uuid, job text) LANGUAGE plpgsql STABLE STRICT ROWS 64 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	everything boolean := jobsched._sees_all();
	who text := jobsched.caller();
	open_slot smallint := jobsched._open_slot();
BEGIN
	RETURN QUERY
	WITH flight AS MATERIALIZED (
		SELECT f.id, d.status FROM jobsched._in_flight() d CROSS JOIN LATERAL unnest(d.job_ids) AS f(id) JOIN unnest(ids) AS i(id) ON i.id = f.id)
	SELECT j.id, CASE WHEN brief AND (jobsched._is_large(j.payload, 2048) OR jobsched._is_large(e.result_payload, 2048))
		THEN left(o.answer, -1) || ',"omitted":' || to_json(array_remove(ARRAY[CASE WHEN jobsched._is_large(j.payload, 2048) THEN 'payload' END,
			CASE WHEN jobsched._is_large(e.result_payload, 2048) THEN 'result_payload' END], NULL)) || '}'
		ELSE o.answer END
	FROM unnest(ids) AS u(id)
	CROSS JOIN LATERAL (SELECT x.* FROM jobsched.jobs x WHERE x.id = u.id AND x.slot IN (jobsched.slot_of(u.id), 16)) j
	JOIN jobsched.queues q ON q.id = j.queue
	LEFT JOIN jobsched.schedules s ON s.job_id = j.id
	LEFT JOIN LATERAL (SELECT x.attempt, x.cron, CASE WHEN x.due_at < 'infinity' THEN x.due_at END AS next_at
		FROM jobsched.timers x WHERE x.job_id = u.id ORDER BY x.due_at LIMIT 1) t ON true
	LEFT JOIN LATERAL (SELECT x.* FROM jobsched.job_executions x WHERE x.job_id = u.id
			AND (x.slot = 16 OR x.slot BETWEEN jobsched.slot_of(u.id) AND open_slot
				/* the ring has begun anew since, or it is a cron job: its slot says nothing */
				OR x.slot BETWEEN CASE WHEN open_slot < jobsched.slot_of(u.id) OR j.slot = 16 THEN jobsched.slot_of(u.id) ELSE 17::smallint END AND 15::smallint
				OR x.slot BETWEEN 0::smallint AND CASE WHEN j.slot = 16 THEN jobsched.slot_of(u.id) WHEN open_slot < jobsched.slot_of(u.id) THEN open_slot ELSE (-1)::smallint END)
		ORDER BY x.finished_at DESC, x.attempt DESC LIMIT 1) e ON true
	LEFT JOIN jobsched.workers w ON w.id = e.worker_id
	CROSS JOIN LATERAL (SELECT json_build_object('id', j.id, 'name', j.name, 'payload', CASE WHEN brief AND jobsched._is_large(j.payload, 2048) THEN NULL ELSE j.payload END, 'frequency', j.frequency,
		'status', CASE
			WHEN j.frequency = 'cron' THEN CASE WHEN j.state <> 'active' THEN j.state
				WHEN t.cron OR EXISTS (SELECT FROM jobsched.timers c WHERE c.job_id = j.id AND c.cron) THEN 'scheduled' ELSE 'ended' END
			WHEN t.attempt IS NOT NULL THEN
				CASE WHEN j.state = 'cancelled' THEN 'cancelling' WHEN j.state = 'paused' THEN 'paused' WHEN t.attempt > 1 THEN 'retrying' ELSE 'scheduled' END
			WHEN e.final AND (j.rerun_at IS NULL OR e.finished_at >= j.rerun_at) THEN e.status
			ELSE coalesce((SELECT CASE WHEN j.state = 'cancelled' THEN 'cancelling' WHEN f.status = 'claimed' THEN 'running' ELSE 'queued' END
				FROM flight f WHERE f.id = j.id LIMIT 1), 'queued')
		END,
		'queue', q.name, 'priority', j.priority, 'max_retries', j.max_retries, 'timeout', extract(epoch FROM j.timeout)::float8,
		'cron', s.cron, 'time_zone', s.time_zone, 'unique_key', j.unique_key, 'created_at', jobsched._iso(j.created_at),
		'next_run_time', extract(epoch FROM t.next_at)::float8, 'next_run_at', jobsched._iso(t.next_at),
		'last_execution', CASE WHEN e.status IS NOT NULL THEN json_build_object('attempt', e.attempt, 'status', e.status,
			'reason', e.reason, 'error', e.error, 'result_payload', CASE WHEN brief AND jobsched._is_large(e.result_payload, 2048) THEN NULL ELSE e.result_payload END, 'artifacts', e.artifacts,
			'started_at', jobsched._iso(e.started_at), 'finished_at', jobsched._iso(e.finished_at), 'worker_id', w.worker_id) END)::text AS answer) o
	WHERE everything OR j.owner = who;
END $$;

CREATE FUNCTION jobsched.rest_get(id uuid) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	answer jsonb;
BEGIN
	SELECT m.job INTO answer FROM jobsched.rest_get_many(ARRAY[rest_get.id]) m;
	IF answer IS NULL THEN
		PERFORM jobsched._unknown_job(rest_get.id);
	END IF;
	RETURN answer;
END $$;

CREATE FUNCTION jobsched.rest_submit(body jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	job record;
	missing text;
BEGIN
	PERFORM jobsched._check_fields(body, '{"name": "string", "payload": "object|array|string", "frequency": "string", "next_run_time": "number|string",
		"cron": "string", "time_zone": "string", "queue": "string", "priority": "number", "max_retries": "number", "timeout": "number",
		"unique_key": "string", "traceparent": "string"}', '');
	missing := CASE WHEN body ->> 'name' IS NULL THEN 'name'
		WHEN body ->> 'frequency' IS NULL THEN 'frequency'
		WHEN body ->> 'frequency' = 'once' AND body ->> 'next_run_time' IS NULL THEN 'next_run_time'
		WHEN body ->> 'frequency' = 'cron' AND body ->> 'cron' IS NULL THEN 'cron' END;
	IF missing IS NOT NULL THEN
		PERFORM jobsched._invalid(missing, format('%s: missing', missing), CASE missing
			WHEN 'name' THEN 'The name of the task to run.'
			WHEN 'frequency' THEN '"once" with next_run_time, or "cron" with cron.'
			WHEN 'next_run_time' THEN 'With frequency "once": seconds since the epoch, or RFC 3339.'
			ELSE 'With frequency "cron": a cron expression.' END);
	END IF;
	IF body ->> 'frequency' NOT IN ('once', 'cron') THEN
		PERFORM jobsched._invalid('frequency', format('frequency: %s is not allowed', left((body -> 'frequency')::text, 100)), 'Allowed: "once", "cron".');
	END IF;
	IF body ->> 'frequency' = 'once' AND body ->> 'cron' IS NOT NULL THEN
		PERFORM jobsched._invalid('cron', format('cron: %s together with frequency "once"', left((body -> 'cron')::text, 100)), 'Leave it out, or use frequency "cron".');
	END IF;
	IF body ->> 'frequency' = 'cron' AND body ->> 'next_run_time' IS NOT NULL THEN
		PERFORM jobsched._invalid('next_run_time', format('next_run_time: %s together with frequency "cron"', left((body -> 'next_run_time')::text, 100)),
			'Leave it out: the cron expression says when.');
	END IF;
	SELECT s.id, s.created INTO job FROM jobsched._submit(body ->> 'name', coalesce(body -> 'payload', '{}'),
		jobsched._time_field(body, 'next_run_time', ''), body ->> 'cron', body ->> 'time_zone', body ->> 'queue',
		jobsched._int_field(body, 'priority', '', 0), jobsched._int_field(body, 'max_retries', '', 3),
		jobsched._duration_field(body, 'timeout', ''), body ->> 'unique_key', '', traceparent => body ->> 'traceparent') s;
	RETURN jsonb_build_object('created', job.created, 'job', jobsched.rest_get(job.id));
END $$;

/* In C (submit.c). */
CREATE FUNCTION jobsched.rest_submit_many(bodies text[]) RETURNS TABLE (n int, created boolean, id uuid, job text, sqlstate text, message text, detail text, hint text, field text)
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER ROWS 64 AS 'MODULE_PATHNAME', 'js_rest_submit_many';

CREATE FUNCTION jobsched.rest_cancel(id uuid) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM jobsched.cancel(rest_cancel.id);
	RETURN jobsched.rest_get(rest_cancel.id);
END $$;

CREATE FUNCTION jobsched.health() RETURNS jsonb LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT jsonb_build_object('ready', h.code IN ('running', 'idle'), 'code', h.code, 'scheduler', h.scheduler,
		'broker', (SELECT min(s.broker) FROM jobsched.scheduler_status() s WHERE s.database = current_database()), 'adopted', h.adopted,
		'workers', (SELECT count(*) FROM jobsched.workers w WHERE w.state = 'live' AND w.last_seen > clock_timestamp() - jobsched.worker_lease()))
	FROM (SELECT x.*, CASE WHEN x.adopted THEN replace(split_part(x.scheduler, ':', 1), ' ', '_') ELSE 'not_adopted' END AS code
		FROM (SELECT NOT EXISTS (SELECT FROM jobsched.cluster) OR jobsched._adopted() AS adopted,
			CASE WHEN NOT jobsched._preloaded() THEN 'not running: shared_preload_libraries does not name jobsched'
				ELSE coalesce(jobsched._scheduler_state(), 'not running: jobsched.database does not name this database') END AS scheduler) x) h
$$;

COMMENT ON FUNCTION jobsched.rest_get_many(uuid[], boolean) IS 'GET /jobs/{id} for many: a row with the job as JSON for each id that there is';
COMMENT ON FUNCTION jobsched.rest_get(uuid) IS 'the same for one; JS002 when there is none';
COMMENT ON FUNCTION jobsched.rest_submit(jsonb) IS 'POST /jobs: {"created": boolean, "job": {...}}; JS001 names the field';
COMMENT ON FUNCTION jobsched.rest_submit_many(text[]) IS
'many bodies of POST /jobs in one transaction, each for itself: a row for each, in order, n from 1; a bad one has sqlstate, message, detail, hint, field instead of created, id, job';
COMMENT ON FUNCTION jobsched.rest_cancel(uuid) IS 'DELETE /jobs/{id}: cancels and returns the job';
COMMENT ON FUNCTION jobsched.health() IS
'readiness: ready; code, a word for programs: running and idle (no job yet) are ready, the others are standby, starting, waiting, resting, disabled, not_running, not_adopted; and for people
scheduler (the same, and why), broker ("connected to ..." or why not), adopted, workers (live ones)';

/* ------------------------------------------------- REST: parameters and pages */

/* Parameters of a query are texts; an empty one counts as absent. */
CREATE FUNCTION jobsched._param(query jsonb, name text) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$ SELECT nullif(query ->> name, '') $$;

CREATE FUNCTION jobsched._int_param(query jsonb, name text, low bigint, most bigint, otherwise bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
	v text := jobsched._param(query, name);
BEGIN
	IF v IS NOT NULL AND (v !~ '^[0-9]{1,18}$' OR v::bigint NOT BETWEEN low AND most) THEN
		PERFORM jobsched._invalid(name, format('%s: %s is not a whole number from %s to %s', name, to_json(left(v, 60)), low, most),
			format('%s when it is left out.', coalesce(otherwise::text, 'None')));
	END IF;
	RETURN coalesce(v::bigint, otherwise);
END $$;

CREATE FUNCTION jobsched._choice_param(query jsonb, name text, allowed text[]) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	v text := jobsched._param(query, name);
BEGIN
	IF v <> ALL (allowed) THEN
		PERFORM jobsched._invalid(name, format('%s: %s is not allowed', name, to_json(left(v, 60))), format('Allowed: %s.', array_to_string(allowed, ', ')));
	END IF;
	RETURN v;
END $$;

CREATE FUNCTION jobsched._uuid_param(query jsonb, name text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE
	v text := jobsched._param(query, name);
BEGIN
	IF v !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
		PERFORM jobsched._invalid(name, format('%s: %s is none', name, to_json(left(v, 60))), 'The next_cursor of the page before.');
	END IF;
	RETURN v::uuid;
END $$;

/* A + that was not escaped has arrived as a blank. */
CREATE FUNCTION jobsched._time_param(query jsonb, name text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
	v text := regexp_replace(jobsched._param(query, name), '(:\d\d(?:\.\d+)?) (\d\d:\d\d)$', '\1+\2');
BEGIN
	IF v ~ '^\d{1,12}(\.\d{1,6})?$' AND v::numeric <= 253402300799 THEN
		RETURN to_timestamp(v::float8);
	ELSIF v ~* '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$' THEN
		RETURN v::timestamptz;
	ELSIF v IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_datetime_format';
	END IF;
	RETURN NULL;
EXCEPTION WHEN data_exception THEN
	PERFORM jobsched._invalid(name, format('%s: %s is not a time', name, to_json(left(v, 100))), 'RFC 3339 with an offset, such as 2027-01-31T09:00:00Z, or seconds since 1970.');
END $$;

CREATE FUNCTION jobsched._unknown(what text, name text, hint text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'JS002', MESSAGE = format('%s %L does not exist', what, left(name, 300)), HINT = hint, COLUMN = what;
END $$;

/* The smallest id of that millisecond: so no job is older than its own created_at, which has microseconds. */
CREATE FUNCTION jobsched._id_at(t timestamptz) RETURNS uuid LANGUAGE sql STABLE STRICT AS
	$$ SELECT (lpad(to_hex(least(greatest(floor(extract(epoch FROM t) * 1000), 0), 281474976710655)::bigint), 12, '0') || repeat('0', 20))::uuid $$;

/*
 * Up to `most` ids of jobs that may have the status, newest first, from below `below` down to `lowest`: a superset, whose members are to
 * be looked at.  Each branch follows an index backwards.  The settings are there because a generic plan, which knows no bounds, might
 * rather sort; what they forbid is so expensive then that it would be compiled.
 */
CREATE FUNCTION jobsched._list_ids(status text, cron boolean, schedule text, lowest uuid, highest uuid, below uuid, most int) RETURNS SETOF uuid LANGUAGE plpgsql STABLE
	SET enable_sort = off SET enable_hashagg = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_variable
BEGIN
	IF cron OR schedule IS NOT NULL OR status = 'ended' THEN
		RETURN QUERY
		SELECT s.job_id FROM jobsched.schedules s
		WHERE s.job_id < below AND s.job_id BETWEEN lowest AND highest AND (schedule IS NULL OR s.schedule_name = schedule)
		ORDER BY s.job_id DESC LIMIT most;
	ELSIF status = 'scheduled' THEN
		RETURN QUERY
		SELECT DISTINCT t.job_id FROM jobsched.timers t WHERE t.job_id < below AND t.job_id BETWEEN lowest AND highest
		ORDER BY t.job_id DESC LIMIT most;
	ELSIF status = 'retrying' THEN
		RETURN QUERY
		SELECT DISTINCT t.job_id FROM jobsched.timers t WHERE (t.attempt > 1 OR t.due_at = 'infinity') AND t.job_id < below AND t.job_id BETWEEN lowest AND highest
		ORDER BY t.job_id DESC LIMIT most;
	ELSIF status = 'paused' THEN
		RETURN QUERY
		SELECT p.job_id FROM (
			(SELECT DISTINCT t.job_id FROM jobsched.timers t WHERE (t.attempt > 1 OR t.due_at = 'infinity') AND t.job_id < below AND t.job_id BETWEEN lowest AND highest
				ORDER BY t.job_id DESC LIMIT most)
			UNION
			(SELECT s.job_id FROM jobsched.schedules s WHERE s.paused AND s.job_id < below AND s.job_id BETWEEN lowest AND highest
				ORDER BY s.job_id DESC LIMIT most)) p
		ORDER BY p.job_id DESC LIMIT most;
	ELSIF status IN ('queued', 'running', 'cancelling') THEN
		RETURN QUERY
		SELECT p.job_id FROM (
			SELECT u.job_id FROM jobsched._in_flight() d CROSS JOIN LATERAL unnest(d.job_ids) WITH ORDINALITY AS u(job_id, n)
			WHERE (d.done >> (u.n - 1)::int) & 1 = 0 AND d.status = ANY (CASE status WHEN 'queued' THEN '{queued}' WHEN 'running' THEN '{claimed}' ELSE '{queued,claimed}' END::text[])
			UNION
			(SELECT DISTINCT t.job_id FROM jobsched.timers t WHERE status = 'cancelling' AND (t.attempt > 1 OR t.due_at = 'infinity') AND t.job_id < below AND t.job_id BETWEEN lowest AND highest
				ORDER BY t.job_id DESC LIMIT most)) p
		WHERE p.job_id < below AND p.job_id BETWEEN lowest AND highest
		ORDER BY p.job_id DESC LIMIT most;
	ELSIF status = 'succeeded' THEN
		/* From job to job: a cron job may have millions of executions. */
		RETURN QUERY
		WITH RECURSIVE w (id) AS (
			(SELECT e.job_id FROM jobsched.job_executions e WHERE e.job_id < below AND e.job_id BETWEEN lowest AND highest ORDER BY e.job_id DESC LIMIT 1)
			UNION ALL
			SELECT (SELECT e.job_id FROM jobsched.job_executions e WHERE e.job_id < w.id AND e.job_id >= lowest ORDER BY e.job_id DESC LIMIT 1)
			FROM w WHERE w.id IS NOT NULL)
		SELECT w.id FROM w WHERE w.id IS NOT NULL LIMIT most;
	ELSE
		RETURN QUERY
		WITH RECURSIVE w (id) AS (
			(SELECT e.job_id FROM jobsched.job_executions e
				WHERE e.final AND e.status IN ('failed', 'cancelled', 'expired') AND e.status = _list_ids.status AND e.job_id < below AND e.job_id BETWEEN lowest AND highest
				ORDER BY e.job_id DESC LIMIT 1)
			UNION ALL
			SELECT (SELECT e.job_id FROM jobsched.job_executions e
				WHERE e.final AND e.status IN ('failed', 'cancelled', 'expired') AND e.status = _list_ids.status AND e.job_id < w.id AND e.job_id >= lowest
				ORDER BY e.job_id DESC LIMIT 1)
			FROM w WHERE w.id IS NOT NULL)
		SELECT p.id FROM (
			(SELECT w.id FROM w WHERE w.id IS NOT NULL LIMIT most)
			UNION
			(SELECT s.job_id FROM jobsched.schedules s WHERE status = 'cancelled' AND s.job_id < below AND s.job_id BETWEEN lowest AND highest
				ORDER BY s.job_id DESC LIMIT most)) p
		ORDER BY p.id DESC LIMIT most;
	END IF;
END $$;

/*
 * GET /jobs.  Ids come in chunks that grow while nothing is found, without a status from the jobs themselves; what the other filters leave
 * of them is read, and the status compared.  One call looks at 100,000 jobs, or at 5,000 that may have the status, and reads 1,000 at most.
 */
CREATE FUNCTION jobsched.rest_jobs(query jsonb) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET enable_sort = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
	wanted text := jobsched._choice_param(query, 'status', '{scheduled,paused,queued,running,retrying,cancelling,succeeded,failed,cancelled,expired,ended}');
	cron_job text := jobsched._param(query, 'schedule');
	how text := jobsched._choice_param(query, 'frequency', '{once,cron}');
	task text := jobsched._param(query, 'name');
	prefix text := jobsched._param(query, 'q');
	queue_name text := jobsched._param(query, 'queue');
	in_queue smallint := (SELECT q.id FROM jobsched.queues q WHERE q.name = queue_name);
	most int := jobsched._int_param(query, 'limit', 1, 200, 50);
	below uuid := coalesce(jobsched._uuid_param(query, 'cursor'), 'ffffffff-ffff-ffff-ffff-ffffffffffff');
	lowest uuid := coalesce(jobsched._id_at(jobsched._time_param(query, 'created_after')), '00000000-0000-0000-0000-000000000000');
	highest uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
	everything boolean := jobsched._sees_all();
	who text := jobsched.caller();
	by_jobs boolean := wanted IS NULL AND cron_job IS NULL AND how IS DISTINCT FROM 'cron';
	left_ids int := CASE WHEN by_jobs THEN 100000 ELSE 5000 END;
	left_jobs int := 1000;
	chunk int := most + 1;
	ids uuid[];
	taken uuid[];
	page text[] := '{}';
	last_id uuid;
	last_seen uuid;
	seen int;
	r record;
BEGIN
	below := least(below, jobsched._id_at(jobsched._time_param(query, 'created_before')));
	IF prefix ~* '^[0-9a-f-]{8,36}$' AND prefix || right('00000000-0000-0000-0000-000000000000', 36 - length(prefix)) ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
		lowest := greatest(lowest, (prefix || right('00000000-0000-0000-0000-000000000000', 36 - length(prefix)))::uuid);
		highest := (prefix || right('ffffffff-ffff-ffff-ffff-ffffffffffff', 36 - length(prefix)))::uuid;
		prefix := NULL;
	END IF;
	WHILE left_ids > 0 AND left_jobs > 0 AND (queue_name IS NULL OR in_queue IS NOT NULL) LOOP
		chunk := least(chunk, left_ids);
		IF by_jobs THEN
			SELECT count(*), (array_agg(x.id) FILTER (WHERE x.n = chunk))[1], coalesce(array_agg(x.id ORDER BY x.n) FILTER (WHERE x.fits), '{}')
			INTO seen, last_seen, ids
			FROM (SELECT j.id, row_number() OVER () AS n, (everything OR j.owner = who) AND (task IS NULL OR j.name = task) AND (prefix IS NULL OR starts_with(j.name, prefix))
					AND (in_queue IS NULL OR j.queue = in_queue) AND (how IS NULL OR j.frequency = how) AS fits
				FROM (SELECT y.id, y.owner, y.name, y.queue, y.frequency FROM jobsched.jobs y WHERE y.id < below AND y.id BETWEEN lowest AND highest ORDER BY y.id DESC LIMIT chunk) j) x;
		ELSE
			ids := ARRAY(SELECT jobsched._list_ids(wanted, how = 'cron', cron_job, lowest, highest, below, chunk));
			seen := cardinality(ids);
			last_seen := CASE WHEN seen = chunk THEN ids[seen] END;
			IF NOT everything OR task IS NOT NULL OR prefix IS NOT NULL OR in_queue IS NOT NULL OR how = 'once' THEN
				ids := ARRAY(
					SELECT u.id FROM unnest(ids) WITH ORDINALITY AS u(id, n)
					CROSS JOIN LATERAL (SELECT x.* FROM jobsched.jobs x WHERE x.id = u.id AND x.slot IN (jobsched.slot_of(u.id), 16)) j
					WHERE (everything OR j.owner = who) AND (task IS NULL OR j.name = task) AND (prefix IS NULL OR starts_with(j.name, prefix))
						AND (in_queue IS NULL OR j.queue = in_queue) AND (how IS NULL OR j.frequency = how)
					ORDER BY u.n);
			END IF;
		END IF;
		left_ids := left_ids - seen;
		below := last_seen;
		WHILE ids <> '{}' AND left_jobs > 0 LOOP
			taken := ids[1:least(most + 1 - cardinality(page), left_jobs)];
			ids := ids[cardinality(taken) + 1:];
			left_jobs := left_jobs - cardinality(taken);
			FOR r IN
				SELECT m.id, m.job FROM unnest(taken) WITH ORDINALITY AS u(id, n) JOIN jobsched.rest_get_many(taken, true) m ON m.id = u.id
				WHERE wanted IS NULL OR m.job::json ->> 'status' = wanted ORDER BY u.n
			LOOP
				page := page || r.job;
				IF cardinality(page) = most THEN
					last_id := r.id;
				ELSIF cardinality(page) > most THEN
					RETURN format('{"jobs":[%s],"next_cursor":"%s"}', array_to_string(page[1:most], E',\n'), last_id);
				END IF;
			END LOOP;
			IF left_jobs = 0 THEN
				last_seen := taken[cardinality(taken)];
			END IF;
		END LOOP;
		EXIT WHEN last_seen IS NULL;
		chunk := least(chunk * 4, 5000);
	END LOOP;
	RETURN format('{"jobs":[%s],"next_cursor":%s}', array_to_string(page, E',\n'), coalesce(to_json(last_seen)::text, 'null'));
END $$;
COMMENT ON FUNCTION jobsched.rest_jobs(jsonb) IS
'GET /jobs: {"jobs": [...], "next_cursor": id or null}, newest first. query: status, name, queue, frequency, schedule, q, created_after, created_before, limit, cursor, all as texts; JS001 names the one at fault';

/*
 * Executions in the order of the slots, the open one first, and inside a slot the last that ended first, as the index has them: a page
 * reads no more than it shows.  A cursor is slot, finished_at, run_at (both in microseconds) and attempt.
 */
CREATE FUNCTION jobsched.rest_executions(id uuid, query jsonb) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	most int := jobsched._int_param(query, 'limit', 1, 200, 50);
	mark text := jobsched._param(query, 'cursor');
	at_slot smallint;
	at_finished timestamptz;
	at_run timestamptz;
	at_attempt int;
	found_rows json[] := '{}';
	leaf smallint;
	r record;
	n int := 0;
	next_mark text;
BEGIN
	IF NOT EXISTS (SELECT FROM jobsched.jobs j WHERE j.id = rest_executions.id AND j.slot IN (jobsched.slot_of(rest_executions.id), 16)
			AND (jobsched._sees_all() OR j.owner = jobsched.caller())) THEN
		PERFORM jobsched._unknown_job(rest_executions.id);
	END IF;
	IF mark !~ '^(\d|1[0-6])-\d{1,17}-\d{1,17}-\d{1,5}$' THEN
		PERFORM jobsched._invalid('cursor', format('cursor: %s is none', to_json(left(mark, 60))), 'The next_cursor of the page before.');
	END IF;
	IF mark IS NULL THEN
		found_rows := ARRAY(SELECT jobsched._execution_json(x.run_at, x.attempt, x.status, false, x.due_at, x.queued_at, x.claimed_at, NULL, NULL, NULL, NULL, NULL, x.worker,
				(SELECT json_build_object('percent', p.percent, 'message', p.message) FROM jobsched.progress p
					WHERE x.status = 'running' AND p.job_id = rest_executions.id AND p.run_at = x.run_at AND p.attempt = x.attempt))
			FROM (
				(SELECT 2 AS place, t.run_at, t.attempt, CASE WHEN t.due_at = 'infinity' THEN 'paused' WHEN t.attempt > 1 THEN 'retrying' ELSE 'scheduled' END AS status,
					CASE WHEN t.due_at < 'infinity' THEN t.due_at END AS due_at, NULL::timestamptz AS queued_at, NULL::timestamptz AS claimed_at, NULL::uuid AS worker
				FROM jobsched.timers t WHERE t.job_id = rest_executions.id ORDER BY t.due_at LIMIT most)
				UNION ALL
				(SELECT 1, u.run_at, u.attempt, CASE d.status WHEN 'claimed' THEN 'running' ELSE 'queued' END, NULL, d.queued_at, d.claimed_at, d.worker
				FROM jobsched._in_flight() d CROSS JOIN LATERAL unnest(d.job_ids, d.run_ats, d.attempts) WITH ORDINALITY AS u(job_id, run_at, attempt, n)
				WHERE d.job_ids @> ARRAY[rest_executions.id] AND u.job_id = rest_executions.id AND (d.done >> (u.n - 1)::int) & 1 = 0 LIMIT most)
			) x ORDER BY x.place, x.due_at, x.run_at LIMIT most);
	ELSE
		at_slot := split_part(mark, '-', 1);
		at_finished := timestamptz 'epoch' + split_part(mark, '-', 2)::bigint * interval '1 microsecond';
		at_run := timestamptz 'epoch' + split_part(mark, '-', 3)::bigint * interval '1 microsecond';
		at_attempt := split_part(mark, '-', 4);
	END IF;
	<<leaves>>
	FOR leaf IN
		SELECT l.slot FROM generate_series(0, 16) AS l(slot) LEFT JOIN jobsched.ring g ON g.slot = l.slot
		ORDER BY l.slot = 16, g.opened_at DESC NULLS LAST, l.slot DESC
	LOOP
		CONTINUE WHEN at_slot <> leaf;	/* until the cursor's has come */
		FOR r IN
			SELECT e.* FROM jobsched.job_executions e
			WHERE e.slot = leaf AND e.job_id = rest_executions.id AND e.finished_at <= CASE WHEN at_slot IS NULL THEN 'infinity' ELSE at_finished END
				AND (at_slot IS NULL OR (e.finished_at, e.run_at, e.attempt) < (at_finished, at_run, at_attempt))
			ORDER BY e.finished_at DESC, e.run_at DESC, e.attempt DESC LIMIT most + 1 - n
		LOOP
			IF n = most THEN
				RETURN json_build_object('executions', to_json(found_rows), 'next_cursor', next_mark);
			END IF;
			found_rows := found_rows || jobsched._execution_json(r.run_at, r.attempt, r.status, r.final, NULL, r.queued_at, r.started_at, r.finished_at,
				r.reason, r.error, r.result_payload, r.artifacts, r.worker_id, NULL);
			n := n + 1;
			next_mark := format('%s-%s-%s-%s', leaf, (extract(epoch FROM r.finished_at) * 1000000)::bigint, (extract(epoch FROM r.run_at) * 1000000)::bigint, r.attempt);
		END LOOP;
		at_slot := NULL;
	END LOOP;
	RETURN json_build_object('executions', to_json(found_rows), 'next_cursor', NULL);
END $$;
COMMENT ON FUNCTION jobsched.rest_executions(uuid, jsonb) IS
'GET /jobs/{id}/executions: {"executions": [...], "next_cursor": text or null}. query: limit, cursor, as texts; JS002 for an unknown job';

CREATE FUNCTION jobsched._execution_json(run_at timestamptz, attempt int, status text, final boolean, due_at timestamptz, queued_at timestamptz, started_at timestamptz,
	finished_at timestamptz, reason text, error text, result_payload jsonb, artifacts jsonb, worker uuid, progress json) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN jobsched._is_large(result_payload, 65536) THEN (left(o.answer::text, -1) || ',"omitted":["result_payload"]}')::json ELSE o.answer END
	FROM (SELECT json_build_object('run_at', jobsched._iso(run_at), 'attempt', attempt, 'status', status, 'final', final, 'due_at', jobsched._iso(due_at),
		'queued_at', jobsched._iso(queued_at), 'started_at', jobsched._iso(started_at), 'finished_at', jobsched._iso(finished_at), 'reason', reason, 'error', error,
		'result_payload', CASE WHEN NOT jobsched._is_large(result_payload, 65536) THEN result_payload END, 'artifacts', artifacts,
		'worker_id', (SELECT w.worker_id FROM jobsched.workers w WHERE w.id = worker), 'progress', progress) AS answer) o
$$;

CREATE FUNCTION jobsched.rest_explain(id uuid) RETURNS json LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ SELECT json_build_object('status', x.status, 'reason', x.reason) FROM jobsched.explain_job(id) x $$;
COMMENT ON FUNCTION jobsched.rest_explain(uuid) IS 'GET /jobs/{id}/explain: {"status": ..., "reason": ...} of explain_job()';

/* ------------------------------------------------------- REST: steering jobs */

CREATE FUNCTION jobsched._job_json(id uuid) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
	answer text := (SELECT m.job FROM jobsched.rest_get_many(ARRAY[_job_json.id]) m);
BEGIN
	IF answer IS NULL THEN
		PERFORM jobsched._unknown_job(id);
	END IF;
	RETURN answer;
END $$;

CREATE FUNCTION jobsched.rest_pause(id uuid) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ BEGIN PERFORM jobsched.pause(id); RETURN jobsched._job_json(id); END $$;
CREATE FUNCTION jobsched.rest_resume(id uuid) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ BEGIN PERFORM jobsched.resume(id); RETURN jobsched._job_json(id); END $$;
CREATE FUNCTION jobsched.rest_run(id uuid) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ BEGIN PERFORM jobsched.run_now(id); RETURN jobsched._job_json(id); END $$;
CREATE FUNCTION jobsched.rest_retry(id uuid) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ BEGIN PERFORM jobsched.retry(id); RETURN jobsched._job_json(id); END $$;
COMMENT ON FUNCTION jobsched.rest_pause(uuid) IS 'POST /jobs/{id}/pause: pause() and the job';
COMMENT ON FUNCTION jobsched.rest_resume(uuid) IS 'POST /jobs/{id}/resume: resume() and the job';
COMMENT ON FUNCTION jobsched.rest_run(uuid) IS 'POST /jobs/{id}/run: run_now() and the job';
COMMENT ON FUNCTION jobsched.rest_retry(uuid) IS 'POST /jobs/{id}/retry: retry() and the job';

CREATE FUNCTION jobsched.rest_alter(id uuid, body jsonb) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM jobsched._check_fields(body, '{"payload": "object|array|string", "next_run_time": "number|string", "queue": "string", "priority": "number",
		"max_retries": "number", "timeout": "number", "expires_at": "number|string", "retry_delay": "number", "retry_delay_max": "number", "backoff": "string"}', '');
	PERFORM jobsched.alter_job(id, body -> 'payload', jobsched._time_field(body, 'next_run_time', ''), body ->> 'queue',
		jobsched._int_field(body, 'priority', '', NULL), jobsched._int_field(body, 'max_retries', '', NULL), jobsched._duration_field(body, 'timeout', ''),
		jobsched._time_field(body, 'expires_at', ''), jobsched._duration_field(body, 'retry_delay', ''), jobsched._duration_field(body, 'retry_delay_max', ''),
		body ->> 'backoff');
	RETURN jobsched._job_json(id);
END $$;
COMMENT ON FUNCTION jobsched.rest_alter(uuid, jsonb) IS 'PATCH /jobs/{id}: alter_job() with the fields of the body, and the job';

/* ------------------------------------------------------------ REST: schedules */

CREATE FUNCTION jobsched._fire_time(at timestamptz, local_time timestamp, note text) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('at', jobsched._iso(at), 'time', extract(epoch FROM at)::float8, 'local_time', to_char(local_time, 'YYYY-MM-DD"T"HH24:MI:SS'),
		'utc_offset', CASE WHEN o.seconds < 0 THEN '-' ELSE '+' END || to_char(make_interval(secs => abs(o.seconds)), 'HH24:MI'), 'note', note)
	FROM (SELECT extract(epoch FROM local_time - (at AT TIME ZONE 'UTC'))::int AS seconds) o
$$;

CREATE FUNCTION jobsched.rest_cron_next(query jsonb) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	expr text := jobsched._param(query, 'expr');
	zone text := coalesce(jobsched._param(query, 'time_zone'), jobsched._default_time_zone());
	n int := jobsched._int_param(query, 'n', 1, 1000, 5);
	after timestamptz := coalesce(jobsched._time_param(query, 'after'), clock_timestamp());
	said text;
	about text;
	help text;
BEGIN
	IF expr IS NULL THEN
		PERFORM jobsched._invalid('expr', 'expr: missing', 'A cron expression, such as expr=*/5+*+*+*+*');
	END IF;
	RETURN json_build_object('expr', expr, 'description', jobsched.cron_describe(expr), 'time_zone', jobsched._zone_name(zone), 'times',
		(SELECT coalesce(json_agg(jobsched._fire_time(t.at, t.local_time, t.note) ORDER BY t.number), '[]') FROM jobsched.cron_next_n(expr, n, after, zone) t));
EXCEPTION WHEN SQLSTATE 'JS001' THEN
	GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, about = COLUMN_NAME, help = PG_EXCEPTION_HINT;
	PERFORM jobsched._invalid(CASE about WHEN 'cron' THEN 'expr' ELSE about END, said, nullif(help, ''));
END $$;
COMMENT ON FUNCTION jobsched.rest_cron_next(jsonb) IS
'GET /cron/next: the expression in English and its next times. query: expr, time_zone, n, after, as texts; JS001 names the one at fault';

/* The time that is planned, then those after it. */
CREATE FUNCTION jobsched._fire_times(s jobsched.schedules, at timestamptz, n int) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
	times json[] := '{}';
	t record;
BEGIN
	WHILE at IS NOT NULL AND cardinality(times) < n LOOP
		/* The clock of the zone, and what there is to say; another policy of the schedule may have moved the time. */
		SELECT x.* INTO t FROM jobsched.cron_next_n(s.cron, 1, at - interval '1 microsecond', s.time_zone) x;
		times := times || jobsched._fire_time(at, CASE WHEN t.at = at THEN t.local_time ELSE at AT TIME ZONE s.time_zone END, CASE WHEN t.at = at THEN t.note END);
		s.fired := s.fired + 1;
		BEGIN
			at := jobsched._next_time(s, at);
		EXCEPTION WHEN SQLSTATE 'JS001' THEN
			EXIT;	/* it has no further time */
		END;
	END LOOP;
	RETURN to_json(times);
END $$;

CREATE FUNCTION jobsched._schedules_json(ids uuid[], brief boolean, ahead int) RETURNS json[] LANGUAGE sql STABLE AS $$
	SELECT array_agg(json_build_object('schedule_name', s.schedule_name, 'id', s.job_id, 'owner', s.owner, 'status', m.job -> 'status', 'cron', s.cron,
		'description', jobsched.cron_describe(s.cron), 'time_zone', s.time_zone, 'name', m.job -> 'name', 'payload', m.job -> 'payload', 'queue', m.job -> 'queue',
		'priority', m.job -> 'priority', 'max_retries', m.job -> 'max_retries', 'timeout', m.job -> 'timeout', 'misfire_policy', s.misfire_policy,
		'overlap_policy', s.overlap_policy, 'catchup_window', extract(epoch FROM s.catchup_window)::float8, 'catchup_max', s.catchup_max,
		'jitter', extract(epoch FROM s.jitter)::float8, 'starts_at', jobsched._iso(s.starts_at), 'ends_at', jobsched._iso(s.ends_at), 'max_runs', s.max_runs,
		'fired', s.fired, 'dst_gap', s.dst_gap, 'dst_overlap', s.dst_overlap, 'created_at', m.job -> 'created_at', 'last_run_at', jobsched._iso(s.last_run_at),
		'next_run_time', extract(epoch FROM t.due_at)::float8, 'next_run_at', jobsched._iso(t.due_at), 'last_execution', m.job -> 'last_execution',
		'next', jobsched._fire_times(s, t.run_at, ahead), 'omitted', coalesce(m.job -> 'omitted', '[]')) ORDER BY u.n)
	FROM unnest(ids) WITH ORDINALITY AS u(id, n)
	JOIN (SELECT g.id, g.job::json FROM jobsched.rest_get_many(ids, brief) g) m ON m.id = u.id
	JOIN jobsched.schedules s ON s.job_id = u.id
	LEFT JOIN LATERAL (SELECT x.due_at, x.run_at FROM jobsched.timers x WHERE x.job_id = u.id AND x.cron AND NOT s.paused ORDER BY x.due_at LIMIT 1) t ON true
$$;

CREATE FUNCTION jobsched._schedule_json(id uuid) RETURNS json LANGUAGE sql STABLE AS
	$$ SELECT (jobsched._schedules_json(ARRAY[id], false, 0))[1] $$;

CREATE FUNCTION jobsched.rest_schedules(query jsonb) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	most int := jobsched._int_param(query, 'limit', 1, 200, 50);
	n int := jobsched._int_param(query, 'next', 0, 20, 0);
	prefix text := jobsched._param(query, 'q');
	everything boolean := jobsched._sees_all();
	who text := jobsched.caller();
	ids uuid[] := '{}';
	examined int := 0;
	r record;
	mark uuid;
BEGIN
	FOR r IN
		SELECT s.job_id, j.state <> 'cancelled' AND (everything OR s.owner = who)
			AND (prefix IS NULL OR starts_with(j.name, prefix) OR coalesce(starts_with(s.schedule_name, prefix), false)) AS fits
		FROM jobsched.schedules s JOIN jobsched.jobs j ON j.id = s.job_id AND j.slot IN (jobsched.slot_of(s.job_id), 16)
		WHERE s.job_id < coalesce(jobsched._uuid_param(query, 'cursor'), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
		ORDER BY s.job_id DESC LIMIT 10000
	LOOP
		examined := examined + 1;
		IF r.fits AND cardinality(ids) = most THEN
			mark := ids[most];
			EXIT;
		ELSIF r.fits THEN
			ids := ids || r.job_id;
		END IF;
		mark := CASE examined WHEN 10000 THEN r.job_id END;
	END LOOP;
	RETURN json_build_object('schedules', coalesce(to_json(jobsched._schedules_json(ids, true, n)), '[]'), 'next_cursor', mark);
END $$;
COMMENT ON FUNCTION jobsched.rest_schedules(jsonb) IS
'GET /schedules: {"schedules": [...], "next_cursor": id or null}, newest first. query: q, next (number of next times), limit, cursor, as texts';

/* The job of a schedule, by name or id; only one that the caller may change when it is to be changed. */
CREATE FUNCTION jobsched._rest_schedule_id(schedule_name text, change boolean) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
	ids uuid[];
BEGIN
	SELECT array_agg(s.job_id) INTO ids FROM jobsched.schedules s WHERE s.schedule_name = _rest_schedule_id.schedule_name AND s.owner = jobsched.caller();
	IF ids IS NULL AND (CASE WHEN change THEN jobsched._manages_all() ELSE jobsched._sees_all() END) THEN
		SELECT array_agg(s.job_id) INTO ids FROM jobsched.schedules s WHERE s.schedule_name = _rest_schedule_id.schedule_name;
	END IF;
	IF ids IS NULL AND _rest_schedule_id.schedule_name ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
		SELECT array_agg(s.job_id) INTO ids FROM jobsched.schedules s WHERE s.job_id = _rest_schedule_id.schedule_name::uuid
			AND (s.owner = jobsched.caller() OR CASE WHEN change THEN jobsched._manages_all() ELSE jobsched._sees_all() END);
	END IF;
	IF ids IS NULL THEN
		PERFORM jobsched._unknown('schedule', _rest_schedule_id.schedule_name, 'It may never have existed, or belong to another role.');
	ELSIF cardinality(ids) > 1 THEN
		PERFORM jobsched._conflict(format('schedule %L exists for %s owners', _rest_schedule_id.schedule_name, cardinality(ids)), 'Name it by the id of its job.');
	END IF;
	RETURN ids[1];
END $$;

CREATE FUNCTION jobsched.rest_schedule(schedule_name text, query jsonb) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ SELECT (jobsched._schedules_json(ARRAY[jobsched._rest_schedule_id(schedule_name, false)], false, jobsched._int_param(query, 'next', 0, 20, 0)::int))[1] $$;
COMMENT ON FUNCTION jobsched.rest_schedule(text, jsonb) IS 'GET /schedules/{name}: by its name or the id of its job. query: next; JS002 when there is none';

CREATE FUNCTION jobsched.rest_put_schedule(schedule_name text, body jsonb, OUT answer json, OUT created boolean) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	id uuid;
	other text;
BEGIN
	PERFORM jobsched._check_fields(body, '{"cron": "string", "name": "string", "payload": "object|array|string", "time_zone": "string", "queue": "string",
		"priority": "number", "max_retries": "number", "timeout": "number", "misfire_policy": "string", "overlap_policy": "string", "catchup_window": "number",
		"catchup_max": "number", "jitter": "number", "starts_at": "number|string", "ends_at": "number|string", "max_runs": "number", "dst_gap": "string",
		"dst_overlap": "string"}', '');
	/* schedule() takes the same lock. */
	PERFORM pg_advisory_xact_lock(hashtextextended('jobsched.schedule ' || jobsched.caller() || ' ' || rest_put_schedule.schedule_name, 0));
	created := NOT EXISTS (SELECT FROM jobsched.schedules s WHERE s.owner = jobsched.caller() AND s.schedule_name = rest_put_schedule.schedule_name);
	IF created AND jobsched._manages_all() THEN
		SELECT s.owner INTO other FROM jobsched.schedules s WHERE s.schedule_name = rest_put_schedule.schedule_name LIMIT 1;
		IF other IS NOT NULL THEN
			PERFORM jobsched._conflict(format('schedule %L belongs to role %s', rest_put_schedule.schedule_name, other), 'That role can change it with jobsched.schedule(), or delete it first.');
		END IF;
	END IF;
	/* The other calls take an id too; here it would make a second cron job of that name. */
	IF created AND rest_put_schedule.schedule_name ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
		PERFORM jobsched._conflict(format('%s is the id of a cron job', rest_put_schedule.schedule_name), 'PUT takes the name of a schedule.')
		FROM jobsched.schedules s WHERE s.job_id = rest_put_schedule.schedule_name::uuid AND (s.owner = jobsched.caller() OR jobsched._sees_all());
	END IF;
	id := jobsched.schedule(rest_put_schedule.schedule_name, body ->> 'cron', body ->> 'name', coalesce(body -> 'payload', '{}'), body ->> 'time_zone', body ->> 'queue',
		jobsched._int_field(body, 'priority', '', 0), jobsched._int_field(body, 'max_retries', '', 3), jobsched._duration_field(body, 'timeout', ''),
		coalesce(body ->> 'misfire_policy', 'run_once'), coalesce(body ->> 'overlap_policy', 'skip'),
		coalesce(jobsched._duration_field(body, 'catchup_window', ''), '1 day'), jobsched._int_field(body, 'catchup_max', '', 100),
		jobsched._duration_field(body, 'jitter', ''), jobsched._time_field(body, 'starts_at', ''), jobsched._time_field(body, 'ends_at', ''),
		jobsched._int_field(body, 'max_runs', '', NULL), coalesce(body ->> 'dst_gap', 'next_valid'), coalesce(body ->> 'dst_overlap', 'first'));
	answer := jobsched._schedule_json(id);
END $$;
COMMENT ON FUNCTION jobsched.rest_put_schedule(text, jsonb) IS
'PUT /schedules/{name}: schedule() with the fields of the body; the schedule, and whether it was made. JS003 when it belongs to another role, or the name is the id of a cron job';

CREATE FUNCTION jobsched.rest_delete_schedule(schedule_name text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ DECLARE id uuid := jobsched._rest_schedule_id(schedule_name, true); BEGIN PERFORM jobsched.unschedule(id); RETURN jobsched._job_json(id); END $$;
CREATE FUNCTION jobsched.rest_pause_schedule(schedule_name text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ DECLARE id uuid := jobsched._rest_schedule_id(schedule_name, true); BEGIN PERFORM jobsched.pause(id); RETURN jobsched._schedule_json(id); END $$;
CREATE FUNCTION jobsched.rest_resume_schedule(schedule_name text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ DECLARE id uuid := jobsched._rest_schedule_id(schedule_name, true); BEGIN PERFORM jobsched.resume(id); RETURN jobsched._schedule_json(id); END $$;
CREATE FUNCTION jobsched.rest_run_schedule(schedule_name text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ DECLARE id uuid := jobsched._rest_schedule_id(schedule_name, true); BEGIN PERFORM jobsched.run_now(id); RETURN jobsched._schedule_json(id); END $$;
COMMENT ON FUNCTION jobsched.rest_delete_schedule(text) IS 'DELETE /schedules/{name}: unschedule() and its job';
COMMENT ON FUNCTION jobsched.rest_pause_schedule(text) IS 'POST /schedules/{name}/pause: pause() and the schedule';
COMMENT ON FUNCTION jobsched.rest_resume_schedule(text) IS 'POST /schedules/{name}/resume: resume() and the schedule';
COMMENT ON FUNCTION jobsched.rest_run_schedule(text) IS 'POST /schedules/{name}/run: run_now() and the schedule';

/* ---------------------------------------------- REST: queues, workers, numbers */

CREATE FUNCTION jobsched._count_limit() RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 100000 $$;

CREATE FUNCTION jobsched._timers_between(queue smallint, after timestamptz, upto timestamptz) RETURNS int LANGUAGE sql STABLE AS $$
	SELECT count(*)::int FROM (SELECT FROM generate_series(0, 9) AS p(priority)
		CROSS JOIN LATERAL (SELECT FROM jobsched.timers t WHERE t.queue = _timers_between.queue AND t.priority = p.priority AND t.due_at > after AND t.due_at <= upto
			LIMIT jobsched._count_limit()) x LIMIT jobsched._count_limit()) y
$$;

/* clock_timestamp() would be asked for each row, and be no condition of the index. */
CREATE FUNCTION jobsched._oldest_due(queue smallint) RETURNS float8 LANGUAGE sql STABLE AS $$
	SELECT extract(epoch FROM clock_timestamp() - min(x.due_at))::float8 FROM generate_series(0, 9) AS p(priority)
	CROSS JOIN LATERAL (SELECT t.due_at FROM jobsched.timers t WHERE t.queue = _oldest_due.queue AND t.priority = p.priority AND t.due_at <= statement_timestamp()
		ORDER BY t.due_at LIMIT 1) x
$$;

CREATE FUNCTION jobsched._queues_json(names text[]) RETURNS json[] LANGUAGE sql STABLE AS $$
	WITH d AS MATERIALIZED (
		SELECT d.queue, d.status, count(DISTINCT d.id) AS dispatches, count(*) AS runs
		FROM jobsched._in_flight() d CROSS JOIN LATERAL generate_series(1, cardinality(d.job_ids)) AS u(n)
		WHERE (d.done >> (u.n - 1)) & 1 = 0 GROUP BY 1, 2),
	w AS MATERIALIZED (
		SELECT n.name, count(*) AS workers, sum(w.slots) AS slots FROM jobsched.workers w CROSS JOIN LATERAL unnest(w.queues) AS n(name)
		WHERE w.state = 'live' AND w.last_seen > clock_timestamp() - jobsched.worker_lease() GROUP BY 1)
	SELECT array_agg(json_build_object('name', q.name, 'paused', q.paused, 'paused_by', q.paused_by, 'paused_at', jobsched._iso(q.paused_at),
		'due', jobsched._timers_between(q.id, '-infinity', x.at), 'scheduled', jobsched._timers_between(q.id, x.at, '294276-01-01'),
		'held', jobsched._timers_between(q.id, '294276-01-01', 'infinity'), 'oldest_due_seconds', jobsched._oldest_due(q.id),
		'queued', coalesce(dq.runs, 0), 'running', coalesce(dc.runs, 0), 'dispatches', coalesce(dq.dispatches, 0), 'window', q.dispatch_window,
		'workers', coalesce(w.workers, 0), 'slots', coalesce(w.slots, 0), 'count_limit', jobsched._count_limit()) ORDER BY u.n)
	FROM unnest(names) WITH ORDINALITY AS u(name, n) JOIN jobsched.queues q ON q.name = u.name CROSS JOIN (SELECT clock_timestamp() AS at) x
	LEFT JOIN d dq ON dq.queue = q.id AND dq.status = 'queued' LEFT JOIN d dc ON dc.queue = q.id AND dc.status = 'claimed'
	LEFT JOIN w ON w.name = q.name
$$;

CREATE FUNCTION jobsched.rest_queues(query jsonb) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	most int := jobsched._int_param(query, 'limit', 1, 200, 50);
	names text[] := ARRAY(SELECT q.name FROM jobsched.queues q WHERE q.name > coalesce(jobsched._param(query, 'cursor'), '') ORDER BY q.name LIMIT most + 1);
BEGIN
	RETURN json_build_object('queues', coalesce(to_json(jobsched._queues_json(names[1:most])), '[]'), 'next_cursor', CASE WHEN cardinality(names) > most THEN names[most] END);
END $$;
COMMENT ON FUNCTION jobsched.rest_queues(jsonb) IS 'GET /queues: {"queues": [...], "next_cursor": name or null}, by name. query: limit, cursor, as texts';

CREATE FUNCTION jobsched.rest_queue(queue text) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM jobsched.queues q WHERE q.name = rest_queue.queue) THEN
		PERFORM jobsched._unknown_queue(rest_queue.queue);
	END IF;
	RETURN (jobsched._queues_json(ARRAY[rest_queue.queue]))[1];
END $$;
COMMENT ON FUNCTION jobsched.rest_queue(text) IS 'GET /queues/{name}: JS002 when there is none';

CREATE FUNCTION jobsched.rest_pause_queue(queue text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ BEGIN PERFORM jobsched._pause_queue(queue, true); RETURN jobsched.rest_queue(queue); END $$;
CREATE FUNCTION jobsched.rest_resume_queue(queue text) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	$$ BEGIN PERFORM jobsched._pause_queue(queue, false); RETURN jobsched.rest_queue(queue); END $$;
COMMENT ON FUNCTION jobsched.rest_pause_queue(text) IS 'POST /queues/{name}/pause: pause_queue() and the queue';
COMMENT ON FUNCTION jobsched.rest_resume_queue(text) IS 'POST /queues/{name}/resume: resume_queue() and the queue';

CREATE FUNCTION jobsched.rest_workers(query jsonb) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	wanted text := jobsched._choice_param(query, 'state', '{live,silent,stopped}');
	most int := jobsched._int_param(query, 'limit', 1, 1000, 200);
	at timestamptz := clock_timestamp();
BEGIN
	RETURN json_build_object('workers', (
		WITH running AS MATERIALIZED (
			SELECT d.worker, count(*) AS runs FROM jobsched._in_flight() d CROSS JOIN LATERAL generate_series(1, cardinality(d.job_ids)) AS u(n)
			WHERE d.status = 'claimed' AND (d.done >> (u.n - 1)) & 1 = 0 GROUP BY 1)
		SELECT coalesce(json_agg(json_build_object('id', x.id, 'worker_id', x.worker_id, 'state', x.now, 'queues', x.queues, 'slots', x.slots,
			'running', coalesce((SELECT r.runs FROM running r WHERE r.worker = x.id), 0),
			'started_at', jobsched._iso(x.started_at), 'last_seen', jobsched._iso(x.last_seen),
			'silent_seconds', greatest(extract(epoch FROM at - x.last_seen), 0)::float8, 'load', x.load, 'info', x.info) ORDER BY x.place, x.last_seen DESC, x.id), '[]')
		FROM (SELECT w.*, v.now, array_position('{live,silent,stopped}'::text[], v.now) AS place
			FROM jobsched.workers w CROSS JOIN LATERAL (SELECT CASE WHEN w.state <> 'live' THEN 'stopped' WHEN w.last_seen > at - jobsched.worker_lease() THEN 'live' ELSE 'silent' END AS now) v
			WHERE wanted IS NULL OR v.now = wanted ORDER BY place, w.last_seen DESC, w.id LIMIT most) x));
END $$;
COMMENT ON FUNCTION jobsched.rest_workers(jsonb) IS 'GET /workers: {"workers": [...]}, live ones first. query: state (live, silent, stopped), limit, as texts';

CREATE FUNCTION jobsched.rest_stats(query jsonb) RETURNS json LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	tables boolean := coalesce(jobsched._choice_param(query, 'tables', '{true,false}')::boolean, true);
	most int := jobsched._count_limit();
	at timestamptz := clock_timestamp();
	answer jsonb;
BEGIN
	answer := jsonb_build_object('count_limit', most, 'counts', jsonb_build_object(
			'due', (SELECT least(coalesce(sum(jobsched._timers_between(q.id, '-infinity', at)), 0), most) FROM jobsched.queues q),
			'scheduled', (SELECT least(coalesce(sum(jobsched._timers_between(q.id, at, '294276-01-01')), 0), most) FROM jobsched.queues q),
			'retrying', (SELECT count(*) FROM (SELECT FROM jobsched.timers t WHERE (t.attempt > 1 OR t.due_at = 'infinity') AND t.attempt > 1 LIMIT most) x),
			'paused', (SELECT count(*) FROM (SELECT FROM jobsched.timers t WHERE (t.attempt > 1 OR t.due_at = 'infinity') AND t.due_at = 'infinity' LIMIT most) x))
		|| (SELECT jsonb_build_object('queued', count(*) FILTER (WHERE d.status = 'queued'), 'running', count(*) FILTER (WHERE d.status = 'claimed'))
			FROM jobsched._in_flight() d CROSS JOIN LATERAL generate_series(1, cardinality(d.job_ids)) AS u(n) WHERE (d.done >> (u.n - 1)) & 1 = 0),
		'oldest_due_seconds', (SELECT max(jobsched._oldest_due(q.id)) FROM jobsched.queues q),
		'failed_kept', (SELECT count(*) FROM (SELECT FROM jobsched.job_executions e
			WHERE e.final AND e.status IN ('failed', 'cancelled', 'expired') AND e.status = 'failed' LIMIT most) x),
		'queues', (SELECT jsonb_build_object('all', count(*), 'paused', count(*) FILTER (WHERE q.paused)) FROM jobsched.queues q),
		'workers', (SELECT jsonb_build_object('live', count(*) FILTER (WHERE w.live), 'silent', count(*) FILTER (WHERE NOT w.live), 'slots', coalesce(sum(w.slots) FILTER (WHERE w.live), 0))
			FROM (SELECT x.slots, x.last_seen > at - jobsched.worker_lease() AS live FROM jobsched.workers x WHERE x.state = 'live') w),
		'schedulers', (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.slice), '[]') FROM jobsched.scheduler_status() s WHERE s.database = current_database()),
		'ready', jobsched.health());
	IF tables THEN
		answer := answer || jsonb_build_object('tables', (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.name) FROM jobsched.stats() s));
	END IF;
	RETURN answer;
END $$;
COMMENT ON FUNCTION jobsched.rest_stats(jsonb) IS 'GET /stats: counts by status (up to count_limit each), workers, schedulers, readiness. query: tables (true, false) for those of stats()';

/*
 * Ends of attempts since a time.  A slot's leaf of job_executions is written at its end only, so what is recent is in its last pages:
 * the first of them is found by halving, and of more than `most` pages an even sample is read, in stretches.  No index is needed, nor
 * any other work where jobs end.  Rows on the edge may be missing: writers fill several pages at a time.
 */
CREATE FUNCTION jobsched._recent_ends(since timestamptz, most int)
	RETURNS TABLE (job_id uuid, run_at timestamptz, attempt smallint, status text, final boolean, started_at timestamptz, finished_at timestamptz, sampled float8) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
	slots smallint[] := '{}';
	firsts bigint[] := '{}';
	ends bigint[] := '{}';
	leaf smallint;
	pages bigint;
	lo bigint;
	hi bigint;
	middle bigint;
	latest timestamptz;
	total bigint := 0;
	stretch int := 8;
	step bigint;
	part float8 := 1;
	page bigint;
BEGIN
	FOR leaf IN SELECT r.slot FROM jobsched.ring r WHERE r.closed_at IS NULL OR r.closed_at > since UNION SELECT jobsched._open_slot() LOOP
		pages := pg_relation_size(format('jobsched.job_executions_%s', leaf)::regclass) / current_setting('block_size')::int;
		lo := 0;
		hi := pages;
		WHILE lo < hi LOOP
			middle := (lo + hi) / 2;
			SELECT max(e.finished_at) INTO latest FROM jobsched.job_executions e
			WHERE e.slot = leaf AND e.ctid >= format('(%s,0)', middle)::tid AND e.ctid < format('(%s,0)', middle + 1)::tid;
			IF latest < since THEN
				lo := middle + 1;
			ELSE
				hi := middle;
			END IF;
		END LOOP;
		lo := greatest(lo - 64, 0);
		slots := slots || leaf;
		firsts := firsts || lo;
		ends := ends || pages;
		total := total + pages - lo;
	END LOOP;
	step := stretch;
	IF total > most THEN
		step := ceil(total * stretch::float8 / most);
		part := stretch::float8 / step;
	END IF;
	FOR i IN 1 .. cardinality(slots) LOOP
		page := firsts[i];
		WHILE page < ends[i] LOOP
			RETURN QUERY
			SELECT e.job_id, e.run_at, e.attempt, e.status, e.final, e.started_at, e.finished_at, part FROM jobsched.job_executions e
			WHERE e.slot = slots[i] AND e.ctid >= format('(%s,0)', page)::tid AND e.ctid < format('(%s,0)', least(page + stretch, ends[i]))::tid AND e.finished_at >= since;
			page := page + step;
		END LOOP;
	END LOOP;
END $$;

CREATE FUNCTION jobsched.rest_history(query jsonb) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	minutes int := jobsched._int_param(query, 'minutes', 1, 1440, 60);
	this timestamptz := date_trunc('minute', clock_timestamp());
BEGIN
	RETURN (
		WITH x AS MATERIALIZED (
			SELECT date_trunc('minute', e.finished_at) AS minute, e.status, e.final, e.sampled, extract(epoch FROM e.finished_at - e.started_at)::float8 AS duration,
				CASE WHEN e.attempt = 1 THEN extract(epoch FROM e.started_at - greatest(e.run_at,
					to_timestamp(('x' || left(e.job_id::text, 8) || substr(e.job_id::text, 10, 4))::bit(48)::bigint / 1000.0)))::float8 END AS latency
			FROM jobsched._recent_ends(this - (minutes - 1) * interval '1 minute', 1000) e),
		m AS (
			SELECT x.minute, min(x.sampled) AS sampled, count(*) FILTER (WHERE x.status = 'succeeded') AS succeeded, count(*) FILTER (WHERE x.status = 'failed' AND x.final) AS failed,
				count(*) FILTER (WHERE x.status = 'cancelled') AS cancelled, count(*) FILTER (WHERE x.status = 'expired') AS expired,
				count(*) FILTER (WHERE x.status = 'failed' AND NOT x.final) AS retried, count(*) FILTER (WHERE x.status = 'lost') AS lost,
				percentile_cont('{0.5,0.95}'::float8[]) WITHIN GROUP (ORDER BY greatest(x.latency, 0)) FILTER (WHERE x.latency IS NOT NULL) AS latency,
				percentile_cont('{0.5,0.95}'::float8[]) WITHIN GROUP (ORDER BY x.duration) FILTER (WHERE x.duration IS NOT NULL) AS duration
			FROM x GROUP BY 1)
		SELECT json_build_object('sampled', coalesce((SELECT min(m.sampled) FROM m), 1), 'minutes', json_agg(json_build_object('at', jobsched._iso(s.at),
			'time', extract(epoch FROM s.at)::bigint, 'succeeded', round(coalesce(m.succeeded / m.sampled, 0)), 'failed', round(coalesce(m.failed / m.sampled, 0)),
			'cancelled', round(coalesce(m.cancelled / m.sampled, 0)), 'expired', round(coalesce(m.expired / m.sampled, 0)),
			'retried', round(coalesce(m.retried / m.sampled, 0)), 'lost', round(coalesce(m.lost / m.sampled, 0)),
			'start_latency_p50', round(m.latency[1]::numeric, 6), 'start_latency_p95', round(m.latency[2]::numeric, 6),
			'duration_p50', round(m.duration[1]::numeric, 6), 'duration_p95', round(m.duration[2]::numeric, 6)) ORDER BY s.at))
		FROM generate_series(this - (minutes - 1) * interval '1 minute', this, interval '1 minute') AS s(at) LEFT JOIN m ON m.minute = s.at);
END $$;
COMMENT ON FUNCTION jobsched.rest_history(jsonb) IS
'GET /stats/history: ends by status, start latency and duration for each of the last minutes; reads at most 1000 pages and says which part of all that was. query: minutes (1..1440), as text';

/* ----------------------------------------- REST: many jobs, waiting, artifacts */

CREATE FUNCTION jobsched.rest_cancel_many(body jsonb) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM jobsched._check_filter_body(body);
	RETURN json_build_object('jobs', jobsched.cancel_jobs(name => body ->> 'name', queue => body ->> 'queue', status => body ->> 'status',
		created_after => jobsched._time_field(body, 'created_after', ''), created_before => jobsched._time_field(body, 'created_before', ''),
		dry_run => coalesce((body ->> 'dry_run')::boolean, false), "limit" => jobsched._int_field(body, 'limit', '', 10000)),
		'dry_run', coalesce((body ->> 'dry_run')::boolean, false));
END $$;
CREATE FUNCTION jobsched.rest_retry_many(body jsonb) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM jobsched._check_filter_body(body);
	RETURN json_build_object('jobs', jobsched.retry_jobs(name => body ->> 'name', queue => body ->> 'queue', status => body ->> 'status',
		created_after => jobsched._time_field(body, 'created_after', ''), created_before => jobsched._time_field(body, 'created_before', ''),
		dry_run => coalesce((body ->> 'dry_run')::boolean, false), "limit" => jobsched._int_field(body, 'limit', '', 10000)),
		'dry_run', coalesce((body ->> 'dry_run')::boolean, false));
END $$;
CREATE FUNCTION jobsched._check_filter_body(body jsonb) RETURNS void LANGUAGE sql STABLE AS
	$$ SELECT jobsched._check_fields(body, '{"name": "string", "queue": "string", "status": "string", "created_after": "number|string", "created_before": "number|string",
		"dry_run": "boolean", "limit": "number"}', '') $$;
COMMENT ON FUNCTION jobsched.rest_cancel_many(jsonb) IS 'POST /jobs/cancel: cancel_jobs() with the fields of the body: {"jobs": how many, "dry_run": boolean}';
COMMENT ON FUNCTION jobsched.rest_retry_many(jsonb) IS 'POST /jobs/retry: retry_jobs() with the fields of the body: {"jobs": how many, "dry_run": boolean}';

/* Asked again and again for the same ids: those that have a timer or are in flight are dropped before anything else is read. */
CREATE FUNCTION jobsched.rest_wait(ids uuid[]) RETURNS TABLE (id uuid, job text) LANGUAGE plpgsql STABLE STRICT ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	over uuid[];
BEGIN
	over := ARRAY(SELECT i.id FROM unnest(ids) AS i(id)
		WHERE NOT EXISTS (SELECT FROM jobsched.timers t WHERE t.job_id = i.id)
		EXCEPT SELECT u.job_id FROM jobsched._in_flight() d CROSS JOIN LATERAL unnest(d.job_ids) WITH ORDINALITY AS u(job_id, n) WHERE (d.done >> (u.n - 1)::int) & 1 = 0);
	IF over <> '{}' THEN
		RETURN QUERY
		SELECT o.id, m.job FROM unnest(over) AS o(id) LEFT JOIN jobsched.rest_get_many(over) m ON m.id = o.id
		WHERE m.job IS NULL OR m.job::json ->> 'status' IN ('succeeded', 'failed', 'cancelled', 'expired', 'ended');
	END IF;
END $$;
COMMENT ON FUNCTION jobsched.rest_wait(uuid[]) IS 'GET /jobs/{id}?wait= for many: those of the jobs that have ended, and, with a null, those that there are not';

CREATE FUNCTION jobsched.rest_artifact(id uuid, name text, query jsonb) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	of_run timestamptz := jobsched._time_param(query, 'run_at');
	of_attempt int := jobsched._int_param(query, 'attempt', 1, 32767, NULL);
	leaf smallint;
	found_one jsonb;
BEGIN
	IF (of_run IS NULL) <> (of_attempt IS NULL) THEN
		PERFORM jobsched._invalid(CASE WHEN of_run IS NULL THEN 'run_at' ELSE 'attempt' END, format('%s: missing', CASE WHEN of_run IS NULL THEN 'run_at' ELSE 'attempt' END),
			'run_at and attempt together name an execution; without both it is the last one that has the artifact.');
	END IF;
	IF NOT EXISTS (SELECT FROM jobsched.jobs j WHERE j.id = rest_artifact.id AND j.slot IN (jobsched.slot_of(rest_artifact.id), 16)
			AND (jobsched._sees_all() OR j.owner = jobsched.caller())) THEN
		PERFORM jobsched._unknown_job(rest_artifact.id);
	END IF;
	FOR leaf IN
		SELECT l.slot FROM generate_series(0, 16) AS l(slot) LEFT JOIN jobsched.ring g ON g.slot = l.slot
		ORDER BY l.slot = 16, g.opened_at DESC NULLS LAST, l.slot DESC
	LOOP
		SELECT a.artifact INTO found_one FROM jobsched.job_executions e CROSS JOIN LATERAL jsonb_array_elements(e.artifacts) AS a(artifact)
		WHERE e.slot = leaf AND e.job_id = rest_artifact.id AND e.artifacts IS NOT NULL AND (of_run IS NULL OR (e.run_at = of_run AND e.attempt = of_attempt))
			AND a.artifact ->> 'name' = rest_artifact.name
		ORDER BY e.finished_at DESC LIMIT 1;
		EXIT WHEN FOUND;
	END LOOP;
	IF found_one IS NULL THEN
		PERFORM jobsched._unknown('artifact', rest_artifact.name, 'GET /jobs/{id}/executions lists those of each execution.');
	END IF;
	RETURN found_one;
END $$;
COMMENT ON FUNCTION jobsched.rest_artifact(uuid, text, jsonb) IS
'GET /jobs/{id}/artifacts/{name}: its entry in the execution that query names by run_at and attempt, else in the last that has one; JS002 when there is none';

/* ---------------------------------------------------------------- metrics */

/* Of at most that many queues, and so many due runs of them all. */
CREATE FUNCTION jobsched._metrics_queues() RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 100 $$;
CREATE FUNCTION jobsched._metrics_due() RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 200000 $$;

CREATE FUNCTION jobsched._due_now(queue smallint, most int) RETURNS bigint LANGUAGE sql STABLE AS $$
	SELECT count(*) FROM (SELECT FROM generate_series(0, 9) AS p(priority)
		CROSS JOIN LATERAL (SELECT FROM jobsched.timers t WHERE t.queue = _due_now.queue AND t.priority = p.priority AND t.due_at <= statement_timestamp() LIMIT most) x LIMIT most) y
$$;

/* The numbers of jobsched.metrics() by name, with what Prometheus wants to know of each. */
CREATE FUNCTION jobsched._metrics_values() RETURNS TABLE (name text, labels jsonb, value float8) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
	at timestamptz := clock_timestamp();
	many int := greatest((SELECT count(*) FROM jobsched.queues), 1);
BEGIN
	RETURN QUERY
	SELECT CASE c.name WHEN 'submitted' THEN 'jobs_submitted_total' WHEN 'ended' THEN 'attempts_ended_total' WHEN 'stale' THEN 'stale_results_total' WHEN 'unconfirmed' THEN 'unconfirmed'
			ELSE replace(replace(replace(c.name, 'ran_', 'run_seconds_'), 'start_', 'start_latency_seconds_'), 'confirm_', 'dispatch_latency_seconds_') END,
		jsonb_strip_nulls(jsonb_build_object('task', c.task, CASE c.name WHEN 'ended' THEN 'status' ELSE 'slice' END, c.label, 'le', CASE WHEN c.le = 'infinity' THEN '+Inf' ELSE c.le::text END)),
		sum(c.value)
	FROM jobsched._counters() c GROUP BY 1, 2;

	RETURN QUERY
	SELECT x.name, jsonb_build_object('queue', x.queue), x.value
	FROM (SELECT q.* FROM jobsched.queues q ORDER BY q.id LIMIT jobsched._metrics_queues()) q
	CROSS JOIN LATERAL (VALUES ('due', q.name, jobsched._due_now(q.id, jobsched._metrics_due() / least(many, jobsched._metrics_queues()))::float8),
		('oldest_due_seconds', q.name, coalesce(jobsched._oldest_due(q.id), 0)), ('queue_paused', q.name, q.paused::int::float8)) AS x(name, queue, value)
	UNION ALL
	SELECT 'queues', '{}', many
	UNION ALL
	SELECT 'runs_in_flight', jsonb_build_object('state', s.state), coalesce(d.runs, 0)
	FROM (VALUES ('queued'), ('claimed')) s(state)
	LEFT JOIN (SELECT d.status, count(*)::float8 AS runs FROM jobsched._in_flight() d CROSS JOIN LATERAL generate_series(1, cardinality(d.job_ids)) AS u(n)
		WHERE (d.done >> (u.n - 1)) & 1 = 0 GROUP BY 1) d ON d.status = s.state
	UNION ALL
	SELECT 'workers', jsonb_build_object('state', s.state), count(w.id)
	FROM (VALUES ('live'), ('silent'), ('stopped')) s(state)
	LEFT JOIN jobsched.workers w ON s.state = CASE WHEN w.state <> 'live' THEN 'stopped' WHEN w.last_seen > at - jobsched.worker_lease() THEN 'live' ELSE 'silent' END
	GROUP BY s.state
	UNION ALL
	SELECT 'worker_slots', '{}', coalesce(sum(w.slots), 0) FROM jobsched.workers w WHERE w.state = 'live' AND w.last_seen > at - jobsched.worker_lease()
	UNION ALL
	SELECT 'oldest_transaction_seconds', '{}', coalesce(extract(epoch FROM at - least(
		(SELECT min(a.xact_start) FROM pg_stat_get_activity(NULL) a WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid()),
		(SELECT min(p.prepared) FROM pg_prepared_xacts p)))::float8, 0)
	UNION ALL
	SELECT 'dead_rows', jsonb_build_object('table', c.relname), pg_stat_get_dead_tuples(c.oid)
	FROM pg_class c WHERE c.oid IN ('jobsched.timers'::regclass, 'jobsched.dispatches'::regclass)
	UNION ALL
	SELECT 'adopted', '{}', (NOT EXISTS (SELECT FROM jobsched.cluster) OR jobsched._adopted())::int
	UNION ALL
	SELECT x.name, jsonb_build_object('slice', s.slice::text) || x.labels, x.value
	FROM jobsched.scheduler_status() s
	CROSS JOIN LATERAL (VALUES ('scheduler_up', '{}'::jsonb, (split_part(s.state, ':', 1) IN ('running', 'idle'))::int::float8), ('scheduler_broker_connected', '{}', coalesce(s.broker LIKE 'connected%', false)::int),
		('scheduler_promoted_total', '{}', s.promoted), ('scheduler_published_total', '{}', s.published), ('scheduler_confirmed_total', '{}', s.confirmed),
		('scheduler_returned_total', '{}', s.returned), ('scheduler_republished_total', '{}', s.republished), ('scheduler_rescued_total', '{}', s.rescued),
		('scheduler_expired_total', '{}', s.expired), ('scheduler_loops_total', '{}', s.loops), ('scheduler_wakes_total', '{"by": "latch"}', s.woken_by_latch),
		('scheduler_wakes_total', '{"by": "time"}', s.woken_by_time), ('scheduler_wakes_total', '{"by": "broker"}', s.woken_by_broker)) AS x(name, labels, value)
	WHERE s.database = current_database();
END $$;

CREATE FUNCTION jobsched.metrics(OUT name text, OUT type text, OUT help text, OUT labels jsonb, OUT value float8) RETURNS SETOF record
	LANGUAGE sql VOLATILE ROWS 500 SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
	SELECT 'jobsched_' || v.name, h.type, h.help, v.labels, v.value
	FROM jobsched._metrics_values() v
	JOIN (VALUES (1, 'jobs_submitted_total', 'counter', 'Jobs submitted.'),
		(2, 'attempts_ended_total', 'counter', 'Attempts that have ended; retried: failed, and tried again; lost: with their worker.'),
		(3, 'run_seconds', 'histogram', 'How long tasks ran.'),
		(4, 'start_latency_seconds', 'histogram', 'From when a run was due, or submitted, to the start of its task; first attempts.'),
		(5, 'dispatch_latency_seconds', 'histogram', 'From when a run was due, or submitted, to the broker''s confirm; the first run of each message.'),
		(6, 'stale_results_total', 'counter', 'Results that were refused because the run had been taken over.'),
		(7, 'unconfirmed', 'gauge', 'Messages that the broker has not confirmed yet.'),
		(8, 'due', 'gauge', 'Runs that are due and not handed out; of many only so many are counted.'),
		(9, 'oldest_due_seconds', 'gauge', 'How long the oldest of them has been due.'),
		(10, 'queue_paused', 'gauge', '1 while the queue is paused.'),
		(11, 'queues', 'gauge', 'Queues; more than 100 are not shown one by one.'),
		(12, 'runs_in_flight', 'gauge', 'Runs handed out (queued) and taken by workers (claimed).'),
		(13, 'workers', 'gauge', 'Registered workers; silent: not heard of for a lease.'),
		(14, 'worker_slots', 'gauge', 'Tasks that the live workers can run at once.'),
		(15, 'oldest_transaction_seconds', 'gauge', 'Age of the oldest transaction of the server whose snapshot keeps dead rows.'),
		(16, 'dead_rows', 'gauge', 'Dead rows that are not removed yet.'),
		(17, 'adopted', 'gauge', '0 in a copy whose jobs do not run until somebody calls adopt().'),
		(18, 'scheduler_up', 'gauge', '1 while the scheduler process works, or has nothing to work on yet.'),
		(19, 'scheduler_broker_connected', 'gauge', '1 while it is connected to the broker.'),
		(20, 'scheduler_promoted_total', 'counter', 'Runs handed out.'),
		(21, 'scheduler_published_total', 'counter', 'Messages sent.'),
		(22, 'scheduler_confirmed_total', 'counter', 'Messages confirmed.'),
		(23, 'scheduler_returned_total', 'counter', 'Messages returned or refused.'),
		(24, 'scheduler_republished_total', 'counter', 'Messages sent again.'),
		(25, 'scheduler_rescued_total', 'counter', 'Runs taken back from lost workers.'),
		(26, 'scheduler_expired_total', 'counter', 'Runs ended at their expires_at.'),
		(27, 'scheduler_loops_total', 'counter', 'Turns of the scheduler.'),
		(28, 'scheduler_wakes_total', 'counter', 'Why it woke up.')) AS h(place, name, type, help)
		ON h.name = CASE WHEN h.type = 'histogram' THEN regexp_replace(v.name, '_(bucket|sum|count)$', '') ELSE v.name END
	ORDER BY h.place, v.labels - 'le', v.name <> h.name || '_bucket', v.name, CASE v.labels ->> 'le' WHEN '+Inf' THEN 'infinity' ELSE v.labels ->> 'le' END::float8
$$;
COMMENT ON FUNCTION jobsched.metrics() IS
'What Prometheus reads of GET /metrics, a row a sample. Counters of jobs and attempts, and histograms, are in shared memory and begin at zero with the server, those of schedulers with their process: they do not fall
when old rows go. Of tasks 128 are known by name, later ones count as "(other)"; of queues 100 are shown. It reads no jobs and no executions, and counts at most 200,000 due runs.';

/* The same as Prometheus' text; a family's lines stand together. */
CREATE FUNCTION jobsched.rest_metrics() RETURNS text LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(string_agg(CASE WHEN m.first THEN format(E'# HELP %1$s %2$s\n# TYPE %1$s %3$s\n', m.family, m.help, m.type) ELSE '' END
		|| m.name || coalesce('{' || (SELECT string_agg(format('%s="%s"', l.key, replace(replace(replace(l.value, '\', '\\'), '"', '\"'), E'\n', '\n')), ',' ORDER BY l.key)
			FROM jsonb_each_text(m.labels) l) || '}', '') || ' ' || m.value || E'\n', '' ORDER BY m.n), '')
	FROM (SELECT f.*, f.family IS DISTINCT FROM lag(f.family) OVER (ORDER BY f.n) AS first
		FROM (SELECT x.*, CASE x.type WHEN 'histogram' THEN regexp_replace(x.name, '_(bucket|sum|count)$', '') ELSE x.name END AS family
			FROM jobsched.metrics() WITH ORDINALITY AS x(name, type, help, labels, value, n)) f) m
$$;
COMMENT ON FUNCTION jobsched.rest_metrics() IS 'GET /metrics: jobsched.metrics() in Prometheus'' text format';

/* -------------------------------------------------------------- retention */

/*
 * The ring turns when its open slot is a fourteenth of jobsched.retention old, into a slot that has been emptied before:
 * what is in it was closed a whole retention ago.  _retain() is one small step of that, a transaction of its own; the
 * scheduler calls it again and again.  For each slot, in order:
 *
 *   sweep   chunks of jobs in the order of their ids: those that live move to the kept leaf, the keys of the others go
 *   keep    executions that are kept longer move too
 *   empty   one short transaction locks both leaves, looks whether anything has come back to life, and truncates them
 *
 * After that the kept leaves are swept, row by row deleted.  A transaction that began before the last move might look for
 * a job where it was and find the leaf already empty: until all such have ended nothing is truncated.
 *
 * A job lives while it has a timer or is in a dispatch, while its last execution is kept, and a cron job until it is
 * cancelled.  All functions that change a job lock its row first, so a dead one comes back only with a timer.
 */
CREATE FUNCTION jobsched._kept_since(at timestamptz, status text) RETURNS timestamptz LANGUAGE sql STABLE AS
	$$ SELECT at - CASE WHEN status = 'failed' THEN greatest(jobsched._retention(), jobsched._retention_failed()) ELSE jobsched._retention() END $$;

/* Jobs with ids in lo..hi that live; some may be in another slot. */
CREATE FUNCTION jobsched._living(lo uuid, hi uuid, at timestamptz) RETURNS SETOF uuid LANGUAGE plpgsql STABLE ROWS 1000 AS $$
DECLARE
	since timestamptz := jobsched._kept_since(at, 'succeeded');	/* once, not for every row */
	failed_since timestamptz := jobsched._kept_since(at, 'failed');
BEGIN
	RETURN QUERY
	SELECT t.job_id FROM jobsched.timers t WHERE t.job_id BETWEEN lo AND hi
	UNION
	SELECT u.job_id FROM jobsched.dispatches d, unnest(d.job_ids) AS u (job_id)
	WHERE d.id >= '00000000-0000-0000-0000-000000000000' /* by the index: see _take_back() */ AND u.job_id BETWEEN lo AND hi
	UNION
	SELECT e.job_id FROM jobsched.job_executions e
	WHERE e.job_id BETWEEN lo AND hi AND e.finished_at > failed_since AND (e.finished_at > since OR e.status = 'failed');
END $$;

/* Takes the unique keys from these jobs of a leaf, but for those that somebody has locked; true when none is left. */
CREATE FUNCTION jobsched._drop_keys(leaf smallint, ids uuid[]) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	WITH k AS MATERIALIZED (
		SELECT k.owner, k.key FROM jobsched.jobs j JOIN jobsched.unique_keys k ON k.owner = j.owner AND k.key = j.unique_key AND k.job_id = j.id
		WHERE j.slot = leaf AND j.id = ANY (ids) FOR UPDATE OF k SKIP LOCKED)
	DELETE FROM jobsched.unique_keys d USING k WHERE d.owner = k.owner AND d.key = k.key;
	RETURN NOT EXISTS (SELECT FROM jobsched.jobs j JOIN jobsched.unique_keys k ON k.owner = j.owner AND k.key = j.unique_key AND k.job_id = j.id
		WHERE j.slot = leaf AND j.id = ANY (ids));
END $$;

/*
 * One chunk of jobs of a leaf, of ids after `after`: upto is the last id, null when there is none.  waits: a row that has to go is
 * locked by somebody, and not waited for; the chunk is to be swept again.
 */
CREATE FUNCTION jobsched._sweep_jobs(leaf smallint, after uuid, at timestamptz, most int, OUT upto uuid, OUT moved int, OUT waits boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	lo uuid;
	living uuid[];
	gone uuid[];
BEGIN
	SELECT (array_agg(c.id ORDER BY c.id))[1], (array_agg(c.id ORDER BY c.id DESC))[1] INTO lo, upto
	FROM (SELECT j.id FROM jobsched.jobs j WHERE j.slot = leaf AND j.id > coalesce(after, '00000000-0000-0000-0000-000000000000') ORDER BY j.id LIMIT most) c;
	moved := 0;
	waits := false;
	IF upto IS NULL THEN
		RETURN;
	END IF;
	living := ARRAY(SELECT l FROM jobsched._living(lo, upto, at) l);
	IF leaf < 16 THEN
		gone := ARRAY(SELECT j.id FROM jobsched.jobs j WHERE j.slot = leaf AND j.id = ANY (living) ORDER BY j.id FOR UPDATE SKIP LOCKED);
		WITH gone AS (DELETE FROM jobsched.jobs j WHERE j.slot = leaf AND j.id = ANY (gone) RETURNING j.*)
		INSERT INTO jobsched.jobs (slot, id, priority, max_retries, queue, created_at, name, frequency, state, owner, payload, timeout, retry_delay, retry_delay_max,
			backoff, expires_at, unique_key, rerun_at, state_by, state_at, traceparent)
		SELECT 16, g.id, g.priority, g.max_retries, g.queue, g.created_at, g.name, g.frequency, g.state, g.owner, g.payload, g.timeout, g.retry_delay, g.retry_delay_max,
			g.backoff, g.expires_at, g.unique_key, g.rerun_at, g.state_by, g.state_at, g.traceparent
		FROM gone g;
		GET DIAGNOSTICS moved = ROW_COUNT;
		waits := EXISTS (SELECT FROM jobsched.jobs j WHERE j.slot = leaf AND j.id = ANY (living));
		/* The dead stay until the leaf is truncated; their keys go now. */
		gone := ARRAY(SELECT j.id FROM jobsched.jobs j WHERE j.slot = leaf AND j.id BETWEEN lo AND upto AND j.unique_key IS NOT NULL AND j.id <> ALL (living));
		waits := NOT jobsched._drop_keys(leaf, gone) OR waits;
		RETURN;
	END IF;
	gone := ARRAY(SELECT j.id FROM jobsched.jobs j
		WHERE j.slot = 16 AND j.id BETWEEN lo AND upto AND j.id <> ALL (living)
			AND (j.frequency = 'once' OR j.state = 'cancelled' AND j.state_at < jobsched._kept_since(at, 'cancelled'))
		ORDER BY j.id FOR UPDATE SKIP LOCKED);
	/* Looked at again, now that they are locked; those left out are seen by the next sweep. */
	living := ARRAY(SELECT l FROM jobsched._living(lo, upto, at) l);
	gone := ARRAY(SELECT g FROM unnest(gone) g WHERE g <> ALL (living));
	waits := NOT jobsched._drop_keys(16::smallint, gone);
	gone := ARRAY(SELECT j.id FROM jobsched.jobs j WHERE j.slot = 16 AND j.id = ANY (gone)
		AND NOT EXISTS (SELECT FROM jobsched.unique_keys k WHERE k.owner = j.owner AND k.key = j.unique_key AND k.job_id = j.id));
	DELETE FROM jobsched.schedules s WHERE s.job_id = ANY (gone);
	DELETE FROM jobsched.progress p WHERE p.job_id = ANY (gone);
	DELETE FROM jobsched.jobs j WHERE j.slot = 16 AND j.id = ANY (gone);
	GET DIAGNOSTICS moved = ROW_COUNT;
END $$;

/* Executions of a leaf that are kept longer than the leaf; returns how many have moved. */
CREATE FUNCTION jobsched._keep_executions(leaf smallint, at timestamptz, most int) RETURNS int LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	failed_since timestamptz := jobsched._kept_since(at, 'failed');
	since timestamptz := jobsched._kept_since(at, 'succeeded');
	old boolean := coalesce((SELECT r.closed_at < since - interval '1 hour' FROM jobsched.ring r WHERE r.slot = leaf), false);
	ids uuid[];
	kept tid[];
	moved int;
BEGIN
	/* Failed attempts before the last one, which the index does not know: they go first, since it leads to them. */
	ids := ARRAY(SELECT e.job_id FROM jobsched.job_executions e WHERE e.slot = leaf AND e.final AND e.status = 'failed' AND e.finished_at > failed_since LIMIT most);
	kept := ARRAY(SELECT e.ctid FROM jobsched.job_executions e WHERE e.slot = leaf AND e.job_id = ANY (ids) AND e.status = 'failed' AND e.finished_at > failed_since
		ORDER BY e.final LIMIT most);
	IF kept = '{}' AND NOT old THEN
		/* The retention has grown since, or the slot was closed early. */
		kept := ARRAY(SELECT e.ctid FROM jobsched.job_executions e WHERE e.slot = leaf AND e.finished_at > since LIMIT most);
	END IF;
	IF kept = '{}' THEN
		RETURN 0;
	END IF;
	WITH gone AS (DELETE FROM jobsched.job_executions e WHERE e.slot = leaf AND e.ctid = ANY (kept) RETURNING e.*)
	INSERT INTO jobsched.job_executions (slot, attempt, final, job_id, worker_id, run_at, queued_at, started_at, finished_at, status, reason, error, result_payload, artifacts)
	SELECT 16, g.attempt, g.final, g.job_id, g.worker_id, g.run_at, g.queued_at, g.started_at, g.finished_at, g.status, g.reason, g.error, g.result_payload, g.artifacts
	FROM gone g;
	GET DIAGNOSTICS moved = ROW_COUNT;
	RETURN moved;
END $$;

/* Truncates both leaves of a slot, or says what is in the way. */
/* While it holds the locks it only probes indexes: a hash of the leaf's jobs would take as long as reading them. */
CREATE FUNCTION jobsched._empty_slot(leaf smallint, moved_in xid8) RETURNS text LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
	lo uuid;
	hi uuid;
BEGIN
	IF pg_relation_size(format('jobsched.%I', 'jobs_' || leaf)::regclass) + pg_relation_size(format('jobsched.%I', 'job_executions_' || leaf)::regclass) = 0 THEN
		RETURN 'emptied';
	END IF;
	/* A statement that began before the last move sees the moved rows only where they were. */
	IF moved_in IS NOT NULL AND EXISTS (SELECT FROM pg_stat_get_activity(NULL) a
		WHERE a.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AND a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid()
			AND a.backend_type <> 'autovacuum worker' AND age(a.backend_xmin) >= age(moved_in::xid))
	THEN
		RETURN 'waits for a snapshot that is older than the last move';
	END IF;
	SET LOCAL lock_timeout = '50ms';
	BEGIN
		EXECUTE format('LOCK TABLE ONLY jobsched.%I, ONLY jobsched.%I IN ACCESS EXCLUSIVE MODE', 'jobs_' || leaf, 'job_executions_' || leaf);
	EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
		RETURN 'waits for whoever reads the slot';
	END;
	SELECT j.id INTO lo FROM jobsched.jobs j WHERE j.slot = leaf ORDER BY j.id LIMIT 1;
	SELECT j.id INTO hi FROM jobsched.jobs j WHERE j.slot = leaf ORDER BY j.id DESC LIMIT 1;
	IF EXISTS (SELECT FROM jobsched.timers t WHERE t.job_id BETWEEN lo AND hi AND jobsched.slot_of(t.job_id) = leaf
			AND EXISTS (SELECT FROM jobsched.jobs j WHERE j.slot = leaf AND j.id = t.job_id))
		OR EXISTS (SELECT FROM jobsched.dispatches d, unnest(d.job_ids) AS u (job_id) WHERE d.id >= '00000000-0000-0000-0000-000000000000' AND u.job_id BETWEEN lo AND hi
			AND EXISTS (SELECT FROM jobsched.jobs j WHERE j.slot = leaf AND j.id = u.job_id))
	THEN
		RETURN 'sweep again';
	END IF;
	EXECUTE format('TRUNCATE ONLY jobsched.%I, ONLY jobsched.%I', 'jobs_' || leaf, 'job_executions_' || leaf);
	RETURN 'emptied';
END $$;

/* Rows beside the ring that nobody needs any more. */
CREATE FUNCTION jobsched._sweep_small(at timestamptz, most int) RETURNS int LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	since timestamptz := jobsched._kept_since(at, 'succeeded');
	n int;
	total int := 0;
BEGIN
	DELETE FROM jobsched.job_executions e WHERE e.slot = 16 AND e.ctid = ANY (ARRAY(SELECT x.ctid FROM jobsched.job_executions x
		WHERE x.slot = 16 AND x.finished_at <= since AND (x.status <> 'failed' OR x.finished_at <= jobsched._kept_since(at, 'failed')) LIMIT most));
	GET DIAGNOSTICS n = ROW_COUNT;
	total := total + n;
	DELETE FROM jobsched.cron_ticks t WHERE t.ctid = ANY (ARRAY(SELECT x.ctid FROM jobsched.cron_ticks x WHERE x.decided_at <= since LIMIT most));
	GET DIAGNOSTICS n = ROW_COUNT;
	total := total + n;
	DELETE FROM jobsched.workers w WHERE w.ctid = ANY (ARRAY(SELECT x.ctid FROM jobsched.workers x WHERE x.last_seen <= since AND NOT EXISTS (
		SELECT FROM jobsched.dispatches d WHERE d.worker = x.id) LIMIT most));
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN total + n;
END $$;

/*
 * One step.  again: seconds after which the next is wanted.
 */
CREATE FUNCTION jobsched._retain(at timestamptz DEFAULT clock_timestamp(), OUT did text, OUT again float8)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	most constant int := 1000;	/* some 3 ms; the scheduler waits for it */
	span interval := jobsched._retention() / 14;
	adopted timestamptz;
	cur record;
	nxt smallint;
	sweep jobsched.sweeps;
	chunk record;
	word text;
BEGIN
	again := 60;
	SELECT max(c.adopted_at) INTO adopted FROM jobsched.cluster c;
	/*
	 * What is adopted only now may be in the middle of a restore, where jobs come before their timers; and the script inserts nothing
	 * that a dump brings.
	 */
	IF adopted IS NULL OR at < adopted + span / 2 THEN
		did := 'nothing yet';
		again := least(again, greatest(extract(epoch FROM adopted + span / 2 - at), 0.1));
		RETURN;
	END IF;
	SELECT r.slot, r.opened_at INTO cur FROM jobsched.ring r WHERE r.closed_at IS NULL ORDER BY r.opened_at DESC LIMIT 1;
	IF NOT FOUND THEN
		SELECT 0::smallint AS slot, adopted AS opened_at INTO cur;	/* as _open_slot() says */
	END IF;
	nxt := (cur.slot + 1) % 16;
	SELECT s.* INTO sweep FROM jobsched.sweeps s WHERE s.slot = nxt;
	IF NOT FOUND THEN
		INSERT INTO jobsched.sweeps (slot, began_at) VALUES (nxt, at) RETURNING * INTO sweep;
	END IF;

	IF sweep.phase = 'emptied' THEN
		IF at >= cur.opened_at + span THEN
			INSERT INTO jobsched.ring AS r (slot, opened_at, closed_at) VALUES (cur.slot, cur.opened_at, at) ON CONFLICT (slot) DO UPDATE SET closed_at = excluded.closed_at;
			/* By the calendar, so that small delays do not add up. */
			INSERT INTO jobsched.ring AS r (slot, opened_at) VALUES (nxt, CASE WHEN at < cur.opened_at + 2 * span THEN cur.opened_at + span ELSE at END) ON CONFLICT (slot) DO UPDATE SET opened_at = excluded.opened_at, closed_at = NULL;
			DELETE FROM jobsched.sweeps s WHERE s.slot IN (nxt, 16);
			did := format('closed slot %s, opened slot %s', cur.slot, nxt);
			again := 0.1;
			RETURN;
		END IF;
		again := least(again, extract(epoch FROM cur.opened_at + span - at));
		nxt := 16;
		SELECT s.* INTO sweep FROM jobsched.sweeps s WHERE s.slot = 16;
		IF NOT FOUND THEN
			INSERT INTO jobsched.sweeps (slot, began_at) VALUES (16, at) RETURNING * INTO sweep;
		END IF;
		IF sweep.phase = 'emptied' THEN
			/* The kept leaves are swept once an hour, and after each turn. */
			IF at < sweep.began_at + interval '1 hour' THEN
				did := 'nothing to do';
				again := least(again, extract(epoch FROM sweep.began_at + interval '1 hour' - at));
				RETURN;
			END IF;
			UPDATE jobsched.sweeps s SET began_at = at, phase = 'sweep', swept_to = NULL WHERE s.slot = 16;
			sweep.phase := 'sweep';
			sweep.swept_to := NULL;
		END IF;
	END IF;

	again := 0.1;
	CASE sweep.phase
	WHEN 'sweep' THEN
		SELECT * INTO chunk FROM jobsched._sweep_jobs(nxt, sweep.swept_to, at, most);
		/* The kept leaves are swept again in an hour anyway; a slot must be swept clean. */
		UPDATE jobsched.sweeps s SET swept_to = CASE WHEN chunk.waits AND nxt < 16 THEN s.swept_to ELSE coalesce(chunk.upto, s.swept_to) END,
			phase = CASE WHEN chunk.upto IS NULL THEN 'keep' ELSE 'sweep' END,
			moved_in = CASE WHEN chunk.moved > 0 THEN pg_current_xact_id() ELSE s.moved_in END
		WHERE s.slot = nxt;
		did := CASE WHEN nxt = 16 THEN format('kept: %s jobs deleted', chunk.moved)
			WHEN chunk.waits THEN format('slot %s: waits for whoever has locked a job', nxt)
			ELSE format('slot %s: %s jobs moved', nxt, chunk.moved) END;
		again := CASE WHEN chunk.waits AND nxt < 16 THEN 1 ELSE again END;
	WHEN 'keep' THEN
		IF nxt = 16 THEN
			chunk := ROW (jobsched._sweep_small(at, most));
			did := format('kept: %s rows deleted', chunk.f1);
		ELSE
			chunk := ROW (jobsched._keep_executions(nxt, at, most));
			did := format('slot %s: %s executions moved', nxt, chunk.f1);
		END IF;
		UPDATE jobsched.sweeps s SET phase = CASE WHEN chunk.f1 > 0 THEN 'keep' WHEN nxt = 16 THEN 'emptied' ELSE 'empty' END,
			moved_in = CASE WHEN chunk.f1 > 0 THEN pg_current_xact_id() ELSE s.moved_in END
		WHERE s.slot = nxt;
	ELSE
		word := jobsched._empty_slot(nxt, sweep.moved_in);
		did := format('slot %s: %s', nxt, word);
		again := CASE WHEN word IN ('emptied', 'sweep again') THEN 0.1 ELSE 1 END;
		UPDATE jobsched.sweeps s SET phase = CASE word WHEN 'emptied' THEN 'emptied' WHEN 'sweep again' THEN 'sweep' ELSE s.phase END,
			swept_to = CASE word WHEN 'sweep again' THEN NULL ELSE s.swept_to END
		WHERE s.slot = nxt;
	END CASE;
END $$;

/* What a person looks at when the disk fills. */
CREATE FUNCTION jobsched.stats(OUT name text, OUT live_rows bigint, OUT dead_rows bigint, OUT table_bytes bigint, OUT index_bytes bigint, OUT last_vacuum timestamptz, OUT note text)
	RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT c.relname::text, pg_stat_get_live_tuples(c.oid), pg_stat_get_dead_tuples(c.oid), pg_table_size(c.oid), pg_indexes_size(c.oid),
		greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)),
		CASE WHEN c.relname IN ('jobs_kept', 'job_executions_kept') THEN 'cron jobs, and what outlives its slot'
			WHEN r.slot IS NOT NULL AND r.closed_at IS NULL THEN 'open since ' || jobsched._iso(r.opened_at)
			WHEN r.slot IS NOT NULL THEN 'closed ' || jobsched._iso(r.closed_at) END
	FROM pg_class c LEFT JOIN jobsched.ring r ON r.slot::text = substring(c.relname FROM '^(?:jobs|job_executions)_(\d+)$')
	WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'jobsched') AND c.relkind = 'r'
	UNION ALL
	SELECT 'oldest snapshot', NULL, NULL, NULL, NULL, NULL, coalesce((SELECT format('%s s old, process %s of %s (%s): rows that died since cannot be removed',
		extract(epoch FROM clock_timestamp() - a.xact_start)::int, a.pid, coalesce(u.rolname, '?'), coalesce(nullif(a.application_name, ''), 'no application_name'))
		FROM pg_stat_get_activity(NULL) a LEFT JOIN pg_roles u ON u.oid = a.usesysid
		WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid() ORDER BY age(a.backend_xmin) DESC LIMIT 1), 'none')
	ORDER BY 1
$$;
COMMENT ON FUNCTION jobsched.stats() IS 'size, rows and dead rows of each table of jobsched, the state of the ring''s slots, and the oldest snapshot of the server';

/* ------------------------------------------------------------------ adopt */

CREATE FUNCTION jobsched.adopt() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF jobsched._adopted() THEN
		RETURN false;
	END IF;
	/* Workers of the original are not ours: what they held when the copy was made is taken back at the scheduler's next round. */
	UPDATE jobsched.workers SET state = 'stopped' WHERE state = 'live';
	DELETE FROM jobsched.cluster;
	INSERT INTO jobsched.cluster (system_identifier, database)
	SELECT jobsched._system_identifier(), d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()
	ON CONFLICT DO NOTHING;
	PERFORM jobsched._wake(q.id, 0::smallint, '-infinity') FROM jobsched.queues q;
	RETURN true;
END $$;
COMMENT ON FUNCTION jobsched.adopt() IS
'Says that the jobs in this database, restored or copied from elsewhere, shall run here. Until then nothing of it runs. False when they already did.';

/* ----------------------------------------------------------------- grants */

REVOKE ALL ON SCHEMA jobsched FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA jobsched FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA jobsched FROM PUBLIC;

GRANT USAGE ON SCHEMA jobsched TO jobsched_submitter, jobsched_worker, jobsched_viewer, jobsched_admin, jobsched_scheduler;

GRANT EXECUTE ON FUNCTION jobsched.submit(text, jsonb, timestamptz, text, text, text, int, int, interval, text, text, timestamptz, interval, interval, text, text), jobsched.submit_many(jsonb),
	jobsched.cancel_jobs(text, text, text, timestamptz, timestamptz, boolean, int), jobsched.retry_jobs(text, text, text, timestamptz, timestamptz, boolean, int),
	jobsched.cancel(uuid), jobsched.run_now(uuid), jobsched.retry(uuid),
	jobsched.pause(uuid), jobsched.resume(uuid), jobsched.unschedule(uuid), jobsched.unschedule(text), jobsched.backfill(uuid, timestamptz, timestamptz),
	jobsched.alter_job(uuid, jsonb, timestamptz, text, int, int, interval, timestamptz, interval, interval, text),
	jobsched.schedule(text, text, text, jsonb, text, text, int, int, interval, text, text, interval, int, interval, timestamptz, timestamptz, bigint, text, text),
	jobsched.alter_schedule(uuid, text, text, jsonb, text, text, interval, int, interval, timestamptz, timestamptz, bigint, text, text) TO jobsched_submitter;
GRANT EXECUTE ON FUNCTION jobsched.explain_job(uuid), jobsched.wait(uuid, interval), jobsched.ended_since(timestamptz, pg_snapshot) TO jobsched_submitter, jobsched_viewer;
GRANT EXECUTE ON FUNCTION jobsched.rest_get(uuid), jobsched.caller(), jobsched._sees_all(), jobsched.uuid_v7(), jobsched.slot_of(uuid), jobsched.segment_of(uuid),
	jobsched.cron_next(text, timestamptz, text), jobsched.cron_next_n(text, int, timestamptz, text), jobsched.cron_describe(text)
	TO jobsched_submitter, jobsched_viewer;
GRANT SELECT ON jobsched.job_status, jobsched.runs TO jobsched_submitter, jobsched_viewer;
GRANT SELECT ON jobsched.workers, jobsched.queues, jobsched.cron_ticks TO jobsched_viewer;
GRANT EXECUTE ON FUNCTION jobsched.stats(), jobsched.metrics() TO jobsched_viewer;
GRANT EXECUTE ON FUNCTION jobsched.scheduler_status(), jobsched.worker_lease() TO jobsched_viewer;
GRANT EXECUTE ON FUNCTION jobsched.register_worker(text, text[], int, jsonb), jobsched.claim(uuid, uuid, uuid[]), jobsched.release(uuid, uuid[], uuid[], smallint[]),
	jobsched.finish(uuid, uuid[], uuid[], smallint[], uuid[], timestamptz[], smallint[], text[], text[], text[], jsonb[], jsonb[], bigint[], bigint[], bigint[]),
	jobsched.heartbeat(uuid, uuid[], uuid[], jsonb), jobsched.report_progress(uuid, uuid[], uuid[], smallint[], real[], text[]), jobsched.unregister_worker(uuid), jobsched.neighbours(uuid), jobsched.worker_lease() TO jobsched_worker;
GRANT EXECUTE ON FUNCTION jobsched.adopt(), jobsched.pause_queue(text), jobsched.resume_queue(text) TO jobsched_admin;

/* What REST calls.  A member of jobsched_api may call all of it and nothing else, for everybody's jobs; the others see what they see elsewhere. */
GRANT USAGE ON SCHEMA jobsched TO jobsched_api;
GRANT EXECUTE ON FUNCTION jobsched.rest_submit_many(text[]), jobsched.rest_cancel(uuid), jobsched.rest_pause(uuid), jobsched.rest_resume(uuid), jobsched.rest_run(uuid),
	jobsched.rest_retry(uuid), jobsched.rest_alter(uuid, jsonb), jobsched.rest_put_schedule(text, jsonb), jobsched.rest_delete_schedule(text),
	jobsched.rest_pause_schedule(text), jobsched.rest_resume_schedule(text), jobsched.rest_run_schedule(text), jobsched.rest_cancel_many(jsonb),
	jobsched.rest_retry_many(jsonb) TO jobsched_api, jobsched_submitter;
GRANT EXECUTE ON FUNCTION jobsched.rest_get_many(uuid[], boolean), jobsched.rest_jobs(jsonb), jobsched.rest_executions(uuid, jsonb), jobsched.rest_explain(uuid),
	jobsched.rest_schedules(jsonb), jobsched.rest_schedule(text, jsonb), jobsched.rest_cron_next(jsonb), jobsched.rest_wait(uuid[]),
	jobsched.rest_artifact(uuid, text, jsonb), jobsched.health() TO jobsched_api, jobsched_submitter, jobsched_viewer;
GRANT EXECUTE ON FUNCTION jobsched.rest_queues(jsonb), jobsched.rest_queue(text), jobsched.rest_workers(jsonb), jobsched.rest_stats(jsonb), jobsched.rest_history(jsonb), jobsched.rest_metrics()
	TO jobsched_api, jobsched_viewer;
GRANT EXECUTE ON FUNCTION jobsched.rest_pause_queue(text), jobsched.rest_resume_queue(text) TO jobsched_api, jobsched_admin;

/* The scheduler works as this role, never as a superuser. */
GRANT SELECT, INSERT, UPDATE, DELETE ON jobsched.timers, jobsched.dispatches TO jobsched_scheduler;
GRANT SELECT, UPDATE ON jobsched.schedules TO jobsched_scheduler;
GRANT SELECT, INSERT, UPDATE ON jobsched.cron_ticks TO jobsched_scheduler;
GRANT SELECT ON jobsched.queues, jobsched.workers, jobsched.cluster, jobsched.ring, jobsched.jobs TO jobsched_scheduler;
GRANT EXECUTE ON FUNCTION jobsched._retain(timestamptz), jobsched._rescue(smallint, smallint), jobsched._expire(smallint, smallint, timestamptz), jobsched._supersede(uuid[], timestamptz[]), jobsched._adopted(), jobsched._task_hash(text), jobsched.worker_lease(),
	jobsched.cron_next(text, timestamptz, text), jobsched.segment_of(uuid), jobsched._jitter(uuid, interval) TO jobsched_scheduler;

DO $$
BEGIN
	IF NOT jobsched._preloaded() THEN
		RAISE WARNING 'jobsched is not in shared_preload_libraries: jobs are accepted, but nothing runs'
			USING HINT = 'Add jobsched to shared_preload_libraries, name this database in jobsched.database, and restart the server.';
	END IF;
END $$;
