# swift.sh: a private OpenStack Swift, which is an S3 server too (s3api): for tests of artifacts, or to try BLOB_STORE=s3.
# It is started only when asked for: stack start swift.
# shellcheck shell=bash

# Debian's interpreter, for which Debian's Swift is installed; there may be others before it in PATH.
swift_python=/usr/bin/python3

swift_endpoint() { echo "http://127.0.0.1:$(port SWIFT_PORT)"; }

# What a worker needs; the secret is in DIR/data/secrets/swift.
swift_variables() {
	printf '%s\n' "S3_ENDPOINT=$(swift_endpoint)" S3_ACCESS_KEY=jobsched:worker "S3_SECRET_KEY=$(secret swift)" S3_BUCKET=jobsched
}

# swift_server NAME PORT PIPELINE: the configuration file of one server, completed by standard input.  The times are for a machine
# that is busy: Swift's own are half a second for a connection and one for the entry of an object in its container's list, which
# is never made when it is late.
swift_server() {
	{
		cat <<-END
			[DEFAULT]
			bind_ip = 127.0.0.1
			bind_port = $2
			workers = 0
			user = $pg_user
			swift_dir = $swift_data
			devices = $swift_data/devices
			mount_check = false
			log_level = INFO
			conn_timeout = 20
			container_update_timeout = 20
			[pipeline:main]
			pipeline = $3
			[app:$1-server]
			use = egg:swift#${1/container-/}
		END
		cat
	} | write_private "$pg_user" "$swift_data/$1-server.conf"
}

swift_configure() {
	local name
	own "$pg_user" "$swift_data" "$swift_data/devices" "$swift_data/devices/d1"
	write_private "$pg_user" "$swift_data/swift.conf" <<-END
		[swift-hash]
		swift_hash_path_suffix = $(secret swift)
	END
	for name in account container object; do
		swift_server $name "$(port "SWIFT_${name^^}_PORT")" $name-server <<<'node_timeout = 20'
	done
	# tempauth wants a cache, and does without when there is no memcached at port 1.
	# storage_domain makes names of buckets in the host name work: jobsched.localhost
	# node_timeout is how long a write waits for a server that says nothing; a read (of a bucket's settings too, where no answer
	# would become "no such bucket") waits recoverable_node_timeout.  A server that was late is asked again at once: with Swift's
	# limit of 10 errors it would be left alone for a minute.
	swift_server proxy "$(port SWIFT_PORT)" 'catch_errors gatekeeper cache listing_formats bulk s3api tempauth slo dlo proxy-logging proxy-server' <<-END
		account_autocreate = true
		node_timeout = 5
		recoverable_node_timeout = 20
		error_suppression_limit = 1000000
		[filter:catch_errors]
		use = egg:swift#catch_errors
		[filter:gatekeeper]
		use = egg:swift#gatekeeper
		[filter:proxy-logging]
		use = egg:swift#proxy_logging
		[filter:cache]
		use = egg:swift#memcache
		memcache_servers = 127.0.0.1:1
		[filter:listing_formats]
		use = egg:swift#listing_formats
		[filter:bulk]
		use = egg:swift#bulk
		[filter:s3api]
		use = egg:swift#s3api
		storage_domain = localhost
		[filter:tempauth]
		use = egg:swift#tempauth
		user_jobsched_worker = $(secret swift) .admin
		[filter:slo]
		use = egg:swift#slo
		[filter:dlo]
		use = egg:swift#dlo
	END
}

# libs3's tool: an S3 client of other people's making, with Signature V2.  Path style, http.
swift_s3() {
	env -i S3_HOSTNAME="127.0.0.1:$(port SWIFT_PORT)" S3_ACCESS_KEY_ID=jobsched:worker S3_SECRET_ACCESS_KEY="$(secret swift)" \
		/usr/bin/s3 -u "$@"
}

# The proxy answers, and the three servers behind it take a bucket.
swift_answers() {
	curl -fsS -m 5 -o /dev/null "$(swift_endpoint)/info" 2>/dev/null || return 1
	case $(swift_s3 create jobsched 2>&1) in # its exit code is always 0
	*'successfully created'* | *BucketAlready*) ;;
	*) return 1 ;;
	esac
}

swift_start() {
	local name
	local -a ports=()
	if running swift; then return; fi
	$swift_python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("swift") is None)' || die 'Swift is not installed: run make deps'
	port_settle SWIFT_PORT
	for name in ACCOUNT CONTAINER OBJECT; do
		port_settle SWIFT_${name}_PORT
		ports+=("$(port SWIFT_${name}_PORT)")
	done
	swift_configure
	as "$pg_user" $swift_python -c 'import os, sys; os.setxattr(sys.argv[1], "user.jobsched", b"1")' "$swift_data/devices/d1" 2>/dev/null ||
		die "Swift needs extended attributes, which the file system of $swift_data does not have"
	say "starting Swift on port $(port SWIFT_PORT)"
	spawn swift "$pg_user" "STACK_FAST=${STACK_FAST-}" -- $swift_python "$here/swift_servers.py" "$swift_data" "${ports[@]}"
	await swift 120 Swift swift_answers
	say "settings of a worker that keeps artifacts there (for $dir/settings): BLOB_STORE=s3" "$(swift_variables | grep -v SECRET | tr '\n' ' ')" \
		"and S3_SECRET_KEY, which is in $data/secrets/swift"
}

swift_stop() { finish swift TERM 20 Swift; }
