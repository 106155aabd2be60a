#!/usr/bin/env bash
# Tries docker-compose.yml for real, wherever a Docker engine is: starts everything
# as a project of its own, logs in, calls the API, scales both tiers, kills replicas
# under load, and takes all down and up again. It prints what it saw, and PASS or
# FAIL at the end, and leaves nothing behind but the layers of the build.
set -u
cd "$(dirname "$0")/../.." || exit 1

project=hallpass-test-$$
tag=compose-test # one for all runs, so that the layers of the last one serve again
work=$(mktemp -d)
checks=0 failures=0

# The settings are this test's own, whatever the environment or .env says.
unset "${!HALLPASS_@}" "${!COMPOSE_@}" REPLICAS_EXTRA
export HALLPASS_VERSION=$tag HALLPASS_LOG_FORMAT=text HALLPASS_LOG_LEVEL=info
: >"$work/env"

if docker compose version >/dev/null 2>&1; then
	compose=(docker compose)
elif command -v docker-compose >/dev/null; then
	compose=(docker-compose)
else
	echo "This needs Docker Compose: 'docker compose' or 'docker-compose'." >&2
	exit 1
fi
if ! docker info >/dev/null 2>&1; then
	echo "This needs a Docker engine that 'docker info' can reach." >&2
	exit 1
fi
compose+=(--env-file "$work/env" -p "$project" -f docker-compose.yml)

say() { printf '%6ss  %s\n' "$SECONDS" "$*"; }

# check TEXT COMMAND... says whether the command succeeded.
check() {
	local text=$1
	shift
	checks=$((checks + 1))
	if "$@"; then
		say "ok    $text"
	else
		failures=$((failures + 1))
		say "FAIL  $text"
	fi
}

# quietly runs a command and shows what it printed only if it fails.
quietly() {
	"$@" >"$work/output" 2>&1 && return
	local status=$?
	cat "$work/output" >&2
	return $status
}

finish() {
	trap '' INT TERM
	touch "$work/stop"
	wait
	[ "$failures" = 0 ] && [ "${1:-0}" = 0 ] || "${compose[@]}" logs --no-color --tail=20 >&2
	"${compose[@]}" down --volumes --remove-orphans >"$work/output" 2>&1 || cat "$work/output" >&2
	docker image rm "hallpass-authserver:$tag" "hallpass-resourceserver:$tag" >/dev/null 2>&1
	rm -rf "$work"
}
trap 'finish 1; echo FAIL: interrupted; exit 1' INT TERM

give_up() {
	say "FAIL  $*"
	finish 1
	echo "FAIL: $*"
	exit 1
}

# free_port prints a port of this machine on which nobody listens, from $1 on.
free_port() {
	local port=$1
	while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
	echo "$port"
}

# free_subnet prints a network that no network of Docker has.
free_subnet() {
	local taken n
	taken=$(docker network ls -q | xargs -r docker network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{end}}')
	for n in $(seq 1 254); do
		case $taken in *"10.214.$n."*) ;; *) echo "10.214.$n.0/24" && return ;; esac
	done
}

