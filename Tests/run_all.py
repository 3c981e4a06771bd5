#!/usr/bin/env python3
"""Runs every suite and the Swift tests, each with a bounded time; ends with one line: `N passed, N failed, N skipped`.

A suite that dies, hangs or reports nothing counts as a failure. Everything a suite started dies with it.
"""

import concurrent.futures
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
FULL = os.environ.get("SLUICE_ROUNDS") == "full"
# Name, arguments in a routine run (None: not in one), arguments in a full one, most seconds it may take in a routine
# run.
SUITES = [
    ("Conformance/suites/operator_suite.py", [], [], 300),
    ("Conformance/suites/operator_messages.py", [], [], 120),
    ("Conformance/suites/operator_cli.py", [], [], 120),
    ("Conformance/suites/safeguards.py", [], [], 120),
    ("Conformance/suites/access.py", [], [], 120),
    ("Conformance/suites/openapi.py", [], [], 240),
    ("Conformance/suites/identity.py", [], [], 120),
    ("Conformance/suites/publishing.py", [], [], 120),
    ("Conformance/suites/event_stream.py", [], [], 180),
    ("Conformance/suites/polling.py", [], [], 120),
    ("Conformance/suites/filters.py", [], [], 150),
    ("Conformance/suites/schemas.py", [], [], 150),
    ("Conformance/suites/secrets_at_rest.py", [], ["--rounds", "50"], 150),
    ("Conformance/suites/svix_api.py", [], [], 270),
    ("Conformance/suites/svix_tasks.py", [], [], 150),
    ("Conformance/suites/svix_messages.py", [], [], 150),
    ("Conformance/suites/contracts.py", [], [], 300),
    ("Conformance/suites/replays.py", [], [], 120),
    ("Conformance/suites/alerts.py", [], [], 150),
    ("Conformance/suites/contract_port.py", [], [], 120),
    ("Conformance/suites/contract_golden.py", [], [], 60),
    ("Conformance/suites/churn.py", [], [], 120),
    ("Conformance/suites/offload_suite.py", [], [], 120),
    ("Conformance/suites/readme_tour.py", [], [], 150),
    ("Conformance/suites/run_http_cases.py", [], ["--stride", "1", "--inputs", "20000"], 300),
    ("Conformance/suites/vectors_port.py", [], [], 240),
    ("Conformance/suites/providers_clients.py", [], [], 120),
    ("Conformance/suites/tools_clients.py", [], [], 120),
    ("Conformance/suites/timing_scenarios.py", [], [], 180),
    ("Conformance/suites/edge.py", [], [], 120),
    ("Conformance/suites/limits.py", [], [], 120),
    ("Conformance/suites/overload.py", [], [], 120),
    ("Conformance/suites/signing.py", [], [], 120),
    ("Conformance/suites/authorization.py", [], [], 180),
    ("Conformance/suites/tls_in.py", [], [], 180),
    ("Conformance/suites/tls_control.py", [], [], 120),
    ("Conformance/suites/senders.py", [], [], 120),
    ("Conformance/suites/delivery.py", [], [], 240),
    ("Conformance/suites/transform.py", [], [], 120),
    ("Conformance/suites/policies.py", [], [], 180),
    ("Conformance/suites/tls_out.py", [], [], 180),
    ("Conformance/suites/traces.py", [], [], 150),
    ("Conformance/suites/ssrf.py", [], [], 90),
    ("Conformance/suites/answers.py", [], [], 120),
    ("Conformance/suites/isolation.py", [], [], 180),
    ("Conformance/suites/rejected.py", [], [], 180),
    ("Conformance/suites/repair.py", [], [], 180),
    ("Conformance/suites/erasure.py", ["--rounds", "4"], ["--rounds", "50"], 180),
    ("Conformance/suites/load.py", [], [], 240),
    ("Conformance/suites/bundle.py", [], [], 300),
    ("Conformance/suites/benchmarks.py", [], [], 600),
    ("Conformance/suites/gate.py", [], [], 420),
    ("Crash/kill9.py", ["--rounds", "5"], ["--rounds", "1000"], 240),
    ("Crash/kill9.py", None, ["--rounds", "100", "--segment", "1MiB", "--retention", "2MiB"], 240),
    ("Crash/api_kill9.py", ["--rounds", "2"], ["--rounds", "50"], 150),
    ("Crash/policies_kill9.py", ["--rounds", "3"], ["--rounds", "50"], 240),
    ("Crash/policies_kill9.py", None, ["--rounds", "720", "--hold", "5"], 400),
    ("Crash/powercut.py", ["--rounds", "3"], ["--rounds", "500", "--megabytes", "6144"], 180),
    ("Crash/powercut.py", None, ["--fs", "xfs", "--rounds", "100"], 180),
    ("Crash/store_powercut.py", None, ["--rounds", "200"], 300),
    ("Crash/crashstates.py", ["--states", "15"], ["--states", "2000"], 300),
    ("Crash/corruption.py", ["--states", "10", "--deliveries", "0"], ["--states", "10000", "--deliveries", "20"], 120),
    ("Crash/io_errors.py", None, [], 600),
    ("Crash/disk_full.py", None, ["--rounds", "30"], 120),
    ("Crash/fsyncgate.py", None, ["--rounds", "20"], 300),
    ("Crash/clocks.py", None, ["--rounds", "20"], 120),
    ("Crash/disk_faults.py", [], [], 300),
    ("Crash/simulator.py", ["--seeds", "1000"], ["--seeds", "20000"], 300),
]


