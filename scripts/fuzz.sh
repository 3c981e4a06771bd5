#!/usr/bin/env bash
# `make fuzz`: builds the fuzzer (Tests/Fuzz) with libFuzzer and AddressSanitizer in a folder of its own, and runs a
# target, or each in turn, for some seconds. What it finds is kept under .build-fuzz/findings, what it learns under
# .build-fuzz/corpus; a line a target goes to .build-fuzz/results.tsv. Exit 1 when something was found.
# Usage: fuzz.sh SECONDS [TARGET ...]; SLUICE_FUZZ_BINARY names a fuzzer that is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
folder=.build-fuzz
# Swift's own backtracer would hold the process that libFuzzer waits for.
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:detect_stack_use_after_return=1}

fuzz=${SLUICE_FUZZ_BINARY:-}
if [ -z "$fuzz" ]; then
    # libFuzzer without its `main` lies beside the compiler's other run-time libraries.
    toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")
    driver=$(find "$toolchain/lib/clang" -name "libclang_rt.fuzzer_no_main*$(uname -m)*.a" | head -1)
    [ -n "$driver" ] || { echo "fuzz: no libFuzzer in $toolchain/lib/clang" >&2 && exit 2; }
    SLUICE_FUZZ="$driver" swift build --product fuzz --scratch-path "$folder"
    fuzz=$folder/debug/fuzz
fi
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cd Tests/Fuzz/corpus && printf '%s\n' *)

mkdir -p "$folder/findings" "$folder/logs"
# Logs that are written and read again need no disk.
scratch=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/sluice-fuzz.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export TMPDIR="$scratch" TIMEFORMAT=%U

found=0
for target in "${targets[@]}"; do
    [ -d "Tests/Fuzz/corpus/$target" ] || { echo "fuzz: there is no target $target" >&2 && exit 2; }
    learned="$folder/corpus/$target"
    log="$folder/logs/$target.log"
    mkdir -p "$learned"
    status=0
    {
        time nice -n 19 "$fuzz" "$target" "$learned" "Tests/Fuzz/corpus/$target" \
            -dict="Tests/Fuzz/dictionaries/$target.dict" -max_total_time="$seconds" -max_len=4096 -timeout=120 \
            -rss_limit_mb=3072 -print_final_stats=1 -artifact_prefix="$folder/findings/$target-" > "$log" 2>&1 ||
            status=$?
    } 2> "$scratch/seconds"
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(grep -a -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2 || true)
    said=nothing
    [ "$status" -eq 0 ] || said=FOUND
    printf '%s\t%s\t%s s\t%s s of a processor\t%s runs\tcov %s\t%s\n' "$(date -u +%FT%TZ)" "$target" "$seconds" \
        "$(tail -1 "$scratch/seconds")" "${runs:-?}" "${covered:-?}" "$said" | tee -a "$folder/results.tsv"
    if [ "$status" -ne 0 ]; then
        found=1
        grep -a -E 'FINDING|Fatal error|ERROR:|SUMMARY|Test unit written' "$log" | head -5 || true
    fi
done
[ "$found" -eq 0 ] || echo "fuzz: the inputs are in $folder/findings; one that is mended goes to Tests/Fuzz/corpus"
exit "$found"