# replicas prints the ids of a service's running containers.
replicas() { docker ps -q --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1" --filter label=com.docker.compose.oneoff=False; }

count() { wc -l | tr -d ' '; }

# login USER PASSWORD prints the answer of the token endpoint.
login() { curl -sS -m 30 "$auth/token" -d "username=$1" -d "password=$2"; }

# token_of prints the access token of the answer on standard input.
token_of() { sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p'; }

# me prints the status and the body of /users/me for a token.
me() { curl -sS -m 30 -w ' %{http_code}' "$api/users/me" -H "Authorization: Bearer $1"; }

# answers STATUS PATTERN TEXT tells whether TEXT ends in the status and holds the pattern.
answers() { [[ $3 == *$2* && $3 == *" $1" ]]; }

# handled CONTAINER PATH prints how many requests for a path are in the log.
handled() { docker logs "$1" 2>&1 | grep -c "msg=request .*path=$2 "; }

# load FILE CURL_ARGUMENT... makes requests one after another until the file "stop"
# is there, and writes the status of each: 000 where there was no answer.
load() {
	local file=$1
	shift
	while [ ! -e "$work/stop" ]; do
		curl -s -m 30 -o /dev/null -w '%{http_code}\n' "$@" >>"$file"
	done
}

# under_load COMMAND... runs a command in the middle of a steady load of calls of the
# API, of reads from the authorization server and of logins, then says how they were
# answered, and whether the command succeeded.
loggers=2
under_load() {
	local i status began
	began=$(date +%s)
	rm -f "$work/stop"
	for i in calls reads logins; do : >"$work/$i"; done
	for i in $(seq 5); do load "$work/calls" "$api/users/me" -H "Authorization: Bearer $token" & done
	load "$work/reads" "$auth/jwks.json" &
	for i in $(seq $loggers); do load "$work/logins" "$auth/token" -d username=kim -d "password=$password" & done
	sleep 3
	"$@"
	status=$?
	sleep 4
	touch "$work/stop"
	wait
	say "      API calls: $(tally calls); key sets: $(tally reads); logins: $(tally logins)"
	if grep -qvE '^(200|503)$' "$work/calls" "$work/logins" "$work/reads"; then complaints "$began"; fi
	excused=0
	if [ -n "${REPLICAS_EXTRA:-}" ]; then excused=$(complaints "$began" | awk '/with Body length 0$/ { n += $1 } END { print n + 0 }'); fi
	[ "$excused" = 0 ] || say "      excused, being this Caddy's own: $excused"
	return $status
}

# complaints SINCE prints why Caddy could not answer a request.
complaints() {
	docker logs --since "$1" "$(replicas caddy)" 2>&1 | sed -n 's/.*"level":"error".*"msg":"\([^"]*\)".*/      Caddy: \1/p' | sort | uniq -c
}

# lost KIND [STATUS] prints how many requests of a kind got neither 200 nor STATUS. It
# excuses each login for which an older Caddy says that it lost the body between two
# replicas: buffer_requests makes that seldom, and only a newer Caddy makes it never.
lost() {
	local all broken
	all=$(grep -vcE "^(200|${2:-200})\$" "$work/$1")
	if [ "$1" = logins ]; then
		broken=$(grep -c '^502$' "$work/$1")
		all=$((all - (excused < broken ? excused : broken)))
	fi
	echo $((all > 0 ? all : 0))
}

# tally prints how many requests got which status.
tally() { sort "$work/$1" | uniq -c | awk '{ printf "%s%d x %s", sep, $1, $2; sep = ", " }'; }

# kill_hard ends a container's process as a crash would, so that the restart policy
# applies: it does not after docker kill.
kill_hard() {
	docker run --rm --pid=host --network none --entrypoint sh "$database_image" -c "kill -9 $(docker inspect -f '{{.State.Pid}}' "$1")"
}

# rotate gives the servers a new key, and waits until it signs.
rotate() {
	quietly "${compose[@]}" run --rm -T init key rotate /var/lib/hallpass/keys/keys.json --signs-after 5s && wait_for 60 signs_anew
}

# signs_anew tells whether a login's token names another key than the first one's.
signs_anew() {
	local fresh
	fresh=$(login kim "$password" | token_of)
	[ -n "$fresh" ] && [ "${fresh%%.*}" != "${token%%.*}" ]
}

# try_connect NETWORK HOST PORT tells whether a container there can connect.
try_connect() {
	docker run --rm --network "$1" --entrypoint bash "$database_image" -c "exec timeout 5 bash -c ': </dev/tcp/$2/$3'" 2>/dev/null
}

# wait_for SECONDS COMMAND... runs the command until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.5
	done
}

all_healthy() { # all_healthy SERVICE NUMBER
	[ "$(docker ps -q --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1" --filter health=healthy | count)" = "$2" ]
}

# each_got_some SERVICE PATH says how many requests each replica has had, and tells
# whether all had some.
each_got_some() {
	local id n line='' all=0
	for id in $(replicas "$1"); do
		n=$(handled "$id" "$2")
		line="$line $n"
		[ "$n" -gt 0 ] || all=1
	done
	say "      $1 replicas handled:$line"
	return $all
}

# confined tells whether a server's container has all that holds it in.
confined() {
	[ "$(docker inspect -f '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.RestartPolicy.Name}}' "$1")" \
		= '65532:65532 true [ALL] [no-new-privileges:true] unless-stopped' ] &&
		[ "$(docker inspect -f '{{.HostConfig.Memory}}' "$1")" -gt 0 ] && [ "$(docker inspect -f '{{.HostConfig.NanoCpus}}' "$1")" -gt 0 ]
}

networks_of() { docker inspect -f '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}' "$1"; }

start() { quietly "${compose[@]}" up -d "$@"; }

scale() { start --scale authserver="$1" --scale resourceserver="$2"; }

megabytes() { docker image inspect -f '{{.Size}}' "$1" | awk '{ printf "%.1f", $1 / 1e6 }'; }

# older_caddy gives a Caddy older than 2.11.2 the line that deploy/Caddyfile has room
# for.
older_caddy() {
	local image version
	image=$("${compose[@]}" config | awk '/^  [a-z]+:$/ { service = $1 } service == "caddy:" && $1 == "image:" { print $2 }')
	version=$(docker run --rm --entrypoint caddy "$image" version)
	say "      Caddy ${version%% *}"
	case ${version#v} in
	2.[0-6].*) export REPLICAS_EXTRA=buffer_requests ;;
	2.[7-9].* | 2.10.* | 2.11.[01] | 2.11.[01]\ *) export REPLICAS_EXTRA='request_buffers 64KiB' ;;
	esac
}

