# Part of deploy/compose/test.sh: deploy/docs/services-example.md with Docker.

compose+=(-f deploy/examples/services/compose.yml)
ORDERS_PORT=$(free_port $((HALLPASS_API_PORT + 1)))
export ORDERS_PORT ORDERS_URL=http://127.0.0.1:$ORDERS_PORT

### Register

quietly "${compose[@]}" build orders-key || give_up "the image of the services could not be built"
# run_job SERVICE ARGUMENT... runs a job to its end.
run_job() { quietly "${compose[@]}" run --rm "$@"; }
check "orders and nightly get keys" eval 'run_job orders-key && run_job nightly-key'
register() { AUTHSERVER="${compose[*]} run --rm -T register" KEYS=/services deploy/examples/services/register.sh; }
check "the APIs and the clients are registered" quietly register
services_secret=$(authserver client add shop --grant password --scope 'orders:write stock:read' 2>"$work/output")
check "an app for the users is registered" [ -n "$services_secret" ]
# order TOKEN COUNT prints the body and the status of an order of apples.
order() {
	curl -sS -m 30 -w ' %{http_code}' "$ORDERS_URL/orders" -H "Authorization: Bearer $1" \
		-d "{\"item\": \"apples\", \"count\": $2}" 2>&1
}
# services_listen succeeds once both services listen.
services_listen() {
	docker logs "$(replicas stock)" 2>&1 | grep -q 'gRPC at' && response_is 401 '' "$(order x 1)"
}
check "stock and orders start" eval 'start stock orders && wait_for 30 services_listen'

### Work

# shop_token RESOURCE prints a token of john.doe for an API, from the app.
shop_token() {
	curl -sS -m 30 "$auth/token" -u "shop:$services_secret" -d grant_type=password -d username=john.doe \
		-d password=securepassword -d "resource=$1" | token_of
}
check "john.doe gets a token for orders" wait_for 30 eval '[ -n "$(shop_token "$ORDERS_URL")" ]'
johns=$(shop_token "$ORDERS_URL")
check "before the first night there are no apples" wait_for 30 eval 'response_is 404 "" "$(order "$johns" 2)"'
check "the nightly job brings some" run_job nightly
check "and runs again" run_job nightly
check "john.doe orders two" response_is 201 '"by":"usr_' "$(order "$johns" 2)"
check "there are not a thousand" response_is 409 '' "$(order "$johns" 1000)"
check "stock logs the user, and that orders acts for the user" \
	eval 'docker logs "$(replicas stock)" 2>&1 | grep -q "apples is read for usr_.* by orders, acting: \[orders\]"'

### Refusals

check "orders refuses a token for the API" response_is 401 '' "$(order "$(login john.doe securepassword | token_of)" 2)"
check "the API refuses a token for orders" response_is 401 '' "$(me "$johns")"
# job_with_key_of NAME runs the nightly job with the private key of another client.
job_with_key_of() {
	docker run --rm --network "$front" -v "${project}_$1-own:/keys/own:ro" "hallpass-services:$tag" nightly \
		-issuer="$auth" -server=http://authserver:9000 -client-key=/keys/own/key.pem -stock=stock:8200 2>&1
}
check "the job gets no token with the key of orders" eval 'job_with_key_of orders | grep -q invalid_client'
check "john.doe logs out everywhere" quietly authserver user logout john.doe
check "a moment later orders refuses the token" wait_for 5 eval 'response_is 401 "" "$(order "$johns" 2)"'

### Isolation

for service in stock orders; do
	check "$service is restricted" restricted "$(replicas $service)"
	check "$service is in two networks" \
		[ "$(networks_of "$(replicas $service)")" = "$front ${project}_services " ]
done
check "stock publishes no port" [ -z "$(docker port "$(replicas stock)")" ]
# files_in VOLUME prints the files of a volume.
files_in() { docker run --rm --network none --entrypoint ls -v "${project}_$1:/keys:ro" "$database_image" /keys; }
check "orders and nightly have a private key each" \
	[ "$(files_in orders-own) $(files_in nightly-own)" = 'key.pem key.pem' ]
# secrets_in VOLUME prints the secrets of an API.
secrets_in() {
	docker run --rm --network none --entrypoint cat -v "${project}_$1:/keys:ro" "$database_image" /keys/api.json
}
check "the secrets of the APIs differ" [ "$(secrets_in orders-api)" != "$(secrets_in stock-api)" ]
keys_of_stock=$(secrets_in stock-api)
check "stock has one secret, its own" eval \
	'[ "$(grep -o "\"kid\"" <<<"$keys_of_stock" | count)" = 1 ] && grep -q urn:example:stock <<<"$keys_of_stock"'
