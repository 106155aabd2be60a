#!/usr/bin/env bash
# Runs what deploy/run.sh runs, with the MCP server of deploy/examples/mcp as another API, until
# Ctrl-C. `make run-mcp` builds them first. Agents that nobody has registered may log users in:
# metadata documents of every host are accepted, also from MCP_DOCUMENTS on this machine, and
# everybody may register clients. Settings, besides those of deploy/run.sh:
#
#   MCP_URL        URL of the MCP server
#   MCP_DOCUMENTS  loopback address and port whose metadata documents are accepted without TLS
set -eu
cd "$(dirname "$0")/.."
umask 077

export VAR_DIR=${VAR_DIR:-var/mcp}
MCP_URL=${MCP_URL:-http://127.0.0.1:7000/mcp}
bin=${HALLPASS_BIN:-bin}
keys=$VAR_DIR/keys.json mcp_keys=$VAR_DIR/mcp-keys.json
export HALLPASS_DATABASE_URL=sqlite:$VAR_DIR/hallpass.db
mkdir -p "$VAR_DIR"

if [ ! -e "$keys" ]; then
	"$bin/authserver" key init "$keys" --api-keys-file "$VAR_DIR/api-keys.json" >/dev/null
fi
if [ ! -e "$mcp_keys" ]; then
	"$bin/authserver" migrate >/dev/null
	"$bin/authserver" api add "$MCP_URL" --name Notes --scope 'notes:read notes:write' \
		--keys-file "$keys" --secret-to "$mcp_keys"
	"$bin/authserver" scope describe notes:read 'Read your note'
	"$bin/authserver" scope describe notes:write 'Change your note'
fi

export HALLPASS_CLIENT_DOCUMENTS=all HALLPASS_REGISTRATION=open
export HALLPASS_INSECURE_FETCH_FROM=${MCP_DOCUMENTS:-127.0.0.1:7001}
auth=${AUTH_LISTEN:-127.0.0.1:9000}
"$bin/mcp" -issuer "${HALLPASS_ISSUER:-http://$auth}" -url "$MCP_URL" -keys "$mcp_keys" &
mcp=$!
trap 'kill $mcp 2>/dev/null || true' EXIT
trap '' INT TERM HUP # deploy/run.sh stops by them
(
	trap - INT TERM HUP
	exec deploy/run.sh
)
