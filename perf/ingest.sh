#!/usr/bin/env bash
# Ingest beside the durable limit probe (C on io_uring, the same HMAC, append and fdatasync) and nginx, in one run.
# Quote the ratios: absolute figures hold for one machine and one moment. Needs wrk, nginx, gcc, the bench folder.
#   perf/ingest.sh            64 and 256 connections with 1 KiB bodies, then 64 with 16 KiB
#   SECONDS_EACH=2 ROUNDS=1 perf/ingest.sh     a quick look
set -euo pipefail
cd "$(dirname "$0")/.."
bench="${SLUICE_BENCH:-../shared/bench}"
if [ ! -f "$bench/compare.py" ]; then
    echo "perf/ingest.sh: $bench/compare.py is not there; set SLUICE_BENCH to the folder that has it" >&2
    exit 1
fi
folder="$(mktemp -d "${SLUICE_BENCH_DATA:-$PWD/.build}/ingest.XXXXXX")"
trap 'rm -rf "$folder"' EXIT
seconds="${SECONDS_EACH:-4}" rounds="${ROUNDS:-3}"
# The comparison as it is, but for the load: see perf/signed.lua. Its own log goes to the same disk as ours.
mkdir "$folder/bench" "$folder/tmp"
for file in "$(cd "$bench" && pwd)"/*; do ln -s "$file" "$folder/bench/"; done
ln -sf "$PWD/perf/signed.lua" "$folder/bench/signed.lua"
export TMPDIR="$folder/tmp"

compare() { # CONNECTIONS BODY
    python3 "$folder/bench/compare.py" probe-durable nginx --seconds "$seconds" --rounds "$rounds" --name sluice \
        --server "$PWD/perf/serve.sh {port} $folder" --url "http://127.0.0.1:{port}/in/github" \
        --connections "$1" --body "$2" | tee "$folder/table"
    python3 perf/kept.py "$folder" "$seconds"
    rm -rf "$folder"/run.*
}
commit="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
echo "commit $commit, $(uname -r), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg), $(date -u +%F)"
# Connections and body bytes of each table.
for case in ${CASES:-64:1024 256:1024 64:16384}; do compare "${case%:*}" "${case#*:}"; done
