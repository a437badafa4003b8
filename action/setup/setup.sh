#!/usr/bin/env bash
# Installs the whsec that is named by its digest, for the steps that follow. Whatever is wrong, nothing is installed.
set -euo pipefail

fail() {
    echo "::error title=whsec setup::$1"
    exit 1
}

bin=${RUNNER_TEMP:?}/whsec-bin
# One that an earlier step has installed does not stand in for this one.
rm -rf "$bin"

# No input is shown before its form is known: a line break in it could begin another command of the runner's.
[[ "$SETUP_VERSION" =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail "version: give the version that is to be installed, as 0.1.0"
[[ "$SETUP_SHA256" =~ ^[0-9a-f]{64}$ ]] || fail "sha256: give the 64 hexadecimal digits of the binary that you have built or reviewed"
[[ "$SETUP_URL" =~ ^(https|file)://[^[:space:]]+$ ]] || fail "url: give the binary's address, which begins with https://"
[[ "$SETUP_ATTESTED_BY" =~ ^([0-9A-Za-z_.-]+/[0-9A-Za-z_.-]+)?$ ]] || fail "attested-by: give OWNER/REPO, or nothing"

work=$(mktemp -d "$RUNNER_TEMP/whsec-setup.XXXXXX")
trap 'rm -rf "$work"' EXIT

curl --fail --silent --show-error --location --proto '=https,file' --proto-redir '=https' --retry 3 --max-time 300 \
    --output "$work/whsec" -- "$SETUP_URL" || fail "the binary cannot be had from $SETUP_URL"
printf '%s  %s\n' "$SETUP_SHA256" "$work/whsec" | sha256sum --check --status - ||
    fail "what is at $SETUP_URL has another SHA-256 than the one that is pinned: it is not installed"
if [[ -n "$SETUP_ATTESTED_BY" ]]; then
    command -v gh >/dev/null || fail "an attestation by $SETUP_ATTESTED_BY is to be verified, and there is no gh on this machine"
    gh attestation verify "$work/whsec" --repo "$SETUP_ATTESTED_BY" ||
        fail "no attestation by $SETUP_ATTESTED_BY holds for the binary: it is not installed"
fi
chmod 755 "$work/whsec"
said=$("$work/whsec" --version) || fail "the binary does not run on this machine"
[[ "$said" == "whsec $SETUP_VERSION" ]] || fail "the binary is another version than $SETUP_VERSION"

mkdir "$bin"
mv "$work/whsec" "$bin/whsec"
echo "$bin" >>"$GITHUB_PATH"
echo "path=$bin/whsec" >>"$GITHUB_OUTPUT"
echo "whsec $SETUP_VERSION is installed, sha256 $SETUP_SHA256${SETUP_ATTESTED_BY:+, attested by $SETUP_ATTESTED_BY}"
