#!/usr/bin/env bash
# Holds the dotenv store against the real loaders, python-dotenv and npm dotenv, in a new and an older release of each.
# Needs python3 with venv, npm, and the package registries the first time. Keeps everything under target/.
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

files=$loaders/files
rm -rf "$files" && mkdir "$files"
trap 'rm -rf "$files"' EXIT
cargo test --locked --quiet --lib store::dotenv::loaders -- --ignored

for version in 1.2.4 1.0.1; do
    PYTHONPATH="$loaders/python-$version" python3 "$here/check.py" "$files" "$version"
done
for version in 18.0.10 16.4.7; do
    NODE_PATH="$loaders/node-$version/node_modules" node "$here/check.js" "$files" "$version"
done
