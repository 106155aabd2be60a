#!/usr/bin/env bash
# Tests docker-compose.yml with Docker: starts everything as a project of its own, logs in,
# calls the API, scales both tiers, kills replicas under load, restarts everything on the same
# data, and restores a backup into empty volumes. It prints the result of each check and PASS or FAIL at the end. Only the layers of
# the build remain afterwards.
set -u
cd "$(dirname "$0")/../.." || exit 1

project=hallpass-test-$$
tag=compose-test # the same for all runs, so that they reuse the layers of the build
work=$(mktemp -d)
checks=0 failures=0

# Ignore the settings of the environment and of .env.
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

# check TEXT COMMAND... runs the command and prints whether it succeeded.
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

# quietly COMMAND... runs the command and shows its output only if it fails.
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

# free_port PORT prints the first free port from PORT on.
free_port() {
	local port=$1
	while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
	echo "$port"
}

# free_network prints the first half of addresses that no network of Docker uses.
free_network() {
	local used n
	used=$(docker network ls -q | xargs -r docker network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{end}}')
	for n in $(seq 214 254); do
		case " $used" in *" 10.$n."*) ;; *) echo "10.$n" && return ;; esac
	done
}

# replicas prints the ids of a service's running containers.
replicas() {
	docker ps -q --filter "label=com.docker.compose.project=$project" \
		--filter "label=com.docker.compose.service=$1" --filter label=com.docker.compose.oneoff=False
}

count() { wc -l | tr -d ' '; }

# login USER PASSWORD prints the response of the token endpoint.
login() { curl -sS -m 30 "$auth/token" -d "username=$1" -d "password=$2"; }

# token_of prints the access token of the response on standard input.
token_of() { sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p'; }

# me TOKEN prints the body and the status of GET /users/me.
me() { curl -sS -m 30 -w ' %{http_code}' "$api/users/me" -H "Authorization: Bearer $1"; }

# response_is STATUS PART RESPONSE succeeds if RESPONSE has the part and ends with the status.
response_is() { [[ $3 == *$2* && $3 == *" $1" ]]; }

# handled CONTAINER PATH prints how many requests for a path are in the container's log.
handled() { docker logs "$1" 2>&1 | grep -c "msg=request .*path=$2 "; }

# load FILE CURL_ARGUMENT... sends requests one after another until the file "stop" exists, and
# writes the status of each to FILE: 000 if there was no response.
load() {
	local file=$1
	shift
	while [ ! -e "$work/stop" ]; do
		curl -s -m 30 -o /dev/null -w '%{http_code}\n' "$@" >>"$file"
	done
}

# under_load COMMAND... runs the command under a steady load of API calls, reads of the key set
# and logins. It prints the statuses of the responses, and returns the status of the command.
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
	say "      API calls: $(statuses calls); key sets: $(statuses reads); logins: $(statuses logins)"
	if grep -qvE '^(200|503)$' "$work/calls" "$work/logins" "$work/reads"; then caddy_errors "$began"; fi
	excused=0
	if [ -n "${REPLICAS_EXTRA:-}" ]; then
		excused=$(caddy_errors "$began" | awk '/with Body length 0$/ { n += $1 } END { print n + 0 }')
	fi
	[ "$excused" = 0 ] || say "      lost by a defect of this version of Caddy, and excused: $excused"
	return $status
}

# caddy_errors SINCE prints the errors in Caddy's log, with their numbers.
caddy_errors() {
	docker logs --since "$1" "$(replicas caddy)" 2>&1 |
		sed -n 's/.*"level":"error".*"msg":"\([^"]*\)".*/      Caddy: \1/p' | sort | uniq -c
}

# lost KIND [STATUS] prints how many requests of a kind got neither 200 nor STATUS. It does not
# count logins whose body an older Caddy lost between two replicas, according to its log:
# buffer_requests makes this rare, and only a newer Caddy avoids it.
lost() {
	local all broken
	all=$(grep -vcE "^(200|${2:-200})\$" "$work/$1")
	if [ "$1" = logins ]; then
		broken=$(grep -c '^502$' "$work/$1")
		all=$((all - (excused < broken ? excused : broken)))
	fi
	echo $((all > 0 ? all : 0))
}

# statuses FILE prints how many requests got which status.
statuses() { sort "$work/$1" | uniq -c | awk '{ printf "%s%d x %s", sep, $1, $2; sep = ", " }'; }

