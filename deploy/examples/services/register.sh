#!/bin/sh
# Registers the APIs and the clients of this example, once. Settings, as environment variables:
#
#   AUTHSERVER   the command of the authorization server; bin/authserver by default
#   KEYS         folder in which it writes the keys of the APIs, and finds the public keys of the clients
#   ORDERS_URL   identifier of the API orders
#
# With `make run`, HALLPASS_DATABASE_URL and HALLPASS_KEYS_FILE say where its data is.
set -eu
authserver=${AUTHSERVER:-bin/authserver}
keys=${KEYS:-var/services}
orders=${ORDERS_URL:-http://127.0.0.1:8100}
stock=urn:example:stock

# Each API gets a secret of its own, so neither can make tokens for the other. An exchange adds no scope: what orders
# needs at stock must be in its users' tokens.
$authserver api add "$orders" --name Orders --scope 'orders:write stock:read' --secret-to "$keys/orders/api.json"
$authserver api add "$stock" --name Stock --scope 'stock:read stock:write' --secret-to "$keys/stock/api.json"

# The API orders may exchange its users' tokens for those of stock, and may only read there.
$authserver client add orders --grant token_exchange --scope stock:read \
	--exchange-from "$orders" --exchange-to "$stock" --jwks-file "$keys/public/orders.jwks.json"

# The job writes, for itself.
$authserver client add nightly --grant client_credentials --scope stock:write \
	--jwks-file "$keys/public/nightly.jwks.json"
