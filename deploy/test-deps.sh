#!/bin/sh
# Installs what the tests need beyond Go and make: Debian packages and npm modules. On a
# system without apt-get it says what to install.
set -eu
cd "$(dirname "$0")/.."

# gcc, libc6-dev      the race detector
# chromium            the docs page and the login pages in a browser
# fonts-nanum         Korean letters on these pages
# curl                the commands that `make run` and the documentation show
# postgresql          the database engine beside SQLite
# pgbouncer           a pool of connections in front of it
# patroni, etcd-server, haproxy, iproute2   what `make test-fleet` and `make soak` let fail over
# caddy               the proxy in front of several servers
# wrk                 the load of `make bench`
# valgrind            the number of instructions that `make guard` compares
# prometheus          the dashboards and alerts of deploy/observability, and the names of metrics
# python3-*, nodejs   third-party client libraries; npm installs those for Node.js below, and a newer Node.js for
#                     the conformance suites of MCP, and what the Node kit is tested with
# python3-fastapi ... mypy   the Python kit: its frameworks, to install it, and to check its types
# apache2-bin, libapache2-mod-auth-openidc   Apache as an OpenID Connect client
packages='gcc libc6-dev chromium fonts-nanum curl postgresql pgbouncer caddy wrk valgrind'
packages="$packages python3-authlib python3-jwt python3-requests-oauthlib python3-flask apache2-bin prometheus libapache2-mod-auth-openidc"
packages="$packages python3-fastapi python3-uvicorn python3-multipart python3-cryptography"
packages="$packages python3-venv python3-setuptools python3-wheel mypy"
packages="$packages patroni python3-etcd etcd-server haproxy iproute2"
command -v npm >/dev/null || packages="$packages nodejs npm"

install_packages() {
	if dpkg -s $packages >/dev/null 2>&1; then
		echo "Already installed: $packages"
		return
	fi
	sudo=''
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -q
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
	echo 'The tests need only the programs of PostgreSQL, PgBouncer, Caddy, Prometheus, Patroni, etcd and HAProxy.'
	echo 'Debian may have started them as services.'
	echo 'To stop them: systemctl disable --now postgresql pgbouncer caddy prometheus \'
	echo '  prometheus-node-exporter patroni etcd haproxy'
}

if command -v apt-get >/dev/null; then
	install_packages
else
	echo 'This system has no apt-get. Please install: a C compiler, Chromium, curl, PostgreSQL, PgBouncer, Caddy,'
	echo 'Prometheus, Patroni, etcd, HAProxy, wrk, valgrind, Node.js 20 or newer with npm,'
	echo 'the Python libraries Authlib, cryptography, FastAPI,'
	echo 'Flask, PyJWT, python-multipart, requests-oauthlib, setuptools, uvicorn and wheel, mypy,'
	echo 'and Apache with mod_auth_openidc.'
fi
npm ci --prefix deploy/e2e/thirdparty/node --ignore-scripts --no-audit --no-fund
npm ci --prefix deploy/kit/node --ignore-scripts --no-audit --no-fund
GOBIN=$PWD/deploy/e2e/thirdparty/bin go install github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6
(cd deploy/e2e/testdata/itemsclient && GOWORK=off go mod download)