# kill_hard CONTAINER kills the container's process, so that the restart policy applies: it does
# not apply after docker kill.
kill_hard() {
	docker run --rm --pid=host --network none --entrypoint sh "$database_image" \
		-c "kill -9 $(docker inspect -f '{{.State.Pid}}' "$1")"
}

# rotate adds a new key and waits until it signs.
rotate() {
	quietly authserver key rotate keys/keys.json --signs-after 5s &&
		wait_for 60 signed_by_new_key
}

# signed_by_new_key succeeds if the token of a login names another key than the first token.
signed_by_new_key() {
	local fresh
	fresh=$(login kim "$password" | token_of)
	[ -n "$fresh" ] && [ "${fresh%%.*}" != "${token%%.*}" ]
}

# try_connect NETWORK HOST PORT succeeds if a container in the network can connect.
try_connect() {
	docker run --rm --network "$1" --entrypoint bash "$database_image" \
		-c "exec timeout 5 bash -c ': </dev/tcp/$2/$3'" 2>/dev/null
}

# wait_for SECONDS COMMAND... repeats the command until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.5
	done
}

# all_healthy SERVICE NUMBER succeeds if the service has this number of healthy replicas.
all_healthy() {
	[ "$(docker ps -q --filter "label=com.docker.compose.project=$project" \
		--filter "label=com.docker.compose.service=$1" --filter health=healthy | count)" = "$2" ]
}

# each_handled SERVICE PATH prints how many requests for a path each replica has handled. It
# succeeds if each has handled some.
each_handled() {
	local id n line='' all=0
	for id in $(replicas "$1"); do
		n=$(handled "$id" "$2")
		line="$line $n"
		[ "$n" -gt 0 ] || all=1
	done
	say "      $1 replicas handled:$line"
	return $all
}

# restricted CONTAINER succeeds if the container has all restrictions of docker-compose.yml.
restricted() {
	local format='{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}'
	format="$format {{.HostConfig.SecurityOpt}} {{.HostConfig.RestartPolicy.Name}}"
	[ "$(docker inspect -f "$format" "$1")" = '65532:65532 true [ALL] [no-new-privileges:true] unless-stopped' ] &&
		[ "$(docker inspect -f '{{.HostConfig.PidsLimit}}' "$1")" -gt 0 ] &&
		[ "$(docker inspect -f '{{.HostConfig.Memory}}' "$1")" -gt 0 ] &&
		[ "$(docker inspect -f '{{.HostConfig.NanoCpus}}' "$1")" -gt 0 ]
}

networks_of() { docker inspect -f '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}' "$1"; }

start() { quietly "${compose[@]}" up -d "$@"; }

# scale AUTH API sets the numbers of replicas, as a line in .env does.
scale() {
	export HALLPASS_AUTH_REPLICAS=$1 HALLPASS_API_REPLICAS=$2
	start
}

# authserver COMMAND... runs a command as the documentation says.
authserver() { "${compose[@]}" exec -T authserver authserver "$@"; }

megabytes() { docker image inspect -f '{{.Size}}' "$1" | awk '{ printf "%.1f", $1 / 1e6 }'; }

# older_caddy sets REPLICAS_EXTRA for a Caddy older than 2.11.2; see deploy/Caddyfile.
older_caddy() {
	local image version
	image=$("${compose[@]}" config |
		awk '/^  [a-z]+:$/ { service = $1 } service == "caddy:" && $1 == "image:" { print $2 }')
	version=$(docker run --rm --entrypoint caddy "$image" version)
	say "      Caddy ${version%% *}"
	case ${version#v} in
	2.[0-6].*) export REPLICAS_EXTRA=buffer_requests ;;
	2.[7-9].* | 2.10.* | 2.11.[01] | 2.11.[01]\ *) export REPLICAS_EXTRA='request_buffers 64KiB' ;;
	esac
}

### Versions

say "      $("${compose[@]}" version --short), engine $(docker version -f '{{.Server.Version}}'), project $project"

### Start

port=$(free_port 19000)
export HALLPASS_AUTH_PORT=$port HALLPASS_API_PORT
HALLPASS_API_PORT=$(free_port $((port + 1)))
HALLPASS_NETWORK=$(free_network)
export HALLPASS_NETWORK
auth=http://127.0.0.1:$HALLPASS_AUTH_PORT
api=http://127.0.0.1:$HALLPASS_API_PORT
export HALLPASS_AUTH_URL=$auth HALLPASS_API_URL=$api

quietly "${compose[@]}" build || give_up "the images could not be built"
for image in hallpass-authserver hallpass-resourceserver; do
	say "      built $image: $(megabytes "$image:$tag") MB"
