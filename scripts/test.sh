#!/usr/bin/env bash
# `make test`: the product, then the suites against the real binary, beside which the Swift tests are built, then these.
# The benchmarks are built beside the product, whose larger modules keep one processor busy.
# Its last line alone is the count.
# SLUICE_ROUNDS=full runs the crash suites and the fuzzer at the length a release wants.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh test
scripts/setup.sh clients &
clients=$!
# Their suite builds what is missing, and says what is wrong.
nice -n 19 swift build -c release --package-path Benchmarks >/dev/null 2>&1 &
benchmarks=$!
swift build -c release --product sluice || { wait; exit 1; }
wait "$clients"
wait "$benchmarks" || true
python="$PWD/.venv/bin/python"
[ -x "$python" ] || python=python3
exec "$python" -B Tests/run_all.py
