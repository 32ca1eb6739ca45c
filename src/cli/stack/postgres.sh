# postgres.sh: the private PostgreSQL cluster and its database.
# shellcheck shell=bash

# psql_as ROLE [ARGUMENT...]: psql as one of the stack's roles, SQL from standard input or -c
psql_as() {
	local role=$1
	shift
	PGPASSFILE=$dir/pgpass PGOPTIONS='-c client_min_messages=warning' PGCONNECT_TIMEOUT=5 "$pg_bin/psql" -h 127.0.0.1 -p "$(port POSTGRES_PORT)" \
		-U "$role" -d "${database:-jobsched}" -qAtX -v ON_ERROR_STOP=1 "$@"
}
superuser() { psql_as postgres "$@"; }

pg_init() {
	[ ! -s "$pg_data/PG_VERSION" ] || return 0
	say 'making a database cluster'
	rm -rf "$pg_data"
	if [ -n "${STACK_TEMPLATE-}" ]; then
		pg_template
		cp "$STACK_TEMPLATE/password" "$data/secrets/postgres"
		cp -a --reflink=auto "$STACK_TEMPLATE/postgres" "$pg_data"
	else
		pg_initdb "$pg_data"
	fi
	rm -f "$data/script.sha256"
	echo "include 'stack.conf'" >>"$pg_data/postgresql.conf"
}

# pg_initdb DIRECTORY: a cluster there, whose superuser has this stack's password
pg_initdb() {
	own "$pg_user" "$1"
	secret postgres | write_private "$pg_user" "$data/postgres.password"
	(
		cd / && as "$pg_user" "$pg_bin/initdb" -D "$1" -U postgres -E UTF8 --locale=C.UTF-8 --auth=scram-sha-256 \
			--pwfile="$data/postgres.password" ${STACK_FAST:+--no-sync}
	) >"$logs/initdb.log" 2>&1 || { cat "$logs/initdb.log" >&2; rm -rf "$1"; die 'initdb failed'; }
	rm -f "$data/postgres.password"
}

# pg_template: what initdb makes, with the password, in STACK_TEMPLATE; made by the first stack that needs it
pg_template() {
	secret postgres >/dev/null	# which makes the directory
	(
		flock 7
		if [ ! -e "$STACK_TEMPLATE/password" ]; then
			rm -rf "$STACK_TEMPLATE/postgres"
			pg_initdb "$STACK_TEMPLATE/postgres"
			printf '%s' "$(secret postgres)" | write_private "$pg_user" "$STACK_TEMPLATE/password"
		fi
	) 7>"$STACK_TEMPLATE/lock"
}

pg_configure() {
	{
		echo '# Written by make start; edit .run/settings instead.'
		cat <<-END
			port = $(port POSTGRES_PORT)
			listen_addresses = '127.0.0.1'
			unix_socket_directories = ''
			cluster_name = 'jobsched'
			max_connections = 200
			log_timezone = 'UTC'
			log_line_prefix = '%m [%p] %q%u@%d '
			shared_preload_libraries = 'jobsched'
			jobsched.database = 'jobsched'
			jobsched.amqp_url_file = 'amqp_url'
		END
		if [ -n "${STACK_FAST-}" ]; then printf '%s\n' 'fsync = off' 'full_page_writes = off'; fi
		settings_postgres
	} | write_private "$pg_user" "$pg_data/stack.conf"
}

# The file that jobsched.amqp_url_file names, relative to the data directory.
pg_configure_broker() { mq_url | write_private "$pg_user" "$pg_data/amqp_url"; }

pg_passwords() {
	local role
	for role in postgres admin app jobsched_api_login jobsched_worker_login; do
		echo "127.0.0.1:$(port POSTGRES_PORT):*:$role:$(secret "$role")"
	done | write_private "$me" "$dir/pgpass"
}

pg_listens() { (exec 7<>"/dev/tcp/127.0.0.1/$(port POSTGRES_PORT)") 2>/dev/null; }
pg_answers() { pg_listens && [ "$(database=postgres superuser -c 'SELECT 1' 2>/dev/null)" = 1 ]; }

pg_start() {
	local pid
	tree_check
	if [ -s "$pg_data/postmaster.pid" ] && ! running postgres; then
		# Started or restarted by somebody's pg_ctl?
		read -r pid <"$pg_data/postmaster.pid"
		if is_ours "$pid" postgres; then echo "$pid" >"$pids/postgres"; fi
	fi
	if ! running postgres; then
		pg_init
		# After kill -9 of the postmaster its children take a moment to see it.
		if ! wait_until 10 none_in "$pg_data"; then sweep "$pg_data"; fi
		# Nobody works there now, so the lock file is a dead server's; its pid may look alive as a zombie or as somebody else.
		rm -f "$pg_data/postmaster.pid"
		port_settle POSTGRES_PORT
		pg_configure
		[ -e "$pg_data/amqp_url" ] || pg_configure_broker
		pg_passwords
		say "starting PostgreSQL on port $(port POSTGRES_PORT)"
		spawn postgres "$pg_user" -- "$pg_bin/postgres" -D "$pg_data"
		await postgres 120 PostgreSQL pg_answers
	fi
	pg_database
}

# The database, the extension and the roles that log in; each step only where it is missing.
pg_database() {
	local role
	if [ "$(database=postgres superuser -c "SELECT count(*) FROM pg_database WHERE datname = 'jobsched'")" = 0 ]; then
		database=postgres superuser -c 'CREATE DATABASE jobsched'
	fi
	if [ "$(superuser -c "SELECT count(*) FROM pg_extension WHERE extname = 'jobsched'")" = 0 ]; then
		say 'creating the extension jobsched'
		superuser -c 'CREATE EXTENSION jobsched'
		script_sum | write_private "$me" "$data/script.sha256"
	fi
	{
		for role in admin app jobsched_api_login jobsched_worker_login; do
			echo "SELECT 'CREATE ROLE $role LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$role') \\gexec"
			echo "ALTER ROLE $role PASSWORD '$(secret "$role")';"
		done
		echo 'GRANT jobsched_admin, jobsched_submitter, jobsched_viewer, pg_monitor TO admin;'
		echo 'GRANT jobsched_submitter, jobsched_viewer TO app;'
		echo 'GRANT jobsched_api TO jobsched_api_login;'
		echo 'GRANT jobsched_worker TO jobsched_worker_login;'
	} | superuser -f - >/dev/null
}

script_sum() { sha256sum <"$tree/usr/share/postgresql/$pg_major/extension/jobsched--1.0.sql"; }

# pg_script_changed: the data were made by another jobsched--1.0.sql than the one that is installed
pg_script_changed() {
	[ -s "$data/script.sha256" ] && [ -s "$pg_data/PG_VERSION" ] && [ "$(cat "$data/script.sha256")" != "$(script_sum)" ]
}

pg_stop() {
	finish postgres INT 30 PostgreSQL
	[ ! -d "$pg_data" ] || wait_until 10 none_in "$pg_data" || sweep "$pg_data"
}
