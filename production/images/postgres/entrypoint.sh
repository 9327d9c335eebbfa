#!/bin/bash
# PostgreSQL with one database and one account, both called airflow.
#
# The account's password is read from /run/secrets/postgres_password at every start, so that it
# always is the one in the file. It goes in through standard input, never by a command line.
set -euo pipefail

volume=/var/lib/postgresql/data
cluster=$volume/cluster
secret=/run/secrets/postgres_password

as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }

# Statements for a server that nobody else can connect to, one a line: CLUSTER DATABASE.
run_alone() { as_postgres postgres --single -D "$1" "$2" > /dev/null; }

make_cluster() {
    rm -rf "$cluster.new"
    as_postgres initdb -D "$cluster.new" -U postgres --locale=C.UTF-8 -E UTF8 --auth=peer > /dev/null
    printf '%s\n' 'CREATE ROLE airflow LOGIN' 'CREATE DATABASE airflow OWNER airflow' |
        run_alone "$cluster.new" postgres
    printf '%s\n' 'local all postgres peer' 'local airflow airflow scram-sha-256' \
        > "$cluster.new/pg_hba.conf"
    # A start that is cut off before this begins anew.
    mv "$cluster.new" "$cluster"
}

if [ ! -s "$secret" ]; then
    echo "error: $secret is missing or empty; make it with: make airflow" >&2
    exit 1
fi
install -d -o postgres -g postgres -m 0755 /run/postgresql
chown postgres:postgres "$volume"
chmod 0700 "$volume"
if [ ! -d "$cluster" ]; then make_cluster; fi
echo "ALTER ROLE airflow LOGIN PASSWORD '$(cat "$secret")'" | run_alone "$cluster" postgres
exec setpriv --reuid=postgres --regid=postgres --clear-groups \
    postgres -D "$cluster" -k /run/postgresql -c listen_addresses=
