# jobs.sh: runs the jobs of `test`, several at a time, and counts.  A job is one command with a log and a directory of its own;
# its output is TAP or pg_regress's.
# shellcheck shell=bash

passed=0 failed=0 skipped=0
failures=()
jobs=()	# names, in the order in which they were added
at_a_time=
declare -A title lane seconds limit command began took	# by name
declare -A running=()	# pid -> name
declare -A busy=([shared]=0 [idle]=0 [alone]=0)	# lane -> how many of it run
slots=()	# names; the number gives a job its own ports

# job_add NAME TITLE "LANE SECONDS LIMIT" COMMAND...: SECONDS are what it usually takes, LIMIT what it may take.  The lane is
#   shared   beside others, at_a_time of them;
#   idle     one at a time, beside those, with low priority: needs a processor and nothing else;
#   alone    when nothing else runs.
job_add() {
	local name=$1
	jobs+=("$name")
	title[$name]=$2
	read -r "lane[$name]" "seconds[$name]" "limit[$name]" <<<"$3"
	shift 3
	printf -v "command[$name]" '%q ' "$@"
	mkdir "$work/t/$name"
}

# One more than processors, because a test often waits; 500 MB for each: PostgreSQL, RabbitMQ, and workers with sanitizers.
jobs_at_a_time() {
	local n memory
	n=$(($(nproc) + 1))
	memory=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
	if ((n > ${memory:-4000000} / 500000)); then n=$((memory / 500000)); fi
	if ((n > 4)); then n=4; fi
	echo $((n > 0 ? n : 1))
}

# waiting LANE: the names that have not begun, those that take longest first
waiting() {
	local name
	for name in "${jobs[@]}"; do
		[ "${lane[$name]}" != "$1" ] || [ -n "${began[$name]-}" ] || echo "${seconds[$name]} $name"
	done | sort -s -k1,1nr | cut -d' ' -f2
}

