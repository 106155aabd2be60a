#!/usr/bin/env bash
# Tests docker-compose.yml, and what goes beside it, with Docker. It starts the servers as a project of its own, runs
# the parts of the test that its arguments name (all without arguments), and removes the project. It prints the result
# of each check, and PASS or FAIL at the end. Only the layers of the build remain afterwards. The parts:
#
#   servers        logs in, calls the API, scales both tiers, kills replicas under load, restarts everything on the
#                  same data, and restores a backup into empty volumes
#   mcp            the MCP server of deploy/compose/mcp.yml
#   services       the programs of deploy/examples/services, which call each other
#   observability  Prometheus scrapes both tiers, and both send traces
set -u
cd "$(dirname "$0")/../.." || exit 1

all_parts=(servers mcp services observability)
parts=("$@")
[ $# -gt 0 ] || parts=("${all_parts[@]}")
for part in "${parts[@]}"; do
	case " ${all_parts[*]} " in
	*" $part "*) ;;
	*) echo "$part is not a part of this test. Choose from: ${all_parts[*]}" >&2 && exit 2 ;;
	esac
done

project=hallpass-test-$$
tag=compose-test # the same for all runs, so that they reuse the layers of the build
work=$(mktemp -d)
checks=0 failures=0
left_out='' # what could not be tested, and why

# Ignore the settings of the environment and of .env.
unset "${!HALLPASS_@}" "${!COMPOSE_@}" "${!MCP_@}" "${!ORDERS_@}" REPLICAS_EXTRA PROMETHEUS_PORT
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
ours=(--filter "label=com.docker.compose.project=$project")

. deploy/compose/test/functions.sh

finish() {
	trap '' INT TERM
	touch "$work/stop"
	wait
	[ "$failures" = 0 ] && [ "${1:-0}" = 0 ] || "${compose[@]}" logs --no-color --tail=20 >&2
	docker ps -aq --filter "label=$project" | xargs -r docker rm -f >/dev/null
	"${compose[@]}" --profile services --profile observability down --volumes --remove-orphans >"$work/output" 2>&1 ||
		cat "$work/output" >&2
	for image in authserver resourceserver mcp services; do docker image rm "hallpass-$image:$tag"; done >/dev/null 2>&1
	rm -rf "$work"
}
trap 'finish 1; echo FAIL: interrupted; exit 1' INT TERM

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
front=${project}_front data=${project}_data metrics=${project}_metrics api_metrics=${project}_api-metrics
items=${project}_items traces=${project}_traces

quietly "${compose[@]}" build || give_up "the images could not be built"
for image in hallpass-authserver hallpass-resourceserver; do
	say "      built $image: $(megabytes "$image:$tag") MB"
done
for image in hallpass-authserver hallpass-resourceserver; do
	check "$image is under 45 MB" [ "$(docker image inspect -f '{{.Size}}' "$image:$tag")" -lt 45000000 ]
	check "$image prints its version" [ "$(docker run --rm "$image:$tag" version)" = "$tag" ]
done

older_caddy
began=$SECONDS
start || give_up "the project did not start"
say "      up after $((SECONDS - began)) s: $auth and $api"
database_image=$(docker inspect -f '{{.Config.Image}}' "$(replicas postgres)")
token=$(login john.doe securepassword | token_of)
check "the demo user john.doe logs in" [ -n "$token" ]
check "the API identifies the user" response_is 200 '"john.doe"' "$(me "$token")"

### Parts

for part in "${all_parts[@]}"; do
	case " ${parts[*]} " in *" $part "*) ;; *) continue ;; esac
	say "      part: $part"
	. "deploy/compose/test/$part.sh"
done

### End

finish
left=$(docker ps -aq "${ours[@]}" && docker volume ls -q "${ours[@]}" && docker network ls -q "${ours[@]}")
check "everything is removed" [ -z "$left" ]
[ -z "$left_out" ] || say "      left out: $left_out"
if [ "$failures" -gt 0 ]; then
	echo "FAIL: $failures of $checks checks"
	exit 1
fi
echo "PASS: $checks checks in $SECONDS s${left_out:+, without $left_out}"