done
for image in hallpass-authserver hallpass-resourceserver; do
	check "$image is under 25 MB" [ "$(docker image inspect -f '{{.Size}}' "$image:$tag")" -lt 25000000 ]
	check "$image prints its version" [ "$(docker run --rm "$image:$tag" version)" = "$tag" ]
done

older_caddy
began=$SECONDS
start || give_up "the project did not start"
say "      up after $((SECONDS - began)) s: $auth and $api"
database_image=$(docker inspect -f '{{.Config.Image}}' "$(replicas postgres)")

### Log in and call

token=$(login john.doe securepassword | token_of)
check "the demo user john.doe logs in" [ -n "$token" ]
check "the API identifies the user" response_is 200 '"john.doe"' "$(me "$token")"
check "the API refuses a token that was tampered with" response_is 401 '' "$(me "${token%?????}AAAAA")"
password="of kim, made at $(date +%s)"
check "a command in a container adds a user" \
	quietly authserver user add kim < <(echo "$password")
check "kim logs in" [ -n "$(login kim "$password" | token_of)" ]
kims=$(login kim "$password" | token_of)
check "kim calls the API" response_is 200 '"kim"' "$(me "$kims")"
check "kim is disabled" quietly authserver user disable kim
check "a moment later the API refuses the token of kim" wait_for 5 eval 'response_is 401 "" "$(me "$kims")"'
check "it accepts the token of john.doe" response_is 200 '"john.doe"' "$(me "$token")"
check "kim is enabled again" quietly authserver user enable kim

### Isolation

front=${project}_front data=${project}_data metrics=${project}_metrics
api_container=$(replicas resourceserver)
auth_container=$(replicas authserver)
database_container=$(replicas postgres)
check "the database accepts connections in its network" try_connect "$data" postgres 5432
address_in() { docker inspect -f "{{(index .NetworkSettings.Networks \"$1\").IPAddress}}" "$2"; }
database_address=$(address_in "$data" "$database_container")
check "the API server is in two networks, without the database's" \
	[ "$(networks_of "$api_container")" = "$front $metrics " ]
check "the name of the database does not resolve there" eval '! try_connect "$front" postgres 5432'
check "the address of the database is unreachable there" eval '! try_connect "$front" "$database_address" 5432'
check "the API server is reachable there" try_connect "$front" resourceserver 8000
check "the admin listeners are unreachable there" \
	eval '! try_connect "$front" resourceserver 8001 && ! try_connect "$front" authserver 9001'
# metrics_at ADDRESS:PORT fetches the metrics from a container in the network of metrics.
metrics_at() {
	docker run --rm --network "$metrics" --entrypoint wget "$(docker inspect -f '{{.Config.Image}}' "$(replicas caddy)")" \
		-q -T 5 -O - "http://$1/metrics"
}
check "the metrics of the authorization server are reachable in their network" \
	eval 'metrics_at "$(address_in "$metrics" "$auth_container"):9001" | grep -q "^hallpass_build_info"'
check "those of the API too" \
	eval 'metrics_at "$(address_in "$metrics" "$api_container"):8001" | grep -q "^hallpass_build_info"'
check "the name of a service resolves to its servers there" try_connect "$metrics" authserver 9001
check "the database and the API publish no ports" \
	[ -z "$(docker port "$database_container")$(docker port "$api_container")" ]
for service in authserver resourceserver; do
	check "$service: not root, read-only, no capabilities, limits" restricted "$(replicas $service)"
done
check "one CPU checks one password at a time" eval 'authserver serve --help | grep -q "password-workers=1 "'
containers=$(docker ps -aq --filter "label=com.docker.compose.project=$project")
check "no container has a secret in its environment" \
	eval '! docker inspect -f "{{.Config.Env}}" $containers | grep -E "PASSWORD=|SECRET="'

# In the database's container: psql ROLE COMMAND, as root, with the password in PGPASSFILE.
psql_as() { docker exec "$database_container" psql -X -q -A -t -U "$1" -d hallpass -c "$2"; }
check "hallpass is no superuser" \
	[ "$(psql_as hallpass 'SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user')" = f ]
check "without the password, it cannot log in locally" \
	eval '! docker exec -e PGPASSFILE=/dev/null "$database_container" psql -w -U hallpass -c "SELECT 1" >"$work/output" 2>&1'
check "the superuser cannot log in by the network or as another user" \
	eval '! psql_as postgres "SELECT 1" 2>"$work/output" && ! docker exec -u postgres "$database_container" \
		psql -w -h 127.0.0.1 -U postgres -c "SELECT 1" >"$work/output" 2>&1'