may_start() {
	case $1 in
	shared) ((busy[shared] < at_a_time)) ;;
	idle) ((busy[idle] == 0)) ;;
	alone) ((${#running[@]} == 0)) ;;
	esac
}

jobs_run() {
	local which name
	at_a_time=${TEST_JOBS:-$(jobs_at_a_time)}
	[[ $at_a_time =~ ^[1-9][0-9]?$ ]] || die "TEST_JOBS=$at_a_time: a number of files, 1 to 99"
	if [ "$at_a_time" = 1 ]; then
		for name in "${jobs[@]}"; do lane[$name]=alone; done
	fi
	say "testing: ${#jobs[@]} files and suites, $at_a_time at a time"
	while :; do
		# What runs alone begins when no other waits any more.
		for which in shared idle alone; do
			for name in $(waiting $which); do
				may_start $which || break
				job_start "$name"
			done
		done
		[ ${#running[@]} != 0 ] || break
		job_await
	done
}

# In the copy, its output to the log.
job_start() {
	local name=$1 slot=0 ports
	local -a words=()
	case $name in *_root) ;; *) mapfile -t words < <(step_down "$pg_user") ;; esac
	[ "${lane[$name]}" != idle ] || words+=(nice -n 10)
	while [ -n "${slots[slot]-}" ]; do slot=$((slot + 1)); done
	slots[slot]=$name
	ports=$((12000 / (at_a_time + 1)))
	(
		cd "$work/src" || exit 1
		words=(env "JOBSCHED_TEST_TMP=$work/t/$name" "STACK_PORTS=$((20000 + slot * ports))-$((19999 + slot * ports + ports))" "${words[@]}")
		eval "exec timeout --kill-after=20 ${limit[$name]} ${words[*]@Q} ${command[$name]}"
	) </dev/null >>"$results/$name.log" 2>&1 8>&- &
	running[$!]=$name
	began[$name]=$SECONDS
	busy[${lane[$name]}]=$((busy[${lane[$name]}] + 1))
}

group_gone() { ! kill -0 -- "-$1" 2>/dev/null; }

# Waits until one has ended, ends what it has left, counts.
job_await() {
	local pid code=0 name slot left
	wait -n -p pid "${!running[@]}" 2>/dev/null || code=$?
	name=${running[$pid]}
	took[$name]=$((SECONDS - began[$name]))
	# A test that was told to end may still be stopping its servers.
	wait_until 20 group_gone "$pid" || kill -s KILL -- "-$pid" 2>/dev/null || true
	if ! wait_until 5 none_in "$work/t/$name"; then
		for left in $(all_in "$work/t/$name"); do
			echo "# left running: $left $(tr '\0' ' ' 2>/dev/null <"/proc/$left/cmdline" || true)"
		done >>"$results/$name.log"
		sweep "$work/t/$name"
		[ $code != 0 ] || code=1
	fi
	if declare -F "after_$name" >/dev/null; then "after_$name"; fi
	rm -rf "${work:?}/t/$name"
	unset "running[$pid]"
	for slot in "${!slots[@]}"; do
		[ "${slots[slot]}" != "$name" ] || unset "slots[slot]"
	done
	busy[${lane[$name]}]=$((busy[${lane[$name]}] - 1))
	job_count "$name" $code
}

# job_count NAME CODE: adds the test points of its log; a job that failed without saying where counts as one
job_count() {
	local name=$1 code=$2 log=$results/$1.log good bad skip plan
	read -r good bad skip plan < <(awk '
		/^1\.\.[0-9]+/ { plans++; plan = substr($1, 4) + 0 }
		/^ok .*# *(SKIP|skip)/ { skip++; next }
		/^ok / || /^not ok .*# *(TODO|todo)/ { good++; next }
		/^not ok / { bad++; next }
		/^(test|     ) [^ ]+ +\.\.\. ok / { good++; next }
		/^(test|     ) [^ ]+ +\.\.\. FAILED/ { bad++ }
		END { print good + 0, bad + 0, skip + 0, plans == 1 ? plan : "-" }' "$log")
	if [[ ${title[$name]} == 'tap '* ]] && [ "$plan" != $((good + bad + skip)) ] && [ "$code" = 0 ]; then
		echo "# it planned ${plan/-/nothing} and ran $((good + bad + skip))" >>"$log"
		code=1
	fi
	if ((took[$name] >= limit[$name])); then echo "# out of time: it was ended after ${limit[$name]} s" >>"$log"; fi
	if [ "$code" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
	if ((good + bad + skip == 0)); then bad=1; echo '# no test ran' >>"$log"; fi
	passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skip))
	printf '%-28s %4d s %5d passed, %d failed%s\n' "${title[$name]}" "${took[$name]}" "$good" "$bad" "$( ((skip == 0)) || echo ", $skip skipped")"
	[ "$skip" = 0 ] || sed -n 's/^ok .*# *skip */    skipped: /Ip' "$log" | sort | uniq -c
	if [ "$bad" != 0 ]; then
		failures+=("${title[$name]}")
		sed 's/^/    /' "$log"
		echo "    (exit code $code; this is $log)"
	fi
}

# jobs_report: the end of the output; succeeds when all have passed
jobs_report() {
	local name
	if ((${#jobs[@]} > 1)); then
		echo "the slowest, in $SECONDS s altogether:"
		for name in "${jobs[@]}"; do printf '%5d s  %s\n' "${took[$name]}" "${title[$name]}"; done | sort -rn | head -n 8
	fi
	[ ${#failures[@]} = 0 ] || (IFS=, && echo "failed: ${failures[*]}")
	[ $skipped = 0 ] || echo "$skipped skipped"
	echo "$passed passed, $failed failed"
	((failed == 0 && passed > 0))
}

# jobs_end: when interrupted; tests stop their servers by themselves when they are told in time
jobs_end() {
	local pid
	for pid in "${!running[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${!running[@]}"; do
		wait "$pid" 2>/dev/null || true
		wait_until 20 group_gone "$pid" || kill -s KILL -- "-$pid" 2>/dev/null || true
	done
}
