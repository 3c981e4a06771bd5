#!/usr/bin/env python3
"""The benchmark gate: what it says of files, by its exit status, and the tree itself beside its baseline (perf/gate).

The tree fails here only when a figure is worse; a machine without a baseline or too busy to tell passes as undecided.
"""

import json
import os
import subprocess
import sys
import tempfile

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report
from serverutil import ROOT, sluice

PERF = os.path.join(ROOT, "perf")


def rounds(folder, name, subject, effort="quick"):
    """A file of eight rounds around `subject`, by `sluice gate add`."""
    path = os.path.join(folder, name)
    for number in range(8):
        one = subject * (1 + 0.002 * number)
        flags = ["--figure", "a.rate", "--better", "higher", "--effort", effort]
        sluice("gate", "add", path, *flags, "--subject", one, "--yardstick", 8.0, check=0)
    return path


def changed(folder, path, name, change):
    with open(path) as file:
        value = json.load(file)
    change(value)
    other = os.path.join(folder, name)
    with open(other, "w") as file:
        json.dump(value, file)
    return other


def main():
    report = Report("gate")
    with tempfile.TemporaryDirectory(prefix="sluice-gate-") as folder:
        baseline = rounds(folder, "baseline.json", 100)
        with report.case("a run like its baseline is the same, exit 0"):
            done = sluice("gate", rounds(folder, "same.json", 100.1), baseline, "--json", check=0)
            assert json.loads(done.stdout)["verdict"] == "same", done.stdout
        with report.case("a slower one is worse, exit 1, with how much"):
            done = sluice("gate", rounds(folder, "slow.json", 80), baseline, "--json", check=1)
            figure = json.loads(done.stdout)["figures"][0]
            assert figure["verdict"] == "worse" and 23 < figure["slowerPercent"] < 27, done.stdout
        with report.case("a faster one is better, exit 0"):
            done = sluice("gate", rounds(folder, "fast.json", 130), baseline, check=0)
            assert done.stdout.startswith("better"), done.stdout
        refusals = {
            "other_machine_shape": changed(
                folder, baseline, "shape.json", lambda v: v["machine"].update(processorCount=64)
            ),
            "other_effort": changed(folder, baseline, "effort.json", lambda v: v.update(effort="full")),
            "unknown_figure": changed(folder, baseline, "figure.json", lambda v: v["figures"][0].update(name="b")),
            "newer_version": changed(folder, baseline, "version.json", lambda v: v.update(version=2)),
            "not_a_gate_file": changed(folder, baseline, "format.json", lambda v: v.update(format="other")),
            "damaged": changed(folder, baseline, "damaged.json", lambda v: v["figures"][0]["rounds"][0].pop("subject")),
            "unreadable": os.path.join(folder, "nothing.json"),
        }
        for problem, path in refusals.items():
            with report.case(f"{problem}: exit 2 and the reason"):
                done = sluice("gate", path, baseline, "--json", check=2)
                assert json.loads(done.stdout)["problem"] == problem, done.stdout
                assert done.stderr.startswith("sluice: "), done.stderr
        with report.case("a scenario with an unknown key is refused with its line"):
            code = "import sys; sys.path.insert(0, sys.argv[1]); import scenario; "
            code += "scenario.read(sys.argv[2], {'a': {'b': 1}})"
            path = os.path.join(folder, "x.yaml")
            with open(path, "w") as file:
                file.write("# Why?\nkind: a\nc: 1\n")
            done = subprocess.run([sys.executable, "-B", "-c", code, PERF, path], capture_output=True, text=True)
            assert "x.yaml:3: unknown key `c`" in done.stderr, done.stderr
        with report.case("every scenario of the tree can be read"):
            command = [sys.executable, "-B", os.path.join(PERF, "run"), "--list"]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0 and len(done.stdout.splitlines()) >= 10, done.stdout + done.stderr
        with report.case("the tree is not slower than its baseline") as notes:
            done = subprocess.run([sys.executable, "-B", os.path.join(PERF, "gate")], capture_output=True, text=True)
            assert done.returncode == 0, (done.stdout + done.stderr)[-1500:]
            notes.append(done.stdout.strip().splitlines()[-1])
    report.finish()


if __name__ == "__main__":
    main()
