#!/usr/bin/env bash
# Runs both servers on this machine with demo users, until Ctrl-C. `make run` builds them
# first. Settings, as environment variables or as `make run NAME=VALUE`:
#
#   AUTH_LISTEN, API_LISTEN               addresses of the two servers
#   AUTH_ADMIN_LISTEN, API_ADMIN_LISTEN   addresses of their health checks and metrics
#   VAR_DIR                               folder of the keys, the databases and the logs
#   HALLPASS_ALLOWED_ORIGINS              origins of further web pages that may call the servers
#
# HALLPASS_ITEMS_DATABASE_URL= (empty) runs an API that stores no items. The servers' other HALLPASS_ variables work too,
# except those for addresses, which both servers would read.
set -u
cd "$(dirname "$0")/.." || exit 1
umask 077

AUTH_LISTEN=${AUTH_LISTEN:-127.0.0.1:9000}
API_LISTEN=${API_LISTEN:-127.0.0.1:8000}
AUTH_ADMIN_LISTEN=${AUTH_ADMIN_LISTEN:-127.0.0.1:9001}
API_ADMIN_LISTEN=${API_ADMIN_LISTEN:-127.0.0.1:8001}
VAR_DIR=${VAR_DIR:-var}
BIN_DIR=${HALLPASS_BIN:-bin}

auth='' api='' # process ids, once started
api_keys=''    # the file that the API reads its keys from

# url HOST:PORT prints the URL of the address, as seen from this machine.
url() {
	local host=${1%:*} port=${1##*:}
	case $host in '' | 0.0.0.0 | '[::]') host=localhost ;; esac
	echo "http://$host:$port"
}

