#!/usr/bin/env python3
"""Runs the Swift tests and every suite, each with a bounded time; ends with one line: `N passed, N failed, N skipped`.

A suite that dies, hangs or reports nothing counts as a failure. Everything a suite started dies with it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
FULL = os.environ.get("SLUICE_ROUNDS") == "full"
# Name, arguments in a routine run, arguments in a full one, most seconds it may take in a routine run.
SUITES = [
    ("Conformance/suites/operator_suite.py", [], [], 300),
    ("Conformance/suites/operator_messages.py", [], [], 120),
    ("Conformance/suites/safeguards.py", [], [], 120),
    ("Conformance/suites/churn.py", [], [], 120),
    ("Conformance/suites/offload_suite.py", [], [], 120),
    ("Conformance/suites/readme_tour.py", [], [], 150),
    ("Conformance/suites/run_http_cases.py", [], ["--stride", "1", "--inputs", "20000"], 300),
    ("Conformance/suites/vectors_port.py", [], [], 240),
    ("Conformance/suites/providers_clients.py", [], [], 120),
    ("Conformance/suites/tools_clients.py", [], [], 120),
    ("Conformance/suites/timing_scenarios.py", [], [], 180),
    ("Conformance/suites/edge.py", [], [], 120),
    ("Conformance/suites/tls_in.py", [], [], 180),
    ("Conformance/suites/senders.py", [], [], 120),
    ("Conformance/suites/delivery.py", [], [], 240),
    ("Conformance/suites/tls_out.py", [], [], 180),
    ("Conformance/suites/ssrf.py", [], [], 90),
    ("Conformance/suites/answers.py", [], [], 120),
    ("Conformance/suites/isolation.py", [], [], 180),
    ("Conformance/suites/rejected.py", [], [], 180),
    ("Conformance/suites/load.py", [], [], 240),
    ("Conformance/suites/bundle.py", [], [], 300),
    ("Conformance/suites/benchmarks.py", [], [], 600),
    ("Conformance/suites/gate.py", [], [], 420),
    ("Crash/kill9.py", ["--rounds", "5"], ["--rounds", "50"], 240),
    ("Crash/powercut.py", ["--rounds", "3"], ["--rounds", "30"], 180),
    ("Crash/crashstates.py", ["--states", "40"], ["--states", "300"], 300),
    ("Crash/disk_faults.py", [], [], 300),
]


# Seconds for the Swift tests; they take some forty.
SWIFT_SECONDS = 420
# No suite starts later than this in a routine run: one that hangs must not take the others' verdicts along.
ROUTINE_SECONDS = 2400


def swift_tests():
    """(passed, failed, skipped) of `swift test`; what is not a passed test goes through."""
    command = ["swift", "test", "-c", "release", "--skip-build"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True)
    limit = threading.Timer(SWIFT_SECONDS, os.killpg, [process.pid, signal.SIGKILL])
    limit.start()
    passed = failed = skipped = 0
    finished = False
    for line in process.stdout:
        verdict = re.match(r"\S+ Test (?!run|case)(\S.*?) (passed|failed|skipped)\b", line)
        if verdict:
            passed += verdict[2] == "passed"
            failed += verdict[2] == "failed"
            skipped += verdict[2] == "skipped"
        finished = finished or bool(re.search(r"Test run with \d+ tests?", line))
        if not verdict or verdict[2] != "passed":
            if not re.match(r"\S+ (Test|Suite|Test case) .* (started|passed)\b", line):
                print(line, end="", flush=True)
    status = process.wait()
    limit.cancel()
    if status != 0 and failed == 0 or not finished or passed + failed == 0:
        print(f"FAIL  swift test ended with status {status} after {passed} passed tests", flush=True)
        failed += 1
    return passed, failed, skipped


def run_suite(script, arguments, seconds):
    with tempfile.NamedTemporaryFile(prefix="sluice-report-") as report:
        environment = {**os.environ, "SLUICE_SUITE_REPORT": report.name, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-B", os.path.join(HERE, script), *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            # A clean interrupt first: its `finally` blocks unmount what they mounted.
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            print(f"FAIL  {script}: not done within {seconds} s", flush=True)
            return 0, 1, 0
        text = report.read()
        if not text:
            print(f"FAIL  {script}: ended with status {process.returncode} and no report", flush=True)
            return 0, 1, 0
        counts = json.loads(text)
        return counts["passed"], counts["failed"], counts["skipped"]


def main():
    started = time.monotonic()
    only = sys.argv[1:]
    totals = [0, 0, 0]

    def add(counts):
        for index, count in enumerate(counts):
            totals[index] += count

    if not only or "swift" in only:
        add(swift_tests())
    for script, routine, full, seconds in SUITES:
        if only and not any(word in script for word in only):
            continue
        if not FULL and time.monotonic() - started > ROUTINE_SECONDS:
            print(f"FAIL  {script}: not started, {ROUTINE_SECONDS} s are over", flush=True)
            add((0, 1, 0))
            continue
        print(f"-- {script}", flush=True)
        add(run_suite(script, full if FULL else routine, seconds * (12 if FULL else 1)))
    print(f"all suites took {time.monotonic() - started:.0f} s", flush=True)
    passed, failed, skipped = totals
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
