# lib.sh: what all parts of the stack share: messages, users, processes, ports, waiting.
# Sourced by `stack`, which has set top and dir; shellcheck shell=bash

pg_major=15
pids=$dir/pids logs=$dir/log

# Where everything is.  Again after DIR/data has become a link: a server may be unable to go through DIR.
set_paths() {
	data=$(readlink -m "$dir/data")
	tree=${JOBSCHED_TREE:-$data/tree}
	pg_bin=$tree/usr/lib/postgresql/$pg_major/bin
	bin=${JOBSCHED_BUILD:-$tree/usr/bin}
	pg_data=$data/postgres mq_data=$data/rabbitmq swift_data=$data/swift
	place=([postgres]=$pg_data [rabbitmq]=$mq_data [epmd]=$mq_data [swift]=$swift_data [worker]=$data/worker [api]=$data/api)
}
declare -A place
set_paths

say() { echo "stack: $*"; }
warn() { echo "stack: $*" >&2; }
die() { warn "$*"; exit 1; }

# Servers refuse to run as root, and tasks should not: root steps down to these users, anyone else stays who he is.
me=$(id -un)
if [ "$EUID" = 0 ]; then
	pg_user=postgres mq_user=rabbitmq program_user=nobody
else
	pg_user=$me mq_user=$me program_user=$me
fi

# step_down USER: the words that make a command run as USER
step_down() {
	[ "$EUID" != 0 ] || printf '%s\n' setpriv "--reuid=$1" "--regid=$(id -g "$1")" --init-groups --
}

# as USER COMMAND...
as() {
	local -a words
	mapfile -t words < <(step_down "$1")
	shift
	"${words[@]}" "$@"
}

# own USER DIRECTORY...: private directories of a server
own() {
	local user=$1
	shift
	if [ "$EUID" = 0 ]; then
		install -d -o "$user" -g "$(id -g "$user")" -m 700 "$@"
	else
		install -d -m 700 "$@"
	fi
}

# write_private USER FILE: standard input becomes a file that only USER reads, at once whole
write_private() {
	local new=$2.new
	if [ -e "$new" ] || [ -L "$new" ]; then rm -f "$new"; fi
	(umask 077 && cat >"$new")
	[ "$EUID" != 0 ] || chown "$1:" "$new"
	mv -f "$new" "$2"
}

# secret NAME: the stack's password of that name, made when first asked for
secret() {
	local file=$data/secrets/$1
	if [ ! -s "$file" ]; then
		[ -d "$data/secrets" ] || install -d -m 700 "$data/secrets"
		printf '%08x%08x%08x%08x' "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM" | write_private "$me" "$file"
	fi
	echo "$(<"$file")"
}

# A twentieth of a second: by reading from a pipe that stays silent, because sleep would be a process each time.
exec 8<> <(:)
nap() { read -rt 0.05 -u 8 || true; }

# wait_until SECONDS COMMAND...: polls; fails when the time is over
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		nap
	done
}

# ---- ports ------------------------------------------------------------------------------------------------------

port_free() {
	perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
		exit !bind(S, sockaddr_in($ARGV[0], INADDR_ANY))' "$1" 2>/dev/null
}

# A free one below those that the kernel hands out by itself, and none that this stack is about to use.
port_pick() {
	local first=20000 last=31999 port
	if [ -n "${STACK_PORTS-}" ]; then IFS=- read -r first last <<<"$STACK_PORTS"; fi
	for _ in {1..200}; do
		port=$((first + (RANDOM * 32768 + RANDOM) % (last - first + 1)))
		if ! grep -qs "=$port\$" "$dir/ports" && port_free $port; then
			echo $port
			return
		fi
	done
	die "no free port between $first and $last"
}

# port NAME: the one that the stack uses for NAME now
port() {
	local name number
	while IFS='=' read -r name number; do
		[ "$name" != "$1" ] || echo "$number"
	done 2>/dev/null <"$dir/ports" || true
}

# port_settle NAME: makes sure that NAME, which is not in use by this stack now, has a free port: the one in the settings,
# else that of last time, else another.
port_settle() {
	local name=$1 wanted old new
	wanted=$(setting "$name") old=$(port "$name")
	if [ -n "$wanted" ]; then
		port_free "$wanted" || die "$name=$wanted (in $dir/settings) is in use by another program"
		new=$wanted
	elif [ -n "$old" ] && wait_until 5 port_free "$old"; then # a process that has just been killed may hold it for a moment
		new=$old
	else
		new=$(port_pick)
		[ -z "$old" ] || say "port $old ($name) is taken by another program now: using $new"
	fi
	[ "$new" != "$old" ] || return 0
	{
		grep -v "^$name=" "$dir/ports" 2>/dev/null || true
		echo "$name=$new"
	} >"$dir/ports.new"
	mv "$dir/ports.new" "$dir/ports"
}

