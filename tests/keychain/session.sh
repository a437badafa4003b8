#!/usr/bin/env bash
# Runs a command with a keychain of its own: a session bus and an unlocked, empty gnome-keyring, in a temporary home.
# Nothing of it is left afterwards, and the user's own keychain is not touched.
#
#     tests/keychain/session.sh cargo test --locked --lib store::conformance::keychain -- --ignored
#
# For the command: the file KEYRING_PID_FILE has the daemon's process. A daemon that ends by itself, as gnome-keyring's does
# at times when its clients are killed, is started anew. Needs gnome-keyring, dbus and gdbus (libglib2.0-bin).
set -euo pipefail

if [ "${WHSEC_KEYCHAIN_SESSION:-}" != inside ]; then
    home=$(mktemp -d)
    trap 'rm -rf "$home"' EXIT
    mkdir -m 700 "$home/run"
    # A bus that starts nothing by itself: another daemon would come up locked.
    cat >"$home/bus.conf" <<'CONF'
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
CONF
    # Toolchains stay where they are.
    export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
    HOME=$home XDG_RUNTIME_DIR=$home/run XDG_DATA_HOME=$home/data XDG_CONFIG_HOME=$home/config XDG_CACHE_HOME=$home/cache \
        DISPLAY='' WAYLAND_DISPLAY='' WHSEC_KEYCHAIN_SESSION=inside \
        dbus-run-session --config-file="$home/bus.conf" -- "$0" "$@"
    exit
fi

unset WHSEC_KEYCHAIN_SESSION
export KEYRING_PID_FILE=$HOME/keyring.pid
serve() {
    while :; do
        gnome-keyring-daemon --foreground --unlock --components=secrets < <(printf pw) >/dev/null 2>&1 &
        echo $! >"$KEYRING_PID_FILE.new"
        mv "$KEYRING_PID_FILE.new" "$KEYRING_PID_FILE"
        wait $! || true
    done
}
serve &
server=$!
# A stopped daemon does not hear TERM.
trap 'kill "$server"; daemon=$(cat "$KEYRING_PID_FILE"); kill -CONT "$daemon" && kill "$daemon"; wait "$server" || true' EXIT

is_ready() {
    gdbus call --session -d org.freedesktop.DBus -o /org/freedesktop/DBus \
        -m org.freedesktop.DBus.NameHasOwner org.freedesktop.secrets | grep -q true
}
for _ in $(seq 250); do
    is_ready && break
    sleep 0.02
done
is_ready

"$@"