check "it can log in as the user postgres" \
	quietly docker exec -u postgres "$database_container" psql -U postgres -c 'SELECT 1'
modes=$(docker exec "$database_container" stat -c '%a %u' /run/hallpass/password /tmp/hallpass/password | xargs)
check "the password is readable for its owners only" [ "$modes" = "600 65532 600 $(docker exec "$database_container" id -u postgres)" ]

caddy_address=$(address_in "$front" "$(replicas caddy)")
check "Caddy has its fixed address" [ "$caddy_address" = "$HALLPASS_NETWORK.0.2" ]
curl -s -o /dev/null "$api/from-outside" \
	-H 'X-Forwarded-For: 203.0.113.9' -H 'Forwarded: for=203.0.113.9' -H 'X-Real-Ip: 203.0.113.9'
# The machine itself is the gateway of the network.
curl -s -m 5 -o /dev/null "http://$(address_in "$front" "$api_container"):8000/from-gateway" -H 'X-Forwarded-For: 203.0.113.9'
docker run --rm --network "$front" --entrypoint wget "$(docker inspect -f '{{.Config.Image}}' "$(replicas caddy)")" \
	-q -O /dev/null --header 'X-Forwarded-For: 203.0.113.9' http://resourceserver:8000/from-neighbor 2>/dev/null
sleep 0.5
# believed PATH succeeds if the API took the address from X-Forwarded-For, or got no request.
believed() { ! docker logs "$api_container" 2>&1 | grep "path=$1 " | grep -qv 203.0.113.9; }
check "the API ignores an X-Forwarded-For of the client" eval '! believed /from-outside'
check "of the machine itself" eval '! believed /from-gateway'
check "and of another container" eval '! believed /from-neighbor'
check "the API uses the X-Forwarded-For of Caddy" \
	eval '! docker logs "$api_container" 2>&1 | grep "path=/from-outside" | grep -q "from=$caddy_address"'
check "Caddy does not log its health checks" \
	eval '! docker logs "$(replicas caddy)" 2>&1 | grep -E "admin.api.*received request|127.0.0.1:2020.*handled"'
# preflight ORIGIN prints the origin that a page may use the token endpoint from.
preflight() {
	curl -sS -D - -o /dev/null -X OPTIONS "$auth/token" -H "Origin: $1" -H 'Access-Control-Request-Method: POST' |
		tr -d '\r' | sed -n 's/^access-control-allow-origin: //Ip'
}
check "the API's docs page may log in" [ "$(preflight "$api")" = "$api" ]
check "no page of localhost may" [ -z "$(preflight http://localhost:8000)" ]

### Scale

# An authorization server that is starting responds with 503 and Retry-After.
under_load scale 2 4
check "scaled to 2 and 4: no API call failed" [ "$(lost calls)" = 0 ]
check "logins and key sets got only 200 and 503" [ "$(lost logins 503) $(lost reads 503)" = '0 0' ]
check "all replicas are healthy" wait_for 60 eval 'all_healthy authserver 2 && all_healthy resourceserver 4'
check "every API replica got requests" each_handled resourceserver /users/me
check "every authorization server got logins" each_handled authserver /token
check "a plain up keeps the replicas" \
	eval 'start && [ "$(replicas authserver | count) $(replicas resourceserver | count)" = "2 4" ]'

### Rotation

check "a command rotates the key" under_load rotate
check "no API call, no login and no key set failed" [ "$(lost calls) $(lost logins) $(lost reads)" = '0 0 0' ]
check "a token of the new key is accepted" response_is 200 '"kim"' "$(me "$(login kim "$password" | token_of)")"
check "a token of the previous key is accepted" response_is 200 '"john.doe"' "$(me "$token")"

### Crashes

victim=$(replicas resourceserver | head -n 1)
under_load kill_hard "$victim"
check "an API replica killed: no API call failed" [ "$(lost calls)" = 0 ]
check "no login or key set failed" [ "$(lost logins) $(lost reads)" = '0 0' ]
restarted_once() { [ "$(docker inspect -f "{{.RestartCount}}" "$1")" = 1 ]; }
check "the replica was restarted" eval 'restarted_once "$victim" && wait_for 60 all_healthy resourceserver 4'

victim=$(replicas authserver | head -n 1)
under_load kill_hard "$victim"
check "an authorization server killed: no API call failed" [ "$(lost calls)" = 0 ]
check "key sets got only 200 and 503" [ "$(lost reads 503)" = 0 ]
check "at most the logins in flight failed" [ "$(lost logins 503)" -le "$loggers" ]
check "the server was restarted" eval 'restarted_once "$victim" && wait_for 60 all_healthy authserver 2'

