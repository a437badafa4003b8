#!/usr/bin/env bash
# Holds the dotenv store against the real loaders, python-dotenv and npm dotenv, in a new and an older release of each,
# and against shells that source the file.
# Needs python3 with pip, npm, and the package registries the first time. Keeps everything under target/.
#
#     check.sh --install       installs what is missing, no more
#     check.sh TESTS           with the library's test binary
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
loaders=$PWD/target/dotenv-loaders
mkdir -p "$loaders"

for version in 1.2.4 1.0.1; do
    [ -d "$loaders/python-$version" ] ||
        python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
            --target "$loaders/python-$version" "python-dotenv==$version"
done
for version in 18.0.10 16.4.7; do
    [ -d "$loaders/node-$version/node_modules/dotenv" ] ||
        npm install --silent --no-audit --no-fund --prefix "$loaders/node-$version" "dotenv@$version"
done

[ "$1" != --install ] || exit 0
files=$loaders/files
rm -rf "$files" && mkdir "$files"
trap 'rm -rf "$files"' EXIT
"$1" --quiet --ignored store::dotenv::loaders

for version in 1.2.4 1.0.1; do
    PYTHONPATH="$loaders/python-$version" python3 "$here/check.py" "$files" "$version"
done
for version in 18.0.10 16.4.7; do
    NODE_PATH="$loaders/node-$version/node_modules" node "$here/check.js" "$files" "$version"
done
"$here/check-shells.sh" "$files"
