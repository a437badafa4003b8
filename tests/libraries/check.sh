#!/usr/bin/env bash
# Holds `verify` and `probe` against independent libraries of Python and Node: each signs for the other, right and wrong, and
# receivers that verify with them are probed. Needs python3 with pip, npm, and the package registries the first time.
# Keeps everything under target/.
#
#     check.sh --install       installs what is missing, no more
#     check.sh TESTS           with the test binary of tests/it
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
libraries=$PWD/target/libraries
mkdir -p "$libraries"

[ -d "$libraries/python/standardwebhooks" ] ||
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --target "$libraries/python" standardwebhooks==1.1.0 svix==2.9.1 stripe==16.1.0
[ -d "$libraries/node/node_modules/standardwebhooks" ] ||
    npm install --silent --no-audit --no-fund --prefix "$libraries/node" \
        standardwebhooks@1.1.1 svix@1.99.1 stripe@22.4.0

# Providers' own, apart from the others: each pulls in what it likes.
[ -d "$libraries/providers/python/twilio" ] ||
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --target "$libraries/providers/python" twilio==9.13.0 slack_sdk==3.47.0
[ -d "$libraries/providers/node/node_modules/twilio" ] ||
    npm install --silent --no-audit --no-fund --prefix "$libraries/providers/node" \
        twilio@6.2.0 @octokit/webhooks-methods@6.0.0 @line/bot-sdk@11.0.0 square@46.0.0

[ "$1" != --install ] || exit 0
export WHSEC_TEST_LIBRARIES=$libraries
export PYTHONPATH=$libraries/python NODE_PATH=$libraries/node/node_modules
"$1" --quiet --ignored libraries::ours
python3 "$here/check.py" "$libraries"
node "$here/check.js" "$libraries"
"$1" --quiet --ignored --nocapture libraries::theirs
"$1" --quiet --ignored --nocapture libraries::receivers
"$1" --quiet --ignored libraries::providers_ours
PYTHONPATH=$libraries/providers/python python3 "$here/providers.py" "$libraries"
# What is imported is looked for beside the script.
mkdir -p "$libraries/providers/node" && cp "$here/providers.js" "$libraries/providers/node/"
node "$libraries/providers/node/providers.js" "$libraries"
"$1" --quiet --ignored --nocapture libraries::providers_theirs