# They measure, or fill the machine.
ALONE = {"gate.py", "isolation.py", "load.py", "offload_suite.py", "rejected.py", "timing_scenarios.py"}
# They need what is built with the Swift tests.
LATE = {"benchmarks.py", "bundle.py", "simulator.py"}
printing = threading.Lock()
# Seconds for the Swift tests; they take some 150.
SWIFT_SECONDS = 420
# For what is built beside the suites, once they are done.
BUILD_SECONDS = 900
BUILD = ["swift", "build", "-c", "release", "--build-tests"]
PRODUCT = os.path.join(ROOT, ".build", "release", "sluice")
# No suite starts later than this in a routine run: one that hangs must not take the others' verdicts along.
ROUTINE_SECONDS = 2400


def swift_tests():
    """(passed, failed, skipped) of `swift test`; what is not a passed test goes through. A bundle that does not build
    is one failure."""
    if not built():
        return 0, 1, 0
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
    """(passed, failed, skipped) of one suite. What it says is printed when it is done: another may run beside it."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile(prefix="sluice-output-") as output:
        counts, problem = run_and_count(script, arguments, seconds, output)
        output.seek(0)
        with printing:
            print(f"-- {script} ({time.monotonic() - began:.0f} s)", flush=True)
            print(output.read().decode("utf-8", "replace"), end="")
            if problem:
                print(f"FAIL  {script}: {problem}")
            sys.stdout.flush()
        return counts


def run_and_count(script, arguments, seconds, output):
    with tempfile.NamedTemporaryFile(prefix="sluice-report-") as report:
        environment = {**os.environ, "SLUICE_SUITE_REPORT": report.name, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-B", os.path.join(HERE, script), *arguments]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
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
            return (0, 1, 0), f"not done within {seconds} s"
        text = report.read()
        if not text:
            return (0, 1, 0), f"ended with status {process.returncode} and no report"
        counts = json.loads(text)
        return (counts["passed"], counts["failed"], counts["skipped"]), None


def built():
    """True when nothing of the tests is left to build; else it says what is wrong."""
    done = subprocess.run(
        BUILD, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        print(f"{done.stdout[-6000:]}\nFAIL  {shlex.join(BUILD)}")
    return done.returncode == 0


@contextlib.contextmanager
def built_ahead():
    """Builds the tests at the lowest priority while the body waits more than it works. Whoever needs them finds them
    built, or builds them and says what is wrong; all is done, or ended, when the body is left."""
    build = subprocess.Popen(
        ["nice", "-n", "19", *BUILD], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True)
    try:
        yield
        build.wait(BUILD_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if build.poll() is None:
            os.killpg(build.pid, signal.SIGKILL)
            build.wait()


@contextlib.contextmanager
def copied_product():
    """What the body's suites run is a copy: a build beside them may link the product anew."""
    if os.environ.get("SLUICE_BIN"):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="sluice-tested-", dir=os.path.dirname(PRODUCT)) as folder:
        os.environ["SLUICE_BIN"] = shutil.copy(PRODUCT, folder)
        try:
            yield
        finally:
            del os.environ["SLUICE_BIN"]


def main():
    started = time.monotonic()
    only = sys.argv[1:]
    counts = []

    def run(suite):
        script, routine, full, seconds = suite
        if not FULL and time.monotonic() - started > ROUTINE_SECONDS:
            with printing:
                print(f"FAIL  {script}: not started, {ROUTINE_SECONDS} s are over", flush=True)
            return 0, 1, 0
        # Beside another suite one takes longer.
        return run_suite(script, full if FULL else routine, seconds * (12 if FULL else 2))

    chosen = [suite for suite in SUITES if not only or any(word in suite[0] for word in only)]
    chosen = [suite for suite in chosen if FULL or suite[1] is not None]
    # Most suites wait more than they work, each for its own gateway: two at a time, the first of them beside what is
    # still to be built. Those that measure run alone.
    alone, late, early = [], [], []
    for suite in chosen:
        name = os.path.basename(suite[0])
        (alone if name in ALONE else late if name in LATE else early).append(suite)
    swift = not only or "swift" in only
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        with contextlib.ExitStack() as beside:
            if early and swift:
                beside.enter_context(copied_product())
                beside.enter_context(built_ahead())
            counts += pool.map(run, early)
            if swift:
                counts.append(swift_tests())
        counts += pool.map(run, late)
    counts += map(run, alone)
    print(f"all suites took {time.monotonic() - started:.0f} s", flush=True)
    passed, failed, skipped = (sum(count[index] for count in counts) for index in range(3))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
