# Part of deploy/compose/test.sh.

### Log in and call

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

api_container=$(replicas resourceserver)
auth_container=$(replicas authserver)
database_container=$(replicas postgres)
check "the database accepts connections in its network" try_connect "$data" postgres 5432
database_address=$(address_in "$data" "$database_container")
check "the API server is in four networks, without that of the users' database" \
	[ "$(networks_of "$api_container")" = "$api_metrics $front $items $traces " ]
check "the database of items accepts connections in its network" try_connect "$items" items-postgres 5432
check "the database of items is in no other network" \
	[ "$(networks_of "$(replicas items-postgres)")" = "$items " ]
check "the authorization server is not in that network" eval '[[ " $(networks_of "$auth_container")" != *" $items "* ]]'
written() {
	response_is "$1" milk "$(curl -sS -m 30 -w ' %{http_code}' "$api/items/42" -H "Authorization: Bearer $token" "${@:2}")"
}
check "an item is written" written 201 -X PUT -H 'Content-Type: application/json' -d '{"title":"milk"}'
check "it is read" written 200
check "the name of the database does not resolve there" eval '! try_connect "$front" postgres 5432'
check "the address of the database is unreachable there" eval '! try_connect "$front" "$database_address" 5432'
check "the API server is reachable there" try_connect "$front" resourceserver 8000
check "the admin listeners are unreachable there" \
	eval '! try_connect "$front" resourceserver 8001 && ! try_connect "$front" authserver 9001'
# metrics_at NETWORK ADDRESS:PORT fetches the metrics from a container in the network.
metrics_at() {
	docker run --rm --network "$1" --entrypoint wget "$(docker inspect -f '{{.Config.Image}}' "$(replicas caddy)")" \
		-q -T 5 -O - "http://$2/metrics"
}
check "the metrics of the authorization server are reachable in their network" \
	eval 'metrics_at "$metrics" "$(address_in "$metrics" "$auth_container"):9001" | grep -q "^hallpass_build_info"'
check "those of the API too" \
	eval 'metrics_at "$api_metrics" "$(address_in "$api_metrics" "$api_container"):8001" | grep -q "^hallpass_build_info"'
check "the name of a service resolves to its servers there" try_connect "$metrics" authserver 9001
check "neither tier reaches the metrics of the other" \
	eval '! try_connect "$metrics" resourceserver 8001 && ! try_connect "$api_metrics" authserver 9001'
check "nor does Tempo's network reach them" \
	eval '! try_connect "$traces" resourceserver 8001 && ! try_connect "$traces" authserver 9001'
check "the database and the API publish no ports" \
	[ -z "$(docker port "$database_container")$(docker port "$api_container")" ]
for service in authserver resourceserver; do
	check "$service: not root, read-only, no capabilities, limits" restricted "$(replicas $service)"
done
check "the authorization server has a CPU weight and no CPU limit" \
	[ "$(docker inspect -f '{{.HostConfig.NanoCpus}} {{.HostConfig.CpuShares}}' "$(replicas authserver)")" = '0 1024' ]
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
check "only the volumes are left" [ -z "$(docker ps -aq "${ours[@]}")$(docker network ls -q "${ours[@]}")" ]
start || give_up "the project did not start again"
check "after down and up, kim logs in" [ -n "$(login kim "$password" | token_of)" ]
check "an earlier token is accepted: the keys are the same" response_is 200 '"john.doe"' "$(me "$token")"

### Another API

check "one of each is enough" scale 1 1
check "another API gets a secret of its own" \
	quietly authserver api add https://reports.example --scope reports:read --secret-to keys/reports-keys.json
check "the API has no keys of others" \
	eval '! docker run --rm --network none --entrypoint sh -v "${project}_api-keys:/keys:ro" "$database_image" \
		-c "cat /keys/*.json" | grep -qE "RSA|reports.example"'
check "kim calls it" response_is 200 '"kim"' "$(me "$(login kim "$password" | token_of)")"

### Backup and restore, as the page says

wait_for 60 all_healthy authserver 1
# A service may have containers of commands, too: the newest is first.
container() { "${compose[@]}" ps -aq "$1" | head -n 1; }
check "the database is dumped" \
	eval '"${compose[@]}" exec -T postgres pg_dump -U hallpass --format=custom hallpass >"$work/hallpass.dump"'
check "the items are dumped" \
	eval '"${compose[@]}" exec -T items-postgres pg_dump -U hallpass --format=custom hallpass >"$work/items.dump"'
check "the keys are copied" eval 'docker cp "$(container authserver):/var/lib/hallpass/keys/." - >"$work/keys.tar"'
kims=$(login kim "$password" | token_of)
check "lee is added after the backup" quietly authserver user add lee < <(echo "$password")

check "everything is deleted" quietly "${compose[@]}" down --volumes
check "the volumes are made" quietly "${compose[@]}" up --no-start init
check "the keys are put back" \
	eval 'docker cp - "$(container init):/var/lib/hallpass/keys" <"$work/keys.tar"'
check "both databases start alone" \
	eval 'start postgres items-postgres && wait_for 60 all_healthy postgres 1 && wait_for 60 all_healthy items-postgres 1'
check "nothing else runs" [ -z "$(replicas authserver)$(replicas resourceserver)$(replicas caddy)" ]
check "the dump is restored" quietly "${compose[@]}" exec -T postgres \
	pg_restore -U hallpass --no-owner --exit-on-error --single-transaction -d hallpass <"$work/hallpass.dump"
check "that of the items is restored" quietly "${compose[@]}" exec -T items-postgres \
	pg_restore -U hallpass --no-owner --exit-on-error --single-transaction -d hallpass <"$work/items.dump"
check "a new epoch begins, and all keys are replaced" quietly "${compose[@]}" run --rm -T migrate restore --new-epoch
modes=$(docker run --rm --network none --entrypoint sh -v "${project}_keys:/keys:ro" "$database_image" \
	-c 'stat -c "%a %u %g" /keys /keys/*.json | sort -u' | xargs)
check "the keys have their owner and mode" [ "$modes" = '600 65532 65532 755 65532 65532' ]
check "everything starts" eval 'start && wait_for 60 all_healthy authserver 1 && wait_for 60 all_healthy resourceserver 1'
check "kim logs in, and lee is unknown" \
	eval '[ -n "$(login kim "$password" | token_of)" ] && [ -z "$(login lee "$password" | token_of)" ]'
check "a token from before is refused" response_is 401 '' "$(me "$kims")"
check "a new one is accepted" response_is 200 '"kim"' "$(me "$(login kim "$password" | token_of)")"
token=$(login john.doe securepassword | token_of)
check "the item is still there" written 200
