#!/usr/bin/env python3
"""The suites on trial: each fault of Sources/FastPath/Planted.swift that can show from outside is planted into the real
process, and a suite has to fail for it. Without a fault each of them has to pass. Needs a binary with planted faults
(`SLUICE_PLANTED=1 swift build`, as `make mutants` makes it) in SLUICE_BIN."""

import os
import re
import subprocess
import sys

from crashutil import write_result
from report import Report, arguments

HERE = os.path.dirname(os.path.abspath(__file__))
KILLS = ("Crash/kill9.py", "--rounds", "4")
RETAINED = ("Crash/kill9.py", "--rounds", "3", "--segment", "1MiB", "--retention", "2MiB")
STATES = ("Crash/crashstates.py", "--states", "60")
DAMAGE = ("Crash/corruption.py", "--states", "12", "--deliveries", "3")
LIMITS = ("Conformance/suites/limits.py",)
OVERLOAD = ("Conformance/suites/overload.py", "--only", "slow_disk")


def faults(row):
    return ("Crash/disk_faults.py", "--only", row)


TRIALS = {
    "answerBeforeSync": STATES,
    "forgetFolderSync": STATES,
    "repeatFailedSync": faults("fsync EIO once"),
    "appendToFailedSegment": faults("fsync EIO once"),
    "shortWriteIsWhole": faults("short writes"),
    "failureIsKept": faults("fsync EIO forever"),
    "trustTornTail": DAMAGE,
    "reuseSequence": KILLS,
    "skipLowWater": RETAINED,
    "keepBuffer": KILLS,
    "freeBufferEarly": KILLS,
    "acceptRefused": LIMITS,
    "markPassesOutstanding": KILLS,
    "forgetRetryRow": KILLS,
    "deliverUnwanted": KILLS,
    "loseOutcome": KILLS,
}


def run(suite, fault):
    """(True when it passed, the first thing that it found)."""
    environment = {**os.environ, "SLUICE_FAULT": fault}
    if not fault:
        del environment["SLUICE_FAULT"]
    try:
        done = subprocess.run(
            [sys.executable, "-B", os.path.join(HERE, os.pardir, suite[0]), *suite[1:]], capture_output=True, text=True,
            env=environment, timeout=600)
    except subprocess.TimeoutExpired:
        return False, "not done within 600 s"
    found = re.search(r"FAIL  (.*)", done.stdout)
    return done.returncode == 0, (found[1] if found else done.stdout[-200:])[:160]


def main():
    options = arguments(__doc__, only="", result="")
    report, found = Report("planted"), {}
    chosen = {fault: suite for fault, suite in TRIALS.items() if options.only in ("", fault)}
    for suite in dict.fromkeys(chosen.values()):
        with report.case(f"no fault: {' '.join(suite)}"):
            passed, said = run(suite, "")
            assert passed, said
    for fault, suite in chosen.items():
        with report.case(fault) as notes:
            passed, said = run(suite, fault)
            assert not passed, f"NOT FOUND by {' '.join(suite)}"
            notes.append(said)
            found[fault] = {"suite": " ".join(suite), "said": said}
    write_result(options.result, "planted", "Tests/Crash/planted.py", found=found)
    report.finish()


if __name__ == "__main__":
    main()
