"""Runs a suite that lies beside the project, case by case into a report of ours."""

import importlib.util
import os
import re
import subprocess
import sys
import threading

from serverutil import platform_key


def missing(suite, name, *modules):
    """What the suite needs and is not here, the suite itself as `name`; empty when nothing is."""
    lacks = [] if os.path.exists(suite) else [name]
    return lacks + [module for module in modules if importlib.util.find_spec(module) is None]


def run(report, gateway, suite, options, apart, seconds, called):
    """`apart`: cases that are skipped whatever they say, and why. `called`: what did not end, if it does not."""
    url = f"http://127.0.0.1:{gateway.admin_port}"
    command = [sys.executable, "-B", suite, "--url", url, "--token", platform_key(gateway.admin_port), *options]
    said = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    limit = threading.Timer(seconds, said.kill)
    limit.start()
    finished, last = False, ""
    for line in said.stdout:
        last = line
        finished = finished or bool(re.match(r"\d+ passed, \d+ failed", line))
        found = re.match(r"(PASS|FAIL|SKIP) ([\w.-]+)(?:: (.*))?$", line)
        if not found:
            continue
        verdict, case, why = found.groups()
        if case in apart:
            report.skip(case, apart[case])
        elif verdict == "PASS":
            report.ok(case)
        elif verdict == "FAIL":
            report.fail(case, why)
        else:
            report.skip(case, why)
    said.wait()
    limit.cancel()
    if not finished:
        report.fail(called, f"did not come to its end within {seconds} s: {last.strip()}")
