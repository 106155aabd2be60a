#!/bin/sh
# Installs what the tests need beyond Go and make. On a system without apt-get it says
# what that is.
set -eu

# gcc, libc6-dev  for the race detector
# chromium        opens the docs page
# curl            for the commands that `make run` and the README show
# postgresql      the other database engine
# caddy           the proxy in front of several servers
packages='gcc libc6-dev chromium curl postgresql caddy'

if ! command -v apt-get >/dev/null; then
	echo "This system has no apt-get. Install by its own means: a C compiler, Chromium, curl, PostgreSQL, Caddy." >&2
	exit 1
fi
if dpkg -s $packages >/dev/null 2>&1; then
	echo "Installed already: $packages"
	exit 0
fi
sudo=''
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -q
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
echo 'The tests need only the programs of PostgreSQL and Caddy. Where Debian has started them as'
echo 'services that you do not want: systemctl disable --now postgresql caddy'
