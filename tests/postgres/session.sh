#!/usr/bin/env bash
# A PostgreSQL server of its own, on a socket and a port that nobody else knows, for as long as a command runs.
#
#   tests/postgres/session.sh COMMAND [ARGUMENT…]
#
# The command finds the database in WHSEC_TEST_POSTGRES and the server's folder in WHSEC_TEST_POSTGRES_FOLDER.
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
end() {
    # A folder that somebody has moved away meanwhile is no reason to leave the server behind.
    [ -z "$server" ] || { kill -INT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
    rm -rf "$folder"
}
trap end EXIT

cd "$folder"
"${as[@]}" "$bin/initdb" -D "$folder/data" -U postgres -A trust --no-sync --no-instructions -E UTF8 --locale=C >"$folder/initdb.log" 2>&1 ||
    { cat "$folder/initdb.log" >&2; exit 1; }
# A port that another program has is no reason to fail: another one is tried.
start() {
    port=$((10000 + RANDOM % 20000))
    # `fsync` is off: these tests kill programs, not machines.
    "${as[@]}" "$bin/postgres" -D "$folder/data" -c fsync=off -c listen_addresses=127.0.0.1 -c port="$port" \
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
cd "$OLDPWD"
export WHSEC_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/whsec" WHSEC_TEST_POSTGRES_FOLDER="$folder"
"$@"
