#!/bin/sh
# Entry point of the postgres service in docker-compose.yml. Root copies what the server's user
# must read: the password's file has another owner, and a clone may be private to its owner.
set -eu
umask 077
mkdir -p /tmp/hallpass
cp /hallpass/pg_hba.conf /run/hallpass/password /tmp/hallpass/
# For pg_dump and psql in this container (PGPASSFILE).
printf '*:*:*:hallpass:%s\n' "$(cat /run/hallpass/password)" >/tmp/hallpass/pgpass
cp /hallpass/create-database.sh /docker-entrypoint-initdb.d/
chown -R postgres /tmp/hallpass /docker-entrypoint-initdb.d
exec docker-entrypoint.sh "$@"