# ---- processes --------------------------------------------------------------------------------------------------
# Each main process has a working directory of its own inside the data (place), so a pid file is believed only when the process
# it names runs the right program in the right place: a number that the kernel has given to someone else does not count.

declare -A program=([postgres]=postgres [rabbitmq]=beam.smp [epmd]=epmd [worker]=jobsched-worker [api]=jobsched-api
	[swift]="$(basename "$(readlink -f /usr/bin/python3)")")

# is_ours PID NAME
is_ours() {
	local exe
	[ "/proc/$1/cwd" -ef "${place[$2]}" ] || return 1
	exe=$(readlink "/proc/$1/exe" 2>/dev/null) || return 1
	exe=${exe% (deleted)}
	[ "${exe##*/}" = "${program[$2]}" ]
}

# pid_of NAME: prints the pid of the running main process, or fails
pid_of() {
	local pid
	read -r pid 2>/dev/null <"$pids/$1" || return 1
	[[ $pid =~ ^[0-9]+$ ]] && is_ours "$pid" "$1" || return 1
	echo "$pid"
}

running() { pid_of "$1" >/dev/null; }
gone() { ! is_ours "$1" "$2"; }

# all_in DIRECTORY: the pids of the processes that work there or below.  By one find: a readlink for each process of the machine
# would take seconds.
all_in() {
	local where line
	where=$(readlink -f "$1") || return 0
	while IFS= read -rd '' line; do
		case ${line#* } in
		"$where" | "$where"/* | "$where (deleted)") line=${line%%/cwd *}; echo "${line#/proc/}" ;;
		esac
	done < <(find /proc/[0-9]*/cwd -maxdepth 0 -printf '%p %l\0' 2>/dev/null)
}

none_in() { [ -z "$(all_in "$1")" ]; }

# sweep DIRECTORY: ends whatever still works there
sweep() {
	local left signal
	for signal in TERM KILL; do
		left=$(all_in "$1")
		[ -n "$left" ] || return 0
		# shellcheck disable=SC2086 # words
		kill -s "$signal" $left 2>/dev/null || true
		wait_until 5 none_in "$1" || true
	done
}

# spawn NAME USER [VARIABLE=VALUE...] -- COMMAND...: starts a main process with exactly these variables.  They are not
# arguments of any command, where everybody could read them.
spawn() {
	local name=$1 user=$2 variable
	local -a variables=() words
	shift 2
	while [ "$1" != -- ]; do
		variables+=("$1")
		shift
	done
	shift
	mapfile -t words < <(step_down "$user")
	(
		cd "${place[$name]}" || exit 1
		exec </dev/null >>"$logs/$name.log" 2>&1 8>&- 9>&-
		for variable in $(compgen -e); do unset "$variable"; done
		export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 "${variables[@]}"
		exec setsid "${words[@]}" "$@"
	) &
	echo $! >"$pids/$name"
}

# await NAME SECONDS TITLE COMMAND...: until the process that was spawned answers; when it does not, the end of its log and die
await() {
	local name=$1 limit=$2 title=$3 begin=$SECONDS from pid
	shift 3
	read -r pid <"$pids/$name"
	until "$@"; do
		if ! kill -0 "$pid" 2>/dev/null || ((SECONDS - begin >= limit)); then
			if kill -0 "$pid" 2>/dev/null; then from="did not answer within $limit s"; else from='ended at once'; fi
			warn "$title $from; the end of $logs/$name.log:"
			tail -n 15 "$logs/$name.log" >&2
			if is_ours "$pid" "$name"; then kill "$pid"; fi
			exit 1
		fi
		nap
	done
	say "$title is ready (pid $pid, $((SECONDS - begin)) s)"
}

# finish NAME SIGNAL SECONDS TITLE: ends it, by SIGKILL when the time is over
finish() {
	local pid
	if pid=$(pid_of "$1"); then
		say "stopping $4 (pid $pid)"
		kill -s "$2" "$pid" 2>/dev/null || true
		if ! wait_until "$3" gone "$pid" "$1"; then
			warn "$4 did not stop within $3 s: killing it"
			kill -s KILL "$pid" 2>/dev/null || true
			wait_until 5 gone "$pid" "$1" || true
		fi
	fi
	rm -f "$pids/$1"
}
