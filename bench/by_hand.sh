#!/bin/sh
# One definition, looked up by hand as people do it: find and grep over the four checkouts.
#   by_hand.sh WORKSPACE DEFINITION API
set -u
cd "$1" || exit 2
name=${3##*.}
{
    find flashinfer-trace/definitions -name "$2.json"
    grep -rnw --include='*.py' "$name" flashinfer/flashinfer flashinfer/tests
    grep -rn -A3 --include='*.py' '@flashinfer_api' flashinfer/flashinfer
    grep -rnw --include='*.py' "$name" sglang/python/sglang
} >/dev/null
# grep ends with 1 where it finds nothing, which is an answer.
exit 0
