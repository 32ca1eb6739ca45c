# programs.sh: worker and API.
# shellcheck shell=bash

database_url() { echo "postgresql://$1:$(secret "$1")@127.0.0.1:$(port POSTGRES_PORT)/jobsched"; }

api_url() {
	local listen
	listen=$(setting API_LISTEN)
	if [ -n "$listen" ]; then
		listen=${listen/#0.0.0.0:/127.0.0.1:}
		echo "http://${listen/#:/127.0.0.1:}"
	else
		echo "http://127.0.0.1:$(port API_PORT)"
	fi
}

program_check() {
	[ -x "$bin/jobsched-$1" ] || die "$bin/jobsched-$1 is missing: run make private"
	if [ "$EUID" = 0 ]; then
		as "$program_user" test -x "$bin/jobsched-$1" || die "the user $program_user cannot run $bin/jobsched-$1"
	fi
}

# program_old NAME: says so when the program has been built anew since it was started
program_old() {
	case $(readlink "/proc/$(pid_of "$1")/exe") in
	*' (deleted)') say "the running $1 is an older build: make stop start brings the new one" ;;
	esac
}

api_answers() { curl -fsS -m 5 -o "$data/healthz" "$(api_url)/healthz" 2>/dev/null; }

# A worker is ready when its row is there and alive; its log says more.
worker_answers() {
	local pid
	pid=$(pid_of worker) || return 1
	[ "$(superuser -c "SELECT count(*) FROM jobsched.workers WHERE (to_jsonb(workers)->'info'->>'pid')::int = $pid" 2>/dev/null)" = 1 ]
}

worker_start() {
	local -a variables
	if running worker; then
		program_old worker
		return
	fi
	program_check worker
	own "$program_user" "$data/worker" "$data/blobs"
	mapfile -t variables < <(settings_programs)
	[ -n "$(setting BLOB_DIR)" ] || variables+=("BLOB_DIR=$data/blobs")
	variables+=("DATABASE_URL=$(database_url jobsched_worker_login)" "RABBITMQ_URL=$(mq_url)")
	say 'starting the worker'
	spawn worker "$program_user" "${variables[@]}" -- "$bin/jobsched-worker"
	await worker 60 'the worker' worker_answers
}

api_start() {
	local -a variables
	if running api; then
		program_old api
		return
	fi
	program_check api
	own "$program_user" "$data/api" "$data/blobs"
	mapfile -t variables < <(settings_programs)
	if [ -z "$(setting API_LISTEN)" ]; then
		port_settle API_PORT
		variables+=("API_LISTEN=127.0.0.1:$(port API_PORT)")
	fi
	[ -n "$(setting BLOB_DIR)" ] || variables+=("BLOB_DIR=$data/blobs")
	variables+=("DATABASE_URL=$(database_url jobsched_api_login)")
	say "starting the API on $(api_url)"
	spawn api "$program_user" "${variables[@]}" -- "$bin/jobsched-api"
	await api 60 'the API' api_answers
}

# Not by settings_read: a bad line must not keep anything from being stopped.
worker_stop() {
	local seconds
	seconds=$(sed -n 's/^SHUTDOWN_TIMEOUT=\([0-9]*\).*/\1/p' "$dir/settings" 2>/dev/null || true)
	finish worker TERM $((${seconds:-30} + 10)) 'the worker'
}
api_stop() { finish api TERM 15 'the API'; }

# A server has another port than when the programs were started: they must be told the new one.
programs_moved() {
	api_stop
	worker_stop
}
