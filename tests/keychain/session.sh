#!/usr/bin/env bash
# Runs a command with a keychain of its own: a session bus and an unlocked, empty gnome-keyring, in a temporary home.
# Nothing of it is left afterwards, and the user's own keychain is not touched.
#
#     tests/keychain/session.sh cargo test --locked --lib store::conformance::keychain -- --ignored
#
# For the command: KEYRING_PID is the daemon's process. Needs gnome-keyring, dbus and gdbus (libglib2.0-bin).
set -euo pipefail

if [ "${WHSEC_KEYCHAIN_SESSION:-}" != inside ]; then
    home=$(mktemp -d)
    trap 'rm -rf "$home"' EXIT
    mkdir -m 700 "$home/run"
    # Toolchains stay where they are.
    export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
    HOME=$home XDG_RUNTIME_DIR=$home/run XDG_DATA_HOME=$home/data XDG_CONFIG_HOME=$home/config XDG_CACHE_HOME=$home/cache \
        DISPLAY='' WAYLAND_DISPLAY='' WHSEC_KEYCHAIN_SESSION=inside dbus-run-session -- "$0" "$@"
    exit
fi

unset WHSEC_KEYCHAIN_SESSION
gnome-keyring-daemon --foreground --unlock --components=secrets < <(printf pw) >/dev/null 2>&1 &
export KEYRING_PID=$!
# A stopped daemon does not hear TERM.
trap 'kill -CONT "$KEYRING_PID"; kill "$KEYRING_PID"; wait "$KEYRING_PID" || true' EXIT

is_ready() {
    gdbus call --session -d org.freedesktop.DBus -o /org/freedesktop/DBus \
        -m org.freedesktop.DBus.NameHasOwner org.freedesktop.secrets | grep -q true
}
for _ in $(seq 250); do
    is_ready && break
    kill -0 "$KEYRING_PID"
    sleep 0.02
done
is_ready

"$@"
