#!/bin/sh
# Tries the examples beside a worker, with and without a signature (make examples). What cannot be
# tried here is said; where CI is set, at least one of them must be.
set -eu
signing_key="$SIGNING_KEY"
unset SIGNING_KEY

tried=0
try() {
    name="$1"; shift
    tried=1
    for how in plain signed; do
        told="$(if [ "$how" = signed ]; then export SIGNING_KEY="$signing_key"; fi
            KEY="$name-$how" timeout 30 "$@")"
        case "$told" in
            "recorded pay_"*) echo "$name, $how: $told" ;;
            *) echo "$name, $how: FAILED: $told"; exit 1 ;;
        esac
    done
}

python=target/python/bin/python
if $python -c 'import redis, cryptography' 2>/dev/null; then
    try python $python examples/push.py
else
    echo "NOT TRIED: examples/push.py, because redis and cryptography cannot be had from PyPI here"
fi
if [ -d target/node/node_modules/redis ]; then
    cp examples/push.mjs target/node/
    try node node target/node/push.mjs
else
    echo "NOT TRIED: examples/push.mjs, because node is not here, or redis cannot be had from npm"
fi
if [ "$tried" = 0 ] && [ -n "${CI:-}" ]; then
    echo "none of the examples could be tried"; exit 1
fi
