"""A gateway whose wall clock is ahead: `clockshift.c`, compiled where it is wanted."""

import os
import shutil
import struct
import subprocess

from report import Skip

SOURCE = os.path.join(os.path.dirname(__file__), "clockshift.c")


class Clock:
    """The clock of one process, set while it runs."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "ahead")
        self.set(0)
        self.environment = {**environment(folder, 0), "CLOCK_AHEAD_FILE": self.path}

    def set(self, seconds):
        self.seconds = seconds
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as file:
            file.write(struct.pack("<q", seconds))


def environment(folder, seconds):
    """For the process whose clock is to be so many seconds ahead."""
    compiler = shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        raise Skip("there is no C compiler")
    library = os.path.join(folder, "clockshift.so")
    if not os.path.exists(library):
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, SOURCE], check=True, timeout=60)
    return {"LD_PRELOAD": library, "CLOCK_AHEAD_SECONDS": str(seconds)}