### What is said

say "      $("${compose[@]}" version --short), engine $(docker version -f '{{.Server.Version}}'), project $project"

### Start

port=$(free_port 19000)
export HALLPASS_AUTH_PORT=$port HALLPASS_API_PORT
HALLPASS_API_PORT=$(free_port $((port + 1)))
HALLPASS_FRONT_SUBNET=$(free_subnet)
export HALLPASS_FRONT_SUBNET
auth=http://127.0.0.1:$HALLPASS_AUTH_PORT
api=http://127.0.0.1:$HALLPASS_API_PORT
export HALLPASS_AUTH_URL=$auth HALLPASS_API_URL=$api

quietly "${compose[@]}" build || give_up "the images cannot be built"
say "      built: authserver $(megabytes "hallpass-authserver:$tag") MB, resourceserver $(megabytes "hallpass-resourceserver:$tag") MB"
for image in hallpass-authserver hallpass-resourceserver; do
	check "$image is under 25 MB" [ "$(docker image inspect -f '{{.Size}}' "$image:$tag")" -lt 25000000 ]
	check "$image knows its version" [ "$(docker run --rm "$image:$tag" version)" = "$tag" ]
done

older_caddy
began=$SECONDS
start || give_up "it does not start"
say "      up after $((SECONDS - began)) s: $auth and $api"
database_image=$(docker inspect -f '{{.Config.Image}}' "$(replicas postgres)")

### Log in and call

token=$(login john.doe securepassword | token_of)
check "john.doe of the demo logs in" [ -n "$token" ]
check "the API knows who calls" answers 200 '"john.doe"' "$(me "$token")"
check "the API refuses a token that was tampered with" answers 401 '' "$(me "${token%?????}AAAAA")"
password="of kim, made at $(date +%s)"
check "a user is added by a command in a container" quietly "${compose[@]}" exec -T authserver authserver user add kim < <(echo "$password")
check "kim logs in" [ -n "$(login kim "$password" | token_of)" ]
kims=$(login kim "$password" | token_of)
check "kim calls the API" answers 200 '"kim"' "$(me "$kims")"
check "kim is disabled" quietly "${compose[@]}" exec -T authserver authserver user disable kim
check "a moment later the API refuses what kim had" wait_for 5 eval 'answers 401 "" "$(me "$kims")"'
check "john.doe is not concerned" answers 200 '"john.doe"' "$(me "$token")"
check "kim is enabled again" quietly "${compose[@]}" exec -T authserver authserver user enable kim

### What is kept apart

front=${project}_front data=${project}_data
api_container=$(replicas resourceserver)
check "the database answers in its network" try_connect "$data" postgres 5432
database_address=$(docker inspect -f "{{(index .NetworkSettings.Networks \"$data\").IPAddress}}" "$(replicas postgres)")
check "the API server is in the front network alone" [ "$(networks_of "$api_container")" = "$front " ]
check "from there the database has no name" eval '! try_connect "$front" postgres 5432'
check "from there the database's address cannot be reached" eval '! try_connect "$front" "$database_address" 5432'
check "from there the server can be reached" try_connect "$front" resourceserver 8000
check "from there its admin listener cannot" eval '! try_connect "$front" resourceserver 8001 && ! try_connect "$front" authserver 9001'
check "the database has no port on this machine" [ -z "$(docker port "$(replicas postgres)")$(docker port "$api_container")" ]
for service in authserver resourceserver; do
	check "$service: not root, read-only, no capabilities, limits" confined "$(replicas $service)"
