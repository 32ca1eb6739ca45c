# settings.sh: DIR/settings, lines of NAME=value that people edit; read, never executed.
# shellcheck shell=bash

settings_default() {
	cat <<'END'
# Settings of this stack: NAME=value, one a line; make stop start applies them.
# Every name in capitals that is not listed here goes to worker and API as an environment variable
# (jobsched-worker --help and jobsched-api --help list theirs).

# Ports; without a number the stack takes a free one and keeps it.
#POSTGRES_PORT=
#RABBITMQ_PORT=
#API_PORT=

MAX_CONCURRENCY=4
WORKER_ID=w-local
HEARTBEAT_INTERVAL=3
LOG_LEVEL=INFO
# Networks that crawl_url may fetch from although they are private: here the demonstration's page.
CRAWL_ALLOW_PRIVATE=127.0.0.0/8

# The scheduler's, which runs inside PostgreSQL; any other parameter of PostgreSQL may be given too, in small letters.
SCHEDULER_SEGMENTS=0-127
SCHEDULER_BATCH_SIZE=1000
SCHEDULER_POLL_SECONDS=1.0
LEADER_LOCK_KEY=424242
#jobsched.worker_lease=30s
#shared_buffers=256MB
END
}

declare -A settings=()	# NAME -> value
settings_names=()	# in the file's order

setting() { echo "${settings[$1]-}"; }

# settings_bad LINE REASON
settings_bad() { die "$dir/settings, line $1: $2"; }

# settings_pattern NAME: what a value must look like, as an extended regular expression and in words
settings_pattern() {
	case $1 in
	*_PORT) echo '[0-9]{2,5} a port number' ;;
	SCHEDULER_SEGMENTS) echo '[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)* segments such as 0-127 or 0-31,64' ;;
	SCHEDULER_BATCH_SIZE) echo '[0-9]+ a whole number' ;;
	SCHEDULER_POLL_SECONDS) echo '[0-9]+(\.[0-9]+)? seconds such as 1.0' ;;
	LEADER_LOCK_KEY) echo '-?[0-9]+ a whole number' ;;
	*) echo '.* anything' ;;
	esac
}

settings_read() {
	local line name value pattern words n=0
	[ -e "$dir/settings" ] || settings_default | write_private "$me" "$dir/settings"
	settings=() settings_names=()
	while IFS= read -r line || [ -n "$line" ]; do
		n=$((n + 1))
		line=${line%$'\r'}
		[[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
		[[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_.]*)[[:space:]]*=[[:space:]]*(.*)$ ]] ||
			settings_bad $n "\"$line\" is not NAME=value"
		name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]}
		value=${value%"${value##*[![:space:]]}"}
		if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then value=${BASH_REMATCH[1]}; fi
		[[ ! $name =~ [a-z] || ! $name =~ [A-Z] ]] ||
			settings_bad $n "$name: a name is in capitals (programs) or in small letters (PostgreSQL)"
		[[ ! $value =~ [[:cntrl:]] ]] || settings_bad $n "$name: the value contains a control character"
		read -r pattern words <<<"$(settings_pattern "$name")"
		[[ $value =~ ^($pattern)$ ]] || settings_bad $n "$name=$value: it should be $words"
		case $name in
		DATABASE_URL | RABBITMQ_URL) say "$name in $dir/settings is not used: the stack brings its own"; continue ;;
		esac
		[ -n "${settings[$name]+set}" ] || settings_names+=("$name")
		settings[$name]=$value
	done <"$dir/settings"
}

# settings_postgres: the lines of postgresql.conf that follow from the settings
settings_postgres() {
	local name value
	for name in "${settings_names[@]}"; do
		value=${settings[$name]}
		case $name in
		SCHEDULER_SEGMENTS) name=jobsched.segments ;;
		SCHEDULER_BATCH_SIZE) name=jobsched.batch_size ;;
		SCHEDULER_POLL_SECONDS) name=jobsched.poll_interval value=${value}s ;;
		LEADER_LOCK_KEY) name=jobsched.leader_lock_key ;;
		RABBITMQ_QUEUE) name=jobsched.queue value=${value%%,*} ;;
		*[A-Z]*) continue ;;
		esac
		printf "%s = '%s'\n" "$name" "${value//\'/\'\'}"
	done
}

# settings_programs: NAME=value for worker and API
settings_programs() {
	local name
	for name in "${settings_names[@]}"; do
		case $name in
		*[a-z]* | SCHEDULER_* | LEADER_LOCK_KEY | POSTGRES_PORT | RABBITMQ_PORT | API_PORT) ;;
		*) printf '%s=%s\n' "$name" "${settings[$name]}" ;;
		esac
	done
}
