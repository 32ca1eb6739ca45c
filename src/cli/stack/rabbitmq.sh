# rabbitmq.sh: the private RabbitMQ node, with an epmd (Erlang's port mapper) of its own.
# shellcheck shell=bash

mq_url() { echo "amqp://jobsched:$(secret rabbitmq)@127.0.0.1:$(port RABBITMQ_PORT)/jobsched"; }

# mq_variables: the environment of the node and of its tools
mq_variables() {
	local loopback='-kernel inet_dist_use_interface {127,0,0,1}'
	printf '%s\n' "HOME=$mq_data" RABBITMQ_NODENAME=jobsched@localhost RABBITMQ_ALLOW_INPUT=1 RABBITMQ_LOGS=- \
		"RABBITMQ_DIST_PORT=$(port RABBITMQ_DIST_PORT)" "ERL_EPMD_PORT=$(port EPMD_PORT)" ERL_EPMD_ADDRESS=127.0.0.1 \
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=$loopback -noinput +sbwt none +sbwtdcpu none +sbwtdio none" \
		"RABBITMQ_CTL_ERL_ARGS=$loopback" \
		"RABBITMQ_MNESIA_BASE=$mq_data/mnesia" "RABBITMQ_LOG_BASE=$mq_data/log" \
		"RABBITMQ_CONF_ENV_FILE=/dev/null" "RABBITMQ_CONFIG_FILE=$mq_data/rabbitmq.conf" "RABBITMQ_CONFIG_FILES=$mq_data/conf.d/*.conf" \
		"RABBITMQ_ADVANCED_CONFIG_FILE=$mq_data/advanced.config" "RABBITMQ_ENABLED_PLUGINS_FILE=$mq_data/enabled_plugins"
}

# rabbitmqctl of this node.  The scripts in /usr/lib/rabbitmq, because those in /usr/sbin insist on the packaged server.
mq_ctl() {
	local -a variables
	mapfile -t variables < <(mq_variables)
	(
		cd "$mq_data" && as "$mq_user" env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 "${variables[@]}" \
			/usr/lib/rabbitmq/bin/rabbitmqctl --quiet "$@"
	)
}

mq_configure() {
	own "$mq_user" "$mq_data" "$mq_data/mnesia" "$mq_data/log"
	echo '[].' | write_private "$mq_user" "$mq_data/enabled_plugins"
	echo '[].' | write_private "$mq_user" "$mq_data/advanced.config"
	# The user, its password and the virtual host are made at the node's first start.
	write_private "$mq_user" "$mq_data/rabbitmq.conf" <<-END
		listeners.tcp.local = 127.0.0.1:$(port RABBITMQ_PORT)
		default_vhost = jobsched
		default_user = jobsched
		default_pass = $(secret rabbitmq)
		default_user_tags.administrator = true
		vm_memory_high_watermark.relative = 0.4
		disk_free_limit.absolute = 64MB
		log.console = true
		log.console.level = info
		log.file = false
	END
}

# The node listens at the very end of its start; a broker answers AMQP's greeting with a method frame (1).
mq_answers() {
	local byte
	{
		exec 7<>"/dev/tcp/127.0.0.1/$(port RABBITMQ_PORT)" || return 1
	} 2>/dev/null
	printf 'AMQP\0\0\x09\x01' >&7
	byte=$(timeout 5 head -c 1 <&7 | od -An -tu1)
	exec 7>&-
	[ "${byte// /}" = 1 ]
}

epmd_answers() { (exec 7<>"/dev/tcp/127.0.0.1/$(port EPMD_PORT)") 2>/dev/null; }

mq_start() {
	local old
	local -a variables
	if running rabbitmq; then return; fi
	[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || die 'RabbitMQ is not installed: run make deps'
	old=$(port RABBITMQ_PORT)
	port_settle RABBITMQ_PORT
	port_settle RABBITMQ_DIST_PORT
	mq_configure
	if ! running epmd; then
		port_settle EPMD_PORT
		spawn epmd "$mq_user" -- epmd -port "$(port EPMD_PORT)" -address 127.0.0.1
		wait_until 60 epmd_answers || die "epmd does not answer: see $logs/epmd.log"
	fi
	say "starting RabbitMQ on port $(port RABBITMQ_PORT) (takes some seconds)"
	mapfile -t variables < <(mq_variables)
	spawn rabbitmq "$mq_user" "${variables[@]}" -- /usr/lib/rabbitmq/bin/rabbitmq-server
	await rabbitmq 90 RabbitMQ mq_answers
	if [ -n "$old" ] && [ "$old" != "$(port RABBITMQ_PORT)" ]; then programs_moved; fi
	if [ -d "$pg_data" ]; then
		pg_configure_broker
		if running postgres; then kill -s HUP "$(pid_of postgres)"; fi
	fi
}

mq_stop() {
	finish rabbitmq TERM 30 RabbitMQ
	finish epmd TERM 5 epmd
	[ ! -d "$mq_data" ] || wait_until 5 none_in "$mq_data" || sweep "$mq_data"
}
