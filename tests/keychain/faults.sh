#!/usr/bin/env bash
# Puts a keychain into trouble and looks at what the store makes of it, with the library's test binary:
#
#     tests/keychain/session.sh tests/keychain/faults.sh target/debug/deps/whsec-…
#
# Needs secret-tool (libsecret-tools) besides what session.sh needs.
set -euo pipefail
tests=$1

check() {
    # `1 passed` in so many words: a name that matches no test must not count as success.
    "$tests" "store::keychain::tests::$1" --exact --ignored | grep -q '1 passed' || { echo "keychain: $1 FAILED" >&2; exit 1; }
    echo "keychain: $1 ok"
}

printf 'written by secret-tool' | secret-tool store --label=test service whsec-other username account
printf '\377\376' | secret-tool store --label=test service whsec-binary username account
check with_another_client
[ "$(secret-tool lookup service whsec-other username account)" = 'written by whsec' ]

kill -STOP "$(cat "$KEYRING_PID_FILE")"
check stopped
kill -CONT "$(cat "$KEYRING_PID_FILE")"

gdbus call --session -d org.freedesktop.secrets -o /org/freedesktop/secrets \
    -m org.freedesktop.Secret.Service.Lock "['/org/freedesktop/secrets/collection/login']" >/dev/null
check locked

DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent check without_a_bus