done
check "no secret is in an environment" eval '! docker inspect -f "{{.Config.Env}}" $(docker ps -aq --filter "label=com.docker.compose.project=$project") | grep -E "PASSWORD=|SECRET="'
curl -s -o /dev/null "$api/from-outside" -H 'X-Forwarded-For: 203.0.113.9' -H 'Forwarded: for=203.0.113.9' -H 'X-Real-Ip: 203.0.113.9'
sleep 0.5
check "an X-Forwarded-For from outside is not believed" eval '[ "$(handled "$api_container" /from-outside)" = 1 ] && ! docker logs "$api_container" 2>&1 | grep -q 203.0.113.9'
caddy_address=$(docker inspect -f "{{(index .NetworkSettings.Networks \"$front\").IPAddress}}" "$(replicas caddy)")
check "Caddy's own is" eval '! docker logs "$api_container" 2>&1 | grep "path=/from-outside" | grep -q "from=$caddy_address"'

### Scale

# An authorization server that is starting tells whoever comes too early to come back:
# 503, with Retry-After.
under_load scale 2 4
check "scaled to 2 and 4: no API call failed" [ "$(lost calls)" = 0 ]
check "no login or key set failed, but for being told to come back" [ "$(lost logins 503) $(lost reads 503)" = '0 0' ]
check "all replicas are healthy" wait_for 60 eval 'all_healthy authserver 2 && all_healthy resourceserver 4'
check "every API replica got requests" each_got_some resourceserver /users/me
check "every authorization server got logins" each_got_some authserver /token

### Rotation

check "the key is rotated by a command" under_load rotate
check "no API call, no login and no key set failed" [ "$(lost calls) $(lost logins) $(lost reads)" = '0 0 0' ]
check "a token of the new key is good" answers 200 '"kim"' "$(me "$(login kim "$password" | token_of)")"
check "and so is one of the key before it" answers 200 '"john.doe"' "$(me "$token")"

### Crashes

victim=$(replicas resourceserver | head -n 1)
under_load kill_hard "$victim"
check "an API replica killed: no API call failed" [ "$(lost calls)" = 0 ]
check "no login or key set failed" [ "$(lost logins) $(lost reads)" = '0 0' ]
check "the replica is back by itself" eval '[ "$(docker inspect -f "{{.RestartCount}}" "$victim")" = 1 ] && wait_for 60 all_healthy resourceserver 4'

victim=$(replicas authserver | head -n 1)
under_load kill_hard "$victim"
check "an authorization server killed: no API call failed" [ "$(lost calls)" = 0 ]
check "no key set failed, but for being told to come back" [ "$(lost reads 503)" = 0 ]
check "at most the logins it was busy with failed" [ "$(lost logins 503)" -le "$loggers" ]
check "the server is back by itself" eval '[ "$(docker inspect -f "{{.RestartCount}}" "$victim")" = 1 ] && wait_for 60 all_healthy authserver 2'

### Stops

under_load scale 1 2
check "scaled down to 1 and 2: no API call failed" [ "$(lost calls)" = 0 ]
check "no login or key set failed" [ "$(lost logins) $(lost reads)" = '0 0' ]

check "down" quietly "${compose[@]}" down
check "nothing is left of it but the volumes" [ -z "$(docker ps -aq --filter "label=com.docker.compose.project=$project")$(docker network ls -q --filter "label=com.docker.compose.project=$project")" ]
start || give_up "it does not start again"
check "after down and up, kim logs in as before" [ -n "$(login kim "$password" | token_of)" ]
check "a token from before is still good: the keys are the same" answers 200 '"john.doe"' "$(me "$token")"

### Another API

keys=/var/lib/hallpass/keys
check "another API gets a secret of its own" quietly "${compose[@]}" run --rm -T migrate api add https://reports.example \
	--scope reports:read --keys-file $keys/keys.json --secret-to $keys/reports-keys.json
check "the API refuses that secret" wait_for 10 eval 'docker logs "$(replicas resourceserver)" 2>&1 | grep -q "keys file not usable.*https://reports.example"'
check "it goes on with the keys that it has" answers 200 '"kim"' "$(me "$(login kim "$password" | token_of)")"
check "it gets a file of its own" quietly "${compose[@]}" run --rm -T init key export $keys/keys.json $keys/api-keys.json
export HALLPASS_API_KEYS_FILE=$keys/api-keys.json
check "it starts with that" eval 'start && wait_for 60 all_healthy resourceserver 1'
check "kim calls it" answers 200 '"kim"' "$(me "$(login kim "$password" | token_of)")"

### End

finish
left=$(docker ps -aq --filter "label=com.docker.compose.project=$project"; docker volume ls -q --filter "label=com.docker.compose.project=$project"; docker network ls -q --filter "label=com.docker.compose.project=$project")
check "everything is cleaned up" [ -z "$left" ]
if [ "$failures" -gt 0 ]; then
	echo "FAIL: $failures of $checks checks"
	exit 1
fi
echo "PASS: $checks checks in $SECONDS s"
