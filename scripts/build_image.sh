#!/usr/bin/env bash
# Build the action's image without a Docker engine, on a Debian machine as root.
#
#   scripts/build_image.sh [TAG]
#
# No registry of images is asked: the base is made of Debian packages with debootstrap, once, and
# stands in for the one that the Dockerfile names. Everything is kept in IMAGE_STORE.
set -euo pipefail
cd "$(dirname "$0")/.."

tag=${1:-localhost/discover-models:test}
store=${IMAGE_STORE:-${XDG_CACHE_HOME:-$HOME/.cache}/discover-models/image}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
release=trixie
base=localhost/python-base:$release
bundle=/etc/ssl/certs/ca-certificates.crt

if [ "$(id -u)" -ne 0 ]; then
    echo "scripts/build_image.sh: needs root (debootstrap and buildah with chroot isolation)" >&2
    exit 1
fi
if ! command -v buildah >/dev/null || ! command -v debootstrap >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends buildah debootstrap
fi
mkdir -p "$store"
store=$(cd "$store" && pwd)

# shellcheck source=scripts/buildah.sh
. scripts/buildah.sh

if ! run_buildah inspect --type image "$base" >/dev/null 2>&1; then
    scratch=$(mktemp -d -p "$store")
    trap 'rm -rf --one-file-system "$scratch"' EXIT
    rootfs=$scratch/rootfs
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
        "$release" "$rootfs" "$mirror" >"$store/debootstrap.log" 2>&1 ||
        { tail -n 20 "$store/debootstrap.log" >&2; exit 1; }
    rm -rf "$rootfs"/var/cache/apt/archives/*.deb "$rootfs"/var/lib/apt/lists/* \
        "$rootfs"/usr/share/{doc,man,locale}
    ln -sf /usr/bin/python3 "$rootfs/usr/local/bin/python"
    tar -C "$rootfs" -cf "$scratch/base.tar" .
    container=$(run_buildah from scratch)
    run_buildah add -q "$container" "$scratch/base.tar" / >/dev/null
    run_buildah config \
        --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
        --cmd python3 "$container"
    run_buildah commit -q --rm "$container" "$base" >/dev/null
fi

# The machine's certificates, so that a proxy of its own is trusted while building.
run_buildah bud -q --isolation chroot --pull=never --from "$base" \
    -v "$bundle:$bundle:ro" -t "$tag" . >/dev/null
run_buildah images --format '{{.Name}}:{{.Tag}} {{.Size}}' "$tag"
