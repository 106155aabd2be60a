#!/bin/sh
# Installs what the tests need beyond Go. On a system without apt-get it says what
# that is.
set -eu

# A C compiler for the race detector; Chromium for the docs page; PostgreSQL and
# Caddy for the store and for several servers side by side; curl for the
# commands that `make run` and the README show.
packages='gcc libc6-dev chromium postgresql caddy curl'

if ! command -v apt-get >/dev/null; then
	echo "This system has no apt-get. Install by its own means: a C compiler, Chromium, PostgreSQL, Caddy, curl." >&2
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
