#!/usr/bin/env bash
# Runs what deploy/run.sh runs, with an example beside it, until Ctrl-C. `make run-admin` and `make run-spa` build the
# programs first:
#
#   deploy/run-example.sh admin   the website of deploy/examples/admin, with the administrator ada
#   deploy/run-example.sh spa     the single-page app of deploy/examples/spa
#
# Settings, besides those of deploy/run.sh:
#
#   EXAMPLE_LISTEN   address of the example: 127.0.0.1:7080 for admin, 127.0.0.1:8401 for spa
#   SPA_LIBRARY      file of the npm package oauth4webapi, for spa
set -eu
cd "$(dirname "$0")/.."
umask 077

example=${1:-}
case $example in
admin) listen=${EXAMPLE_LISTEN:-127.0.0.1:7080} ;;
spa) listen=${EXAMPLE_LISTEN:-127.0.0.1:8401} ;;
*)
	echo 'usage: deploy/run-example.sh admin|spa' >&2
	exit 2
	;;
esac
bin=${HALLPASS_BIN:-bin}
export VAR_DIR=${VAR_DIR:-var/$example}
export HALLPASS_DATABASE_URL=sqlite:$VAR_DIR/hallpass.db
issuer=${HALLPASS_ISSUER:-http://${AUTH_LISTEN:-127.0.0.1:9000}}
api=${HALLPASS_AUDIENCE:-http://${API_LISTEN:-127.0.0.1:8000}}
site=http://$listen
registered=$VAR_DIR/$example-client # has the client's secret, if there is one
ada='correct horse battery'

# register adds the client of the example, and for admin an administrator.
register() {
	case $example in
	admin)
		echo "$ada" | "$bin/authserver" user add ada --name 'Ada Lovelace' --group admins
		"$bin/authserver" client add item-admin --name 'Item administration' --grant authorization_code \
			--scope 'openid profile groups items:admin' --redirect-uri "$site/callback" >"$registered"
		;;
	spa)
		"$bin/authserver" client add spa --name Items --public --scope 'openid profile items:read' \
			--grant authorization_code --grant refresh_token --redirect-uri "$site/callback" \
			--post-logout-redirect-uri "$site/"
		: >"$registered"
		;;
	esac
}

# run_example waits for the authorization server, and becomes the example. The demo users are added to an empty
# database only, so nothing may be registered before.
run_example() {
	until "$bin/authserver" healthcheck --admin-listen "${AUTH_ADMIN_LISTEN:-127.0.0.1:9001}" >/dev/null 2>&1; do
		sleep 0.2
	done
	[ -e "$registered" ] || register
	case $example in
	admin)
		echo "Item administration   $site   log in as ada / $ada"
		ADMIN_CLIENT_SECRET=$(cat "$registered") exec "$bin/admin" -listen "$listen" -issuer "$issuer" -api "$api"
		;;
	spa)
		echo "Single-page app       $site   log in as john.doe / securepassword"
		exec "$bin/spa" -listen "$listen" -issuer "$issuer" -api "$api" \
			-library "${SPA_LIBRARY:-deploy/examples/spa/node_modules/oauth4webapi/build/index.js}"
		;;
	esac
}

if [ "$example" = spa ]; then
	export HALLPASS_ALLOWED_ORIGINS=$site${HALLPASS_ALLOWED_ORIGINS:+,$HALLPASS_ALLOWED_ORIGINS}
fi
run_example &
running=$!
trap 'kill $running 2>/dev/null || true' EXIT
trap '' INT TERM HUP # deploy/run.sh stops by them
(
	trap - INT TERM HUP
	exec deploy/run.sh
)