# prepare makes the keys if they are missing, and sets what both servers must agree on.
prepare() {
	if [ -z "${HALLPASS_TOKEN_SECRET:-}${HALLPASS_KEYS_FILE:-}" ]; then
		export HALLPASS_KEYS_FILE=$VAR_DIR/keys.json
		api_keys=$VAR_DIR/api-keys.json
		[ -e "$HALLPASS_KEYS_FILE" ] ||
			"$BIN_DIR/authserver" key init "$HALLPASS_KEYS_FILE" --api-keys-file "$api_keys" >/dev/null || exit 1
		# Earlier versions had one file for both servers.
		[ -e "$api_keys" ] || "$BIN_DIR/authserver" key export "$HALLPASS_KEYS_FILE" "$api_keys" >/dev/null || exit 1
	fi
	: "${api_keys:=${HALLPASS_API_KEYS_FILE:-${HALLPASS_KEYS_FILE:-}}}"
	export HALLPASS_ADMIN_CONSOLE=${HALLPASS_ADMIN_CONSOLE:-true}
	export HALLPASS_ISSUER=${HALLPASS_ISSUER:-$(url "$AUTH_LISTEN")}
	export HALLPASS_STATUS_LISTS_URL=${HALLPASS_STATUS_LISTS_URL:-$(url "$AUTH_LISTEN")/status-lists}
	export HALLPASS_AUDIENCE=${HALLPASS_AUDIENCE:-$(url "$API_LISTEN")}
	export HALLPASS_DATABASE_URL=${HALLPASS_DATABASE_URL:-sqlite:$VAR_DIR/hallpass.db}
	export HALLPASS_ITEMS_DATABASE_URL=${HALLPASS_ITEMS_DATABASE_URL-sqlite:$VAR_DIR/items.db}
	local port=${API_LISTEN##*:} further=${HALLPASS_ALLOWED_ORIGINS:-}
	HALLPASS_ALLOWED_ORIGINS=http://127.0.0.1:$port,http://localhost:$port${further:+,$further}
	export HALLPASS_ALLOWED_ORIGINS
	unset HALLPASS_LISTEN HALLPASS_ADMIN_LISTEN
}

# check_different exits if two of our addresses are the same.
check_different() {
	local name other
	for name in AUTH_LISTEN AUTH_ADMIN_LISTEN API_LISTEN API_ADMIN_LISTEN; do
		for other in AUTH_ADMIN_LISTEN API_LISTEN API_ADMIN_LISTEN; do
			[ "$name" != "$other" ] && [ "${!name}" = "${!other}" ] || continue
			echo "$name and $other are both ${!name}. Choose different addresses:" >&2
			other_addresses >&2
			exit 1
		done
	done
}

# check_free exits if one of our addresses is in use.
check_free() {
	local name
	for name in AUTH_ADMIN_LISTEN API_ADMIN_LISTEN; do
		if "$BIN_DIR/authserver" healthcheck --admin-listen "${!name}" >/dev/null 2>&1; then
			echo "A server is already running at ${!name}. Stop it, or choose other addresses:" >&2
			other_addresses >&2
			exit 1
		fi
	done
	for name in AUTH_LISTEN AUTH_ADMIN_LISTEN API_LISTEN API_ADMIN_LISTEN; do
		if connects "$(url "${!name}")"; then
			echo "$name: ${!name} is in use by another program. Stop it, or choose other addresses:" >&2
			other_addresses >&2
			exit 1
		fi
	done
}

# connects URL succeeds if something listens at the URL's address.
connects() {
	local address=${1#http://} host
	host=${address%:*} host=${host#[} host=${host%]}
	(: <"/dev/tcp/$host/${address##*:}") 2>/dev/null
}

# lock makes sure that no other run uses the folder, or exits. The servers inherit the lock, so
# it lasts as long as they do, even if this script is killed.
lock() {
	mkdir -p "$VAR_DIR" || exit 1
	command -v flock >/dev/null || return 0 # macOS has none: check_free remains
	exec 9>>"$VAR_DIR/lock" || exit 1
	if ! flock -n 9; then
		echo "Another run uses the folder $VAR_DIR. Stop it, or choose another folder and other addresses:" >&2
		echo "  make run VAR_DIR=$VAR_DIR-2 \\" >&2
		other_addresses | sed 's/  make run/          /' >&2
		exit 1
	fi
}

# other_addresses prints an example with other addresses.
other_addresses() {
	cat <<-END
		  make run AUTH_LISTEN=127.0.0.1:9100 AUTH_ADMIN_LISTEN=127.0.0.1:9101 \\
		           API_LISTEN=127.0.0.1:8100 API_ADMIN_LISTEN=127.0.0.1:8101
	END
}

# start starts both servers. With -m each gets a process group of its own: Ctrl-C reaches
# only this script, which then stops them.
start() {
	: >"$VAR_DIR/resourceserver.log"
	set -m
	"$BIN_DIR/authserver" serve --demo --mail-inbox=auto --listen "$AUTH_LISTEN" --admin-listen "$AUTH_ADMIN_LISTEN" \
		>"$VAR_DIR/authserver.log" 2>&1 &
	auth=$!
	HALLPASS_KEYS_FILE=$api_keys "$BIN_DIR/resourceserver" serve \
		--listen "$API_LISTEN" --admin-listen "$API_ADMIN_LISTEN" \
		>>"$VAR_DIR/resourceserver.log" 2>&1 &
	api=$!
	set +m
}

# stop STATUS stops both servers, waits for them, and exits with the status, or with 1 if a
# server failed.
stop() {
	local status=$1 pid
	trap '' INT TERM HUP
	kill -INT $auth $api 2>/dev/null
	for pid in $(jobs -p); do
		case $pid in "$auth" | "$api") ;; *) kill "$pid" 2>/dev/null ;; esac
	done
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

# show_warnings shows the warnings and errors of both logs, from the start of the servers on.
show_warnings() {
	local name
	for name in authserver resourceserver; do
		tail -n +1 -f "$VAR_DIR/$name.log" 9>&- > >(
			exec 9>&-
			grep --line-buffered -E 'level"?[=:]"?(WARN|ERROR)' | while IFS= read -r line; do
				printf '%s: %s\n' "$name" "$line" >&2
			done
		) &
	done
}

# greet says where the servers are and how to try them.
greet() {
	local login call database='' issuer=''
	login="$(url "$AUTH_LISTEN")/token"
	call="$(url "$API_LISTEN")"
	[ "$HALLPASS_ISSUER" = http://127.0.0.1:9000 ] || issuer=" --issuer $(printf %q "$HALLPASS_ISSUER")" # for the link
	# The URL of another database may hold a password.
	case $HALLPASS_DATABASE_URL in sqlite:*)
		database="
Commands such as $BIN_DIR/authserver user list find the database, in another terminal, after:

  export HALLPASS_DATABASE_URL=$(printf %q "$HALLPASS_DATABASE_URL")

Become an administrator, with any username; the last command prints a link:

  $BIN_DIR/authserver user add ada
  $BIN_DIR/authserver user set ada --group admins${issuer}
" ;;
	esac
	cat <<END

Authorization server  $(url "$AUTH_LISTEN")
API                   $call
Try it in a browser   $call/docs
Administration        $(url "$AUTH_LISTEN")/admin
Emails to users       ${HALLPASS_SMTP_URL:-$(url "$AUTH_ADMIN_LISTEN")/mail}
Demo users            john.doe / securepassword   and   jane.smith / anothersecurepass

Log in, then call the API:

  TOKEN=\$(curl -sS $login -d username=john.doe -d password=securepassword | sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p')
  curl -sS $call/users/me -H "Authorization: Bearer \$TOKEN" -w '\n'
$database
The logs are in $VAR_DIR/*.log. Warnings are shown here. Ctrl-C stops both servers.

END
}

check_different
lock
check_free
prepare
trap 'stop 0' INT TERM HUP
start
wait_ready
greet
show_warnings
while check; do
	sleep 1 9>&- &
	wait $!
done
