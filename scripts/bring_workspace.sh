#!/usr/bin/env bash
# bring_workspace.sh FOLDER NAME SOURCE: put the repository SOURCE (a URL or a folder) at
# FOLDER/NAME, or bring what is there up to date. File contents are fetched only as needed.
set -euo pipefail
[ $# -eq 3 ] || { echo "usage: $0 FOLDER NAME SOURCE" >&2; exit 2; }
target=$1/$2
export GIT_LFS_SKIP_SMUDGE=1 GIT_TERMINAL_PROMPT=0

if [ -e "$target/.git" ]; then
    echo "$target: bringing up to date"
    git -C "$target" pull --quiet --ff-only
elif [ -e "$target" ]; then
    echo "$target is there and is no git repository: move it away first" >&2
    exit 1
else
    echo "$target: cloning ${3##*@}"
    mkdir -p "$1"
    filter=()
    [ -d "$3" ] || filter=(--filter=blob:none)
    git clone --quiet "${filter[@]}" -- "$3" "$target"
fi
