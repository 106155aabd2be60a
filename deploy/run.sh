#!/usr/bin/env bash
# Runs both servers on this machine with demo users, until Ctrl-C. `make run` builds them
# first. Settings, as environment variables or as `make run NAME=VALUE`:
#
#   AUTH_LISTEN, API_LISTEN               addresses of the two servers
#   AUTH_ADMIN_LISTEN, API_ADMIN_LISTEN   addresses of their health checks and metrics
#   VAR_DIR                               folder of the keys, the database and the logs
#
# The servers' own HALLPASS_ variables work too, except those for addresses, which both
# servers would read.
set -u
cd "$(dirname "$0")/.." || exit 1
umask 077

AUTH_LISTEN=${AUTH_LISTEN:-127.0.0.1:9000}
API_LISTEN=${API_LISTEN:-127.0.0.1:8000}
AUTH_ADMIN_LISTEN=${AUTH_ADMIN_LISTEN:-127.0.0.1:9001}
API_ADMIN_LISTEN=${API_ADMIN_LISTEN:-127.0.0.1:8001}
VAR_DIR=${VAR_DIR:-var}
BIN_DIR=${HALLPASS_BIN:-bin}

auth='' api='' warnings='' # process ids, once started

# url HOST:PORT prints the URL of the address, as seen from this machine.
url() {
	local host=${1%:*} port=${1##*:}
	case $host in '' | 0.0.0.0 | '[::]') host=localhost ;; esac
	echo "http://$host:$port"
}

# prepare makes the keys if they are missing, and sets what both servers must agree on.
prepare() {
	mkdir -p "$VAR_DIR" || exit 1
	if [ -z "${HALLPASS_TOKEN_SECRET:-}${HALLPASS_KEYS_FILE:-}" ]; then
		export HALLPASS_KEYS_FILE=$VAR_DIR/keys.json
		[ -e "$HALLPASS_KEYS_FILE" ] || "$BIN_DIR/authserver" key init "$HALLPASS_KEYS_FILE" >/dev/null || exit 1
	fi
	export HALLPASS_ISSUER=${HALLPASS_ISSUER:-$(url "$AUTH_LISTEN")}
	export HALLPASS_STATUS_LISTS_URL=${HALLPASS_STATUS_LISTS_URL:-$(url "$AUTH_LISTEN")/status-lists}
	export HALLPASS_AUDIENCE=${HALLPASS_AUDIENCE:-$(url "$API_LISTEN")}
	export HALLPASS_DATABASE_URL=${HALLPASS_DATABASE_URL:-sqlite:$VAR_DIR/hallpass.db}
	unset HALLPASS_LISTEN HALLPASS_ADMIN_LISTEN
}

# check_free exits if a server already responds at one of our addresses: wait_ready would
# mistake it for the server started here.
check_free() {
	local name
	for name in AUTH_ADMIN_LISTEN API_ADMIN_LISTEN; do
		if "$BIN_DIR/authserver" healthcheck --admin-listen "${!name}" >/dev/null 2>&1; then
			echo "A server is already running at ${!name}. Stop it, or choose other addresses:" >&2
			other_addresses
			exit 1
		fi
	done
}

# other_addresses prints an example with other addresses.
other_addresses() {
	cat >&2 <<-END
		  make run AUTH_LISTEN=127.0.0.1:9100 AUTH_ADMIN_LISTEN=127.0.0.1:9101 \\
		           API_LISTEN=127.0.0.1:8100 API_ADMIN_LISTEN=127.0.0.1:8101
	END
}

