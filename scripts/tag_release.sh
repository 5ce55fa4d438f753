#!/usr/bin/env bash
# Make the commit of a release, whose action.yml names IMAGE by its DIGEST, and push it as TAG.
set -euo pipefail
cd "$(dirname "$0")/.."

python3 scripts/pin_image.py "${IMAGE:?}" "${DIGEST:?}"
git config user.name "github-actions[bot]"
git config user.email "41898282+github-actions[bot]@users.noreply.github.com"
git commit --quiet -m "chore: release ${TAG:?}" action.yml
git tag "$TAG"
# gh hands the token to git; it stands in no argument and in no file.
git -c credential.helper='!gh auth git-credential' push --quiet \
    "${GITHUB_SERVER_URL:?}/${GITHUB_REPOSITORY:?}.git" "refs/tags/$TAG"
gh release create "$TAG" --verify-tag --generate-notes
