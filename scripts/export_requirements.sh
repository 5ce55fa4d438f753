#!/usr/bin/env bash
# Write what the image installs, with hashes, from uv.lock. With --check only compare.
set -euo pipefail
cd "$(dirname "$0")/.."

export_group() {
    "${UV:-uv}" export --quiet --locked --no-header --no-annotate --no-emit-project "$@"
}

target=docker
if [ "${1:-}" = "--check" ]; then
    target=$(mktemp -d)
    trap 'rm -r "$target"' EXIT
fi

export_group --no-dev >"$target/requirements.txt"
export_group --only-group image-build >"$target/build-requirements.txt"

if [ "$target" != docker ]; then
    for file in requirements.txt build-requirements.txt; do
        if ! cmp -s "$target/$file" "docker/$file"; then
            echo "docker/$file is not what uv.lock says: run scripts/export_requirements.sh" >&2
            exit 1
        fi
    done
fi
