#!/usr/bin/env bash
# `make tsan`: builds the tests of FastPath, which has the threads, with ThreadSanitizer in a folder of its own and runs
# those that share something between threads; no suppressions, a report is a failure. Then each race of
# Sources/FastPath/PlantedRace.swift is run, and must be reported. What was said stays in .build-tsan/tests.log and
# races.log, a line a run in results.tsv.
# Usage: tsan.sh [FILTER]; SLUICE_TESTS=FastPathTests,EngineTests builds other test targets.
set -euo pipefail
cd "$(dirname "$0")/.."
# Of all of them, those whose threads share something, which have been run through to the end.
filter=${1:-HandOverThreadTests|RateLimitTests|OfferIdentityTests|ToldIDTests|OffloadTests}
folder=.build-tsan
export SLUICE_TESTS=${SLUICE_TESTS:-FastPathTests} SLUICE_SANITIZED=1 SLUICE_PLANTED=1
# The backtracer would hold a process that the sanitizer ends. And Swift's own setting passes over what memcpy and
# memmove touch, which is every byte of every event.
export SWIFT_BACKTRACE=enable=no
export TSAN_OPTIONS="exitcode=66 ignore_interceptors_accesses=0 history_size=4 second_deadlock_stack=1"
# Inlined C is instrumented for its plain accesses only when Clang is told inside of Swift too.
flags=(--sanitize=thread -Xswiftc -Xcc -Xswiftc -fsanitize=thread --scratch-path "$folder")
[ -n "${SLUICE_SKIP_BUILD:-}" ] || swift build --build-tests "${flags[@]}"

# What a run says, in one line that is kept.
tell() { printf '%s\t%s\n' "$(date -u +%FT%TZ)" "$1" | tee -a "$folder/results.tsv"; }

log="$folder/tests.log"
failed=0
status=0
swift test --skip-build "${flags[@]}" --filter "$filter" > "$log" 2>&1 || status=$?
reports=$(grep -a -c 'WARNING: ThreadSanitizer' "$log" || true)
count=$(grep -a -o -E 'Test run with [0-9]+ tests? in [0-9]+ suites?' "$log" | tail -1 || true)
tell "$SLUICE_TESTS, $filter: ${count:-no test was run}; $reports reports; exit status $status"
if [ "$status" -ne 0 ] || [ "$reports" -ne 0 ] || [ -z "$count" ]; then
    failed=1
    grep -a -E 'SUMMARY: |^ +#[0-3] |^✘ Test ' "$log" | head -40 || true
fi

races=$(sed -n 's/^ *case \(.*\)$/\1/p' Sources/FastPath/PlantedRace.swift | tr -d ' ' | tr ',' '\n')
: > "$folder/races.log"
for race in $races; do
    [ "$race" = none ] && continue
    log="$folder/race.log"
    # Whether two threads meet in it is chance.
    for _ in 1 2 3 4 5; do
        SLUICE_RACE=$race swift test --skip-build "${flags[@]}" --filter HandOverThreadTests > "$log" 2>&1 || true
        cat "$log" >> "$folder/races.log"
        ! grep -a -q 'WARNING: ThreadSanitizer: .*race' "$log" || break
    done
    if grep -a -q 'WARNING: ThreadSanitizer: .*race' "$log"; then
        tell "$race: reported; $(grep -a -m 1 'SUMMARY: ' "$log" | sed 's|.*/||' || true)"
    else
        tell "$race: NOT REPORTED"
        failed=1
    fi
done
exit "$failed"
