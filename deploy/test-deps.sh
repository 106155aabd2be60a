#!/bin/sh
# Installs what the tests need beyond Go and make. On a system without apt-get it says
# what that is.
set -eu
cd "$(dirname "$0")/.."

# gcc, libc6-dev      for the race detector
# chromium            opens the docs page
# curl                for the commands that `make run` and the README show
# postgresql          the other database engine
# caddy               the proxy in front of several servers
# python3-*, nodejs   client libraries that others wrote; those of npm follow below
packages='gcc libc6-dev chromium curl postgresql caddy python3-authlib python3-requests-oauthlib'
command -v npm >/dev/null || packages="$packages nodejs npm"

install_packages() {
	if dpkg -s $packages >/dev/null 2>&1; then
		echo "Installed already: $packages"
		return
	fi
	sudo=''
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -q
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
	echo 'The tests need only the programs of PostgreSQL and Caddy. Where Debian has started them as'
	echo 'services that you do not want: systemctl disable --now postgresql caddy'
}

if command -v apt-get >/dev/null; then
	install_packages
else
	echo 'This system has no apt-get. Install by its own means: a C compiler, Chromium, curl, PostgreSQL,'
	echo 'Caddy, Node.js 20 or newer with npm, and the Python libraries Authlib and requests-oauthlib.'
fi
npm ci --prefix deploy/e2e/thirdparty/node --ignore-scripts --no-audit --no-fund
