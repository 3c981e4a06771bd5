#!/usr/bin/env bash
# `make run`: one gateway, one endpoint, one signed webhook, shown from outside. On a terminal the gateway then stays
# until Ctrl-C; in a pipe the script ends with status 0 when the webhook has gone through. Leaves nothing but the build.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh run
echo "Building (some minutes the first time) …"
swift build -c release --product sluice
sluice="$(swift build -c release --show-bin-path)/sluice"

folder="$(mktemp -d "${TMPDIR:-/tmp}/sluice-demo.XXXXXX")"
gateway="" sink=""
finish() {
    [ -z "$gateway" ] || kill -TERM "$gateway" 2>/dev/null || true
    [ -z "$gateway" ] || wait "$gateway" 2>/dev/null || true
    [ -z "$sink" ] || kill -TERM "$sink" 2>/dev/null || true
    [ -z "$sink" ] || wait "$sink" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 0' INT TERM

read -r ingest admin hooks < <(python3 - <<'PORTS'
import socket
held = [socket.socket() for _ in range(3)]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
PORTS
)
secret="demo-secret-$RANDOM$RANDOM" endpoint_secret="whsec_$(head -c 24 /dev/urandom | base64)"

cat > "$folder/sluice.yaml" <<YAML
listen: 127.0.0.1:$ingest
admin: 127.0.0.1:$admin
data: $folder/data
log: { segment: 16MiB, group: 4MiB }
delivery: { allow: ["127.0.0.0/8"] }
sources:
  - name: github
    provider: github
    secrets: ["\${DEMO_SECRET}"]
endpoints:
  - name: sink
    url: http://127.0.0.1:$hooks/hooks
    secret: "\${DEMO_ENDPOINT_SECRET}"
YAML

export DEMO_SECRET="$secret" DEMO_ENDPOINT_SECRET="$endpoint_secret"
"$sluice" sink --listen "127.0.0.1:$hooks" --secret "$endpoint_secret" --ledger "$folder/ledger" \
    > "$folder/sink.log" 2>&1 &
sink=$!
"$sluice" serve --config "$folder/sluice.yaml" > "$folder/gateway.log" 2>&1 &
gateway=$!

wait_for() { # WHAT SECONDS COMMAND…
    local what="$1" end=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ] || ! kill -0 "$gateway" 2>/dev/null; then
            echo "sluice: no $what; the gateway said:" >&2
            cat "$folder/gateway.log" "$folder/sink.log" >&2
            exit 70
        fi
        sleep 0.1
    done
}
is_ready() { python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$admin/ready', timeout=1)"; }
delivered() { [ -s "$folder/ledger" ]; }

wait_for "gateway" 30 is_ready
echo
echo "1. The gateway listens on 127.0.0.1:$ingest; an endpoint waits on 127.0.0.1:$hooks."
echo "2. A GitHub event, signed as GitHub signs, goes in:"
url="http://127.0.0.1:$ingest/in/github"
"$sluice" send --provider github --secret "$secret" --url "$url" --type push | sed 's/^/     /'
wait_for "delivery" 15 delivered
echo "3. It is on disk, and the endpoint has it, signed again (Standard Webhooks):"
sed 's/^/     /' "$folder/ledger"
echo "4. The gateway's list of events:"
"$sluice" events list --config "$folder/sluice.yaml" | sed 's/^/     /'
echo
if [ -t 1 ] && [ -t 0 ]; then
    cat <<NEXT
It keeps running; Ctrl-C stops it. In another terminal:
  $sluice send --provider github --secret $secret --url $url --count 1000
  curl -H "Authorization: Bearer \$(cat $folder/data/platform.key)" http://127.0.0.1:$admin/metrics
README.md has the tour; docs/configuration.md has every key.
NEXT
    wait "$gateway" || true
else
    echo "It went through. On a terminal the gateway keeps running; README.md has the tour."
fi
