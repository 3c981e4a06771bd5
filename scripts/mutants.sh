#!/usr/bin/env bash
# Builds the simulator and the gateway with the planted faults of Sources/FastPath/Planted.swift in them, in a folder of
# its own, runs the simulator with each until a seed finds it, and then the suites that must find those which show from
# outside. Without a fault nothing may be found. One line a fault; exit 1 when one escapes.
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=${1:-10000}
path=.build/mutants
SLUICE_PLANTED=1 swift build -c release --product simulate --scratch-path "$path"
SLUICE_PLANTED=1 swift build -c release --product sluice --scratch-path "$path"
simulate="$path/release/simulate"
export SWIFT_BACKTRACE=enable=no

escaped=0
faults=$(sed -n 's/^ *case \(.*\)$/\1/p' Sources/FastPath/Planted.swift | tr -d ' ' | tr ',' '\n')
for fault in $faults; do
    if [ "$fault" = none ]; then
        "$simulate" --seeds 200 --quiet > /dev/null || { echo "none: found something"; escaped=1; }
        continue
    fi
    # A fault that traps the process is found too: the seed at which it did was the last that was begun.
    output=$("$simulate" --planted "$fault" --seeds "$seeds" --quiet 2>&1) && status=0 || status=$?
    if [ "$status" -eq 1 ]; then
        echo "$fault: NOT FOUND in $seeds seeds"
        escaped=1
    elif [ "$status" -eq 2 ]; then
        echo "$fault: NOT RUN: $output"
        escaped=1
    elif [ "$status" -eq 0 ]; then
        echo "$fault: $(grep -m 1 '^SEED=' <<< "$output" | cut -c 1-160)"
    else
        echo "$fault: trapped; $(grep -m 1 -a -o 'Fatal error.*' <<< "$output" | cut -c 1-130)"
    fi
done
SLUICE_BIN="$PWD/$path/release/sluice" python3 -B Tests/Crash/planted.py || escaped=1
exit "$escaped"
