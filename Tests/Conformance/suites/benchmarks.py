#!/usr/bin/env python3
"""The benchmarks at small size and the allocation probe: each must build, compute what is right, and allocate nothing.

No figure is asserted: what a claim measures depends on the machine, what it computes does not.
"""

import os
import re
import subprocess

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report
from serverutil import ROOT


def main():
    report = Report("benchmarks")
    command = [os.path.join(ROOT, "scripts", "benchmarks.sh")]
    # What a request allocates it allocates each time: a quarter of them finds it as well.
    requests = "10000" if os.environ.get("SLUICE_ROUNDS") == "full" else "2500"
    run = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={"PROBE_REQUESTS": requests, **os.environ})
    for line in run.stdout.splitlines():
        verdict = re.match(r"(ok  |FAIL)  (.+?): (.+)", line)
        if verdict and verdict[1] == "FAIL":
            report.fail(verdict[2], verdict[3])
    counts = re.findall(r"^(\d+) passed, (\d+) failed$", run.stdout, re.MULTILINE)
    if len(counts) != 1:
        report.fail("the script", f"no count; it ended with {run.returncode}: {run.stdout[-600:]}")
        report.finish()
    passed, failed = map(int, counts[0])
    report.passed += passed
    # What failed without a line of its own still counts.
    for _ in range(max(0, failed - report.failed)):
        report.fail("benchmarks.sh", "a claim or the probe ended without saying why")
    if run.returncode != 0 and report.failed == 0:
        report.fail("benchmarks.sh", f"ended with status {run.returncode}")
    report.finish()


if __name__ == "__main__":
    main()
