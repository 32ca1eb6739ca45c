# home.sh: where the data lie, and the private copy of PostgreSQL.
# shellcheck shell=bash

# can_enter DIRECTORY: every user that a server runs as
can_enter() {
	local user
	for user in "$pg_user" "$mq_user" "$program_user"; do
		as "$user" test -x "$1" || return 1
	done
}

# The data are in the checkout; where a server's user cannot enter it, in /var/tmp, and DIR/data links there.
home_open() {
	local elsewhere link=$dir/data
	mkdir -p "$dir" "$pids"
	chmod go-w "$dir"
	install -d -m 700 "$logs"
	if [ -L "$link" ] && [ -d "$link/" ]; then
		home_check "$data"
	elif [ ! -d "$link" ]; then
		rm -f "$link"
		if can_enter "$dir"; then
			mkdir -m 755 "$link"
		else
			elsewhere=/var/tmp/jobsched-$(printf %s "$dir" | sha256sum | cut -c1-12)-$EUID
			if [ -e "$elsewhere" ] || [ -L "$elsewhere" ]; then
				home_check "$elsewhere"
				say "removing $elsewhere: left by an earlier checkout in this place"
				sweep "$elsewhere"
				rm -rf "$elsewhere"
			fi
			mkdir -m 755 "$elsewhere" || die "cannot make $elsewhere"
			home_check "$elsewhere"
			ln -s "$elsewhere" "$link"
			say "the servers' users cannot enter $dir: the data are in $elsewhere"
		fi
		set_paths
	fi
	can_enter "$data" || die "the users $pg_user, $mq_user and $program_user cannot all enter $data:" \
		"make that possible, or remove $dir to start anew"
}

# Anybody can put something under a guessable name in /var/tmp.
home_check() {
	if [ -L "$1" ] || [ ! -d "$1" ] || [ ! -O "$1" ]; then die "$1 is not a directory of yours: remove it"; fi
	[ -z "$(find "$1" -maxdepth 0 -perm /022)" ] || die "$1 may be written by others: remove it"
}

# ---- the private tree -------------------------------------------------------------------------------------------
# PostgreSQL finds its files relative to its programs, so a copy of Debian's two folders is a whole installation, into
# which an extension can be installed without root and without touching the system's.

tree_version() {
	if ! dpkg-query -W "postgresql-$pg_major" "postgresql-client-$pg_major" "postgresql-server-dev-$pg_major" 2>/dev/null; then
		stat -c '%n %Y %s' "/usr/lib/postgresql/$pg_major/bin/postgres"
	fi
}

# tree_make: makes the copy, or makes it again after Debian's package has changed
tree_make() {
	local version new=$tree.new
	[ -x "/usr/lib/postgresql/$pg_major/bin/postgres" ] || die "PostgreSQL $pg_major is not installed: run make deps"
	version=$(tree_version)
	if [ "$(cat "$tree/version" 2>/dev/null)" != "$version" ]; then
		say "copying PostgreSQL $pg_major (49 MB) to $tree"
		rm -rf "$new"
		mkdir -p "$new/usr/lib/postgresql" "$new/usr/share/postgresql" "$new/usr/include"
		cp -a --reflink=auto "/usr/lib/postgresql/$pg_major" "$new/usr/lib/postgresql/"
		cp -a --reflink=auto "/usr/share/postgresql/$pg_major" "$new/usr/share/postgresql/"
		ln -s /usr/include/postgresql "$new/usr/include/postgresql"
		printf '%s\n' "$version" >"$new/version"
		chmod -R go+rX-w "$new"
		rm -rf "$tree"
		mv "$new" "$tree"
	fi
}

# tree_check: for those that only use it
tree_check() {
	[ -x "$pg_bin/postgres" ] || die "there is no PostgreSQL in $tree: run make start, or make private"
	[ -e "$tree/usr/share/postgresql/$pg_major/extension/jobsched.control" ] || die "jobsched is not installed in $tree: run make private"
}
