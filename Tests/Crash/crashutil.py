"""Shared by the crash suites: the C tools are compiled once a run, and what came out is compared with what was
promised."""

import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "Conformance", "support"))

from report import Skip  # noqa: E402
from storeutil import events_in_log  # noqa: E402

TOOLS = os.path.join(HERE, "tools")


def compile_tool(name, folder, *flags):
    target = os.path.join(folder, name)
    done = subprocess.run(
        ["cc", "-O2", "-o", target, os.path.join(TOOLS, name + ".c"), *flags], capture_output=True, text=True
    )
    if done.returncode:
        raise Skip(f"{name}.c does not compile here: {done.stderr.strip()[-200:]}")
    return target


def pkg_config(name):
    done = subprocess.run(["pkg-config", "--cflags", "--libs", name], capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"{name} is not installed")
    return done.stdout.split()


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def write_result(path, what, command, **figures):
    """What a run came to, for RELIABILITY.md; only reached when everything held. Nothing without a path."""
    if not path:
        return
    machine = os.uname()
    value = {
        "format": "sluice-reliability", "version": 1, "what": what, "command": command,
        "date": time.strftime("%Y-%m-%d", time.gmtime()), "kernel": machine.release, **figures,
    }
    with open(path, "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


class Promise:
    """What a load was promised over one or more crashes, and what must hold of the log and of the sink afterwards."""

    def __init__(self):
        self.sent, self.acknowledged = set(), set()
        self.duplicates = 0

    def add(self, load):
        self.sent |= load.sent
        self.acknowledged |= load.acknowledged_names()

    def check_log(self, data):
        stored = events_in_log(data)
        lost = self.acknowledged - set(stored)
        invented = set(stored) - self.sent
        assert not lost, f"LOST from the log: {len(lost)} of {len(self.acknowledged)}, such as {sorted(lost)[:3]}"
        assert not invented, f"INVENTED in the log: {len(invented)}, such as {sorted(invented)[:3]}"
        assert len(stored) == len(set(stored)), f"{len(stored) - len(set(stored))} events twice in the log"
        return stored

    def missing_at(self, received):
        return self.acknowledged - set(received)

    def check_sink(self, received):
        """`received` has a name a delivery, repetitions kept."""
        lost, invented = self.missing_at(received), set(received) - self.sent
        assert (
            not lost
        ), f"LOST on the way to the sink: {len(lost)} of {len(self.acknowledged)}, such as {sorted(lost)[:3]}"
        assert not invented, f"INVENTED at the sink: {sorted(invented)[:3]}"
        self.duplicates = len(received) - len(set(received))