# start starts both servers. With -m each gets a process group of its own: Ctrl-C reaches
# only this script, which then stops them.
start() {
	local port=${API_LISTEN##*:} api_keys=${HALLPASS_KEYS_FILE:-}
	# If there are several APIs, this one must not have the secrets of the others.
	[ ! -e "$VAR_DIR/api-keys.json" ] || [ "$api_keys" != "$VAR_DIR/keys.json" ] || api_keys=$VAR_DIR/api-keys.json
	set -m
	"$BIN_DIR/authserver" serve --demo --listen "$AUTH_LISTEN" --admin-listen "$AUTH_ADMIN_LISTEN" \
		--allowed-origins "${HALLPASS_ALLOWED_ORIGINS:-http://127.0.0.1:$port,http://localhost:$port}" \
		>"$VAR_DIR/authserver.log" 2>&1 &
	auth=$!
	HALLPASS_KEYS_FILE=$api_keys "$BIN_DIR/resourceserver" serve \
		--listen "$API_LISTEN" --admin-listen "$API_ADMIN_LISTEN" \
		>"$VAR_DIR/resourceserver.log" 2>&1 &
	api=$!
	set +m
}

# stop STATUS stops both servers, waits for them, and exits with the status, or with 1 if a
# server failed.
stop() {
	local status=$1 pid
	trap '' INT TERM HUP
	[ -z "$warnings" ] || kill "$warnings" 2>/dev/null
	kill -INT $auth $api 2>/dev/null
	for pid in $auth $api; do
		wait "$pid" || status=1
	done
	echo 'Both servers have stopped.'
	exit "$status"
}

alive() { kill -0 "$1" 2>/dev/null; }

# check stops everything if a server has ended, and shows the end of its log. It replaces
# the names of the server's settings by those of this script.
check() {
	local pid name prefix
	for name in authserver resourceserver; do
		case $name in
		authserver) pid=$auth prefix=AUTH ;;
		resourceserver) pid=$api prefix=API ;;
		esac
		alive "$pid" && continue
		echo "$name has stopped. The end of $VAR_DIR/$name.log:" >&2
		tail -n 5 "$VAR_DIR/$name.log" | sed "s/--listen (HALLPASS_LISTEN)/${prefix}_LISTEN/
			s/--admin-listen (HALLPASS_ADMIN_LISTEN)/${prefix}_ADMIN_LISTEN/" >&2
		if grep -q 'LISTEN.*in use' "$VAR_DIR/$name.log"; then
			echo 'To run on other addresses, for example:' >&2
			other_addresses
		fi
		stop 1
	done
}

# wait_ready waits until both servers are ready.
wait_ready() {
	local address deadline=$((SECONDS + 120))
	for address in "$AUTH_ADMIN_LISTEN" "$API_ADMIN_LISTEN"; do
		until "$BIN_DIR/authserver" healthcheck --admin-listen "$address" >/dev/null 2>&1; do
			check
			if [ $SECONDS -gt $deadline ]; then
				echo "The server at $address is not ready after two minutes. The logs are in $VAR_DIR/." >&2
				stop 1
			fi
			sleep 0.1
		done
	done
	check
}

# show_warnings shows warnings and errors of the logs as they are written.
show_warnings() {
	tail -q -n 0 -f "$VAR_DIR/authserver.log" "$VAR_DIR/resourceserver.log" > >(
		exec grep --line-buffered -E 'level"?[=:]"?(WARN|ERROR)' >&2
	) &
	warnings=$!
}

# greet says where the servers are and how to try them.
greet() {
	local login call
	login="$(url "$AUTH_LISTEN")/token"
	call="$(url "$API_LISTEN")"
	cat <<END

Authorization server  $(url "$AUTH_LISTEN")
API                   $call
Try it in a browser   $call/docs
Demo users            john.doe / securepassword   and   jane.smith / anothersecurepass

Log in, then call the API:

  TOKEN=\$(curl -sS $login -d username=john.doe -d password=securepassword | sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p')
  curl -sS $call/users/me -H "Authorization: Bearer \$TOKEN" -w '\n'

The logs are in $VAR_DIR/*.log. Warnings are shown here. Ctrl-C stops both servers.

END
}

prepare
check_free
trap 'stop 0' INT TERM HUP
start
wait_ready
show_warnings
greet
while check; do
	sleep 1 &
	wait $!
done
