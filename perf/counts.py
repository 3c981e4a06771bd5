"""Instructions of the micro-benchmarks, counted under callgrind: the same in each run, whatever else the machine does.

callgrind is of its own processor: one without AVX-512 and SHA instructions, so the verifier takes its AVX2 code there.
The binary is counted without its debug information, which older versions of valgrind cannot read.
"""

import json
import os
import shutil
import subprocess
import tempfile

from perfutil import ROOT

PACKAGE = os.path.join(ROOT, "Benchmarks")


class CannotCount(Exception):
    """Instructions cannot be counted here; the text says why."""


def build(package=PACKAGE):
    done = subprocess.run(
        ["swift", "build", "-c", "release", "--product", "benchmarks"], cwd=package, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise CannotCount(f"the benchmarks do not build: {done.stdout[-400:]}{done.stderr[-400:]}")


def count(claims=(), package=PACKAGE):
    """[{name, subject, yardstick}], features: instructions of one operation, and of the yardstick in the same process;
    and the code that was chosen for this processor, None from a tree that does not say."""
    if not shutil.which("valgrind"):
        raise CannotCount("valgrind is not installed")
    with tempfile.TemporaryDirectory(prefix="sluice-count-") as folder:
        binary, out = os.path.join(folder, "benchmarks"), os.path.join(folder, "callgrind")
        built = os.path.join(package, ".build", "release", "benchmarks")
        if subprocess.run(["strip", "-g", "-o", binary, built], capture_output=True).returncode != 0:
            shutil.copy(built, binary)
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", binary]
        done = subprocess.run(
            [*command, "--count", *(["yardstick", *claims] if claims else [])],
            capture_output=True,
            text=True,
            cwd=folder,
            env={
                **os.environ,
                "INSTRUCTION_COUNTER_FILE": out,
                "SWIFT_DETERMINISTIC_HASHING": "1",
                "TMPDIR": folder,
            },
        )
    if done.returncode != 0:
        raise CannotCount(f"the count ended with status {done.returncode}: {(done.stdout + done.stderr)[-400:]}")
    counted = json.loads(done.stdout)
    values = {item["name"]: item["value"] for item in counted}
    yardstick, features = values.pop("yardstick"), values.pop("features", None)
    return [{"name": name, "subject": value, "yardstick": yardstick} for name, value in values.items()], features
