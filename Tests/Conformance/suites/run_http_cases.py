#!/usr/bin/env python3
"""The raw HTTP/1.1 cases against the real gateway: hand-derived ones in every variant, limits, and the fuzzer that
compares it with a strict parser. The cases are in Tests/Fixtures/http, their runner and that parser in http/.
"""

import os
import re
import subprocess
import sys

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, arguments, one_line
from serverutil import ROOT, Gateway, open_source


def run(script, gateway, *flags, timeout=300):
    path = os.path.join(ROOT, "Tests", "Conformance", "http", script)
    done = subprocess.run(
        [sys.executable, "-B", path, "--port", str(gateway.port), "--path", "/in/test", *flags],
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return done.returncode, done.stdout + done.stderr


def cases(report, gateway, suite, variant, stride=1, more=()):
    with report.case(", ".join([suite, variant, *more])) as notes:
        status, text = run(
            "run.py",
            gateway,
            "--probe",
            "/nowhere",
            "--probe-status",
            "404",
            "--suite",
            suite,
            "--variants",
            variant,
            "--stride",
            str(stride),
            "--jobs",
            "16",
            "-v",
            *more,
        )
        result = re.search(r"passed (\d+) of (\d+)", text)
        assert result, f"the runner said: {one_line(text[-300:])}"
        notes.append(result[0])
        failures = [line for line in text.splitlines() if line.startswith("FAIL")]
        for line in failures[:25]:
            print("       ", line[:220])
        assert status == 0 and not failures, f"{result[0]}; first: {failures[:1]}"
        assert int(result[2]) > 0, "no case was run"


def main():
    options = arguments(__doc__, stride=7, inputs=5000, seed=1)
    report = Report("http")
    # Limits as the cases expect them: head 64 KiB, body 1 MiB, 100 fields.
    with Gateway([open_source()], limits={"connections": 4000}) as gateway:
        for variant in ("whole", "bytewise", "prefixed", "suffixed"):
            cases(report, gateway, "own", variant)
        cases(report, gateway, "own", "split2", stride=options.stride)
        cases(report, gateway, "limits", "whole,bytewise,split2", stride=97)
        with report.case(f"mutate.py, {options.inputs} inputs, seed {options.seed}") as notes:
            status, text = run(
                "mutate.py",
                gateway,
                "--n",
                str(options.inputs),
                "--seed",
                str(options.seed),
                "--probe",
                "/nowhere",
                "--jobs",
                "24",
            )
            notes.append(one_line(text.strip().splitlines()[-1]))
            assert status == 0, one_line(text, 1500)
        with report.case("the gateway is still well"):
            assert gateway.process.poll() is None, "it ended"
            assert gateway.post("/in/test", b"after all that")[0] == 202
    report.finish()


if __name__ == "__main__":
    main()
