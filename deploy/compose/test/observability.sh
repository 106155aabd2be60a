# Part of deploy/compose/test.sh: the profile observability, without Grafana and Tempo. Prometheus is the one of
# docker-compose.yml. A Caddy that logs requests stands in for Tempo.

### Prometheus

prometheus_image=$("${compose[@]}" --profile observability config |
	awk '/^  [a-z-]+:$/ { service = $1 } service == "prometheus:" && $1 == "image:" { print $2 }')
PROMETHEUS_PORT=$(free_port $((HALLPASS_API_PORT + 100)))
export PROMETHEUS_PORT

# value QUERY prints the value of the first series of a query to Prometheus, without its decimals.
value() {
	curl -sS -m 10 -G "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query" --data-urlencode "query=$1" 2>/dev/null |
		sed -n 's/.*"value":\[[0-9.]*,"\([^".]*\).*/\1/p'
}
# scraped AUTH API succeeds if Prometheus scrapes that many servers of each tier, and no other target.
scraped() {
	[ "$(value 'sum(up{job="authserver"})') $(value 'sum(up{job="resourceserver"})') $(value 'count(up)')" = \
		"$1 $2 $(($1 + $2))" ]
}
# positive QUERY succeeds if the value of a query is greater than 0.
positive() {
	local n
	n=$(value "$1")
	[ "${n:-0}" -gt 0 ]
}

test_prometheus() {
	check "Prometheus starts" start prometheus
	check "two servers of each tier run" scale 2 2
	check "Prometheus finds and scrapes all of them" wait_for 90 scraped 2 2
	for i in 1 2 3 4; do me "$(login john.doe securepassword | token_of)" >/dev/null; done
	check "it counts the logins" wait_for 60 \
		positive 'sum(hallpass_logins_total{job="authserver",result="ok"}) >= 4'
	check "and the calls of the API" wait_for 60 \
		positive 'sum(http_request_duration_seconds_count{job="resourceserver",route="/users/me",status="200"}) >= 4'
	check "the status lists of all APIs are fresh" positive \
		'count(hallpass_status_list_age_seconds{job="resourceserver"} < 10) == 2'
	check "the rules of the alerts are loaded" \
		eval '[ "$(rules_with health ok)" -ge 10 ] && [ "$(rules_with health err)" = 0 ]'
	check "no alert fires" [ "$(rules_with state firing)" = 0 ]
	check "Prometheus is in the networks of the metrics, and in none of the databases" \
		[ "$(networks_of "$(replicas prometheus)")" = "$api_metrics $metrics ${project}_observability " ]
	check "it has no capabilities, and a read-only file system" [ "$(docker inspect \
		-f '{{.HostConfig.CapDrop}} {{.HostConfig.ReadonlyRootfs}}' "$(replicas prometheus)")" = '[ALL] true' ]
	check "one server of each tier runs" scale 1 1
	check "Prometheus forgets those that have stopped" wait_for 60 scraped 1 1
	check "no alert waits" wait_for 60 eval '[ -z "$(value "count(ALERTS)")" ]'
	docker stop "$(replicas resourceserver)" >/dev/null
	check "an alert waits when the API has stopped" wait_for 90 positive \
		'count(ALERTS{alertname=~"ServerDown|ServersMissing"})'
	check "the API starts again" eval 'start && wait_for 60 scraped 1 1'
}

# rules_with FIELD VALUE prints how many rules of Prometheus have the value in the field.
rules_with() {
	curl -sS -m 10 "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/rules" | grep -o "\"$1\":\"$2\"" | count
}

if docker image inspect "$prometheus_image" >"$work/output" 2>&1 ||
	docker pull -q "$prometheus_image" >"$work/output" 2>&1; then
	test_prometheus
else
	left_out="Prometheus: there is no image $prometheus_image, and it cannot be pulled"
	say "      left out: $left_out"
fi

### Traces

docker run -d --rm --label "$project" --name "$project-tempo" --network "$traces" --network-alias tempo \
	--entrypoint caddy "$(docker inspect -f '{{.Config.Image}}' "$(replicas caddy)")" \
	respond --listen :4318 --access-log >"$work/output"
export HALLPASS_OTLP_ENDPOINT=http://tempo:4318
check "the servers start with an endpoint for traces" \
	eval 'start && wait_for 60 all_healthy authserver 1 && wait_for 60 all_healthy resourceserver 1'
# sends_traces SERVICE succeeds if spans of the service have arrived.
sends_traces() {
	docker logs "$project-tempo" 2>&1 | grep '"uri":"/v1/traces"' |
		grep -q "\"remote_ip\":\"$(address_in "$traces" "$(replicas "$1")")\""
}
me "$(login john.doe securepassword | token_of)" >/dev/null
for service in authserver resourceserver; do
	check "$service sends traces" wait_for 60 sends_traces $service
done
