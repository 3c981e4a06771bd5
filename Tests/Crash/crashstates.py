#!/usr/bin/env python3
"""Rebuilds the disk as it may look after a power cut at any moment of a traced run (un-synced writes kept, dropped,
torn by sector, left as zeros) and lets the real gateway recover each: nothing acknowledged lost, nothing doubled or
invented.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

from crashutil import HERE, TOOLS
from faultmount import FaultMount
from loadgen import Load
from report import Report, arguments, one_line
from serverutil import TINY_LIMITS, TINY_LOG, Gateway, github_source


def traced_run(folder, seconds):
    """Load over several segments on the recording file system; returns (trace, acknowledged file, sent file)."""
    acks, tried = os.path.join(folder, "acks.txt"), os.path.join(folder, "tried.txt")
    with FaultMount(folder) as mount:
        gateway = Gateway(
            [github_source()], folder=folder, limits=TINY_LIMITS, log=TINY_LOG, dedup={"entries": 65536}, loops=1
        )
        gateway.data = os.path.join(mount.point, "data")
        try:
            gateway.start()
            load = Load(gateway.port, "c", connections=4, window=4, pad=700).start()
            time.sleep(seconds)  # the length of the trace that the states are made from
            load.stop()
            gateway.kill()
        finally:
            gateway.kill()
    with open(acks, "w") as file:
        file.writelines(f"{at} {name}\n" for at, name in load.acknowledged)
    with open(tried, "w") as file:
        file.writelines(name + "\n" for name in load.sent)
    assert len(load.acknowledged) > 50, f"only {len(load.acknowledged)} acknowledged on the recording file system"
    return mount.trace, acks, tried, len(load.acknowledged)


def main():
    options = arguments(__doc__, states=40, seed=1, seconds=3.0, corrupt="none", jobs=2)
    report = Report("crashstates")
    folder = tempfile.mkdtemp(prefix="sluice-states-")
    try:
        trace = None
        with report.case("a traced run") as notes:
            trace, acks, tried, count = traced_run(folder, options.seconds)
            notes.append(f"{count} acknowledged")
        if trace is None:
            report.skip(f"{options.states} crash states", "there is no trace")
            report.finish()
        check = f"{shlex.quote(sys.executable)} {shlex.quote(os.path.join(HERE, 'recovered.py'))} {{dir}}"
        each = (options.states + options.jobs - 1) // options.jobs
        running = []
        for job in range(options.jobs):
            command = [
                sys.executable,
                os.path.join(TOOLS, "crashgen.py"),
                "--trace",
                trace,
                "--acks",
                acks,
                "--tried",
                tried,
                "--check",
                check,
                "--states",
                str(each),
                "--seed",
                str(options.seed * 1000 + job),
                "--corrupt",
                options.corrupt,
            ]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        for job, process in enumerate(running):
            with report.case(f"{each} crash states, part {job + 1} of {options.jobs}") as notes:
                said = process.communicate(timeout=3600)[0]
                notes.append(one_line(said.splitlines()[0] if said else "silent", 140))
                assert process.returncode == 0, one_line(said, 1200)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
