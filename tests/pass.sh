#!/usr/bin/env bash
# Runs a command with an empty password store and a key of its own for it. Needs pass and gpg.
set -euo pipefail
folder=$(mktemp -d)
export GNUPGHOME=$folder/gpg PASSWORD_STORE_DIR=$folder/store
trap 'gpgconf --kill all; rm -rf "$folder"' EXIT
mkdir -m 700 "$GNUPGHOME"
gpg --quiet --batch --passphrase '' --quick-generate-key whsec-test default default never 2>/dev/null
pass init whsec-test >/dev/null
"$@"
