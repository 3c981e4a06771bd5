#!/usr/bin/env python3
"""The whole gateway on simulated network, disk and clock, many seeds: nothing that was answered is lost, nothing that
was refused is delivered, everything comes home; and a seed is always the same run. `make simulate SEED=n` tells the
story of one. The command is built with the Swift tests."""

import os
import re
import subprocess

import crashutil  # noqa: F401  (puts the shared modules on the path)
from report import Report, Skip, arguments, one_line
from serverutil import ROOT

BINARY = os.path.join(ROOT, ".build", "release", "simulate")
PROCESSES = 2
REPEATED = (3, 14, 15)


def begin(*options):
    return subprocess.Popen(
        [BINARY, *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")


def seeds(report, count):
    with report.case(f"{count} seeds: nothing is found") as notes:
        if not os.path.exists(BINARY):
            raise Skip("not built: swift build -c release --product simulate")
        each = -(-count // PROCESSES)
        runs = [begin("--seeds", each, "--from", 1 + number * each) for number in range(PROCESSES)]
        said = [run.communicate()[0] for run in runs]
        for run, text in zip(runs, said):
            assert run.returncode == 0 and "nothing found" in text, one_line(text[-3000:], 3000)
        figures = [re.search(r"(\d+) events answered, (\d+) crashes, (\d+) s of their time", text) for text in said]
        events, crashes, spent = (sum(int(one[place]) for one in figures) for place in (1, 2, 3))
        assert events > 10 * count and crashes > count, "the storm does not disturb"
        notes.append(f"{events} events answered, {crashes} crashes, {spent} s of their time")


def repeated(report):
    with report.case("a seed is always the same run"):
        if not os.path.exists(BINARY):
            raise Skip("not built: swift build -c release --product simulate")
        for seed in REPEATED:
            traces = {re.search(r"trace (\w+)", begin("--seed", seed).communicate()[0])[1] for _ in range(4)}
            assert len(traces) == 1, f"seed {seed}: {traces}"


def main():
    options = arguments(__doc__, seeds=300)
    report = Report("simulator")
    seeds(report, options.seeds)
    repeated(report)
    report.finish()


if __name__ == "__main__":
    main()
