#!/usr/bin/env bash
# Installs the browser that the tests of the page use, where this is Debian and one may.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
    if command -v "$name"; then
        exit 0
    fi
done
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "There is no Chromium, and only root can install it, with apt-get." >&2
    exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null
command -v chromium
