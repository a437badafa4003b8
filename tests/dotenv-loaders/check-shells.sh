#!/usr/bin/env bash
# Sources what the dotenv store wrote in each shell there is, and compares. Called by check.sh: FOLDER.
# A value is itself again and nothing of it is run, in every file but those with CRLF, where a shell takes the CR too.
set -euo pipefail

folder=$1
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
for shell in sh dash bash; do
    command -v "$shell" >/dev/null || continue
    read=0
    for value in "$folder"/*.value; do
        file=${value%.value}.env
        # The dot keeps line breaks at the end, which `$(…)` takes off.
        found=$(cd "$empty" && env -i PATH=/usr/bin:/bin HOME=/replaced "$shell" -c \
            '. "$1" && printf "%s|%s|%s." "$K" "$K_NEW" "$Z"' x "$file" 2>&1) || true
        if [ -n "$(ls -A "$empty")" ]; then
            echo "$shell ran something of ${file##*/}" >&2
            exit 1
        fi
        [[ $file == *-3.env ]] && continue
        expected=$(cat "$value"; echo .)
        expected=${expected%.}
        if [[ $found != "$expected|$expected|kept." ]]; then
            echo "$shell reads ${file##*/} as $(printf %q "$found")" >&2
            exit 1
        fi
        read=$((read + 1))
    done
    ((read > 60)) || { echo "$shell compared only $read" >&2; exit 1; }
    echo "$shell: $read written files are read alike, and nothing of them is run"
done
