"""A gateway whose wall clock is ahead: `clockshift.c`, compiled where it is wanted."""

import os
import shutil
import subprocess

from report import Skip

SOURCE = os.path.join(os.path.dirname(__file__), "clockshift.c")


def environment(folder, seconds):
    """For the process whose clock is to be so many seconds ahead."""
    compiler = shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        raise Skip("there is no C compiler")
    library = os.path.join(folder, "clockshift.so")
    if not os.path.exists(library):
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, SOURCE], check=True, timeout=60)
    return {"LD_PRELOAD": library, "CLOCK_AHEAD_SECONDS": str(seconds)}
