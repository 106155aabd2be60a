# Part of deploy/compose/test.sh.

### MCP

compose+=(-f deploy/compose/mcp.yml)
MCP_PORT=$(free_port $((HALLPASS_API_PORT + 1)))
mcp=http://127.0.0.1:$MCP_PORT/mcp
export MCP_PORT MCP_URL=$mcp
quietly "${compose[@]}" build mcp || give_up "the image of the MCP server could not be built"
check "the MCP server starts, twice" eval 'start && start && wait_for 60 [ "$(replicas mcp | count)" = 1 ]'
# initialize TOKEN prints the body and the status of the first call of the MCP server.
initialize() {
	curl -sS -m 30 -w ' %{http_code}' "$mcp" -H "Authorization: Bearer $1" -H 'Content-Type: application/json' \
		-H 'Accept: application/json, text/event-stream' -d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{
		"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}'
}
check "its challenge names its metadata" \
	eval 'curl -sS -D - -o /dev/null "$mcp" | grep -qi "resource_metadata=\"http://127.0.0.1:$MCP_PORT/"'
check "anyone may register a client" response_is 201 '"client_id"' "$(curl -sS -w ' %{http_code}' "$auth/register" \
	-H 'Content-Type: application/json' -d '{"redirect_uris":["http://localhost/cb"],"token_endpoint_auth_method":"none"}')"
secret=$(authserver client add agent --grant client_credentials --scope notes:read 2>"$work/output")
# agents_token RESOURCE prints a token of the client agent.
agents_token() {
	curl -sS -m 30 "$auth/token" -u "agent:$secret" -d grant_type=client_credentials -d resource="$1" | token_of
}
check "there is a token for it" wait_for 30 eval '[ -n "$(agents_token "$mcp")" ]'
check "it accepts the token" response_is 200 '"serverInfo"' "$(initialize "$(agents_token "$mcp")")"
check "the API refuses it" response_is 401 '' "$(me "$(agents_token "$mcp")")"
check "it refuses the API's token" response_is 401 '' "$(initialize "$(login john.doe securepassword | token_of)")"
check "it is restricted" restricted "$(replicas mcp)"
check "it is in one network" [ "$(networks_of "$(replicas mcp)")" = "$front " ]
check "it has its own secret alone" \
	eval 'docker run --rm --network none --entrypoint sh -v "${project}_mcp-keys:/keys:ro" "$database_image" \
		-c "cat /keys/*" | { keys=$(cat); [ "$(grep -o "\"kid\"" <<<"$keys" | count)" = 1 ] && grep -q "$mcp" <<<"$keys"; }'
