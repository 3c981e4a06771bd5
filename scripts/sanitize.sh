#!/usr/bin/env bash
# `make tsan`, `make asan`: builds Swift tests with ThreadSanitizer, or with AddressSanitizer and LeakSanitizer, in a
# folder of its own and runs them; no suppressions, a report is a failure. Then each fault that is planted for it (the
# races of Sources/FastPath/PlantedRace.swift, the strays of Tests/FastPathTests/PlantedStrayTests.swift) is run, and
# must be reported. What was said stays in tests.log and planted.log of that folder, a line a run in its results.tsv.
# Usage: sanitize.sh thread|address [FILTER]; SLUICE_TESTS=FastPathTests,EngineTests builds other test targets.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-}
filter=${2:-}
# The backtracer would hold a process that the sanitizer ends.
export SWIFT_BACKTRACE=enable=no SLUICE_TESTS=${SLUICE_TESTS:-FastPathTests} SLUICE_SANITIZED=1 SLUICE_PLANTED=1
case "$kind" in
    thread)
        folder=.build-tsan report='WARNING: ThreadSanitizer'
        # Of all of them, those whose threads share something, which have been run through to the end.
        filter=${filter:-HandOverThreadTests|RateLimitTests|OfferIdentityTests|ToldIDTests|OffloadTests}
        # Swift's own setting passes over what memcpy and memmove touch, which is every byte of every event.
        export TSAN_OPTIONS="exitcode=66 ignore_interceptors_accesses=0 history_size=4 second_deadlock_stack=1"
        # Whether two threads meet in a race is chance.
        variable=SLUICE_RACE list=Sources/FastPath/PlantedRace.swift suite=HandOverThreadTests tries="1 2 3 4 5"
        found='WARNING: ThreadSanitizer: .*race'
        ;;
    address)
        folder=.build-asan report='ERROR: (Address|Leak)Sanitizer'
        filter=${filter:-.}
        # What the caller has there counts more: detect_leaks=0 where a process may not be traced.
        options="exitcode=66 detect_leaks=1 detect_stack_use_after_return=1 malloc_context_size=12"
        export ASAN_OPTIONS="$options ${ASAN_OPTIONS:-}"
        variable=SLUICE_STRAY list=Tests/FastPathTests/PlantedStrayTests.swift suite=PlantedStrayTests tries=1
        found=$report
        ;;
    *) echo "usage: sanitize.sh thread|address [FILTER]" >&2 && exit 2 ;;
esac
# Inlined C is instrumented for its plain accesses only when Clang is told inside of Swift too.
flags=("--sanitize=$kind" -Xswiftc -Xcc -Xswiftc "-fsanitize=$kind" --scratch-path "$folder")
[ -n "${SLUICE_SKIP_BUILD:-}" ] || swift build --build-tests "${flags[@]}"

# The tests that match, into the log. XCTest, which none of them is written for, leaks a little of its own.
run() { swift test --skip-build --disable-xctest "${flags[@]}" --filter "$1" > "$log" 2>&1; }
# What a run says, in one line that is kept.
tell() { printf '%s\t%s\n' "$(date -u +%FT%TZ)" "$1" | tee -a "$folder/results.tsv"; }

log="$folder/tests.log"
failed=0
status=0
run "$filter" || status=$?
reports=$(grep -a -E -c "$report" "$log" || true)
count=$(grep -a -o -E 'Test run with [0-9]+ tests? in [0-9]+ suites?' "$log" | tail -1 || true)
tell "$SLUICE_TESTS, $filter: ${count:-no test was run}; $reports reports; exit status $status"
if [ "$status" -ne 0 ] || [ "$reports" -ne 0 ] || [ -z "$count" ]; then
    failed=1
    grep -a -E 'SUMMARY: |^ +#[0-3] |^✘ Test ' "$log" | head -40 || true
fi

: > "$folder/planted.log"
for name in $(sed -n 's/^ *case \([a-zA-Z, ]*\)$/\1/p' "$list" | tr -d ' ' | tr ',' '\n'); do
    [ "$name" = none ] && continue
    log="$folder/fault.log"
    for _ in $tries; do
        (export "$variable=$name" && run "$suite") || true
        cat "$log" >> "$folder/planted.log"
        ! grep -a -E -q "$found" "$log" || break
    done
    if grep -a -E -q "$found" "$log"; then
        tell "$name: reported; $(grep -a -m 1 'SUMMARY: ' "$log" | sed 's|/[^ ]*/||' || true)"
    else
        tell "$name: NOT REPORTED"
        failed=1
    fi
done
exit "$failed"
