#!/bin/sh
# Installs what the tests need beyond Go and make: Debian packages and npm modules. On a
# system without apt-get it says what to install.
set -eu
cd "$(dirname "$0")/.."

# gcc, libc6-dev      the race detector
# chromium            the docs page and the login pages in a browser
# curl                the commands that `make run` and the documentation show
# postgresql          the database engine beside SQLite
# caddy               the proxy in front of several servers
# wrk                 the load of `make bench`
# python3-*, nodejs   third-party client libraries; npm installs those for Node.js below
packages='gcc libc6-dev chromium curl postgresql caddy wrk python3-authlib python3-jwt python3-requests-oauthlib'
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
	echo 'The tests need only the programs of PostgreSQL and Caddy. Debian may have started both as services.'
	echo 'To stop them: systemctl disable --now postgresql caddy'
}

if command -v apt-get >/dev/null; then
	install_packages
else
	echo 'This system has no apt-get. Please install: a C compiler, Chromium, curl, PostgreSQL, Caddy, wrk,'
	echo 'Node.js 20 or newer with npm, and the Python libraries Authlib, PyJWT and requests-oauthlib.'
fi
npm ci --prefix deploy/e2e/thirdparty/node --ignore-scripts --no-audit --no-fund
