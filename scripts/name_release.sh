#!/usr/bin/env bash
# Check VERSION against pyproject.toml and write the outputs version, tag and image.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ! ${VERSION:?} =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
    echo "::error::a version has the form 1.2.3"
    exit 1
fi
if ! grep -qxF "version = \"$VERSION\"" pyproject.toml; then
    echo "::error::pyproject.toml does not say version = \"$VERSION\""
    exit 1
fi
repository=${GITHUB_REPOSITORY:?}
{
    echo "version=$VERSION"
    echo "tag=v$VERSION"
    echo "image=ghcr.io/${repository,,}"
} >>"${GITHUB_OUTPUT:?}"
