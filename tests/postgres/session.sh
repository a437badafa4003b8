#!/usr/bin/env bash
# A PostgreSQL server of its own, on a socket and a port that nobody else knows, for as long as a command runs.
#
#   tests/postgres/session.sh COMMAND [ARGUMENT…]
#
# The command finds the database in WHSEC_TEST_POSTGRES, and the port of a pooler in front of it in WHSEC_TEST_POOLER. In the folder
# WHSEC_TEST_POSTGRES_FOLDER are the server's socket, `ca.pem`, which has signed its certificate, `other.pem`, which has not, and
# `restart`, which ends the server as a crash would and starts it anew.
set -euo pipefail

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || bin=$(dirname "$(command -v initdb || echo /nowhere/initdb)")
[ -x "$bin/initdb" ] || { echo "$0: PostgreSQL's own programs are missing (initdb)" >&2; exit 1; }

folder=$(mktemp -d "${TMPDIR:-/tmp}/whsec-postgres.XXXXXX")
# The server refuses to be root.
as=()
if ((EUID == 0)); then
    chown postgres "$folder"
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi
chmod 755 "$folder"
server=
pooler=
end() {
    [ -z "$pooler" ] || kill -INT "$pooler" 2>/dev/null || true
    # A folder that somebody has moved away meanwhile is no reason to leave the server behind.
    [ -z "$server" ] || { kill -INT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
    # One that was started anew is nobody's child.
    if [ -e "$folder/data/postmaster.pid" ]; then
        "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -m fast -w stop >/dev/null 2>&1 || true
    fi
    rm -rf "$folder"
}
trap end EXIT

cd "$folder"
"${as[@]}" "$bin/initdb" -D "$folder/data" -U postgres -A trust --no-sync --no-instructions -E UTF8 --locale=C >"$folder/initdb.log" 2>&1 ||
    { cat "$folder/initdb.log" >&2; exit 1; }
# A certificate for `localhost` and nothing else, by an authority that nobody else trusts, and one of another authority.
for name in ca other; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$name of a test" \
        -keyout "$folder/$name.key" -out "$folder/$name.pem" 2>/dev/null
done
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" -keyout "$folder/server.key" \
    -out "$folder/server.csr" 2>/dev/null
openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial -days 2 \
    -extfile <(printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n') -out "$folder/server.pem" 2>/dev/null
chmod 600 "$folder"/*.key
chmod 644 "$folder"/*.pem
((EUID)) || chown postgres "$folder/server.key"

# A port that another program has is no reason to fail: another one is tried.
start() {
    port=$((10000 + RANDOM % 20000))
    # `fsync` is off: these tests kill programs, not machines.
    "${as[@]}" "$bin/postgres" -D "$folder/data" -c fsync=off -c listen_addresses=127.0.0.1 -c port="$port" \
        -c ssl=on -c ssl_cert_file="$folder/server.pem" -c ssl_key_file="$folder/server.key" \
        -c unix_socket_directories="$folder" -c max_connections=200 -c log_min_messages=fatal >"$folder/server.log" 2>&1 &
    server=$!
    for ((tries = 0; tries < 600; tries++)); do
        kill -0 "$server" 2>/dev/null || return 1
        ! "$bin/pg_isready" -q -h "$folder" -p "$port" || return 0
        sleep 0.05
    done
    return 1
}
for ((ports = 0; ; ports++)); do
    ! start || break
    ((ports < 10)) || { cat "$folder/server.log" >&2; exit 1; }
done
"$bin/createdb" -h "$folder" -p "$port" -U postgres whsec
# A pooler that gives each transaction whichever connection is free.
export WHSEC_TEST_POOLER=
if command -v pgbouncer >/dev/null; then
    for ((ports = 0; ports < 10; ports++)); do
        WHSEC_TEST_POOLER=$((10000 + RANDOM % 20000))
        printf '%s\n' '[databases]' "* = host=127.0.0.1 port=$port user=postgres" '[pgbouncer]' 'listen_addr = 127.0.0.1' \
            "listen_port = $WHSEC_TEST_POOLER" 'auth_type = any' 'pool_mode = transaction' 'default_pool_size = 2' \
            'unix_socket_dir =' >"$folder/pooler.ini"
        "${as[@]}" pgbouncer -q "$folder/pooler.ini" >"$folder/pooler.log" 2>&1 &
        pooler=$!
        for ((tries = 0; tries < 100; tries++)); do
            kill -0 "$pooler" 2>/dev/null || break
            ! "$bin/pg_isready" -q -h 127.0.0.1 -p "$WHSEC_TEST_POOLER" || break 2
            sleep 0.05
        done
    done
fi
# Ends the server as a crash would, and starts it anew.
printf '#!/bin/sh\ncd /\nexec %s\n' "$(printf '%q ' "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate -w -s \
    -l "$folder/data/again.log" restart)" >"$folder/restart"
chmod 755 "$folder/restart"
cd "$OLDPWD"
export WHSEC_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/whsec" WHSEC_TEST_POSTGRES_FOLDER="$folder"
"$@"
