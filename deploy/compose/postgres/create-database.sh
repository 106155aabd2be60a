# Runs once, when PostgreSQL has made an empty data folder: creates the role hallpass, which owns
# its database and is no superuser. The image's entry point reads this file as a script.
psql -v ON_ERROR_STOP=1 --no-password --username=postgres --dbname=postgres <<'SQL'
\set password `cat /tmp/hallpass/password`
CREATE ROLE hallpass LOGIN PASSWORD :'password';
CREATE DATABASE hallpass OWNER hallpass;
REVOKE ALL ON DATABASE hallpass FROM PUBLIC;
ALTER ROLE postgres PASSWORD NULL;
SQL
