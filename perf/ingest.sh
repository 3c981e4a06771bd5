#!/usr/bin/env bash
# Ingest beside the durable limit probe (C on io_uring, the same HMAC, append and fdatasync) and nginx, in one run.
# Quote the ratios: absolute figures hold for one machine and one moment. Needs wrk, nginx, gcc, the shared bench
# folder.
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
compare() {
    python3 "$bench/compare.py" probe-durable nginx --seconds "$seconds" --rounds "$rounds" --name sluice \
        --server "$PWD/perf/serve.sh {port} $folder" --url "http://127.0.0.1:{port}/in/github" "$@"
}
commit="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
echo "commit $commit, $(uname -r), $(nproc) processors, $(date -u +%F)"
compare --connections 64,256 --body 1024
rm -rf "$folder"/run.*
compare --connections 64 --body 16384
