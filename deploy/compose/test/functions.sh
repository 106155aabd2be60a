# The functions of deploy/compose/test.sh.

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
		[ "$(docker inspect -f '{{.HostConfig.NanoCpus}} {{.HostConfig.CpuShares}}' "$1")" != '0 0' ]
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

# address_in NETWORK CONTAINER prints the container's address in the network.
address_in() { docker inspect -f "{{(index .NetworkSettings.Networks \"$1\").IPAddress}}" "$2"; }
