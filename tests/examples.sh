#!/bin/sh
# Tries the programs of examples/ beside a worker, with and without a signature (make examples), and
# says what it could not try.
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

# A receiver hears of what is asked for here.
events=target/examples-events.log
python3 examples/receive.py "$EVENTS_PORT" > "$events" &
receiver=$!
trap 'kill $receiver 2>/dev/null || true' EXIT

heard() {
    for _ in $(seq 300); do
        if grep -q '^payment.paid pay_' "$events"; then echo "receive.py: $(tail -1 "$events")"; return; fi
        sleep 0.1
    done
    echo "receive.py: FAILED: it heard of no payment: $(cat "$events")"
    exit 1
}

python=target/python/bin/python
if $python -c 'import redis, cryptography' 2>/dev/null; then
    try python $python examples/push.py
else
    echo "NOT TRIED: examples/push.py, because redis and cryptography could not be installed from PyPI"
fi
if [ -d target/node/node_modules/redis ]; then
    cp examples/push.mjs target/node/
    try node node target/node/push.mjs
else
    echo "NOT TRIED: examples/push.mjs, because node is missing, or redis could not be installed from npm"
fi

if [ "$tried" = 1 ]; then heard; fi
{ kill $receiver && wait $receiver; } 2>/dev/null || true

# A whole service each: by HTTP, in a browser, by events, and by Redis.
hotel() {
    name="$1"; shift
    echo "== $name"
    if told="$(timeout 120 "$@" 2>&1)"; then echo "$told"; else echo "$told"; echo "$name: FAILED"; exit 1; fi
}

browser() {
    command -v chromedriver >/dev/null && timeout 60 chromium --headless=new --no-sandbox \
        --disable-dev-shm-usage --dump-dom about:blank >/dev/null 2>&1
}

if ! browser; then
    echo "NOT TRIED: examples/hotel.py and examples/hotel.mjs, because Chromium could not be installed"
else
    if $python -c 'import redis' 2>/dev/null; then hotel hotel.py $python examples/hotel.py; fi
    if [ -d target/node/node_modules/redis ]; then
        cp examples/hotel.mjs target/node/
        hotel hotel.mjs node target/node/hotel.mjs
    fi
fi
[ "$tried" = 1 ] || echo "NOT TRIED: any example"