### Stops

under_load scale 1 2
check "scaled down to 1 and 2: no API call failed" [ "$(lost calls)" = 0 ]
check "no login or key set failed" [ "$(lost logins) $(lost reads)" = '0 0' ]

check "down" quietly "${compose[@]}" down
ours=(--filter "label=com.docker.compose.project=$project")
check "only the volumes are left" [ -z "$(docker ps -aq "${ours[@]}")$(docker network ls -q "${ours[@]}")" ]
start || give_up "the project did not start again"
check "after down and up, kim logs in" [ -n "$(login kim "$password" | token_of)" ]
check "an earlier token is accepted: the keys are the same" response_is 200 '"john.doe"' "$(me "$token")"

### Another API

check "one of each is enough" scale 1 1
keys=/var/lib/hallpass/keys
check "another API gets a secret of its own" \
	quietly authserver api add https://reports.example --scope reports:read --secret-to keys/reports-keys.json
check "the API refuses that secret" wait_for 10 \
	eval 'docker logs "$(replicas resourceserver)" 2>&1 | grep -q "keys file not usable.*https://reports.example"'
check "it goes on with its previous keys" response_is 200 '"kim"' "$(me "$(login kim "$password" | token_of)")"
check "it gets a file of its own" \
	quietly authserver key export keys/keys.json keys/api-keys.json
export HALLPASS_API_KEYS_FILE=$keys/api-keys.json
check "it starts with that file" eval 'start && wait_for 60 all_healthy resourceserver 1'
check "kim calls it" response_is 200 '"kim"' "$(me "$(login kim "$password" | token_of)")"

### Backup and restore, as the page says

wait_for 60 all_healthy authserver 1
# A service may have containers of commands, too: the newest is first.
container() { "${compose[@]}" ps -aq "$1" | head -n 1; }
check "the database is dumped" \
	eval '"${compose[@]}" exec -T postgres pg_dump -U hallpass --format=custom hallpass >"$work/hallpass.dump"'
check "the keys are copied" eval 'docker cp "$(container authserver):/var/lib/hallpass/keys/." - >"$work/keys.tar"'
kims=$(login kim "$password" | token_of)
check "lee is added after the backup" quietly authserver user add lee < <(echo "$password")

check "everything is deleted" quietly "${compose[@]}" down --volumes
check "the volumes are made" quietly "${compose[@]}" up --no-start init
check "the keys are put back" \
	eval 'docker cp - "$(container init):/var/lib/hallpass/keys" <"$work/keys.tar"'
check "PostgreSQL starts alone" eval 'start postgres && wait_for 60 all_healthy postgres 1'
check "nothing else runs" [ -z "$(replicas authserver)$(replicas resourceserver)$(replicas caddy)" ]
check "the dump is restored" quietly "${compose[@]}" exec -T postgres \
	pg_restore -U hallpass --no-owner --exit-on-error --single-transaction -d hallpass <"$work/hallpass.dump"
check "a new epoch begins" quietly "${compose[@]}" run --rm -T migrate restore --new-epoch
check "all keys are replaced" quietly "${compose[@]}" run --rm -T migrate \
	key rotate --compromised keys/keys.json --also keys/api-keys.json
modes=$(docker run --rm --network none --entrypoint sh -v "${project}_keys:/keys:ro" "$database_image" \
	-c 'stat -c "%a %u %g" /keys /keys/*.json | sort -u' | xargs)
check "the keys have their owner and mode" [ "$modes" = '600 65532 65532 755 65532 65532' ]
check "everything starts" eval 'start && wait_for 60 all_healthy authserver 1 && wait_for 60 all_healthy resourceserver 1'
check "kim logs in, and lee is unknown" \
	eval '[ -n "$(login kim "$password" | token_of)" ] && [ -z "$(login lee "$password" | token_of)" ]'
check "a token from before is refused" response_is 401 '' "$(me "$kims")"
check "a new one is accepted" response_is 200 '"kim"' "$(me "$(login kim "$password" | token_of)")"

### End

finish
left=$(docker ps -aq "${ours[@]}" && docker volume ls -q "${ours[@]}" && docker network ls -q "${ours[@]}")
check "everything is removed" [ -z "$left" ]
if [ "$failures" -gt 0 ]; then
	echo "FAIL: $failures of $checks checks"
	exit 1
fi
echo "PASS: $checks checks in $SECONDS s"
