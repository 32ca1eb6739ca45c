# demo.sh: the demonstration of `make run`: one job from submission to result, and one cron job.
# shellcheck shell=bash

# json KEY...: the value at that path of the JSON document on standard input
json() {
	python3 -c 'import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1:]: value = (value or {}).get(key)
print("" if value is None else value)' "$@"
}

# demo_post JSON: submits a job, prints the answer
demo_post() {
	local answer
	answer=$(curl -sS -m 10 --fail-with-body -H 'Content-Type: application/json' -d "$1" "$(api_url)/jobs") ||
		die "the API refused $1: $answer"
	printf '%s' "$answer"
}

demo_page() {
	cat <<-'END'
		<!doctype html>
		<title>A page for jobsched</title>
		<h1>It works</h1>
		<p>This page was served on loopback, fetched by a worker, and kept as an artifact.</p>
	END
}

demo_job_ended() {
	demo_job=$(curl -sS -m 10 "$(api_url)/jobs/$1") || return 1
	case $(json status <<<"$demo_job") in succeeded | failed | cancelled | expired) ;; *) return 1 ;; esac
}

demo() {
	local port id cron_id status
	port=$(port_pick)
	demo_dir=$(mktemp -d)
	chmod 755 "$demo_dir"
	demo_page >"$demo_dir/page.html"
	chmod 644 "$demo_dir/page.html"
	(
		cd "$demo_dir"
		exec 9>&-
		mapfile -t words < <(step_down "$program_user")
		exec "${words[@]}" /usr/bin/python3 -m http.server "$port" --bind 127.0.0.1 >/dev/null 2>&1 </dev/null
	) &
	demo_server=$!
	trap 'kill "$demo_server" 2>/dev/null; rm -rf "$demo_dir"' EXIT
	wait_until 15 curl -fs -m 5 -o /dev/null "http://127.0.0.1:$port/page.html" || die 'the page of the demonstration cannot be served'

	say 'submitting a crawl_url job and a cron job over REST'
	id=$(demo_post "{\"name\": \"crawl_url\", \"payload\": {\"url\": \"http://127.0.0.1:$port/page.html\"}, \"frequency\": \"once\",
		\"next_run_time\": $(date +%s), \"max_retries\": 3}" | json id)
	cron_id=$(demo_post '{"name": "echo", "payload": {"say": "every minute"}, "frequency": "cron", "cron": "* * * * *",
		"unique_key": "demo-cron"}' | json id)
	wait_until 60 demo_job_ended "$id" || die "job $id has not ended within 60 s: $demo_job"
	python3 -m json.tool <<<"$demo_job"
	status=$(json status <<<"$demo_job")
	[ "$status" = succeeded ] || die "job $id: $status"

	cat <<-END

		The job has succeeded; the cron job $cron_id runs every minute.

		API        $(api_url)   (curl $(api_url)/jobs/$cron_id)
		logs       $logs
		settings   $dir/settings

		Go on in SQL:
		  . $dir/env
		  psql -c "SELECT jobsched.submit('echo', '{\"hello\": \"world\"}')"
		  psql -c "SELECT id, name, status, last_finished_at FROM jobsched.job_status ORDER BY created_at DESC LIMIT 5"
		or over REST:
		  curl -s $(api_url)/jobs -H 'Content-Type: application/json' \\
		    -d '{"name": "echo", "payload": {"hello": "world"}, "frequency": "once", "next_run_time": '\$(date +%s)'}'
		End it with make stop; the data stay.
	END
}
