#!/usr/bin/env bash
# `make test`: the product, then the suites against the real binary, beside which the Swift tests are built, then these.
# Its last line alone is the count.
# SLUICE_ROUNDS=full runs the crash suites and the fuzzer at the length a release wants.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh test
scripts/setup.sh clients &
clients=$!
swift build -c release --product sluice || { wait "$clients"; exit 1; }
wait "$clients"
python="$PWD/.venv/bin/python"
[ -x "$python" ] || python=python3
exec "$python" -B Tests/run_all.py
