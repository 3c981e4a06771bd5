#!/usr/bin/env bash
# Builds the benchmarks' own package and runs all claims at small size, then the allocation probe. Ends with
# `N passed, N failed` and fails when one of them did. Figures of the small size are for a look, not for quoting.
set -uo pipefail
cd "$(dirname "$0")/../Benchmarks"

swift build -c release || { echo "0 passed, 1 failed"; exit 1; }
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
output="$folder/output"
.build/release/benchmarks --small 2>&1 | tee -a "$output"
TMPDIR="$folder" .build/release/allocation-probe --requests "${PROBE_REQUESTS:-10000}" 2>&1 | tee -a "$output"

# One count line from each; one that is missing is a failure of its own.
read -r passed failed < <(awk '
    /^[a-z ]+: [0-9]+ passed, [0-9]+ failed$/ {
        split($0, part, ": "); split(part[2], n, " "); p += n[1]; f += n[3]; seen++
    }
    END { print p + 0, f + (seen < 2 ? 2 - seen : 0) }' "$output")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
